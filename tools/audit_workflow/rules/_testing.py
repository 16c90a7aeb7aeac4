"""What the rules about tests and CI share."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.parse.ci import Job
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.runs import Run

PYTEST: Final = re.compile(
    r"(?:^|[\s;&|/])(?:pytest|py\.test|nose2|nosetests|tox|nox)\b(?!\.)|\bunittest\b|"
    r"manage\.py test|"
    r"coverage run"
)
LINT: Final = re.compile(
    r"(?:^|[\s/;&|])(?:ruff|flake8|pylint|black|isort|mypy|pyright|pycodestyle|bandit|"
    r"pre-commit run|nbqa|autopep8|yapf)\b"
)
_INSTALLS: Final = re.compile(r"\b(?:install|add|sync|pip-compile|upgrade|download)\b")
_OTHER_TESTS: Final = re.compile(
    r"(?:^|/)(?:test[-_][^/]{1,60}\.(?:sh|r|bats|ts|js|jl|scala|java|go)|[^/]{1,60}[-_.](?:test|spec|tests)"
    r"\.(?:sh|r|bats|ts|tsx|js|jsx|jl|go)|tests?/[^/]{1,60}\.(?:sh|bats|r)|[^/]{1,60}Tests?\.(?:java|scala|cs|kt))$",
    re.IGNORECASE,
)
_CODE_BUILD: Final = (
    "AWS::CodeBuild::Project",
    "AWS::CodePipeline::Pipeline",
    "gcr.io/cloud-builders",
    "gcr.io/kaniko-project",
)


@shared
def test_functions(repo: Repository) -> int:
    """Number of test functions, whatever they check."""
    return sum(
        f.last.startswith("test") or (c and f.last.startswith("should_"))
        for p, m in repo.code.modules.items()
        for c in (p in repo.code.tests,)
        for f in m.functions
        if c or p.endswith("_test.py") or "/tests." in p
    )


@shared
def has_tests(repo: Repository) -> bool:
    """Tell whether there is a test in any language."""
    if test_functions(repo):
        return True
    return any(_OTHER_TESTS.search(p) for p in repo.paths)


def ci_runs(repo: AuditRepository, pattern: re.Pattern[str]) -> list[Run]:
    """Commands of CI that match and do more than install."""
    return [r for r in repo.runs.matching(pattern, runs=repo.runs.ci) if not installs(r.text)]


def installs(text: str) -> bool:
    """Tell whether a command only installs what it names."""
    return bool(_INSTALLS.search(text)) and "&&" not in text


@shared
def other_ci(repo: Repository) -> bool:
    """Tell whether CI is set up otherwise: build services of clouds, in templates or Terraform."""
    if repo.resources("aws_codebuild_project", "aws_codepipeline", "google_cloudbuild_trigger"):
        return True
    if repo.named("jenkinsfile", "appveyor.yml", ".appveyor.yml", "bitrise.yml", "skaffold.yaml"):
        return True
    if any(p.startswith((".woodpecker", ".semaphore", ".teamcity")) for p in repo.paths):
        return True
    return any(True for _ in repo.yaml_files(holding=_CODE_BUILD))


def checks(job: Job) -> int:
    """Line of the first command of a job that tests or checks code; 0 when none."""
    for step in job.steps:
        for command in step.commands:
            text = command.text
            if (PYTEST.search(text) or LINT.search(text)) and not installs(text):
                return command.line
    return 0
