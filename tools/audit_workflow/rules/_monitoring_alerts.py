"""Alert rules, receivers and metrics, as files state them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.evidence.parse.python_model import Call
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared

_RECEIVERS: Final = re.compile(r"_configs$|Configs$")
_BLANK: Final = re.compile(
    r"(?i)@(?:example\.|email\.com|domain\.)|<[a-z_ -]{3,40}>|\byour[-_ ]|changeme|services/"
    r"(?:X{2,}|T0{3,}|\.\.\.)|"
    r"/X{3,}|placeholder"
)
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{2,120}")
_WORDS: Final = frozenset(
    "sum rate irate increase avg min max count by without on ignoring group_left group_right and or"
    " unless bool offset histogram_quantile absent absent_over_time avg_over_time sum_over_time"
    " max_over_time min_over_time count_over_time stddev stdvar stddev_over_time quantile"
    " quantile_over_time topk bottomk delta idelta deriv predict_linear changes resets clamp_max"
    " clamp_min clamp abs ceil floor round exp ln log2 log10 sqrt time timestamp vector scalar"
    " label_replace label_join last_over_time present_over_time sort sort_desc group count_values"
    " inf nan hour minute month year day_of_week day_of_month days_in_month le ALERTS up".split()
)
# Metrics that common exporters and servers give without a line of code.
_COMMON: Final = (
    "process_", "python_", "node_", "container_", "kube", "go_", "prometheus_", "scrape_", "ALERTS",
    "jvm_", "redis_", "pg_", "mysql_", "nginx_", "istio_", "envoy_", "bentoml_", "BENTOML_", "ray_",
    "nv_", "triton", "seldon_", "kserve_", "probe_", "DCGM_", "machine_", "airflow_", "kafka_",
    "rabbitmq_", "celery_", "grafana_", "alertmanager_", "apiserver_", "http_", "flask_",
    "fastapi_",
    "starlette_", "gunicorn_", "uvicorn_", "vllm", "ts_", "mlflow_", "traefik_", "haproxy_",
    "mongodb_",
    "elasticsearch_", "cadvisor_", "windows_", "argo", "etcd_", "coredns_", "net_", "aws_", "dcgm_",
    "request_", "requests_", "revision_", "queue_", "autoscaler_", "feast_", "tensorflow", ":",
    "torchserve", "MemoryUtilization", "CPUUtilization", "knative_", "rest_client_", "rest_server_",
)  # fmt: skip
_MAKERS: Final = ("Counter", "Gauge", "Histogram", "Summary", "Info", "Enum")
_ENDS: Final = ("_total", "_bucket", "_count", "_sum", "_created", "_info")


@shared
def rules(repo: Repository) -> list[tuple[str, int, str]]:
    """Alert rules of Prometheus and Grafana: path, line, name."""
    return [(p, n.line, n.text_at("alert") or n.text_at("title")) for p, n in rule_nodes(repo)]


@shared
def rule_nodes(repo: Repository) -> list[tuple[str, Node]]:
    """Nodes of alert rules."""
    found: list[tuple[str, Node]] = []
    for file in repo.yaml_files(holding=("alert:", "relativeTimeRange")):
        for doc in file.docs:
            for group in [*doc.list_at("groups"), *doc.list_at("spec", "groups")]:
                found += [
                    (file.path, r)
                    for r in group.list_at("rules")
                    if (r.text_at("alert") and r.text_at("expr"))
                    or (r.text_at("title") and r.child("data"))
                ]
    return found


@shared
def receivers(repo: Repository) -> tuple[list[str], list[tuple[str, int, str]]]:
    """Paths with a receiver that has an address; path, line and name of those without."""
    good: list[str] = []
    empty: list[tuple[str, int, str]] = []
    for file in repo.yaml_files(holding=("receivers:", "contactPoints:", "contact_points:")):
        for doc in file.docs:
            if doc.child("exporters") is not None:
                continue  # OpenTelemetry calls its inputs receivers
            for holder in (doc, doc.child("spec") or Node(0)):
                for receiver in holder.list_at("receivers"):
                    kinds = [n for k, n in receiver.pairs() if _RECEIVERS.search(k)]
                    if any(_addressed(n) for n in kinds):
                        good.append(file.path)
                    elif receiver.text_at("name"):
                        empty.append((file.path, receiver.line, receiver.text_at("name")))
                for point in (*holder.list_at("contactPoints"), *holder.list_at("contact_points")):
                    texts = [n.text for _, n in point.walk() if n.text]
                    if any(_BLANK.search(t) for t in texts):
                        name = point.text_at("name") or "contact point"
                        empty.append((file.path, point.line, name))
                    else:
                        good.append(file.path)
    return good, empty


def _addressed(node: Node) -> bool:
    """Tell whether an entry of a receiver holds an address that is no placeholder."""
    for item in node.list_at():
        values = [v for k, v in item.pairs() if k != "send_resolved" and v.truthy]
        if values and not any(_BLANK.search(v.text) for v in values):
            return True
    return False


@shared
def on_dashboards(repo: Repository) -> bool:
    """Tell whether drift is shown on a dashboard that also alerts."""
    return any(
        '"panels"' in repo.text(p)[:20_000] and '"alert"' in repo.text(p)
        for p in repo.ending(".json")
    )


def unknown_metrics(repo: AuditRepository) -> Iterator[Hit]:
    """Alert rules on metrics that no code here exports."""
    nodes = [(p, n) for p, n in rule_nodes(repo) if n.text_at("expr")]
    if not nodes:
        return
    exported = exported_metrics(repo)
    if exported is not None:
        exported |= _recorded(repo)
    if exported is None:
        return
    for path, node in nodes:
        expr = node.child("expr")
        missing = [m for m in metrics_in(expr.text if expr else "") if not _known(m, exported)]
        if expr is not None and missing:
            names = ", ".join(f"`{m}`" for m in missing[:3])
            have = ", ".join(f"`{m}`" for m in sorted(exported)[:5])
            yield Hit(
                path,
                expr.line,
                f"The alert `{node.text_at('alert')}` watches {names}, and nothing here exports "
                f"that; the code exports {have}.  The alert can never fire.",
                "Export the metric, or name one that exists in the expression.",
                confidence=0.8,
            )


@shared
def _recorded(repo: Repository) -> frozenset[str]:
    """Names of recording rules."""
    return frozenset(
        n.text
        for f in repo.yaml_files(holding=("record:",))
        for d in f.docs
        for _, n in d.find("record")
        if n.text
    )


def metrics_in(expr: str) -> list[str]:
    """Names of metrics in a PromQL expression."""
    plain = re.sub(r"\{[^{}]{0,500}\}|\"[^\"]{0,200}\"|\[[^\]]{0,40}\]", " ", expr[:4_000])
    plain = re.sub(
        r"\b(?:by|without|on|ignoring|group_left|group_right)\s{0,4}\([^()]{0,300}\)", " ", plain
    )
    found = dict.fromkeys(_METRIC.findall(re.sub(r"\$\w{1,60}", " ", plain)))
    return [m for m in found if m not in _WORDS and "_" in m and ":" not in m and m[:2] != "__"]


def _known(name: str, exported: frozenset[str]) -> bool:
    if name.startswith(_COMMON):
        return True
    base = next((name.removesuffix(e) for e in _ENDS if name.endswith(e)), name)
    names = {name, base, f"{base}_total"}
    return bool(names & exported) or any(e.endswith(("_" + base, "_" + name)) for e in exported)


def exported_metrics(repo: Repository) -> frozenset[str] | None:
    """Names of metrics that code makes; None when none is made or a name is not known."""
    found: set[str] = set()
    for hit in repo.code.calls("prometheus_client.", "aioprometheus.", "bentoml.metrics."):
        if hit.call.last not in _MAKERS:
            continue
        name = metric_name(hit.call)
        if not name:
            return None
        found.add(name)
        found.add(name.removesuffix("_total"))
    return frozenset(found) if found else None


def metric_name(call: Call) -> str:
    """Full name of a metric; empty when a part is not a literal."""
    parts = []
    for key, position in (("namespace", 3), ("subsystem", 4), ("name", 0)):
        value = call.kwargs.get(key)
        if value is None and position < len(call.args):
            value = call.args[position]
        if value is None or value == "":
            continue
        if not isinstance(value, str) or "{}" in value:
            return ""
        parts.append(value)
    return "_".join(parts)
