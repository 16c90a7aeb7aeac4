"""Running services: scaling, health, logs, metrics."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parse.yaml_tree import PLACEHOLDER
from mlops_advisor.tools.evidence.probes._base import (
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
from mlops_advisor.tools.evidence.probes._deploy import applied
from mlops_advisor.tools.evidence.repository import Repository

_LOGGERS: Final = (
    "logging.getLogger",
    "logging.basicConfig",
    "logging.info",
    "structlog.",
    "loguru.logger",
    "logging.config.",
    "google.cloud.logging.",
    "logging.",
)
_SHIPPERS: Final = (
    "fluent-bit",
    "fluentbit",
    "fluentd",
    "promtail",
    "loki",
    "filebeat",
    "logstash",
    "awslogs",
    "awsfirelens",
    "vector.dev",
    "datadog/agent",
    "grafana/alloy",
    "gcplogs",
)
_METRICS: Final = (
    "prometheus_client.",
    "prometheus_fastapi_instrumentator.",
    "starlette_exporter.",
    "starlette_prometheus.",
    "prometheus_flask_exporter.",
    "opentelemetry.metrics.",
    "statsd.",
    "datadog.",
    "aioprometheus.",
    "bentoml.metrics.",
    "ray.util.metrics.",
    "*.put_metric_data",
)
_EXPOSES: Final = (
    "expose",
    "instrument",
    "start_http_server",
    "make_asgi_app",
    "make_wsgi_app",
    "generate_latest",
    "handle_metrics",
    "init_app",
    "PrometheusMetrics",
    "put_metric_data",
    "push_to_gateway",
    "pushadd_to_gateway",
    "PrometheusMiddleware",
)
_REPLICAS: Final = (
    "minReplicas",
    "maxReplicas",
    "min_replicas",
    "max_replicas",
    "scaleTarget",
    "autoscaling.knative.dev/maxScale",
    "autoscaling.knative.dev/max-scale",
    "autoscaling.knative.dev/target",
)
_SCALING_RESOURCES: Final = (
    "aws_appautoscaling_target",
    "aws_appautoscaling_policy",
    "google_compute_autoscaler",
    "azurerm_monitor_autoscale_setting",
)
_HEALTH: Final = re.compile(
    r"^/?(?:health|healthz|healthcheck|health_check|ping|ready|readyz|"
    r"readiness|live|livez|liveness|status)/?$"
)


def _no_service(repo: Repository, detail: str) -> Verdict:
    if repo.stages.serving is not None:
        return absent(repo, detail, [repo.stages.serving])
    return not_applicable("Nothing here serves a model.")


@probe(
    "autoscaling",
    practice="serving_scales",
    asks="Does serving scale with load by itself?",
    searched=(
        "HPA, KEDA, KServe and Knative replica bounds, SageMaker and cloud "
        "autoscaling, Ray Serve autoscaling"
    ),
)
def _autoscaling(repo: Repository) -> Verdict:
    real, loose = _scalers(repo)
    found = [*real, *_bounds(repo), *_cloud_scaling(repo), *_template_scaling(repo)]
    if found:
        strength, how, _ = applied(repo)
        return present(repo, strength, f"The number of replicas follows the load; {how}.", found)
    verdict = from_code(repo, "The number of replicas follows the load", _scaling_calls(repo))
    if verdict is not None:
        return verdict
    if loose:
        detail = "An autoscaler exists, but its target is not here or its bounds are equal."
        return present(repo, C, detail, loose)
    if repo.stages.serving is None:
        return not_applicable("Nothing here serves a model.")
    if repo.manifests:
        detail = "A service is described here, with a fixed number of replicas."
        return absent(repo, detail, [repo.stages.serving])
    return unknown("Where the service runs is not shown.")


def _scalers(repo: Repository) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Autoscaler objects that can work, and those without a target or room."""
    names = {m.name for m in repo.manifests}
    real: list[tuple[str, int]] = []
    loose: list[tuple[str, int]] = []
    for m in repo.kinds("HorizontalPodAutoscaler", "ScaledObject", "VerticalPodAutoscaler"):
        spec = m.node.child("spec") or Node(0)
        target = spec.text_at("scaleTargetRef", "name")
        low = spec.text_at("minReplicas") or spec.text_at("minReplicaCount")
        high = spec.text_at("maxReplicas") or spec.text_at("maxReplicaCount")
        works = (target in names or PLACEHOLDER in target) and not (low and low == high)
        (real if works else loose).append((m.path, m.line))
    return real, loose


