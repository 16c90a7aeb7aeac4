"""Commands and files that bring something into production."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.models import Strength
from mlops_advisor.tools.evidence.parse.ci import Job
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.runs import Run

DEPLOY: Final = re.compile(
    r"\b(?:kubectl (?:\S{1,60} ){0,4}(?:apply|set image|rollout restart|"
    r"create|replace|patch)|kustomize build|helm (?:\S{1,60} ){0,4}(?:upgrade|"
    r"install)|helmfile|"
    r"gcloud (?:run|ai|app|functions|beta run) (?:\S{1,60} ){0,3}(?:deploy|"
    r"deploy-model|upload|services)|aws (?:ecs|lambda|sagemaker|"
    r"cloudformation|deploy|apprunner|s3 sync)\b|"
    r"az (?:ml online-|ml model deploy|webapp|containerapp|functionapp|aks|"
    r"deployment)|sam deploy|cdk deploy|serverless deploy|sls deploy|"
    r"bentoml (?:deploy|deployment|containerize)|mlflow (?:deployments|"
    r"sagemaker)|flyctl deploy|fly deploy|heroku|ansible-playbook|docker[- "
    r"]compose (?:\S{1,60} ){0,4}up|docker stack deploy|"
    r"argocd app|modal deploy|serve deploy|anyscale service|prefect deploy|"
    r"kedro deploy|pulumi up|terraform (?:\S{1,60} ){0,3}apply|"
    r"databricks bundle deploy|eb deploy|skaffold run|werf converge|kamal "
    r"deploy|truss push|cog push|railway up|dvc push|"
    r"deploy[\w-]{0,60}\.(?:py|sh)\b|make (?:\S{1,40} ){0,3}deploy|"
    r"huggingface-cli upload|gsutil (?:-m )?(?:cp|rsync)|scp |rsync )"
)
# Exchanges the image of what runs already: the manifest itself is not applied.
_SWAP: Final = re.compile(r"kubectl (?:\S{1,60} ){0,4}(?:set image|rollout restart)\b")
PUSH_IMAGE: Final = re.compile(
    r"\bdocker (?:push|buildx build[^\n]{0,300}--push)|\bpodman push|"
    r"\bbuildah push|gcloud builds submit|az acr build|ko publish|crane push"
)
BUILD_IMAGE: Final = re.compile(
    r"\bdocker (?:buildx )?build\b|\bpodman build|\bbuildah bud|docker[- "
    r"]compose[^\n]{0,120}\b(?:build|up)\b|\bbentoml (?:build|containerize)|"
    r"mlflow models build-docker|gcloud builds submit|az acr build|\bpack "
    r"build|cog build|truss (?:build|push)"
)
_INFRA: Final = re.compile(r"\bterraform|\bpulumi|\bcdk |dvc push")
DEPLOY_ACTIONS: Final = (
    "aws-actions/amazon-ecs-deploy",
    "aws-actions/aws-lambda",
    "aws-actions/aws-cloudformation",
    "google-github-actions/deploy",
    "azure/k8s-deploy",
    "azure/webapps-deploy",
    "azure/aml-deploy",
    "azure/container-apps-deploy",
    "akhileshns/heroku-deploy",
    "superfly/flyctl-actions",
    "serverless/github-action",
    "appleboy/ssh-action",
    "helm/",
    "deliverybot/helm",
    "kubernetesmanifest@",
    "helmdeploy@",
    "azurewebapp@",
    "azurecli@",
)
_WORKLOADS: Final = (
    "Deployment",
    "StatefulSet",
    "InferenceService",
    "SeldonDeployment",
    "RayService",
    "Rollout",
    "CronJob",
    "Canary",
)
PUSH_ACTIONS: Final = (
    "docker/build-push-action",
    "docker@2",
    "docker@1",
    "redhat-actions/push-to-registry",
    "mr-smithers-excellent/docker-build-push",
)


def job_deploys(job: Job) -> int:
    """Line of the step that deploys, 0 when none does."""
    for step in job.steps:
        if step.disabled:
            continue
        if step.uses.lower().startswith(DEPLOY_ACTIONS):
            return step.line
        for line in step.commands:
            if not line.idle and DEPLOY.search(line.text):
                return line.line
    return 0


def builds_image(job: Job) -> bool:
    """Tell whether a job builds or pushes an image."""
    return any(
        s.uses.lower().startswith(PUSH_ACTIONS)
        or any(BUILD_IMAGE.search(c.text) or PUSH_IMAGE.search(c.text) for c in s.commands)
        for s in job.steps
        if not s.disabled
    )


@shared
def deploy_runs(repo: Repository) -> list[Run]:
    """Commands that deploy, infrastructure aside."""
    return [r for r in repo.runs.matching(DEPLOY) if not _INFRA.search(r.text)]


@shared
def deploy_jobs(repo: Repository) -> list[tuple[Job, int]]:
    """CI jobs that deploy, with the line; commands behind make and scripts count."""
    found = [(job, line) for job in repo.jobs if not job.disabled and (line := job_deploys(job))]
    known = {id(job) for job, _ in found}
    for run in repo.runs.ci:
        if (
            run.job is not None
            and run.origin
            and id(run.job) not in known
            and run.counts
            and DEPLOY.search(run.text)
        ):
            known.add(id(run.job))
            found.append((run.job, run.origin[1]))
    return found


def says_deploy(job: Job) -> bool:
    """Tell whether a job calls itself a deployment."""
    low = f"{job.name} {' '.join(s.name for s in job.steps)}".lower()
    return "deploy" in low or "release" in low or "promote" in low


def applied(repo: Repository) -> tuple[Strength, str, tuple[str, int] | None]:
    """How manifests reach their platform: strength, words, and the line that applies them."""
    controller = gitops(repo)
    if controller is not None:
        return Strength.ENFORCED, "a GitOps controller applies it", controller
    deploying = deploy_runs(repo)
    runs = [r for r in deploying if not _SWAP.search(r.text)]
    if deploying and not runs:
        return Strength.CONFIGURED, "only images are exchanged; nothing found applies it", None
    automatic = [r for r in runs if r.automatic and r.hard]
    if automatic:
        where = automatic[0].where
        return Strength.ENFORCED, f"{automatic[0].at} applies it without a person", where
    if runs:
        return Strength.WIRED, f"{runs[0].at} applies it", runs[0].where
    jobs = [(j, line) for j, line in deploy_jobs(repo) if j.automatic]
    if jobs:
        job, line = jobs[0]
        return Strength.ENFORCED, f"{job.path}:{line} applies it without a person", (job.path, line)
    return Strength.CONFIGURED, "nothing found applies it", None


@shared
def gitops(repo: Repository) -> tuple[str, int] | None:
    """Find an Argo CD or Flux object that applies this repository's manifests."""
    for m in repo.kinds("Application", "ApplicationSet", "Kustomization", "HelmRelease"):
        if m.api.startswith(
            ("argoproj.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io")
        ):
            return m.path, m.line
    return None


@shared
def deployment_shown(repo: Repository) -> tuple[str, int] | None:
    """Where the workspace shows how it is brought into production; None: that is elsewhere."""
    for m in repo.manifests:
        if m.kind in _WORKLOADS:
            return m.path, m.line
    for job, line in deploy_jobs(repo):
        return job.path, line
    for run in deploy_runs(repo):
        return run.where
    for path, block in repo.resources(
        "aws_sagemaker_endpoint",
        "google_vertex_ai_endpoint",
        "google_cloud_run",
        "aws_ecs_service",
        "aws_lambda_function",
        "azurerm_container_app",
        "kubernetes_deployment",
    ):
        return path, block.line
    for file in repo.yaml_files(
        holding=("AWS::SageMaker::Endpoint", "OnlineDeployment", "AWS::Serverless::Function")
    ):
        return file.path, 1
    return None
