"""Version control of code."""

from __future__ import annotations

from mlops_advisor.tools.evidence.probes._base import C, Verdict, W, present, probe, unknown
from mlops_advisor.tools.evidence.repository import Repository


@probe(
    "code_in_git",
    practice="code_version_control",
    asks="Is the code in version control?",
    searched="the .git folder, CI files, .gitignore and .gitattributes",
)
def _code_in_git(repo: Repository) -> Verdict:
    if repo.has_git:
        path = ".git/" if ".git/" in repo.workspace.paths else ".git"
        return present(repo, W, "The folder is a git work tree.", [(path, 1)])
    if repo.ci_paths:
        return present(
            repo,
            W,
            "CI files show that the code is hosted in version control.",
            [(p, 1) for p in repo.ci_paths],
        )
    files = repo.named(".gitignore", ".gitattributes", ".gitmodules")
    if files:
        return present(
            repo,
            C,
            "Files of git are here, but no .git folder and no CI file.",
            [(p, 1) for p in files],
        )
    return unknown("No .git folder was given; an exported copy looks the same.")


@probe(
    "shared_hosting",
    practice="shared_repository",
    asks="Does the team work in one shared repository?",
    searched="CI files, CODEOWNERS, pull request templates, contribution guides",
)
def _shared_hosting(repo: Repository) -> Verdict:
    found = repo.ci_paths + repo.named("codeowners", "pull_request_template.md", "contributing.md")
    on_review = [j for j in repo.jobs if "pull_request" in j.events]
    if on_review:
        return present(
            repo,
            W,
            "CI runs on proposed changes of a shared repository.",
            [(j.path, j.line) for j in on_review],
        )
    if found:
        return present(
            repo, C, "Files for work in a shared repository are here.", [(p, 1) for p in found]
        )
    return unknown("Files do not tell who works in this repository.")