def _bounds(repo: Repository) -> list[tuple[str, int]]:
    """Bounds of replicas inside serving objects."""
    found: list[tuple[str, int]] = []
    for m in repo.kinds("InferenceService", "Service", "SeldonDeployment", "RayService"):
        seen = dict(m.node.find(*_REPLICAS))
        top = seen.get("maxReplicas") or seen.get("max_replicas")
        bottom = seen.get("minReplicas") or seen.get("min_replicas")
        if top is not None and (bottom is None or bottom.text != top.text):
            found.append((m.path, top.key_line))
        elif any(k.startswith("autoscaling") or k == "scaleTarget" for k in seen):
            found.append((m.path, m.line))
    return found


def _cloud_scaling(repo: Repository) -> list[tuple[str, int]]:
    found = [(p, b.line) for p, b in repo.resources(*_SCALING_RESOURCES)]
    return found + [
        (p, line)
        for p, b in repo.resources("google_cloud_run")
        if (line := b.has("max_instance_count") or b.has("maxScale"))
    ]


def _template_scaling(repo: Repository) -> list[tuple[str, int]]:
    return [
        (file.path, node.key_line)
        for file in repo.yaml_files(holding=("ApplicationAutoScaling::", "autoscaling:"))
        for doc in file.docs
        for key, node in doc.find("autoscaling", "Type")
        if (key == "autoscaling" and node.text_at("enabled") == "true")
        or node.text.startswith("AWS::ApplicationAutoScaling::Scalable")
    ]


def _scaling_calls(repo: Repository) -> list[Spot]:
    names = (
        "*.register_scalable_target",
        "*.put_scaling_policy",
        "ray.serve.deployment",
        "*.deploy",
    )
    return spots(
        h
        for h in repo.code.calls(*names)
        if h.call.last in ("register_scalable_target", "put_scaling_policy")
        or "autoscaling_config" in h.call.kwargs
        or _differs(h.call.kwargs.get("min_replica_count"), h.call.kwargs.get("max_replica_count"))
    )


def _differs(low: object, high: object) -> bool:
    return high is not None and low != high


@probe(
    "health",
    practice="health_checks",
    asks="Is it checked automatically that the service lives?",
    searched="liveness and readiness probes, HEALTHCHECK, health endpoints, load balancer checks",
)
def _health(repo: Repository) -> Verdict:
    cluster = [
        (m.path, n.key_line)
        for m in repo.manifests
        for k, n in m.node.find("livenessProbe", "readinessProbe")
        if n.map
    ]
    if cluster:
        return present(
            repo, E, "The cluster checks the service and restarts or bypasses it.", cluster
        )
    balancer = [
        (p, line)
        for p, b in repo.resources(
            "aws_lb_target_group",
            "aws_alb_target_group",
            "google_compute_health_check",
            "aws_ecs_task_definition",
            "google_cloud_run",
        )
        if (
            line := b.has("health_check")
            or b.has("healthCheck")
            or b.has("liveness_probe")
            or (b.line if "health_check" in b.type else 0)
        )
    ]
    if balancer:
        return present(repo, E, "A load balancer checks the service and bypasses it.", balancer)
    docker = [
        (p, i.line)
        for p, instructions in repo.dockerfiles.items()
        for i in instructions
        if i.name == "HEALTHCHECK" and i.text.upper() != "NONE"
    ]
    for file in repo.compose:
        docker += [
            (file.path, n.key_line)
            for d in file.docs
            for _, n in d.find("healthcheck")
            if n.map and n.text_at("disable") != "true"
        ]
    if docker:
        return present(repo, W, "The container is checked.", docker)
    for path, module in repo.code.product.items():
        for call in module.calls:
            if (
                call.last in ("get", "route", "api_route", "head")
                and _HEALTH.match(call.text_of("path", 0)[:60])
                and path in repo.code.serving_code | set(repo.code.serving)
            ):
                return present(
                    repo,
                    C,
                    "The service has a health endpoint; who asks it is not shown.",
                    [(path, call.line)],
                )
    return (
        _no_service(repo, "A model is served here, and nothing checks that it lives.")
        if repo.stages.serving
        else unknown("Nothing here serves a model.")
        if repo.stages.ml
        else not_applicable("No machine learning here.")
    )


