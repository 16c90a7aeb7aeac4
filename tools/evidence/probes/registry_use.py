"""What production loads, and where credentials come from."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    MAX_PLACES,
    C,
    Spot,
    Verdict,
    W,
    contrary,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.text import holds_secret

_CALLS: Final = (
    "*.get_model_version",
    "*.get_model_version_by_alias",
    "*.get_latest_versions",
    "*.use_model",
    "*.use_artifact",
    "bentoml.models.get",
    "bentoml.*.get",
    "bentoml.sklearn.get",
    "bentoml.pytorch.get",
    "sagemaker.ModelPackage",
    "sagemaker.model.ModelPackage",
    "google.cloud.aiplatform.Model",
    "hopsworks.",
    "clearml.InputModel",
)
_CONFIG: Final = re.compile(
    r"models:/[\w.-]{1,120}(?:/[\w.-]{1,40}|@[\w-]{1,60})|ModelPackageArn|ModelPackageName|azureml:[\w.-]{1,80}:\d|gto (?:show|download)"
)
_STORES: Final = (
    "hvac.",
    "google.cloud.secretmanager.",
    "azure.keyvault.secrets.",
    "airflow.models.Variable.get",
    "airflow.hooks.base.BaseHook.get_connection",
    "prefect.blocks.system.Secret.load",
    "*.get_secret_value",
    "*.access_secret_version",
    "*.get_secret",
    "keyring.get_password",
    "databricks.sdk.runtime.dbutils.secrets.get",
    "dbutils.secrets.get",
)
_TEXT_SUFFIXES: Final = (
    ".py",
    ".yml",
    ".yaml",
    ".toml",
    ".json",
    ".cfg",
    ".ini",
    ".env",
    ".sh",
    ".tf",
    ".tfvars",
    ".ipynb",
    ".conf",
)
_SECRET_MARKS: Final = (
    "pass",
    "secret",
    "token",
    "key",
    "pwd",
    "akia",
    "asia",
    "ghp_",
    "sk-",
    "xox",
    "://",
    "hf_",
    "glpat",
    "eyj",
    "aiza",
)
_MIN_LINE: Final = 8
_MAX_LINE: Final = 1_000
_FAKE: Final = (
    "example",
    "sample",
    "template",
    "changeme",
    "your",
    "dummy",
    "placeholder",
    "localhost",
    "<",
    "xxxx",
    "test",
    "${",
    "{{",
    "$(",
    "minioadmin",
)


@probe(
    "registry_use",
    practice="deploy_from_registry",
    searched="registry addresses and calls in scoring code and manifests, and stored files that scoring code loads",
)
def registry_use(repo: Repository) -> Verdict:
    """Does production load a named version from the registry?"""
    if repo.stages.scoring is None:
        return not_applicable("Nothing here uses a model.")
    code = repo.code
    scoring = code.serving_code | code.closure(code.batch)
    latest: list[Spot] = []
    named: list[Spot] = []
    for path in sorted(scoring):
        for value, line in code.modules[path].strings:
            if "models:/" in value:
                (latest if value.rstrip("/").endswith(("latest", "/None")) else named).append(
                    Spot(path, line)
                )
    for hit in code.calls(*_CALLS):
        if hit.module.path in scoring:
            texts = [v for v in (*hit.call.args, *hit.call.kwargs.values()) if isinstance(v, str)]
            bad = hit.call.last == "get_latest_versions" or any(
                t.endswith(":latest") for t in texts
            )
            (latest if bad else named).extend(spots([hit]))
    verdict = from_code(repo, "Scoring code loads a named version from the registry", named)
    if verdict is not None:
        return verdict
    for path in repo.ending(".yml", ".yaml", ".json", ".toml", ".env", ".py"):
        text = repo.text(path)
        if "models:/" not in text and "ModelPackage" not in text and "azureml:" not in text:
            continue
        for i, line in enumerate(repo.lines(path), 1):
            found = _CONFIG.search(line[:500])
            if found and not line.lstrip().startswith("#") and "latest" not in found.group(0):
                return present(
                    repo, W, "A deployment names a version from the registry.", [(path, i)]
                )
    if latest:
        return present(
            repo, C, "Scoring code loads from the registry, but whatever is latest.", latest
        )
    files = [
        (p, code.loads[p].line)
        for p in sorted(scoring)
        if p in code.loads and code.loads[p].last != "from_pretrained"
    ]
    if files:
        return contrary(
            repo, "Scoring code loads the model from a path, not from a registry.", files
        )
    return unknown("How the model in production is chosen is not shown.")


@probe(
    "secrets",
    practice="secrets_managed",
    searched="secret stores in code, CI, manifests and Terraform; literals that look like credentials",
)
def secrets(repo: Repository) -> Verdict:
    """Do credentials come from a secret store and not from code?"""
    literal = _literals(repo)
    if literal:
        return contrary(repo, "What looks like a credential is written in a file.", literal)
    found: list[tuple[str, int]] = [(h.module.path, h.call.line) for h in repo.code.calls(*_STORES)]
    found += [
        (m.path, m.line)
        for m in repo.kinds(
            "ExternalSecret",
            "SealedSecret",
            "SecretProviderClass",
            "VaultStaticSecret",
            "ClusterSecretStore",
        )
    ]
    for m in repo.manifests:
        found += [(m.path, n.line) for _, n in m.node.find("secretKeyRef", "secretRef")][:1]
    for path in repo.ci_paths:
        for i, line in enumerate(repo.lines(path), 1):
            if (
                ("secrets." in line and "${{" in line)
                or "id-token: write" in line
                or "azureSubscription" in line
            ):
                found.append((path, i))
                break
    found += [
        (p, b.line)
        for p, b in repo.resources(
            "aws_secretsmanager_secret",
            "google_secret_manager_secret",
            "azurerm_key_vault",
            "vault_",
        )
    ]
    if found:
        return present(repo, W, "Credentials come from a secret store.", found)
    for path, module in repo.code.product.items():
        text = repo.text(path)
        for mark in ("os.environ", "os.getenv", "getenv(", "BaseSettings"):
            at = text.find(mark)
            if (
                at >= 0
                and not module.notebook
                and any(
                    w in text[at : at + 200].lower() for w in ("key", "secret", "token", "pass")
                )
            ):
                return present(
                    repo,
                    C,
                    "Credentials come from environment variables; who fills them is not shown.",
                    [(path, text.count("\n", 0, at) + 1)],
                )
    return unknown("No credential is used in what was read.")


def _literals(repo: Repository) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for path, file in repo.files.items():
        low = path.lower()
        name = low.rsplit("/", 1)[-1]
        if not (
            low.endswith(_TEXT_SUFFIXES) or name.startswith((".env", "dockerfile"))
        ) or repo.is_aside(path):
            continue
        if (
            any(
                w in name
                for w in ("example", "sample", "template", ".lock", "package-lock", "fixture")
            )
            or "/tests/" in f"/{low}"
        ):
            continue
        book = repo.notebooks.get(path) if low.endswith(".ipynb") else None
        bare = not low.endswith((".py", ".ipynb", ".tf", ".sh", ".json"))
        lines = [text for _, _, text in book.lines] if book is not None else repo.lines(path)
        for i, line in enumerate(lines, 1):
            if _MIN_LINE < len(line) < _MAX_LINE and _suspect(line, bare=bare):
                found.append((path, i))
                break
        if len(found) >= MAX_PLACES:
            break
    return found


def _suspect(line: str, *, bare: bool) -> bool:
    low = line.lower()
    if not any(m in low for m in _SECRET_MARKS):
        return False
    return not any(w in low for w in _FAKE) and holds_secret(line, bare=bare)
