"""What Prometheus is told to scrape, and whether that can work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.parse.shell import Instruction
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.workloads import Workload

_OWN: Final = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - compared, not bound
_LOCAL: Final = (*_OWN, "host.docker.internal", "172.17.0.1")
_PORT: Final = re.compile(
    r"(?:--port|-p|--bind|-b|--http-port)[ =]{1,2}(?:[\d.]{1,20}:)?(\d{2,5})\b|:(\d{2,5})\b"
)
_CODE_PORT: Final = re.compile(
    r"\bport\s{0,4}=\s{0,4}(?:int\()?[^\n,)]{0,40}?(\d{4,5})\b|start_http_server\(\s{0,4}(\d{2,5})"
)
_METRIC_APPS: Final = re.compile(
    r"make_asgi_app|make_wsgi_app|Instrumentator|PrometheusMetrics|start_http_server|handle_metrics|"
    r"metrics_router|starlette_exporter|prometheus_fastapi_instrumentator|PrometheusMiddleware|"
    r"generate_latest|bentoml|ray\.serve|mlserver|DispatcherMiddleware"
)


class Target(NamedTuple):
    """One target of a scrape job."""

    path: str
    line: int
    host: str
    port: str
    metrics: str
    job: str


class Fault(NamedTuple):
    """Why a target cannot be scraped."""

    path: str
    line: int
    why: str


def targets(repo: Repository) -> Iterator[Target]:
    """Go through static targets of every scrape job."""
    for file in repo.yaml_files(holding=("scrape_configs",)):
        for doc in file.docs:
            for job in doc.list_at("scrape_configs"):
                path = job.text_at("metrics_path") or "/metrics"
                for config in job.list_at("static_configs"):
                    for node in config.list_at("targets"):
                        host, _, port = (
                            node.text.partition("//")[2].rpartition(":")
                            if ("//" in node.text)
                            else node.text.rpartition(":")
                        )
                        if not host:
                            host, port = port, "80"
                        yield Target(
                            file.path, node.line, host, port, path, job.text_at("job_name")
                        )


def faults(repo: AuditRepository) -> Iterator[Fault]:
    """Find targets that cannot be reached or answer nothing."""
    services = [w for w in repo.workloads if w.system == "compose"]
    names = {w.name: w for w in services}
    for w in services:
        for alias in (w.node.text_at("container_name"), w.node.text_at("hostname")):
            if alias:
                names.setdefault(alias, w)
    objects = {m.name for m in repo.kinds("Service", "Deployment", "StatefulSet", "Pod")}
    scraper = next(
        (w for w in services if "prom/prometheus" in w.image or w.name == "prometheus"), None
    )
    for target in targets(repo):
        if "$" in target.host or "tpl" in target.host or target.job == "prometheus":
            continue
        service = names.get(target.host)
        if service is None:
            why = _unreachable(target, names, objects, scraper)
            if why:
                yield Fault(target.path, target.line, why)
            continue
        ports = _listening(repo, service)
        if ports and target.port.isdigit() and target.port not in ports:
            yield Fault(
                target.path,
                target.line,
                f"`{target.host}:{target.port}` is scraped, but the service `{target.host}` "
                "listens "
                f"on {', '.join(sorted(ports))}.",
            )
            continue
        why = _no_path(repo, service, target)
        if why:
            yield Fault(target.path, target.line, why)


def cluster_faults(repo: AuditRepository) -> Iterator[Fault]:
    """Find annotations and monitors of a cluster that name a port that is not there."""
    for workload in (w for w in repo.workloads if w.system == "k8s"):
        ports = {p.target for p in workload.ports if p.target.isdigit()}
        for template in _templates(repo, workload):
            asked = template.get("metadata", "annotations", "prometheus.io/port")
            several = len(workload.pod.list_at("containers")) > 1
            if asked is None or not ports or several or not asked.text.isdigit():
                continue
            if asked.text not in ports:
                yield Fault(
                    workload.path,
                    asked.line,
                    f"Port {asked.text} is scraped, but the container `{workload.name}` opens "
                    f"{', '.join(sorted(ports))}.",
                )
    names = {
        p.text_at("name") for m in repo.kinds("Service") for p in m.node.list_at("spec", "ports")
    }
    for monitor in repo.kinds("ServiceMonitor") if names else ():
        for end in monitor.node.list_at("spec", "endpoints"):
            port = end.child("port")
            if port is not None and port.text and port.text not in names and "tpl" not in port.text:
                listed = ", ".join(f"`{n}`" for n in sorted(names - {""})) or "none with a name"
                why = f"The monitor scrapes the port `{port.text}`; the services have {listed}."
                yield Fault(monitor.path, port.line, why)


def _templates(repo: Repository, workload: Workload) -> list[Node]:
    """Pod templates, or pods, that hold a container."""
    return [
        n
        for m in repo.manifests
        if m.path == workload.path
        for n in m.node.below()
        if n.child("spec") is workload.pod
    ]


def _unreachable(
    target: Target,
    names: dict[str, Workload],
    objects: set[str],
    scraper: Workload | None,
) -> str:
    if scraper is None or scraper.node.text_at("network_mode") == "host":
        return ""
    if target.host in _OWN:
        if target.port == "9090":
            return ""
        return (
            f"`{target.host}:{target.port}` is Prometheus' own container, where nothing listens on "
            f"{target.port}: the application runs in another one."
        )
    bare = target.host.partition(".")[0]
    if target.host in _LOCAL or "." in target.host or bare in objects:
        return ""
    if not names:
        return ""
    listed = ", ".join(f"`{n}`" for n in sorted(names)[:6])
    return f"No service `{target.host}` is started here: the compose files know {listed}."


def _listening(repo: AuditRepository, service: Workload) -> set[str]:
    """Ports that a service listens on inside its network; empty when not known."""
    found: set[str] = {p.target for p in service.ports if p.target.isdigit()}
    found |= {n.text.partition("/")[0] for n in service.node.list_at("expose")}
    if any(not p.target.isdigit() for p in service.ports):
        return set()
    found |= {a or b for a, b in _PORT.findall(service.command[:2_000])}
    instructions = _image(repo, service)
    for item in instructions:
        if item.name == "EXPOSE":
            found |= set(re.findall(r"\d{2,5}", item.text[:200]))
        elif item.name in ("CMD", "ENTRYPOINT"):
            found |= {a or b for a, b in _PORT.findall(item.text[:2_000])}
    for path in _modules(repo, service):
        found |= {a or b for a, b in _CODE_PORT.findall(repo.text(path))}
    return found


def _image(repo: AuditRepository, service: Workload) -> list[Instruction]:
    build = service.node.child("build")
    if build is None:
        return []
    return repo.dockerfiles.get(dockerfile_of(repo, service.path, build), [])


def dockerfile_of(repo: Repository, compose: str, build: Node) -> str:
    """Path of the Dockerfile that a compose service is built from; empty when not found."""
    context = (build.text_at("context") or build.text or ".").rstrip("/")
    name = build.text_at("dockerfile") or "Dockerfile"
    folder = compose.rpartition("/")[0]
    parts = [p for p in f"{folder}/{context}/{name}".split("/") if p not in ("", ".")]
    done: list[str] = []
    for part in parts:
        if part == ".." and done:
            done.pop()
        elif part != "..":
            done.append(part)
    path = "/".join(done)
    return path if path in repo.dockerfiles else ""


def _modules(repo: AuditRepository, service: Workload) -> frozenset[str]:
    """Modules that a service built here runs, with what they import."""
    started = set(repo.runs.started(service.command))
    for item in _image(repo, service):
        if item.name in ("CMD", "ENTRYPOINT"):
            started |= repo.runs.started(item.text)
    build = service.node.child("build")
    if build is not None and len(started) > 1:
        folder = dockerfile_of(repo, service.path, build).rpartition("/")[0]
        near = {p for p in started if p.startswith(f"{folder}/")}
        started = near or started
    return repo.code.closure(frozenset(started))


def _no_path(repo: AuditRepository, service: Workload, target: Target) -> str:
    """Why the metrics path is not served by the code behind a service; empty when it may be."""
    modules = _modules(repo, service)
    if not modules:
        return ""
    methods = metric_routes(repo, modules)
    want = target.metrics.rstrip("/") or "/"
    if want in methods:
        if "get" not in methods[want]:
            return (
                f"`{want}` of `{service.name}` answers "
                f"{', '.join(sorted(methods[want])).upper()} only; Prometheus sends GET."
            )
        return ""
    if any(_METRIC_APPS.search(repo.text(p)) for p in modules):
        return ""
    return f"The code behind `{service.name}` serves no `{want}`: the scrape gets 404."


def metric_routes(repo: Repository, modules: frozenset[str]) -> dict[str, set[str]]:
    """Paths that modules serve, with their methods, lower case."""
    found: dict[str, set[str]] = {}
    for path in sorted(modules):
        for call in repo.code.modules[path].calls:
            if call.last in (
                "get",
                "post",
                "put",
                "route",
                "api_route",
                "add_url_rule",
                "add_api_route",
            ):
                text = call.text_of("path", 0) or call.text_of("rule", 0)
                if not text.startswith("/"):
                    continue
                given = call.kwargs.get("methods")
                if isinstance(given, tuple):
                    methods = {m.lower() for m in given if isinstance(m, str)}
                else:
                    methods = {call.last} if call.last in ("get", "post", "put") else {"get"}
                found.setdefault(text.rstrip("/") or "/", set()).update(methods)
            elif call.last == "mount":
                text = call.text_of("path", 0)
                found.setdefault(text.rstrip("/") or "/", set()).add("get")
    return found
