# Everything sets itself up: `make demo` and `make test` work on a machine with only
# Python 3.11 (or newer) and make. uv is used when it is there, because it is faster.

VENV ?= .venv
ARGS ?=
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fmt docs snapshots pins clean \
  check-format check-lint check-types check-imports check-snapshots

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1@\2/p' $(MAKEFILE_LIST) | column -t -s '@' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 - \2/p' $(MAKEFILE_LIST)

setup: $(READY) ## make the environment in .venv (the other targets do it themselves)
	@:

demo: $(READY) ## a real client talks to the real server over stdio
	@$(VENV)/bin/mlops-advisor demo $(ARGS)

test: $(READY) ## run the tests; ARGS="-k name" picks some
	@$(PY) -m pytest -q $(ARGS)

check: check-format check-lint check-types check-imports check-snapshots ## format, lint, strict types, import contracts, snapshots, generated docs
	@echo "check: all good"

check-format: $(READY)
	@echo "== formatter"
	@$(VENV)/bin/ruff format --check .

check-lint: $(READY)
	@echo "== linter"
	@$(VENV)/bin/ruff check .

check-types: $(READY)
	@echo "== types of the package"
	@$(VENV)/bin/mypy
	@echo "== types of the tests"
	@$(VENV)/bin/mypy tests

check-imports: $(READY)
	@echo "== import contracts"
	@$(VENV)/bin/lint-imports --no-cache

check-snapshots: $(READY)
	@echo "== schema snapshots and generated docs"
	@$(PY) -m mlops_advisor.server.snapshots --check

bench: $(READY) ## ratios to a bare server and to bare parsing
	@$(PY) tests/bench/run.py $(ARGS)

fmt: $(READY) ## format and fix what can be fixed
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format --quiet .

docs snapshots: $(READY) ## write schema snapshots and generated docs anew
	@$(PY) -m mlops_advisor.server.snapshots

# Pins name no index: whoever installs chooses where from; the hashes say what.
PIN = uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11
pins: ## renew the pins (needs uv; PIN_ARGS="--upgrade" for newer versions)
	@$(PIN) $(PIN_ARGS) pyproject.toml -o requirements.txt
	@$(PIN) $(PIN_ARGS) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt
	@$(PIN) $(PIN_ARGS) --group node -o requirements-node.txt

clean: ## remove the environment and everything made
	@rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find server tools resources tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is as old as the last good set-up: newer pins or metadata make the set-up run again.
# Output goes to a log that is shown only when something fails.
$(READY): requirements-dev.txt pyproject.toml
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	made=; \
	fail() { cat "$$log" >&2; echo "set-up failed: $$1" >&2; [ -z "$$made" ] || rm -rf "$(VENV)"; exit 1; }; \
	echo "setting up $(VENV) (the first time takes about a minute) ..." >&2; \
	if command -v uv >/dev/null 2>&1; then \
	  if [ ! -x "$(PY)" ]; then \
	    made=yes; \
	    uv venv --quiet --clear --python '>=3.11' "$(VENV)" >"$$log" 2>&1 \
	      || fail "uv found no Python 3.11 or newer"; \
	  fi; \
	  uv pip install --quiet --python "$(PY)" --compile-bytecode --require-hashes -r requirements-dev.txt >"$$log" 2>&1 \
	    || fail "the pinned packages were not installed"; \
	  uv pip install --quiet --python "$(PY)" --no-deps --no-build-isolation -e . >"$$log" 2>&1 \
	    || fail "the package itself was not installed"; \
	else \
	  if [ ! -x "$(PY)" ]; then \
	    found=; \
	    for p in "$$PYTHON" python3 python3.13 python3.12 python3.11 python; do \
	      [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	        && { found=$$p; break; }; \
	    done; \
	    [ -n "$$found" ] || fail "no Python 3.11 or newer was found; name one with PYTHON=/path/to/python3"; \
	    made=yes; \
	    "$$found" -m venv --clear "$(VENV)" >"$$log" 2>&1 \
	      || fail "$$found has no working venv module (on Debian: the package python3-venv)"; \
	  fi; \
	  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1; \
	  "$(PY)" -m pip install --quiet --require-hashes -r requirements-dev.txt >"$$log" 2>&1 \
	    || fail "the pinned packages were not installed"; \
	  "$(PY)" -m pip install --quiet --no-deps --no-build-isolation -e . >"$$log" 2>&1 \
	    || fail "the package itself was not installed"; \
	fi; \
	touch "$@"
