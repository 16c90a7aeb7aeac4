"""No health checks, limits or timeouts

## What it does

Looks at each container that a Kubernetes object, KServe or Seldon runs as a service for readiness
and liveness probes and for resource requests and limits; at compose services and Dockerfiles that
serve a model for a health check; and at Kubernetes jobs, Argo workflows and Airflow DAGs for a
limit on their running time.  One finding names all that one workload lacks.  A health or readiness
endpoint that answers the same whether or not the service has its model and its stores is reported
as well.

## Why is this bad?

Without a readiness probe traffic reaches a server that still loads its model; without a liveness
probe a hung one is never restarted.  A container without a memory limit takes its neighbours
down, and a job without a deadline blocks its schedule for good.

## Known problems

Defaults that the cluster sets (LimitRange is seen, admission webhooks are not) may fill the gap.

## Example

```yaml
containers:
  - name: model
    image: registry.example.org/churn:1.4.2
```

## Use instead

```yaml
containers:
  - name: model
    image: registry.example.org/churn:1.4.2
    readinessProbe: {httpGet: {path: /ready, port: 8000}}
    livenessProbe: {httpGet: {path: /live, port: 8000}}
    resources:
      requests: {cpu: 500m, memory: 1Gi}
      limits: {memory: 2Gi}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import dirname, normpath
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._health import constant_health
from mlops_advisor.tools.audit_workflow.rules._serving import SERVER, serving_images
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View
from mlops_advisor.tools.evidence.workloads import Workload

_SERVES: Final = frozenset(
    "Deployment StatefulSet DaemonSet Rollout InferenceService SeldonDeployment Service RayService"
    " ReplicaSet ServingRuntime ClusterServingRuntime".split()
)
_JOBS: Final = frozenset(("Job", "CronJob", "Workflow", "CronWorkflow", "WorkflowTemplate"))
_PLATFORM: Final = frozenset(
    (
        "InferenceService",
        "SeldonDeployment",
        "RayService",
        "ServingRuntime",
        "ClusterServingRuntime",
    )
)
_PROBES: Final = ("readinessProbe", "livenessProbe")
_DAGS: Final = ("airflow.DAG", "airflow.models.DAG", "airflow.models.dag.DAG", "airflow.sdk.DAG")
_DAG_DECORATORS: Final = ("airflow.decorators.dag", "airflow.sdk.dag")
_TIMEOUTS: Final = ("execution_timeout", "dagrun_timeout")
_STORES: Final = re.compile(
    r"postgres|mysql|mariadb|redis|mongo|minio|rabbitmq|kafka|zookeeper|elasticsearch|grafana|"
    r"prometheus|adminer|pgadmin|mlflow|airflow|jupyter|nginx|traefik|localstack|alertmanager"
)
_HEALTHCHECK: Final = (
    "HEALTHCHECK --interval=30s CMD curl -fsS http://localhost:8000/health || exit 1"
)


@rule(
    "DS11",
    name="no-probes-limits-or-timeouts",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.8,
    fix="Add `readinessProbe` and `livenessProbe` on a health path, and"
    " `resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {memory: 2Gi}}`.",
    effort=(0.25, 1.0),
    sources=(
        "kubernetes_docs: Configure Liveness, Readiness and Startup Probes",
        "checkov: CKV_K8S_8 to CKV_K8S_13, CKV_DOCKER_2",
        "cis_docker: 4.6 HEALTHCHECK instructions",
    ),
)
def no_probes_limits_or_timeouts(repo: AuditRepository) -> Iterator[Hit]:
    """Report workloads that nobody checks, limits or stops."""
    yield from _cluster(repo)
    yield from _containers(repo)
    yield from _dags(repo)
    yield from constant_health(repo)


# --- Kubernetes ----------------------------------------------------------------------------


def _cluster(repo: AuditRepository) -> Iterator[Hit]:
    limited = bool(repo.kinds("LimitRange"))
    objects: set[tuple[str, int]] = set()
    for work in repo.workloads:
        manifest = work.manifest
        if work.system != "k8s" or manifest is None:
            continue
        if work.kind in _SERVES:
            missing = _missing(work, limited=limited)
            if missing:
                yield _lacks(work, missing)
        elif work.kind in _JOBS and (work.path, manifest.line) not in objects:
            objects.add((work.path, manifest.line))
            if not any(True for _ in manifest.node.find("activeDeadlineSeconds", "timeout")):
                yield Hit(
                    work.path,
                    work.line,
                    f"{work.kind} `{manifest.name}` may run for ever: no `activeDeadlineSeconds`.",
                    "Set `activeDeadlineSeconds` to twice the usual running time.",
                    severity=LOW,
                )


def _missing(work: Workload, *, limited: bool) -> list[str]:
    found: list[str] = []
    if work.kind not in _PLATFORM and not work.prepackaged:
        found += [p for p in _PROBES if work.node.child(p) is None]
        if work.node.child("startupProbe") is not None and found == ["livenessProbe"]:
            found = []
    resources = work.node.child("resources")
    if not limited:
        if resources is None or (resources.map is not None and not resources.map):
            found.append("resource requests and limits")
        elif resources.map is not None:
            found += [
                f"resource {key}"
                for key in ("requests", "limits")
                if resources.child(key) is None and not _gpu_only(resources)
            ]
    return found


def _gpu_only(resources: Node) -> bool:
    """Limits alone are requests too, by the rules of Kubernetes."""
    return resources.child("limits") is not None


def _lacks(work: Workload, missing: list[str]) -> Hit:
    names = f"{', '.join(missing[:-1])} and {missing[-1]}" if len(missing) > 1 else missing[0]
    return Hit(
        work.path,
        work.line,
        f"Container `{work.name}` of {work.kind} `{work.manifest.name if work.manifest else ''}`"
        f" has no {names}.",
        severity=MEDIUM if len(missing) > 1 or "Probe" in missing[0] else LOW,
    )


# --- compose and images --------------------------------------------------------------------


def _containers(repo: AuditRepository) -> Iterator[Hit]:
    images = serving_images(repo)
    checked = {
        p for p, all_ in repo.dockerfiles.items() if any(i.name == "HEALTHCHECK" for i in all_)
    }
    covered: set[str] = set()
    for work in repo.workloads:
        if work.system != "compose" or _STORES.search(f"{work.name} {work.image}".lower()):
            continue
        dockerfile = _dockerfile(repo, work)
        serves = dockerfile in images or (work.command and SERVER.search(work.command))
        if not serves:
            continue
        covered.add(dockerfile)
        check = work.node.child("healthcheck")
        off = check is not None and check.text_at("disable") == "true"
        if (check is None or off) and dockerfile not in checked:
            limits = work.node.get("deploy", "resources", "limits") or work.node.child("mem_limit")
            also = "" if limits is not None else ", and no memory limit"
            yield Hit(
                work.path,
                work.line,
                f"Service `{work.name}` serves a model without a health check{also}: a hung server"
                " stays up.",
                'Add `healthcheck: {test: ["CMD", "curl", "-fsS", "http://localhost:8000/health"],'
                " interval: 30s}`.",
                severity=LOW,
            )
    if repo.manifests or repo.facts["health"].outcome == "present":
        return
    for path, (line, text) in images.items():
        if path not in covered and path not in checked and "handler" not in text:
            yield Hit(
                path,
                line,
                "The image serves a model, and nothing checks that it answers: no HEALTHCHECK here,"
                " no probe elsewhere.",
                f"Add `{_HEALTHCHECK}`.",
                severity=LOW,
                confidence=0.7,
            )


def _dockerfile(repo: AuditRepository, work: Workload) -> str:
    build = work.node.child("build")
    if build is None:
        return ""
    context = build.text_at("context") or build.text or "."
    name = build.text_at("dockerfile") or "Dockerfile"
    path = normpath(f"{dirname(work.path)}/{context}/{name}").lstrip("/")
    return path if path in repo.dockerfiles else ""


# --- Airflow -------------------------------------------------------------------------------


def _dags(repo: AuditRepository) -> Iterator[Hit]:
    for path, module in repo.code.product.items():
        if "airflow" not in module.roots or module.notebook:
            continue
        text = repo.text(path)
        if any(w in text for w in _TIMEOUTS):
            continue
        view = repo.view(path)
        line = _dag_line(view) if view is not None else 0
        if line and not _inherits(repo, path):
            yield Hit(
                path,
                line,
                "No task of this DAG has an `execution_timeout` and the DAG no `dagrun_timeout`: a"
                " hung task holds its slot for ever.",
                '`default_args={..., "execution_timeout": timedelta(hours=1)}`.',
                severity=LOW,
            )


def _dag_line(view: View) -> int:
    lines = [c.lineno for c in view.calls if view.name(c) in _DAGS]
    for function in view.functions:
        lines += [d.lineno for d in function.decorator_list if view.name(d) in _DAG_DECORATORS]
    return min(lines, default=0)


def _inherits(repo: AuditRepository, path: str) -> bool:
    """Tell whether default arguments come from another module that sets a timeout."""
    others = repo.code.closure([path]) - {path}
    return any(w in repo.text(p) for p in others for w in _TIMEOUTS)
