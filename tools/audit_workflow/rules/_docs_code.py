"""Docstrings and comments that the code below them contradicts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._calls import ending
from mlops_advisor.tools.audit_workflow.rules._docs_schedules import contradiction
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, strings_in

_AGAIN: Final = re.compile(
    r"\b(?:idempotent(?:ly)?|upserts?|upserting|insert or update|insert-or-update)\b", re.IGNORECASE
)
_NOT: Final = re.compile(
    r"\b(?:not|non|never|no longer|isn't|todo|should|assumes?)\b", re.IGNORECASE
)
_GUARDS: Final = re.compile(
    r"on conflict|on duplicate|merge into|insert or (?:replace|ignore)|delete from|truncate"
    r"|create or replace|if not exists|where not exists|replace into|drop table",
    re.IGNORECASE,
)
_GUARD_CALLS: Final = re.compile(
    r"upsert|merge|delete|drop_dup|replace|remove|exists|update|get_or_create|truncate|unlink"
    r"|overwrite|find_one|conflict"
)
_APPENDS: Final = frozenset(("insert_one", "insert_many", "insert_rows_json", "put_records"))
_RUNS: Final = re.compile(r"\b(?:runs?|scheduled|executed?s?|triggered|starts?|started)\b")
_SHARES: Final = re.compile(
    r"(?<![\d./-])(\d{2})\s{0,2}[/:-]\s{0,2}(\d{2})(?![\d./-])(?!\s{0,2}[-/]\d)"
)
_FOLDS: Final = re.compile(r"\b(\d{1,2})[- ]?fold", re.IGNORECASE)
_DEFAULT: Final = re.compile(
    r"\bdefault(?:s)?(?:\s{1,2}(?:value\s{1,2})?(?:is|to|of)|\s{0,2}[:=])?\s{1,2}"
    r"[`'\"]{0,3}(-?\d+(?:\.\d+)?(?:e-?\d+)?|True|False|None)(?![\w.]*[\w%])",
)
_WHOLE: Final = 100
_SCHEDULES: Final = ("schedule", "schedule_interval", "cron", "cron_schedule")
_SPLITS: Final = frozenset(
    "train_test_split KFold StratifiedKFold GroupKFold cross_val_score GridSearchCV".split()
)
_MAX: Final = 2_000


def contradictions(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report what docstrings and comments of a module say and its code does not do."""
    words = repo.text(view.path)
    if "schedule" in words or "cron" in words:
        yield from _schedule(view)
    for function in view.functions:
        text = ast.get_docstring(function, clean=False) or ""
        if text and ("default" in text or _AGAIN.search(text[:_MAX])):
            yield from _idempotent(view, function, text[:_MAX])
            yield from _defaults(view, function, text[:20_000])
    if view.module.notebook or not any(w in words for w in _SPLITS):
        return
    lines = repo.lines(view.path)
    for call in ending(view, _SPLITS):
        hit = _split(view, call, lines)
        if hit is not None:
            yield hit


def _doc_line(function: AnyFunction, text: str, at: int) -> int:
    first = function.body[0]
    return first.lineno + text.count("\n", 0, at)


# --- repeated runs ----------------------------------------------------------------------------


def _idempotent(view: View, function: AnyFunction, text: str) -> Iterator[Hit]:
    """Docstrings that speak of idempotence above code that only appends."""
    found = _AGAIN.search(text)
    if found is None or _NOT.search(text[max(0, found.start() - 60) : found.end() + 30]):
        return
    appends: ast.Call | None = None
    for node in view.walk(function):
        if isinstance(node, ast.Call):
            name = last(view.name(node))
            if _GUARD_CALLS.search(name.lower()):
                return
            mode = view.literal(View.arg(node, "if_exists")) or view.literal(
                View.arg(node, "mode", 1)
            )
            opened = name == "open" and mode in ("a", "a+", "ab")
            appended = name in ("to_sql", "to_gbq", "to_csv", "save", "saveAsTable", "parquet")
            if (appended and mode in ("append", "a")) or opened or name in _APPENDS:
                appends = appends or node
    body = [s.value for s in strings_in(function) if isinstance(s.value, str) and s.value != text]
    plain = [s for s in body if "insert into" in s[:_MAX].lower()]
    if any(_GUARDS.search(s[:20_000]) for s in body) or not (appends or plain):
        return
    where = appends.lineno if appends is not None else function.lineno
    yield Hit(
        view.path,
        _doc_line(function, text, found.start()),
        f"The docstring of `{function.name}` says `{found.group(0).lower()}`, and the code only "
        "appends: a second run writes every row twice.",
        "Write with `ON CONFLICT ... DO UPDATE` (or delete the period first), or correct the "
        "docstring.",
        also=((view.path, where),),
        severity=MEDIUM,
        confidence=0.8,
    )


