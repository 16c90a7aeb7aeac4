"""Every audit rule, one file each.  A file that begins with an underscore is shared by rules."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from mlops_advisor.tools.audit_workflow.rule import Rule


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, sorted by id; each module of this package holds one, under any name."""
    found: dict[str, Rule] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, Rule):
                found[value.id] = value
    return tuple(found[k] for k in sorted(found))
