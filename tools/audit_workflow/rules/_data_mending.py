"""Parts of DM05: columns that are dropped and values that are filled in without a word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._called import called
from mlops_advisor.tools.audit_workflow.rules._data_frames import is_features_name, targets, written
from mlops_advisor.tools.audit_workflow.rules._data_scope import is_frame, scope_of
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, last

_HARMLESS: Final = re.compile(
    r"(?i)^(?:unnamed|index|level_|_?id$|\w{0,30}_id$|date|time|timestamp|\w{0,30}_at$|name$|target|label"
    r"|event_timestamp|created|split|fold|__)"
)
_PAYLOAD: Final = re.compile(
    r"(?i)^(?:\w{0,20}_)?(?:payload|data|request|record|row|features|input|inputs|body|event|item|params|json)(?:_\w{0,20})?$"
)
_LEAST_GETS: Final = 2
_LOOPS: Final = (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.For)
_SETTINGS: Final = ("port", "timeout", "limit", "page", "top_k", "temperature", "max_", "n_")
_ALIGNED: Final = frozenset(
    "get_dummies to_dummies pivot pivot_table resample crosstab unstack".split()
)


def concerns(repo: AuditRepository, path: str) -> bool:
    """Tell whether a module takes part in training, serving or the preparation of features."""
    code = repo.code
    module = code.modules[path]
    if repo.is_aside(path):
        return False
    if module.notebook and (path not in code.training or code.training_scripts):
        return False  # where scripts train, notebooks explore
    if not module.roots & {"pandas", "polars", "pyspark", "numpy", "dask", "flask", "fastapi"}:
        return False
    return (
        path in code.training
        or path in code.training_code
        or path in code.serving_code
        or path in code.batch
        or path in code.feature_code
        or path in repo.flows.modules
    )


def drops(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report columns that vanish, or come up as a constant, when the input lacks them."""
    known = targets(repo)
    for call in view.calls:
        func = call.func
        if not isinstance(func, ast.Attribute):
            continue
        if func.attr == "drop":
            yield from _drop(view, call, known)
        elif func.attr == "intersection" and "columns" in dotted(func.value):
            if _selects(view, call) and not _speaks(view, call):
                yield _gone(view, call.lineno, "takes only the columns that both sides have")
        elif func.attr == "reindex":
            fill = view.arg(call, "fill_value")
            columns = view.arg(call, "columns")
            if columns is not None and fill is not None and not _dummies(view, call):
                yield _made_up(view, call.lineno, f"`fill_value={written(fill, 20)}`")
    for node in view.of(ast.ListComp):
        yield from _comprehension(view, node)
    for test in view.of(ast.If):
        yield from _added(view, test)


def _drop(view: View, call: ast.Call, known: object) -> Iterator[Hit]:
    if view.literal(view.arg(call, "errors")) != "ignore":
        return
    columns = view.arg(call, "columns") or (call.args[0] if call.args else None)
    names = view.literal(columns) if columns is not None else None
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list) or not names:
        return
    texts = [n for n in names if isinstance(n, str)]
    used = _used_before(view, call)
    left = [
        n
        for n in texts
        if not _HARMLESS.match(n) and n not in used and not (isinstance(known, dict) and n in known)
    ]
    if left:
        yield Hit(
            view.path,
            call.lineno,
            f'`errors="ignore"` hides that {_shown(left)} may be missing or renamed: then the'
            " column stays, or the input is another than expected, and nothing says so.",
            "Leave `errors` out, or check the columns first and raise.",
            severity=LOW,
            confidence=0.55,
        )


def _used_before(view: View, call: ast.Call) -> frozenset[str]:
    """Columns that the function reads before: they are there, or it has failed by now."""
    if view.function(call) is None:
        return frozenset()
    return frozenset(n for n, line in scope_of(view, call).columns.items() if line < call.lineno)


def _shown(names: list[str]) -> str:
    quoted = [f"`{n}`" for n in names[:4]]
    return ", ".join(quoted) + (" and others" if len(names) > len(quoted) else "")


def _gone(view: View, line: int, how: str) -> Hit:
    return Hit(
        view.path,
        line,
        f"This {how}: a column that is missing or renamed drops out of the features, and nothing"
        " says so.",
        "Compare the columns with the expected ones and raise when one is missing.",
        severity=MEDIUM,
        confidence=0.75,
    )


def _made_up(view: View, line: int, how: str) -> Hit:
    return Hit(
        view.path,
        line,
        f"A feature that the input lacks is filled with a constant ({how}): the model answers for"
        " data that nobody sent.",
        "Raise when a feature is missing; align one-hot columns with a stored encoder.",
        severity=MEDIUM,
        confidence=0.7,
    )


