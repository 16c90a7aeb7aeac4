"""Stages of one pipeline that get in each other's way: the same name or output twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.evidence.view import View, last

STAGE_WORDS: Final = ("Pipeline", "ColumnTransformer", "FeatureUnion", "Voting", "Stacking")
_NAMED: Final = {
    "Pipeline": "steps",
    "ColumnTransformer": "transformers",
    "FeatureUnion": "transformer_list",
    "VotingClassifier": "estimators",
    "VotingRegressor": "estimators",
    "StackingClassifier": "estimators",
    "StackingRegressor": "estimators",
}
_SKLEARN: Final = ("sklearn.", "imblearn.")


def broken_stages(view: View) -> Iterator[Hit]:
    """Find names and output columns that two stages of one pipeline share."""
    for call in view.calls:
        name = view.name(call)
        if name.startswith("pyspark.") and last(name) == "Pipeline":
            yield from _columns(view, view.settled(view.arg(call, "stages", 0)))
        elif name.startswith(_SKLEARN) and last(name) in _NAMED:
            yield from _names(view, name, view.settled(view.arg(call, _NAMED[last(name)], 0)))


def _columns(view: View, stages: ast.expr | None) -> Iterator[Hit]:
    """Find stages of Spark that write a column which an earlier one has written: it stops there."""
    seen: dict[str, ast.Call] = {}
    for stage in stages.elts[:200] if isinstance(stages, (ast.List, ast.Tuple)) else ():
        made = view.settled(stage)
        if not isinstance(made, ast.Call) or not view.name(made).startswith("pyspark."):
            continue
        for column, line in _outputs(view, made):
            first = seen.setdefault(column, made)
            if first is not made:
                one, two = last(view.name(first)), last(view.name(made))
                why = (
                    f"`{two}` writes the column `{column}`, which `{one}` at line {first.lineno} "
                    "of the same pipeline has written: Spark stops, the column is there."
                )
                fix = "Give one of them another output column, and use it in what follows."
                also = ((view.path, first.lineno),)
                yield Hit(view.path, line, why, fix, also=also, severity=HIGH, confidence=0.9)


def _outputs(view: View, made: ast.Call) -> Iterator[tuple[str, int]]:
    one = view.arg(made, "outputCol")
    name = view.literal(one)
    if one is not None and isinstance(name, str):
        yield name, one.lineno
    several = view.arg(made, "outputCols")
    names = view.literal(several)
    if several is not None and isinstance(names, list):
        yield from ((n, several.lineno) for n in names if isinstance(n, str))


def _names(view: View, kind: str, steps: ast.expr | None) -> Iterator[Hit]:
    seen: dict[str, int] = {}
    for step in steps.elts[:200] if isinstance(steps, (ast.List, ast.Tuple)) else ():
        pair = view.settled(step)
        label = view.literal(pair.elts[0]) if isinstance(pair, ast.Tuple) and pair.elts else None
        if not isinstance(label, str):
            continue
        if label in seen:
            why = (
                f"Two steps of this `{last(kind)}` are called `{label}` (the other at line "
                f"{seen[label]}): ValueError, names have to differ."
            )
            also = ((view.path, seen[label]),)
            yield Hit(view.path, step.lineno, why, also=also, severity=HIGH, confidence=0.95)
        seen.setdefault(label, step.lineno)
