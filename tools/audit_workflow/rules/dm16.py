"""Data frame is changed in a way that does nothing, or not what it seems

## What it does

Reports results of pandas methods that nobody keeps, `inplace=True` on a column or a slice, chained
assignment, comparison with NaN by `==`, row loops with `iterrows`, merges without a key, and rules
that clean text which an earlier rule has already taken apart.

## Why is this bad?

The data keep the rows and values that were meant to go, without an error.  `inplace` on a column
works on a copy since pandas 3.

## Known problems

A name is taken for a data frame when it is made by pandas or when the method exists only there.

## Example

```python
df.dropna()
df["age"].fillna(0, inplace=True)
```

## Use instead

```python
df = df.dropna()
df["age"] = df["age"].fillna(0)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._called import called
from mlops_advisor.tools.audit_workflow.rules._text_cleaning import unreachable
from mlops_advisor.tools.audit_workflow.rules._training import shown
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last, walk

_PURE: Final = frozenset(
    "dropna fillna drop_duplicates rename reset_index set_index sort_values sort_index astype"
    " assign merge reindex ffill bfill interpolate clip explode melt rename_axis infer_objects"
    " convert_dtypes add_prefix add_suffix".split()
)
_SHARED: Final = frozenset("drop replace join round query".split())  # others too
_INPLACE: Final = frozenset(
    "fillna replace drop dropna clip ffill bfill interpolate mask where rename sort_values".split()
)
_PANDAS: Final = re.compile(r"pandas\.|^df$|^df_|_df$|frame|^data$|dataset$|^data_|^train$|^test$")
_NAN: Final = frozenset(
    ("numpy.nan", "numpy.NaN", "numpy.NAN", "math.nan", "pandas.NA", "pandas.NaT")
)
_OTHER_LIBRARIES: Final = ("pyspark.", "polars.", "dask.", "datasets.", "tensorflow.")


@module_rule(
    "DM16",
    name="dataframe-api-misuse",
    dimension="data_management",
    severity=MEDIUM,
    confidence=0.85,
    fix="Assign the result: `df = df.dropna()`.",
    effort=(0.05, 0.3),
    sources=(
        (
            "code_smells_ml: smells 1 Unnecessary Iteration, 2 NaN Equivalence Comparison Misused, "
            "3 Chain Indexing, 6 Merge API Parameter Not Explicitly Set, 7 In-Place APIs Misused"
        ),
        "ruff: PD002 pandas-use-of-inplace-argument",
    ),
    words=("pandas", "import re", "from re ", "nan", "NaN"),
)
def misused_frames(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report uses of data frames that do nothing or something else."""
    yield from unreachable(view)
    yield from _compared(view)
    if "pandas" not in view.module.roots and "pandas" not in repo.text(view.path):
        return
    for statement in view.of(ast.Expr):
        yield from _discarded(repo, view, statement)
    seen: set[str] = set()
    for call in view.calls:
        yield from _inplace(view, call)
        short = called(call)
        if short == "iterrows" and _is_loop(view, call):
            yield from _rows(view, call)
        elif short == "merge" and "merge" not in seen:
            yield from _merged(view, call)
    nodes: list[ast.Assign | ast.AugAssign] = [*view.of(ast.Assign), *view.of(ast.AugAssign)]
    for node in nodes:
        yield from _chained(view, node)


# --- results that nobody keeps -----------------------------------------------------------------


def _discarded(repo: AuditRepository, view: View, statement: ast.Expr) -> Iterator[Hit]:
    call = statement.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return
    method, owner = call.func.attr, call.func.value
    if method not in _PURE | _SHARED or _true(view, call, "inplace"):
        return
    if view.arg(call, "inplace") is not None or view.spreads(call) or _shown(repo, view, statement):
        return
    if not _is_frame(view, owner, method):
        return
    name = shown(owner, 80)
    yield Hit(
        view.path,
        statement.lineno,
        f"`{name}.{method}(...)` returns a new object and nobody keeps it: `{name}` is unchanged.",
        f"Write `{name} = {name}.{method}(...)`.",
        severity=HIGH if method in ("dropna", "fillna", "drop_duplicates", "drop") else MEDIUM,
    )


def _shown(repo: AuditRepository, view: View, statement: ast.Expr) -> bool:
    """Tell whether a notebook shows the value: the last statement of its cell."""
    book = repo.notebooks.get(view.path) if view.module.notebook else None
    if book is None or not isinstance(view.parent(statement), ast.Module):
        return False
    following = next((s for s in view.tree.body if s.lineno > statement.lineno), None)
    lines = (statement.lineno, following.lineno if following is not None else 0)
    cells = [book.lines[n - 1][0] for n in lines if 0 < n <= len(book.lines)]
    return len(set(cells)) != 1 or following is None


def _is_frame(view: View, owner: ast.expr, method: str) -> bool:
    name, full = dotted(owner), view.name(owner)
    if not name or full.startswith(_OTHER_LIBRARIES) or name.startswith(("?", "self.client")):
        return False
    if isinstance(owner, ast.Call):
        return full.startswith("pandas.") or (method in _PURE and "pandas" in view.module.roots)
    values = view.values(name, owner)
    makers = " ".join(view.name(v) for v in values if isinstance(v, ast.Call))
    if any(lib in makers for lib in _OTHER_LIBRARIES):
        return False
    framed = "pandas." in makers or bool(_PANDAS.search(last(name).lower()))
    if method in _SHARED:
        return framed and not isinstance(view.settled(owner), (ast.List, ast.Dict))
    if method in ("merge", "rename", "assign", "clip", "reindex"):
        return framed
    return True


