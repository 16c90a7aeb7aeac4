"""audit_workflow: request and knowledge in, audit out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from mlops_advisor.tools.audit_workflow import external, memory, risk
from mlops_advisor.tools.audit_workflow.engine import Audit, Suppressed, examine
from mlops_advisor.tools.audit_workflow.models import (
    AuditWorkflowInput,
    AuditWorkflowResult,
    FoundAt,
    Handoff,
    HandoffPayload,
    Inventory,
    PlanStep,
    PracticeSeen,
    Risk,
    Skipped,
    SuppressedAt,
)
from mlops_advisor.tools.audit_workflow.plan import plan
from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import ORDER, Finding, Rule, Severity
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.audit_workflow.suppress import matches
from mlops_advisor.tools.audit_workflow.text import narrate
from mlops_advisor.tools.audit_workflow.trim import trim
from mlops_advisor.tools.common.errors import InvalidInputError, Problem
from mlops_advisor.tools.common.knowledge import knowledge_info
from mlops_advisor.tools.common.models import (
    Assumption,
    Degradation,
    DimensionId,
    MaturityScore,
    Narrative,
    Recommendation,
)
from mlops_advisor.tools.common.run import RunContext, ScanReport
from mlops_advisor.tools.evidence.collect import collect, collect_inline
from mlops_advisor.tools.evidence.ignore import IgnoreRules
from mlops_advisor.tools.evidence.models import (
    Outcome,
    ProbeReport,
    Skip,
    Strength,
    Workspace,
)
from mlops_advisor.tools.evidence.pause import collector_paused

_DIMENSIONS: Final[tuple[DimensionId, ...]] = (
    "data_management",
    "model_training",
    "deployment",
    "monitoring",
    "governance",
    "team_practices",
)
_READ, _CHECKED = 10, 90  # per cent of the work that is done after reading, after the rules
_QUICK_DAYS: Final = 0.5
_STEPS: Final = 10
_AGENTS: Final = {
    "02-experiment-tracking": ("mend_experiment_tracking", ("TR04", "TR05", "TR06", "TR07")),
    "04-training-pipelines": ("mend_training_pipeline", ("DM", "TR", "PL")),
    "07-ml-infrastructure": ("mend_serving_and_infrastructure", ("DS", "MO", "GS")),
}


def run(request: AuditWorkflowInput, context: RunContext) -> AuditWorkflowResult:
    """Audit.  Raises InvalidInputError and PathDeniedError; reads files only below the roots."""
    rules = _chosen(request)
    with collector_paused():
        repo = _open(request, context)
        context.progress(_READ, 100, f"{len(repo.files)} files read")
        changed = None
        if request.changed_since is not None and request.workspace is not None:
            texts = {path: file.text for path, file in repo.files.items()}
            changed = context.changed(request.workspace, request.changed_since, texts)
        audit, report = _examined(request, context, repo, rules)
        scan = ScanReport()
        if request.workspace is not None:  # after our own rules: it takes what time is left
            scan = context.scan(request.workspace, repo.paths)
        audit = external.merged(repo, audit, scan, rules)
        # Trees go before the collector comes back: it would look through every node of them.
        del repo
        result = _result(request, context, rules, audit, report, scan, changed)
    if request.options.narrative != "none":
        text = Narrative(text=narrate(result), source="template")
        result = result.model_copy(update={"narrative": text})
    return trim(result) if request.options.detail == "summary" else result


def _examined(
    request: AuditWorkflowInput,
    context: RunContext,
    repo: AuditRepository,
    rules: Sequence[Rule],
) -> tuple[Audit, ProbeReport]:
    """Recall findings and facts for the very same files, rules and day, or make them."""
    key = memory.digest(
        repo.workspace,
        context.as_of.isoformat(),
        context.knowledge.rubric.version,
        request.documentation,
        *(r.id for r in rules),
    )
    kept = None if request.options.force_refresh else memory.recall(key)
    if kept is not None:
        return kept
    told = _READ

    def progress(done: int, total: int, what: str) -> None:
        nonlocal told
        now = _READ + (_CHECKED - _READ) * done // max(1, total)
        if now > told:
            told = now
            context.progress(now, 100, what)

    audit = examine(repo, rules, progress)
    report = repo.report
    memory.keep(key, audit, report)
    return audit, report


def _chosen(request: AuditWorkflowInput) -> tuple[Rule, ...]:
    """Rules to run.  Raises InvalidInputError for a name that no rule has, and for odd requests."""
    known = all_rules()
    problems = []
    for field in ("select", "ignore"):
        for index, wanted in enumerate(getattr(request, field)):
            if not any(matches(r.id, wanted) for r in known):
                groups = sorted({r.id[:2] for r in known})
                near = [r.id for r in known if r.id[:2] == wanted[:2].upper()] or groups
                problems.append(
                    Problem(
                        f"{field}[{index}]",
                        f"no rule is called {wanted}; there are {', '.join(near[:20])}",
                    )
                )
    if request.workspace is None and not request.files and not request.documentation:
        problems.append(Problem("workspace", "give a workspace, or the files themselves in files"))
    if request.workspace is not None and request.files:
        problems.append(Problem("files", "give either workspace or files, not both"))
    if request.changed_since is not None and request.workspace is None:
        problems.append(Problem("changed_since", "needs a workspace that is a git work tree"))
    if problems:
        raise InvalidInputError(f"{len(problems)} field(s) do not validate", tuple(problems[:20]))
    return tuple(
        r
        for r in known
        if (not request.select or any(matches(r.id, s) for s in request.select))
        and not any(matches(r.id, s) for s in request.ignore)
    )


def _open(request: AuditWorkflowInput, context: RunContext) -> AuditRepository:
    workspace: Workspace
    if request.workspace is not None:
        workspace = collect(request.workspace, context.roots, expired=context.expired)
    else:
        workspace = collect_inline([(f.path, f.content) for f in request.files])
    return AuditRepository(
        _without(workspace, request.exclude),
        as_of=context.as_of,
        knowledge=context.knowledge,
        expired=context.expired,
        documentation=request.documentation,
    )


def _without(workspace: Workspace, patterns: Sequence[str]) -> Workspace:
    """Leave files out that match a pattern, and say so."""
    if not patterns:
        return workspace
    rules = IgnoreRules("\n".join(patterns))
    left = frozenset(p for p in workspace.paths if _excluded(rules, p))
    return replace(
        workspace,
        files=tuple(f for f in workspace.files if f.path not in left),
        paths=workspace.paths - left,
        skipped=(
            *workspace.skipped,
            *(Skip(f.path, "excluded by the request") for f in workspace.files if f.path in left),
        ),
    )


def _excluded(rules: IgnoreRules, path: str) -> bool:
    """Tell whether a path, or a folder that it lies in, is excluded."""
    parts = path.rstrip("/").split("/")
    folders = ("/".join(parts[:n]) for n in range(1, len(parts)))
    if any(rules.decide(f, folder=True) for f in folders):
        return True
    return bool(rules.decide(path.rstrip("/"), folder=path.endswith("/")))


def _result(  # noqa: PLR0913, PLR0917 - everything a result is made of
    request: AuditWorkflowInput,
    context: RunContext,
    rules: Sequence[Rule],
    audit: Audit,
    report: ProbeReport,
    scan: ScanReport,
    changed: Mapping[str, frozenset[int]] | None,
) -> AuditWorkflowResult:
    least = ORDER.index(Severity(request.min_severity))
    wanted = [f for f in audit.findings if ORDER.index(f.severity) <= least]
    if request.only:
        only = frozenset(request.only)
        wanted = [f for f in wanted if f.place.path in only]
    if changed is not None:
        wanted = [f for f in wanted if _on_changed_lines(f, changed)]
    baseline = frozenset(request.baseline)
    accepted = [f for f in wanted if f.fingerprint in baseline]
    findings = [f for f in wanted if f.fingerprint not in baseline]
    shown = findings[: request.max_findings]
    steps = plan(findings, request.workspace or ".")
    suppressions = (
        *(_suppressed(s, "comment") for s in audit.suppressed),
        *(_suppressed(Suppressed(f, "in the baseline"), "baseline") for f in accepted),
    )
    inventory = _inventory(report)
    omitted = tuple(dict.fromkeys((*audit.omitted, *report.omitted)))
    cut = bool(omitted) or report.inventory.truncated
    score = risk.score(findings)
    return AuditWorkflowResult(
        findings=tuple(_found(f) for f in shown),
        counts={s.value: n for s in ORDER if (n := sum(f.severity is s for f in findings))},
        rules_hit=dict(sorted(Counter(f.rule.id for f in findings).items())),
        risk=Risk(
            score=score,
            level=risk.level(score),
            by_dimension={
                d: risk.score(f for f in findings if f.rule.dimension == d) for d in _DIMENSIONS
            },
            formula=risk.FORMULA,
        ),
        practices=_practices(report),
        inventory=inventory,
        remediation_plan=steps,
        quick_wins=tuple(_quick_wins(findings)),
        strengths=tuple(_strengths(context, report)),
        suppressed=len(suppressions),
        suppressions=suppressions,
        recommendations=_recommendations(steps, findings),
        maturity_score=MaturityScore(),
        next_steps=tuple(f"{s.rule_id}: {s.action}" for s in steps[:_STEPS]),
        confidence=_confidence(findings, report, _ran(rules, audit)),
        warnings=tuple(_warnings(report, len(shown), len(findings), cut=cut)),
        assumptions=_assumptions(request, context),
        unread=(),
        not_assessed=tuple(_not_assessed(request, rules, report, scan)),
        truncated=(),
        handoffs=tuple(_handoffs(findings)),
        degradation=Degradation(
            level=1 if cut else 0,
            action="partial audit" if cut else "none",
            reason="the time was up, a limit was reached or a rule failed" if cut else "",
            omitted=omitted,
        ),
        narrative=Narrative(),
        knowledge=knowledge_info(context),
    )


def _on_changed_lines(finding: Finding, changed: Mapping[str, frozenset[int]]) -> bool:
    lines = changed.get(finding.place.path, frozenset())
    if any(n in lines for n in range(finding.place.line, finding.end_line + 1)):
        return True
    return any(p.line in changed.get(p.path, frozenset()) for p in finding.places)


def _found(finding: Finding) -> FoundAt:
    rule = finding.rule
    return FoundAt(
        rule_id=rule.id,
        title=rule.title,
        severity=finding.severity.value,
        dimension=rule.dimension,
        path=finding.place.path,
        line=finding.place.line,
        end_line=finding.end_line,
        evidence=finding.place.text,
        rationale=finding.why or rule.title,
        remediation=finding.fix,
        sources=rule.sources,
        confidence=round(finding.confidence, 2),
        also=tuple(f"{p.path}:{p.line}" for p in finding.places),
        fingerprint=finding.fingerprint,
    )


def _suppressed(one: Suppressed, by: str) -> SuppressedAt:
    place = one.finding.place
    return SuppressedAt(
        rule_id=one.finding.rule.id,
        path=place.path,
        line=place.line,
        by="comment" if by == "comment" else "baseline",
        reason=one.reason,
    )


def _practices(report: ProbeReport) -> dict[str, PracticeSeen]:
    """Practices that files speak of; what only a document claims is not present."""
    found: dict[str, PracticeSeen] = {}
    for fact in report.facts:
        seen = fact.outcome is Outcome.PRESENT and (fact.strength or 0) > Strength.CLAIMED
        looked = fact.outcome is Outcome.ABSENT or (fact.outcome is Outcome.PRESENT and not seen)
        known = found.get(fact.practice)
        if (seen and (known is None or not known.present)) or (looked and known is None):
            found[fact.practice] = PracticeSeen(
                present=seen,
                evidence=tuple(f"{p.path}:{p.line}" for p in fact.places),
                detail=fact.detail if seen else f"{fact.detail} Searched: {fact.searched}",
            )
    return dict(sorted(found.items()))


def _inventory(report: ProbeReport) -> Inventory:
    inventory = report.inventory
    return Inventory(
        files_scanned=inventory.files_read,
        bytes_scanned=inventory.bytes_read,
        languages=tuple(f"{name} ({count} files)" for name, count in inventory.languages),
        frameworks=inventory.frameworks,
        stages=inventory.stages,
        skipped=tuple(Skipped(path=s.path, reason=s.reason) for s in inventory.skipped),
        not_analysed=tuple(Skipped(path=s.path, reason=s.reason) for s in inventory.not_analysed),
    )


def _quick_wins(findings: Iterable[Finding]) -> Iterable[str]:
    seen: set[str] = set()
    for f in findings:
        quick = f.rule.effort_days[1] <= _QUICK_DAYS and ORDER.index(f.severity) <= ORDER.index(
            Severity.MEDIUM
        )
        if quick and f.rule.id not in seen:
            seen.add(f.rule.id)
            yield f"{f.rule.id} {f.place.path}:{f.place.line}: {f.fix}"


def _strengths(context: RunContext, report: ProbeReport) -> Iterable[str]:
    practices = context.knowledge.practices
    strong = [
        f
        for f in report.facts
        if f.outcome is Outcome.PRESENT and (f.strength or 0) >= Strength.WIRED and f.places
    ]
    strong.sort(key=lambda f: (-(f.strength or 0), f.practice))
    seen: set[str] = set()
    for fact in strong:
        if fact.practice not in seen and fact.practice in practices:
            seen.add(fact.practice)
            place = fact.places[0]
            yield f"{practices[fact.practice].title}: {fact.detail} ({place.path}:{place.line})"


def _recommendations(
    steps: Sequence[PlanStep], findings: Sequence[Finding]
) -> tuple[Recommendation, ...]:
    first = {f.rule.id: f for f in reversed(findings)}
    found = []
    for step in steps:
        low, high = step.effort_days.low, step.effort_days.high
        found.append(
            Recommendation(
                id=step.rule_id,
                priority="low" if step.severity == "info" else step.severity,
                action=step.action,
                rationale=f"{step.places[0]}: {first[step.rule_id].why}",
                estimated_effort=f"{low:g} to {high:g} person-days",
                effort_days=step.effort_days,
                depends_on=step.depends_on,
            )
        )
    return tuple(found)


def _ran(rules: Sequence[Rule], audit: Audit) -> float:
    """Share of the rules that looked at everything."""
    left = {said.partition(":")[0] for said in audit.omitted}
    return sum(r.id not in left for r in rules) / len(rules) if rules else 0.0


def _confidence(findings: Sequence[Finding], report: ProbeReport, ran: float) -> float:
    mean = sum(f.confidence for f in findings) / len(findings) if findings else 1.0
    inventory = report.inventory
    languages = dict(inventory.languages)
    broken = sum(languages.get(path, 1) for path in {s.path for s in inventory.not_analysed})
    read = inventory.files_read
    share = 1 - min(1.0, broken / read) if read else 0.0
    return round(mean * share * ran, 2)


def _warnings(report: ProbeReport, shown: int, total: int, *, cut: bool) -> Iterable[str]:
    if cut:
        yield "The audit is partial: see degradation.omitted and inventory.skipped."
    if shown < total:
        yield f"{total - shown} findings more than max_findings are not listed."
    if report.inventory.not_analysed:
        number = len(report.inventory.not_analysed)
        yield f"{number} entries were read but not understood: see inventory.not_analysed."
    if not report.inventory.files_read:
        yield "No file was read, so nothing was audited; this is no clean bill."


def _assumptions(request: AuditWorkflowInput, context: RunContext) -> tuple[Assumption, ...]:
    if request.options.as_of is not None:
        return ()
    return (
        Assumption(
            field="options.as_of",
            value=context.as_of.isoformat(),
            why="end of life is judged at this day; none was given, so it is today",
        ),
    )


def _not_assessed(
    request: AuditWorkflowInput, rules: Sequence[Rule], report: ProbeReport, scan: ScanReport
) -> Iterable[str]:
    for entry in report.inventory.not_analysed:
        yield f"{entry.path}: {entry.reason}"
    known = len(all_rules())
    if len(rules) < known:
        yield f"{known - len(rules)} of {known} rules were left out by select or ignore"
    yield from scan.notes
    if request.workspace is None:
        yield "files were given by hand: what is not among them is not known"
    yield "running systems, git history, access rights, people and process: only files were read"


def _handoffs(findings: Sequence[Finding]) -> Iterable[Handoff]:
    taken: set[str] = set()
    for agent, (task, prefixes) in _AGENTS.items():
        mine = [f for f in findings if f.rule.id.startswith(prefixes) and f.rule.id not in taken]
        ids = tuple(sorted({f.rule.id for f in mine}))
        taken.update(ids)
        if mine:
            yield Handoff.model_validate(
                {
                    "agent": agent,
                    "task_type": task,
                    "payload": HandoffPayload(
                        rules=ids,
                        places=tuple(f"{f.place.path}:{f.place.line}" for f in mine[:_STEPS]),
                    ),
                }
            )
