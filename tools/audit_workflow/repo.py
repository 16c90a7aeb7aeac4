"""The repository as rules see it: files, code, pipelines, and what the probes say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import cached_property

from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.images import Image, images_of
from mlops_advisor.tools.evidence.models import Fact, Outcome, ProbeReport, Workspace
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.run import probe_repository
from mlops_advisor.tools.evidence.view import View
from mlops_advisor.tools.evidence.workloads import Workload, workloads_of


class AuditRepository(Repository):
    """One workspace at one date, with the knowledge that rules rest on.

    `as_of` is the day at which ages are judged; `documentation` is text given with the request,
    which claims and proves nothing.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        as_of: date,
        knowledge: Knowledge,
        expired: Callable[[], bool] = lambda: False,
        documentation: str = "",
    ) -> None:
        """Wrap a workspace; nothing is parsed yet."""
        super().__init__(workspace, expired, trees=True)
        self.as_of = as_of
        self.knowledge = knowledge
        self.documentation = documentation
        self._cells: dict[str, str] = {}

    # --- practices: the same probes as assess_maturity --------------------------------------

    @cached_property
    def report(self) -> ProbeReport:
        """What all probes say."""
        return probe_repository(self)

    @cached_property
    def facts(self) -> dict[str, Fact]:
        """Facts by probe id."""
        return {f.probe: f for f in self.report.facts}

    def absent(self, practice: str) -> Fact | None:
        """Fact that a practice was looked for and not found; None when any probe sees it.

        What a document claims counts as not found: a claim is not a practice.
        """
        facts = [f for f in self.report.facts if f.practice == practice]
        if any(f.outcome is Outcome.PRESENT and (f.strength or 0) > 1 for f in facts):
            return None
        return next(
            (
                f
                for f in facts
                if f.outcome is Outcome.ABSENT
                or (f.outcome is Outcome.PRESENT and (f.strength or 0) <= 1)
            ),
            None,
        )

    # --- code -------------------------------------------------------------------------------

    def code_text(self, path: str) -> str:
        """Text of a module; of a notebook that of its code cells, magics included."""
        if not path.endswith(".ipynb"):
            return self.text(path)
        found = self._cells.get(path)
        if found is None:
            book = self.notebooks.get(path)
            found = self._cells[path] = "\n".join(book.written) if book is not None else ""
        return found

    def views(self, *words: str, tests: bool = False) -> Iterator[View]:
        """Trees of modules and notebooks whose text holds one of some words, by path.

        Tests are left out unless asked for.  Take words that are rare: see `rule(each=...)`.
        """
        for path in self.python:
            if not tests and is_test_path(path):
                continue
            text = self.code_text(path)
            if any(w in text for w in words):
                view = self.view(path)
                if view is not None:
                    yield view

    # --- what is deployed -------------------------------------------------------------------

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """Every container image that a file names."""
        return images_of(self)

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Services of compose files and containers of Kubernetes objects."""
        return workloads_of(self)
