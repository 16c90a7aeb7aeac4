"""Deployment by script, of the model, through environments, from code."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.ci import Job
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Verdict,
    W,
    absent,
    first_of,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.probes._deploy import (
    deploy_jobs,
    deploy_runs,
    gitops,
    says_deploy,
)
from mlops_advisor.tools.evidence.probes.model_ci import model_lines
from mlops_advisor.tools.evidence.repository import Repository

_PRODUCTION: Final = ("prod", "production", "live", "prd")
_BEFORE: Final = (
    "staging",
    "stage",
    "stg",
    "dev",
    "development",
    "test",
    "qa",
    "uat",
    "preprod",
    "pre-prod",
    "integration",
    "int",
    "sandbox",
)
_SHORT: Final = 6  # shorter names of environments count as whole words only
_WORD: Final = re.compile(r"[a-z]+(?:-prod)?")
_MODEL_CALLS: Final = (
    "*.deploy",
    "*.create_endpoint",
    "*.update_endpoint",
    "*.create_endpoint_config",
    "*.begin_create_or_update",
    "*.deploy_model",
    "*.create_deployment",
    "ray.serve.run",
    "seldon_core.",
)
_SDK: Final = frozenset(
    (
        "sagemaker",
        "boto3",
        "google",
        "azure",
        "azureml",
        "mlflow",
        "ray",
        "kserve",
        "bentoml",
        "databricks",
    )
)


@probe(
    "deploy_script",
    practice="deployment_scripted",
    asks="Is deployment a command that anyone in the team can run?",
    searched="deploy commands in CI, Makefiles and scripts, deploy calls in Python, manifests",
)
def _deploy_script(repo: Repository) -> Verdict:
    verdict = first_of(repo, _by_ci, _by_command, _by_call, _idle_job, _manifests_only)
    if verdict is not None:
        return verdict
    if repo.stages.scoring is not None:
        return absent(repo, "A model is used here, and nothing deploys it.", [repo.stages.scoring])
    if repo.stages.training is not None:
        return unknown("Only training is here.")
    return not_applicable("Nothing here is deployed.")


def _by_ci(repo: Repository) -> Verdict | None:
    jobs = [(j, line) for j, line in deploy_jobs(repo) if j.automatic]
    if jobs:
        detail = f"CI deploys ({jobs[0][0].path}, job {jobs[0][0].name})."
        return present(repo, E, detail, [(j.path, line) for j, line in jobs])
    controller = gitops(repo)
    if controller is not None:
        return present(repo, E, "A GitOps controller deploys what is committed.", [controller])
    return None


def _by_command(repo: Repository) -> Verdict | None:
    runs = deploy_runs(repo)
    if not runs:
        return None
    detail = f"A command deploys ({runs[0].at}); a person starts it."
    return present(repo, W, detail, [r.where for r in runs])


def _by_call(repo: Repository) -> Verdict | None:
    calls = [h for h in repo.code.calls(*_MODEL_CALLS) if h.module.roots & _SDK]
    return from_code(repo, "A script deploys the model", spots(calls), most=W)


def _idle_job(repo: Repository) -> Verdict | None:
    idle = [j for j in repo.jobs if says_deploy(j) and (j.idle or j.disabled)]
    if not idle:
        return None
    return present(repo, C, _idle_words(idle[0]), [(j.path, j.line) for j in idle])


def _manifests_only(repo: Repository) -> Verdict | None:
    places = [(m.path, m.line) for m in repo.manifests[:5]] or [(f.path, 1) for f in repo.compose]
    if not places:
        return None
    return present(repo, C, "Manifests are here; no command that applies them was found.", places)


def _idle_words(job: Job) -> str:
    if job.disabled:
        return f"Job {job.name} calls itself a deployment, but is switched off."
    return f"Job {job.name} calls itself a deployment, but only prints text."


@probe(
    "model_delivery",
    practice="model_cd",
    asks="Does a model or pipeline that passes reach production by an automated pipeline?",
    searched=(
        "CI jobs that deploy a model or its pipeline, what they wait for, and what starts them"
    ),
)
def _model_delivery(repo: Repository) -> Verdict:
    jobs = deploy_jobs(repo)
    if jobs and (repo.stages.scoring is not None or repo.stages.training is not None):
        return _grade_delivery(repo, jobs)
    idle = _idle_job(repo)
    if idle is not None:
        return idle
    if repo.stages.scoring is not None:
        return absent(
            repo, "A model is used here, and no CI job deploys it.", [repo.stages.scoring]
        )
    if repo.stages.training is not None:
        return unknown("No deployment of a model was found.")
    return not_applicable("Nothing here trains or serves a model.")


def _grade_delivery(repo: Repository, jobs: list[tuple[Job, int]]) -> Verdict:
    checks = {
        (line.path, line.job.name)
        for line in model_lines(repo)
        if line.job is not None and line.hard
    }
    names = {(j.path, j.name): j for j in repo.jobs}
    best: Verdict | None = None
    for job, line in jobs:
        before = _before(job, names)
        checked = (
            any(k in checks for k in before)
            or (job.path, job.name) in checks
            or "workflow_run" in job.events
        )
        if job.automatic and checked:
            return present(
                repo,
                E,
                f"Job {job.name} deploys by itself after the model has been tested.",
                [(job.path, line)],
            )
        if checked:
            best = best or present(
                repo,
                W,
                f"Job {job.name} deploys after the model has been tested; a person starts it.",
                [(job.path, line)],
            )
    if best is not None:
        return best
    job, line = jobs[0]
    return present(
        repo,
        C,
        f"Job {job.name} deploys, but nothing shows that a model passed a test first.",
        [(job.path, line)],
    )


def _before(job: Job, names: dict[tuple[str, str], Job]) -> set[tuple[str, str]]:
    """Jobs that must succeed before this one, those of called workflows included."""
    found: set[tuple[str, str]] = set()
    stack = [(job.path, n) for n in job.needs]
    while stack:
        key = stack.pop()
        earlier = names.get(key)
        if key in found or earlier is None:
            continue
        found.add(key)
        stack += [(earlier.path, n) for n in earlier.needs]
        for step in earlier.steps:
            if step.uses.startswith("./"):
                called = step.uses.removeprefix("./")
                stack += [k for k in names if k[0].endswith(called)]
    return found


@probe(
    "environments",
    practice="environments_separated",
    asks="Are development, staging and production separate, and does a release pass through them?",
    searched="environments of CI jobs, overlays, value files and Terraform folders by environment",
)
def _environments(repo: Repository) -> Verdict:
    production = [
        (j, line) for j, line in deploy_jobs(repo) if _is(f"{j.environment} {j.name}", _PRODUCTION)
    ]
    before = [
        (j, line)
        for j, line in deploy_jobs(repo)
        if _is(f"{j.environment} {j.name}", _BEFORE)
        and not _is(f"{j.environment} {j.name}", _PRODUCTION)
    ]
    if production and before:
        places = [(j.path, line) for j, line in [*before[:2], *production[:2]]]
        names = {(j.path, j.name): j for j in repo.jobs}
        earlier = {(j.path, j.name) for j, _ in before}
        if any(_before(j, names) & earlier for j, _ in production):
            return present(
                repo, E, "Production is deployed only after an earlier environment.", places
            )
        return present(repo, W, "CI deploys to several environments.", places)
    found: dict[str, tuple[str, int]] = {}
    for path in repo.paths:
        if not path.lower().endswith(
            (".yml", ".yaml", ".tf", ".tfvars", ".json", ".toml", ".env", ".hcl")
        ):
            continue
        words = set(_WORD.findall(path.lower().replace("_", "-")))
        if words & set(_PRODUCTION):
            found.setdefault("production", (path, 1))
        elif words & {"staging", "stage", "stg", "dev", "development", "qa", "uat", "preprod"}:
            found.setdefault("before", (path, 1))
    if len(found) > 1:
        return present(repo, C, "Settings for several environments are here.", list(found.values()))
    if repo.stages.scoring is not None and (repo.jobs or repo.manifests):
        return absent(
            repo,
            "A model is deployed here, and only one environment is named.",
            [repo.stages.scoring],
        )
    return (
        unknown("Files do not tell how many environments there are.")
        if repo.stages.ml
        else not_applicable("Nothing here is deployed.")
    )


def _is(text: str, words: tuple[str, ...]) -> bool:
    low = text.lower().replace("_", "-")
    if any(w in low for w in words if len(w) > _SHORT):
        return True
    return bool(set(_WORD.findall(low)) & set(words))


_FILES: Final = (
    "pulumi.yaml",
    "cdk.json",
    "chart.yaml",
    "kustomization.yaml",
    "kustomization.yml",
    "serverless.yml",
    "samconfig.toml",
)
_OBJECTS: Final = frozenset(
    "Deployment StatefulSet Service Job CronJob InferenceService Rollout SeldonDeployment".split()
)
_APPLIES: Final = re.compile(
    r"\bterraform (?:\S{1,60} ){0,3}(?:apply|plan)|\bpulumi (?:up|preview)|"
    r"\bcdk (?:deploy|diff)|\bkubectl (?:\S{1,60} ){0,4}apply|\bhelm "
    r"(?:\S{1,60} ){0,4}upgrade|aws cloudformation deploy|\bsam deploy|"
    r"ansible-playbook|az deployment|\bsls deploy|serverless deploy"
)


@probe(
    "infrastructure",
    practice="infrastructure_as_code",
    asks="Is infrastructure created from code?",
    searched="Terraform, Pulumi, CDK, CloudFormation, Bicep, Helm, Kubernetes manifests, Ansible",
)
def _infrastructure(repo: Repository) -> Verdict:
    found = _described(repo)
    if found:
        return _infrastructure_applied(repo, found)
    run = repo.stages.scoring or repo.stages.pipeline
    if run is not None:
        detail = "Something is run here, and no code describes its infrastructure."
        return absent(repo, detail, [run])
    if repo.stages.ml:
        return unknown("No infrastructure is described here.")
    return not_applicable("No machine learning here.")


def _described(repo: Repository) -> list[tuple[str, int]]:
    found = [(p, b.line) for p, b in repo.terraform if b.kind in ("resource", "module")]
    found += [(p, 1) for p in [*repo.named(*_FILES), *repo.ending(".bicep")]]
    for file in repo.yaml_files(holding=("AWSTemplateFormatVersion", "AWS::")):
        found += [(file.path, n.line) for d in file.docs for _, n in d.pairs("Resources")][:1]
    return found + [(m.path, m.line) for m in repo.manifests if m.kind in _OBJECTS]


def _infrastructure_applied(repo: Repository, found: list[tuple[str, int]]) -> Verdict:
    runs = repo.runs.matching(_APPLIES)
    automatic = [r for r in runs if r.automatic and r.hard]
    controller = gitops(repo)
    deploys = deploy_runs(repo)
    some = found[:4]
    if automatic:
        detail = f"Infrastructure is code, applied by {automatic[0].at}."
        return present(repo, E, detail, [*some, automatic[0].where])
    if controller is not None:
        detail = "Infrastructure is code, applied by a GitOps controller."
        return present(repo, E, detail, [*some, controller])
    if runs:
        detail = f"Infrastructure is code, applied by hand with {runs[0].at}."
        return present(repo, W, detail, [*some, runs[0].where])
    if deploys:
        detail = f"Infrastructure is described in code, and {deploys[0].at} deploys."
        return present(repo, W, detail, [*some, deploys[0].where])
    return present(repo, C, "Infrastructure is described in code; nothing found applies it.", found)
