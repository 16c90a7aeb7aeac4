"""There are no tests

## What it does

Looks for test functions in Python and for tests in other languages.  Where code is and no test is,
one finding is made: at the line of CI that runs a test tool on nothing, else at the README.

## Why is this bad?

A change of feature or model code breaks something, and nobody notices until predictions are wrong.
A CI job that runs `pytest` on no tests is green all the same, or red for ever.

## Known problems

Tests in another repository are not seen.  Repositories with notebooks only are left out.

## Example

```yaml
- run: pytest   # no test in the repository
```

## Use instead

```python
def test_missing_age_is_imputed():
    assert prepare(pd.DataFrame({"age": [None]}))["age"].notna().all()
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _testing, _testing_collect
from mlops_advisor.tools.evidence.runs import Run

_FEW: Final = 3  # files; less is a script, not a project


@rule(
    "TP01",
    name="no-tests",
    dimension="team_practices",
    severity=HIGH,
    confidence=0.9,
    fix=(
        "Start with tests of feature code (missing values, unknown categories) and of one "
        "prediction, "
        "and run them in CI."
    ),
    effort=(1, 5),
    sources=(
        (
            "ml_test_score: Infra 2, model specification code is unit tested; Data 7, all input "
            "feature code is tested"
        ),
        "mllint: testing/has-tests",
        "se4ml: Test all Feature Extraction Code; Run Automated Regression Tests",
    ),
    absence=True,
    searched="test functions in test_*.py, *_test.py and tests/, tests in other languages, CI",
)
def no_tests(repo: AuditRepository) -> Iterator[Hit]:
    """Report code without any test."""
    empty = [] if _docs.is_course(repo) else list(_testing_collect.empty_runs(repo))
    for run, names in empty[:_FEW]:
        path, line = run.where
        yield Hit(
            path,
            line,
            f"pytest is started on {names}, which holds no test that it would collect: it ends "
            "with code 5 and has checked nothing.",
            "Write a test there (files named `test_*.py`), or name the folder that holds the "
            "tests.",
            also=((run.path, run.line),) if run.where != (run.path, run.line) else (),
        )
    if empty or _testing.has_tests(repo) or repo.workspace.truncated:
        return
    code = [p for p in _docs.product_code(repo) if not _docs.is_template(p)]
    if len(code) < _FEW and not _docs.models_in(repo, code):
        return
    gates = [*_testing.ci_runs(repo, _testing.PYTEST), *_local_gates(repo)]
    runs = [r for r in gates if r.live]
    if runs:
        path, line = runs[0].where
        who = "CI" if runs[0].job is not None else "This target"
        yield Hit(
            path,
            line,
            f"{who} runs a test tool here, and the repository holds no test: the step checks "
            "nothing, or fails on every run.",
            also=((code[0], 1),),
        )
        return
    path, line = _docs.anchor(repo)
    places = [p for p in code if p in repo.code.training or p in repo.code.serving] or code
    yield Hit(
        path,
        line,
        f"{len(code)} Python {'file' if len(code) == 1 else 'files'}, and not one test: nothing "
        f"checks `{places[0]}`" + (f" or `{places[1]}`." if len(places) > 1 else "."),
        also=tuple((p, 1) for p in places[:3]),
    )


def _local_gates(repo: AuditRepository) -> list[Run]:
    """Targets of Makefiles and tox that start a test tool."""
    local = (*repo.runs.make, *repo.runs.project)
    return [
        r
        for r in repo.runs.matching(_testing.PYTEST, runs=local)
        if not _testing.installs(r.text) and not _docs.aside(repo, r.path)
    ]
