"""There is no continuous integration

## What it does

Looks for pipelines of GitHub, GitLab, Azure, CircleCI, Bitbucket, Jenkins, Travis, Cloud Build,
CodeBuild and others, also in folders below and in infrastructure code.  Where Python code is and no
CI is, one finding is made, at the README.

## Why is this bad?

What nobody is made to run is not run: tests rot, and the main branch works on one machine.

## Known problems

CI that is set up in a web interface leaves no file.

## Example

A repository with `train.py`, `serve.py`, `tests/` and no workflow.

## Use instead

```yaml
# .github/workflows/ci.yml
on: [pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pip install -r requirements.txt && pytest
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _testing

_FEW: Final = 3  # files; less is a script, not a project


@rule(
    "TP04",
    name="no-ci",
    dimension="team_practices",
    severity=HIGH,
    confidence=0.9,
    fix="Add a workflow that lints and tests on each pull request.",
    effort=(0.5, 2),
    sources=(
        "mllint: ci/use",
        "se4ml: Use Continuous Integration",
        "openssf_scorecard: CI-Tests",
    ),
    absence=True,
    searched=(
        "workflows of GitHub, GitLab, Azure, CircleCI, Bitbucket, Jenkins, Travis, Drone, "
        "Buildkite, "
        "Cloud Build and CodeBuild, in any folder, and build projects in Terraform and templates"
    ),
    practice="model_ci",
)
def no_ci(repo: AuditRepository) -> Iterator[Hit]:
    """Report code that no CI looks at."""
    if repo.ci_paths or _testing.other_ci(repo) or repo.workspace.truncated:
        return
    code = [p for p in _docs.product_code(repo) if not _docs.is_template(p)]
    if len(code) < _FEW and not _docs.models_in(repo, code):
        return
    path, line = _docs.anchor(repo)
    tests = " and its tests" if _testing.test_functions(repo) else ""
    yield Hit(
        path,
        line,
        f"No CI is set up: nothing builds or checks the {len(code)} Python "
        f"{'file' if len(code) == 1 else 'files'} of this repository{tests} when they change.",
        also=tuple((p, 1) for p in code[:2]),
    )
