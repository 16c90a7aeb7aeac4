"""How a new model reaches its traffic, and how it is taken back."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.yaml_tree import PLACEHOLDER
from mlops_advisor.tools.evidence.probes._base import (
    MAX_PLACES,
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.probes._deploy import (
    applied,
    deployment_shown,
)
from mlops_advisor.tools.evidence.probes._traffic import Split, splits
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.runs import Run

_ALL: Final = 100
_WHERE: Final = (
    "KServe, Seldon, Argo Rollouts, Flagger, Istio, Knative, SageMaker, "
    "Vertex and Azure ML traffic settings, and calls that shift traffic"
)
_UNDO: Final = re.compile(
    r"kubectl (?:\S{1,60} ){0,4}rollout undo|helm (?:\S{1,60} ){0,3}rollback|"
    r"argo rollouts (?:abort|undo)|--atomic\b|--rollback-on-failure|"
    r"rollback[\w-]{0,40}\.(?:sh|py)|make (?:\S{1,40} )?rollback"
)
_BREAKERS: Final = ("AutoRollbackConfiguration", "DeploymentCircuitBreaker")
_SPLIT_CALLS: Final = (
    "*.update_endpoint_weights_and_capacities",
    "*.set_traffic",
    "*.update_traffic",
    "*.shift_traffic",
)


def _code_splits(repo: Repository) -> list[Spot]:
    found = spots(repo.code.calls(*_SPLIT_CALLS))
    for hit in repo.code.calls(
        "*.deploy",
        "*.deploy_model",
        "*.create_endpoint_config",
        "*.create_or_update",
        "*.begin_create_or_update",
    ):
        keys = hit.call.kwargs
        percent = keys.get("traffic_percentage")
        variants = keys.get("ProductionVariants")
        if (
            (isinstance(percent, int) and 0 < percent < _ALL)
            or keys.get("traffic_split") is not None
            or "ShadowProductionVariants" in keys
            or "DeploymentConfig" in keys
        ) or (isinstance(variants, tuple) and len(variants) > 1):
            found += spots([hit])
    return found


@probe(
    "traffic_split",
    practice="staged_rollout",
    asks="Does a new model first get a part of traffic?",
    searched=_WHERE,
)
def _traffic_split(repo: Repository) -> Verdict:
    found = splits(repo)
    real = [s for s in found if s.real]
    verdict = from_code(repo, "Code gives a new model a part of traffic", _code_splits(repo))
    if real:
        best = _by_manifest(repo, real, f"{real[0].what} gives a new version a part of traffic")
        return (
            best if verdict is None or (best.strength or 0) >= (verdict.strength or 0) else verdict
        )
    if verdict is not None:
        return verdict
    if found:
        return present(
            repo,
            C,
            f"{found[0].what} is written down, but its numbers send all traffic one way.",
            [(s.path, s.line) for s in found],
        )
    return _none(repo, "A model is served here, and every release replaces the one before at once.")


def _none(repo: Repository, detail: str) -> Verdict:
    if repo.stages.serving is not None:
        where = deployment_shown(repo)
        if where is not None:
            return absent(repo, detail, [where, repo.stages.serving])
        return unknown("A model is served here; how it is deployed is not shown.")
    return (
        unknown("How models reach production is not shown.")
        if repo.stages.training or repo.stages.batch
        else not_applicable("Nothing here serves a model.")
    )


def _by_manifest(repo: Repository, found: list[Split], what: str) -> Verdict:
    strength, how, where = applied(repo)
    places = [(s.path, s.line) for s in found][: MAX_PLACES - 1]
    return present(repo, strength, f"{what}; {how}.", [*places, *([where] if where else [])])


@probe(
    "rollout_analysis",
    practice="rollout_decision_rule",
    asks="Does a written rule on metrics decide about promotion?",
    searched="analysis templates and who refers to them, Flagger metrics, alarms of endpoints",
)
def _rollout_analysis(repo: Repository) -> Verdict:
    judged = [s for s in splits(repo) if s.judged and s.real]
    templates = repo.kinds("AnalysisTemplate", "ClusterAnalysisTemplate", "MetricTemplate")
    if judged:
        missing = _missing_templates(repo)
        if missing:
            return present(
                repo,
                C,
                f"A rollout refers to analysis {missing!r}, which is not here.",
                [(s.path, s.line) for s in judged],
            )
        return _by_manifest(repo, judged, "Metrics decide about each step of the rollout")
    if templates:
        return present(
            repo,
            C,
            "An analysis is written down; no rollout refers to it.",
            [(m.path, m.line) for m in templates],
        )
    if any(s.real for s in splits(repo)):
        return absent(
            repo,
            "Traffic is split, and no rule on metrics decides what follows.",
            [(s.path, s.line) for s in splits(repo)],
        )
    return _none(repo, "A model is served here, and no rule decides about its promotion.")


def _missing_templates(repo: Repository) -> str:
    have = {m.name for m in repo.kinds("AnalysisTemplate", "ClusterAnalysisTemplate")}
    for m in repo.kinds("Rollout"):
        for key, node in m.node.walk():
            if (
                key == "templateName"
                and node.text
                and node.text not in have
                and PLACEHOLDER not in node.text
            ):
                return node.text
    return ""


@probe(
    "progressive",
    practice="progressive_delivery",
    asks="Is traffic raised in steps by automated analysis, without a person?",
    searched=(
        "steps of rollouts with analysis and without open-ended pauses, Flagger "
        "step weights, linear shifts"
    ),
)
def _progressive(repo: Repository) -> Verdict:
    found = [s for s in splits(repo) if s.real and s.judged and s.steps > 1]
    if found and not _missing_templates(repo):
        return _by_manifest(
            repo, found, "Traffic is raised in steps, and metrics decide about each"
        )
    part = [s for s in splits(repo) if s.real]
    if part:
        return absent(
            repo,
            "Traffic is split, but not raised in steps by the judgement of metrics.",
            [(s.path, s.line) for s in part],
        )
    return _none(repo, "A model is served here, and its traffic is not raised in steps.")


@probe(
    "auto_rollback",
    practice="automatic_rollback",
    asks="Is a release that harms a metric taken back by the system?",
    searched=(
        "rollout analysis, alarms with automatic rollback, atomic upgrades, "
        "circuit breakers, undo on failure in CI"
    ),
)
def _auto_rollback(repo: Repository) -> Verdict:
    judged = [s for s in splits(repo) if s.real and s.judged]
    if judged and not _missing_templates(repo):
        return _by_manifest(repo, judged, "A failed analysis takes the release back")
    found = _alarmed(repo)
    if found:
        detail = "Alarms or failed health checks take a release back by themselves."
        return present(repo, W, detail, found)
    for run in repo.runs.ci:
        if run.counts and _UNDO.search(run.text) and _on_failure(run):
            level = E if run.automatic else W
            return present(repo, level, f"{run.at} takes a failed release back.", [run.where])
    return _none(repo, "A model is served here, and nothing takes a bad release back by itself.")


def _alarmed(repo: Repository) -> list[tuple[str, int]]:
    found = [
        (path, line)
        for path, block in repo.terraform
        if (line := block.has("auto_rollback_configuration"))
        or (block.has("deployment_circuit_breaker") and (line := block.has("rollback")))
    ]
    for file in repo.yaml_files(holding=_BREAKERS):
        found += [(file.path, n.key_line) for d in file.docs for _, n in d.find(*_BREAKERS)]
    found += [
        (hit.module.path, hit.call.line)
        for hit in repo.code.calls("*.create_endpoint", "*.update_endpoint")
        if "DeploymentConfig" in hit.call.kwargs and _BREAKERS[0] in repo.text(hit.module.path)
    ]
    return found


def _on_failure(run: Run) -> bool:
    """Tell whether an undo runs when the release has failed, and only then."""
    if any(w in run.text for w in ("--atomic", "--rollback-on-failure", "||")):
        return True
    conditions = (run.step.condition if run.step else "", run.job.condition if run.job else "")
    return any("failure()" in c for c in conditions)


@probe(
    "rollback_notes",
    practice="rollback_documented",
    asks="Is it written down how to go back to the previous model?",
    searched=(
        "documents with a heading or instructions on rollback, rollback scripts and make targets"
    ),
)
def _rollback_notes(repo: Repository) -> Verdict:
    runs = repo.runs.matching(_UNDO)
    targets = [
        (p, t[name][0]) for p, t in repo.makefiles.items() for name in t if "rollback" in name
    ]
    if runs or targets:
        places = [r.where for r in runs] + targets
        return present(repo, W, "Going back is a command.", places)
    workflows = [
        j
        for j in repo.jobs
        if "rollback" in f"{j.name} {j.path}".lower() and not j.idle and not j.disabled
    ]
    if workflows:
        return present(repo, W, "Going back is a CI job.", [(j.path, j.line) for j in workflows])
    for doc in repo.documents:
        for line, level, title in doc.headings:
            if re.search(
                (
                    r"\broll(?:ing)?[ -]?back|\brevert|\bundo|\bgo(?:ing)? back|(?:previous|"
                    r"earlier) (?:version|model|release)"
                ),
                title,
            ):
                after = [h[0] for h in doc.headings if h[0] > line and h[1] <= level]
                end = min(after, default=1 << 30)
                body = [s for s in doc.sentences if line < s.line < end]
                code = [c for c in doc.code if line < c[0] < end]
                if code or len(body) > 1:
                    return present(
                        repo,
                        W if code else C,
                        "A document says step by step how to go back.",
                        [(doc.path, line)],
                    )
    return _none(repo, "A model is served here, and no document says how to go back.")


@probe(
    "smooth_exchange",
    practice="zero_downtime_release",
    asks="Are models exchanged without interruption?",
    searched="rolling or blue/green strategies together with readiness probes",
)
def _smooth_exchange(repo: Repository) -> Verdict:
    if any(s.real for s in splits(repo)):
        found = [s for s in splits(repo) if s.real]
        return _by_manifest(repo, found, "Traffic moves only when the new version is up")
    ready = [
        m
        for m in repo.kinds("Deployment", "StatefulSet")
        if any(k == "readinessProbe" for k, _ in m.node.walk())
    ]
    ready = [m for m in ready if m.node.text_at("spec", "strategy", "type") != "Recreate"]
    if ready and repo.stages.scoring is not None:
        return _by_manifest(
            repo,
            [Split("rolling update", m.path, m.line, real=True) for m in ready],
            "Pods are exchanged one by one, each when it is ready",
        )
    recreate = [
        m
        for m in repo.kinds("Deployment")
        if m.node.text_at("spec", "strategy", "type") == "Recreate"
    ]
    if recreate:
        return absent(
            repo,
            "A release stops the old version before the new one starts.",
            [(m.path, m.line) for m in recreate],
        )
    return (
        unknown("How versions are exchanged is not shown.")
        if repo.stages.serving
        else not_applicable("Nothing here serves a model.")
    )
