"""Data store or admin page open to the network

## What it does

Reports servers that hold data or run code and that anybody who reaches the port can use: MongoDB,
Redis, Elasticsearch and the like without a password, MLflow, Jupyter without a token, Flower, the
Ray dashboard, Spark and others, when compose publishes them on all addresses, a command binds
them to 0.0.0.0, or a Kubernetes Service or Ingress exposes them.  Also firewall rules and
databases in Terraform that are open to 0.0.0.0/0.

## Why is this bad?

A tracking server without a login lets everybody read and replace models; Jupyter, Ray and Flower
run any code for whoever asks.

## Known problems

A proxy with a login in front of the port, or a firewall, is not seen.  A port bound to 127.0.0.1
is fine.  Files that say they are for development are reported with medium severity.

## Example

```yaml
services:
  mlflow:
    command: mlflow server --host 0.0.0.0
    ports: ["5000:5000"]
```

## Use instead

```yaml
services:
  mlflow:
    command: mlflow server --host 0.0.0.0 --app-name basic-auth
    ports: ["127.0.0.1:5000:5000"]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._secrets import for_development
from mlops_advisor.tools.audit_workflow.rules._supply_network import open_networks
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parsed import Manifest
from mlops_advisor.tools.evidence.runs import Run
from mlops_advisor.tools.evidence.workloads import Workload

_LOCAL: Final = ("127.0.0.1", "localhost", "::1")
# A server, names of its image, words of its command, and words of settings that make it ask who
# is there (- when nothing does).
_TABLE: Final = """
MLflow|mlflow mlflow-server mlflow-tracking|mlflow server;mlflow ui|basic-auth MLFLOW_AUTH oidc
MongoDB|mongo mongodb mongodb-community-server|mongod|_PASSWORD --auth _PASS
Mongo Express|mongo-express||ME_CONFIG_BASICAUTH
Redis|redis redis-stack redis-stack-server valkey keydb|redis-server|requirepass PASSWORD aclfile
Elasticsearch|elasticsearch opensearch||ELASTIC_PASSWORD xpack.security.enabled=true INITIAL_ADMIN
Qdrant|qdrant||API_KEY
Weaviate|weaviate||AUTHENTICATION_APIKEY_ENABLED AUTHENTICATION_OIDC
Chroma|chroma chromadb|chroma run|CHROMA_SERVER_AUTH
Milvus|milvus||authorizationEnabled
Memcached|memcached||SASL
Cassandra|cassandra||PasswordAuthenticator
Flower|flower|celery flower;airflow celery flower;flower --|basic_auth basic-auth BASIC_AUTH oauth
Adminer|adminer||-
Ray|ray ray-ml|ray start|-
Spark|spark||spark.authenticate SPARK_RPC_AUTHENTICATION_ENABLED
TensorBoard|tensorboard|tensorboard --|-
Dask|dask dask-scheduler|dask-scheduler;dask scheduler|--tls-cert
Prefect|prefect|prefect server start;prefect orion start|PREFECT_SERVER_API_AUTH
Dagster||dagit;dagster-webserver;dagster dev|-
Mage|mageai|mage start|REQUIRE_USER_AUTHENTICATION
Optuna dashboard|optuna-dashboard|optuna-dashboard|-
Evidently|evidently-service|evidently ui|EVIDENTLY_SECRET
Pushgateway|pushgateway||--web.config.file
Kafka UI|kafka-ui kafdrop akhq||AUTH_TYPE
Phoenix|phoenix|phoenix serve|PHOENIX_ENABLE_AUTH
"""
_SERVERS: Final = tuple(
    (
        name,
        frozenset(images.split()),
        tuple(c for c in commands.split(";") if c),
        tuple(w for w in auth.split() if w != "-"),
    )
    for name, images, commands, auth in (row.split("|") for row in _TABLE.strip().splitlines())
)
_NO_LOGIN: Final = re.compile(
    r"(?i)\.?(?:token|password)[=: ]{1,3}(?:''|\"\"|\\?[\"']{2})(?=\s|[\"',\]]|$)"
    r"|--no-auth\b|--without-auth|JUPYTER_TOKEN[=:]\s{0,3}(?:''|\"\")?\s{0,3}$"
    r"|\.(?:token|password)=(?=\s|[\"',\]]|$)"
)
_JUPYTER: Final = re.compile(r"(?i)jupyter|NotebookApp|ServerApp|\blab\b")
_BOUND: Final = re.compile(
    r"(?:--(?:host|ip|bind|address|dashboard-host|bind_all)|(?:^|\s)-[hb])[= ]{0,2}[\"']?"
    r"(?:0\.0\.0\.0|\*(?=\s|$))|--bind_all"
)
_GRAFANA: Final = re.compile(
    r"GF_AUTH_ANONYMOUS_ENABLED[\"']?\s{0,4}[:=]\s{0,4}[\"']?true", re.IGNORECASE
)
_PUBLIC_SERVICE: Final = ("LoadBalancer", "NodePort")
_ASKS: Final = ("auth-url", "auth-type", "auth-secret", "oauth2", "authentik", "iap", "basic-auth")
_PRIVATE_ASKS: Final = ("internal", "private")


@rule(
    "GS03",
    name="datastore-or-admin-ui-exposed",
    dimension="governance",
    severity=HIGH,
    confidence=0.8,
    fix=(
        "Bind the port to this machine (`127.0.0.1:5000:5000`) or remove it, and turn on a login"
        " (password, token, `--app-name basic-auth`) or put a proxy with one in front."
    ),
    effort=(0.1, 1.0),
    sources=(
        "cwe: CWE-306 Missing Authentication for Critical Function",
        "ruff: S104 hardcoded-bind-all-interfaces",
        (
            "owasp_ml: ML06:2023, How to Prevent: limit access to web UIs of the platform "
            "from the Internet"
        ),
    ),
)
def exposed_server(repo: AuditRepository) -> Iterator[Hit]:
    """Report servers without a login that more than this machine can reach."""
    found: set[str] = set()
    for workload in repo.workloads:
        if is_test_path(workload.path) or workload.system != "compose":
            continue
        hit = _published(repo, workload)
        if hit is not None:
            found.add(_server(workload.image, workload.command, workload.name)[0])
            yield hit
    yield from _without_token(repo)
    yield from _commands(repo, found)
    yield from _kubernetes(repo)
    yield from _anonymous(repo)
    yield from open_networks(repo)


def _server(image: str, command: str, name: str) -> tuple[str, tuple[str, ...]]:
    """Name of a known server and the words that make it ask for a login."""
    base = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    for server, images, commands, auth in _SERVERS:
        runs = any(c in command for c in commands)
        if base in images and not (command and commands and not runs and _worker(command)):
            return server, auth
        if runs or (not base and name.lower() in images):
            return server, auth
    return "", ()


def _worker(command: str) -> bool:
    return any(w in command for w in ("worker", "agent", "run ", "python"))


def _published(repo: AuditRepository, workload: Workload) -> Hit | None:
    server, auth = _server(workload.image, workload.command, workload.name)
    ports = [p for p in workload.ports if p.host not in _LOCAL]
    settings = " ".join([workload.command, *(f"{s.name}={s.value}" for s in workload.env)])
    if not server or not ports or any(w in settings for w in auth):
        return None
    if workload.node.child("command") is None and _named_elsewhere(repo, workload, auth):
        return None
    where = ports[0]
    return Hit(
        workload.path,
        where.line,
        f"Service `{workload.name}` publishes {server} on port {where.published or where.target} "
        "of every network interface, and nothing asks who is there.",
        severity=MEDIUM if for_development(repo, workload.path) else HIGH,
    )


def _named_elsewhere(repo: AuditRepository, workload: Workload, auth: tuple[str, ...]) -> bool:
    """Tell whether the settings come from a file that has a login in it."""
    for node in workload.node.list_at("env_file"):
        path = repo.runs.file_named(node.text or node.text_at("path"))
        if not path or any(w in repo.text(path) for w in auth):
            return True
    return False


def _without_token(repo: AuditRepository) -> Iterator[Hit]:
    """Jupyter that was told to ask for neither token nor password."""
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        text = run.text[:4_000]
        place = (run.path, run.line)
        if place in seen or is_test_path(run.path) or not _JUPYTER.search(text):
            continue
        if _NO_LOGIN.search(text):
            seen.add(place)
            yield Hit(
                run.path,
                run.line,
                "Jupyter starts without token and password: whoever reaches the port runs code.",
                'Leave the token on, or set one: `--ServerApp.token="$JUPYTER_TOKEN"`.',
                severity=MEDIUM if for_development(repo, run.path) else HIGH,
            )


def _commands(repo: AuditRepository, known: set[str]) -> Iterator[Hit]:
    """Commands that bind such a server to every interface, unless compose was reported for it."""
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        if (run.path, run.line) in seen or is_test_path(run.path) or run.source == "compose":
            continue
        if _BOUND.search(run.text[:4_000]):
            seen.add((run.path, run.line))
            server, auth = _server("", run.text, "")
            asks = any(w in run.text for w in auth)
            if server and server not in known and not asks and not _behind(repo, run):
                yield Hit(
                    run.path,
                    run.line,
                    f"{server} listens on every network interface, and nothing asks who is there.",
                    confidence=0.7,
                    severity=MEDIUM if for_development(repo, run.path) else HIGH,
                )


def _behind(repo: AuditRepository, run: Run) -> bool:
    """Tell whether an image's server is only published to this machine, or not at all."""
    if run.source != "docker":
        return False
    folder = run.path.rpartition("/")[0]
    services = [w for w in repo.workloads if w.system == "compose" and _built_from(w, folder)]
    return bool(services) and all(p.host in _LOCAL for w in services for p in w.ports)


