"""Request and result of assess_maturity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mlops_advisor.tools.common.models import (
    Assumption,
    Context,
    Degradation,
    DimensionId,
    EffortDays,
    Frozen,
    HandoffAgent,
    InlineFile,
    KnowledgeInfo,
    MaturityName,
    MaturityScore,
    Narrative,
    Options,
    Priority,
    Recommendation,
    Text,
    Truncated,
)

ResponseAnswer = Literal["no", "partly", "by_hand", "automated", "not_applicable", "unknown"]
EvidenceSource = Literal["response", "practice_text", "tool", "file"]
Level = Annotated[int, Field(ge=0, le=4)]
Score = Annotated[float, Field(ge=0, le=100)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Response(Frozen):
    """An answer to one practice."""

    practice: str = Field(
        max_length=100,
        description="Practice id, from questions[] or mlops://rubric.",
    )
    answer: ResponseAnswer = Field(
        description="no, partly, by_hand, automated, not_applicable or unknown. unknown is not no."
    )


class Delivery(Frozen):
    """Delivery figures of the team, each on its own scale (DORA)."""

    lead_time_days: float | None = Field(
        default=None, ge=0, le=3650, description="Days from commit to production, 0 or more."
    )
    change_failure_rate: float | None = Field(
        default=None, ge=0, le=1, description="Share of releases that fail, 0-1."
    )
    recovery_hours: float | None = Field(
        default=None, ge=0, le=87_600, description="Hours to recover from a failed release."
    )


class PreviousDimension(BaseModel):
    """A dimension of an earlier result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=60, description="Dimension id.")
    score: float = Field(ge=0, le=100, description="Score then, 0-100.")
    level: int | None = Field(default=None, ge=0, le=4, description="Level then, 0-4.")


class PreviousScore(BaseModel):
    """The overall score of an earlier result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    current: int = Field(ge=0, le=100, description="Score then, 0-100.")


class Previous(BaseModel):
    """An earlier result of this tool; only the fields named here are read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    maturity_score: PreviousScore = Field(description="Overall score then.")
    dimensions: tuple[PreviousDimension, ...] = Field(
        default=(), max_length=20, description="Dimensions then."
    )
    level: int | None = Field(default=None, ge=0, le=4, description="Overall level then, 0-4.")


class AssessMaturityInput(Frozen):
    """What is known about the team; everything optional, everything combinable."""

    responses: tuple[Response, ...] = Field(
        default=(), max_length=1000, description="Answers by practice id."
    )
    practices: tuple[Text, ...] = Field(
        default=(),
        max_length=500,
        description="What the team does, in plain sentences, up to 4000 characters each.",
    )
    current_tools: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        default=(), max_length=200, description="Tool names. Recorded; tools alone score nothing."
    )
    deployment_frequency: Annotated[str, Field(max_length=200)] | None = Field(
        default=None,
        description=(
            "New model versions reaching production: on_demand, daily, weekly, monthly, "
            "quarterly, yearly, never, or words such as 'twice a year'."
        ),
    )
    app_deployment_frequency: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The same for the code around the models. Reported, not scored."
    )
    delivery: Delivery | None = Field(default=None, description="Delivery figures (DORA).")
    workspace: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        default=None,
        description="Folder to read evidence from, inside the server's roots. Nothing is executed.",
    )
    files: tuple[InlineFile, ...] = Field(
        default=(), max_length=2000, description="Files given inline instead of a workspace."
    )
    target_level: int | None = Field(
        default=None, ge=0, le=4, description="Level to aim at, 0-4. Suggested if absent."
    )
    previous: Previous | None = Field(default=None, description="An earlier result to compare.")
    context: Context = Field(default=Context(), description="Facts about the organisation.")
    options: Options = Field(default=Options(), description="How to work and what to return.")


class Evidence(Frozen):
    """One piece of evidence for or against a practice."""

    practice: str = Field(description="Practice id; 'none' for a tool named alone.")
    source: EvidenceSource = Field(description="response, practice_text, tool or file.")
    detail: str = Field(description="What was found, quoted where it is text.")
    path: str | None = Field(default=None, description="File, relative, posix.")
    line: int | None = Field(default=None, ge=1, description="Line, 1 or more.")


class Gap(Frozen):
    """A practice that is not there, or not fully."""

    practice: str = Field(description="Practice id.")
    level: Level = Field(description="Level the practice belongs to, 1-4.")
    why: str = Field(description="What is missing and how that is known.")
    priority: Priority = Field(description="critical, high, medium or low.")


class Workings(Frozen):
    """The sum behind a dimension: add prior and steps per level; 20 points are a factor of ten."""

    prior: tuple[int, ...] = Field(description="Points of levels 0-4 before any evidence.")
    steps: tuple[str, ...] = Field(
        description="'practice +points >=L' adds to levels L and up, '<L' to those below."
    )
    points: tuple[int, ...] = Field(description="Points of levels 0-4 in all.")
    capped_at: int | None = Field(
        default=None,
        ge=0,
        le=4,
        description="Highest level allowed while a prerequisite is absent.",
    )
    cap_reason: str | None = Field(default=None, description="Which prerequisite, and why.")


