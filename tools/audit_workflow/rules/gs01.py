"""Credential written in a file

## What it does

Looks in every text file, in the code cells and the stored outputs of notebooks, for keys with the
shape of one vendor (AWS, Google, Azure, GitHub, Hugging Face, OpenAI, W&B and some 40 more),
private keys, passwords in URLs, and literal values given to names such as `password`, `secret`,
`token` or `api_key`.  The value never appears in the report.

## Why is this bad?

Whoever can read the repository, a fork, a backup or the image built from it can use the account.
Deleting the line does not help: the history keeps it.

## Known problems

A made-up value that looks real is reported.  Values of the well-known kind (admin, postgres) are
the business of GS02; tests, templates (`.env.example`) and prose are left out unless the shape is
that of a vendor's key.  Whether a key still works is never tried.

## Example

```python
wandb.login(key="0123456789abcdef0123456789abcdef01234567")
```

## Use instead

```python
wandb.login(key=os.environ["WANDB_API_KEY"])
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import CRITICAL, HIGH, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.audit_workflow.rules._secrets import for_development, leaks, near
from mlops_advisor.tools.evidence.secrets import Secret

_HERE = ("localhost", "127.0.0.1")


@rule(
    "GS01",
    name="hardcoded-secret",
    dimension="governance",
    severity=CRITICAL,
    confidence=0.85,
    fix=(
        "Revoke the credential now, then read it from the environment or a secret manager, for"
        ' example `os.environ["NAME"]`, and remove it from the history.'
    ),
    effort=(0.25, 1.0),
    sources=(
        "cwe: CWE-798 Use of Hard-coded Credentials",
        "ruff: S105, S106, S107 hardcoded password",
        "twelve_factor: III. Config (no credentials in the code)",
    ),
)
def hardcoded_secret(repo: AuditRepository) -> Iterator[Hit]:
    """Report credentials, those given to one name in one file once."""
    groups: dict[tuple[str, str, str], list[Secret]] = {}
    for secret in leaks(repo):
        if not secret.default:
            key = (secret.path, secret.kind, secret.name or secret.masked)
            groups.setdefault(key, []).append(secret)
    for (path, kind, _), found in groups.items():
        first = found[0]
        severity, confidence = _weight(repo, first)
        named = f" in `{first.name}`" if first.name else ""
        more = f", and on {len(found) - 1} more lines" if len(found) > 1 else ""
        yield Hit(
            path,
            first.line,
            f"{kind[:1].upper()}{kind[1:]} stands in the file{named}{more}; the value is masked "
            "here, and everybody with the repository has it.",
            text=first.masked,
            also=tuple((s.path, s.line) for s in found[1:]),
            severity=severity,
            confidence=confidence,
        )


def _weight(repo: AuditRepository, secret: Secret) -> tuple[Severity, float]:
    if secret.certain:
        return CRITICAL, 0.95
    here = secret.local or near(repo, secret.path, secret.line, _HERE, 3)
    if here or (secret.weak and for_development(repo, secret.path)):
        return MEDIUM, 0.5
    return (HIGH, 0.6) if secret.weak else (CRITICAL, 0.8)
