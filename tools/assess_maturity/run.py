"""assess_maturity: request and knowledge in, assessment out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from mlops_advisor.resources.loaders import Knowledge
from mlops_advisor.tools.assess_maturity import inputs, report
from mlops_advisor.tools.assess_maturity import questions as asking
from mlops_advisor.tools.assess_maturity import roadmap as planning
from mlops_advisor.tools.assess_maturity.case import Aim, Case, aim_of
from mlops_advisor.tools.assess_maturity.crosswalk import crosswalk
from mlops_advisor.tools.assess_maturity.gaps import gaps_of
from mlops_advisor.tools.assess_maturity.merge import merge
from mlops_advisor.tools.assess_maturity.models import (
    AssessMaturityInput,
    AssessMaturityResult,
    Dimension,
    Evidence,
    Phase,
    Question,
    Workings,
)
from mlops_advisor.tools.assess_maturity.overlays import overlays
from mlops_advisor.tools.assess_maturity.recommend import next_steps, recommend
from mlops_advisor.tools.assess_maturity.scoring import (
    Points,
    Rubric,
    Standing,
    named_confidence,
    named_level,
)
from mlops_advisor.tools.assess_maturity.target import choose
from mlops_advisor.tools.assess_maturity.text import narrate
from mlops_advisor.tools.assess_maturity.trim import trim
from mlops_advisor.tools.common.knowledge import knowledge_info
from mlops_advisor.tools.common.models import MaturityScore, Narrative
from mlops_advisor.tools.common.run import RunContext
from mlops_advisor.tools.matching.match import Matcher

STOP_AT = 0.95
QUESTIONS = 12
TOP_SCORE = 95  # a team with every practice in place scores about this; 100 is out of reach
TOP_LEVEL = 4
_SHOWN, _ALL = 3, 1_000_000  # pieces of evidence and gaps of a dimension: summary, full
LEVEL_RULE = "the highest level that five of six dimensions reach while none is more than one below"


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Knowledge as a cache key, by identity: it is frozen and loaded once."""

    knowledge: Knowledge

    def __hash__(self) -> int:
        return id(self.knowledge)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.knowledge is self.knowledge


@lru_cache(maxsize=4)
def _prepared(keyed: _Keyed) -> tuple[Rubric, Matcher]:
    knowledge = keyed.knowledge
    matcher = Matcher(knowledge.practices.values(), knowledge.lexicon, knowledge.words)
    return Rubric(knowledge), matcher


def run(request: AssessMaturityInput, context: RunContext) -> AssessMaturityResult:
    """Assess.  Raises InvalidInputError and PathDeniedError; reads files only below the roots."""
    rubric, matcher = _prepared(_Keyed(context.knowledge))
    inputs.check(request, rubric)
    result = _result(_case(request, context, rubric, matcher))
    if request.options.narrative != "none":
        text = Narrative(text=narrate(result), source="template")
        result = result.model_copy(update={"narrative": text})
    return trim(result) if request.options.detail == "summary" else result


def _case(
    request: AssessMaturityInput, context: RunContext, rubric: Rubric, matcher: Matcher
) -> Case:
    read = inputs.read(request, context, matcher)
    merged = merge(rubric.practices, request.responses, read.matches, read.facts)
    points = _frequency(rubric, read.releases)
    standings, lows, highs = rubric.assess(merged.known, merged.excluded, points)
    level = named_level(s.level for s in standings.values())
    return Case(
        request,
        context,
        rubric,
        read,
        merged,
        standings,
        lows,
        highs,
        level,
        round(named_confidence(standings.values(), level), 4),
        {d: rubric.coverage(d, merged.known, merged.excluded) for d in standings},
    )


def _frequency(rubric: Rubric, releases: float | None) -> Points | None:
    if releases is None:
        return None
    reached = [f for f in rubric.frequencies if f.per_year <= releases]
    return max(reached, key=lambda f: f.per_year).points


def _result(case: Case) -> AssessMaturityResult:
    context, request = case.context, case.request
    regimes = overlays(context.knowledge.overlays, request.context, case.known)
    aim = aim_of(case, choose(request.context, request.target_level, case.level), regimes)
    phases = _roadmap(case, aim)
    questions, why_ask = _questions(case)
    disagreements = report.contradictions(case)
    score = _mean(case.standings.values())
    goal = TOP_SCORE if aim.target.level == TOP_LEVEL else 25 * aim.target.level
    return AssessMaturityResult(
        level=case.level,
        level_name=report.name_of(case.level),
        level_rule=LEVEL_RULE,
        maturity_score=MaturityScore(current=score, target=max(score, goal)),
        score_low=_mean(case.lows.values()),
        score_high=_mean(case.highs.values()),
        confidence=case.confidence,
        coverage=round(sum(case.coverage.values()) / len(case.coverage), 4),
        target_level=aim.target.level,
        target_why=aim.target.why,
        dimensions=tuple(_dimension(case, aim, d) for d in case.standings),
        recommendations=recommend(case, aim, phases),
        next_steps=next_steps(phases, questions, disagreements),
        roadmap=phases,
        questions=questions,
        asking=why_ask,
        contradictions=disagreements,
        overlays=regimes,
        crosswalk=crosswalk(
            context.knowledge.crosswalk, case.known, case.read.releases, request.delivery
        ),
        change=report.change(case, score),
        stated_level=report.stated(case),
        inventory=case.read.inventory,
        warnings=report.warnings(case, aim),
        assumptions=report.assumptions(case, aim),
        unread=case.read.unread,
        not_assessed=report.not_assessed(case),
        truncated=(),
        handoffs=report.handoffs(case, phases),
        degradation=report.degradation(case),
        narrative=Narrative(),
        knowledge=knowledge_info(context),
    )


