"""Target among the features

## What it does

Compares what a model learns from with its target: a feature frame from which the target was not
dropped, a list of features that names it, a column that was computed from the target and stays, a
target that was computed from columns which stay.

## Why is this bad?

The model reads the answer off the input. It looks excellent in every evaluation, and fails where
the answer is not known yet.

## Known problems

Whether a column is known only after the event cannot be read from code; what is computed from the
target or makes it up is reported as a candidate.

## Example

```python
df["late"] = df["delay_minutes"] > 15
X, y = df.drop(columns=["late"]), df["late"]
```

## Use instead

```python
X, y = df.drop(columns=["late", "delay_minutes"]), df["late"]
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import CRITICAL, HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._called import called
from mlops_advisor.tools.audit_workflow.rules._data_frames import (
    configured,
    is_features_name,
    listed,
    shown_line,
    targets_near,
    views_with,
)
from mlops_advisor.tools.audit_workflow.rules._data_target import (
    Pair,
    dropped_anywhere,
    pairs_of,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last, walk

_LAGS: Final = frozenset("shift lag diff pct_change".split())
_WORDS: Final = (".fit(", "train_test_split(", "inputCols", "DMatrix(", "cross_val", "Pool(")
_MAX_NAMES: Final = 4
_MAX_MADE: Final = 200


@dataclass(frozen=True, slots=True)
class _Made:
    """A column that is computed: `frame[name] = ... sources ...`."""

    line: int
    frame: str
    name: str
    sources: tuple[str, ...]
    value: ast.expr
    scope: ast.AST


@rule(
    "DM08",
    name="leakage-target-feature",
    dimension="data_management",
    severity=CRITICAL,
    confidence=0.85,
    fix="Drop the target and all that is computed from it before the features are taken.",
    effort=(0.2, 2),
    sources=(
        "kapoor_narayanan: L2 model uses features that are not legitimate",
        "code_smells_ml: smell 21, Data Leakage (leaky predictors)",
    ),
)
def leakage_target_feature(repo: AuditRepository) -> Iterator[Hit]:
    """Report targets, and what stands for them, among the features."""
    for view in views_with(repo, *_WORDS):
        pairs = pairs_of(view)
        made = _made(view) if pairs else []
        for pair in pairs:
            others = {p.scope for p in pairs} - {pair.scope}
            mine = [m for m in made if m.line < pair.line and m.scope not in others]
            yield from _of_pair(repo, view, pair, mine[:_MAX_MADE])
        yield from _assembled(view)
        if view.path in repo.code.training_code:
            yield from _lists(repo, view)
    yield from _config(repo)


def _of_pair(repo: AuditRepository, view: View, pair: Pair, made: list[_Made]) -> Iterator[Hit]:
    if not pair.one_frame or not pair.known:
        return
    features, target = pair.features, pair.target
    if pair.holds(target):
        what = "was not dropped from" if features.rest else "is one of"
        yield Hit(
            view.path,
            features.line,
            f"The target `{target}` {what} the features: the model learns the answer (`{target}`"
            f" is the target in line {shown_line(repo, view.path, pair.target_line)}).",
            f'Leave it out: `{features.frame}.drop(columns=["{target}"])`.',
            also=((view.path, pair.target_line),) if pair.target_line != features.line else (),
        )
        return
    gone = frozenset(dropped_anywhere(view)) if made else frozenset()
    for one in made:
        if one.name == target:
            yield from _components(repo, view, pair, one)
        elif target in one.sources and pair.holds(one.name) and one.name not in gone:
            yield from _derived(repo, view, pair, one)


def _derived(repo: AuditRepository, view: View, pair: Pair, made: _Made) -> Iterator[Hit]:
    """Report a feature that is computed from the target."""
    if _train_only(made) or _lagged(made.value):
        return
    line = pair.features.line
    yield Hit(
        view.path,
        made.line,
        f"`{made.name}` is computed from the target `{pair.target}` and stays among the features"
        f" of line {shown_line(repo, view.path, line)}.",
        f"Drop `{made.name}`, or compute it on the training rows of each fold only.",
        also=((view.path, line),),
        severity=HIGH,
        confidence=0.6,
    )


def _components(repo: AuditRepository, view: View, pair: Pair, made: _Made) -> Iterator[Hit]:
    """Report a target whose parts stay: thresholds of one column, sums of all, differences."""
    sources = [s for s in dict.fromkeys(made.sources) if s != pair.target]
    if not sources or _lagged(made.value):
        return
    kept = [s for s in sources if pair.holds(s)]
    whole = len(kept) == len(sources)
    later = _minuend(view, made.value)
    if not whole and later not in kept:
        return
    shown = ", ".join(f"`{s}`" for s in (kept if whole else [later])[:_MAX_NAMES])
    yield Hit(
        view.path,
        pair.features.line,
        f"The target `{pair.target}` is computed from columns that stay among the features"
        f" ({shown}, line {shown_line(repo, view.path, made.line)}): the model can compute the"
        " answer.",
        "Drop them as well: they are known only together with the target.",
        also=((view.path, made.line),),
        confidence=0.75,
    )


def _minuend(view: View, value: ast.expr) -> str:
    """Column from which another is taken away in a difference: the later moment of a duration."""
    for node in view.walk(value):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            return view.column(node.left) or (
                node.left.attr if isinstance(node.left, ast.Attribute) else ""
            )
    return ""


def _made(view: View) -> list[_Made]:
    """Columns computed from other columns of the same frame, in order."""
    found = []
    for node in view.of(ast.Assign):
        target = node.targets[0]
        name = view.column(target)
        frame = dotted(target.value) if isinstance(target, ast.Subscript) else ""
        if not name or not frame:
            continue
        sources = []
        for below in view.walk(node.value):
            if isinstance(below, ast.Subscript) and view.column(below):
                sources.append(view.column(below))
            elif isinstance(below, ast.Attribute) and isinstance(below.value, ast.Name):
                parent = view.parent(below)
                called = isinstance(parent, ast.Call) and parent.func is below
                if below.value.id == frame and not called:
                    sources.append(below.attr)
        if sources:
            found.append(
                _Made(node.lineno, frame, name, tuple(sources), node.value, view.scope(node))
            )
    return found


def _lagged(value: ast.expr) -> bool:
    """Tell whether a value looks at other rows in time: an honest lag, or a target ahead."""
    return any(isinstance(n, ast.Call) and called(n) in _LAGS for n in walk(value))


def _train_only(made: _Made) -> bool:
    """Tell whether what is computed comes from training rows only."""
    return any(
        isinstance(n, ast.Name) and re.search(r"(?i)train|fold|tr_", n.id) for n in walk(made.value)
    )


def _assembled(view: View) -> Iterator[Hit]:
    """Report Spark: `VectorAssembler(inputCols=[..., label])`."""
    labels = {
        view.string(k.value) for k in view.of(ast.keyword) if k.arg in ("labelCol", "label_col")
    } - {""}
    for call in view.calls:
        columns = view.arg(call, "inputCols")
        names = listed(view, columns) if columns is not None else None
        for name in sorted(labels & set(names or ())):
            if last(view.name(call)) == "VectorAssembler":
                yield Hit(
                    view.path,
                    columns.lineno if columns is not None else call.lineno,
                    f"The label column `{name}` is one of the inputs of the features.",
                )


def _lists(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report named lists of features that hold the target of the project."""
    known = targets_near(repo, view.path)
    for node in view.of(ast.Assign):
        name = dotted(node.targets[0])
        if not known or not is_features_name(name):
            continue
        names = listed(view, node.value)
        inside = sorted(known & set(names or ()))
        if not inside or len(names or ()) < 3:  # noqa: PLR2004 - a pair of columns is no list
            continue
        if _selects(view, name) and not _taken_out(repo, view, name):
            yield Hit(
                view.path,
                node.lineno,
                f"The list of features `{name}` names `{inside[0]}`, which is the target.",
                f"Take `{inside[0]}` out of the list.",
                confidence=0.6,
            )


