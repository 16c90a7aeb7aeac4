"""Rules that clean text and can't match, for an earlier one took away what they look for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._training import shown, words_in
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, dotted, last

_MAX_PATTERN: Final = 200
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ALL_PUNCTUATION: Final = "[" + re.escape("".join(sorted(_PUNCTUATION))) + "]"
_SUBS: Final = ("re.sub", "regex.sub")
_DEPTH: Final = 20
_SUBJECT: Final = 2  # position of the text among the arguments of re.sub
_ESCAPES: Final = re.compile(r"\\([^\w\s])")
_WHOLE_CLASS: Final = re.compile(r"^\(?\[(\^?)(.{1,120})\][+*]?\)?$")


def unreachable(view: View) -> Iterator[Hit]:
    """Report substitutions of one text that can't match after an earlier one of the same text."""
    for calls in _substitutions(view).values():
        gone: frozenset[str] = frozenset()
        first: ast.Call | None = None
        subject = ""
        for call in calls:
            what, pattern, to = _parts(view, call)
            if what != subject:
                subject, gone, first = what, frozenset(), None
            if not what or pattern is None:
                continue
            missing = sorted(_needs(pattern) & gone)
            if missing and first is not None and _follows(view, first, call):
                yield _hit(view, call, first, pattern, missing[0])
            taken = _removes(pattern) - set(to)
            if taken - gone:
                first, gone = call, gone | taken


def _hit(view: View, call: ast.Call, first: ast.Call, pattern: str, missing: str) -> Hit:
    return Hit(
        view.path,
        call.lineno,
        f"This rule looks for `{pattern[:60]}`, which needs `{missing}`; the rule at line "
        f"{first.lineno} has removed every `{missing}`, so it never matches.",
        f"Move this line above line {first.lineno}.",
        also=((view.path, first.lineno),),
        severity=MEDIUM,
    )


def _follows(view: View, first: ast.Call, then: ast.Call) -> bool:
    """Tell whether the first always runs before: no branch holds it alone."""
    statement = view.statement(first)
    block = view.parent(statement) if statement is not None else None
    return any(up is block for up in view.above(then))


def _substitutions(view: View) -> dict[ast.AST, list[ast.Call]]:
    """Collect calls that may change a text, by function, in the order in which they run."""
    found: dict[ast.AST, list[ast.Call]] = {}
    for call in view.calls:
        raw = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if raw in ("sub", "replace", "translate", "lower") or view.name(call) in _SUBS:
            found.setdefault(view.function(call) or view.tree, []).append(call)
    for calls in found.values():
        calls.sort(key=lambda c: (c.lineno, c.end_lineno or 0, -c.col_offset))
    return found


def _parts(view: View, call: ast.Call) -> tuple[str, str | None, str]:
    """Name of the text, pattern, and replacement; no pattern: nothing is known to be removed."""
    name, short = view.name(call), last(view.name(call))
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    subject, pattern, to = _name_of(owner), None, ""
    if name in _SUBS:
        subject = _name_of(view.arg(call, "string", 2))
        pattern = view.string(view.arg(call, "pattern", 0))
        to = _text(view, view.arg(call, "repl", 1))
    elif short == "translate":
        pattern = _ALL_PUNCTUATION if "punctuation" in words_in(call) else None
    elif short == "replace":
        column = isinstance(owner, ast.Attribute) and owner.attr == "str"
        text = view.string(view.arg(call, "pat", 0))
        regex = column and view.literal(view.arg(call, "regex")) is True
        pattern = text if regex else re.escape(text)
        to = _text(view, view.arg(call, "repl", 1))
    elif short == "sub":
        made = view.settled(owner)
        compiled = isinstance(made, ast.Call) and view.name(made) == "re.compile"
        subject = _name_of(view.arg(call, "string", 1))
        if isinstance(made, ast.Call) and compiled and made.args:
            pattern = view.string(made.args[0])
        to = _text(view, view.arg(call, "repl", 0))
    if short != "lower" and subject != _target(view, call):
        return "", None, ""
    return subject, pattern or None, to


