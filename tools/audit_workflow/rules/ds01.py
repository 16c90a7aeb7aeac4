"""Model goes on without a quality gate

## What it does

Looks for calls that register, promote, deploy or (when nothing else releases a model) save one for
those who use it, and that no comparison of a metric with a threshold or with the model in
production decides about.  Also reported: pipelines that register before they evaluate,
comparisons of a challenger with itself or the wrong way round, first versions that are promoted
unseen, gates that know one number written into the code only, and CI that reports metrics and lets
everything pass.

## Why is this bad?

A training run on broken data gives a model as well.  Without a gate it replaces a good one, and
its users are the first to notice.

## Known problems

A person who looks at metrics before starting a deployment is a gate that no file shows; an
approval status (`PendingManualApproval`) or a protected environment is seen and counts.

## Example

```python
model.fit(X_train, y_train)
mlflow.register_model(f"runs:/{run_id}/model", "churn")
```

## Use instead

```python
if f1 < champion_f1 + MARGIN:
    raise SystemExit(f"challenger {f1:.3f} does not beat champion {champion_f1:.3f}")
mlflow.register_model(f"runs:/{run_id}/model", "churn")
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._gate_compare import comparisons, thresholds
from mlops_advisor.tools.audit_workflow.rules._gate_order import early_releases
from mlops_advisor.tools.audit_workflow.rules._gates import (
    Release,
    gate_exists,
    gated,
    releases,
    training_paths,
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


@rule(
    "DS01",
    name="no-model-quality-gate",
    dimension="deployment",
    severity=HIGH,
    confidence=0.75,
    fix="Compare the candidate on held-out data with a threshold from configuration and with the"
    " model in production, stop when it is worse, and only then register or deploy.",
    effort=(1.0, 3.0),
    sources=(
        "ml_test_score: Infra 4, model quality is validated before serving",
        "rules_of_ml: Rule #9, detect problems before exporting models",
    ),
    practice="model_validation_gate",
)
def no_model_quality_gate(repo: AuditRepository) -> Iterator[Hit]:
    """Report models that go on whatever their metrics are."""
    found: dict[tuple[str, int], Hit] = {}
    for hit in (
        *early_releases(repo),
        *comparisons(repo),
        *_ungated(repo),
        *_reported_only(repo),
        *thresholds(repo),
    ):
        found.setdefault((hit.path, hit.line), hit)
    yield from found.values()


# --- releases that nothing decides about -------------------------------------------------------


def _ungated(repo: AuditRepository) -> Iterator[Hit]:
    if gate_exists(repo):
        return
    strong: list[Release] = []
    saved: list[Release] = []
    for path, module in repo.code.product.items():
        if path in repo.code.serving or not module.roots:
            continue
        text = repo.text(path)
        if not any(
            w in text
            for w in (
                "register",
                "deploy",
                "promot",
                "save",
                "dump",
                "alias",
                "stage",
                "upload",
                "log_model",
                "endpoint",
                "push_to_hub",
                "Pusher",
                "package",
            )
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        here = releases(view)
        strong += _first([r for r in here if r.kind != "save" and not gated(repo, r)])
        if not module.notebook and path in training_paths(repo):
            saved += [r for r in here if r.kind == "save" and not gated(repo, r)][-1:]
    plain = [r for r in strong if not r.view.module.notebook] or strong
    for one in plain:
        yield _no_gate(repo, one)
    commands = list(_commands(repo))
    yield from commands
    if (
        not plain
        and not commands
        and saved
        and repo.stages.scoring is not None
        and not _reports(repo)
    ):
        yield _saved(_most_used(repo, saved))


def _commands(repo: AuditRepository) -> Iterator[Hit]:
    """Report command lines that register or deploy a model."""
    if not repo.stages.ml:
        return
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


def _reports(repo: AuditRepository) -> bool:
    return any(True for _ in _reported_only(repo))


def _first(found: list[Release]) -> list[Release]:
    """Take what matters most of one module: a promotion before a registration."""
    return sorted(found, key=lambda r: (r.kind != "promote", r.line))[:1]


def _no_gate(repo: AuditRepository, one: Release) -> Hit:
    approved = _approved(repo)
    what = "promotes" if one.kind == "promote" else "registers"
    return Hit(
        one.view.path,
        one.line,
        f"`{one.what}` {what} the model whatever its metrics are: no comparison with a threshold or"
        " with the model in production stands before it, here or in what calls it"
        " (searched: conditions on metrics in training, evaluation and pipeline code, approval"
        " settings).",
        severity=MEDIUM
        if one.view.module.notebook or (one.kind == "register" and approved)
        else HIGH,
        confidence=0.6 if one.view.module.notebook else None,
    )


def _approved(repo: AuditRepository) -> bool:
    return any(j.environment for j in repo.jobs)


def _saved(one: Release) -> Hit:
    return Hit(
        one.view.path,
        one.line,
        f"`{one.what}` overwrites the model that is used for predictions whatever its metrics are:"
        " nothing in the repository compares them with a threshold or the model before.",
        severity=MEDIUM,
        confidence=0.7,
    )


def _most_used(repo: AuditRepository, saved: list[Release]) -> Release:
    """Pick the save whose file the scoring code loads, if that can be told."""
    scoring = "\n".join(repo.text(p) for p in sorted({*repo.code.serving_code, *repo.code.batch}))

    def rank(one: Release) -> tuple[bool, str, int]:
        names = [
            one.view.string(a) for a in (*one.call.args, *(k.value for k in one.call.keywords))
        ]
        files = [n.rsplit("/", 1)[-1] for n in names if n and "." in n]
        return not any(f in scoring for f in files), one.view.path, one.line

    return min(saved, key=rank)


# --- CI that only reports ------------------------------------------------------------------------


def _reported_only(repo: AuditRepository) -> Iterator[Hit]:
    if gate_exists(repo) or not repo.stages.ml:
        return
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
                " they"
                " are worse.",
                severity=MEDIUM,
                confidence=0.75,
            )