def _selects(view: View, name: str) -> bool:
    """Tell whether a list selects the columns that are called X or fitted."""
    for node in view.of(ast.Subscript):
        if dotted(node.slice) == name and isinstance(node.ctx, ast.Load):
            for up in view.above(node):
                if isinstance(up, ast.Assign):
                    return last(dotted(up.targets[0])).lower().startswith(("x", "feat"))
                if isinstance(up, ast.Call):
                    return called(up) in ("fit", "train_test_split", "fit_transform")
    return False


def _taken_out(repo: AuditRepository, view: View, name: str) -> bool:
    text = repo.text(view.path)
    return f"{name}.remove(" in text or f"in {name} if" in text or f"set({name})" in text


def _config(repo: AuditRepository) -> Iterator[Hit]:
    """Report configuration in which the list of features names the target of the same file."""
    by_path: dict[str, list[tuple[str, int]]] = {}
    for named in configured(repo):
        if len(named.names) == 1 and not is_features_name(named.key):
            by_path.setdefault(named.path, []).append((named.names[0], named.line))
    for named in configured(repo):
        if not is_features_name(named.key) or len(named.names) < 2:  # noqa: PLR2004
            continue
        for target, line in by_path.get(named.path, ()):
            if target in named.names:
                at = repo.line_of(named.path, target, named.line - 1) or named.line
                yield Hit(
                    named.path,
                    at,
                    f"`{named.key}` lists `{target}`, which line {line} names as the target.",
                    f"Take `{target}` out of `{named.key}`.",
                    also=((named.path, line),),
                    confidence=0.7,
                )