def _text(view: View, node: ast.expr | None) -> str:
    value = view.literal(node)
    return value if isinstance(value, str) else "?"


def _name_of(node: ast.expr | None) -> str:
    """Name of a text; of `df["text"].str` the column with it."""
    for _ in range(_DEPTH):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            inner = node.args[_SUBJECT:] if node.func.attr == "sub" else []
            node = inner[0] if inner else node.func.value
        elif isinstance(node, ast.Attribute) and node.attr == "str":
            node = node.value
        else:
            break
    return shown(node, 80) if isinstance(node, ast.Subscript) else dotted(node)


def _target(view: View, call: ast.Call) -> str:
    """Name that gets the result."""
    for up in view.above(call):
        if isinstance(up, ast.Assign):
            return _name_of(up.targets[0])
        if isinstance(up, (ast.Return,)):
            return _name_of(call)
        if isinstance(up, (*FUNCTIONS, ast.Lambda)):
            return ""
    return ""


def _removes(pattern: str) -> frozenset[str]:
    """Characters of punctuation that no longer occur once the pattern is replaced."""
    if len(pattern) > _MAX_PATTERN:
        return frozenset()
    match = _WHOLE_CLASS.match(pattern)
    if match is None:
        single = _ESCAPES.sub(r"\1", pattern)
        return frozenset(single) & _PUNCTUATION if len(single) == 1 else frozenset()
    negated, inside = match.group(1), match.group(2)
    if (
        re.search(r"(?<!\\)[\[\]]", inside.replace("\\]", "").replace("\\[", ""))
        and "\\" not in inside
    ):
        return frozenset()
    kept = _members(inside)
    return _PUNCTUATION - kept if negated else kept & _PUNCTUATION


def _members(inside: str) -> frozenset[str]:
    """Punctuation that a character class names."""
    try:
        compiled = re.compile(f"[{inside}]")
    except re.error:
        return frozenset()
    return frozenset(c for c in _PUNCTUATION if compiled.match(c))


def _needs(pattern: str) -> frozenset[str]:
    """Punctuation that every match of a pattern holds: literal, outside classes and options."""
    if len(pattern) > _MAX_PATTERN:
        return frozenset()
    branches = [_literal(b) for b in _branches(pattern)]
    return frozenset.intersection(*branches) if branches else frozenset()


def _branches(pattern: str) -> list[str]:
    """Alternatives of the top level."""
    parts, depth, start, i = [], 0, 0, 0
    bracket = False
    while i < len(pattern):
        c = pattern[i]
        if c == "\\":
            i += 2
            continue
        if c == "[" and not bracket:
            bracket = True
        elif c == "]":
            bracket = False
        elif not bracket and c in "()":
            depth += 1 if c == "(" else -1
        elif c == "|" and depth == 0 and not bracket:
            parts.append(pattern[start:i])
            start = i + 1
        i += 1
    return [*parts, pattern[start:]]


def _literal(branch: str) -> frozenset[str]:
    """Punctuation that stands in a branch as itself and must be there."""
    found: set[str] = set()
    i, depth = 0, 0
    while i < len(branch):
        c = branch[i]
        width = 1
        char = ""
        if c == "\\" and i + 1 < len(branch):
            width, char = 2, branch[i + 1] if branch[i + 1] in _PUNCTUATION else ""
        elif c == "[":
            end = branch.find("]", i + 2)
            width = (end - i + 1) if end > 0 else len(branch)
        elif c in "()":
            depth += 1 if c == "(" else -1
        elif c not in ".^$*+?{}|":
            char = c if c in _PUNCTUATION else ""
        after = branch[i + width : i + width + 1]
        if char and depth == 0 and after not in ("*", "?"):
            found.add(char)
        i += width
    return frozenset(found)
