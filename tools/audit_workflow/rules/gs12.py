"""Long-lived cloud key instead of a short-lived identity

## What it does

Reports static keys of AWS, Google Cloud and Azure that CI uses (`aws-access-key-id:`,
`credentials_json:`, `creds:`, environment variables fed from secrets), files with the key of a
service account that code, images or Terraform name, and such keys made by Terraform.  Once for
each file and cloud.  Also account keys and passwords that a step of a pipeline is given as
arguments (Azure ML, Kubeflow, SageMaker, Argo), where they are stored and shown.

## Why is this bad?

A static key works from everywhere until somebody revokes it.  CI can get a token for some minutes
by OpenID Connect, and machines in the cloud have an identity of their own; there is nothing left
to leak.

## Known problems

Some services know no OpenID Connect.  A path that comes from the environment is not reported.

## Example

```yaml
- uses: aws-actions/configure-aws-credentials@v4
  with:
    aws-access-key-id: ${{ secrets.AWS_ACCESS_KEY_ID }}
    aws-secret-access-key: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
```

## Use instead

```yaml
permissions: { id-token: write, contents: read }
steps:
  - uses: aws-actions/configure-aws-credentials@v4
    with:
      role-to-assume: arn:aws:iam::123456789012:role/ci
      aws-region: eu-west-1
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._secret_arguments import secret_arguments
from mlops_advisor.tools.audit_workflow.rules._secrets import is_template
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View, last

_CI_KEYS: Final = {
    "aws-access-key-id": "AWS",
    "AWS_ACCESS_KEY_ID": "AWS",
    "AWS_SECRET_ACCESS_KEY": "AWS",
    "credentials_json": "Google Cloud",
    "service_account_key": "Google Cloud",
    "GOOGLE_APPLICATION_CREDENTIALS": "Google Cloud",
    "GOOGLE_APPLICATION_CREDENTIALS_DATA": "Google Cloud",
    "GOOGLE_CREDENTIALS": "Google Cloud",
    "GDRIVE_CREDENTIALS_DATA": "Google Drive",
    "GCP_SA_KEY": "Google Cloud",
    "creds": "Azure",
    "AZURE_CREDENTIALS": "Azure",
    "AZURE_CLIENT_SECRET": "Azure",
    "ARM_CLIENT_SECRET": "Azure",
}
_FED: Final = re.compile(r"\$\{\{\s{0,4}secrets\.|\$\(\w|\$\{?[A-Z]|@credentials")
_ADVICE: Final = {
    "AWS": "`role-to-assume` of aws-actions/configure-aws-credentials",
    "Google Cloud": "`workload_identity_provider` of google-github-actions/auth",
    "Google Drive": "a workload identity instead of a service account key",
    "Azure": "azure/login with `client-id`, `tenant-id` and `subscription-id`",
}
_KEY_FILE: Final = re.compile(r"(?i)^[^{}$\n]{1,200}\.(?:json|p12)$")
_FROM_FILE: Final = frozenset(
    ("from_service_account_file", "from_service_account_json", "from_json_keyfile_name")
)
_VARIABLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_PROVIDER: Final = re.compile(
    r"^\s{0,20}credentials\s{0,8}=\s{0,4}(?:file\()?\"([^\"\n]{1,200}\.json)\""
)
_MADE: Final = ("aws_iam_access_key", "google_service_account_key")


@rule(
    "GS12",
    name="long-lived-cloud-keys",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.8,
    fix="Let CI log in by OpenID Connect, and let code use the identity of the machine it runs on.",
    effort=(0.5, 2.0),
    sources=(
        "github_docs: OpenID Connect (short-lived tokens instead of stored cloud credentials)",
        "zizmor: use-trusted-publishing (for packages)",
    ),
)
def long_lived_key(repo: AuditRepository) -> Iterator[Hit]:
    """Report static cloud keys in CI, code, images and Terraform."""
    for path in repo.ci_paths:
        for doc in repo.yaml(path).docs:
            yield from _ci(path, doc)
    for view in repo.views(_VARIABLE, "from_service_account", "from_json_keyfile"):
        yield from _code(view)
    yield from _images(repo)
    yield from _terraform(repo)
    yield from secret_arguments(repo)


def _images(repo: AuditRepository) -> Iterator[Hit]:
    for path, instructions in repo.dockerfiles.items():
        for item in instructions:
            value = item.text.partition(_VARIABLE)[2].lstrip("= ").strip("\"'")
            if item.name == "ENV" and _VARIABLE in item.text and _KEY_FILE.match(value):
                yield _file(path, item.line, "The image", value)
    for workload in repo.workloads:
        if is_test_path(workload.path) or is_template(workload.path):
            continue
        for setting in workload.env:
            if setting.name == _VARIABLE and _KEY_FILE.match(setting.value):
                yield _file(workload.path, setting.line, f"`{workload.name}`", setting.value)
                break


def _ci(path: str, doc: Node) -> Iterator[Hit]:
    places: dict[str, list[tuple[int, str]]] = {}
    oidc = any(True for _ in doc.find("role-to-assume", "workload_identity_provider", "client-id"))
    for key, node in doc.find(*_CI_KEYS):
        if node.map is None and node.items is None and _FED.search(node.text):
            places.setdefault(_CI_KEYS[key], []).append((node.line, key))
    for cloud, found in places.items():
        if oidc and all(key.isupper() for _, key in found):
            continue
        line, key = found[0]
        yield Hit(
            path,
            line,
            f"CI logs in to {cloud} with a static key (`{key}`), which works until it is revoked.",
            f"Use {_ADVICE[cloud]}.",
            also=tuple((path, n) for n, _ in found[1:]),
        )


def _file(path: str, line: int, who: str, value: str) -> Hit:
    return Hit(
        path,
        line,
        f"{who} uses the key file of a service account, `{value}`.",
        "Use the identity of the machine or pod (workload identity) and no key file; on a laptop "
        "`gcloud auth application-default login` does the same.",
    )


def _code(view: View) -> Iterator[Hit]:
    for call in view.calls:
        name = view.name(call)
        argument = call.args[0] if call.args else view.arg(call, "filename")
        if last(name) in _FROM_FILE and argument is not None:
            value = view.string(argument)
            if _KEY_FILE.match(value):
                yield _file(view.path, call.lineno, "The code", value)
    for assign in view.of(ast.Assign):
        target = assign.targets[0]
        if isinstance(target, ast.Subscript) and view.column(target) == _VARIABLE:
            value = view.string(assign.value)
            if _KEY_FILE.match(value):
                yield _file(view.path, assign.lineno, "The code", value)


def _terraform(repo: AuditRepository) -> Iterator[Hit]:
    for path, block in repo.terraform:
        if block.kind == "provider":
            for number, line in block.body:
                match = _PROVIDER.match(line)
                if match:
                    yield _file(path, number, "Terraform", match.group(1))
        elif block.kind == "resource" and block.type in _MADE:
            yield Hit(
                path,
                block.line,
                f"`{block.type}.{block.name}` makes a key that does not expire and writes it into "
                "the state.",
                "Give the workload a role (instance profile, IRSA, workload identity) instead.",
            )