# --- schedules --------------------------------------------------------------------------------


def _schedule(view: View) -> Iterator[Hit]:
    """Docstrings of a pipeline that state another rhythm than its only schedule."""
    found: list[tuple[ast.expr, str]] = []
    for call in view.calls:
        for key in _SCHEDULES:
            given = View.arg(call, key)
            text = view.string(given) if given is not None else ""
            if given is not None and text and (text.startswith("@") or text.count(" ") == 4):  # noqa: PLR2004
                found.append((given, text.strip()))
    if len({t for _, t in found}) != 1:
        return
    node, expression = found[0]
    owners: list[ast.Module | AnyFunction] = [view.tree, *view.functions]
    for owner in owners:
        text = ast.get_docstring(owner, clean=False) or ""
        for number, line in enumerate(text[:_MAX].split("\n")):
            low = line.lower()
            why = contradiction(expression, low) if _RUNS.search(low) else ""
            if why:
                yield Hit(
                    view.path,
                    node.lineno,
                    f"The docstring says `{line.strip()[:80]}`, and `{expression}` runs {why}.",
                    "Correct the one that is wrong.",
                    also=((view.path, owner.body[0].lineno + number),),
                    severity=MEDIUM,
                    confidence=0.8,
                )
                return


# --- values -----------------------------------------------------------------------------------


def _split(view: View, call: ast.Call, lines: list[str]) -> Hit | None:
    """Comments beside a split or a cross-validation that state other shares or folds."""
    name = last(view.name(call))
    if name == "train_test_split":
        size, said = view.literal(View.arg(call, "test_size")), _SHARES
    elif name in _SPLITS:
        key = "cv" if name in ("cross_val_score", "GridSearchCV") else "n_splits"
        size, said = view.literal(View.arg(call, key)), _FOLDS
    else:
        return None
    if not isinstance(size, (int, float)) or isinstance(size, bool):
        return None
    found = said.search(_comment(view, call, lines))
    if found is None:
        return None
    numbers = [int(n) for n in found.groups()]
    if said is _SHARES:
        wrong = sum(numbers) == _WHOLE and 0 < size < 1 and round(size * _WHOLE) not in numbers
    else:
        wrong = numbers[0] != size
    return (
        Hit(
            view.path,
            call.lineno,
            f"The comment says `{found.group(0)}`, and the call uses {size}.",
            "Correct the one that is wrong.",
            severity=LOW,
            confidence=0.8,
        )
        if wrong
        else None
    )


def _comment(view: View, call: ast.Call, lines: list[str]) -> str:
    """Comments on the lines of a statement, and right above it."""
    statement = view.statement(call) or call
    first, end = statement.lineno, getattr(statement, "end_lineno", None) or statement.lineno
    if end - first > 12:  # noqa: PLR2004 - a comment in there may speak of anything
        end = first
    above: list[str] = []
    at = first - 1
    while at > 0 and lines[at - 1].lstrip().startswith("#") and len(above) < 3:  # noqa: PLR2004
        above.append(lines[at - 1])
        at -= 1
    own = [x for x in lines[first - 1 : end] if "#" in x]
    return "\n".join(x.partition("#")[2][:300] for x in (*above, *own))


def _defaults(view: View, function: AnyFunction, text: str) -> Iterator[Hit]:
    """Defaults of parameters that the docstring states otherwise."""
    args = function.args
    plain = [*args.posonlyargs, *args.args]
    pairs = list(zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True))
    pairs += [(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d]
    for argument, default in pairs:
        if not isinstance(default, (ast.Constant, ast.UnaryOp)):
            continue
        value = view.literal(default)
        name = re.escape(argument.arg)
        entry = re.search(
            rf"^[ \t]{{0,40}}(?::param\s{{1,3}}(?:\w{{1,20}}\s)?)?[`*]{{0,2}}{name}[`*]{{0,2}}"
            r"\s{0,3}(?:\([^)\n]{0,80}\))?\s{0,3}:[^\n]{0,300}(?:\n[ \t]{8,60}[^\n:]{0,200}$){0,3}",
            text,
            re.MULTILINE,
        )
        stated = _DEFAULT.search(entry.group(0)) if entry is not None else None
        if entry is None or stated is None or _equal(stated.group(1), value):
            continue
        yield Hit(
            view.path,
            _doc_line(function, text, entry.start()),
            f"The docstring says that `{argument.arg}` is {stated.group(1)} by default; the "
            f"signature of `{function.name}` says {value!r}.",
            "Correct the one that is wrong.",
            also=((view.path, default.lineno),),
            severity=LOW,
            confidence=0.85,
        )


def _equal(stated: str, value: object) -> bool:
    if stated in ("True", "False", "None"):
        # `None` is often the mark for a default that the body fills in, and the other way round.
        return value is None or stated == "None" or stated == str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    return float(stated) == float(value)