def _built_from(workload: Workload, folder: str) -> bool:
    build = workload.node.child("build")
    if build is None:
        return False
    context = (build.text or build.text_at("context")).removeprefix("./").strip("/")
    return folder.endswith(context) if context not in ("", ".") else not folder


def _kubernetes(repo: AuditRepository) -> Iterator[Hit]:
    for manifest in repo.kinds("Service", "Ingress"):
        if is_test_path(manifest.path):
            continue
        notes = " ".join(f"{k}={v.text}" for k, v in manifest.node.pairs("metadata", "annotations"))
        if any(w in notes.lower() for w in (*_ASKS, *_PRIVATE_ASKS)):
            continue
        server = _exposed(repo, manifest)
        if server:
            node = manifest.node.get("spec", "type") if manifest.kind == "Service" else None
            line = node.line if node is not None else manifest.line
            yield Hit(
                manifest.path,
                line,
                f"{manifest.kind} `{manifest.name}` makes {server} reachable from outside the "
                "cluster, and nothing asks who is there.",
                "Make the Service a ClusterIP, or put an ingress with a login in front of it.",
                confidence=0.7,
            )


def _exposed(repo: AuditRepository, manifest: Manifest) -> str:
    node = manifest.node
    if manifest.kind == "Service":
        if node.text_at("spec", "type") not in _PUBLIC_SERVICE:
            return ""
        names = [manifest.name, *(v.text for _, v in node.pairs("spec", "selector"))]
    else:
        names = [n.text_at("name") or n.text for _, n in node.find("service", "serviceName")]
    for name in names:
        plain = re.sub(r"-(?:service|svc|server|master|tracking|lb)$", "", name.lower())
        server, auth = _server("", "", plain)
        settings = " ".join(
            f"{w.command} " + " ".join(s.name for s in w.env)
            for w in repo.workloads
            if w.system == "k8s" and _server(w.image, w.command, w.name)[0] == server
        )
        if server and not any(w in settings for w in auth):
            return server
    return ""


def _anonymous(repo: AuditRepository) -> Iterator[Hit]:
    for workload in repo.workloads:
        role = next((s.value for s in workload.env if s.name == "GF_AUTH_ANONYMOUS_ORG_ROLE"), "")
        for setting in workload.env:
            text = f"{setting.name}={setting.value}"
            if _GRAFANA.match(text) and not is_test_path(workload.path):
                admin = role.lower() in ("admin", "editor")
                rights = f"with the rights of {role}" if role else "and read every dashboard"
                yield Hit(
                    workload.path,
                    setting.line,
                    f"Grafana lets everybody in without a login {rights}.",
                    "Remove `GF_AUTH_ANONYMOUS_ENABLED`, or set it to false.",
                    severity=HIGH if admin and not for_development(repo, workload.path) else MEDIUM,
                )
