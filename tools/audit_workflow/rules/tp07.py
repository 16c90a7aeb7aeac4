"""Tests leave the model and its data out

## What it does

Where a model is trained and tests exist, looks for a test of the model or its data: one that
imports training or feature code, that trains or predicts, that checks a data set with an
expectation library, or that says so by its name (behavioural, invariance, data).  When there is
none, the training call is reported, once.

## Why is this bad?

Unit tests of helpers stay green while a model forgets a segment or a feature changes its unit.

## Known problems

A repository without any test is reported by TP01 instead.

## Example

```python
def test_config_loads():
    assert load_config()["seed"] == 42   # the only test
```

## Use instead

```python
def test_price_rises_with_area(model):
    small, large = flat(area=40), flat(area=80)
    assert model.predict([small])[0] < model.predict([large])[0]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _testing

_NAMES: Final = re.compile(
    r"model|data|behaviou?r|invarian|slice|feature|train|predict|dataset|schema|pipeline|drift|bias|"
    r"preprocess|transform|inference|score"
)
_LIBRARIES: Final = (
    "great_expectations",
    "pandera",
    "deepchecks",
    "checklist",
    "giskard",
    "evidently",
)


@rule(
    "TP07",
    name="no-model-or-data-tests",
    dimension="team_practices",
    severity=MEDIUM,
    confidence=0.75,
    fix="Add tests of feature code, of one prediction, and of an invariance that must hold.",
    effort=(1, 4),
    sources=(
        (
            "ml_test_score: Model 6, model quality is sufficient on all important data slices; "
            "Data 7, all input feature code is tested"
        ),
        "checklist: behavioral testing of models",
    ),
    absence=True,
    searched="what test files import and call, their names, expectation libraries",
    practice="model_code_unit_tests",
)
def no_model_or_data_tests(repo: AuditRepository) -> Iterator[Hit]:
    """Report training that no test comes near."""
    if repo.stages.training is None or not _testing.test_functions(repo):
        return
    path, line = repo.stages.training
    if _docs.aside(repo, path) or _docs.is_course(repo):
        return
    code = repo.code
    near = frozenset(code.training_code) | frozenset(code.feature_code) | frozenset(code.training)
    for test, module in code.tests.items():
        if _NAMES.search(test.rsplit("/", 1)[-1].lower()) or module.roots & set(_LIBRARIES):
            return
        if near & code.closure([test]) or any(_NAMES.search(f.last) for f in module.functions):
            return
        if any(c.last in ("predict", "fit", "predict_proba", "load_model") for c in module.calls):
            return
    tests = sorted(code.tests)
    yield Hit(
        path,
        line,
        f"A model is trained here, and none of the {len(tests)} test files imports training or "
        "feature code, predicts, or checks data.",
        also=tuple((t, 1) for t in tests[:3]),
    )
