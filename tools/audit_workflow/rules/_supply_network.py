"""Firewall rules, databases and machines that Terraform, CloudFormation or a shell opens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.evidence.parse.terraform import Block
from mlops_advisor.tools.evidence.parse.tree import Node

_WORLD: Final = re.compile(r"[\"'\s=,\[]0\.0\.0\.0/0|::/0")
_WEB: Final = frozenset(("80", "443", "8080", "8443"))
_PORT: Final = re.compile(
    r"(?:from_port|to_port|port_range|ports|port)\s{0,12}=\s{0,4}\[?\s{0,4}\"?(-?\d{1,5})"
)
_GCLOUD: Final = re.compile(
    r"gcloud\s{1,4}(?:beta\s|alpha\s)?"
    r"(?:sql instances (?:create|patch)|compute firewall-rules create)\b.{0,400}"
    r"(?:--authorized-networks|--source-ranges)[= ]{1,2}[\"']?0\.0\.0\.0/0"
)
_OPEN_DB: Final = re.compile(r"^\s{0,20}publicly_accessible\s{0,20}=\s{0,4}true\b")


def open_networks(repo: AuditRepository) -> Iterator[Hit]:
    """Report what the whole internet may reach, web ports of front ends aside."""
    for path, block in repo.terraform:
        if block.kind == "resource":
            yield from _terraform(path, block)
    for file in repo.yaml_files(holding=("0.0.0.0/0", "PubliclyAccessible")):
        for doc in file.docs:
            yield from _cloudformation(file.path, doc)
    for run in repo.runs.everything:
        if "gcloud" in run.text and _GCLOUD.search(run.text[:2_000]):
            yield _hit(run.path, run.line, "The command opens the instance")


def _cloudformation(path: str, doc: Node) -> Iterator[Hit]:
    for key, node in doc.find("PubliclyAccessible"):
        if node.text.lower() == "true":
            yield _hit(path, node.line, f"`{key}` gives the database a public address, open")
    for _, group in doc.find("SecurityGroupIngress"):
        for rule in group.items or [group]:
            ports = (rule.text_at("FromPort"), rule.text_at("ToPort"))
            if rule.text_at("CidrIp") == "0.0.0.0/0" and not _WEB.issuperset(ports):
                line = (rule.child("CidrIp") or rule).line
                yield _hit(path, line, f"Port {ports[0] or 'any'} is open")


def _hit(path: str, line: int, what: str) -> Hit:
    return Hit(
        path,
        line,
        f"{what} to the whole internet (0.0.0.0/0).",
        "Allow only the network that needs it, for example the address range of the VPC.",
        severity=HIGH,
    )


def _terraform(path: str, block: Block) -> Iterator[Hit]:
    kind = block.type
    if kind == "google_sql_database_instance":
        for number, line in block.body:
            if _WORLD.search(line) and "value" in line:
                yield _hit(path, number, f"Database `{block.name}` is open")
    elif kind in ("aws_db_instance", "aws_redshift_cluster", "aws_rds_cluster_instance"):
        for number, line in block.body:
            if _OPEN_DB.match(line):
                yield _hit(path, number, f"Database `{block.name}` has a public address, open")
    elif kind.startswith(
        ("aws_security_group", "aws_vpc_security_group_ingress", "google_compute_firewall")
    ):
        yield from _firewall(path, block)


def _firewall(path: str, block: Block) -> Iterator[Hit]:
    """Look at each `ingress` part by itself, or at the whole resource when it is one rule."""
    part: list[tuple[int, str]] = []
    inbound = block.type != "aws_security_group"
    for number, line in block.body:
        if re.match(r"\s{0,20}(?:dynamic\s{0,4}\")?(ingress|egress)\b", line):
            yield from _part(path, block, part, inbound=inbound)
            part, inbound = [], "ingress" in line
        if re.search(r"type\s{0,8}=\s{0,4}\"egress\"|direction\s{0,8}=\s{0,4}\"EGRESS\"", line):
            return
        part.append((number, line))
    yield from _part(path, block, part, inbound=inbound)


def _part(path: str, block: Block, part: list[tuple[int, str]], *, inbound: bool) -> Iterator[Hit]:
    where = next((n for n, line in part if _WORLD.search(line)), 0)
    ports = [p for _, line in part for p in _PORT.findall(line[:300])]
    if inbound and where and not (ports and _WEB.issuperset(ports)):
        named = f"port {ports[0]}" if ports and ports[0] not in ("0", "-1") else "every port"
        yield _hit(path, where, f"`{block.type}.{block.name}` opens {named}")
