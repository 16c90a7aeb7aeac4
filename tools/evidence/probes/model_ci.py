"""CI of the model, as opposed to that of the code around it."""

from __future__ import annotations

import re
from typing import Final

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
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.runs import Run

_CHANGES: Final = frozenset(("push", "pull_request", "release", "workflow_run"))
_MODEL_WORDS: Final = ("train", "model", "evaluat")
_MODEL: Final = re.compile(
    r"\bdvc repro|\bdvc exp run|\bkedro run|\bmlflow run|az ml job create|"
    r"run-pipeline\b|start-pipeline-execution|\bpyflyte run|\bzenml pipeline"
)


@shared
def model_lines(repo: Repository) -> list[Run]:
    """CI commands that train, evaluate or test a model."""
    code = repo.code
    heads = {
        p
        for p, m in code.product.items()
        if not m.notebook
        and (
            p in code.training_roots
            or any(
                c.name.startswith(("sklearn.metrics.", "mlflow.evaluate")) or c.last == "evaluate"
                for c in m.calls
            )
        )
    }
    found = []
    for run in repo.runs.ci:
        if not run.counts:
            continue
        if _MODEL.search(run.text):
            found.append(run)
            continue
        started = repo.runs.modules(run)
        if started and (
            started & heads or any(p in code.tests and _tests_model(repo, p) for p in started)
        ):
            found.append(run)
    return found


def _tests_model(repo: Repository, path: str) -> bool:
    """Tell whether a test imports training code, or loads a model and asserts something."""
    code = repo.code
    module = code.modules[path]
    if not any(c.kind == "assert" and not c.constant for c in module.checks):
        return False
    reached = code.closure([path])
    if any(p in code.training_roots for p in reached):
        return True
    return any(c.last in ("load_model", "fit", "predict") for c in module.calls)


@probe(
    "model_ci",
    practice="model_ci",
    asks="On each change, does CI test the ML code and train, evaluate or validate the model?",
    searched="CI jobs and the scripts, make targets and tests they run",
)
def _model_ci(repo: Repository) -> Verdict:
    if not repo.stages.ml:
        return not_applicable("No machine learning here.")
    verdict = first_of(repo, _model_in_ci, _named_only)
    if verdict is not None:
        return verdict
    if repo.jobs:
        detail = "CI is here, and it neither trains nor tests a model."
        return absent(repo, detail, [(repo.jobs[0].path, repo.jobs[0].line)])
    if repo.stages.training is not None:
        return absent(repo, "Training is here, and there is no CI.", [repo.stages.training])
    return unknown("No training and no CI are here.")


def _model_in_ci(repo: Repository) -> Verdict | None:
    lines = model_lines(repo)
    on_change = [
        r for r in lines if r.job is not None and r.job.automatic and r.job.events & _CHANGES
    ]
    hard = [r for r in on_change if r.hard]
    if hard:
        detail = f"CI trains or tests the model on each change ({hard[0].at})."
        return present(repo, E, detail, [r.where for r in hard])
    if on_change:
        detail = "CI trains or tests the model, but its failure is ignored."
        return present(repo, C, detail, [r.where for r in on_change])
    if lines:
        detail = "CI trains or tests the model, but not on a change: by schedule or by hand."
        return present(repo, W, detail, [r.where for r in lines])
    return None


def _named_only(repo: Repository) -> Verdict | None:
    """Jobs that name the model and do nothing."""
    named = [
        j
        for j in repo.jobs
        if (j.idle or j.disabled)
        and any(w in f"{j.name} {' '.join(s.name for s in j.steps)}".lower() for w in _MODEL_WORDS)
    ]
    if not named:
        return None
    why = "is switched off" if named[0].disabled else "only prints text"
    detail = f"Job {named[0].name} names the model, but {why}."
    return present(repo, C, detail, [(j.path, j.line) for j in named])
