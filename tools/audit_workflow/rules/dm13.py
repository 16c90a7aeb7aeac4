"""Feature code written twice, for training and for serving

## What it does

Compares code that trains with code that answers requests or scores batches. It reports functions
whose bodies are nearly the same in both, functions of the same name that treat the same columns,
and lists of at least five features that stand in both. When the two differ in a value, a column or
the order, that is said: then they have already parted.

## Why is this bad?

The copy in training is changed one day, and that in serving is not. The model then sees other
features in production than in training, and nothing fails.

## Known problems

A function that both sides import is one function, and fine. Code in tests is not compared.

## Example

```python
# train.py and serve.py
FEATURES = ["age", "income", "tenure", "visits", "balance"]
```

## Use instead

```python
# features.py, imported by both
FEATURES = ["age", "income", "tenure", "visits", "balance"]
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_frames import (
    Named,
    configured,
    is_features_name,
    text_list,
)
from mlops_advisor.tools.audit_workflow.rules._data_sides import of_project, sides
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import FUNCTIONS, AnyFunction, View, walk

_LEAST: Final = 5  # features in a list, columns in common
_LEAST_STATEMENTS: Final = 3
_ALIKE: Final = 0.7
_SAME_ARGUMENTS: Final = 3
_STEPS: Final = re.compile(
    r"(?i)prep|feature|clean|transform|encod|filter|engineer|normali|scal|impute|tokeni|process|extract"
    r"|parse|convert|build|read_data|compute|derive|bucket|vectori"
)
_NOT_STEPS: Final = re.compile(
    r"(?i)^(?:main|run|train\w*|evaluate|predict\w*|load_model|save\w*|__\w+__|setup|get_args|parse_args)$"
)
_MAX_FUNCTIONS: Final = 3_000
_MAX_WORDS: Final = 400
_MAX_TEXT: Final = 60
_MAX_LISTS: Final = 300


@dataclass(frozen=True, slots=True)
class _Function:
    path: str
    line: int
    end: int
    name: str
    shapes: frozenset[str]
    exact: frozenset[str]
    texts: frozenset[str] = field(default_factory=frozenset)
    given: frozenset[str] = field(default_factory=frozenset)


@rule(
    "DM13",
    name="training-serving-duplicate-feature-code",
    dimension="data_management",
    severity=HIGH,
    confidence=0.8,
    fix="Move the preparation of features to one module that both sides import, or store it with"
    " the model as a Pipeline.",
    effort=(0.5, 3),
    sources=(
        "rules_of_ml: Rule #32, re-use code between training and serving pipeline",
        "ml_test_score: Monitor 3, training and serving features compute the same values",
    ),
    practice="train_serve_parity",
)
def duplicate_feature_code(repo: AuditRepository) -> Iterator[Hit]:
    """Report feature code that stands on both sides."""
    train, serve = sides(repo)
    if not train or not serve:
        return
    seen: set[tuple[str, int]] = set()
    for hit in (*_functions(repo, train, serve), *_lists(repo, train, serve)):
        if (hit.path, hit.line) not in seen:
            seen.add((hit.path, hit.line))
            yield hit


# --- functions -------------------------------------------------------------------------------


def _functions(repo: AuditRepository, train: list[str], serve: list[str]) -> Iterator[Hit]:
    there = [f for p in train for f in _of(repo, p)][:_MAX_FUNCTIONS]
    by_shape: dict[str, list[_Function]] = {}
    by_name: dict[str, list[_Function]] = {}
    for one in there:
        by_name.setdefault(one.name, []).append(one)
        for shape in one.shapes:
            by_shape.setdefault(shape, []).append(one)
    for path in serve:
        near = frozenset(of_project(repo, path, train))
        for mine in _of(repo, path):
            found = list(by_name.get(mine.name, ()))
            for shape in mine.shapes:
                found += by_shape.get(shape, ())[:20]
            best: tuple[float, _Function] | None = None
            for other in dict.fromkeys(found):
                if other.path not in near or other.path == path:
                    continue
                score = _likeness(mine, other)
                if score and (best is None or score > best[0]):
                    best = (score, other)
            if best is not None:
                yield _twice(mine, best[1])


def _likeness(mine: _Function, other: _Function) -> float:
    """Say how alike two functions are; 0 when not enough."""
    union = len(mine.shapes | other.shapes)
    alike = len(mine.shapes & other.shapes) / union if union else 0.0
    enough = min(len(mine.shapes), len(other.shapes)) >= _LEAST_STATEMENTS
    named = bool(_STEPS.search(mine.name) or _STEPS.search(other.name))
    if enough and alike >= _ALIKE and (named or len(mine.shapes) > _LEAST):
        return 1 + alike
    same = mine.name == other.name and named
    if same and enough and alike >= 0.5:  # noqa: PLR2004 - half of the statements
        return alike
    texts = mine.texts & other.texts
    whole = min(len(mine.texts), len(other.texts))
    if named and len(texts) >= _LEAST and (same or len(texts) >= 2 * _LEAST):
        share = len(texts) / whole
        if share >= 0.6:  # noqa: PLR2004 - most columns
            return share / 2
    if same and len(mine.given & other.given) >= _SAME_ARGUMENTS:
        return 0.1
    return 0.0


def _twice(mine: _Function, other: _Function) -> Hit:
    differ = mine.exact != other.exact
    what = "is nearly the same as" if mine.shapes & other.shapes else "does again what"
    tail = "" if mine.shapes & other.shapes else " does, in other words"
    where = other.path if other.path.endswith(".ipynb") else f"{other.path}:{other.line}"
    why = f"`{mine.name}` {what} `{other.name}` of the training code ({where}){tail}"
    why += ", and the two already differ." if differ else ": one will be changed without the other."
    return Hit(
        mine.path,
        mine.line,
        why,
        end_line=mine.end,
        also=((other.path, other.line),),
        severity=HIGH if differ else MEDIUM,
    )


@shared
def _cache(_repo: Repository) -> dict[str, list[_Function]]:
    return {}


def _of(repo: AuditRepository, path: str) -> list[_Function]:
    known = _cache(repo)
    if path not in known:
        view = repo.view(path)
        known[path] = (
            [] if view is None else [f for n in view.functions if (f := _summary(view, n))]
        )
    return known[path]


def _summary(view: View, node: AnyFunction) -> _Function | None:
    if _NOT_STEPS.match(node.name) or view.inside(node, *FUNCTIONS):
        return None
    body = [s for s in node.body if not _trivial(s)]
    shapes: set[str] = set()
    exact: set[str] = set()
    texts: set[str] = set()
    count = 0
    for below in view.walk(node):
        count += 1
        if count > 20_000:  # noqa: PLR2004 - hostile input
            return None
        if isinstance(below, ast.Constant) and isinstance(below.value, str):
            texts.add(below.value)
        if isinstance(below, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.For, ast.If)):
            if _trivial(below):
                continue
            shape, whole = _shape(below)
            if len(shape) > 2:  # noqa: PLR2004 - `return x` says nothing
                shapes.add(" ".join(shape))
                exact.add(" ".join(whole))
    if len(body) < 2 and len(texts) < _LEAST:  # noqa: PLR2004 - a getter
        return None
    return _Function(
        view.path,
        node.lineno,
        node.body[0].lineno if node.body else node.lineno,
        node.name,
        frozenset(shapes),
        frozenset(exact),
        frozenset(t for t in texts - _logged(node) if _like_column(t) and len(t) > 1),
        frozenset(a.arg for a in node.args.args if a.arg != "self"),
    )


def _logged(node: AnyFunction) -> set[str]:
    """Texts that are printed or logged, and the docstring: they are no columns."""
    found: set[str] = set()
    for call in walk(node):
        if isinstance(call, ast.Call):
            owner = dotted(call.func)
            if owner == "print" or owner.startswith(("logging.", "logger.", "log.")):
                found.update(
                    c.value
                    for c in walk(call)
                    if isinstance(c, ast.Constant) and isinstance(c.value, str)
                )
    return found


def _trivial(node: ast.stmt) -> bool:
    """Tell whether a statement is a docstring, a log line or an import."""
    if isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom)):
        return True
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    owner = dotted(node.value)
    return owner.startswith(("print", "logging.", "logger.", "log."))


def _shape(node: ast.stmt) -> tuple[list[str], list[str]]:
    """Words of a statement without the names of variables; the same with the numbers kept.

    Of a block only its head counts: what is inside are statements of their own.
    """
    shape: list[str] = [type(node).__name__]
    whole: list[str] = [type(node).__name__]
    heads: list[ast.AST] = [node]
    if isinstance(node, ast.For):
        heads = [node.target, node.iter]
    elif isinstance(node, ast.If):
        heads = [node.test]
    for head in heads:
        for below in walk(head):
            if len(shape) > _MAX_WORDS:
                return shape, whole
            if isinstance(below, ast.Attribute):
                shape.append(below.attr)
                whole.append(below.attr)
            elif isinstance(below, ast.Constant):
                text = isinstance(below.value, str)
                shape.append(f"{below.value!r}"[:_MAX_TEXT] if text else "#")
                whole.append(f"{below.value!r}"[:_MAX_TEXT])
            elif isinstance(below, (ast.operator, ast.cmpop, ast.unaryop)):
                shape.append(type(below).__name__)
                whole.append(type(below).__name__)
            elif isinstance(below, ast.keyword) and below.arg:
                shape.append(below.arg)
                whole.append(below.arg)
    return shape, whole


# --- lists of features ------------------------------------------------------------------------


def _lists(repo: AuditRepository, train: list[str], serve: list[str]) -> Iterator[Hit]:
    there = [n for p in train for n in _lists_of(repo, p)][:_MAX_LISTS]
    shared_lists = [n for n in configured(repo) if len(n.names) >= _LEAST]
    for path in serve:
        near = frozenset(of_project(repo, path, train))
        reported = 0
        for mine in _lists_of(repo, path)[:_MAX_LISTS]:
            if reported > 2:  # noqa: PLR2004 - a module that copies everything says it thrice
                break
            others = [n for n in there if n.path in near] + shared_lists
            best = max(others, key=lambda n: (_overlap(mine, n), n.path in near), default=None)
            if best is None or _overlap(mine, best) < _ALIKE or best.path == path:
                continue
            reported += 1
            yield _same_list(mine, best)


def _overlap(one: Named, other: Named) -> float:
    common = len(frozenset(one.names) & frozenset(other.names))
    if common < _LEAST:
        return 0.0
    return common / max(len(frozenset(one.names)), len(frozenset(other.names)))


def _same_list(mine: Named, other: Named) -> Hit:
    a, b = frozenset(mine.names), frozenset(other.names)
    where = other.path if other.path.endswith(".ipynb") else f"{other.path}:{other.line}"
    common = len(a & b)
    if a != b:
        odd = sorted(a ^ b)[:4]
        differ = f" They already differ in {', '.join(f'`{o}`' for o in odd)}."
    elif mine.names != other.names:
        differ = " The names are the same, but in another order."
    else:
        differ = " One will be changed without the other."
    return Hit(
        mine.path,
        mine.line,
        f"{common} feature names are written here and again at {where}.{differ}",
        "Keep one list, imported by both sides or stored with the model.",
        also=((other.path, other.line),),
        severity=MEDIUM if mine.names == other.names else HIGH,
        confidence=0.75,
    )


def _lists_of(repo: AuditRepository, path: str) -> list[Named]:
    """Literal lists of at least five names, the fields of a request model included."""
    view = repo.view(path)
    if view is None:
        return []
    found: list[Named] = []
    for node in (*view.of(ast.List), *view.of(ast.Tuple), *view.of(ast.Set)):
        names = text_list(node)
        if len(names) < _LEAST or len(set(names)) < _LEAST or view.inside(node, ast.List):
            continue
        if all(_like_column(n) for n in names) and _as_columns(view, node):
            found.append(Named(path, node.lineno, names))
    for made in view.of(ast.Dict):
        keys = tuple(
            k.value for k in made.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)
        )
        parent = view.parent(made)
        frame = isinstance(parent, (ast.Call, ast.List)) and any(
            isinstance(u, ast.Call) and dotted(u.func).endswith("DataFrame")
            for u in view.above(made)
        )
        if len(keys) >= _LEAST and len(keys) == len(made.keys) and frame:
            found.append(Named(path, made.lineno, keys))
    return found


def _like_column(name: str) -> bool:
    plain = "/" not in name and "\n" not in name and not name.startswith("-")
    return bool(name) and len(name) <= _MAX_TEXT and plain


def _as_columns(view: View, node: ast.AST) -> bool:
    """Tell whether a list selects columns or is named so; lists of categories are no features."""
    for up in view.above(node):
        if isinstance(up, ast.Subscript):
            return True
        if isinstance(up, ast.keyword):
            return up.arg in (
                "columns",
                "usecols",
                "names",
                "feature_names",
                "inputCols",
                "features",
            )
        if isinstance(up, ast.Call):
            return dotted(up.func).rpartition(".")[2] in ("select", "DataFrame", "Index", "drop")
        if isinstance(up, (ast.Assign, ast.AnnAssign)):
            target = up.targets[0] if isinstance(up, ast.Assign) else up.target
            name = dotted(target)
            return is_features_name(name) or bool(
                re.search(r"(?i)feat|col|numeric|categ|predict|input|field", name)
            )
    return False
