"""What the rules about credentials share: where to look, and what a file says of its purpose."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.secrets import Secret, secrets_in

_LOCKS: Final = (
    *(".lock", ".sum", ".min.js", ".min.css", "package-lock.json", "npm-shrinkwrap.json"),
    *("pnpm-lock.yaml", "conda-lock.yml", ".ipynb_checkpoints", ".svg", ".csv", ".tsv", ".po"),
)
_PROSE: Final = (".md", ".markdown", ".rst", ".adoc", ".txt", ".html", ".tex")
_TEMPLATE: Final = re.compile(
    r"(?i)(?:^|[._-])(?:example|examples|sample|template|tmpl|tpl|dist|default|defaults|skel|j2|jinja)"
    r"(?:$|[._-])"
)
_ASIDE: Final = frozenset(("fixtures", "fixture", "testdata", "vendor", "third_party", "mocks"))
_DEVELOPMENT: Final = re.compile(
    r"(?i)development only|for development|local development|locally only|local use|for local|"
    r"not for production|do not use (?:this |it )?in production|not (?:be )?used? in production|"
    r"dev(?:elopment)? (?:setup|environment|stack)|local testing|demo(?:nstration)? only|sandbox"
)
_DEVELOPMENT_PATH: Final = re.compile(
    r"(?i)(?:^|[/._-])(?:dev|devel|development|local|sandbox|demo|devcontainer|override|test|tests|ci)"
    r"(?:$|[/._-])"
)
_HEAD: Final = 40


@shared
def leaks(repo: Repository) -> tuple[Secret, ...]:
    """Credentials in all files that are neither tests, templates nor locks, by path and line.

    Prose shows commands with made-up values: there only the shape of a vendor's key counts.
    """
    found: list[Secret] = []
    for path, file in repo.files.items():
        if repo.late():
            break
        if not _counts(path):
            continue
        prose = path.lower().endswith(_PROSE) and "requirements" not in path
        careful = prose or is_template(path)
        found += [
            s
            for s in secrets_in(path, file.text)
            if not careful or (s.certain and s.kind != "JSON web token")
        ]
    return tuple(found)


def _counts(path: str) -> bool:
    low = path.lower()
    return (
        not low.endswith(_LOCKS)
        and not is_test_path(path)
        and _ASIDE.isdisjoint(low.split("/")[:-1])
    )


def is_template(path: str) -> bool:
    """Tell whether a file shows how another one should look, by its name."""
    return bool(_TEMPLATE.search(path.rsplit("/", 1)[-1]))


@shared
def _purposes(_repo: Repository) -> dict[str, bool]:
    return {}


def for_development(repo: Repository, path: str) -> bool:
    """Tell whether a file says, in its name or its first lines, that it is not for production."""
    known = _purposes(repo)
    if path not in known:
        head = "\n".join(line[:300] for line in repo.lines(path)[:_HEAD])
        comments = "\n".join(x for x in head.split("\n") if x.lstrip().startswith(("#", "//", ";")))
        known[path] = bool(_DEVELOPMENT_PATH.search(path) or _DEVELOPMENT.search(comments))
    return known[path]


def near(repo: Repository, path: str, line: int, words: tuple[str, ...], reach: int = 6) -> bool:
    """Tell whether one of some words, lower case, stands within a few lines."""
    lines = repo.lines(path)[max(0, line - 1 - reach) : line + reach]
    return any(w in x[:500].lower() for x in lines for w in words)
