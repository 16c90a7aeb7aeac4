"""Dependencies that are not pinned

## What it does

Looks at requirement files, `pyproject.toml`, `Pipfile`, conda environments, `setup.py`,
`pip install` in images, CI, cluster and job descriptions, notebooks and code, and at commands that
fetch tools, for versions that may change by themselves, and at programs that are downloaded and
installed without a look at their checksum.  Once for each file, or command, with the names.  Also
reports versions that are not released, packages installed while a program runs, and code without
any list of what it needs.

## Why is this bad?

The image built tomorrow is not the one tested today; a model pickled with one version of
scikit-learn does not load, or predicts otherwise, with the next.

## Known problems

A lock of the same folder (or, for workspaces, of one above) makes loose lists right and is looked
for: poetry.lock, uv.lock, Pipfile.lock, pdm.lock, conda-lock.yml, files of pip-compile.  Ranges
with an upper end (`~=1.4`, `>=1,<2`) are not reported.

## Example

```text
pandas
scikit-learn>=1.0
```

## Use instead

```text
pandas==2.2.3
scikit-learn==1.5.2
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.audit_workflow.rules._supply import Entry, Manifest, folder_of, manifests
from mlops_advisor.tools.audit_workflow.rules._supply_commands import (
    Install,
    installs,
    loose_tools,
)
from mlops_advisor.tools.audit_workflow.rules._supply_downloads import unchecked_downloads
from mlops_advisor.tools.audit_workflow.rules._supply_imports import foreign_imports
from mlops_advisor.tools.evidence.code import is_test_path

_SHOWN: Final = 8
_FROZEN: Final = 50  # so many exact versions come from a resolver, pre-releases of others included
_WHOLE: Final = ("requirements", "pipfile", "conda", "bentofile")  # files that are one list
_FEW: Final = 6  # one package in so many, or fewer
_AT_START: Final = ("_PIP_ADDITIONAL_REQUIREMENTS", "EXTRA_PIP_PACKAGES")
_PIP_AT_START: Final = re.compile(
    r"(_PIP_ADDITIONAL_REQUIREMENTS|EXTRA_PIP_PACKAGES)[\"']?\s{0,4}[:=]\s{0,4}[\"']?"
    r"(?:\$\{\w{1,80}:?-)?\s{0,4}[a-zA-Z][\w.-]{1,60}"
)
_FIXED_ADDRESS: Final = re.compile(r"/[0-9a-f]{40}/|/v?\d{1,4}\.\d{1,4}[\w.-]{0,20}/")
_INSTALLING: Final = tuple(
    "packages_to_install requirements pip_requirements extra_pip_requirements packages".split()
)
_CALLS: Final = frozenset(
    "component create_component_from_func func_to_container_op PythonVirtualenvOperator virtualenv"
    " ImageSpec Environment log_model save_model DockerSettings".split()
)
_LOCAL: Final = ("notebook",)
# Tools of developers: what they install or check is not what is built.
_HELPERS: Final = frozenset(
    "pipenv poetry uv pdm hatch tox nox pytest pytest-cov flake8 black ruff isort mypy pylint sh"
    " bandit pre-commit coverage codecov build twine mkdocs sphinx nbconvert awscli".split()
)


@rule(
    "GS06",
    name="dependencies-unpinned",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.85,
    fix="Lock the environment (`uv lock`, `poetry lock`, `pip-compile`), and install the lock.",
    effort=(0.25, 1.0),
    sources=(
        "openssf_scorecard: Pinned-Dependencies",
        "hadolint: DL3013, pin versions in pip",
        "ml_test_score: Infra 1, training is reproducible",
    ),
)
def unpinned_dependencies(repo: AuditRepository) -> Iterator[Hit]:
    """Report what may change from one installation to the next."""
    files = {folder_of(m.path) for m in manifests(repo) if m.kind == "requirements" and m.entries}
    for manifest in manifests(repo):
        twice = manifest.kind in ("pyproject", "setup") and folder_of(manifest.path) in files
        if not is_test_path(manifest.path):
            yield from _manifest(manifest, twice=twice)
    for group in _by_file(installs(repo)):
        yield from _commands(group)
    told: set[tuple[str, int]] = set()
    for tool in (*loose_tools(repo), *unchecked_downloads(repo)):
        if (tool.path, tool.line) not in told:
            told.add((tool.path, tool.line))
            yield Hit(
                tool.path,
                tool.line,
                tool.why,
                tool.fix,
                severity=LOW if tool.fixed else MEDIUM,
                confidence=0.75,
            )
    yield from _settings(repo)
    yield from _in_calls(repo)
    yield from _no_list(repo)


def _names(entries: tuple[Entry, ...] | list[Entry]) -> str:
    shown = list(dict.fromkeys(e.name for e in entries))
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(f"`{n}`" for n in shown[:_SHOWN]) + more


def _manifest(manifest: Manifest, *, twice: bool) -> Iterator[Hit]:
    path, entries = manifest.path, manifest.entries
    loose = [e for e in entries if e.loose and not e.url and not (manifest.locked or twice)]
    early = [e for e in entries if e.prerelease]
    frozen = len(entries) > _FROZEN and all(e.exact for e in entries)
    if early and not frozen and not loose:
        yield Hit(
            path,
            early[0].line,
            f"{_names(early)} is asked for in a version that is not released "
            f"(`{early[0].spec[:40]}`).",
            "Use a release.",
            also=tuple((path, e.line) for e in early[1:]),
            severity=LOW,
        )
    moving = [e for e in entries if e.url.startswith(("git+", "http")) and not e.exact]
    if moving:
        yield Hit(
            path,
            moving[0].line,
            f"{_names(moving)} comes from an address whose content can change.",
            "Name a commit: `name @ git+https://host/owner/name@<commit>`.",
            also=tuple((path, e.line) for e in moving[1:]),
        )
    if manifest.locked or twice:
        return
    ranges = [e for e in entries if not e.exact and not e.url]
    if loose:
        yield _loose(manifest, loose, early)
    elif manifest.kind in ("pyproject", "pipfile") and len(ranges) > len(entries) / 2:
        yield Hit(
            path,
            ranges[0].line,
            f"The packages have ranges ({_names(ranges)}), and no lock lies in this folder or "
            "above that says which versions were tested.",
            severity=LOW if manifest.library else MEDIUM,
            confidence=0.7,
        )


def _loose(manifest: Manifest, loose: list[Entry], early: list[Entry]) -> Hit:
    """One finding for a list: at its only loose line, else at the file as a whole."""
    count = f"{len(loose)} of {len(manifest.entries)} packages"
    missing = {
        "pipfile": "there is no Pipfile.lock beside it",
        "conda": "there is no conda-lock.yml",
        "bentofile": "each build of the image resolves them anew",
        "cluster": "each start of the environment resolves them anew",
        "requirements": "no compiled file beside it fixes the rest",
    }.get(manifest.kind, "no lock lies in this folder or above")
    unreleased = f"  {_names(early)} may even be a version that is not released." if early else ""
    few = len(loose) * _FEW <= len(manifest.entries)
    severity: Severity = LOW if manifest.aside or manifest.library or few else MEDIUM
    lines = sorted({e.line for e in (*loose, *early)})
    whole = len(lines) > 1 and manifest.kind in _WHOLE
    return Hit(
        manifest.path,
        0 if whole else loose[0].line,
        f"{count} may take any newer version ({_names(loose)}), and {missing}.{unreleased}",
        text=f"{loose[0].name}{loose[0].spec}" if whole else "",
        also=tuple((manifest.path, n) for n in lines[:_SHOWN] if whole or n != loose[0].line),
        severity=severity,
    )


# --- commands ------------------------------------------------------------------------------


def _by_file(found: tuple[Install, ...]) -> Iterator[list[Install]]:
    groups: dict[tuple[str, bool], list[Install]] = {}
    for one in found:
        groups.setdefault((one.path, _at_run_time(one)), []).append(one)
    yield from groups.values()


def _at_run_time(one: Install) -> bool:
    return one.source in ("notebook", "code", "compose", "k8s", "pipeline") or one.instruction in (
        "CMD",
        "ENTRYPOINT",
    )


def _commands(group: list[Install]) -> Iterator[Hit]:
    for one in group:
        remote = [u for u in one.remote if not _FIXED_ADDRESS.search(u)]
        urls = [*remote, *(e.url for e in one.entries if e.url and not e.exact)]
        if urls:
            yield Hit(
                one.path,
                one.line,
                f"`{urls[0][:120]}` is installed from an address whose content can change.",
                "Name a commit or a release instead of a branch.",
            )
        if "--pre" in one.flags or any(e.prerelease for e in one.entries):
            why = "The command installs a version that is not released."
            yield Hit(one.path, one.line, why, "Use a release.", severity=LOW)
    wanted = [o for o in group if o.loose or (_at_run_time(group[0]) and _counts(o))]
    if not wanted:
        return
    yield _run_time(wanted) if _at_run_time(group[0]) else _build_time(wanted)


def _counts(one: Install) -> bool:
    """Tell whether an install at run time matters though its versions are exact."""
    return one.source not in _LOCAL and bool(one.entries or any("-r " in f for f in one.flags))


def _run_time(found: list[Install]) -> Hit:
    first = found[0]
    names = _names([e for o in found for e in (o.loose or o.entries)])
    where = {"notebook": "The notebook", "code": "The program"}.get(first.source, "The container")
    loose = any(o.loose for o in found)
    rest = " in whatever version is newest" if loose else ""
    return Hit(
        first.path,
        first.line,
        f"{where} installs {names or 'packages'} while it runs{rest}.",
        "Put the packages into the image or a locked list of requirements.",
        also=tuple((o.path, o.line) for o in found[1:]),
        severity=LOW if first.source == "notebook" else MEDIUM,
        confidence=0.75,
    )


def _build_time(found: list[Install]) -> Hit:
    first = found[0]
    loose = [e for o in found for e in o.loose]
    names, helpers = _names(loose), all(e.name.partition("[")[0] in _HELPERS for e in loose)
    return Hit(
        first.path,
        first.line,
        f"`pip install` takes whatever version is newest of {names}.",
        "Write `name==version`, or install a locked list of requirements.",
        also=tuple((o.path, o.line) for o in found[1:]),
        severity=MEDIUM if first.source in ("docker", "ci", "yaml") and not helpers else LOW,
    )


# --- settings and calls --------------------------------------------------------------------


def _settings(repo: AuditRepository) -> Iterator[Hit]:
    """Images that install packages each time a container starts, because of a variable."""
    for file in (*repo.compose, *repo.yaml_files(holding=("EXTRA_PIP_PACKAGES",))):
        text = repo.text(file.path)
        if not any(w in text for w in _AT_START) or is_test_path(file.path):
            continue
        for number, line in enumerate(repo.lines(file.path), 1):
            found = None if line.lstrip().startswith("#") else _PIP_AT_START.search(line[:600])
            if found:
                yield _started(file.path, number, found.group(1))
                break


def _started(path: str, line: int, name: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{name}` makes every container install packages when it starts.",
        "Build an image with the packages in it.",
    )


def _in_calls(repo: AuditRepository) -> Iterator[Hit]:
    """Report packages of pipeline components (`packages_to_install=[...]`) without versions."""
    for view in repo.views(*_INSTALLING):
        found: list[tuple[int, list[str]]] = []
        for call in view.calls:
            if view.name(call).rpartition(".")[2] not in _CALLS:
                continue
            for key in _INSTALLING:
                value = view.literal(view.arg(call, key))
                loose = [v for v in value if _is_loose(v)] if isinstance(value, list) else []
                if loose:
                    argument = view.arg(call, key)
                    found.append((argument.lineno if argument else call.lineno, loose))
        if found:
            names = ", ".join(f"`{n}`" for n in dict.fromkeys(n for _, ns in found for n in ns))
            yield Hit(
                view.path,
                found[0][0],
                f"Components install whatever version is newest of {names[:200]}.",
                "Write `name==version`.",
                also=tuple((view.path, n) for n, _ in found[1:]),
            )


def _is_loose(value: object) -> bool:
    return isinstance(value, str) and bool(re.match(r"^[A-Za-z][\w.-]*(?:\[[\w,-]*\])?$", value))


# --- no list at all ------------------------------------------------------------------------


def _no_list(repo: AuditRepository) -> Iterator[Hit]:
    """Code that imports packages in a repository that lists none."""
    lists = [m for m in manifests(repo) if m.entries]
    for manifest in manifests(repo):
        if manifest.kind == "setup" and not manifest.entries:
            folder = folder_of(manifest.path)
            beside = [m for m in lists if folder_of(m.path) == folder]
            used = foreign_imports(repo, folder)
            if used and not beside:
                yield _unlisted(manifest.path, manifest.line, used, "`setup()` names no packages")
    if lists or any(o.entries for o in installs(repo)):
        return
    used = foreign_imports(repo, "")
    if used:
        path, line = min((p, n) for p, n in used.values())
        yield _unlisted(path, line, used, "No file lists the packages")


def _unlisted(path: str, line: int, used: dict[str, tuple[str, int]], what: str) -> Hit:
    names = ", ".join(f"`{n}`" for n in list(used)[:_SHOWN])
    return Hit(
        path,
        line,
        f"{what} that the code imports ({names}).",
        "Add a pyproject.toml with the dependencies and lock it.",
        confidence=0.75,
    )
