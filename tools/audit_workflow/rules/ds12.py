"""New model replaces the old one at once

## What it does

Looks for releases that take the running model away before its successor works (`kubectl delete`
before `apply`, `docker compose down` before a build, `delete_endpoint` before `create_endpoint`),
for endpoints that get a new configuration without a traffic shift or rollback (SageMaker, Vertex
AI, Kubernetes `Recreate`), and, where a repository shows how a model is served but no staged
rollout of any kind, for the place that deploys it.

## Why is this bad?

A build, an image pull or a model that fails to load then means that nothing answers, and there is
nothing to go back to.  Without a canary every user meets a bad model at once.

## Known problems

A rollout strategy that a platform team sets outside the repository is not seen.

## Example

```sh
kubectl delete -f model.yaml
kubectl apply -f model.yaml
```

## Use instead

```yaml
spec:
  predictor:
    canaryTrafficPercent: 10
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._traffic_steps import hasty_code, hasty_traffic
from mlops_advisor.tools.evidence.models import Outcome, Strength
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.probes._deploy import deploy_runs
from mlops_advisor.tools.evidence.runs import Run
from mlops_advisor.tools.evidence.view import View, last

# What takes away, and what must come after it for it to be a release.
_PAIRS: Final = (
    (
        re.compile(
            r"\bkubectl (?:-\S{1,40} \S{1,60} ){0,3}delete\s(?!pod\b|pods\b|job\b|jobs\b|secret|"
            r"configmap|ns\b|namespace)"
        ),
        re.compile(r"\bkubectl (?:\S{1,60} ){0,4}(?:apply|create|replace|run)\b"),
        True,
    ),
    (
        re.compile(r"\bhelm (?:uninstall|delete)\b"),
        re.compile(r"\bhelm (?:\S{1,60} ){0,3}(?:install|upgrade)\b"),
        True,
    ),
    (
        re.compile(r"\bterraform (?:\S{1,60} ){0,3}destroy\b"),
        re.compile(r"\bterraform (?:\S{1,60} ){0,3}apply\b"),
        True,
    ),
    (
        re.compile(r"\bdocker[- ]compose (?:\S{1,60} ){0,4}(?:down|rm|stop)\b"),
        re.compile(r"\bdocker[- ]compose (?:\S{1,60} ){0,4}(?:up|build|pull)\b"),
        False,
    ),
    (
        re.compile(r"\bdocker (?:container )?(?:rm|stop|kill)\b"),
        re.compile(r"\bdocker (?:run|build|pull)\b"),
        False,
    ),
    (
        re.compile(
            r"\baws sagemaker delete-endpoint\b|\bgcloud run services delete\b|"
            r"\baz ml online-(?:endpoint|deployment) delete\b"
        ),
        re.compile(
            r"\baws sagemaker create-endpoint\b|\bgcloud run deploy\b|\baz ml online-(?:endpoint|"
            r"deployment) create\b"
        ),
        True,
    ),
)
_TAKES: Final = frozenset(
    ("delete_endpoint", "undeploy_all", "delete_model_endpoint", "undeploy_model")
)
_GIVES: Final = frozenset(("create_endpoint", "deploy", "deploy_model", "create_model"))
_ALL: Final = 100
_AZURE: Final = re.compile(
    r"\baz ml online-deployment (?:update|create)\b[^\n]{0,300}--all-traffic"
)
_PERCENT: Final = "traffic_percentage"
_FULL_TRAFFIC: Final = re.compile(r"traffic_percentage[\"']?\s{0,4}[:=]\s{0,4}100\b")
_GRADUAL: Final = re.compile(
    r"\banyscale service rollout|argo rollouts|--no-traffic|update-traffic|canary|codedeploy|"
    r"blue.?green"
)
_TEST_NAMES: Final = re.compile(
    r"test|teardown|clean|local|dev\b|down\b|undeploy|destroy", re.IGNORECASE
)


@rule(
    "DS12",
    name="no-safe-rollout",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.75,
    fix="Bring the new version up beside the old one, send it a part of traffic, and switch when"
    " its metrics hold (KServe `canaryTrafficPercent`, SageMaker `DeploymentConfig`, Argo"
    " Rollouts); keep the old one until then.",
    effort=(1.0, 5.0),
    sources=(
        "ml_test_score: Infra 6, models are canaried before serving; Infra 7, rolled back",
        "se4ml: practices 'Enable Shadow Deployment' and 'Enable Automatic Roll Backs'",
        "aws_mlops_checklist: 7.3 rollback strategies, 7.4 canary",
    ),
    practice="staged_rollout",
)
def no_safe_rollout(repo: AuditRepository) -> Iterator[Hit]:
    """Report releases that cannot be partial or taken back."""
    found = list(_destructive(repo))
    found += _by_code(repo)
    found += [*hasty_traffic(_sequences(repo)), *hasty_code(repo)]
    fact = repo.facts["traffic_split"]
    if fact.outcome is not Outcome.PRESENT or (fact.strength or 0) <= Strength.CONFIGURED:
        specific = [*_templates(repo), *_terraform(repo), *_recreated(repo), *_calls(repo)]
        found += specific or list(_general(repo))
    yield from found


# --- taking away before giving ---------------------------------------------------------------


def _destructive(repo: AuditRepository) -> Iterator[Hit]:
    seen: set[tuple[str, int]] = set()
    for runs in _sequences(repo):
        for takes, gives, hard in _PAIRS:
            first = next((i for i, r in enumerate(runs) if takes.search(r.text)), -1)
            if first < 0 or _switches_off(runs[first]):
                continue
            match = takes.search(runs[first].text)
            rest = runs[first].text[match.end() :] if match else ""
            later = next((r for r in runs[first + 1 :] if gives.search(r.text)), None)
            if later is None and gives.search(rest):
                later = runs[first]
            if later is None or (runs[first].path, runs[first].line) in seen:
                continue
            seen.add((runs[first].path, runs[first].line))
            yield _taken(runs[first], later, takes, hard=hard)


def _taken(run: Run, later: Run, takes: re.Pattern[str], *, hard: bool) -> Hit:
    match = takes.search(run.text)
    what = " ".join(match.group(0).split()) if match else ""
    automatic = run.job is not None and run.automatic
    return Hit(
        run.path,
        run.line,
        f"`{what}` takes the running version away before `{later.text[:60]}` (line {later.line})"
        " has brought up its successor: when that fails, nothing answers.",
        "Apply the new version over the old one and let the platform exchange them; build and test"
        " first.",
        also=((later.path, later.line),) if later.line != run.line else (),
        severity=HIGH if hard or automatic else MEDIUM,
        confidence=0.85 if hard or automatic else 0.65,
    )


def _sequences(repo: AuditRepository) -> Iterator[list[Run]]:
    """Commands that run one after the other: of a CI job, a script, a make target."""
    jobs: dict[tuple[str, str], list[Run]] = {}
    for run in repo.runs.ci:
        if run.job is not None and run.counts:
            jobs.setdefault((run.job.path, run.job.name), []).append(run)
    yield from jobs.values()
    scripts: dict[str, list[Run]] = {}
    for run in repo.runs.shell:
        if not _TEST_NAMES.search(run.path.rsplit("/", 1)[-1]) and "test" not in run.path:
            scripts.setdefault(run.path, []).append(run)
    yield from scripts.values()
    for path, targets in repo.makefiles.items():
        for name, (_, _, recipe) in targets.items():
            if not _TEST_NAMES.search(name):
                yield [Run(path, c.line, c.text, "make") for c in recipe]


def _switches_off(run: Run) -> bool:
    """Tell whether a command cleans up after tests, or only when something failed."""
    job, step = run.job, run.step
    names = f"{job.name if job else ''} {step.name if step else ''}"
    return bool(_TEST_NAMES.search(names)) or "--dry-run" in run.text


def _by_code(repo: AuditRepository) -> list[Hit]:
    found: list[Hit] = []
    for path, module in repo.code.product.items():
        if module.notebook or not any(c.last in _TAKES for c in module.calls):
            continue
        view = repo.view(path)
        if view is not None:
            found += _of_functions(view)
    return found


def _of_functions(view: View) -> Iterator[Hit]:
    done: set[ast.AST | None] = set()
    for call in view.calls:
        if last(view.name(call)) not in _TAKES:
            continue
        scope = view.function(call)
        later = [
            c
            for c in view.calls
            if last(view.name(c)) in _GIVES and c.lineno > call.lineno and view.function(c) is scope
        ]
        if later and scope not in done:
            done.add(scope)
            yield Hit(
                view.path,
                call.lineno,
                f"`{last(view.name(call))}` removes the endpoint before"
                f" `{last(view.name(later[0]))}` (line {later[0].lineno}) makes the new one:"
                " clients"
                " meet errors meanwhile, and nothing is left when it fails.",
                "Use `update_endpoint` with a `DeploymentConfig`, or deploy beside and shift"
                " traffic.",
                also=((view.path, later[0].lineno),),
                severity=HIGH,
                confidence=0.85,
            )


# --- endpoints that change at once ------------------------------------------------------------


def _templates(repo: AuditRepository) -> list[Hit]:
    found: list[Hit] = []
    for file in repo.yaml_files(holding=("AWS::SageMaker::Endpoint",)):
        for doc in file.docs:
            scaled = "ApplicationAutoScaling" in repo.text(file.path)
            for name, resource in doc.pairs("Resources"):
                kind = resource.child("Type")
                if kind is None or kind.text != "AWS::SageMaker::Endpoint":
                    continue
                if resource.get("Properties", "DeploymentConfig") is None:
                    found.append(_endpoint(file.path, kind, name, scaled=scaled))
    return found


def _endpoint(path: str, kind: Node, name: str, *, scaled: bool) -> Hit:
    more = "" if scaled else ", and nothing scales it"
    return Hit(
        path,
        kind.line,
        f"Endpoint `{name}` has no `DeploymentConfig`: an update sends all traffic to the new model"
        f" at once, and no alarm takes it back{more}.",
        "Add `DeploymentConfig: {BlueGreenUpdatePolicy: {TrafficRoutingConfiguration: {Type:"
        " CANARY, ...}}, AutoRollbackConfiguration: {Alarms: [...]}}`.",
    )


def _terraform(repo: AuditRepository) -> Iterator[Hit]:
    for path, block in repo.resources("aws_sagemaker_endpoint"):
        if block.type == "aws_sagemaker_endpoint" and not block.has("deployment_config"):
            yield Hit(
                path,
                block.line,
                f"Endpoint `{block.name}` has no `deployment_config`: an update sends all traffic"
                " to the new model at once, and no alarm takes it back.",
            )


def _recreated(repo: AuditRepository) -> Iterator[Hit]:
    for manifest in repo.kinds("Deployment"):
        node = manifest.node.get("spec", "strategy", "type")
        if node is not None and node.text == "Recreate" and not _stateful(manifest.node):
            yield Hit(
                manifest.path,
                node.line,
                f"Deployment `{manifest.name}` stops the old pods before the new ones start"
                " (`Recreate`): every release is an outage.",
                "Use `RollingUpdate` with `maxUnavailable: 0` and a readiness probe.",
            )


def _stateful(node: Node) -> bool:
    return any(True for _ in node.find("persistentVolumeClaim"))


def _calls(repo: AuditRepository) -> Iterator[Hit]:
    for hit in repo.code.calls("*.update_endpoint"):
        keys = hit.call.kwargs
        aws = hit.module.roots & {"boto3", "sagemaker"} and "EndpointConfigName" in keys
        if aws and "DeploymentConfig" not in keys:
            yield Hit(
                hit.module.path,
                hit.call.line,
                "`update_endpoint` without `DeploymentConfig` sends all traffic to the new model at"
                " once.",
            )
    for hit in repo.code.calls("*.deploy", "*.deploy_model"):
        call = hit.call
        if "google" in hit.module.roots and not hit.module.notebook and "Endpoint" in call.name:
            view = repo.view(hit.module.path)
            node = _call_at(view, call.line) if view is not None else None
            if node is not None and view is not None and _all_at_once(repo, view, node):
                yield Hit(
                    hit.module.path,
                    call.line,
                    "The new model gets all traffic of the endpoint as soon as it is up.",
                    "Pass `traffic_percentage=10`, watch it, and raise it afterwards.",
                    confidence=0.65,
                )
    for run in repo.runs.everything:
        if run.counts and _AZURE.search(run.text):
            yield Hit(
                run.path, run.line, "`--all-traffic` gives the new deployment all traffic at once."
            )


def _call_at(view: View, line: int) -> ast.Call | None:
    calls = [c for c in view.calls if c.lineno == line]
    return next((c for c in calls if last(view.name(c)) in ("deploy", "deploy_model")), None)


def _all_at_once(repo: AuditRepository, view: View, call: ast.Call) -> bool:
    if View.arg(call, "traffic_split") is not None:
        return False
    percent = View.arg(call, "traffic_percentage")
    if percent is not None:
        return bool(view.literal(percent) == _ALL)
    if not view.spreads(call):
        return True
    settings = [p for p in repo.ending(".json", ".yaml", ".yml") if _PERCENT in repo.text(p)]
    return not settings or any(_FULL_TRAFFIC.search(repo.text(p)) for p in settings)


def _general(repo: AuditRepository) -> Iterable[Hit]:
    fact = repo.absent("staged_rollout")
    if fact is None or not fact.places:
        return
    path, line = fact.places[0].path, fact.places[0].line
    if runs := deploy_runs(repo):
        path, line = runs[0].where
        if any(_GRADUAL.search(r.text) for r in runs):
            return
    serving = repo.stages.serving
    also = (serving,) if serving is not None and serving != (path, line) else ()
    yield Hit(
        path,
        line,
        "A model is deployed here, and nothing in the repository gives a new version a part of"
        " traffic first or takes it back.",
        also=also,
        severity=LOW,
        confidence=0.6,
    )