def _comprehension(view: View, node: ast.ListComp) -> Iterator[Hit]:
    """Report `[c for c in wanted if c in df.columns]` that selects features."""
    if len(node.generators) != 1 or not isinstance(node.elt, ast.Name):
        return
    loop = node.generators[0]
    for test in loop.ifs:
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            continue
        where = test.comparators[0]
        whole = dotted(where)
        columns = whole.endswith(".columns") or is_frame(whole)
        mine = isinstance(test.left, ast.Name) and test.left.id == node.elt.id
        if not mine or not columns or ".columns" in dotted(loop.iter):
            continue
        if isinstance(test.ops[0], ast.In) and _selects(view, node) and not _speaks(view, node):
            yield _gone(
                view,
                node.lineno,
                f"keeps of `{dotted(loop.iter) or 'the list'}` only what `{whole}` happens to have",
            )
        elif isinstance(test.ops[0], ast.NotIn) and (line := _filled(view, node)):
            yield _made_up(view, line, f"the list of line {node.lineno}")


def _selects(view: View, node: ast.AST) -> bool:
    """Tell whether a list of columns is used to select: `df[[...]]`, or a name like features."""
    for up in view.above(node):
        if isinstance(up, ast.Subscript):
            return True
        if isinstance(up, ast.Call):
            short = last(view.name(up))
            if short in ("select", "filter", "reindex"):
                return True
            if short not in ("list", "sorted", "set", "tuple"):
                return False
        if isinstance(up, ast.Assign):
            target = up.targets[0]
            name = target.id if isinstance(target, ast.Name) else dotted(target)
            return is_features_name(name) or _indexes(view, up, name)
        if isinstance(up, ast.stmt):
            return False
    return False


def _indexes(view: View, node: ast.AST, name: str) -> bool:
    """Tell whether a name selects columns of a frame in the same function."""
    return bool(name) and name in scope_of(view, node).slices


def _speaks(view: View, node: ast.AST) -> bool:
    """Tell whether the function around warns or stops when columns are missing."""
    if view.function(node) is None:
        return False
    scope = scope_of(view, node)
    return scope.stops or scope.warns


def _dummies(view: View, node: ast.AST) -> bool:
    """Tell whether one-hot columns are aligned here, which is what reindex is for."""
    return not _ALIGNED.isdisjoint(scope_of(view, node).calls)


def _filled(view: View, node: ast.AST) -> int:
    """Line where the missing columns that were listed are put in with a constant; 0 for none."""
    statement = view.statement(node)
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return 0
    name = statement.targets[0].id
    function = view.function(node)
    if function is None or _speaks(view, node):
        return 0
    for below in view.walk(function):
        if isinstance(below, ast.For) and dotted(below.iter) == name:
            for one in below.body:
                if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Subscript):
                    return one.lineno
        if isinstance(below, ast.Call):
            first = below.args[0] if below.args else None
            columns = next((k.value for k in below.keywords if k.arg == "columns"), None)
            if isinstance(first, ast.Constant) and columns is not None and dotted(columns) == name:
                return below.lineno
    return 0


def _added(view: View, test: ast.If) -> Iterator[Hit]:
    """Report `if col not in df.columns: df[col] = 0`."""
    compare = test.test
    if not isinstance(compare, ast.Compare) or len(compare.ops) != 1:
        return
    where = dotted(compare.comparators[0])
    if not isinstance(compare.ops[0], ast.NotIn) or not (
        where.endswith(".columns") or is_frame(where)
    ):
        return
    frame = where.removesuffix(".columns")
    for statement in test.body[:3]:
        if not isinstance(statement, ast.Assign) or len(test.body) > 2:  # noqa: PLR2004
            continue
        target = statement.targets[0]
        fixed = isinstance(statement.value, ast.Constant) or dotted(statement.value) == "np.nan"
        if not isinstance(target, ast.Subscript) or dotted(target.value) != frame or not fixed:
            continue
        if not _dummies(view, test) and not view.column(target):
            yield _made_up(view, statement.lineno, f"`{written(statement, 60)}`")


