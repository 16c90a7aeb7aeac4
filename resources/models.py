"""Typed, frozen models of the knowledge files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Answer = Literal["no", "partly", "by_hand", "automated"]
DimensionId = Literal[
    "data_management",
    "model_training",
    "deployment",
    "monitoring",
    "governance",
    "team_practices",
]
Role = Literal[
    "data_scientist",
    "ml_engineer",
    "data_engineer",
    "platform_engineer",
    "product_owner",
    "ml_lead",
    "risk_officer",
]
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
IsoDate = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Line = Annotated[str, Field(min_length=1, max_length=600)]


class Data(BaseModel):
    """Base of all knowledge models: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Data):
    """A published work that entries cite; `how` says how it was checked."""

    id: Id
    title: Line
    publisher: Line
    year: int = Field(ge=1990, le=2100)
    url: str = Field(pattern=r"^https://")
    checked: IsoDate
    how: Literal["read", "excerpt", "secondary"]
    note: str = ""


class Sources(Data):
    """sources.yaml."""

    sources: tuple[Source, ...]


class Citation(Data):
    """A source and the place in it."""

    source: Id
    where: Line


class Effort(Data):
    """Person-days, and what the figure rests on."""

    low: float = Field(gt=0, le=400)
    high: float = Field(gt=0, le=400)
    basis: str = Field(pattern=r"^(judgement|source): ?\S")

    @model_validator(mode="after")
    def _ordered(self) -> Effort:
        if self.low > self.high:
            msg = "low is above high"
            raise ValueError(msg)
        return self


class Practice(Data):
    """One observable practice of the rubric."""

    id: Id
    title: Line
    level: int = Field(ge=1, le=4)
    weight: int = Field(ge=1, le=2)
    question: Line
    means: Line
    counts: tuple[Line, ...] = Field(min_length=1)
    does_not_count: tuple[Line, ...] = Field(min_length=1)
    prerequisites: tuple[Id, ...] = ()
    effort: Effort
    owner: Role
    action: Line
    exit_test: Line
    buys: Line
    sources: tuple[Citation, ...] = Field(min_length=1)
    says: tuple[Line, ...] = Field(min_length=1)
    denies: tuple[Line, ...] = ()


class PracticeFile(Data):
    """One file of practices; the file's name is the dimension."""

    practices: tuple[Practice, ...]


class LevelInfo(Data):
    """One of the five levels."""

    level: int = Field(ge=0, le=4)
    id: Literal["ad_hoc", "repeatable", "reliable", "scalable", "optimized"]
    meaning: Line


class DimensionInfo(Data):
    """One of the six dimensions, with what is observed at each level."""

    id: DimensionId
    name: Line
    short: Line
    cells: tuple[Line, Line, Line, Line, Line]


class AnswerPoints(Data):
    """Points of one source for each answer; `no` speaks for the levels below."""

    no: int = Field(ge=0)
    partly: int = Field(ge=0)
    by_hand: int = Field(ge=0)
    automated: int = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> AnswerPoints:
        if not self.partly <= self.by_hand <= self.automated:
            msg = "partly, by_hand, automated must not fall"
            raise ValueError(msg)
        return self


class PointTable(Data):
    """Points by source of knowledge, for a practice of weight 1."""

    file_enforced: AnswerPoints
    response: AnswerPoints
    file_wired: AnswerPoints
    practice_text: AnswerPoints
    file_configured: AnswerPoints
    document: AnswerPoints
    file_absent: AnswerPoints


class Cap(Data):
    """A dimension stays below `below` while every practice of `needs` is known to be absent."""

    dimension: DimensionId
    below: int = Field(ge=1, le=4)
    needs: Id
    why: Line


class FrequencyPoints(Data):
    """Points per level for one frequency of model releases."""

    frequency: Literal["never", "yearly", "quarterly", "monthly", "weekly", "daily", "on_demand"]
    per_year: float = Field(ge=0)
    points: tuple[int, int, int, int, int]


class Carry(Data):
    """What the other dimensions lend: their net points per level, divided, within +-`most`."""

    divisor: int = Field(ge=1)
    most: int = Field(ge=0)
    basis: Line


class HandoffRule(Data):
    """When work goes to another agent."""

    agent: Literal["02-experiment-tracking", "04-training-pipelines", "07-ml-infrastructure"]
    task_type: Id
    practices: tuple[Id, ...] = Field(min_length=1)


