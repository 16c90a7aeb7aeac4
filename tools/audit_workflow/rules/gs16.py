"""Container or machine with too much access

## What it does

Reports containers that get the socket of Docker, run `privileged` or mount a folder of the host
(`hostPath`), in compose files and Kubernetes objects, and workers with a public address: batch,
Dataflow, Vertex and SageMaker jobs, notebooks and instances in Terraform, YAML and code.

## Why is this bad?

Who controls the socket of Docker, or a privileged container, is root on the host.  A worker needs
no public address to fetch its data; with one every open port of it is on the internet.

## Known problems

Some agents of monitoring need the socket or the files of the host.  A public address with a strict
firewall is less harmful; firewalls are GS03's business.

## Example

```yaml
services:
  runner:
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
```

## Use instead

```yaml
services:
  runner:
    environment:
      DOCKER_HOST: tcp://docker-socket-proxy:2375
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._secrets import for_development
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.terraform import Block
from mlops_advisor.tools.evidence.view import View
from mlops_advisor.tools.evidence.workloads import Workload

_SOCKET: Final = ("docker.sock", "containerd.sock", "crio.sock")
# Agents that read the host by their nature.
_AGENTS: Final = re.compile(
    r"node-exporter|cadvisor|promtail|fluent|filebeat|datadog|csi|device-plugin|dcgm|nvidia|falco|"
    r"vector|otel|cilium|calico|traefik|watchtower|portainer|dind"
)
_RUN_SOCKET: Final = re.compile(r"docker\s{1,4}run\b.{0,600}docker\.sock")
_ASSIGN: Final = re.compile(
    r"^\s{0,20}(?:associate_public_ip_address|assign_public_ip|map_public_ip_on_launch)\s{0,20}="
    r"\s{0,4}(?:true|\"ENABLED\")|^\s{0,20}direct_internet_access\s{0,20}=\s{0,4}\"Enabled\""
    r"|^\s{0,20}ip_configuration\s{0,20}=\s{0,4}\"WORKER_IP_PUBLIC\""
)
_ACCESS_CONFIG: Final = re.compile(r"^\s{0,20}access_config\s{0,4}\{")
_YAML: Final = {
    "AssociatePublicIpAddress": ("true",),
    "AssignPublicIp": ("enabled",),
    "assignPublicIp": ("enabled",),
    "assign_public_ip": ("enabled", "true"),
    "DirectInternetAccess": ("enabled",),
    "usePublicIps": ("true",),
    "use_public_ips": ("true",),
    "ipConfiguration": ("worker_ip_public",),
}
_KEYWORDS: Final = ("use_public_ips", "assign_public_ip", "associate_public_ip_address")
_CODE: Final = ("public_ip", "PublicIp", "WORKER_IP_PUBLIC", "use_public_ips", "usePublicIps")


@rule(
    "GS16",
    name="docker-socket-or-privileged",
    dimension="governance",
    severity=HIGH,
    confidence=0.85,
    fix="Remove the mount or the right; give a worker only an address inside the network.",
    effort=(0.25, 1.5),
    sources=(
        "checkov: CKV_K8S_16 privileged container, CKV_K8S_27 docker daemon socket",
        (
            "cis_docker: v1.6.0 5.5 privileged containers, 5.6 sensitive host directories, "
            "5.32 Docker socket"
        ),
    ),
)
def too_much_access(repo: AuditRepository) -> Iterator[Hit]:
    """Report containers that reach the host, and workers that the internet reaches."""
    for workload in repo.workloads:
        if not is_test_path(workload.path):
            yield from _container(repo, workload)
    for run in (*repo.runs.shell, *repo.runs.make, *repo.runs.ci):
        if _RUN_SOCKET.search(run.text[:2_000]) and not is_test_path(run.path):
            why = "The container gets the socket of Docker, and with it the host."
            yield Hit(run.path, run.line, why, severity=MEDIUM)
    yield from _addresses(repo)


def _container(repo: AuditRepository, workload: Workload) -> Iterator[Hit]:
    agent = bool(_AGENTS.search(f"{workload.name} {workload.image}".lower()))
    severity = MEDIUM if agent or for_development(repo, workload.path) else HIGH
    who = f"`{workload.name}`"
    for node in workload.pod.list_at("volumes"):
        text = node.text or node.text_at("source") or node.text_at("hostPath", "path")
        line = (node.get("hostPath", "path") or node.child("source") or node).line
        if any(s in text for s in _SOCKET):
            why = f"{who} gets the socket of Docker, and with it the rights of root on the host."
            yield Hit(workload.path, line, why, severity=severity)
        elif node.child("hostPath") is not None and not agent:
            why = f"{who} mounts the folder `{text}` of the node it happens to run on."
            yield Hit(workload.path, line, why, _CLAIM, severity=MEDIUM, confidence=0.7)
    if workload.privileged:
        flag = workload.node.child("privileged")
        if flag is None:
            flag = workload.node.get("securityContext", "privileged")
        why = f"{who} runs privileged, which is root on the host."
        line = flag.line if flag is not None else workload.line
        yield Hit(workload.path, line, why, severity=severity)


_CLAIM: Final = "Use a PersistentVolumeClaim, a ConfigMap or an object store."


def _addresses(repo: AuditRepository) -> Iterator[Hit]:
    for path, block in repo.terraform:
        line = _in_terraform(block) if block.kind == "resource" else 0
        if line:
            yield _public(path, line, f"`{block.type}.{block.name}`")
    for file in repo.yaml_files(holding=tuple(_YAML)):
        if is_test_path(file.path):
            continue
        for doc in file.docs:
            for key, node in doc.find(*_YAML):
                if node.text.lower() in _YAML[key]:
                    yield _public(file.path, node.line, f"The worker (`{key}: {node.text}`)")
    for view in repo.views(*_CODE):
        yield from _in_code(view)


def _public(path: str, line: int, who: str) -> Hit:
    return Hit(
        path,
        line,
        f"{who} gets a public address.",
        "Turn the public address off and reach the worker by a private network (NAT for outgoing "
        "traffic, a bastion or IAP for people).",
        severity=MEDIUM,
        confidence=0.75,
    )


def _in_terraform(block: Block) -> int:
    for number, line in block.body:
        if _ASSIGN.match(line):
            return number
        if _ACCESS_CONFIG.match(line) and block.type.startswith("google_compute_instance"):
            return number
    return 0


def _in_code(view: View) -> Iterator[Hit]:
    for call in view.calls:
        for keyword in call.keywords:
            if keyword.arg in _KEYWORDS:
                value = view.literal(keyword.value)
                if value is True or (isinstance(value, str) and value.upper() == "ENABLED"):
                    yield _public(view.path, keyword.value.lineno, f"The worker (`{keyword.arg}`)")
    for node in view.of(ast.Dict):
        for key, given in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in _YAML:
                value = view.literal(given)
                if str(value).lower() in _YAML[str(key.value)]:
                    yield _public(view.path, key.lineno, f"The worker (`{key.value}`)")
