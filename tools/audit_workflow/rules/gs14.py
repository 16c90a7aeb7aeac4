"""Bucket without protection

## What it does

Looks at buckets of AWS, Google Cloud and Azure in Terraform, CloudFormation, SAM and CDK and
reports, once for each, what they lack: versions of objects, a block of public access, and
whether deleting the stack deletes everything in them (`force_destroy`).

## Why is this bad?

Models and training data cannot be made again at will.  Without versions a wrong path in a script
overwrites them for good, and a public bucket is a leak.

## Known problems

Settings that are made by hand or by a module from elsewhere are not seen.  Encryption is on by
default at all three providers and is not asked for.

## Example

```hcl
resource "aws_s3_bucket" "models" {
  bucket        = "models"
  force_destroy = true
}
```

## Use instead

```hcl
resource "aws_s3_bucket" "models" {
  bucket = "models"
}
resource "aws_s3_bucket_versioning" "models" {
  bucket = aws_s3_bucket.models.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_public_access_block" "models" {
  bucket                  = aws_s3_bucket.models.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.evidence.parse.terraform import Block
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared

_DESTROY: Final = re.compile(r"^\s{0,20}force_destroy\s{0,20}=\s{0,4}true\b")
_PUBLIC: Final = re.compile(
    r"acl\s{0,20}=\s{0,4}\"(public-read|public-read-write)\"|\"(allUsers)\""
)
_ON: Final = re.compile(r"(?:enabled|status)\s{0,20}=\s{0,4}(?:true|\"Enabled\"|var\.)")
_BUCKET: Final = re.compile(r"aws_s3_bucket\.([\w-]{1,120})")
_ACCESS: Final = ("public_access_prevention", "uniform_bucket_level_access")
_PASSING: Final = re.compile(
    r"(?i)(?:^|[_-])(?:log|logs|logging|tmp|temp|staging|scratch|access_logs|athena)(?:$|[_-])"
)


@rule(
    "GS14",
    name="iac-storage-unprotected",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.8,
    fix="Turn on versioning, block public access and remove `force_destroy`.",
    effort=(0.1, 0.5),
    sources=(
        (
            "checkov: CKV_AWS_19 encryption, CKV_AWS_21 versioning, CKV_AWS_53 to "
            "CKV_AWS_56 public access block"
        ),
        "checkov: CKV_GCP_78 versioning, CKV_GCP_114 public access prevention",
    ),
)
def unprotected_bucket(repo: AuditRepository) -> Iterator[Hit]:
    """Report buckets that lack a protection."""
    for path, block in repo.resources("aws_s3_bucket", "google_storage_bucket"):
        if block.type == "aws_s3_bucket":
            yield from _found(path, block.line, block.name, _aws(repo, path, block))
        elif block.type == "google_storage_bucket":
            yield from _found(path, block.line, block.name, _google(block))
    for path, block in repo.resources("google_storage_bucket_iam", "google_storage_bucket_acc"):
        line = next((n for n, t in block.body if "allUsers" in t), 0)
        if line:
            yield from _found(path, line, block.name, ["is readable by everybody (`allUsers`)"])
    for file in repo.yaml_files(holding=("AWS::S3::Bucket",)):
        for doc in file.docs:
            for name, node in doc.pairs("Resources"):
                if node.text_at("Type") == "AWS::S3::Bucket":
                    yield from _found(file.path, node.key_line, name, _cloudformation(node))
    yield from _cdk(repo)


def _found(path: str, line: int, name: str, lacks: list[str]) -> Iterator[Hit]:
    if not lacks:
        return
    severity: Severity = HIGH if any("everybody" in x for x in lacks) else MEDIUM
    if lacks == ["keeps no versions"] and _PASSING.search(name):
        severity = LOW
    yield Hit(path, line, f"Bucket `{name}` {', '.join(lacks)}.", severity=severity)


def _aws(repo: AuditRepository, path: str, block: Block) -> list[str]:
    own = _settings(repo).get((path.rpartition("/")[0], block.name), [])
    lacks = []
    if not any(b.type == "aws_s3_bucket_versioning" and _ON.search(b.text()) for b in own):
        inside = block.text().partition("versioning")[2]
        if not _ON.search(inside[:200]):
            lacks.append("keeps no versions")
    if not any(b.type == "aws_s3_bucket_public_access_block" for b in own):
        lacks.append("has no block of public access")
    return lacks + _common(block)


@shared
def _settings(repo: Repository) -> dict[tuple[str, str], list[Block]]:
    """Resources that protect buckets, by folder and name of the bucket."""
    found: dict[tuple[str, str], list[Block]] = {}
    for path, block in repo.resources(
        "aws_s3_bucket_versioning", "aws_s3_bucket_public_access_block"
    ):
        for name in set(_BUCKET.findall(block.text())):
            found.setdefault((path.rpartition("/")[0], name), []).append(block)
    return found


def _google(block: Block) -> list[str]:
    text = block.text()
    lacks = [] if _ON.search(text.partition("versioning")[2][:200]) else ["keeps no versions"]
    if not any(w in text for w in _ACCESS):
        lacks.append("leaves public access open (no `public_access_prevention`)")
    return lacks + _common(block)


def _common(block: Block) -> list[str]:
    lacks = []
    if any(_DESTROY.match(line) for _, line in block.body):
        lacks.append("is deleted with everything in it (`force_destroy = true`)")
    if _PUBLIC.search(block.text()):
        lacks.append("is readable by everybody")
    return lacks


def _cloudformation(node: Node) -> list[str]:
    own = node.child("Properties") or Node(0)
    lacks = []
    if own.text_at("VersioningConfiguration", "Status") != "Enabled":
        lacks.append("keeps no versions")
    if own.child("PublicAccessBlockConfiguration") is None:
        lacks.append("has no block of public access")
    if own.text_at("AccessControl").startswith("Public"):
        lacks.append("is readable by everybody")
    return lacks


def _cdk(repo: AuditRepository) -> Iterator[Hit]:
    for view in repo.views("aws_cdk"):
        for call in view.calls:
            if not re.search(r"aws_s3\.Bucket$", view.name(call)) or view.spreads(call):
                continue
            lacks = []
            if view.literal(view.arg(call, "versioned")) is not True:
                lacks.append("keeps no versions")
            if view.arg(call, "block_public_access") is None:
                lacks.append("has no block of public access")
            deletes = view.arg(call, "auto_delete_objects")
            if isinstance(deletes, ast.Constant) and deletes.value is True:
                lacks.append("is deleted with everything in it (`auto_delete_objects=True`)")
            name = view.string(call.args[1]) if len(call.args) > 1 else ""
            yield from _found(view.path, call.lineno, name or "s3.Bucket", lacks)
