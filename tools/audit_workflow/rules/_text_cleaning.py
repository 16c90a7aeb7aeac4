"""Rules that clean text and can't match, for an earlier one took away what they look for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._training import shown, words_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, last

_MAX_PATTERN: Final = 200
_DIGITS: Final = frozenset("0123456789")
_UPPER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OTHERS: Final = ("e", " ", "é")
_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ANY: Final = _PUNCTUATION | _DIGITS | _UPPER
_ALL_PUNCTUATION: Final = "[" + re.escape("".join(sorted(_PUNCTUATION))) + "]"
_CHANGES: Final = ("sub", "replace", "translate", "lower", "casefold", "upper", "title")
_SUBS: Final = ("re.sub", "regex.sub")
_DEPTH: Final = 20
_SUBJECT: Final = 2  # position of the text among the arguments of re.sub
_ESCAPES: Final = re.compile(r"\\([^\w\s])")
_WHOLE_CLASS: Final = re.compile(r"^\(?\[(\^?)(.{1,120})\][+*]?\)?$")
_SHORTHAND: Final = re.compile(r"^\(?(\\[dDW])[+*]?\)?$")
_ADDRESS: Final = re.compile(r"^\(?(?:https?\??|www)\\S[+*]\)?$")


@dataclass(frozen=True, slots=True)
class _Step:
    """One substitution in the text `subject`, whose result is `target`; `folds`: in any case."""

    subject: str
    target: str
    pattern: str | None
    to: str | None
    folds: bool = False


@dataclass(frozen=True, slots=True)
class _Taken:
    """What took a character away; `apart`: a space stands in its place."""

    call: ast.Call
    pattern: str
    apart: bool


def unreachable(view: View) -> Iterator[Hit]:
    """Report substitutions of one text that can't match after an earlier one of the same text."""
    for calls in _substitutions(view).values():
        texts: dict[str, dict[str, _Taken]] = {}
        steps = [(call, step) for call in calls if (step := _step(view, call)).target]
        for call, step in steps:
            gone = texts.get(step.subject, {})
            if step.pattern is None or step.to is None:
                gone = {}
            else:
                known = {c: t for c, t in gone.items() if _follows(view, t.call, call)}
                missing = _missing(step, known)
                first = known[missing[0]] if missing else None
                if first is not None and _stands(view, step, first, call):
                    yield _hit(view, call, first.call, step.pattern, missing)
                taken = _Taken(call, step.pattern, apart=step.to.isspace())
                gone = {**dict.fromkeys(_removes(step.pattern), taken), **gone}
                gone = {c: t for c, t in gone.items() if c not in step.to}
            texts[step.target] = gone


def _stands(view: View, step: _Step, taken: _Taken, then: ast.Call) -> bool:
    """Tell whether a rule is another one, and the text gets no new value between the two."""
    first, function = taken.call, view.function(then)
    if taken.pattern == step.pattern:
        return False
    for node in view.of(ast.Assign):
        between = first.lineno < node.lineno < then.lineno and view.function(node) is function
        target = _name_of(node.targets[0])
        if between and "[" in step.subject and target == step.subject.partition("[")[0]:
            return False  # another frame
        if between and target == step.subject:
            value = node.value
            if not isinstance(value, ast.Call) or _name_of(value) != step.subject:
                return False
    return True


def _hit(view: View, call: ast.Call, first: ast.Call, pattern: str, missing: str) -> Hit:
    what = _name_of_class(missing)
    where = "before it" if view.module.notebook else f"at line {first.lineno}"
    return Hit(
        view.path,
        call.lineno,
        f"This rule looks for `{pattern[:60]}`, which needs {what}; the rule {where} has removed"
        " every one, so it never matches what it is meant for.",
        f"Move this line above {'it' if view.module.notebook else f'line {first.lineno}'}.",
        also=((view.path, first.lineno),),
        severity=MEDIUM,
    )


def _name_of_class(missing: str) -> str:
    if set(missing) >= _DIGITS:
        return "a digit"
    if set(missing) >= _UPPER:
        return "a capital letter"
    return " or ".join(f"`{c}`" for c in missing[:2])


def _missing(step: _Step, gone: Mapping[str, _Taken]) -> str:
    """Characters of which a match needs one, and all of which are gone; empty when it can match."""
    pattern, left = step.pattern or "", frozenset(gone)
    if not left or len(pattern) > _MAX_PATTERN:
        return ""
    known = _ANY - (_UPPER if step.folds else frozenset())
    found = ""
    for branch in _branches(pattern):
        needs = [n for n in _literal(branch, known) if n <= left]
        if not needs and _ADDRESS.match(branch) and all(c in gone and gone[c].apart for c in ":/."):
            needs = [frozenset(":")]  # only `http` is left of an address, the rest stands apart
        if not needs:
            return ""
        found = found or "".join(sorted(needs[0]))
    return found


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
        if raw in _CHANGES or view.name(call) in _SUBS:
            found.setdefault(view.function(call) or view.tree, []).append(call)
    for calls in found.values():
        calls.sort(key=lambda c: (c.lineno, c.end_lineno or 0, -c.col_offset))
    return found


