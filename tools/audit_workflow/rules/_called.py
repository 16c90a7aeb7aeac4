"""The last part of what a call names, without putting the whole name together."""

from __future__ import annotations

import ast

from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import last


def called(call: ast.Call) -> str:
    """Last part of the name as written: `fit` of `model.fit(x)`."""
    func = call.func
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else last(dotted(func))


def step_of(call: ast.Call) -> str:
    """Give the same, and for `make()(x)` the name of what makes it: `make`."""
    func = call.func
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else last(dotted(call).removesuffix("()"))
