"""Sensitive file in the repository

## What it does

Reports files that hold secrets or a private history by their nature and are not ignored:
Terraform state, `.env` with real values, shell and R histories, private keys, kubeconfig, keys of
service accounts, `.netrc`, `.pgpass`, `kaggle.json` and the like.

## Why is this bad?

The state of Terraform holds passwords and the plan of the network in clear.  What was committed
once stays in the history and in every clone.

## Known problems

Without the history of git nothing says whether a file that lies in the folder is tracked; what a
`.gitignore` names is passed over.

## Example

```text
infra/terraform.tfstate
```

## Use instead

```text
backend "s3" { bucket = "tf-state" ... }      # and *.tfstate* in .gitignore
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.audit_workflow.rules._secrets import is_template, leaks
from mlops_advisor.tools.evidence.code import is_test_path

_STATE: Final = re.compile(r"(?i)\.tfstate(?:\.\d{1,20})?(?:\.backup)?$")
_HISTORY: Final = frozenset(
    ".bash_history .zsh_history .python_history .sh_history .rhistory .psql_history .mysql_history"
    " .node_repl_history .sqlite_history .lesshst .viminfo .ipython_history".split()
)
_KEYS: Final = re.compile(
    r"(?i)(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|[^/]{1,80}\.(?:ppk|p12|pfx|jks|keystore))$"
)
_PEM: Final = re.compile(r"(?i)\.(?:pem|key|crt|cer)$")
_LOGINS: Final = frozenset(
    ".netrc _netrc .pgpass .my.cnf .htpasswd .dockercfg kaggle.json credentials.json"
    " .git-credentials .pypirc .npmrc .s3cfg .boto client_secret.json client_secrets.json".split()
)
_ENV: Final = re.compile(r"(?i)(?:^|/)(?:\.env(?:\.[\w-]{1,40})?|[\w-]{1,40}\.env)$")
_CLUSTER: Final = ("kubeconfig", "kubeconfig.yaml", "kubeconfig.yml")
_SERVICE_ACCOUNT: Final = ('"private_key"', '"service_account"')


@rule(
    "GS13",
    name="tfstate-or-sensitive-file-tracked",
    dimension="governance",
    severity=HIGH,
    confidence=0.85,
    fix=(
        "Change what the file gives away, remove it with `git rm --cached` (and from the history),"
        " and name it in .gitignore."
    ),
    effort=(0.25, 1.0),
    sources=(
        "terraform_docs: Sensitive Data in State (treat the state itself as sensitive data)",
        (
            "cwe: CWE-538 Insertion of Sensitive Information into Externally-Accessible "
            "File or Directory"
        ),
        "twelve_factor: III. Config",
    ),
)
def sensitive_file(repo: AuditRepository) -> Iterator[Hit]:
    """Report sensitive files that no .gitignore names."""
    ignored = repo.workspace.ignored
    folders = tuple(p for p in ignored if p.endswith("/"))
    told = {s.path: s.line for s in reversed(leaks(repo)) if not s.default}
    for path in repo.paths:
        if path in ignored or path.startswith(folders) or is_template(path) or is_test_path(path):
            continue
        found = _kind(repo, path, told)
        if found is not None:
            what, severity, line = found
            yield Hit(path, line, what, text=path.rsplit("/", 1)[-1], severity=severity)


def _kind(
    repo: AuditRepository, path: str, told: dict[str, int]
) -> tuple[str, Severity, int] | None:
    name = path.rsplit("/", 1)[-1].lower()
    text = repo.text(path)
    cluster = name in _CLUSTER or path.endswith(".kube/config")
    account = name.endswith(".json") and all(w in text for w in _SERVICE_ACCOUNT)
    secret = _KEYS.search(path) or (_PEM.search(name) and "PRIVATE KEY" in text)
    key_line = repo.line_of(path, '"private_key"') or 1 if account else 1
    for holds, what, severity, line in (
        (_STATE.search(name), "The state of Terraform, with every value in clear,", HIGH, 1),
        (name in _HISTORY and path in told, "A history with secrets in it", HIGH, 1),
        (name in _HISTORY, "The history of a shell, with whatever was typed,", MEDIUM, 1),
        (secret, "A private key", HIGH, 1),
        (cluster, "The login to a Kubernetes cluster", HIGH, 1),
        (account, "The key of a service account", HIGH, key_line),
        (_login(name, text, told.get(path, 0)), f"`{name}`, which holds logins,", HIGH, 1),
        (
            _ENV.search(path) and path in told,
            "A `.env` file with real values",
            HIGH,
            told.get(path, 1),
        ),
    ):
        if holds:
            return f"{what} is in the repository.", severity, line
    return None


def _login(name: str, text: str, told: int) -> bool:
    if name not in _LOGINS:
        return False
    if name in (".pypirc", ".npmrc", "credentials.json", ".boto", ".s3cfg", ".my.cnf"):
        return bool(told) or "_authToken=" in text.replace("_authToken=${", "")
    return not text or bool(told) or any(w in text for w in ("password", "secret", "key", ":"))
