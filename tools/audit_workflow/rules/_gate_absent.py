"""Projects in which no comparison of metrics decides: where the model goes on all the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._called import step_of
from mlops_advisor.tools.audit_workflow.rules._gate_projects import has_gate, project_of
from mlops_advisor.tools.audit_workflow.rules._gates import (
    Release,
    gated,
    releases,
    sites,
    training_paths,
)
from mlops_advisor.tools.audit_workflow.rules._serving import calls_in
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.probes.evaluation import is_metric, measuring
from mlops_advisor.tools.evidence.view import View, last

_WORDS: Final = (
    *("register", "deploy", "promot", "save", "dump", "alias", "stage", "upload", "log_model"),
    *("endpoint", "push_to_hub", "Pusher", "package", "registry", "models", "Registry", "prod"),
)
_REPORTS: Final = re.compile(
    r"\bcml (?:comment|send-comment|pr)\b|\bcml-send-comment\b|\bgh pr comment\b"
)
_REPORT_ACTIONS: Final = (
    "comment-pull-request",
    "sticky-pull-request-comment",
    "create-or-update-comment",
    "add-pr-comment",
)
_COMMANDS: Final = re.compile(
    r"\baz ml model (?:create|register|deploy)\b|"
    r"\bgcloud ai (?:models upload|endpoints deploy-model)\b|"
    r"\baws sagemaker (?:create-model-package|create-endpoint|update-endpoint)\b|"
    r"\bhuggingface-cli upload\b|\bbentoml (?:push|deploy)\b|\bgto (?:register|assign)\b|"
    r"\bmlflow deployments (?:create|update)\b"
)
_METRIC_TEXT: Final = re.compile(
    r"metric|dvc |eval|report|train|result|accuracy|score", re.IGNORECASE
)
_PIPELINES: Final = ("flow", "workflow", "pipeline", "dag", "job", "graph")
_EVALUATES: Final = re.compile(
    r"evaluat|(?:^|_)eval(?:_|$)|(?:^|_)test(?:_\w{1,40})?_model|model_test|test_model|accuracy|"
    r"(?:^|_)score_model|metrics?(?:_|$)|validate_model|model_validation"
)
_EVALUATION: Final = re.compile(
    r"(?:^|[/_-])(?:eval|evaluate|evaluation|evaluator|test_model|model_eval\w{0,10}|"
    r"validate(?:_model)?|metrics)(?:[_-]\w{1,40})?\.py$"
)
_LOGS: Final = frozenset(("log_metric", "log_metrics", "make_summary"))
_WRITES: Final = frozenset(
    "dump save_dict save_json write_json to_json safe_dump save_metrics write_metrics"
    " dump_json save_results write_text".split()
)


@dataclass(slots=True)
class _Project:
    """What one project releases, reports and measures."""

    strong: list[Release] = field(default_factory=list)
    saved: list[Release] = field(default_factory=list)
    commands: list[Hit] = field(default_factory=list)
    reports: list[Hit] = field(default_factory=list)


def missing_gates(repo: AuditRepository) -> Iterator[Hit]:
    """Report, once for each way a model goes on, that no metric decides about it."""
    if not repo.stages.ml:
        return
    found = _projects(repo)
    for name, project in sorted(found.items()):
        if not has_gate(repo, name):
            yield from _of_project(repo, name, project)


def _projects(repo: AuditRepository) -> dict[str, _Project]:
    found: dict[str, _Project] = {}
    for path, module in repo.code.product.items():
        name = project_of(repo, path)
        if path in repo.code.serving or not module.roots or has_gate(repo, name):
            continue
        text = repo.text(path)
        view = repo.view(path) if any(w in text for w in _WORDS) else None
        if view is None:
            continue
        project = found.setdefault(name, _Project())
        here = releases(view)
        strong = [r for r in here if r.kind != "save" and not gated(repo, r)]
        # Of one module what matters most: a promotion before a registration.
        project.strong += sorted(strong, key=lambda r: (r.kind != "promote", r.line))[:1]
        if not module.notebook and path in training_paths(repo):
            saves = [r for r in here if r.kind == "save" and not gated(repo, r)]
            project.saved += saves[-1:]
    for hit in _commands(repo):
        found.setdefault(project_of(repo, hit.path), _Project()).commands.append(hit)
    for hit in _reported(repo):
        found.setdefault(project_of(repo, hit.path), _Project()).reports.append(hit)
    for path in measuring(repo) | repo.code.predicts.keys():
        if _EVALUATION.search(path):
            found.setdefault(project_of(repo, path), _Project())
    return found


def _of_project(repo: AuditRepository, name: str, project: _Project) -> Iterator[Hit]:
    plain = [r for r in project.strong if not r.view.module.notebook] or project.strong
    told = tuple((h.path, h.line) for h in (*project.commands, *project.reports))
    if plain and plain[0].view.module.notebook:
        told = (*((r.view.path, r.line) for r in plain[1:]), *told)
        plain = plain[:1]
    if plain:
        for number, one in enumerate(plain):
            yield _no_gate(repo, one, told[:4] if not number else ())
        return
    if project.commands:
        first, *rest = project.commands
        also = tuple((h.path, h.line) for h in (*rest, *project.reports))[:4]
        yield Hit(first.path, first.line, first.why, also=also)
        return
    measured = _measured(repo, name)
    reports = project.reports or [
        h for h in _reported(repo) if project_of(repo, h.path) == "" and measured is not None
    ]
    saved = _most_used(repo, project.saved)
    scores = saved is not None and repo.stages.scoring is not None
    if saved is not None and scores and (measured is None or _is_read(repo, saved)):
        yield _saved(repo, saved, tuple((h.path, h.line) for h in reports))
    elif measured is not None:
        yield _only_measured(*measured, tuple((h.path, h.line) for h in reports))
    elif reports:
        first, *rest = reports
        yield Hit(
            first.path,
            first.line,
            first.why,
            first.fix,
            also=tuple((h.path, h.line) for h in rest),
            severity=MEDIUM,
            confidence=0.75,
        )


# --- releases in code ------------------------------------------------------------------------


def _no_gate(repo: AuditRepository, one: Release, told: tuple[tuple[str, int], ...]) -> Hit:
    approved = any(j.environment for j in repo.jobs)
    what = "promotes" if one.kind == "promote" else "registers"
    book = one.view.module.notebook
    path, line, words, also = _place(repo, one)
    return Hit(
        path,
        line,
        f"{words} {what} the model whatever its metrics are: no comparison with a threshold or"
        " with the model in production stands before it, here or in what calls it"
        " (searched: conditions on metrics in training, evaluation and pipeline code, approval"
        " settings).",
        also=(*also, *told)[:4],
        severity=MEDIUM if book or (one.kind == "register" and approved) else HIGH,
        confidence=0.6 if book else None,
    )


def _saved(repo: AuditRepository, one: Release, told: tuple[tuple[str, int], ...]) -> Hit:
    path, line, words, also = _place(repo, one)
    return Hit(
        path,
        line,
        f"{words} overwrites the model that is used for predictions whatever its metrics are:"
        " nothing in the repository compares them with a threshold or the model before.",
        also=(*also, *told)[:4],
        severity=MEDIUM,
        confidence=0.7,
    )


def _place(
    repo: AuditRepository, one: Release
) -> tuple[str, int, str, tuple[tuple[str, int], ...]]:
    """Where the model goes on: in the pipeline that measured it before, else the call itself."""
    function = one.view.function(one.call)
    if function is not None:
        for where, site in sites(repo, one.view, function):
            step = step_of(site)
            measured = _measured_before(where, site)
            if measured:
                words = f"Step `{step}`, which follows `{measured}` in the pipeline,"
                return where.path, site.lineno, words, ((one.view.path, one.line),)
    return one.view.path, one.line, f"`{one.what}`", ()


def _measured_before(view: View, site: ast.Call) -> str:
    """Name of the step of the same pipeline that measured the model before; empty when none."""
    flow = view.function(site)
    if flow is None:
        return ""
    names = [last(view.name(d)) for d in flow.decorator_list]
    if not any(n in _PIPELINES for n in names):
        return ""
    for call in calls_in(view, flow):
        name = step_of(call)
        if call.lineno < site.lineno and _EVALUATES.search(name.lower()):
            return name
    return ""


def _scoring_text(repo: AuditRepository, project: str) -> str:
    paths = sorted({*repo.code.serving_code, *repo.code.batch})
    return "\n".join(repo.text(p) for p in paths if project_of(repo, p) in (project, ""))


def _files(one: Release) -> list[str]:
    given = (*one.call.args, *(k.value for k in one.call.keywords))
    names = [one.view.string(a) for a in given]
    return [n.rsplit("/", 1)[-1] for n in names if n and "." in n]


def _is_read(repo: AuditRepository, one: Release) -> bool:
    text = _scoring_text(repo, project_of(repo, one.view.path))
    return any(f in text for f in _files(one))


def _most_used(repo: AuditRepository, saved: list[Release]) -> Release | None:
    """Pick the save whose file the scoring code loads, if that can be told."""
    return min(saved, key=lambda r: (not _is_read(repo, r), r.view.path, r.line), default=None)


# --- commands and comments of CI ---------------------------------------------------------------


def _commands(repo: AuditRepository) -> Iterator[Hit]:
    """Command lines that register or deploy a model."""
    seen: set[str] = set()
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.shell):
        found = _COMMANDS.search(run.text)
        if found is None or not run.counts or run.path in seen:
            continue
        if run.job is not None and (run.job.environment or run.job.manual):
            continue
        seen.add(run.path)
        yield Hit(
            run.path,
            run.line,
            f"`{found.group(0)}` brings the model to production whatever its metrics are: nothing"
            " in the repository compares them with a threshold or the model before.",
        )


def _reported(repo: AuditRepository) -> Iterator[Hit]:
    """Jobs that publish metrics as a comment."""
    for job in repo.jobs:
        text = " ".join(c.text for s in job.steps for c in s.commands)
        if not _METRIC_TEXT.search(text) or job.disabled:
            continue
        lines = [c.line for s in job.steps for c in s.commands if _REPORTS.search(c.text)]
        lines += [s.line for s in job.steps if any(a in s.uses for a in _REPORT_ACTIONS)]
        if lines:
            yield Hit(
                job.path,
                min(lines),
                f"Job `{job.name}` publishes metrics as a comment and passes whatever they are: no"
                " threshold or comparison fails it.",
                "Add a step that compares the metrics with those of `main` and exits with 1 when"
                " they are worse.",
            )


# --- evaluation that only reports --------------------------------------------------------------


def _measured(repo: AuditRepository, project: str) -> tuple[View, int, str] | None:
    """Find the evaluation script that a pipeline runs, and where it writes its metrics."""
    for path in sorted(repo.code.product):
        module = repo.code.product[path]
        if (
            module.notebook
            or not _EVALUATION.search(path)
            or is_test_path(path)
            or project_of(repo, path) != project
            or path in repo.code.serving
            or repo.is_aside(path)
            or not _piped(repo, path)
        ):
            continue
        view = repo.view(path)
        line = _written(view) if view is not None else 0
        if view is not None and line:
            run = repo.runs.automatic.get(path) or repo.runs.piped.get(path)
            return view, line, run.at if run is not None else ""
    return None


def _piped(repo: AuditRepository, path: str) -> bool:
    return path in repo.flows.modules or path in repo.runs.automatic or path in repo.runs.by_hand


def _written(view: View) -> int:
    """Line where metrics are logged or written to a file; 0 when they are not."""
    logged: list[int] = []
    stored: list[int] = []
    for call in view.calls:
        name = view.name(call)
        if last(name) in _LOGS or (last(name) == "log" and "dvclive" in name):
            logged.append(call.lineno)
        elif last(name) in _WRITES and "pickle" not in name and "joblib" not in name:
            stored.append(call.lineno)
    logged += [
        a.lineno
        for a in view.of(ast.Assign)
        if any(".summary" in dotted(t) for t in a.targets if isinstance(t, ast.Subscript))
    ]
    both = stored or logged
    text = " ".join(c.last for c in view.module.calls).lower()
    measures = "evaluate" in text or any(is_metric(w) for w in text.split())
    return min(both) if both and measures else 0


def _only_measured(view: View, line: int, by: str, told: tuple[tuple[str, int], ...]) -> Hit:
    more = f", and {told[0][0]} only shows them in a comment" if told else ""
    ran = f" (run by {by})" if by else ""
    return Hit(
        view.path,
        line,
        f"The pipeline's evaluation{ran} writes its metrics here and nobody judges them: no"
        f" threshold, baseline or model before is compared with them{more}.",
        "Compare them with a threshold from params.yaml and with the metrics of the model in"
        " production, and exit with 1 when they are worse.",
        also=told[:4],
        severity=MEDIUM,
        confidence=0.7,
    )
