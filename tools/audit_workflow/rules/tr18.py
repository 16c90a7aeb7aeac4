"""Training data stored with the model

## What it does

Reports calls that put a whole data set beside the model: `input_example=X_train`, a frame logged
as a table, a data set inside the dictionary or tuple that is pickled with the model, and custom
objects of BentoML that hold one.

## Why is this bad?

Whoever may load the model gets the data, with all that is personal in it, and nobody deletes it
there when it is deleted at its source. Each version of the model carries a copy.

## Known problems

Only names that say they are data sets, and data that were split or read in the same file, are
known to be whole.

## Example

```python
mlflow.sklearn.log_model(model, name="model", input_example=X_train)
```

## Use instead

```python
mlflow.sklearn.log_model(model, name="model", input_example=X_train.head(5))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, module_rule
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View

_WHOLE: Final = re.compile(
    r"(?i)^(?:self\.)?(?:x|y|x_?(?:train|test|val|valid)\w{0,20}|y_?(?:train|test|val)\w{0,20}"
    r"|(?:train|test|val|valid)_?(?:x|df|data|set|frame|features)?|(?:train|test)ing_data"
    r"|df\w{0,20}|\w{0,20}_df|data|dataset|\w{1,20}_dataset|data_?frame|features|train_data\w{0,10}"
    r"|reference(?:_data)?)$"
)
_TRAINS: Final = re.compile(
    r"(?i)^(?:x|x_?\w{0,12}|train\w{0,20}|\w{0,20}_?train|df|data|dataset)$"
)
_READS: Final = re.compile(r"(?:read_csv|read_parquet|read_table|read_sql|train_test_split)$")
_PARTS: Final = ("head", "sample", "iloc", "loc", "take", "limit", "tail", "nlargest")
_DUMPS: Final = frozenset("joblib.dump pickle.dump cloudpickle.dump dill.dump torch.save".split())
_SMALL: Final = re.compile(r"(?i)example|sample|head|dummy|one_row|small|wrong|error|top")
_MODEL_KEY: Final = re.compile(r"(?i)model|clf|estimator|pipeline|classifier|regressor")
_DATA_KEY: Final = re.compile(
    r"(?i)^(?:train\w{0,20}|x_?train|y_?train|x|y|data|df|dataset|background)$"
)


@module_rule(
    "TR18",
    name="training-data-in-artifact",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.8,
    fix="Give a few made-up or anonymous rows, at most `X_train.head(5)`.",
    effort=(0.1, 0.3),
    sources=(
        "gdpr: Article 5(1)(c), data minimisation",
        "mlflow_docs: log_model, input_example is one or several instances of valid model input",
    ),
    words=("input_example", "Table(", "log_table", "dump(", "custom_objects", "torch.save"),
)
def training_data_in_artifact(_repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report whole data sets that are stored with a model."""
    for call in view.calls:
        name = view.name(call)
        example = view.arg(call, "input_example")
        if example is not None and _whole(view, example):
            yield _hit(view, example, call, "is stored as the input example of the model")
        elif name.endswith("wandb.Table") or name == "wandb.Table":
            frame = view.arg(call, "dataframe") or view.arg(call, "data")
            if frame is not None and _TRAINS.match(dotted(frame)) and _whole(view, frame):
                yield _hit(view, frame, call, "is logged row by row as a table of the run")
        elif name.endswith("log_table") and name.startswith("mlflow"):
            frame = view.arg(call, "data", 0)
            if frame is not None and _TRAINS.match(dotted(frame)) and _whole(view, frame):
                yield _hit(view, frame, call, "is logged row by row as a table of the run")
        elif name in _DUMPS and call.args:
            yield from _dumped(view, call)
        elif (custom := view.arg(call, "custom_objects")) is not None:
            yield from _custom(view, call, custom)


