"""How the team works: review, standards, documents, templates, operation."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.markdown import Document
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Verdict,
    W,
    absent,
    first_of,
    not_applicable,
    present,
    probe,
    unknown,
)
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.runs import Run

_LINT: Final = re.compile(
    r"(?:^|[\s/;&|])(?:ruff|flake8|pylint|black|isort|mypy|pyright|pyflakes|"
    r"pycodestyle|yapf|autopep8|bandit|pre-commit run|super-linter|sqlfluff|"
    r"nbqa|ty check|pytype|prospector|wemake)\b"
)
_LINT_ACTIONS: Final = (
    "pre-commit/action",
    "psf/black",
    "astral-sh/ruff-action",
    "chartboost/ruff-action",
    "github/super-linter",
    "super-linter/super-linter",
    "py-actions/flake8",
    "isort/isort-action",
    "jakebailey/pyright-action",
)
_TABLES: Final = (
    "[tool.ruff",
    "[tool.black",
    "[tool.mypy",
    "[flake8",
    "[tool.pylint",
    "[mypy",
    "[tool.isort",
)
_SOFT: Final = ("--exit-zero", "--exit-non-zero-on-fix=false")
_CONFIGS: Final = (
    ".flake8",
    ".pylintrc",
    "ruff.toml",
    ".ruff.toml",
    "mypy.ini",
    ".isort.cfg",
    ".style.yapf",
    "pyrightconfig.json",
)
_COMMAND: Final = re.compile(
    r"[$>%]?\s{0,3}(?:pip|uv|poetry|conda|make|python|docker|git|dvc|npm|kubectl|terraform|source|"
    r"\./|bash|tox|pytest|mlflow|prefect)"
)
_STRICT_DOCS: Final = re.compile(r"mkdocs build[^\n]{0,60}--strict|sphinx-build[^\n]{0,60} -W")
_RUN_WORDS: Final = (
    "install",
    "setup",
    "set up",
    "getting started",
    "quickstart",
    "quick start",
    "usage",
    "how to run",
    "running",
    "run ",
    "development",
    "prerequisites",
    "reproduce",
)


@probe(
    "review",
    practice="code_review",
    asks="Is every change reviewed by another person before merge, enforced?",
    searched="branch protection as code, CODEOWNERS, pull request templates, approvals in CI",
)
def _review(repo: Repository) -> Verdict:
    rules = [
        (p, line)
        for p, b in repo.resources(
            "github_branch_protection",
            "github_repository_ruleset",
            "gitlab_project_approval_rule",
            "gitlab_branch_protection",
            "azuredevops_branch_policy_min_reviewers",
        )
        if (
            line := b.has("required_approving_review_count")
            or b.has("approvals_required")
            or b.has("reviewer_count")
            or b.has("required_pull_request_reviews")
            or b.has("pull_request")
        )
    ]
    for path in repo.named("settings.yml", "settings.yaml"):
        if "/.github/" in f"/{path}":
            rules += [
                (path, n.key_line)
                for d in repo.yaml(path).docs
                for _, n in d.find("required_pull_request_reviews")
                if n.map
            ]
    for path in repo.ending(".json"):
        if '"required_approving_review_count"' in repo.text(path):
            text = repo.text(path)
            found = re.search(r'"required_approving_review_count"\s{0,4}:\s{0,4}([1-9])', text)
            if found:
                rules.append((path, text.count("\n", 0, found.start()) + 1))
    if rules:
        return present(repo, E, "Branch protection asks for a review, written as code.", rules)
    owners = [(p, 1) for p in repo.named("codeowners")]
    templates = [
        (p, 1)
        for p in repo.files
        if "pull_request_template" in p.lower() or "merge_request_templates" in p.lower()
    ]
    if owners or templates:
        return present(
            repo,
            C,
            (
                "Reviewers or a template for changes are set; whether review is enforced "
                "is not in the files."
            ),
            owners + templates,
        )
    return unknown("Whether changes are reviewed is not in the files.")


@probe(
    "standards",
    practice="coding_standards",
    asks="Are formatter, linter and types checked automatically?",
    searched="linters and type checkers in CI, pre-commit hooks and settings",
)
def _standards(repo: Repository) -> Verdict:
    verdict = first_of(
        repo, _style_in_ci, _style_hooks, _style_soft, _style_by_hand, _style_settings
    )
    if verdict is not None:
        return verdict
    if any(not m.notebook for m in repo.code.product.values()):
        first = next(iter(repo.code.product))
        return absent(repo, "There is code, and nothing checks its style.", [(first, 1)])
    return unknown("There is no Python code.")


def _style_runs(repo: Repository) -> list[Run]:
    return [r for r in repo.runs.matching(_LINT, runs=repo.runs.ci) if "install" not in r.text]


def _style_in_ci(repo: Repository) -> Verdict | None:
    hard = [
        r
        for r in _style_runs(repo)
        if r.automatic and r.hard and not any(s in r.text for s in _SOFT)
    ]
    if hard:
        detail = f"CI checks the style and stops on a violation ({hard[0].at})."
        return present(repo, E, detail, [r.where for r in hard])
    actions = [
        (j.path, s.line)
        for j in repo.jobs
        if j.automatic and not j.soft
        for s in j.steps
        if s.uses.lower().startswith(_LINT_ACTIONS) and not s.soft and not s.disabled
    ]
    if actions:
        return present(repo, E, "CI checks the style and stops on a violation.", actions)
    return None


def _style_hooks(repo: Repository) -> Verdict | None:
    hooks = [
        (p, 1)
        for p in repo.named(".pre-commit-config.yaml", ".pre-commit-config.yml", "lefthook.yml")
        if any(n.list_at() for d in repo.yaml(p).docs for _, n in d.find("hooks", "commands"))
    ]
    if not hooks:
        return None
    detail = "Hooks check the style before each commit; a person can skip them."
    return present(repo, W, detail, hooks)


def _style_soft(repo: Repository) -> Verdict | None:
    runs = _style_runs(repo)
    if not runs:
        return None
    detail = "CI checks the style, but a violation does not stop it."
    return present(repo, C, detail, [r.where for r in runs])


def _style_by_hand(repo: Repository) -> Verdict | None:
    runs = [
        r
        for r in (*repo.runs.make, *repo.runs.project, *repo.runs.shell)
        if r.counts and _LINT.search(r.text) and "install" not in r.text
    ]
    if not runs:
        return None
    detail = f"A command checks the style ({runs[0].at}); nobody is made to run it."
    return present(repo, C, detail, [r.where for r in runs])


def _style_settings(repo: Repository) -> Verdict | None:
    found = [(p, 1) for p in repo.named(*_CONFIGS)]
    for path in repo.named("pyproject.toml", "setup.cfg"):
        text = repo.text(path)
        mark = next((m for m in _TABLES if m in text), "")
        if mark:
            found.append((path, text.count("\n", 0, text.find(mark)) + 1))
    return present(repo, C, "A linter has settings; nothing runs it.", found) if found else None


@probe(
    "documentation",
    practice="project_documentation",
    asks="Can a newcomer set up and run the project from its documentation?",
    searched="README and other documents: sections on set-up and running, with commands",
)
def _documentation(repo: Repository) -> Verdict:
    docs = [
        d
        for d in repo.documents
        if d.path.rsplit("/", 1)[-1].lower().startswith("readme") or "/docs/" in f"/{d.path}"
    ]
    for doc in sorted(docs, key=lambda d: (d.path.count("/"), d.path)):
        found = _instructions(repo, doc)
        if found is not None:
            return found
    if docs and any(d.sentences for d in docs):
        detail = "There is a README, without commands to set up and run the project."
        return present(repo, C, detail, [(docs[0].path, 1)])
    if docs:
        return absent(repo, "The README is empty.", [(docs[0].path, 1)])
    return absent(repo, "There is no README.") if repo.files else unknown("Nothing was read.")


def _instructions(repo: Repository, doc: Document) -> Verdict | None:
    commands = [(line, text) for line, text in doc.code if _COMMAND.match(text)]
    headed = [line for line, _, t in doc.headings if any(w in f"{t} " for w in _RUN_WORDS)]
    if not commands or not (headed or len(commands) > 1):
        return None
    first = (doc.path, headed[0] if headed else commands[0][0])
    strict = [r for r in repo.runs.ci if r.automatic and r.hard and r.counts]
    builds = [r for r in strict if _STRICT_DOCS.search(r.text)]
    if builds:
        detail = "Set-up and running are documented, and CI builds the documentation strictly."
        return present(repo, E, detail, [first, builds[0].where])
    targets = {name for t in repo.makefiles.values() for name in t}
    real = [
        line
        for line, text in commands
        if "install" in text
        or repo.runs.started(text)
        or any(f"make {name}" in text for name in targets)
    ]
    if real:
        detail = "Set-up and running are documented with commands that exist here."
        return present(repo, W, detail, [first, (doc.path, real[0])])
    return present(repo, C, "Set-up and running are documented.", [first])


@probe(
    "runbooks",
    practice="runbooks",
    asks="Do runbooks say what to do for each alert?",
    searched="runbook documents, links to runbooks in alert rules",
)
def _runbooks(repo: Repository) -> Verdict:
    linked = [
        (f.path, n.key_line)
        for f in repo.yaml_files(holding=("runbook",))
        for d in f.docs
        for _, n in d.find("runbook_url", "runbook")
        if n.text
    ]
    docs = [
        (d.path, 1)
        for d in repo.documents
        if re.search(r"runbook|playbook|incident[_-]?response", d.path.lower())
        and "ansible" not in d.path.lower()
        and d.sentences
    ]
    headed = [(d.path, line) for d in repo.documents for line, _, t in d.headings if "runbook" in t]
    if linked and (docs or headed):
        return present(repo, W, "Alerts link to runbooks, and runbooks are here.", linked + docs)
    if docs or headed:
        return present(repo, C, "A runbook is written; no alert refers to it.", docs or headed)
    if linked:
        return present(repo, C, "Alerts link to runbooks that are kept elsewhere.", linked)
    if repo.stages.serving is not None and any(
        "alert:" in repo.text(p) for p in repo.ending(".yml", ".yaml")
    ):
        return absent(
            repo, "Alerts are defined here, and no runbook says what to do.", [repo.stages.serving]
        )
    return (
        unknown("No runbook is here; it may be kept elsewhere.")
        if repo.stages.scoring
        else not_applicable("Nothing here is in operation.")
    )


@probe(
    "templates",
    practice="project_templates",
    asks="Do new projects start from a template?",
    searched="cookiecutter, copier, Backstage and platform templates",
)
def _templates(repo: Repository) -> Verdict:
    made = repo.named(".copier-answers.yml", ".cruft.json")
    if made:
        return present(
            repo,
            W,
            "This project was made from a template and can follow it.",
            [(p, 1) for p in made],
        )
    own = repo.named("cookiecutter.json", "copier.yml", "copier.yaml")
    own += [m.path for m in repo.kinds("Template") if m.api.startswith("scaffolder.backstage.io")]
    if own:
        return present(repo, C, "This is a template for projects.", [(p, 1) for p in own])
    return unknown("Files do not tell whether projects start from a template.")


@probe(
    "objectives",
    practice="service_level_objectives",
    asks="Do services have objectives that are measured?",
    searched=(
        "OpenSLO, Sloth, Pyrra and cloud objectives, burn-rate alerts, documents with objectives"
    ),
)
def _objectives(repo: Repository) -> Verdict:
    code = [
        (m.path, m.line)
        for m in repo.manifests
        if m.kind in ("SLO", "PrometheusServiceLevel", "ServiceLevelObjective")
        or m.api.startswith(("openslo", "sloth.slok.dev", "pyrra.dev"))
    ]
    code += [
        (p, b.line)
        for p, b in repo.resources(
            "google_monitoring_slo",
            "datadog_service_level_objective",
            "grafana_slo",
            "newrelic_service_level",
            "aws_applicationsignals_service_level",
        )
    ]
    code += [
        (f.path, 1)
        for f in repo.yaml_files(holding=("prometheus/v1",))
        if any(d.child("slos") for d in f.docs)
    ]
    burns = [
        (f.path, n.key_line)
        for f in repo.yaml_files(holding=("burn", "error_budget", "errorbudget"))
        for d in f.docs
        for _, n in d.find("alert", "record")
        if re.search(r"burn|budget|slo", n.text.lower())
    ]
    if code or burns:
        return present(
            repo,
            W if not (code and burns) else E,
            "Objectives are written as code and measured.",
            code + burns,
        )
    for doc in repo.documents:
        for line, _, title in doc.headings:
            if re.search(r"\bslos?\b|service[- ]level objective", title):
                return present(
                    repo,
                    C,
                    "A document states objectives; nothing measures them.",
                    [(doc.path, line)],
                )
    return (
        unknown("No objective is written here.")
        if repo.stages.serving
        else not_applicable("Nothing here serves a model.")
    )


@probe(
    "post_mortems",
    practice="post_mortems",
    asks="Do incidents get a post-mortem with actions?",
    searched="folders and documents of post-mortems",
)
def _post_mortems(repo: Repository) -> Verdict:
    docs = [
        d
        for d in repo.documents
        if re.search(r"post[-_]?mortem|incident[-_ ]?report", d.path.lower())
        and "template" not in d.path.lower()
    ]
    full = [
        d
        for d in docs
        if any(re.search(r"action|follow|lesson|remediation", t) for _, _, t in d.headings)
    ]
    if full:
        return present(
            repo, W, "Post-mortems with actions are kept here.", [(d.path, 1) for d in full]
        )
    if docs:
        return present(
            repo, C, "Post-mortems are kept here, without actions.", [(d.path, 1) for d in docs]
        )
    return unknown("Post-mortems may be kept elsewhere.")


@probe(
    "on_call",
    practice="on_call",
    asks="Does a named person or rota answer for models in production?",
    searched="rotas and escalations as code, paging receivers",
)
def _on_call(repo: Repository) -> Verdict:
    rota = [
        (p, b.line)
        for p, b in repo.resources(
            "pagerduty_schedule",
            "pagerduty_escalation_policy",
            "opsgenie_schedule",
            "opsgenie_escalation",
            "grafana_oncall",
        )
    ]
    if rota:
        return present(repo, W, "A rota is written as code.", rota)
    paging = [
        (f.path, n.key_line)
        for f in repo.yaml_files(
            holding=("pagerduty_configs", "opsgenie_configs", "pagerdutyConfigs", "opsgenieConfigs")
        )
        for d in f.docs
        for _, n in d.find(
            "pagerduty_configs", "opsgenie_configs", "pagerdutyConfigs", "opsgenieConfigs"
        )
    ]
    if paging:
        return present(
            repo, C, "Alerts go to a paging service; its rota is not in the files.", paging
        )
    return unknown("Rotas are seldom kept in files.")
