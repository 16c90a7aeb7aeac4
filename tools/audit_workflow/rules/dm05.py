"""Data not validated, or mended in silence

## What it does

Reports training that reads data with no check of schema or values before it, once, at the read.
It also reports what stands in the place of a check and hides bad data: a schema inferred from the
data themselves; checks that print and never stop anything; columns that are dropped, intersected
or filled in when they are missing; values that are coerced or filled with a constant everywhere;
rows that are dropped for any missing value, uncounted; defaults for values that do not parse.

## Why is this bad?

A column that changed its name, unit or meaning does not stop a pipeline: it makes a worse model,
or other predictions, and nobody hears of it. What fails loudly is mended the same day.

## Known problems

Checks in another system (a data catalogue, a dbt project elsewhere) are not seen. Filling values
with a constant can be right; such findings are candidates.

## Example

```python
df = spark.read.option("inferSchema", True).csv(path)
df = df[[c for c in FEATURES if c in df.columns]].fillna(0)
```

## Use instead

```python
df = spark.read.schema(SCHEMA).csv(path)
missing = set(FEATURES) - set(df.columns)
if missing:
    raise ValueError(f"columns missing: {sorted(missing)}")
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _data_checks, _data_mending, _data_rows
from mlops_advisor.tools.audit_workflow.rules._data_frames import reads_of
from mlops_advisor.tools.audit_workflow.rules._dataflow import product
from mlops_advisor.tools.evidence.trace import Write
from mlops_advisor.tools.evidence.view import View

_DATA_WORDS: Final = ("data", "prep", "ingest", "load", "process", "etl", "feature", "clean")
_LIBRARIES: Final = (
    "sklearn.datasets.",
    "torchvision.datasets.",
    "keras.datasets.",
    "tensorflow.keras.datasets.",
    "tensorflow_datasets.",
    "seaborn.load_dataset",
    "torchtext.datasets.",
)
_SEARCHED: Final = (
    "pandera, Great Expectations, TFDV, Deepchecks, Soda, dbt tests, and own checks that raise, in"
    " Python, SQL models and YAML"
)


@rule(
    "DM05",
    name="no-data-validation",
    dimension="data_management",
    severity=MEDIUM,
    confidence=0.75,
    fix="Check columns, types, ranges and missing values with a schema (pandera, Great"
    " Expectations) that fails the run.",
    effort=(0.5, 3),
    sources=(
        "ml_test_score: Data 1, feature expectations are captured in a schema",
        "ml_test_score: Monitor 2, data invariants hold in training and serving inputs",
        "se4ml: Use Sanity Checks for All External Data Sources",
    ),
    absence=True,
    searched=_SEARCHED,
    practice="schema_validation",
)
def no_data_validation(repo: AuditRepository) -> Iterator[Hit]:
    """Report missing validation, and what hides bad data."""
    shallow = list(_data_checks.shallow(repo))
    yield from shallow
    if not shallow:
        yield from _missing(repo)
    yield from _data_checks.inferred(repo)
    for path in repo.code.product:
        view = repo.view(path) if _data_mending.concerns(repo, path) else None
        if view is not None:
            yield from _data_mending.drops(repo, view)
            yield from _data_mending.fills(repo, view)
            yield from _data_rows.rows(repo, view)


def _missing(repo: AuditRepository) -> Iterator[Hit]:
    """Report the first read of training data when nothing checks schema or values."""
    schema = repo.absent("schema_validation")
    values = repo.absent("value_validation")
    if schema is None or values is None or repo.stages.training is None:
        return
    code = repo.code
    scripts = [p for p, m in code.product.items() if not m.notebook and p not in code.serving_code]
    if not any(p in code.training_code for p in scripts):
        scripts = list(code.training_notebooks)
    later, order = _made_here(repo), _order(repo)
    reads = []
    for path in scripts:
        view = repo.view(path)
        call = _entry(view, first=order.get(path) == 0) if view is not None else None
        if call is not None and not repo.is_aside(path) and path not in code.batch:
            reads.append((path, call))
    last = len(order)
    reads.sort(
        key=lambda r: (
            _source(repo, *r) in later,
            order.get(r[0], last),
            not _prepares(repo, r[0]),
            "raw" not in _source(repo, *r).lower(),
            r[0] not in code.training_code,
            r[0],
        )
    )
    for path, call in reads[:1]:
        yield Hit(
            path,
            call.lineno,
            "The data go from this read into training with no check of schema or values in the"
            " whole workspace that would stop the run.",
            end_line=call.end_lineno or 0,
        )
    if not reads and not _benchmark(repo):
        path, line = repo.stages.training
        yield Hit(
            path,
            line,
            "The model is trained on data that no check of schema or values in the workspace has"
            " seen.",
            confidence=0.6,
        )


def _entry(view: View, *, first: bool) -> ast.Call | None:
    """Find where data enter a module; the first step of a pipeline may open a plain file."""
    table = next(reads_of(view), None)
    if table is not None or not first:
        return table
    for call in view.calls:
        if view.name(call) == "open" and call.args and len(call.args) == 1:
            text = view.string(call.args[0]).lower()
            if not text.endswith((".yaml", ".yml", ".json", ".toml", ".ini", ".txt")):
                return call
    return None


def _source(repo: AuditRepository, path: str, call: ast.Call) -> str:
    """File name or table that a call reads, as far as it is written down."""
    view = repo.view(path)
    text = view.string(call.args[0]) if view is not None and call.args else ""
    return text.rpartition("/")[2]


def _made_here(repo: AuditRepository) -> frozenset[str]:
    """Give the names of files that the workspace's own code writes: they do not enter there."""
    names = {w.target.rpartition("/")[2] for t in product(repo) for w in t.of(Write)}
    return frozenset(n for n in names if n and "{" not in n)