def _step(view: View, call: ast.Call) -> _Step:
    """Tell what a call does to a text; no pattern: nothing is known to be removed."""
    name, short = view.name(call), last(view.name(call))
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    subject, pattern, to = _name_of(owner), "", _text(view, view.arg(call, "repl", 1))
    folds = "IGNORECASE" in words_in(call) or "I" in words_in(call)
    if name in _SUBS:
        subject = _name_of(view.arg(call, "string", 2))
        pattern = view.string(view.arg(call, "pattern", 0))
    elif short == "translate":
        pattern, to = (_ALL_PUNCTUATION if "punctuation" in words_in(call) else ""), ""
    elif short in ("lower", "casefold"):
        pattern, to = "[A-Z]", ""
    elif short in ("upper", "title"):
        pattern, to = "[a-z]", "".join(sorted(_UPPER))
    elif short == "replace":
        column = isinstance(owner, ast.Attribute) and owner.attr == "str"
        text = view.string(view.arg(call, "pat", 0))
        regex = column and view.literal(view.arg(call, "regex")) is True
        pattern = text if regex else re.escape(text)
    elif short == "sub":
        made = view.settled(owner)
        compiled = isinstance(made, ast.Call) and view.name(made) == "re.compile"
        subject, to = _name_of(view.arg(call, "string", 1)), _text(view, view.arg(call, "repl", 0))
        if isinstance(made, ast.Call) and compiled and made.args:
            pattern = view.string(made.args[0])
            folds = folds or len(made.args) > 1 or bool(made.keywords)
    target = _target(view, call)
    if not subject or not target:
        return _Step("", "", None, None)
    return _Step(subject, target, pattern or None, to, folds or "(?i" in pattern)


def _text(view: View, node: ast.expr | None) -> str | None:
    value = view.literal(node)
    return value if isinstance(value, str) else None


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
    """Characters that no longer occur once the pattern is replaced."""
    if len(pattern) > _MAX_PATTERN:
        return frozenset()
    shorthand = _SHORTHAND.match(pattern)
    if shorthand is not None:
        return _members(shorthand.group(1)) & _ANY
    match = _WHOLE_CLASS.match(pattern)
    if match is None:
        single = _ESCAPES.sub(r"\1", pattern)
        return frozenset(single) & _ANY if len(single) == 1 else frozenset()
    negated, inside = match.group(1), match.group(2)
    if (
        re.search(r"(?<!\\)[\[\]]", inside.replace("\\]", "").replace("\\[", ""))
        and "\\" not in inside
    ):
        return frozenset()
    kept = _members(inside)
    return _ANY - kept if negated else kept & _ANY


def _members(inside: str) -> frozenset[str]:
    """Characters that a character class names, of those that are looked at, and three others."""
    try:
        compiled = re.compile(f"[{inside}]")
    except re.error:
        return frozenset()
    return frozenset(c for c in (*_ANY, *_OTHERS) if compiled.match(c))


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


def _literal(branch: str, known: frozenset[str]) -> list[frozenset[str]]:
    """Give sets of characters of each of which a match of a branch holds one at least."""
    found: list[frozenset[str]] = []
    i, depth = 0, 0
    while i < len(branch):
        c = branch[i]
        width = 1
        chars: frozenset[str] = frozenset()
        if c == "\\" and i + 1 < len(branch):
            width, after = 2, branch[i + 1]
            chars = _DIGITS if after == "d" else frozenset(after) & _PUNCTUATION
        elif c == "[":
            end = branch.find("]", i + 2)
            width = (end - i + 1) if end > 0 else len(branch)
            inside = branch[i + 1 : end] if end > 0 else ""
            chars = _members(inside) if inside and inside[0] != "^" else frozenset()
        elif c in "()":
            depth += 1 if c == "(" else -1
        elif c not in ".^$*+?{}|":
            chars = frozenset(c)
        after = branch[i + width : i + width + 1]
        i += width
        if branch[i : i + 1] == "{":
            after = "*" if branch[i + 1 : i + 2] in ("0", ",") else ""
            i = max(branch.find("}", i), i) + 1
        if chars and chars <= known and depth == 0 and after not in ("*", "?"):
            found.append(chars)
    return found
