"""What probes see: the parsed files and what follows from them, each computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import TypeVar, cast

from mlops_advisor.tools.evidence.code import Code
from mlops_advisor.tools.evidence.flows import Flows
from mlops_advisor.tools.evidence.parsed import Parsed
from mlops_advisor.tools.evidence.runs import Runs
from mlops_advisor.tools.evidence.stages import Stages

T = TypeVar("T")


class Repository(Parsed):
    """A lazily filled view of one workspace; nothing is parsed that no probe asks for."""

    @cached_property
    def shared(self) -> dict[object, object]:
        """Results that several probes use, by the function that made them."""
        return {}

    @cached_property
    def code(self) -> Code:
        """Calls by name, roles of modules, and who imports whom."""
        return Code(self.python)

    @cached_property
    def runs(self) -> Runs:
        """Commands in CI, pipelines, scripts and images, and the code they reach."""
        return Runs(self, self.code)

    @cached_property
    def flows(self) -> Flows:
        """Orchestrated pipelines and what starts them."""
        return Flows(self, self.code, self.runs)

    @cached_property
    def stages(self) -> Stages:
        """Parts of a model's life that the workspace shows."""
        return Stages(self, self.code, self.runs, self.flows)


def shared(look: Callable[[Repository], T]) -> Callable[[Repository], T]:
    """Make a function of a repository run once for each repository."""

    @wraps(look)
    def once(repo: Repository) -> T:
        if look not in repo.shared:
            repo.shared[look] = look(repo)
        return cast("T", repo.shared[look])

    return once