def _mean(standings: Iterable[Standing]) -> int:
    scores = [s.score for s in standings]
    return min(100, max(0, int(sum(scores) / len(scores) + 0.5)))


def _roadmap(case: Case, aim: Aim) -> tuple[Phase, ...]:
    if not case.known and not aim.urgent:
        return ()  # a plan for a team nobody has said anything about would be made up
    wanted = planning.candidates(case, aim)
    team = case.request.context.team_size or report.DEFAULT_TEAM
    phases = planning.build(case, wanted, team)
    return phases[:1] if case.request.options.scope == "minimal" else phases


def _dimension(case: Case, aim: Aim, dimension: str) -> Dimension:
    info = case.context.knowledge.dimensions[dimension]
    standing = case.standings[dimension]
    own = case.rubric.by_dimension[dimension]
    summary = case.request.options.detail == "summary"
    evidence, count = _evidence(case, standing, own, _SHOWN if summary else _ALL)
    gaps, gap_count = gaps_of(case, aim, dimension, _SHOWN if summary else _ALL)
    return Dimension(
        id=info.id,
        name=info.name,
        level=standing.level,
        score=round(standing.score, 1),
        score_low=round(case.lows[dimension].score, 1),
        score_high=round(case.highs[dimension].score, 1),
        confidence=round(standing.confidence, 4),
        coverage=round(case.coverage[dimension], 4),
        cell=info.cells[standing.level],
        evidence=evidence,
        evidence_in_all=count,
        gaps=gaps,
        gaps_in_all=gap_count,
        workings=_workings(case.rubric, standing),
    )


def _evidence(
    case: Case, standing: Standing, own: Sequence[str], most: int
) -> tuple[tuple[Evidence, ...], int]:
    """Return the weightiest evidence of a dimension, and how many pieces there are."""
    spoken = case.merged.spoken
    weight = {s.what: s.points for s in standing.steps}
    ranked = sorted((p for p in own if p in spoken), key=lambda p: -weight.get(p, 0))
    tools = [
        t for t in case.read.tools if case.rubric.dimension_of[t.practice] == standing.dimension
    ]
    # The best piece of every practice first, then what else there is.
    found: list[Evidence] = []
    more: list[Evidence] = []
    for practice in ranked:
        if len(found) >= most:
            break
        pieces = case.merged.evidence(practice)
        found.extend(pieces[:1])
        more.extend(pieces[1:])
    found.extend((*more, *tools))
    return tuple(found[:most]), sum(spoken[p].count for p in ranked) + len(tools)


def _frequency_steps(points: Sequence[int]) -> Iterator[str]:
    """Yield the points of a release frequency in the form of all other steps."""
    for level, (below, above) in enumerate(pairwise(points), start=1):
        if below != above:
            side = ">=" if above > below else "<"
            yield f"release_frequency +{abs(above - below)} {side}{level}"


def _workings(rubric: Rubric, standing: Standing) -> Workings:
    steps = [s.text for s in standing.steps]
    steps.extend(
        f"other_dimensions +{abs(lent)} {'>=' if lent > 0 else '<'}{level}"
        for level, lent in enumerate(standing.carry, start=1)
        if lent
    )
    steps.extend(_frequency_steps(standing.frequency or ()))
    cap = standing.cap
    return Workings(
        prior=rubric.prior,
        steps=tuple(steps),
        points=standing.points,
        capped_at=cap.below - 1 if cap else None,
        cap_reason=f"{cap.needs} is known to be absent. {cap.why}" if cap else None,
    )


def _questions(case: Case) -> tuple[tuple[Question, ...], str]:
    """Return what to ask, and whether asking is still worth it."""
    if case.confidence >= STOP_AT:
        return (), f"not needed: confidence {case.confidence} is at least {STOP_AT}"
    if not case.undecided:
        return (), "not needed: no answer could change the overall level"
    ranked = asking.rank(case, limit=QUESTIONS)
    if not ranked:
        return (), "nothing is left to ask"
    dimensions = case.context.knowledge.dimensions
    practices = case.rubric.practices
    questions = tuple(
        Question(
            practice=r.practice,
            dimension=dimensions[r.dimension].id,
            question=practices[r.practice].question,
            answers=asking.ANSWERS,
            why=(
                f"{r.bits:.2f} bits on {dimensions[r.dimension].short}: tells level "
                f"{practices[r.practice].level} from what lies below"
            ),
        )
        for r in ranked
    )
    return questions, f"worth it: confidence is {case.confidence}, asking stops at {STOP_AT}"
