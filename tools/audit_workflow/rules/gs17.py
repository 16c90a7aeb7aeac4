"""Insecure configuration of Airflow

## What it does

Looks at `airflow.cfg`, at `AIRFLOW__...` variables in compose files, Kubernetes objects, `.env`
files and Dockerfiles, at Helm values and at `webserver_config.py` for an empty Fernet key, a
well-known secret key, an API that lets everybody in, public users with rights, and a page that
shows the whole configuration.

## Why is this bad?

Connections and variables hold the passwords of every system that Airflow talks to.  Without a
Fernet key they are stored in clear; with an open API everybody can read them and start tasks.

## Known problems

The compose file of Airflow's manual has an empty Fernet key and says that it is for development:
such a file is reported with medium severity.

## Example

```yaml
AIRFLOW__CORE__FERNET_KEY: ''
```

## Use instead

```yaml
AIRFLOW__CORE__FERNET_KEY: ${AIRFLOW_FERNET_KEY:?set it}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._secrets import for_development, is_template
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.secret_patterns import DEFAULTS

_SETTING: Final = re.compile(
    r"^\s{0,40}-?\s{0,4}(?:(?:ENV|export)\s{1,4})?[\"']?AIRFLOW__([A-Z_]{2,40}?)__([A-Z_]{2,60})[\"']?"
    r"\s{0,4}[:=]\s{0,4}[\"']?([^\"'#\n]{0,300})"
)
_CFG: Final = re.compile(r"^([a-z_]{3,40})\s{0,8}=\s{0,8}([^\n#]{0,300})")
_HELM: Final = re.compile(
    r"^\s{0,12}(fernetKey|webserverSecretKey)\s{0,4}:\s{0,4}[\"']?([^\"'#\n]{0,200})"
)
_PUBLIC_ROLE: Final = re.compile(r"^AUTH_ROLE_PUBLIC\s{0,4}=\s{0,4}[\"'](Admin|Op|User)[\"']")
_OPEN_API: Final = ("auth.backend.default", "backend.default")
_FILES: Final = ("airflow.cfg", "webserver_config.py", "values.yaml", "values.yml")


@rule(
    "GS17",
    name="airflow-insecure-config",
    dimension="governance",
    severity=HIGH,
    confidence=0.85,
    fix=(
        "Make a key with `Fernet.generate_key()`, keep it and `secret_key` in a secret, use"
        " `airflow.api.auth.backend.session` or a login manager, and set `expose_config` to False."
    ),
    effort=(0.1, 0.5),
    sources=(
        "airflow_docs: Security, Fernet; Configuration Reference, expose_config",
        (
            "cwe: CWE-798 Use of Hard-coded Credentials; CWE-306 Missing Authentication for "
            "Critical Function"
        ),
    ),
)
def insecure_airflow(repo: AuditRepository) -> Iterator[Hit]:
    """Report settings of Airflow that give secrets away, one finding a line."""
    for path, file in repo.files.items():
        name = path.rsplit("/", 1)[-1].lower()
        if "AIRFLOW__" not in file.text and not (name in _FILES and "irflow" in file.text):
            continue
        prose = name.endswith((".md", ".rst", ".py", ".ipynb")) and name != "webserver_config.py"
        if is_test_path(path) or is_template(path) or prose:
            continue
        seen: set[str] = set()
        for number, line in enumerate(repo.lines(path), 1):
            why = _look(name, line[:600])
            if why and why not in seen:
                seen.add(why)
                yield Hit(
                    path,
                    number,
                    why,
                    severity=MEDIUM if for_development(repo, path) else HIGH,
                )


def _look(name: str, line: str) -> str:
    """Say what is wrong with one line; empty when nothing is."""
    found = _SETTING.match(line)
    if found:
        return _setting(found.group(2).lower(), found.group(3).strip())
    if name == "airflow.cfg" and (found := _CFG.match(line)):
        return _setting(found.group(1), found.group(2).strip())
    if name.startswith("values.") and (found := _HELM.match(line)):
        key = "fernet_key" if found.group(1) == "fernetKey" else "secret_key"
        value = found.group(2).strip()
        return _setting(key, value) if value and value not in ("~", "null") else ""
    found = _PUBLIC_ROLE.match(line) if name == "webserver_config.py" else None
    return f"Everybody without a login has the role {found.group(1)}." if found else ""


def _setting(key: str, value: str) -> str:
    low = value.lower()
    wrong = {
        "fernet_key": (
            not value,
            "The Fernet key is empty: Airflow stores the passwords of its connections in clear.",
        ),
        "secret_key": (
            low in DEFAULTS or low.startswith("temporary"),
            "The secret key is a well-known one: everybody can sign a session as administrator.",
        ),
        "auth_backend": (_open(low), "The API lets everybody in (`auth.backend.default`)."),
        "auth_backends": (_open(low), "The API lets everybody in (`auth.backend.default`)."),
        "expose_config": (
            low == "true",
            "The web page shows the configuration with its passwords (`expose_config`).",
        ),
        "authenticate": (low == "false", "The web page asks nobody for a login."),
        "rbac": (low == "false", "The web page asks nobody for a login (`rbac = False`)."),
        "simple_auth_manager_all_admins": (low == "true", "Everybody is administrator."),
    }.get(key)
    return wrong[1] if wrong and wrong[0] else ""


def _open(value: str) -> bool:
    return any(v in value for v in _OPEN_API)
