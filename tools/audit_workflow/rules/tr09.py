"""Search or training with settings left from debugging

## What it does

Reports search grids with one value for each parameter, in code and in JSON or YAML that a search
reads; searches with a trial or two; numbers whose comment names a larger one; and data cut down by
`nrows=`, `head()`, `sample()`, slices or debug flags where a model is trained.

## Why is this bad?

The search searches nothing, or the model in production has seen a thousandth of the data, and the
run looks like any other.

## Known problems

Cuts behind a condition on a setting (`if args.debug:`) and in tests are fine and not reported.

## Example

```python
search = GridSearchCV(model, {"max_depth": [5], "n_estimators": [10]})
df = pd.read_csv(path, nrows=1000)
```

## Use instead

```python
search = GridSearchCV(model, {"max_depth": [5, 10, 20], "n_estimators": [100, 300]})
df = pd.read_csv(path, nrows=args.limit)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._training import (
    comment_of,
    source_line,
    trains,
    words_in,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View, last

_GRIDS: Final = {
    "GridSearchCV": ("param_grid", 1),
    "RandomizedSearchCV": ("param_distributions", 1),
    "HalvingGridSearchCV": ("param_grid", 1),
    "HalvingRandomSearchCV": ("param_distributions", 1),
    "ParameterGrid": ("param_grid", 0),
    "BayesSearchCV": ("search_spaces", 1),
}
_TRIALS: Final = {
    "optimize": ("n_trials", 1, 3),
    "fmin": ("max_evals", -1, 3),
    "RandomizedSearchCV": ("n_iter", -1, 2),
    "BayesSearchCV": ("n_iter", -1, 2),
    "TuneConfig": ("num_samples", -1, 1),
    "HyperparameterTuner": ("max_jobs", -1, 1),
    "RandomSearch": ("max_trials", -1, 2),
    "BayesianOptimization": ("max_trials", -1, 2),
}
_SEARCHES: Final = ("GridSearchCV", "RandomizedSearchCV", "ParameterGrid", "ParamGridBuilder")
_GRID_KEY: Final = re.compile(
    r"param_?grid|(?:^|_)grid$|search_?space|param_?distribution|hyperparameter_?grid|_grid\b|tuning_?grid",
    re.IGNORECASE,
)
_HALVED: Final = re.compile(
    r"\b(epochs?|n_trials|num_trials|max_evals|n_iter|num_epochs|n_epochs|n_estimators|nrows|"
    r"num_boost_round|max_iter|num_train_epochs|max_epochs|n_splits|cv|iterations|num_samples|"
    r"batch_size|max_trials|steps)\b[\"']?\s{0,3}[=:]\s{0,3}(\d{1,7})\b",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\b(\d{1,7})\b")
_MEANT: Final = re.compile(
    r"^(?:#\s*)?(?:was|use|orig\w*|should be|todo|fixme|prod\w*|change|set|increase|full|"
    r"\w{2,20}\s*=)?[\s:=>-]{0,6}\d{1,7}\s*(?:$|epochs?|trials?|for|in|iterations|\))",
    re.IGNORECASE,
)
_DEBUG: Final = re.compile(
    r"debug|quick|limit|sample|subset|smoke|test_?run|dry|dev|fast|small|n_?rows|max_?rows|frac|head"
    r"|if_test|is_test|demo|size",
    re.IGNORECASE,
)
_LIMITS: Final = frozenset(("limit_train_batches", "overfit_batches"))
_READS: Final = frozenset("read_csv read_excel read_table read_json read_fwf".split())
_LARGE: Final = 2
_FRAMES: Final = re.compile(
    r"^(?:df|data|dataset|train|x|y|frame|raw)(?:$|_)|_df$|_data$", re.IGNORECASE
)


def _each(repo: AuditRepository, view: View) -> Iterator[Hit]:
    yield from _searches(view)
    if trains(repo.code, view.path):
        yield from _shrunk(repo, view)
        if not (view.module.notebook and repo.is_aside(view.path)):
            yield from _cut(view)


@rule(
    "TR09",
    each=_each,
    name="trivial-or-debug-search",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.8,
    fix="Set the value that is meant for training, or take it from the configuration.",
    effort=(0.1, 0.5),
    sources=("ml_test_score: Model 3, all hyperparameters have been tuned",),
)
def debug_settings(repo: AuditRepository) -> Iterator[Hit]:
    """Report settings that were meant for trying things out."""
    wanted = {*_SEARCHES, "fit_grid_point"}
    if any(last(name) in wanted for name in repo.code.by_name):
        yield from _configured(repo)


# --- searches ----------------------------------------------------------------------------------


def _searches(view: View) -> Iterator[Hit]:
    for call in view.calls:
        short = last(view.name(call))
        if short in _GRIDS:
            key, position = _GRIDS[short]
            yield from _grid(view, call, view.arg(call, key, position))
        elif short == "addGrid":
            yield from _spark(view, call)
        if short in _TRIALS:
            yield from _few(view, call, short)


def _grid(view: View, call: ast.Call, grid: ast.expr | None) -> Iterator[Hit]:
    value = view.settled(grid)
    parts = value.elts if isinstance(value, ast.List) else [value]
    if not all(isinstance(p, ast.Dict) and p.values for p in parts) or len(parts) != 1:
        return
    chosen = parts[0]
    if not isinstance(chosen, ast.Dict):
        return
    lists = [view.settled(v) for v in chosen.values]
    if not all(isinstance(v, (ast.List, ast.Tuple)) and len(v.elts) == 1 for v in lists):
        return
    names = ", ".join(str(k.value) for k in chosen.keys if isinstance(k, ast.Constant))
    yield Hit(
        view.path,
        chosen.lineno,
        f"The grid holds one value for each of its parameters ({names[:120]}): the search at line "
        f"{call.lineno} tries a single combination.",
        "Give ranges worth searching, or train once without a search.",
        also=((view.path, call.lineno),) if chosen.lineno != call.lineno else (),
    )


def _spark(view: View, call: ast.Call) -> Iterator[Hit]:
    values = view.settled(view.arg(call, "values", 1))
    chain = [
        c
        for c in view.calls
        if last(view.name(c)) == "addGrid" and view.scope(c) is view.scope(call)
    ]
    if (
        not isinstance(values, (ast.List, ast.Tuple))
        or len(values.elts) != 1
        or chain[-1] is not call
    ):
        return
    others = [view.settled(view.arg(c, "values", 1)) for c in chain]
    if all(isinstance(v, (ast.List, ast.Tuple)) and len(v.elts) == 1 for v in others):
        why = "Every `addGrid` names a single value: the search tries one combination."
        yield Hit(view.path, call.lineno, why)


def _few(view: View, call: ast.Call, short: str) -> Iterator[Hit]:
    key, position, most = _TRIALS[short]
    given = view.arg(call, key, position)
    value = view.literal(given)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        return
    if short == "optimize" and "optuna" not in view.module.roots:
        return
    if short in ("RandomSearch", "BayesianOptimization") and "keras" not in view.name(call):
        return
    yield Hit(
        view.path,
        given.lineno if given is not None else call.lineno,
        f"`{key}={value}`: the search tries {value} combination{'s' if value > 1 else ''} and "
        "finds nothing.",
        f"Set `{key}` to a number that covers the space, from the configuration.",
    )


def _configured(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ending(".yaml", ".yml", ".json"):
        text = repo.text(path)
        if not _GRID_KEY.search(text[:200_000]):
            continue
        if path.lower().endswith(".json"):
            tree = repo.tree(path)
            docs: tuple[Node, ...] = (tree,) if tree is not None else ()
        else:
            docs = repo.yaml(path).docs
        for doc in docs:
            for key, node in doc.walk():
                if _GRID_KEY.search(key):
                    yield from _single(repo, path, key, node)


def _single(repo: AuditRepository, path: str, key: str, node: Node) -> Iterator[Hit]:
    for name, grid in ((key, node), *((f"{key}.{k}", n) for k, n in node.pairs())):
        lists = [n for _, n in grid.pairs()]
        if len(lists) < _LARGE or not all(n.items is not None and len(n.items) == 1 for n in lists):
            continue
        line = grid.key_line or repo.line_of(path, f'"{name.rpartition(".")[2]}"') or 1
        names = ", ".join(k for k, _ in grid.pairs())
        yield Hit(
            path,
            line,
            f"`{name}` holds one value for each of its parameters ({names[:120]}): the search "
            "tries a single combination.",
            "Give ranges worth searching, or train once without a search.",
        )
        return


# --- numbers made small ------------------------------------------------------------------------


def _shrunk(repo: AuditRepository, view: View) -> Iterator[Hit]:
    text = repo.text(view.path)
    if "#" not in text:
        return
    lines = {k.value.lineno for c in view.calls for k in c.keywords}
    lines |= {n.lineno for n in view.of(ast.Assign)} | {n.lineno for n in view.of(ast.For)}
    lines |= {v.lineno for d in view.of(ast.Dict) for v in d.values}
    for line in sorted(lines):
        source = source_line(repo, view, line)
        comment = comment_of(source)
        match = _HALVED.search(source.partition("#")[0]) if comment else None
        if match is None or not _MEANT.match(comment):
            continue
        value, other = int(match.group(2)), _NUMBER.search(comment)
        if other is not None and int(other.group(1)) >= _LARGE * max(value, 1):
            yield Hit(
                view.path,
                line,
                f"`{match.group(1)}` is {value}, and the comment beside it says {other.group(1)}: "
                "a value for debugging was left.",
                f"Set it to {other.group(1)}, or take it from the configuration.",
            )


# --- data made small ---------------------------------------------------------------------------


def _cut(view: View) -> Iterator[Hit]:
    for call in view.calls:
        short = last(view.name(call))
        found = _cut_by(view, call, short)
        if found and not _asked(view, call):
            yield Hit(
                view.path,
                call.lineno,
                f"{found}: the model is trained on a part of the data.",
                "Read all, or make the limit a setting that is off by default.",
            )
    for node in view.of(ast.Assign):
        yield from _sliced(view, node)
        yield from _flag(view, node)


def _cut_by(  # noqa: PLR0911 - one return for each way to cut
    view: View, call: ast.Call, short: str
) -> str:
    if short in _READS:
        rows = view.literal(view.arg(call, "nrows"))
        return f"`{short}(..., nrows={rows})`" if isinstance(rows, int) else ""
    if short == "Trainer":
        for keyword in call.keywords:
            value = view.literal(keyword.value)
            if keyword.arg == "fast_dev_run" and value not in (None, False, 0):
                return f"`fast_dev_run={value}` runs a batch or so"
            if keyword.arg in _LIMITS and value not in (None, 1.0, 0, 0.0) and value is not True:
                return f"`{keyword.arg}={value}`"
        return ""
    if short in ("head", "sample", "limit") and _replaces(view, call):
        return _sampled(view, call, short)
    if short == "load_dataset":
        split = view.string(view.arg(call, "split"))
        return f'`split="{split}"`' if re.search(r"train\[:\d{1,6}%?\]", split) else ""
    if short == "select" and call.args and isinstance(call.args[0], ast.Call):
        inner = call.args[0]
        rows = view.literal(inner.args[-1]) if inner.args else None
        if (
            last(dotted(inner)) == "range()"
            and isinstance(rows, int)
            and "datasets" in view.module.roots
        ):
            return f"`select(range({rows}))`"
    return ""


def _replaces(view: View, call: ast.Call) -> bool:
    """Tell whether the part takes the place of the whole: `df = df.head(100)`."""
    statement = view.statement(call)
    if not isinstance(statement, ast.Assign) or not isinstance(call.func, ast.Attribute):
        return False
    target, owner = dotted(statement.targets[0]), dotted(call.func.value)
    if statement.value is not call and not (
        isinstance(statement.value, ast.Call) and last(dotted(statement.value)) == "reset_index()"
    ):
        return False
    made = isinstance(call.func.value, ast.Call) and last(view.name(call.func.value)).startswith(
        "read_"
    )
    return bool(target) and (target == owner or made) and bool(_FRAMES.search(last(target)))


def _sampled(view: View, call: ast.Call, short: str) -> str:
    rows = view.literal(view.arg(call, "n", 0))
    if short == "sample":
        part = view.literal(view.arg(call, "frac"))
        if isinstance(part, (int, float)):
            return f"`sample(frac={part})`" if 0 < part < 1 else ""
    return f"`{short}({rows})`" if isinstance(rows, int) and not isinstance(rows, bool) else ""


def _asked(view: View, node: ast.AST) -> bool:
    """Tell whether a setting decides on the cut."""
    for up in view.above(node):
        if isinstance(up, (ast.If, ast.IfExp)) and _DEBUG.search(words_in(up.test)):
            return True
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return bool(
                re.search(r"sample|preview|head|show|inspect|plot|example|describe", up.name)
            )
    return False


def _sliced(view: View, node: ast.Assign) -> Iterator[Hit]:
    value = node.value
    if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Attribute):
        inner = value.value.value if value.value.attr == "iloc" else None
    else:
        inner = value.value if isinstance(value, ast.Subscript) else None
    if inner is None or not isinstance(value, ast.Subscript):
        return
    name, part = dotted(node.targets[0]), value.slice
    if name != dotted(inner) or not _FRAMES.search(last(name)) or not isinstance(part, ast.Slice):
        return
    named = not isinstance(part.upper, ast.Constant)
    if named and not _DEBUG.search(dotted(part.upper)):
        return
    rows = view.literal(part.upper)
    first = part.lower is None and part.step is None and isinstance(rows, int)
    if first and rows > _LARGE and not _asked(view, node):
        yield Hit(
            view.path,
            node.lineno,
            f"`{name}[:{rows}]` replaces `{name}`: the model is trained on a part of the data.",
            "Read all, or make the limit a setting that is off by default.",
            confidence=0.7,
        )


def _flag(view: View, node: ast.Assign) -> Iterator[Hit]:
    name = last(dotted(node.targets[0]))
    if not (isinstance(node.value, ast.Constant) and node.value.value is True):
        return
    if name not in ("DEBUG", "DEBUG_MODE", "QUICK_RUN", "SMOKE_TEST", "FAST_DEV_RUN", "TEST_MODE"):
        return
    used = next(
        (
            t
            for t in view.of(ast.If)
            if any(isinstance(n, ast.Name) and n.id == name for n in view.walk(t.test))
        ),
        None,
    )
    if used is not None and view.scope(node) is view.tree:
        yield Hit(
            view.path,
            node.lineno,
            f"`{name} = True` is committed, and line {used.lineno} takes the short way by it.",
            f"Set `{name}` from the environment or the command line, False by default.",
            also=((view.path, used.lineno),),
            severity=MEDIUM if "row" in words_in(used).lower() else LOW,
        )
