"""Running services: scaling, health, logs, metrics, alerts."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    contrary,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.probes._deploy import applied, deployment_shown
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
_ALARMS: Final = (
    "aws_cloudwatch_metric_alarm",
    "google_monitoring_alert_policy",
    "azurerm_monitor_metric_alert",
    "datadog_monitor",
    "grafana_rule_group",
    "newrelic_nrql_alert_condition",
    "pagerduty_service",
)
_ALARM_ACTIONS: Final = re.compile(
    r"(?:alarm_actions|notification_channels|action_group_id|contact_point|"
    r"escalation_policy)[^\n=]{0,40}=?\s{0,4}(?:\[\s{0,4}[^\]\s]|[a-z\"$])|"
    r"notification_settings|action\s{0,4}\{|"
    r"message\s{0,4}=\s{0,4}\"[^\"\n]{0,300}@"
)
_RECEIVER_KINDS: Final = (
    "email_configs",
    "slack_configs",
    "pagerduty_configs",
    "opsgenie_configs",
    "webhook_configs",
    "msteams_configs",
    "victorops_configs",
    "telegram_configs",
    "slackConfigs",
    "emailConfigs",
    "pagerdutyConfigs",
    "opsgenieConfigs",
    "webhookConfigs",
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
    found: list[tuple[str, int]] = []
    targets = {(m.kind, m.name) for m in repo.manifests}
    loose: list[tuple[str, int]] = []
    for m in repo.kinds("HorizontalPodAutoscaler", "ScaledObject", "VerticalPodAutoscaler"):
        ref = m.node.get("spec", "scaleTargetRef")
        name = ref.text_at("name") if ref is not None else ""
        low, high = (
            m.node.text_at("spec", "minReplicas") or m.node.text_at("spec", "minReplicaCount"),
            m.node.text_at("spec", "maxReplicas") or m.node.text_at("spec", "maxReplicaCount"),
        )
        bounded = low == high and bool(low)
        hit = any(n == name for _, n in targets) or "x" in name
        (found if hit and not bounded else loose).append((m.path, m.line))
    for m in repo.kinds("InferenceService", "Service", "SeldonDeployment", "RayService"):
        low_high = {
            k: n
            for k, n in m.node.find(
                "minReplicas",
                "maxReplicas",
                "min_replicas",
                "max_replicas",
                "scaleTarget",
                "autoscaling.knative.dev/maxScale",
                "autoscaling.knative.dev/max-scale",
                "autoscaling.knative.dev/target",
            )
        }
        top = low_high.get("maxReplicas") or low_high.get("max_replicas")
        bottom = low_high.get("minReplicas") or low_high.get("min_replicas")
        if top is not None and (bottom is None or bottom.text != top.text):
            found.append((m.path, top.key_line))
        elif any(k.startswith("autoscaling") or k == "scaleTarget" for k in low_high):
            found.append((m.path, m.line))
    found += [
        (p, b.line)
        for p, b in repo.resources(
            "aws_appautoscaling_target",
            "aws_appautoscaling_policy",
            "google_compute_autoscaler",
            "azurerm_monitor_autoscale_setting",
        )
    ]
    found += [
        (p, line)
        for p, b in repo.resources("google_cloud_run")
        if (line := b.has("max_instance_count") or b.has("maxScale"))
    ]
    for file in repo.yaml_files(holding=("ApplicationAutoScaling::", "autoscaling:")):
        for doc in file.docs:
            for key, node in doc.find("autoscaling", "Type"):
                if (
                    key == "autoscaling" and node.text_at("enabled") == "true"
                ) or node.text.startswith("AWS::ApplicationAutoScaling::Scalable"):
                    found.append((file.path, node.key_line))
    calls = [
        h
        for h in repo.code.calls(
            "*.register_scalable_target", "ray.serve.deployment", "*.deploy", "*.put_scaling_policy"
        )
        if h.call.last in ("register_scalable_target", "put_scaling_policy")
        or "autoscaling_config" in h.call.kwargs
        or _differs(h.call.kwargs.get("min_replica_count"), h.call.kwargs.get("max_replica_count"))
    ]
    if found:
        strength, how, _ = applied(repo)
        return present(repo, strength, f"The number of replicas follows the load; {how}.", found)
    verdict = from_code(repo, "The number of replicas follows the load", spots(calls))
    if verdict is not None:
        return verdict
    if loose:
        return present(
            repo,
            C,
            "An autoscaler exists, but its target is not here or its bounds are equal.",
            loose,
        )
    if repo.stages.serving is None:
        return not_applicable("Nothing here serves a model.")
    if repo.manifests:
        return absent(
            repo,
            "A service is described here, with a fixed number of replicas.",
            [repo.stages.serving],
        )
    return unknown("Where the service runs is not shown.")


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


@probe(
    "alerts",
    practice="alerting",
    asks="Do alerts reach somebody?",
    searched=(
        "Prometheus rules, Alertmanager routes and receivers, cloud alarms and "
        "their actions, Grafana alerts"
    ),
)
def _alerts(repo: Repository) -> Verdict:
    rules = _rules(repo)
    receivers, empty = _receivers(repo)
    alarms = [(p, b) for p, b in repo.resources(*_ALARMS)]
    reaching = [
        (p, b.line)
        for p, b in alarms
        if _ALARM_ACTIONS.search(b.text()) or b.type == "pagerduty_service"
    ]
    if reaching:
        return present(repo, E, "Alarms are defined and reach a recipient.", reaching)
    if rules and receivers:
        loaded, missing = _rule_files(repo)
        if missing and not loaded:
            return present(
                repo,
                C,
                (
                    "Alert rules and receivers exist, but Prometheus loads a rule file that "
                    "is not here."
                ),
                [*rules[:3], *missing[:1]],
            )
        return present(
            repo,
            E,
            "Alert rules exist and are routed to a recipient.",
            [*rules[:3], *receivers[:2]],
        )
    if rules:
        why = "the receiver is empty" if empty else "no recipient is shown"
        return present(repo, C, f"Alert rules exist, but {why}.", [*rules, *empty])
    if alarms:
        return present(
            repo,
            C,
            "Alarms are defined, but none notifies anybody.",
            [(p, b.line) for p, b in alarms],
        )
    calls = [
        h
        for h in repo.code.calls(
            "slack_sdk.",
            "slack_sdk.webhook.",
            "pdpyras.",
            "opsgenie_sdk.",
            "apprise.",
            "smtplib.",
            "pymsteams.",
            "*.send_alert",
            "*.notify_slack",
            "*.publish",
        )
        if not h.module.notebook and (h.call.last != "publish" or "TopicArn" in h.call.kwargs)
    ]
    verdict = from_code(repo, "Code sends alerts", spots(calls), most=W)
    if verdict is not None:
        return verdict
    _, missing = _rule_files(repo)
    if missing:
        return contrary(repo, "Prometheus is told to load alert rules that are not here.", missing)
    if receivers:
        return present(
            repo, C, "A recipient of alerts is set up; no alert rule is here.", receivers
        )
    if repo.stages.scoring is not None and deployment_shown(repo) is not None:
        return absent(repo, "A model is used here, and no alert is defined.", [repo.stages.scoring])
    if repo.stages.scoring is not None:
        return unknown("A model is used here; where it runs, and who is alerted, is not shown.")
    return not_applicable("Nothing here serves a model or scores with one.")


def _rules(repo: Repository) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for file in repo.yaml_files(holding=("alert:", '"alert"')):
        for doc in file.docs:
            for group in [*doc.list_at("groups"), *doc.list_at("spec", "groups")]:
                found += [
                    (file.path, r.line)
                    for r in group.list_at("rules")
                    if r.text_at("alert") and r.text_at("expr")
                ]
    for file in repo.yaml_files(holding=("grafana_alert", "relativeTimeRange")):
        found += [
            (file.path, n.key_line)
            for d in file.docs
            for _, n in d.find("rules")
            if any(r.text_at("title") and r.child("data") for r in n.list_at())
        ]
    return found


def _receivers(repo: Repository) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    good: list[tuple[str, int]] = []
    empty: list[tuple[str, int]] = []
    for file in repo.yaml_files(holding=("receivers:", "contactPoints:", "contact_points:")):
        for doc in file.docs:
            for holder in (doc, doc.child("spec") or Node(0)):
                for receiver in holder.list_at("receivers"):
                    if any(_addressed(n) for _, n in receiver.find(*_RECEIVER_KINDS)):
                        good.append((file.path, receiver.line))
                    elif receiver.map is not None:
                        empty.append((file.path, receiver.line))
                for point in [*holder.list_at("contactPoints"), *holder.list_at("contact_points")]:
                    good.append((file.path, point.line))
    return good, empty


def _addressed(node: Node) -> bool:
    return any(item.map and any(v.truthy for v in item.map.values()) for item in node.list_at())


def _rule_files(repo: Repository) -> tuple[list[str], list[tuple[str, int]]]:
    loaded: list[str] = []
    missing: list[tuple[str, int]] = []
    for file in repo.yaml_files(holding=("rule_files",)):
        for doc in file.docs:
            for item in doc.list_at("rule_files"):
                name = item.text.rsplit("/", 1)[-1]
                fits = [p for p in repo.paths if p.endswith(name.replace("*", ""))] if name else []
                if fits:
                    loaded.append(fits[0])
                elif name:
                    missing.append((file.path, item.line))
    return loaded, missing


@probe(
    "job_alerts",
    practice="batch_job_monitoring",
    asks="Are late, failed or empty runs noticed?",
    searched="failure callbacks of orchestrators, notification steps in scheduled CI, job alarms",
)
def _job_alerts(repo: Repository) -> Verdict:
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        for call in module.calls:
            for key in (
                "on_failure_callback",
                "sla",
                "sla_miss_callback",
                "on_failure",
                "on_crashed",
                "email",
                "failure_hook",
            ):
                value = call.kwargs.get(key)
                if value and (path in repo.flows.modules) and value != ():
                    found.append(Spot(path, call.line))
        for name, (value, line) in module.constants.items():
            if (
                name.endswith((".on_failure_callback", ".email", ".sla"))
                and value
                and path in repo.flows.modules
            ):
                found.append(Spot(path, line))
    if found:
        return present(repo, W, "A failed run of the pipeline is reported.", found)
    for job in repo.jobs:
        for step in job.steps:
            if "failure()" in step.condition and (
                any(
                    w in step.uses.lower()
                    for w in ("slack", "mail", "teams", "discord", "notify", "issue")
                )
                or any("curl" in c.text for c in step.commands)
            ):
                return present(repo, W, "A failed run is reported by CI.", [(job.path, step.line)])
    if repo.stages.pipeline is not None or repo.stages.batch is not None:
        return absent(
            repo,
            "Jobs run here, and nothing reports a failed one.",
            [repo.stages.pipeline or repo.stages.batch],
        )
    return not_applicable("No job runs here.")
