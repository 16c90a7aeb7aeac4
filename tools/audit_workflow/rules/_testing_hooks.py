"""Pre-commit hooks and switched-off checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs
from mlops_advisor.tools.evidence.parse.tree import Node

_MOVING: Final = frozenset("main master stable head develop latest trunk dev nightly".split())
# First version that is not years behind, by repository of the hook.
_OLDEST: Final = {
    "pre-commit/pre-commit-hooks": (4, 0),
    "psf/black": (22, 0),
    "psf/black-pre-commit-mirror": (23, 0),
    "ambv/black": (22, 0),
    "pycqa/flake8": (5, 0),
    "pycqa/isort": (5, 11),
    "timothycrosley/isort": (99, 0),
    "pre-commit/mirrors-mypy": (1, 0),
    "pre-commit/mirrors-pylint": (99, 0),
    "pre-commit/mirrors-isort": (99, 0),
    "pycqa/pylint": (2, 17),
    "pycqa/bandit": (1, 7),
    "asottile/pyupgrade": (3, 0),
    "astral-sh/ruff-pre-commit": (0, 1),
    "charliermarsh/ruff-pre-commit": (0, 1),
    "kynan/nbstripout": (0, 5),
    "pycqa/docformatter": (1, 5),
    "myint/docformatter": (1, 5),
    "myint/autoflake": (1, 4),
    "asottile/seed-isort-config": (99, 0),
    "asottile/reorder_python_imports": (3, 0),
    "nbqa-dev/nbqa": (1, 3),
    "pre-commit/pygrep-hooks": (1, 8),
    "adrienverge/yamllint": (1, 26),
    "codespell-project/codespell": (2, 1),
    "yelp/detect-secrets": (1, 0),
    "gitleaks/gitleaks": (8, 0),
    "jumanjihouse/pre-commit-hooks": (2, 1),
}
_NUMBER: Final = re.compile(r"^v?(\d{1,5})(?:\.(\d{1,5}))?")
_FILE_WIDE: Final = re.compile(
    r"^\s{0,4}#\s{0,2}(mypy:\s{0,2}ignore-errors|type:\s{0,2}ignore(?:\[[^\]]{0,80}\])?\s{0,4}$|"
    r"pylint:\s{0,2}skip-file|flake8:\s{0,2}noqa\s{0,4}$|ruff:\s{0,2}noqa\s{0,4}$|pyright:\s{0,2}basic\s{0,4}off|"
    r"pyre-ignore-all-errors|pytype:\s{0,2}skip-file)"
)
_IGNORE: Final = re.compile(r"^\s{0,4}ignore_errors\s{0,4}=\s{0,4}(?:true|1|yes)\b", re.IGNORECASE)
_SECTION: Final = re.compile(r"^\s{0,4}\[{1,2}([^\]]{1,120})\]")
_MODULE: Final = re.compile(r"^\s{0,4}module\s{0,4}=\s{0,4}(.{1,200})")
_CODES: Final = re.compile(r"^\s{0,4}disable_error_code\s{0,4}=\s{0,4}(.{0,400})")
_MANY_CODES: Final = 3
_HEAD: Final = 5
_OFF: Final = re.compile(
    r"^\s{0,4}\"?(?:typeCheckingMode\"?\s{0,3}[:=]\s{0,3}\"off\"|strict_optional\s{0,3}=\s{0,3}false)",
    re.IGNORECASE,
)


def hooks(repo: AuditRepository) -> Iterator[Hit]:
    """Hooks at a branch, and hooks of years ago."""
    for path in repo.named(".pre-commit-config.yaml", ".pre-commit-config.yml"):
        old: list[tuple[int, str]] = []
        for node in (n for d in repo.yaml(path).docs for n in d.list_at("repos")):
            rev, url = node.child("rev"), node.text_at("repo")
            if rev is None or not rev.text or "tpl" in rev.text:
                continue
            name = "/".join(url.removesuffix(".git").rstrip("/").rsplit("/", 2)[-2:]).lower()
            if rev.text.lower() in _MOVING:
                yield Hit(
                    path,
                    rev.line,
                    f"The hook `{name}` is taken from `{rev.text}`, which moves: pre-commit "
                    "keeps the "
                    "first copy on each machine, so everybody runs another version.",
                    "Run `pre-commit autoupdate --freeze`, which writes a fixed revision.",
                    confidence=0.95,
                )
            elif _is_old(name, rev):
                old.append((rev.line, f"`{name}` {rev.text}"))
        if old:
            names = ", ".join(n for _, n in old[:5])
            yield Hit(
                path,
                old[0][0],
                f"Hooks are years behind: {names}.  They miss today's syntax and may no longer "
                "install.",
                "Run `pre-commit autoupdate`.",
                also=tuple((path, line) for line, _ in old[1:5]),
            )


def _is_old(name: str, rev: Node) -> bool:
    found = _NUMBER.match(rev.text)
    if found is None or name not in _OLDEST:
        return False
    return (int(found.group(1)), int(found.group(2) or 0)) < _OLDEST[name]


def disabled(repo: AuditRepository) -> Iterator[Hit]:
    """Find checks that are turned off for all code, or for a whole file."""
    for path in repo.named(
        "mypy.ini", ".mypy.ini", "setup.cfg", "pyproject.toml", "pyrightconfig.json"
    ):
        yield from _settings(repo, path)
    for path, module in repo.code.product.items():
        if module.notebook or _docs.aside(repo, path):
            continue
        for number, line in enumerate(repo.lines(path)[:_HEAD], 1):
            found = _FILE_WIDE.match(line[:200])
            if found:
                yield Hit(
                    path,
                    number,
                    f"`{found.group(1).strip()}` turns the check off for the whole file.",
                    "Turn off single lines with a code, and mend the rest.",
                )
                break


def _settings(repo: AuditRepository, path: str) -> Iterator[Hit]:
    section, modules = "", ""
    for number, line in enumerate(repo.lines(path)[:2_000], 1):
        if found := _SECTION.match(line[:200]):
            section, modules = found.group(1).strip().strip("\"'"), ""
        elif found := _MODULE.match(line[:300]):
            modules = found.group(1)
        if (
            "mypy" not in section
            and not path.endswith("pyrightconfig.json")
            and "pyright" not in section
        ):
            continue
        scope = modules or section.removeprefix("mypy-" if section.startswith("mypy-") else "")
        if _IGNORE.match(line[:200]) and not _others(repo, scope):
            where = f"for {scope}" if scope not in ("mypy", "tool.mypy") else "for all code"
            yield Hit(
                path,
                number,
                f"`ignore_errors` turns the type checker off {where}: it runs and reports nothing.",
                "Remove it, and turn off single codes for single modules until they are mended.",
                severity=MEDIUM,
            )
        elif (found := _CODES.match(line[:500])) or _OFF.match(line[:200]):
            codes = re.findall(r"[a-z]{2,20}(?:-[a-z]{2,20})*", found.group(1)) if found else []
            if found and not codes and "[" in found.group(1):
                codes = _listed(repo.lines(path)[number : number + 40])
            if not found or len(codes) >= _MANY_CODES:
                what = f"{len(codes)} kinds of error" if found else "the check"
                yield Hit(
                    path,
                    number,
                    f"The type checker is told to leave out {what}: most of what it would find "
                    "is hidden.",
                    "Turn the codes on again, one by one.",
                    severity=LOW if found else MEDIUM,
                )


def _listed(lines: list[str]) -> list[str]:
    codes: list[str] = []
    for line in lines:
        if "]" in line:
            break
        codes += re.findall(r"\"([a-z-]{2,40})\"", line[:200])
    return codes


def _others(repo: AuditRepository, scope: str) -> bool:
    """Tell whether a section is about tests or code from elsewhere."""
    if scope in ("mypy", "tool.mypy", ""):
        return False
    names = re.findall(r"[A-Za-z_]\w{0,60}", scope)
    roots = {n for n in names if n not in ("mypy", "tool", "overrides")}
    own = {p.split("/")[0].removesuffix(".py") for p in repo.code.product}
    own |= {part for p in repo.code.product for part in p.split("/")[:3]}
    return not (roots & own) or roots <= {"tests", "test", "docs", "conftest"}