def _hit(view: View, node: ast.expr, call: ast.Call, how: str) -> Hit:
    shown = dotted(node)
    return Hit(
        view.path,
        node.lineno,
        f"The whole data set `{shown}` {how} (`{dotted(call.func)}`): every row goes along.",
        f"Pass a few rows only: `{shown}.head(5)`, better made up." if shown else "",
    )


def _whole(view: View, node: ast.expr) -> bool:
    """Tell whether an expression is a whole data set, and no few rows of one."""
    settled = view.settled(node)
    if isinstance(settled, ast.Call) and isinstance(settled.func, ast.Attribute):
        # `.astype(...)`, `.copy()`, `.to_pandas()` keep all rows; `.head(5)` does not.
        if settled.func.attr in (
            "astype",
            "copy",
            "to_pandas",
            "toPandas",
            "to_numpy",
            "reset_index",
        ):
            return _whole(view, settled.func.value) if settled.func.value is not node else False
        return bool(_READS.search(settled.func.attr))
    if isinstance(settled, ast.Subscript):
        return (
            _rows_kept(settled)
            and isinstance(node, (ast.Subscript, ast.Name))
            and (isinstance(node, ast.Name) or _whole(view, settled.value))
            and bool(_WHOLE.match(dotted(node)))
        )
    name = dotted(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""
    if isinstance(node, ast.Attribute) and node.attr in ("values", "T"):
        name = dotted(node.value)
    if not name or not _WHOLE.match(name) or _SMALL.search(name):
        return False
    return not any(_cut(v) for v in view.values(name, node))


def _rows_kept(node: ast.Subscript) -> bool:
    """Tell whether a subscript takes columns only: `df[cols]`, not `df[:5]` nor `df.iloc[:5]`."""
    base = dotted(node.value)
    if base.rpartition(".")[2] in _PARTS:
        return False
    return not isinstance(node.slice, ast.Slice) and not (
        isinstance(node.slice, ast.Tuple) and any(isinstance(e, ast.Slice) for e in node.slice.elts)
    )


def _cut(value: ast.expr) -> bool:
    """Tell whether a value is some rows only, or made by hand."""
    if isinstance(value, (ast.Dict, ast.List, ast.Constant)):
        return True
    if isinstance(value, ast.Subscript):
        return not _rows_kept(value)
    if not isinstance(value, ast.Call):
        return False
    name = dotted(value.func)
    if any(f".{p}" in f".{name}" for p in ("head", "sample", "iloc", "tail", "take", "limit")):
        return True
    made = name.rpartition(".")[2] in ("DataFrame", "array", "zeros", "ones", "randn", "rand")
    return made and bool(value.args) and isinstance(value.args[0], (ast.List, ast.Dict, ast.Tuple))


def _dumped(view: View, call: ast.Call) -> Iterator[Hit]:
    """Report a data set that is pickled in one object with a model."""
    value = view.settled(call.args[0])
    if isinstance(value, ast.Dict):
        keys = [view.literal(k) if k is not None else "" for k in value.keys]
        if any(isinstance(k, str) and _MODEL_KEY.search(k) for k in keys):
            for key, item in zip(keys, value.values, strict=True):
                if isinstance(key, str) and _DATA_KEY.match(key) and _whole(view, item):
                    yield _hit(view, item, call, "is pickled together with the model")
    elif isinstance(value, (ast.Tuple, ast.List)):
        named = [dotted(e) for e in value.elts]
        if any(_MODEL_KEY.search(n) for n in named):
            for item in value.elts:
                if isinstance(item, ast.Name) and _whole(view, item):
                    yield _hit(view, item, call, "is pickled together with the model")
                    return


def _custom(view: View, call: ast.Call, custom: ast.expr) -> Iterator[Hit]:
    value = view.settled(custom)
    if isinstance(value, ast.Dict):
        for item in value.values:
            if isinstance(item, ast.Name) and _whole(view, item):
                yield _hit(view, item, call, "is stored as a custom object of the model")