def _true(view: View, call: ast.Call, key: str) -> bool:
    return view.literal(view.arg(call, key)) is True


def _inplace(view: View, call: ast.Call) -> Iterator[Hit]:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _INPLACE:
        return
    if not _true(view, call, "inplace"):
        return
    method, owner = call.func.attr, call.func.value
    column = isinstance(owner, ast.Subscript) or (
        isinstance(owner, ast.Attribute)
        and isinstance(owner.value, ast.Name)
        and owner.value.id not in ("self", "cls")
        and bool(_PANDAS.search(owner.value.id.lower()))
    )
    if isinstance(owner, ast.Subscript) and isinstance(owner.value, ast.Name):
        column = not _holds_frames(view, owner)
    if column:
        text = shown(owner, 60)
        yield Hit(
            view.path,
            call.lineno,
            f"`{text}.{method}(..., inplace=True)` changes a temporary object: with copy-on-write "
            "(pandas 3) the frame stays as it was, before it depends on the layout.",
            f"Write `{text} = {text}.{method}(...)`.",
        )
    elif isinstance(view.parent(call), ast.Assign):
        yield Hit(
            view.path,
            call.lineno,
            f"`{method}(..., inplace=True)` returns None, which is assigned here.",
            "Leave `inplace=True` out.",
            severity=HIGH,
        )


def _holds_frames(view: View, node: ast.Subscript) -> bool:
    """Tell whether the subscript picks a frame out of a dictionary or list of frames."""
    value = view.settled(node.value)
    if isinstance(value, (ast.Dict, ast.List, ast.DictComp, ast.ListComp)):
        return True
    return isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int)


# --- assignment and comparison -----------------------------------------------------------------


def _chained(view: View, node: ast.Assign | ast.AugAssign) -> Iterator[Hit]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if not isinstance(target, ast.Subscript):
            continue
        inner = target.value
        if isinstance(inner, ast.Attribute) and inner.attr in ("loc", "iloc"):
            inner = inner.value
        if not isinstance(inner, ast.Subscript) or not isinstance(inner.value, ast.Name):
            continue
        if not _is_condition(inner.slice) and not _is_condition(target.slice):
            continue
        if not _PANDAS.search(inner.value.id.lower()):
            continue
        yield Hit(
            view.path,
            node.lineno,
            f"`{shown(target, 80)} = ...` assigns to a copy of a part: "
            f"`{inner.value.id}` may stay as it was.",
            f"Write `{inner.value.id}.loc[rows, column] = ...`.",
        )


def _is_condition(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) or (
        isinstance(node, (ast.BinOp, ast.UnaryOp))
        and any(isinstance(n, ast.Compare) for n in walk(node))
    )


def _compared(view: View) -> Iterator[Hit]:
    for node in view.of(ast.Compare):
        if not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            continue
        for side in (node.left, node.comparators[0]):
            nan = view.name(side) in _NAN or (
                isinstance(side, ast.Call)
                and isinstance(side.func, ast.Name)
                and side.func.id == "float"
                and bool(side.args)
                and view.string(side.args[0]).lower() == "nan"
            )
            if nan:
                other = node.comparators[0] if side is node.left else node.left
                yield Hit(
                    view.path,
                    node.lineno,
                    f"NaN is equal to nothing, so this comparison of `{shown(other, 60)}` "
                    f"is always {isinstance(node.ops[0], ast.NotEq)}.",
                    "Use `pd.isna(...)`.",
                    severity=HIGH,
                )
                break


# --- loops and merges --------------------------------------------------------------------------


def _is_loop(view: View, call: ast.Call) -> bool:
    return any(isinstance(up, (ast.For, ast.comprehension)) for up in view.above(call))


def _rows(view: View, call: ast.Call) -> Iterator[Hit]:
    loop = next((u for u in view.above(call) if isinstance(u, ast.For)), None)
    waits = loop is not None and any(
        isinstance(n, ast.Call)
        and re.search(
            r"post|get$|sleep|send|execute|request|insert|predict|write|produce|publish|print|append_row",
            called(n),
        )
        for n in view.walk(loop)
    )
    if waits:
        return
    owner = dotted(call.func).removesuffix(".iterrows")
    yield Hit(
        view.path,
        call.lineno,
        f"`{owner}.iterrows()` makes a Series of each row: slow, and types of columns get lost.",
        "Compute on whole columns, or use `itertuples()`.",
        severity=LOW,
    )


def _merged(view: View, call: ast.Call) -> Iterator[Hit]:
    full = view.name(call)
    plain = full in ("pandas.merge", "pandas.DataFrame.merge")
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if not plain and (owner is None or not _is_frame(view, owner, "merge")):
        return
    if view.spreads(call) or full.startswith(_OTHER_LIBRARIES):
        return
    keys = {k.arg for k in call.keywords}
    position = 3 if plain else 2
    needed = {"on", "left_on", "right_on", "left_index", "right_index"}
    if keys & needed or len(call.args) >= position + (0 if plain else 1) or _cross(view, call):
        return
    yield Hit(
        view.path,
        call.lineno,
        "`merge` without `on`: it joins on whatever columns happen to have the same name.",
        'Write `merge(other, on="key", how="left", validate="many_to_one")`.',
    )


def _cross(view: View, call: ast.Call) -> bool:
    return view.string(view.arg(call, "how")) == "cross"
