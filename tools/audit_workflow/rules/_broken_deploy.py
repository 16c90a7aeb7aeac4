"""References of what is deployed that do not hold: ports, services, selectors, entry points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._broken_names import bound_at_top
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import closest, folder_of, join
from mlops_advisor.tools.evidence.arguments import words_of
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parsed import Manifest
from mlops_advisor.tools.evidence.workloads import Workload

_PORT: Final = re.compile(
    r"(?:--port[= ]\s{0,2}|--server\.port[= ]\s{0,2}|\s-p\s|--bind[= ]\s{0,2}[\w.]{0,40}:|"
    r"\s-b\s\s{0,2}[\w.\"']{0,40}:|"
    r"--http-port[= ]|runserver\s[\d.]{0,16}:)(\d{2,5})\b"
)
_DEFAULTS: Final = (
    (re.compile(r"\buvicorn\s"), "8000"),
    (re.compile(r"\bgunicorn\s"), "8000"),
    (re.compile(r"\bflask\s+(?:--app\s+\S+\s+)?run\b"), "5000"),
    (re.compile(r"\bmlflow\s+(?:ui|server)\b|\bmlflow\s+models\s+serve\b"), "5000"),
    (re.compile(r"\bstreamlit\s+run\b"), "8501"),
    (re.compile(r"\bbentoml\s+serve"), "3000"),
)
_SERVER: Final = re.compile(
    r"\b(?:uvicorn|gunicorn|hypercorn|flask|mlflow|streamlit|bentoml|fastapi|waitress-serve|runserver)\b"
)
_VARIABLE: Final = re.compile(
    r"\$\{?\w{0,30}PORT|PORT\}|\$PORT|UVICORN_|FLASK_RUN_PORT|STREAMLIT_SERVER"
)
_PROBE_URL: Final = re.compile(r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(\d{2,5})\b")
_URL: Final = re.compile(
    r"\b(?:https?|redis|postgresql|postgres|mongodb|grpc|amqp)(?:\+\w+)?://(?:[^@/\s\"']{1,80}@)?([a-z][\w-]{1,60}):(\d{2,5})\b"
)
_APP: Final = re.compile(r"^[A-Za-z_][\w.]{0,120}:[A-Za-z_]\w{0,80}(?:\(\))?$")
_APP_SERVERS: Final = frozenset(
    ("uvicorn", "gunicorn", "hypercorn", "waitress-serve", "daphne", "granian")
)


class _Listener(NamedTuple):
    port: str
    path: str
    line: int


class _Pod(NamedTuple):
    manifest: Manifest
    template: Node
    labels: dict[str, str]
    folder: str


def broken_deploy(repo: AuditRepository) -> Iterator[Hit]:
    """Find what deployments name and nothing answers to."""
    yield from _services(repo)
    yield from _images(repo)
    yield from _cluster(repo)
    yield from _apps(repo)
    yield from _scripts(repo)


# --- compose ------------------------------------------------------------------------------------


def _services(repo: AuditRepository) -> Iterator[Hit]:
    groups: dict[str, list[Workload]] = {}
    for workload in repo.workloads:
        if workload.system == "compose" and not repo.is_aside(workload.path):
            groups.setdefault(folder_of(workload.path), []).append(workload)
    for folder, workloads in groups.items():
        names = {w.name for w in workloads}
        for workload in workloads:
            yield from _needs(workload, names)
            yield from _published(repo, folder, workload)
        known = {w.name: ports for w in workloads if (ports := _ports_of(repo, folder, w))}
        for workload in workloads:
            yield from _called(workload, known)
    for file in repo.compose:
        for doc in file.docs:
            yield from _declared(file.path, doc, repo)


def _needs(workload: Workload, names: set[str]) -> Iterator[Hit]:
    node = workload.node.child("depends_on")
    if node is None:
        return
    wanted = (
        [(k, v.key_line) for k, v in node.map.items()]
        if node.map is not None
        else [(n.text, n.line) for n in node.items or []]
    )
    for name, line in wanted:
        if name not in names and name and "$" not in name:
            near = closest(name, sorted(names))
            hint = f" There is `{near}`." if near else ""
            why = f"`{workload.name}` depends on `{name}`, which is no service.{hint}"
            yield Hit(workload.path, line, why, severity=HIGH, confidence=0.9)


def _declared(path: str, doc: Node, repo: AuditRepository) -> Iterator[Hit]:
    """Find networks and volumes that services use and the file does not declare."""
    several = sum(1 for f in repo.compose if folder_of(f.path) == folder_of(path)) > 1
    if several or doc.child("include") is not None:
        return
    for kind in ("networks", "volumes"):
        known = {k for k, _ in doc.pairs(kind)}
        for name, service in doc.pairs("services"):
            for item in _used(service, kind):
                if item.text not in known and item.text not in ("default", "host", "none"):
                    what = f"the {kind[:-1]} `{item.text}`"
                    why = f"`{name}` uses {what}, which the file does not declare."
                    fix = f"Add `{item.text}:` below `{kind}:`."
                    yield Hit(path, item.line, why, fix, severity=HIGH, confidence=0.9)


def _used(service: Node, kind: str) -> Iterator[Node]:
    node = service.child(kind)
    if node is None or node.items is None:
        return
    for item in node.items:
        if kind == "networks" and item.text and "$" not in item.text:
            yield item
        elif kind == "volumes" and ":" in item.text:
            name = item.text.partition(":")[0]
            if re.fullmatch(r"[A-Za-z][\w.-]{1,80}", name) and len(name) > 1:
                made = Node(item.line, name)
                yield made


def _dockerfile_of(workload: Workload, folder: str) -> str:
    build = workload.node.child("build")
    if build is None:
        return ""
    context = build.text or build.text_at("context") or "."
    return join(join(folder, context), build.text_at("dockerfile") or "Dockerfile")


def _listens(repo: AuditRepository, folder: str, workload: Workload) -> _Listener | None:
    """Port on which the process of a service listens, when it can be told."""
    path, line, text = workload.path, workload.line, workload.command
    if not text:
        path = _dockerfile_of(workload, folder)
        started = _start(repo, path)
        if started is None:
            return None
        line, text = started
    if any("PORT" in s.name for s in workload.env):
        return None
    port = listening(text)
    return _Listener(port, path, line) if port else None


def _start(repo: AuditRepository, path: str) -> tuple[int, str] | None:
    """Line and text of the command that an image starts."""
    found: dict[str, tuple[int, str]] = {}
    for item in repo.dockerfiles.get(path, ()):
        if item.name == "FROM":
            found.clear()
        elif item.name in ("CMD", "ENTRYPOINT"):
            found[item.name] = (item.line, item.text)
    if not found:
        return None
    line = max(at for at, _ in found.values())
    return line, " ".join(found[k][1] for k in ("ENTRYPOINT", "CMD") if k in found)


def listening(text: str) -> str:
    """Port that a command makes a server listen on; empty when it cannot be told."""
    text = text[:2_000]
    if not _SERVER.search(text) or _VARIABLE.search(text) or text.count("&&") > 1:
        return ""
    found = _PORT.search(text)
    if found:
        return found.group(1)
    if re.search(r"\s-(?:c|-config)\b|--config|--bind|\s-b\s|--port|\.sh\b|uds|\s-p\b", text):
        return ""
    return next((port for pattern, port in _DEFAULTS if pattern.search(text)), "")


def _published(repo: AuditRepository, folder: str, workload: Workload) -> Iterator[Hit]:
    listener = _listens(repo, folder, workload)
    targets = [p for p in workload.ports if p.target.isdigit()]
    if listener is None or not targets or any(p.target == listener.port for p in targets):
        return
    if len(targets) == len(workload.ports):
        port = targets[0]
        why = (
            f"`{workload.name}` publishes port {port.target} of the container, but the process "
            f"listens on {listener.port}: nothing answers."
        )
        fix = f"Publish `{port.published or listener.port}:{listener.port}`."
        also = ((listener.path, listener.line),)
        yield Hit(workload.path, port.line, why, fix, also=also, severity=HIGH, confidence=0.85)


def _ports_of(repo: AuditRepository, folder: str, workload: Workload) -> frozenset[str]:
    """Ports on which other services of the file may reach a service."""
    ports = {p.target for p in workload.ports}
    ports |= {n.text.partition("/")[0] for n in workload.node.list_at("expose")}
    listener = _listens(repo, folder, workload)
    if listener is not None:
        ports.add(listener.port)
    if not ports or not all(p.isdigit() for p in ports):
        return frozenset()
    return frozenset(ports)


def _called(workload: Workload, known: dict[str, frozenset[str]]) -> Iterator[Hit]:
    for setting in workload.env:
        for host, port in _URL.findall(setting.value[:1_000]):
            if host in known and port not in known[host] and host != workload.name:
                shown = ", ".join(sorted(known[host]))
                why = f"`{setting.name}` calls `{host}` on port {port}, but it listens on {shown}."
                yield Hit(workload.path, setting.line, why, severity=HIGH, confidence=0.75)


# --- images -------------------------------------------------------------------------------------


def _images(repo: AuditRepository) -> Iterator[Hit]:
    for path, instructions in repo.dockerfiles.items():
        started = _start(repo, path)
        port = listening(started[1]) if started is not None else ""
        if (
            not port
            or started is None
            or any("PORT" in i.text for i in instructions if i.name == "ENV")
        ):
            continue
        last = max((i for i, x in enumerate(instructions) if x.name == "FROM"), default=0)
        exposed = [i for i in instructions[last:] if i.name == "EXPOSE"]
        numbers = {w.partition("/")[0] for i in exposed for w in i.text.split()}
        if numbers and all(n.isdigit() for n in numbers) and port not in numbers:
            shown = ", ".join(sorted(numbers))
            why = f"The image exposes {shown}, but the process listens on {port}."
            yield Hit(path, exposed[0].line, why, also=((path, started[0]),), severity=MEDIUM)
        for item in instructions[last:]:
            probed = _PROBE_URL.search(item.text) if item.name == "HEALTHCHECK" else None
            if probed and probed.group(1) != port:
                why = (
                    f"The health check asks port {probed.group(1)}, the process listens on {port}."
                )
                yield Hit(path, item.line, why, also=((path, started[0]),), severity=HIGH)


# --- Kubernetes ---------------------------------------------------------------------------------


def _cluster(repo: AuditRepository) -> Iterator[Hit]:
    pods: list[_Pod] = []
    for manifest in repo.manifests:
        template = _template(manifest)
        if template is not None and not _templated(repo, manifest):
            labels = _labels(template.get("metadata", "labels"))
            pods.append(_Pod(manifest, template, labels, folder_of(manifest.path)))
    for pod in pods:
        yield from _selector(pod.manifest)
        yield from _probes(pod.manifest)
    for service in repo.kinds("Service"):
        if service.api == "v1" and not _templated(repo, service):
            yield from _service(service, pods)
    for ingress in repo.kinds("Ingress"):
        if not _templated(repo, ingress):
            yield from _ingress(repo, ingress)


def _templated(repo: AuditRepository, manifest: Manifest) -> bool:
    return "{{" in repo.text(manifest.path)


def _template(manifest: Manifest) -> Node | None:
    for path in (("spec", "template"), ("spec", "jobTemplate", "spec", "template")):
        node = manifest.node.get(*path)
        if node is not None and node.get("spec", "containers") is not None:
            return node
    return None


def _labels(node: Node | None) -> dict[str, str]:
    return {k: v.text for k, v in node.pairs()} if node is not None else {}


def _selector(manifest: Manifest) -> Iterator[Hit]:
    template = _template(manifest)
    wanted = manifest.node.get("spec", "selector", "matchLabels")
    labels = _labels(template.get("metadata", "labels")) if template is not None else {}
    for key, node in wanted.pairs() if wanted is not None else ():
        if labels.get(key) != node.text:
            label = f"{key}: {node.text}"
            why = f"The selector wants `{label}`, which the pods of `{manifest.name}` do not have."
            yield Hit(manifest.path, node.line, why, severity=HIGH, confidence=0.9)
            return


def _container_ports(template: Node) -> tuple[set[str], set[str]]:
    """Names and numbers of the ports of all containers of a pod."""
    names: set[str] = set()
    numbers: set[str] = set()
    for container in template.list_at("spec", "containers"):
        for port in container.list_at("ports"):
            names.add(port.text_at("name"))
            numbers.add(port.text_at("containerPort"))
        command = " ".join(n.text for k in ("command", "args") for n in container.list_at(k))
        numbers.add(listening(command))
    return names - {""}, numbers - {""}


def _probes(manifest: Manifest) -> Iterator[Hit]:
    template = _template(manifest)
    for container in template.list_at("spec", "containers") if template is not None else ():
        ports = container.list_at("ports")
        known = {p.text_at("containerPort") for p in ports} | {p.text_at("name") for p in ports}
        command = " ".join(n.text for k in ("command", "args") for n in container.list_at(k))
        port = listening(command)
        if port and ports and port not in known:
            why = (
                f"The container declares {', '.join(sorted(known - {''}))}, but listens on {port}."
            )
            yield Hit(manifest.path, ports[0].line, why, severity=MEDIUM)
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            node = container.get(probe, "httpGet", "port") or container.get(
                probe, "tcpSocket", "port"
            )
            if node is not None and ports and node.text not in known | {port} and node.text:
                why = f"The {probe} asks port `{node.text}`, which the container does not have."
                yield Hit(manifest.path, node.line, why, severity=HIGH, confidence=0.85)


def _service(service: Manifest, pods: list[_Pod]) -> Iterator[Hit]:
    selector = service.node.get("spec", "selector")
    wanted = _labels(selector)
    folder = folder_of(service.path)
    near = [p for p in pods if p.folder == folder]
    if selector is None or not wanted or not near:
        return
    fits = [p.template for p in pods if wanted.items() <= p.labels.items()]
    if not fits:
        known = sorted({v for p in near for v in p.labels.values()})
        shown = ", ".join(f"{k}={v}" for k, v in wanted.items())
        have = ", ".join(known[:5])
        why = f"No pod here has the labels `{shown}` (they have {have}): no traffic arrives."
        line = next(iter(selector.map.values())).line if selector.map else selector.line
        yield Hit(service.path, line, why, severity=HIGH, confidence=0.8)
        return
    names = set().union(*(_container_ports(t)[0] for t in fits))
    numbers = set().union(*(_container_ports(t)[1] for t in fits))
    for port in service.node.list_at("spec", "ports"):
        node = port.child("targetPort") or port.child("port")
        if node is None or not node.text or not numbers:
            continue
        if node.text not in (numbers if node.text.isdigit() else names):
            have = ", ".join(sorted(numbers))
            why = f"The service sends traffic to port `{node.text}`, but the container has {have}."
            yield Hit(service.path, node.line, why, severity=HIGH, confidence=0.85)


def _ingress(repo: AuditRepository, ingress: Manifest) -> Iterator[Hit]:
    services = {
        m.name: m for m in repo.kinds("Service") if folder_of(m.path) == folder_of(ingress.path)
    }
    if not services:
        return
    for _, backend in ingress.node.find("backend"):
        node = backend.get("service", "name") or backend.child("serviceName")
        if node is not None and node.text and node.text not in services:
            hint = closest(node.text, sorted(services))
            more = f" There is `{hint}`." if hint else ""
            why = (
                f"The ingress sends traffic to the service `{node.text}`, which is not here.{more}"
            )
            yield Hit(ingress.path, node.line, why, severity=HIGH, confidence=0.75)


# --- entry points -------------------------------------------------------------------------------


def _apps(repo: AuditRepository) -> Iterator[Hit]:
    """Find `module:app` of servers that no module of the repository has."""
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        if not run.live or repo.is_aside(run.path) or (run.path, run.line) in seen:
            continue
        for words in words_of(run.text):
            if not any(w.rpartition("/")[2] in _APP_SERVERS for w in words[:6]):
                continue
            app = next((w for w in words if _APP.match(w)), "")
            if app and "--app-dir" not in words and "--chdir" not in words:
                why = _not_there(repo, app.removesuffix("()"), run.path)
                if why:
                    seen.add((run.path, run.line))
                    yield Hit(run.path, run.line, why, severity=HIGH, confidence=0.9)


def _not_there(repo: AuditRepository, reference: str, origin: str) -> str:
    """Why `module:name` cannot be found, or empty."""
    module, _, name = reference.partition(":")
    path = repo.code.resolve(module, origin)
    if not path:
        # The same file under another folder is what a working directory would do.
        tail = module.rpartition(".")[2]
        if any(p == f"{tail}.py" or p.endswith(f"/{tail}.py") for p in repo.python):
            return ""
        if not repo.python or any(p.endswith(f"/{tail}/__init__.py") for p in repo.python):
            return ""
        return f"`{reference}` is started, and there is no module `{module}`."
    view = repo.view(path)
    known = bound_at_top(repo, view) if view is not None and not view.module.problem else None
    if known is not None and name and name not in known:
        near = closest(name, sorted(known))
        hint = f" It has `{near}`." if near else ""
        return f"`{reference}` is started, but `{path}` has no `{name}`.{hint}"
    return ""


def _scripts(repo: AuditRepository) -> Iterator[Hit]:
    """Find console scripts of a package whose function is not there."""
    for path in repo.named("pyproject.toml"):
        tree = repo.tree(path)
        for table in (("project", "scripts"), ("tool", "poetry", "scripts")):
            for name, node in tree.pairs(*table) if tree is not None else ():
                reference = node.text or node.text_at("reference")
                if not _APP.match(reference) or not repo.code.resolve(
                    reference.partition(".")[0].partition(":")[0], path
                ):
                    continue
                why = _not_there(repo, reference, path)
                if why:
                    line = repo.line_of(path, reference) or 1
                    yield Hit(path, line, f"Console script `{name}`: {why}", severity=HIGH)
