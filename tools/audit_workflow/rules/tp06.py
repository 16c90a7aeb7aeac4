"""Style and types are not checked

## What it does

Reports a repository with Python code and no linter, formatter, type checker or hook (once, at the
README); pre-commit hooks at a branch or at a version of years ago; checks that are turned off for
everything (`ignore_errors = true`, `# mypy: ignore-errors`, `# flake8: noqa` for a file); defaults
that are mutable; and annotations that contradict the value beside them.

## Why is this bad?

These tools find undefined names and wrong types before a training run of hours does.  A hook at a
branch changes under everybody's hands.  A mutable default is shared by all calls.

## Known problems

Linters that an editor runs leave no file.

## Example

```python
def split(frame, columns=[], ratio: int = 0.2):
    ...
```

## Use instead

```python
def split(frame, columns=None, ratio: float = 0.2):
    columns = columns or []
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _testing_hooks
from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.audit_workflow.rules._testing_types import (
    contradiction,
    returns_of,
    wrong_returns,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import AnyFunction, View

_MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp)
_MAKERS: Final = ("list", "dict", "set", "defaultdict", "collections.defaultdict", "bytearray")
_FEW: Final = 3


def _each(repo: AuditRepository, view: View) -> Iterator[Hit]:
    if not view.module.notebook and not _docs.aside(repo, view.path):
        yield from _mutable(view)
        yield from _types(repo, view)


@rule(
    "TP06",
    each=_each,
    name="no-lint-type-precommit",
    dimension="team_practices",
    severity=LOW,
    confidence=0.85,
    fix="Add ruff and mypy to `.pre-commit-config.yaml` with fixed revisions, and run them in CI.",
    effort=(0.1, 1),
    sources=(
        "se4ml: Use Static Analysis to Check Code Quality",
        "mllint: code-quality/use-linters",
    ),
    practice="coding_standards",
)
def no_lint_type_precommit(repo: AuditRepository) -> Iterator[Hit]:
    """Report missing, loose, outdated and disabled checks, and what they would have found."""
    yield from _none(repo)
    yield from _testing_hooks.hooks(repo)
    yield from _testing_hooks.disabled(repo)


def _none(repo: AuditRepository) -> Iterator[Hit]:
    if repo.absent("coding_standards") is None or repo.workspace.truncated:
        return
    code = [p for p in _docs.product_code(repo) if not _docs.is_template(p)]
    if len(code) < _FEW:
        return
    yield Hit(
        *_docs.anchor(repo),
        f"{len(code)} Python files, and no linter, formatter, type checker or pre-commit hook "
        "is set "
        "up: looked at CI, hooks, Makefiles, tox, pyproject.toml, setup.cfg and settings of the "
        "tools.",
    )


def _defaults(function: AnyFunction) -> list[tuple[ast.arg, ast.expr | None]]:
    """Parameters of a function that have a default, with it."""
    arguments = function.args
    if not arguments.defaults and not arguments.kw_defaults:
        return []
    plain = [*arguments.posonlyargs, *arguments.args]
    return [
        *zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]


def _mutable(view: View) -> Iterator[Hit]:
    for function in view.functions:
        bad = [
            (a.arg, d)
            for a, d in _defaults(function)
            if isinstance(d, _MUTABLE) or (isinstance(d, ast.Call) and dotted(d.func) in _MAKERS)
        ]
        if bad:
            names = ", ".join(f"`{a}={source(d, 40)}`" for a, d in bad[:4])
            first = bad[0][1].lineno
            yield Hit(
                view.path,
                function.lineno if first - function.lineno <= _FEW else first,
                f"`{function.name}` has the default {names}: it is made once and shared by all "
                "calls.",
                f"Write `{bad[0][0]}=None` and make the value in the function.",
            )


def _types(repo: AuditRepository, view: View) -> Iterator[Hit]:
    returned = returns_of(view)
    for function in view.functions:
        for argument, default in _defaults(function):
            why = contradiction(argument.annotation, default)
            if why:
                what = f"`{argument.arg}` of `{function.name}`"
                yield _mismatch(view.path, argument.lineno, what, why)
        for line, why in wrong_returns(function, returned.get(function, ())):
            yield _mismatch(view.path, line, f"`{function.name}`", why)
    for node in view.of(ast.AnnAssign):
        why = contradiction(node.annotation, node.value)
        if why:
            yield _mismatch(view.path, node.lineno, f"`{source(node.target, 60)}`", why)
    text = repo.text(view.path)
    options = "add_argument" in text or ".option" in text
    for call in view.calls if options else ():
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("add_argument", "option"):
            yield from _option(view, call, argparse=call.func.attr == "add_argument")


def _option(view: View, call: ast.Call, *, argparse: bool) -> Iterator[Hit]:
    kind, default = view.arg(call, "type"), view.arg(call, "default")
    flag = view.string(call.args[0]) if call.args else "the option"
    if dotted(kind) == "bool" and argparse:
        why = 'has `type=bool`, and `bool("False")` is true: any text turns it on'
        yield _mismatch(view.path, call.lineno, f"`{flag}`", why, severe=True)
    elif why := contradiction(kind, default):
        yield _mismatch(view.path, call.lineno, f"`{flag}`", why)


def _mismatch(path: str, line: int, what: str, why: str, *, severe: bool = False) -> Hit:
    return Hit(
        path,
        line,
        f"{what} {why}.",
        "Correct the annotation or the value, and let a type checker keep them together.",
        severity=MEDIUM if severe else LOW,
    )
