"""Tests of feature code, model code, serving code and of the pipeline as a whole."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    absent,
    not_applicable,
    present,
    probe,
    unknown,
)
from mlops_advisor.tools.evidence.probes._tests import runner_strength, test_files, tested
from mlops_advisor.tools.evidence.repository import Repository

_SEARCHED: Final = "test files with assertions, what they import, and who runs them"
_SMALL: Final = re.compile(
    r"--(?:smoke|sample|fast[-_]dev[-_]run|limit|dry[-_]run|quick|small|"
    r"test[-_]mode|n[-_]rows|nrows|max[-_]steps|subset)\b|tests?/\S{0,80}|"
    r"sample|\btiny|fixture"
)
_WHOLE: Final = ("integration", "e2e", "end_to_end", "endtoend", "pipeline", "smoke", "acceptance")


@probe(
    "feature_tests",
    practice="feature_code_tested",
    asks="Does feature code have unit tests that run automatically?",
    searched=_SEARCHED,
)
def _feature_tests(repo: Repository) -> Verdict:
    targets = [p for p in repo.code.feature_code if not repo.is_aside(p)]
    if not targets:
        return (
            unknown("No feature or preprocessing code was recognised.")
            if repo.stages.ml
            else not_applicable("No machine learning here.")
        )
    return tested(repo, "feature code", targets)


@probe(
    "model_tests",
    practice="model_code_unit_tests",
    asks="Does model and training code have unit tests that run in CI?",
    searched=_SEARCHED,
)
def _model_tests(repo: Repository) -> Verdict:
    code = repo.code
    targets = [p for p in code.training_scripts if not repo.is_aside(p)]
    # Modules with model classes and losses count as model code too.
    targets += [
        p
        for p in code.training_code
        if p not in targets
        and any(
            w in p.rsplit("/", 1)[-1].lower()
            for w in ("model", "net", "loss", "train", "evaluat", "metric")
        )
    ]
    if not targets:
        return (
            not_applicable("Nothing here trains a model.")
            if repo.stages.training is None
            else absent(repo, "Training lives where no test can import it.", [repo.stages.training])
        )
    return tested(repo, "model code", targets)


@probe(
    "serving_code_tests",
    practice="scoring_code_versioned",
    asks="Is the scoring code under version control, with tests?",
    searched="serving and scoring code, version control, and tests that import it",
)
def _serving_code_tests(repo: Repository) -> Verdict:
    targets = [*repo.code.serving, *repo.code.batch]
    if not targets:
        return (
            not_applicable("No scoring code is here.")
            if repo.stages.scoring is None
            else unknown("Scoring is configured; its code is not here.")
        )
    verdict = tested(repo, "scoring code", targets)
    if verdict.strength is not None:
        return verdict
    if repo.has_git or repo.ci_paths:
        return present(
            repo,
            C,
            "Scoring code is under version control, without tests.",
            [(p, 1) for p in targets],
        )
    return verdict


@probe(
    "serving_tests",
    practice="serving_tested",
    asks="Is the serving interface tested before release?",
    searched=(
        "tests with a test client or requests to the service, load tests, "
        "contract tests, and who runs them"
    ),
)
def _serving_tests(repo: Repository) -> Verdict:
    if repo.stages.serving is None:
        return not_applicable("Nothing here serves a model.")
    found: list[Spot] = []
    real = {t.path for t in test_files(repo) if t.real}
    for path in sorted(real):
        module = repo.code.tests[path]
        client = next(
            (
                c
                for c in module.calls
                if c.last in ("TestClient", "test_client", "AsyncClient", "invoke_endpoint")
                or c.name.startswith(("requests.", "httpx.", "schemathesis."))
            ),
            None,
        )
        if client is not None:
            found.append(Spot(path, client.line))
    if found:
        strength, how = runner_strength(repo, [s.path for s in found])
        return present(repo, strength, f"Tests call the serving interface; {how}.", found)
    load = [
        (p, 1)
        for p in repo.files
        if p.rsplit("/", 1)[-1].lower() in ("locustfile.py", "artillery.yml")
        or p.endswith((".jmx", ".k6.js"))
    ]
    if load:
        return present(repo, C, "A load test is written; no test of the interface was found.", load)
    return absent(
        repo, "A model is served here, and no test calls the service.", [repo.stages.serving]
    )


@probe(
    "pipeline_tests",
    practice="pipeline_integration_test",
    asks="Does the whole pipeline run on small data before a merge or release?",
    searched=(
        "tests of whole pipelines, and CI commands that run training on small "
        "data or reproduce the pipeline"
    ),
)
def _pipeline_tests(repo: Repository) -> Verdict:
    code = repo.code
    for run in repo.runs.ci:
        if not run.counts or run.job is None:
            continue
        trains = any(p in code.training_roots for p in code.closure(repo.runs.modules(run)))
        if (trains and _SMALL.search(run.text)) or ("dvc" in run.text and "repro" in run.text):
            detail = f"{run.at} runs the pipeline from end to end"
            if run.automatic and run.hard:
                return present(repo, E, f"{detail} on each change.", [run.where])
            return present(
                repo, C, f"{detail}, but only by hand or without stopping on failure.", [run.where]
            )
    found: list[Spot] = []
    targets = code.training_roots | repo.flows.modules
    for test in test_files(repo):
        low = test.path.lower()
        if test.real and any(w in low for w in _WHOLE) and targets & code.closure([test.path]):
            found.append(Spot(test.path, test.line))
    if found:
        strength, how = runner_strength(repo, [s.path for s in found])
        return present(repo, strength, f"Tests run the pipeline as a whole; {how}.", found)
    if repo.stages.pipeline is not None or code.training_scripts:
        return absent(
            repo,
            "No test and no CI step runs the pipeline from end to end.",
            [repo.stages.pipeline or repo.stages.training],
        )
    return not_applicable("No pipeline and no training script is here.")