@probe(
    "logs",
    practice="service_logs",
    asks="Are logs of the service or jobs collected in one place?",
    searched="logging in scoring code, log drivers, log shippers, log groups",
)
def _logs(repo: Repository) -> Verdict:
    scoring = repo.code.serving_code | repo.code.closure(repo.code.batch)
    shippers: list[tuple[str, int]] = []
    for path in repo.files:
        if path.lower().endswith((".yml", ".yaml", ".tf", ".conf", ".toml", ".json")):
            text = repo.text(path)
            mark = next((s for s in _SHIPPERS if s in text), "")
            if mark:
                line = text.count("\n", 0, text.find(mark)) + 1
                if not repo.lines(path)[line - 1].lstrip().startswith("#"):
                    shippers.append((path, line))
    shippers += [
        (p, b.line)
        for p, b in repo.resources(
            "aws_cloudwatch_log_group",
            "google_logging",
            "azurerm_log_analytics",
            "azurerm_application_insights",
        )
    ]
    logging = [
        h
        for h in repo.code.calls(*_LOGGERS)
        if h.module.path in scoring or h.module.path in repo.flows.modules
    ]
    cloud = [
        h
        for h in repo.code.calls(
            "google.cloud.logging.",
            "watchtower.",
            "opencensus.",
            "azure.monitor.",
            "logging_loki.",
            "cmreslogging.",
        )
        if not h.module.notebook
    ]
    if (shippers or cloud) and (logging or repo.stages.scoring is not None):
        places = [*shippers[:3], *[(h.module.path, h.call.line) for h in [*cloud, *logging][:2]]]
        return present(repo, W, "Logs are sent to one place.", places)
    if logging:
        return present(
            repo,
            C,
            "The code logs; where its logs are collected is not shown.",
            [(h.module.path, h.call.line) for h in logging],
        )
    if repo.stages.scoring is not None:
        return absent(
            repo, "A model is used here, and its code writes no log.", [repo.stages.scoring]
        )
    return not_applicable("Nothing here serves a model or scores with one.")


@probe(
    "metrics",
    practice="service_metrics",
    asks="Are latency, errors and throughput measured?",
    searched="metric libraries in the service, metric endpoints, scrape settings, dashboards",
)
def _metrics(repo: Repository) -> Verdict:
    hits = [h for h in repo.code.calls(*_METRICS) if not h.module.notebook]
    exposed = [h for h in hits if h.call.last in _EXPOSES]
    exposed += [
        h
        for h in repo.code.calls(
            *[f"*.{n}" for n in ("expose", "instrument", "add_middleware", "mount")]
        )
        if "rometheus" in repo.text(h.module.path)
        and h.module.path in {x.module.path for x in hits}
    ]
    scraped = [
        (m.path, m.line) for m in repo.kinds("ServiceMonitor", "PodMonitor", "PodMonitoring")
    ]
    scraped += [
        (m.path, n.key_line)
        for m in repo.manifests
        for k, n in m.node.find(
            "prometheus.io/scrape",
            "serving.kserve.io/enable-prometheus-scraping",
            "serving.kserve.io/enable-metric-aggregation",
        )
        if n.text == "true"
    ]
    for file in repo.yaml_files(holding=("scrape_configs",)):
        scraped += [
            (file.path, n.key_line)
            for d in file.docs
            for _, n in d.find("scrape_configs")
            if any(t.text for _, s in n.walk() if s.items for t in s.items) or n.items
        ]
    served_by_platform = repo.stages.serving is not None and any(
        m.kind in ("InferenceService", "SeldonDeployment", "RayService") for m in repo.manifests
    )
    boards = _dashboards(repo)
    if scraped and (exposed or served_by_platform):
        places = [*[(h.module.path, h.call.line) for h in exposed[:2]], *scraped[:2], *boards[:1]]
        return present(
            repo,
            E,
            "The service exposes metrics, and they are scraped"
            + (" and shown on a dashboard." if boards else "."),
            places,
        )
    if exposed:
        return present(
            repo,
            W,
            "The service exposes metrics; what scrapes them is not shown.",
            [(h.module.path, h.call.line) for h in exposed],
        )
    if hits:
        return present(
            repo,
            C,
            "Metrics are defined, but no endpoint exposes them.",
            [(h.module.path, h.call.line) for h in hits],
        )
    if scraped:
        return present(repo, C, "Scraping is set up, but no code here exposes metrics.", scraped)
    return _no_service(repo, "A model is served here, and nothing measures the service.")


def _dashboards(repo: Repository) -> list[tuple[str, int]]:
    return [
        (p, 1)
        for p in repo.ending(".json")
        if '"panels"' in repo.text(p)[:20_000] and '"targets"' in repo.text(p)
    ]
