"""GitHub workflows and composite actions as the rules about them read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow file, or one composite action (which has no events and no jobs)."""

    path: str
    node: Node
    events: Node | None
    jobs: tuple[tuple[str, Node], ...]

    @property
    def steps(self) -> Iterator[tuple[str, Node]]:
        """Steps with the name of their job."""
        for name, job in self.jobs:
            for step in job.list_at("steps"):
                if step.map is not None:
                    yield name, step

    def starts_on(self, *events: str) -> bool:
        """Tell whether one of some events starts it."""
        node = self.events
        if node is None:
            return False
        if node.map is not None:
            return any(e in node.map for e in events)
        names = [n.text for n in node.items] if node.items is not None else [node.text]
        return any(e in names for e in events)


@shared
def workflows(repo: Repository) -> tuple[Workflow, ...]:
    """Workflows of the repository itself and of templates in it, by path."""
    found: list[Workflow] = []
    for path in repo.files:
        low = "/" + path.lower()
        if not low.endswith((".yml", ".yaml")) or "/.github/" not in low:
            continue
        for doc in repo.yaml(path).docs[:1]:
            if "/.github/workflows/" in low and doc.child("jobs") is not None:
                events = doc.child("on") or doc.child("true")
                jobs = tuple((n, j) for n, j in doc.pairs("jobs") if j.map is not None)
                found.append(Workflow(path, doc, events, jobs))
            elif low.endswith(("/action.yml", "/action.yaml")) and doc.get("runs", "steps"):
                runs = doc.child("runs")
                found.append(Workflow(path, doc, None, (("runs", runs),) if runs else ()))
    return tuple(found)


def script(step: Node) -> tuple[Node, int] | None:
    """Text that a step runs, and the line where it begins."""
    node = step.child("run")
    if node is None and step.text_at("uses").startswith("actions/github-script"):
        node = step.get("with", "script")
    if node is None or not node.text:
        return None
    return node, node.line + (1 if node.block else 0)