class Dimension(Frozen):
    """One dimension of the assessment."""

    id: DimensionId = Field(description="Dimension id.")
    name: str = Field(description="Name for people.")
    level: Level = Field(description="Median level, 0-4.")
    score: Score = Field(description="25 x expected level, 0-100.")
    score_low: Score = Field(description="Score if every unknown is no, 0-100.")
    score_high: Score = Field(description="Score if every unknown is automated, 0-100.")
    confidence: Probability = Field(description="Probability of the level, 0-1.")
    coverage: Probability = Field(description="Share of weighted practices known, 0-1.")
    cell: str = Field(description="What a team at this level looks like.")
    evidence: tuple[Evidence, ...] = Field(description="Evidence, strongest first.")
    evidence_in_all: int = Field(ge=0, description="Pieces of evidence, listed or not.")
    gaps: tuple[Gap, ...] = Field(description="Gaps, most pressing first.")
    gaps_in_all: int = Field(ge=0, description="Gaps, listed or not.")
    workings: Workings = Field(description="The sum behind the score.")


class RoadmapItem(Frozen):
    """One step of the roadmap; the recommendation of the same id says what to do."""

    practice: str = Field(description="Practice id, also the id of the recommendation.")
    title: str = Field(description="Short name.")
    confirm_first: bool = Field(description="true: nobody has said it is missing; check before.")
    prerequisites: tuple[str, ...] = Field(description="Practice ids that must stand before.")
    effort_days: EffortDays = Field(description="Person-days, low and high.")
    owner: str = Field(description="Role that owns it.")
    exit_test: str = Field(description="How to tell that it is done.")
    score_gained: float = Field(
        ge=0, description="Its share of the overall score that the phase gains, 0-100."
    )


class Phase(Frozen):
    """A phase of the roadmap."""

    name: str = Field(description="Now, Next or Later.")
    weeks: int = Field(ge=1, description="Length in weeks.")
    capacity_days: float = Field(ge=0, description="Person-days set aside for improvement.")
    items: tuple[RoadmapItem, ...] = Field(description="Steps in order.")
    items_in_all: int = Field(ge=0, description="Steps of the phase, listed or not.")
    effort_days: EffortDays = Field(description="Person-days of the phase.")
    score_after: int = Field(ge=0, le=100, description="Overall score after the phase, 0-100.")
    exit: str = Field(description="How to tell that the phase is done.")


class Question(Frozen):
    """What to ask next."""

    practice: str = Field(description="Practice id, for responses[].")
    dimension: DimensionId = Field(description="Dimension id.")
    question: str = Field(description="The question.")
    answers: tuple[str, ...] = Field(description="Answers allowed.")
    why: str = Field(description="What the answer tells.")


class PublishedLevel(Frozen):
    """Where the team stands in a published model, by that model's own criteria."""

    level: str = Field(description="Level reached.")
    name: str = Field(description="The model's name for the level.")
    missing_for_next: tuple[str, ...] = Field(
        description="Practice ids, known to be absent or partial, that the next level asks for."
    )
    unknown_for_next: tuple[str, ...] = Field(
        description="Practice ids nobody has spoken of that the next level asks for."
    )
    note: str = Field(description="What the model does not look at.")


class MlTestScore(Frozen):
    """ML Test Score (Breck et al. 2017): 28 tests, 0 / 0.5 / 1, minimum of four sections."""

    score: float = Field(ge=0, le=7, description="Minimum of the four sections, 0-7.")
    score_high: float = Field(ge=0, le=7, description="The same if all unknowns were automated.")
    band: str = Field(description="The paper's word for it.")
    sections: dict[str, float] = Field(description="Sum per section, 0-7 each.")
    unknown: int = Field(ge=0, le=28, description="Tests nobody has spoken of, scored 0.")


class DeliveryBand(Frozen):
    """One delivery metric on its own scale."""

    metric: str = Field(description="Metric.")
    value: str = Field(description="Value given, with unit.")
    band: str = Field(description="Band on the metric's own scale.")
    note: str = Field(description="How to read it.")


class Crosswalk(Frozen):
    """The published models, reported and never scored."""

    google: PublishedLevel = Field(description="Google Cloud, levels 0-2.")
    microsoft: PublishedLevel = Field(description="Microsoft, levels 0-4.")
    aws: PublishedLevel = Field(description="AWS, initial to scalable.")
    ml_test_score: MlTestScore = Field(description="ML Test Score.")
    dora: tuple[DeliveryBand, ...] = Field(description="Delivery metrics given, if any.")


class Contradiction(Frozen):
    """Two sources that disagree."""

    practice: str = Field(description="Practice id, or 'level' for the stated level.")
    one: str = Field(description="One side, with its source.")
    other: str = Field(description="The other side, with its source.")
    used: str = Field(description="Which side the score uses, and why.")


