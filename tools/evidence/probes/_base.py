"""What a probe is, the four answers, and how strong evidence in code is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from mlops_advisor.tools.evidence.code import Hit
from mlops_advisor.tools.evidence.models import Outcome, Place, Strength
from mlops_advisor.tools.evidence.repository import Repository, shared

MAX_PLACES: Final = 5
C, W, E = Strength.CONFIGURED, Strength.WIRED, Strength.ENFORCED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a probe found; places are evidence, the best first."""

    outcome: Outcome
    detail: str
    strength: Strength | None = None
    places: tuple[Place, ...] = ()
    firm: bool = False  # files show the contrary, so a document's claim changes nothing


@dataclass(frozen=True, slots=True)
class Probe:
    """One question.  `searched` says where the answer is looked for."""

    id: str
    practice: str
    question: str
    searched: str
    look: Callable[[Repository], Verdict]


def probe(
    id_: str, *, practice: str, asks: str, searched: str
) -> Callable[[Callable[[Repository], Verdict]], Probe]:
    """Make a function the probe that answers a question."""

    def make(look: Callable[[Repository], Verdict]) -> Probe:
        return Probe(id_, practice, asks, searched, look)

    return make


class Spot(NamedTuple):
    """A place in a file; `scope` and `swallowed` matter for code."""

    path: str
    line: int
    scope: str = ""
    swallowed: bool = False


def spots(hits: Iterable[Hit]) -> list[Spot]:
    """Spots of calls."""
    return [Spot(h.module.path, h.call.line, h.call.scope, h.call.swallowed) for h in hits]


def show(repo: Repository, found: Iterable[Spot | tuple[str, int]]) -> tuple[Place, ...]:
    """Places of spots: each line once, at most five."""
    places: dict[tuple[str, int], Place] = {}
    for spot in found:
        key = (spot[0], spot[1])
        if key not in places:
            places[key] = repo.place(*key)
        if len(places) == MAX_PLACES:
            break
    return tuple(places.values())


def present(
    repo: Repository, strength: Strength, detail: str, found: Iterable[Spot | tuple[str, int]]
) -> Verdict:
    """Say that the practice is there, and how strong the evidence is."""
    return Verdict(Outcome.PRESENT, detail, strength, show(repo, found))


def absent(
    repo: Repository, detail: str, found: Iterable[Spot | tuple[str, int] | None] = ()
) -> Verdict:
    """Say that it was looked for where it would have to be, and is not there."""
    return Verdict(Outcome.ABSENT, detail, None, show(repo, [f for f in found if f is not None]))


def contrary(repo: Repository, detail: str, found: Iterable[Spot | tuple[str, int]]) -> Verdict:
    """Files show the contrary of the practice: absent, whatever documents say."""
    return Verdict(Outcome.ABSENT, detail, None, show(repo, found), firm=True)


def unknown(detail: str) -> Verdict:
    """Files cannot tell."""
    return Verdict(Outcome.UNKNOWN, detail)


def not_applicable(detail: str) -> Verdict:
    """Say that the workspace lacks the stage that makes the practice relevant."""
    return Verdict(Outcome.NOT_APPLICABLE, detail)


class Grade(NamedTuple):
    """Strength of evidence in code, why, and the spots, the strongest first."""

    strength: Strength
    why: str
    spots: list[Spot]


def grade(repo: Repository, found: Iterable[Spot], *, stops: bool = False) -> Grade | None:
    """Tell how far code is in use: written, used, or run without a person.

    With `stops`, code whose failure an `except` hides never counts as enforced.
    """
    graded: list[tuple[Strength, str, Spot]] = []
    known = _grades(repo)
    aside: dict[str, bool] = {}
    for spot in found:
        key = (spot.path, spot.scope, stops and spot.swallowed)
        if key not in known:
            known[key] = _grade_one(repo, spot, stops=stops)
        graded.append((*known[key], spot))
        if spot.path not in aside:
            aside[spot.path] = repo.is_aside(spot.path)
    if not graded:
        return None
    graded.sort(key=lambda g: (-g[0], aside[g[2].path], g[2].path, g[2].line))
    best = graded[0]
    return Grade(best[0], best[1], [g[2] for g in graded])


@shared
def _grades(_repo: Repository) -> dict[tuple[str, str, bool], tuple[Strength, str]]:
    """Give the grades known so far, by path, scope, and whether a failure is hidden."""
    return {}


def _grade_one(repo: Repository, spot: Spot, *, stops: bool) -> tuple[Strength, str]:
    weak = _weakness(repo, spot, stops=stops)
    if weak:
        return C, weak
    run = repo.runs.automatic.get(spot.path)
    if run is not None:
        return E, f"run without a person by {run.at}"
    hand = repo.runs.by_hand.get(spot.path)
    uses = (
        (spot.path in repo.flows.modules, E, "run as a step of a pipeline"),
        (spot.path in repo.code.training_code, W, "used by the training code"),
        (spot.path in repo.code.serving_code, W, "used by the serving code"),
        (spot.path in repo.code.batch, W, "used by the batch scoring code"),
        (hand is not None, W, f"run by {hand.at}" if hand else ""),
    )
    for true, strength, why in uses:
        if true:
            notebook = repo.code.modules[spot.path].notebook
            return (min(strength, W) if notebook else strength), why
    notebook = repo.code.modules[spot.path].notebook
    return C, "only in a notebook" if notebook else "nothing in the workspace runs it"


def _weakness(repo: Repository, spot: Spot, *, stops: bool) -> str:
    """Why code counts as written down only, whatever runs it; empty when it counts."""
    module = repo.code.modules.get(spot.path)
    if module is None:
        return "it is written down; nothing here runs it"
    if repo.is_aside(spot.path):
        return "only in an example"
    if not module.notebook and not repo.code.is_used(module, spot.scope):
        return f"`{spot.scope}` is defined but never called"
    return "its failure is caught and ignored" if stops and spot.swallowed else ""


def from_code(
    repo: Repository, what: str, found: Iterable[Spot], *, stops: bool = False, most: Strength = E
) -> Verdict | None:
    """Make a present verdict from spots in code, or None when there are none."""
    graded = grade(repo, found, stops=stops)
    if graded is None:
        return None
    strength = min(graded.strength, most)
    return present(repo, strength, f"{what}; {graded.why}.", graded.spots)


def first_of(repo: Repository, *looks: Callable[[Repository], Verdict | None]) -> Verdict | None:
    """Give the answer of the first look that has one."""
    for look in looks:
        verdict = look(repo)
        if verdict is not None:
            return verdict
    return None


def stronger(*verdicts: Verdict | None) -> Verdict | None:
    """Pick the verdict with the most strength, the first among equals."""
    best: Verdict | None = None
    for verdict in verdicts:
        if verdict is not None and (best is None or (verdict.strength or 0) > (best.strength or 0)):
            best = verdict
    return best