class RubricFile(Data):
    """rubric.yaml."""

    version: str
    reviewed: IsoDate
    points_per_decade: int = Field(ge=1)
    prior: tuple[int, int, int, int, int]
    prior_basis: Line
    levels: tuple[LevelInfo, LevelInfo, LevelInfo, LevelInfo, LevelInfo]
    dimensions: tuple[DimensionInfo, ...] = Field(min_length=6, max_length=6)
    points: PointTable
    points_basis: Line
    carry: Carry
    caps: tuple[Cap, ...]
    release_frequency: tuple[FrequencyPoints, ...] = Field(min_length=2)
    handoffs: tuple[HandoffRule, ...]
    tool_concepts: dict[Id, Id]


class Concepts(Data):
    """lexicon.yaml: word lists that patterns name as @concept, and the cue words.

    `guards`: a word that does not count alone when one of the listed words follows it.
    """

    concepts: dict[str, tuple[str, ...]]
    guards: dict[str, tuple[str, ...]]
    cues: dict[str, tuple[str, ...]]


class ExampleSentences(Data):
    """Sentences that state a practice (`yes`), and its absence (`no`)."""

    yes: tuple[Line, ...] = Field(min_length=1)
    no: tuple[Line, ...] = ()


class ExamplesFile(Data):
    """One file of examples; `_none` holds sentences that state no practice."""

    examples: dict[str, ExampleSentences]


class WordWeights(Data):
    """words.json, generated: what each word stem adds to the odds of each class.

    A class is (practice, yes or no).  `unseen[w]`: what word w costs a class that lacks it;
    `seen[w]`: what it adds, by number of the class.  Hundredths of a natural unit of log-odds.
    """

    classes: tuple[tuple[str, Literal["yes", "no"]], ...]
    unseen: dict[str, int]
    seen: dict[str, dict[int, int]]


class Principle(Data):
    """A principle or a stage of the lifecycle, and the practices that live it."""

    id: Id
    name: Line
    means: Line
    practices: tuple[Id, ...] = Field(min_length=1)
    sources: tuple[Citation, ...] = Field(min_length=1)


class PrinciplesFile(Data):
    """principles.yaml: the lifecycle in order, and the principles."""

    lifecycle: tuple[Principle, ...]
    principles: tuple[Principle, ...]


class ModelLevel(Data):
    """One level of a published model, with the practices that it asks for."""

    level: Line
    name: Line
    needs: tuple[tuple[Id, ...], ...] = ()
    note: str = ""


class PublishedModel(Data):
    """A published maturity model as criteria over our practices.

    `needs` is a list of groups: one practice of each group must be met.
    """

    id: Id
    name: Line
    source: Id
    levels: tuple[ModelLevel, ...]
    not_covered: Line


class TestItem(Data):
    """One of the 28 items of the ML Test Score."""

    id: str = Field(pattern=r"^(data|model|infra|monitoring)_[1-7]$")
    title: Line
    practice: Id


class Band(Data):
    """One band of a delivery metric: values up to and including `up_to`, in the metric's unit."""

    name: Line
    up_to: float | None = None


class DeliveryScale(Data):
    """The own scale of one DORA metric, best band first."""

    metric: Literal[
        "deployment_frequency", "lead_time_days", "change_failure_rate", "recovery_hours"
    ]
    unit: Line
    bands: tuple[Band, ...]
    note: Line


class CrosswalkFile(Data):
    """crosswalk.yaml: published models, ML Test Score, DORA."""

    models: tuple[PublishedModel, ...]
    ml_test_score: tuple[TestItem, ...] = Field(min_length=28, max_length=28)
    ml_test_bands: tuple[Band, ...]
    delivery: tuple[DeliveryScale, ...]
    delivery_source: Id


class Requirement(Data):
    """One requirement of a regime or of a kind of workload."""

    id: Id
    text: Line
    practices: tuple[Id, ...] = ()
    cite: Line
    question: Line


class Overlay(Data):
    """Gaps that a regime or generative AI adds; never a score."""

    id: Id
    name: Line
    applies_to: tuple[str, ...] = Field(min_length=1)
    source: Id
    checked: IsoDate
    note: Line
    requirements: tuple[Requirement, ...] = Field(min_length=1)


class OverlaysFile(Data):
    """overlays.yaml."""

    overlays: tuple[Overlay, ...]


class LifeTable(Data):
    """One product: the last day with free security fixes of each release cycle.

    `ends` maps a cycle (`3.9`, or `*` for every release) to that day; `names` maps code names of
    releases to cycles.  `checked` is the day somebody last looked at `url`.
    """

    id: Id
    name: Line
    url: str = Field(pattern=r"^https://")
    checked: IsoDate
    note: str = ""
    names: dict[str, str] = {}
    ends: dict[str, IsoDate] = Field(min_length=1)


class EndOfLifeFile(Data):
    """audit/end_of_life.yaml; `as_of` is the day of the last revision."""

    as_of: IsoDate
    products: tuple[LifeTable, ...]
