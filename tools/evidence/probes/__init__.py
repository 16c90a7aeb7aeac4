"""Probes: each answers one yes/no question about a workspace, purely from what was read.

There is no list to keep: every `Probe` in a module of this package takes part.  A module whose
name begins with an underscore holds shared helpers.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from mlops_advisor.tools.evidence.probes._base import Probe


@cache
def all_probes() -> tuple[Probe, ...]:
    """Every probe, sorted by id."""
    found: dict[str, Probe] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, Probe):
                if value.id in found and found[value.id] is not value:
                    message = f"two probes have the id {value.id!r}"
                    raise ValueError(message)
                found[value.id] = value
    return tuple(found[i] for i in sorted(found))


def probes_by_practice() -> dict[str, tuple[str, ...]]:
    """Ids of the probes that can see each practice."""
    found: dict[str, list[str]] = {}
    for p in all_probes():
        found.setdefault(p.practice, []).append(p.id)
    return {practice: tuple(ids) for practice, ids in sorted(found.items())}