class OverlayGap(Frozen):
    """A requirement of a regime or of generative AI."""

    overlay: str = Field(description="Regime or kind of workload.")
    requirement: str = Field(description="What is asked.")
    cite: str = Field(description="Where it stands.")
    status: Literal["met", "gap", "unknown"] = Field(description="met, gap or unknown.")
    practices: tuple[str, ...] = Field(description="Practice ids that answer it.")
    question: str = Field(description="What to ask to settle it.")


class Change(Frozen):
    """Difference to an earlier result."""

    score: int = Field(ge=-100, le=100, description="Score now minus then.")
    level: int | None = Field(default=None, ge=-4, le=4, description="Level now minus then.")
    dimensions: dict[str, float] = Field(description="Score now minus then, per dimension.")


class StatedLevel(Frozen):
    """The level the caller believes in, compared."""

    stated: MaturityName = Field(description="Level stated.")
    computed: MaturityName = Field(description="Level computed.")
    note: str = Field(description="How they compare.")


class HandoffPayload(Frozen):
    """Facts for another agent."""

    practices_to_build: tuple[str, ...] = Field(description="Practice ids on the roadmap.")
    practices_in_place: tuple[str, ...] = Field(description="Practice ids known to be met.")
    current_tools: tuple[str, ...] = Field(description="Tools named by the caller.")
    cloud_provider: str | None = Field(default=None, description="Where workloads run.")
    team_size: int | None = Field(default=None, ge=1, description="People, 1 or more.")
    compliance: tuple[str, ...] = Field(description="Regimes that apply.")


class Handoff(Frozen):
    """Work for another agent."""

    agent: HandoffAgent = Field(description="Agent to hand to.")
    task_type: str = Field(description="What it should do.")
    payload: HandoffPayload = Field(description="Typed facts for it.")


class Inventory(Frozen):
    """What was read from the workspace."""

    files_read: int = Field(ge=0, description="Files read.")
    bytes_read: int = Field(ge=0, description="Bytes read.")
    languages: tuple[str, ...] = Field(description="Languages seen.")
    frameworks: tuple[str, ...] = Field(description="Frameworks seen.")
    skipped: tuple[str, ...] = Field(description="'path: reason' of what was not read.")


class Unread(Frozen):
    """Text that was not understood."""

    field: str = Field(description="Input field.")
    text: str = Field(description="The text, at most 200 characters.")


class AssessMaturityResult(Frozen):
    """The assessment."""

    level: Level = Field(description="Overall level, 0-4.")
    level_name: MaturityName = Field(description="Its name.")
    level_rule: str = Field(description="How the overall level follows from the dimensions.")
    maturity_score: MaturityScore = Field(description="Mean of the six dimensions, 0-100.")
    score_low: int = Field(ge=0, le=100, description="Score if every unknown is no, 0-100.")
    score_high: int = Field(ge=0, le=100, description="Score if every unknown is automated.")
    confidence: Probability = Field(description="Probability of the overall level, 0-1.")
    coverage: Probability = Field(description="Share of weighted practices known, 0-1.")
    target_level: Level = Field(description="Level aimed at, 0-4.")
    target_why: str = Field(description="Why this target.")
    dimensions: tuple[Dimension, ...] = Field(description="The six dimensions.")
    recommendations: tuple[Recommendation, ...] = Field(
        description="What to do, first things first."
    )
    next_steps: tuple[str, ...] = Field(description="Steps in order.")
    roadmap: tuple[Phase, ...] = Field(description="Phases.")
    questions: tuple[Question, ...] = Field(description="Most informative questions first.")
    asking: str = Field(description="Whether asking on would help, and why.")
    contradictions: tuple[Contradiction, ...] = Field(description="Where sources disagree.")
    overlays: tuple[OverlayGap, ...] = Field(description="Requirements of regimes and of LLMs.")
    crosswalk: Crosswalk = Field(description="Published models.")
    change: Change | None = Field(default=None, description="Difference to `previous`.")
    stated_level: StatedLevel | None = Field(default=None, description="Stated against computed.")
    inventory: Inventory | None = Field(default=None, description="What was read.")
    warnings: tuple[str, ...] = Field(description="What to be careful with.")
    assumptions: tuple[Assumption, ...] = Field(description="Values supplied by default.")
    unread: tuple[Unread, ...] = Field(description="Text not understood.")
    not_assessed: tuple[str, ...] = Field(description="What was not looked at.")
    truncated: tuple[Truncated, ...] = Field(description="Lists cut to fit.")
    handoffs: tuple[Handoff, ...] = Field(description="Work for other agents.")
    degradation: Degradation = Field(description="How this result falls short.")
    narrative: Narrative = Field(description="Prose.")
    knowledge: KnowledgeInfo = Field(description="Knowledge used.")
