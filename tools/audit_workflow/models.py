"""What audit_workflow takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
    MaturityScore,
    Narrative,
    Options,
    Recommendation,
    Truncated,
)

SeverityName = Literal["critical", "high", "medium", "low", "info"]
RuleName = Annotated[str, Field(pattern=r"^([A-Za-z]{2}\d{0,2}|\*)$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[int, Field(ge=0, le=100)]


class AuditWorkflowInput(Frozen):
    """A workspace or files, and what to report of them."""

    context: Context = Field(default=Context(), description="Facts about the organisation.")
    options: Options = Field(default=Options(), description="How to work, how much to return.")
    workspace: str | None = Field(
        default=None, max_length=4096, description="Folder to audit, inside the server's roots."
    )
    files: tuple[InlineFile, ...] = Field(
        default=(), max_length=2000, description="Files to audit, instead of a workspace."
    )
    documentation: str = Field(
        default="",
        max_length=200_000,
        description="Text about the system. Its claims are compared with the files.",
    )
    select: tuple[RuleName, ...] = Field(
        default=(), max_length=200, description="Only these rules: ids or prefixes, DM06 or DM."
    )
    ignore: tuple[RuleName, ...] = Field(
        default=(), max_length=200, description="Not these rules: ids or prefixes."
    )
    exclude: tuple[Annotated[str, Field(max_length=400)], ...] = Field(
        default=(), max_length=200, description="Paths to leave out, patterns as in .gitignore."
    )
    only: tuple[Annotated[str, Field(max_length=1024)], ...] = Field(
        default=(),
        max_length=20_000,
        description="Report only findings in these files; everything else is read all the same.",
    )
    min_severity: SeverityName = Field(
        default="info", description="Report nothing below this severity."
    )
    max_findings: int | None = Field(
        default=None, ge=1, le=10_000, description="At most so many findings, the worst first."
    )
    baseline: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(),
        max_length=20_000,
        description="Fingerprints of findings accepted earlier; they are counted as suppressed.",
    )
    changed_since: str | None = Field(
        default=None,
        max_length=200,
        description="A git revision: only findings on lines changed since. Needs a workspace.",
    )


class FoundAt(Frozen):
    """A finding."""

    rule_id: str = Field(description="Rule id, as in mlops://rules/{id}.")
    title: str = Field(description="What is wrong, in short.")
    severity: SeverityName = Field(description="Harm if it is true.")
    dimension: DimensionId = Field(description="Dimension id.")
    path: str = Field(description="Relative path, posix.")
    line: int = Field(ge=1, description="Line, 1-based; in a notebook that of the file.")
    end_line: int = Field(ge=1, description="Last line of it.")
    evidence: str = Field(description="The offending text, secrets redacted.")
    rationale: str = Field(description="What is wrong here, and why it matters.")
    remediation: str = Field(description="The change to make.")
    sources: tuple[str, ...] = Field(description="Published sources of the rule.")
    confidence: Probability = Field(description="How likely the finding is right, 0-1.")
    also: tuple[str, ...] = Field(default=(), description="path:line of other places it rests on.")
    fingerprint: str = Field(description="Key for a baseline; survives moved lines.")


class Risk(Frozen):
    """Risk by likelihood x impact."""

    score: Score = Field(description="0-100.")
    level: Literal["none", "low", "medium", "high", "critical"] = Field(description="Band.")
    by_dimension: dict[str, Score] = Field(description="The same formula per dimension.")
    formula: str = Field(description="How to recompute the score from the findings.")


class PracticeSeen(Frozen):
    """What the files say about one practice; the same probes as assess_maturity."""

    present: bool = Field(description="true: seen in code or configuration. false: looked for.")
    evidence: tuple[str, ...] = Field(description="path:line.")
    detail: str = Field(description="What was seen, or where it was looked for.")


class Skipped(Frozen):
    """Something that was not read or not understood."""

    path: str = Field(description="Path, or a language.")
    reason: str = Field(description="Why.")


class Inventory(Frozen):
    """What was read."""

    files_scanned: int = Field(ge=0, description="Files read.")
    bytes_scanned: int = Field(ge=0, description="Bytes read.")
    languages: tuple[str, ...] = Field(description="Languages, with the number of files.")
    frameworks: tuple[str, ...] = Field(description="Frameworks and platforms seen.")
    stages: tuple[str, ...] = Field(description="Parts of a model's life that the files show.")
    skipped: tuple[Skipped, ...] = Field(description="Not read, and why.")
    not_analysed: tuple[Skipped, ...] = Field(description="Read, but not understood.")


class PlanStep(Frozen):
    """One step of the plan: one rule, all its findings."""

    order: int = Field(ge=1, description="Position, 1 first.")
    rule_id: str = Field(description="Rule id.")
    action: str = Field(description="What to do.")
    findings: int = Field(ge=1, description="Findings it closes.")
    places: tuple[str, ...] = Field(description="path:line, the worst first.")
    severity: SeverityName = Field(description="Worst severity among them.")
    effort_days: EffortDays = Field(description="Person-days, an estimate.")
    depends_on: tuple[str, ...] = Field(description="Rule ids of steps to do before.")
    recheck: str = Field(description="Command that shows it is done.")


class SuppressedAt(Frozen):
    """A finding turned off by a comment or the baseline."""

    rule_id: str = Field(description="Rule id.")
    path: str = Field(description="Relative path.")
    line: int = Field(ge=1, description="Line.")
    by: Literal["comment", "baseline"] = Field(description="What turned it off.")
    reason: str = Field(description="Reason given; may be empty.")


class HandoffPayload(Frozen):
    """Findings for another agent."""

    rules: tuple[str, ...] = Field(description="Rule ids with findings.")
    places: tuple[str, ...] = Field(description="path:line of the worst.")


class Handoff(Frozen):
    """Work for another agent."""

    agent: HandoffAgent = Field(description="Agent to hand to.")
    task_type: str = Field(description="What it should do.")
    payload: HandoffPayload = Field(description="Typed facts for it.")


class AuditWorkflowResult(Frozen):
    """The audit."""

    findings: tuple[FoundAt, ...] = Field(description="Findings, worst first.")
    counts: dict[str, int] = Field(description="Findings by severity, listed or not.")
    rules_hit: dict[str, int] = Field(description="Findings by rule id, listed or not.")
    risk: Risk = Field(description="Risk of what was found.")
    practices: dict[str, PracticeSeen] = Field(description="Practice id to what the files show.")
    inventory: Inventory = Field(description="What was read.")
    remediation_plan: tuple[PlanStep, ...] = Field(description="Steps in dependency order.")
    quick_wins: tuple[str, ...] = Field(description="Half a day or less, medium or worse.")
    strengths: tuple[str, ...] = Field(description="Practices that the files show at work.")
    suppressed: int = Field(ge=0, description="Findings turned off.")
    suppressions: tuple[SuppressedAt, ...] = Field(description="Which, and why.")
    recommendations: tuple[Recommendation, ...] = Field(description="What to do, first first.")
    maturity_score: MaturityScore = Field(description="Empty: an audit scores no maturity.")
    next_steps: tuple[str, ...] = Field(description="Steps in order.")
    confidence: Probability = Field(
        description="Mean confidence of the findings x share of files understood x share of rules "
        "that ran, 0-1."
    )
    warnings: tuple[str, ...] = Field(description="What to be careful with.")
    assumptions: tuple[Assumption, ...] = Field(description="Values supplied by default.")
    unread: tuple[str, ...] = Field(description="Text not understood.")
    not_assessed: tuple[str, ...] = Field(description="What was not looked at.")
    truncated: tuple[Truncated, ...] = Field(description="Lists cut to fit.")
    handoffs: tuple[Handoff, ...] = Field(description="Work for other agents.")
    degradation: Degradation = Field(description="How this result falls short.")
    narrative: Narrative = Field(description="Prose.")
    knowledge: KnowledgeInfo = Field(description="Knowledge used.")