def _order(repo: AuditRepository) -> dict[str, int]:
    """Give the modules that a pipeline runs the numbers of their steps."""
    found: dict[str, int] = {}
    for number, command in enumerate((*_stages(repo), *(r.text for r in repo.runs.pipeline))):
        for path in sorted(repo.code.closure(repo.runs.started(command))):
            found.setdefault(path, number)
    return found


def _stages(repo: AuditRepository) -> list[str]:
    """Commands of DVC, those first that make what the others need."""
    stages: list[tuple[str, set[str], set[str]]] = []
    for file in repo.yaml_files(named=("dvc.yaml",)):
        for doc in file.docs:
            for _, stage in doc.pairs("stages"):
                body = stage.child("do") or stage
                needs = {n.text for n in body.list_at("deps")}
                gives = {n.text or next(iter(dict(n.pairs())), "") for n in body.list_at("outs")}
                command = " && ".join(n.text for n in body.list_at("cmd"))
                stages.append((command, needs, gives))
    done: list[str] = []
    while stages:
        made = set().union(*(gives for _, _, gives in stages))
        ready = [s for s in stages if not any(_within(n, m) for n in s[1] for m in made - s[2])]
        done += [command for command, _, _ in ready or stages]
        stages = [s for s in stages if s not in ready] if ready else []
    return done


def _within(need: str, made: str) -> bool:
    return bool(made) and (need == made or need.startswith(f"{made.rstrip('/')}/"))


def _benchmark(repo: AuditRepository) -> bool:
    """Tell whether the data are a set that a library brings along."""
    return any(
        name.startswith(_LIBRARIES) or name.rpartition(".")[2] == "load_dataset"
        for name in repo.code.by_name
    )


def _prepares(repo: AuditRepository, path: str) -> bool:
    """Tell whether a module makes the training data from what it reads."""
    name = path.rpartition("/")[2].lower()
    if path in repo.code.training_code:
        return any(w in name for w in _DATA_WORDS)
    return any(w in name for w in _DATA_WORDS) and any(
        c.last.startswith(("to_csv", "to_parquet", "to_pickle", "save", "dump", "write"))
        for c in repo.code.modules[path].calls
    )
