"""Ask every probe: a workspace in, a report of facts out.  Pure and deterministic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from mlops_advisor.tools.evidence.claims import claims_of
from mlops_advisor.tools.evidence.frameworks import frameworks_of
from mlops_advisor.tools.evidence.models import (
    Claim,
    Fact,
    Inventory,
    Outcome,
    ProbeReport,
    Skip,
    Strength,
    Workspace,
)
from mlops_advisor.tools.evidence.probes import all_probes
from mlops_advisor.tools.evidence.probes._base import Probe, Verdict
from mlops_advisor.tools.evidence.repository import Repository

_LANGUAGES: Final = {
    ".py": "Python",
    ".ipynb": "Jupyter",
    ".r": "R",
    ".rmd": "R",
    ".scala": "Scala",
    ".jl": "Julia",
    ".java": "Java",
    ".go": "Go",
    ".rs": "Rust",
    ".sql": "SQL",
    ".sh": "Shell",
    ".js": "JavaScript",
    ".ts": "TypeScript",
    ".cpp": "C++",
    ".cs": "C#",
    ".tf": "Terraform",
    ".yml": "YAML",
    ".yaml": "YAML",
    ".toml": "TOML",
    ".json": "JSON",
    ".md": "Markdown",
}
_NOT_READ: Final = frozenset(
    ("R", "Scala", "Julia", "Java", "Go", "Rust", "C++", "C#", "JavaScript", "TypeScript")
)
_NEGATIVE: Final = (Outcome.ABSENT, Outcome.NOT_APPLICABLE)
_MAX_NOT_ANALYSED: Final = 100


def _never() -> bool:
    return False


def probe_all(workspace: Workspace, *, expired: Callable[[], bool] = _never) -> ProbeReport:
    """Ask every probe about a workspace; those the deadline leaves over answer unknown."""
    return probe_repository(Repository(workspace, expired))


def probe_repository(repo: Repository) -> ProbeReport:
    """Ask every probe about a repository that is open already."""
    facts: list[Fact] = []
    omitted: list[str] = []
    claims = claims_of(repo)
    said: dict[str, list[Claim]] = {}
    for claim in claims:
        said.setdefault(claim.practice, []).append(claim)
    for probe in all_probes():
        if repo.late():
            omitted.append(probe.id)
            facts.append(
                Fact(
                    probe.id,
                    probe.practice,
                    Outcome.UNKNOWN,
                    None,
                    "Not examined: the time was up.",
                    (),
                    probe.searched,
                )
            )
            continue
        facts.append(_fact(probe, probe.look(repo), said.get(probe.practice, []), repo))
    facts.sort(key=lambda f: (f.practice, f.probe))
    return ProbeReport(tuple(facts), _inventory(repo), claims, tuple(omitted))


def _fact(probe: Probe, verdict: Verdict, said: list[Claim], repo: Repository) -> Fact:
    outcome, detail = verdict.outcome, verdict.detail
    if said and not verdict.firm and outcome in (Outcome.ABSENT, Outcome.UNKNOWN):
        return Fact(
            probe.id,
            probe.practice,
            Outcome.PRESENT,
            Strength.CLAIMED,
            f"A document says so; code and configuration do not show it: {detail}",
            tuple(c.place for c in said[:3]),
            probe.searched,
        )
    if outcome in _NEGATIVE and (repo.workspace.truncated or repo.cut):
        outcome, detail = Outcome.UNKNOWN, f"Reading was cut short, so this is open: {detail}"
    return Fact(
        probe.id, probe.practice, outcome, verdict.strength, detail, verdict.places, probe.searched
    )


def _inventory(repo: Repository) -> Inventory:
    counts: Counter[str] = Counter()
    foreign: Counter[str] = Counter()
    for path in repo.files:
        name = path.rsplit("/", 1)[-1].lower()
        language = _LANGUAGES.get("." + name.rpartition(".")[2]) if "." in name else None
        if name.startswith("dockerfile"):
            language = "Docker"
        if language:
            counts[language] += 1
            if language in _NOT_READ:
                foreign[language] += 1
    not_analysed = [
        Skip(language, f"{number} files: this language is not analysed")
        for language, number in sorted(foreign.items())
    ]
    broken = repo.broken()
    not_analysed += broken[:_MAX_NOT_ANALYSED]
    if len(broken) > _MAX_NOT_ANALYSED:
        not_analysed.append(Skip(".", f"and {len(broken) - _MAX_NOT_ANALYSED} more broken files"))
    return Inventory(
        files_read=len(repo.files),
        bytes_read=sum(f.size for f in repo.files.values()),
        languages=tuple(sorted(counts.items())),
        frameworks=frameworks_of(repo),
        stages=repo.stages.names,
        skipped=repo.workspace.skipped,
        not_analysed=tuple(not_analysed),
        truncated=repo.workspace.truncated or repo.cut,
    )
