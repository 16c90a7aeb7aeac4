"""Parts of DM05: rows that vanish, and values that are made up where one does not parse."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._data_scope import scope_of
from mlops_advisor.tools.audit_workflow.rules._swallowed import swallows
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_NARROWED: Final = frozenset(("subset", "axis", "how", "thresh", None))
_OWN_GAPS: Final = frozenset(  # what leaves gaps itself, which are then dropped on purpose
    "shift rolling diff pct_change lag lead ewm resample expanding reindex to_numeric".split()
)
_COUNTS: Final = frozenset("len count info describe nunique expect_column validate".split())
_COUNTED: Final = frozenset("shape isna isnull size".split())
_PARSES: Final = re.compile(
    r"^(?:float|int|Decimal|strptime|fromisoformat|to_datetime|to_numeric|Timestamp|parse|isoparse"
    r"|fromtimestamp|literal_eval|parse_date\w{0,10}|from_string)$"
)
_NOW: Final = re.compile(r"(?:^|\.)(?:now|utcnow|today)$|^time\.time$")
_SETTINGS: Final = re.compile(
    r"environ|getenv|argv|args\.|config|setting|option|version", re.IGNORECASE
)
_COLUMN: Final = re.compile(r"(?i)(?:^|[._])(?:col(?:umn)?|ser(?:ies)?|s|x|y|values?|scores?)$")
_LONG: Final = 4
_CAUGHT: Final = frozenset(
    ("", "Exception", "ValueError", "TypeError", "ParserError", "KeyError", "OverflowError")
)


def rows(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report rows that are dropped uncounted, once a module, and defaults for what is no value."""
    dropped = next((h for c in view.calls if (h := _dropped(view, c)) is not None), None)
    if dropped is not None:
        yield dropped
    for handler in view.of(ast.ExceptHandler):
        hit = _made_up(view, handler)
        if hit is not None and swallows(repo, view, handler) is None:
            yield hit


def _dropped(view: View, call: ast.Call) -> Hit | None:
    func = call.func
    if not isinstance(func, ast.Attribute) or call.args or not _drops_rows(func):
        return None
    if {k.arg for k in call.keywords} & _NARROWED:
        return None
    base = func.value.value if func.attr == "drop" else func.value  # type: ignore[attr-defined]
    while isinstance(base, ast.Call) and isinstance(base.func, ast.Attribute):
        base = base.func.value
    name = dotted(base)
    if not isinstance(base, (ast.Name, ast.Attribute)) or _COLUMN.search(name):
        return None
    if _one_column(view, name, base):
        return None
    scope = scope_of(view, call)
    quiet = not (scope.stops or scope.warns or scope.attributes & _COUNTED)
    if not quiet or scope.calls.keys() & (_OWN_GAPS | _COUNTS):
        return None
    return Hit(
        view.path,
        call.lineno,
        f"Every row of `{dotted(base)}` with one missing value in any column goes, and nothing"
        " counts how many: a column that arrives empty leaves no data, or other data, in silence.",
        "Name the columns that must be there (`subset=[...]`); stop above a share of lost rows.",
        severity=LOW,
        confidence=0.5,
    )


def _one_column(view: View, name: str, base: ast.expr) -> bool:
    """Tell whether a name stands for one column."""
    return any(
        isinstance(v, ast.Subscript) and isinstance(v.slice, (ast.Constant, ast.Name))
        for v in view.values(name, base)
    )


def _drops_rows(func: ast.Attribute) -> bool:
    """Tell whether this is `df.dropna`, or `df.na.drop` of Spark."""
    inner = func.value
    spark = func.attr == "drop" and isinstance(inner, ast.Attribute) and inner.attr == "na"
    return spark or func.attr == "dropna"


def _made_up(view: View, handler: ast.ExceptHandler) -> Hit | None:
    tried = view.parent(handler)
    if not isinstance(tried, ast.Try) or len(tried.body) > _LONG or len(handler.body) > _LONG:
        return None
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not all(last(dotted(n)) in _CAUGHT if n is not None else True for n in names):
        return None
    parsed = _parsed(view, tried)
    end = handler.body[-1]
    value = end.value if isinstance(end, (ast.Return, ast.Assign)) else None
    if not parsed or value is None:
        return None
    what = _default(view, value)
    if not what:
        return None
    now = what.endswith("now")
    return Hit(
        view.path,
        end.lineno,
        f"A value that `{parsed}` cannot read becomes {what}, which looks like data: a change of"
        " format goes into the model unseen.",
        "Raise, or return a missing value and count how many there are.",
        severity=MEDIUM if now else LOW,
        confidence=0.7 if now else 0.55,
    )


def _parsed(view: View, tried: ast.Try) -> str:
    """Name of what parses a value in a `try`; empty when it is a setting, or nothing does."""
    for statement in tried.body:
        for node in view.walk(statement):
            if isinstance(node, ast.Call) and node.args:
                short = last(dotted(node.func)) or dotted(node.func)
                text = " ".join(dotted(n) for n in view.walk(node) if isinstance(n, ast.expr))
                if _PARSES.match(short) and not _SETTINGS.search(text):
                    inside = view.function(node) is view.function(tried)
                    return short if inside else ""
    return ""


def _default(view: View, value: ast.expr) -> str:
    """Say what stands in for a value; empty when that is a missing value, or computed."""
    if isinstance(value, ast.UnaryOp):
        value = value.operand
    if isinstance(value, ast.Call):
        return "the time of now" if _NOW.search(view.name(value)) else ""
    number = value.value if isinstance(value, ast.Constant) else None
    if isinstance(number, (int, float)) and not isinstance(number, bool):
        return f"`{number}`"
    return ""
