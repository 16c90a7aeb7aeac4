"""Calls of a module by the last part of their name, without resolving every one."""

from __future__ import annotations

import ast
from collections.abc import Collection

from mlops_advisor.tools.evidence.view import View, last


def ending(view: View, names: Collection[str]) -> list[ast.Call]:
    """Find calls whose resolved name may end with one of some names, in source order.

    Of attributes and imported names that is certain; of anything else it is left open.
    """
    plain = {local for local, full in view.aliases.items() if last(full) in names}
    plain.update(n for n in names if n not in view.aliases)
    found: list[ast.Call] = []
    for call in view.calls:
        func = call.func
        if isinstance(func, ast.Attribute):
            if func.attr in names:
                found.append(call)
        elif not isinstance(func, ast.Name) or func.id in plain:
            found.append(call)
    return found
