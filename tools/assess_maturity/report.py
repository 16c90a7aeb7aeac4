"""What stands around the score: contradictions, warnings, assumptions, hand-offs, changes."""

from __future__ import annotations

from typing import cast

from mlops_advisor.tools.assess_maturity.case import LACKING, Aim, Case
from mlops_advisor.tools.assess_maturity.models import (
    Change,
    Contradiction,
    Handoff,
    HandoffPayload,
    Phase,
    StatedLevel,
)
from mlops_advisor.tools.assess_maturity.scoring import MET
from mlops_advisor.tools.common.models import Assumption, Degradation, MaturityName
from mlops_advisor.tools.evidence.models import Fact, Outcome

DEFAULT_TEAM = 5
_NAMES = ("ad_hoc", "repeatable", "reliable", "scalable", "optimized")


def name_of(level: int) -> MaturityName:
    """Return the name of a level 0-4."""
    return cast("MaturityName", _NAMES[level])


def contradictions(case: Case) -> tuple[Contradiction, ...]:
    """Return where sources disagree, and what is claimed without what it rests on."""
    found = list(case.merged.contradictions)
    for practice, state in case.known.items():
        if state.answer not in MET or not state.settled:
            continue
        for needed in case.rubric.practices[practice].prerequisites:
            below = case.known.get(needed)
            if below is not None and below.settled and below.answer == "no":
                found.append(
                    Contradiction(
                        practice=practice,
                        one=f"{practice} is said to be done",
                        other=f"{needed}, which it rests on, is said to be absent",
                        used="both, as told; one of the two should be checked",
                    )
                )
    return tuple(found)


def change(case: Case, score: int) -> Change | None:
    """Return the difference to an earlier result, if one was given."""
    previous = case.request.previous
    if previous is None:
        return None
    return Change(
        score=score - previous.maturity_score.current,
        level=None if previous.level is None else case.level - previous.level,
        dimensions={
            d.id: round(case.standings[d.id].score - d.score, 1) + 0.0
            for d in previous.dimensions
            if d.id in case.standings
        },
    )


def stated(case: Case) -> StatedLevel | None:
    """Compare the level the caller believes in with the computed one; it was never used."""
    believed = case.request.context.current_maturity
    if believed is None:
        return None
    apart = _NAMES.index(believed) - case.level
    if apart == 0:
        note = "the stated level agrees with the evidence"
    else:
        where = "above" if apart > 0 else "below"
        note = f"the stated level is {abs(apart)} {where} what the evidence supports; not used"
    return StatedLevel(stated=believed, computed=name_of(case.level), note=note)


def warnings(case: Case, aim: Aim) -> tuple[str, ...]:
    """Return what to be careful with."""
    known, context = case.known, case.request.context
    found = list(aim.target.warnings)
    if not known:
        found.append(
            "nothing is known yet: the score is the rubric's starting point, not an assessment"
        )
    found.extend(
        f"{s.dimension} cannot be above level {s.cap.below - 1}: {s.cap.needs} is known to be "
        f"absent. {s.cap.why}"
        for s in case.standings.values()
        if s.cap
    )
    retrained = known.get("continuous_training") or known.get("training_triggered")
    gate = known.get("model_validation_gate")
    if retrained and retrained.answer in MET and not (gate and gate.answer in MET):
        state = "is absent" if gate else "was not mentioned"
        found.append(f"models retrain without a person and a validation gate {state}")
    found.extend(
        f"what looks like a credential is written in {place.path}:{place.line}; change it there "
        "and wherever it is valid, and take it from a secret store"
        for fact in credentials(case)
        for place in fact.places[:3]
    )
    if case.request.options.narrative == "llm":
        found.append("no model is configured to write the narrative; the template was used")
    if "llm" in context.workloads:
        found.append(
            "generative AI is an overlay: its requirements are in overlays[] and do not score"
        )
    if "other" in context.compliance:
        found.append("compliance 'other' was not assessed: name the regime's requirements")
    if case.read.cut_short:
        found.append("not everything was read; see degradation.omitted")
    return tuple(found)


def credentials(case: Case) -> tuple[Fact, ...]:
    """Return the facts that show a credential in a file."""
    return tuple(
        f
        for f in case.read.facts
        if f.practice == "secrets_managed" and f.outcome is Outcome.ABSENT and f.places
    )


def assumptions(case: Case, aim: Aim) -> tuple[Assumption, ...]:
    """Return the values supplied by default; a practice is never among them."""
    found = list(aim.target.assumptions)
    if case.request.context.team_size is None:
        why = "not given; decides how much fits into a phase, not the score"
        found.append(Assumption(field="context.team_size", value=str(DEFAULT_TEAM), why=why))
    return tuple(found)


def not_assessed(case: Case) -> tuple[str, ...]:
    """Return what was not looked at, dimensions nobody spoke of first."""
    silent = [
        f"{d}: nothing is known; its score is a guess from the rubric's start and the rest"
        for d in case.standings
        if case.coverage[d] == 0.0
    ]
    return (*silent, *case.read.not_assessed)


def handoffs(case: Case, phases: tuple[Phase, ...]) -> tuple[Handoff, ...]:
    """Return work for other agents, when one of their practices is on the roadmap."""
    planned = {item.practice for phase in phases for item in phase.items}
    request = case.request
    found: list[Handoff] = []
    for rule in case.context.knowledge.rubric.handoffs:
        build = tuple(p for p in rule.practices if p in planned)
        if not build:
            continue
        payload = HandoffPayload(
            practices_to_build=build,
            practices_in_place=tuple(
                p
                for p in rule.practices
                if p in case.known and case.known[p].settled and case.known[p].answer not in LACKING
            ),
            current_tools=tuple(sorted(set(request.current_tools))),
            cloud_provider=request.context.cloud_provider,
            team_size=request.context.team_size,
            compliance=request.context.compliance,
        )
        found.append(Handoff(agent=rule.agent, task_type=rule.task_type, payload=payload))
    return tuple(found)


def degradation(case: Case) -> Degradation:
    """Say whether the workspace was read in full."""
    if not case.read.cut_short:
        return Degradation()
    return Degradation(
        level=1,
        action="assessed what had been read; the rest counts as unknown",
        reason="the time or a size limit was reached while reading",
        omitted=case.read.cut_short,
    )
