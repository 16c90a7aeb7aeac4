"""Model goes on without a quality gate

## What it does

Looks for calls that register, promote, deploy or (when nothing else releases a model) save one for
those who use it, and that no comparison of a metric with a threshold or with the model in
production decides about.  Also reported: pipelines that register before they evaluate,
comparisons of a challenger with itself or the wrong way round, first versions that are promoted
unseen, metrics of the model in production that get a default anything passes, gates that know one
number written into the code only, and pipelines that report metrics and let everything pass.

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

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._gate_absent import missing_gates
from mlops_advisor.tools.audit_workflow.rules._gate_champion import champions
from mlops_advisor.tools.audit_workflow.rules._gate_compare import comparisons
from mlops_advisor.tools.audit_workflow.rules._gate_numbers import thresholds
from mlops_advisor.tools.audit_workflow.rules._gate_order import early_releases


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
        *champions(repo),
        *missing_gates(repo),
        *thresholds(repo),
    ):
        found.setdefault((hit.path, hit.line), hit)
    yield from found.values()
