"""Models shared by the five tools: what every request may hold and what every result holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MaturityName = Literal["ad_hoc", "repeatable", "reliable", "scalable", "optimized"]
Priority = Literal["critical", "high", "medium", "low"]
DimensionId = Literal[
    "data_management",
    "model_training",
    "deployment",
    "monitoring",
    "governance",
    "team_practices",
]
Compliance = Literal[
    "gdpr",
    "hipaa",
    "soc2",
    "pci_dss",
    "eu_ai_act_high_risk",
    "sr_11_7",
    "iso_42001",
    "fedramp",
    "other",
]
Workload = Literal["batch", "online", "streaming", "edge", "llm"]
HandoffAgent = Literal["02-experiment-tracking", "04-training-pipelines", "07-ml-infrastructure"]
Text = Annotated[str, Field(max_length=4000)]


class Frozen(BaseModel):
    """Base of all models: immutable; a field nobody knows is refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Context(Frozen):
    """Facts about the organisation that shape the advice."""

    team_size: int | None = Field(
        default=None, ge=1, le=1_000_000, description="People who build and run models, 1 or more."
    )
    current_maturity: MaturityName | None = Field(
        default=None,
        description="Level believed in, 0 ad_hoc to 4 optimized. Compared, never scored.",
    )
    cloud_provider: Literal["aws", "gcp", "azure", "on_prem", "hybrid"] | None = Field(
        default=None, description="Where workloads run."
    )
    budget_tier: Literal["startup", "growth", "enterprise"] | None = Field(
        default=None, description="Size of the budget."
    )
    compliance: tuple[Compliance, ...] = Field(
        default=(), max_length=9, description="Regimes that apply. Adds gaps, never score."
    )
    workloads: tuple[Workload, ...] = Field(
        default=(), max_length=5, description="Kinds of model workload in use."
    )
    criticality: Literal["low", "medium", "high"] | None = Field(
        default=None, description="Harm when the models fail; decides how high to aim."
    )


class Options(Frozen):
    """How to work and how much to return."""

    scope: Literal["full", "minimal"] = Field(
        default="full", description="minimal: only the key practices of each dimension are asked."
    )
    timeout_ms: int = Field(
        default=30_000, ge=1_000, le=300_000, description="Deadline in milliseconds, 1000-300000."
    )
    narrative: Literal["auto", "template", "llm", "none"] = Field(
        default="auto", description="Who writes the narrative text."
    )
    force_refresh: bool = Field(default=False, description="true: do not use cached narrative.")
    detail: Literal["summary", "full"] = Field(
        default="summary", description="summary: at most 8000 tokens; full: everything."
    )
    as_of: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="ISO date at which ages are judged; today if absent.",
    )
    interview: bool = Field(
        default=True,
        description="false: never ask the person through the client, only return questions.",
    )


class EffortDays(Frozen):
    """Effort in person-days."""

    low: float = Field(ge=0, description="Person-days, low end.")
    high: float = Field(ge=0, description="Person-days, high end.")


class Recommendation(Frozen):
    """One thing to do."""

    id: str = Field(description="Id, used in depends_on.")
    priority: Priority = Field(description="critical, high, medium or low.")
    action: str = Field(description="What to do.")
    rationale: str = Field(description="The gap it closes and the evidence for it.")
    estimated_effort: str = Field(description="Effort range in words, person-days.")
    effort_days: EffortDays = Field(description="The same range as numbers, person-days.")
    depends_on: tuple[str, ...] = Field(
        default=(), description="Ids of recommendations to do first."
    )


class MaturityScore(Frozen):
    """Overall score, 0 to 100."""

    current: int | None = Field(default=None, ge=0, le=100, description="Score now, 0-100.")
    target: int | None = Field(default=None, ge=0, le=100, description="Score aimed at, 0-100.")


class Assumption(Frozen):
    """A value the caller did not give."""

    field: str = Field(description="Input field, dotted.")
    value: str = Field(description="Value used.")
    why: str = Field(description="Why this value.")


class Degradation(Frozen):
    """How far this result falls short of a full run."""

    level: int = Field(
        default=0, ge=0, le=3, description="0 full, 1 core only, 2 cached, 3 minimal."
    )
    action: str = Field(default="none", description="What was done instead.")
    reason: str = Field(default="", description="Why.")
    omitted: tuple[str, ...] = Field(default=(), description="What was left out.")


class Narrative(Frozen):
    """Prose around the facts; never a source of facts."""

    text: str = Field(default="", description="The text, Markdown.")
    source: Literal["llm", "template", "cache", "none"] = Field(
        default="none", description="Who wrote it."
    )
    model: str | None = Field(default=None, description="Model id, if a model wrote it.")


class KnowledgeInfo(Frozen):
    """Which knowledge the answer rests on."""

    version: str = Field(description="Version of the knowledge data.")
    catalog_reviewed: str = Field(description="ISO date of the last review.")
    oldest_fact: str = Field(description="ISO date of the oldest fact used.")
    stale: bool = Field(description="true: oldest_fact is over 30 days before as_of.")


class Truncated(Frozen):
    """A list that was cut."""

    field: str = Field(description="List that was cut, dotted.")
    shown: int = Field(ge=0, description="Entries shown, 0 or more.")
    total: int = Field(ge=0, description="Entries there are, 0 or more.")


class InlineFile(Frozen):
    """A file given in the request."""

    path: str = Field(min_length=1, max_length=1024, description="Relative path, posix.")
    content: str = Field(max_length=1_048_576, description="Text, at most 1 MiB.")