def fills(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report values that are filled in or coerced without a count."""
    serving = view.path in repo.code.serving_code or view.path in repo.code.batch
    for call in view.calls:
        func = call.func
        if not isinstance(func, ast.Attribute):
            continue
        if func.attr == "fillna":
            yield from _fillna(view, call, func)
        elif func.attr in ("to_numeric", "to_datetime"):
            yield from _coerced(view, call)
    if serving and view.path not in repo.code.training:
        yield from _gets(view)


def _fillna(view: View, call: ast.Call, func: ast.Attribute) -> Iterator[Hit]:
    """Report a whole frame that is filled with a constant or with its own means."""
    base = func.value
    frame = dotted(base) if isinstance(base, (ast.Name, ast.Attribute)) else ""
    chained = isinstance(base, ast.Call) and isinstance(base.func, ast.Attribute)
    if not frame and not chained:
        return
    if frame and (not is_frame(frame) or _one_column(view, base)):
        return
    if chained and not is_frame(dotted(base).split(".")[0].removesuffix("()")):
        return
    value = view.arg(call, "value", 0)
    number = view.literal(value) if value is not None else None
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        what = f"every missing value of every column becomes {number}"
    elif isinstance(value, ast.Call) and called(value) in ("mean", "median", "mode"):
        what = f"every missing value becomes the {called(value)} of these very data"
    else:
        return
    if _counted(view, call):
        return
    yield Hit(
        view.path,
        call.lineno,
        f"Here {what}, and nothing counts how many there were: a column that is empty today looks"
        " like data.",
        "Fill by column with values learned in training (SimpleImputer in the Pipeline); check the"
        " share of missing values first.",
        severity=LOW,
        confidence=0.6,
    )


def _one_column(view: View, base: ast.expr) -> bool:
    """Tell whether a name stands for one column, or for a frame that was just aggregated."""
    values = view.values(dotted(base), base)
    return any(
        (isinstance(v, ast.Subscript) and isinstance(v.slice, ast.Constant))
        or (
            isinstance(v, ast.Call)
            and last(dotted(v.func)) in ("pivot_table", "unstack", "groupby", "pivot")
        )
        for v in values
    )


def _counted(view: View, node: ast.AST) -> bool:
    """Tell whether the function counts missing values and says or checks something."""
    scope = scope_of(view, node)
    return scope.stops or not scope.attributes.isdisjoint(("isnull", "isna"))


def _coerced(view: View, call: ast.Call) -> Iterator[Hit]:
    """Report `errors="coerce"` when what was lost is then dropped or filled without a count."""
    if view.literal(view.arg(call, "errors")) != "coerce" or _counted(view, call):
        return
    calls = scope_of(view, call).calls
    mended = [
        (line, how)
        for name, how in (("dropna", "dropped"), ("fillna", "filled"))
        for line in calls.get(name, ())
        if line >= call.lineno
    ]
    if mended:
        line, how = min(mended)
        yield Hit(
            view.path,
            call.lineno,
            f"Values that do not parse become missing here and are {how} in line {line},"
            " uncounted: a change of format empties the column in silence.",
            "Count them and stop above a limit: `share = parsed.isna().mean()`.",
            also=((view.path, line),),
            severity=LOW,
            confidence=0.6,
        )


def _gets(view: View) -> Iterator[Hit]:
    """Report a request whose missing features become constants: `payload.get("age", 0)`."""
    found: dict[ast.AST | None, list[tuple[int, str]]] = {}
    for call in view.calls:
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr != "get":
            continue
        if not _PAYLOAD.match(dotted(func.value)) or not _to_number(call):
            continue
        name = view.literal(call.args[0])
        if not isinstance(name, str):
            if view.inside(call, *_LOOPS) and view.inside(call, *FUNCTIONS):
                each = [(call.lineno, "each feature")] * _LEAST_GETS
                found.setdefault(view.function(call), []).extend(each)
        elif not name.isupper() and not any(w in name for w in _SETTINGS):
            found.setdefault(view.function(call), []).append((call.lineno, name))
    for gets in found.values():
        if len(gets) >= _LEAST_GETS:
            names = ", ".join(dict.fromkeys(n for _, n in gets[:5]))
            yield Hit(
                view.path,
                gets[0][0],
                f"Features that a request lacks become constants ({names}): the model answers, and"
                " neither the caller nor a log knows that half of the input was made up.",
                "Declare the features as required fields (pydantic), so that a request without"
                " them is refused.",
                severity=MEDIUM,
                confidence=0.75,
            )


def _to_number(call: ast.Call) -> bool:
    """Tell whether a `get` has a number as its default."""
    if len(call.args) != 2:  # noqa: PLR2004 - key and default
        return False
    default = call.args[1]
    return (
        isinstance(default, ast.Constant)
        and isinstance(default.value, (int, float))
        and not isinstance(default.value, bool)
    )
