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
from mlops_advisor.tools.evidence.probes._deploy import builds_image, deploy_jobs
from mlops_advisor.tools.evidence.probes._scoring import scoring_code
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
_ADDRESS: Final = re.compile(r"models:/[^/@\"']{1,120}[/@]([^/\"']{0,60})")
_UNNAMED: Final = ("latest", "None", "")
_CONFIG: Final = re.compile(
    r"models:/[\w.-]{1,120}(?:/[\w.-]{1,40}|@[\w-]{1,60})|ModelPackageArn|"
    r"ModelPackageName|azureml:[\w.-]{1,80}:\d|gto (?:show|download)"
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
_CODE_SUFFIXES: Final = (".py", ".tf", ".sh", ".json")
_HARMLESS_NAMES: Final = ("example", "sample", "template", ".lock", "package-lock", "fixture")
# A quick look before the exact one: part of a telling name, or of a known prefix.
_KEY_WORDS: Final = tuple(
    "password passwd passphrase pwd secret token api_key apikey access_key accesskey private_key"
    " account_key auth_key credential connection_string conn_str akia asia ghp_ gho_ ghs_"
    " github_pat_ glpat- xox sk- hf_ aiza eyj ://".split()
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
    asks="Does production load a named version from the registry?",
    searched=(
        "registry addresses and calls in scoring code and manifests, and stored "
        "files that scoring code loads"
    ),
)
def _registry_use(repo: Repository) -> Verdict:
    if repo.stages.scoring is None:
        return not_applicable("Nothing here uses a model.")
    named, latest = _addresses(repo)
    verdict = from_code(repo, "Scoring code loads a named version from the registry", named)
    if verdict is not None:
        return verdict
    configured = _configured(repo)
    if configured:
        return present(repo, W, "A deployment names a version from the registry.", configured)
    if latest:
        detail = "Scoring code loads from the registry, but whatever is latest."
        return present(repo, C, detail, latest)
    files = [
        (p, call.line)
        for p, call in sorted(repo.code.loads.items())
        if p in scoring_code(repo) and call.last != "from_pretrained"
    ]
    if files:
        detail = "Scoring code loads the model from a path, not from a registry."
        return contrary(repo, detail, files)
    return unknown("How the model in production is chosen is not shown.")


def _addresses(repo: Repository) -> tuple[list[Spot], list[Spot]]:
    """Places in scoring and release code that load a named version, and those that do not."""
    scoring = scoring_code(repo)
    named: list[Spot] = []
    latest: list[Spot] = []
    for path in sorted(p for p in scoring if "models:/" in repo.text(p)):
        for line, text in enumerate(repo.lines(path), 1):
            found = _ADDRESS.search(text[:_MAX_LINE].partition("#")[0])
            if found:
                (latest if found.group(1) in _UNNAMED else named).append(Spot(path, line))
    for hit in repo.code.calls(*_CALLS):
        if hit.module.path in scoring or hit.module.path in _released(repo):
            values = (*hit.call.args, *hit.call.kwargs.values())
            bad = hit.call.last == "get_latest_versions" or any(
                isinstance(v, str) and v.endswith(":latest") for v in values
            )
            (latest if bad else named).extend(spots([hit]))
    return named, latest


def _configured(repo: Repository) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for path in repo.ending(".yml", ".yaml", ".json", ".toml", ".env", ".py"):
        if not any(w in repo.text(path) for w in ("models:/", "ModelPackage", "azureml:")):
            continue
        for i, text in enumerate(repo.lines(path), 1):
            match = _CONFIG.search(text[:_MAX_LINE].partition("#")[0])
            if match and "latest" not in match.group(0):
                found.append((path, i))
                break
    return found


def _released(repo: Repository) -> frozenset[str]:
    """Modules that CI jobs run which also build or deploy: they pick what is released."""
    jobs = {id(j) for j in repo.jobs if builds_image(j)} | {id(j) for j, _ in deploy_jobs(repo)}
    return frozenset(
        p for r in repo.runs.ci if id(r.job) in jobs and r.counts for p in repo.runs.modules(r)
    )


@probe(
    "secrets",
    practice="secrets_managed",
    asks="Do credentials come from a secret store and not from code?",
    searched=(
        "secret stores in code, CI, manifests and Terraform; literals that look like credentials"
    ),
)
def _secrets(repo: Repository) -> Verdict:
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
        for i, text in enumerate(repo.lines(path), 1):
            line = text.replace("secrets.GITHUB_TOKEN", "")  # every workflow has that one
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
        if not _may_hold(path) or repo.is_aside(path):
            continue
        book = repo.notebooks.get(path) if path.lower().endswith(".ipynb") else None
        text = "\n".join(t for _, _, t in book.lines) if book is not None else file.text
        low = text.lower()
        if not any(w in low for w in _KEY_WORDS):
            continue
        bare = book is None and not path.lower().endswith(_CODE_SUFFIXES)
        line = _first_secret(text.split("\n"), bare=bare)
        if line:
            found.append((path, line))
        if len(found) >= MAX_PLACES:
            break
    return found


def _may_hold(path: str) -> bool:
    low = path.lower()
    name = low.rsplit("/", 1)[-1]
    if not low.endswith(_TEXT_SUFFIXES) and not name.startswith((".env", "dockerfile")):
        return False
    return "/tests/" not in f"/{low}" and not any(w in name for w in _HARMLESS_NAMES)


def _first_secret(lines: list[str], *, bare: bool) -> int:
    for number, line in enumerate(lines, 1):
        if not _MIN_LINE < len(line) < _MAX_LINE or not (":" in line or "=" in line or "_" in line):
            continue
        low = line.lower()
        for word in _KEY_WORDS:
            if word in low:
                if not any(w in low for w in _FAKE) and holds_secret(line, bare=bare):
                    return number
                break
    return 0
