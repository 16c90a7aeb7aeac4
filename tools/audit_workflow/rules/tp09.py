"""Leftovers and missing basics

## What it does

Reports, each once: a missing `.gitignore`, README or licence; modules that are left-over copies
(`train_old.py`, `app copy.py`, `model_backup.py`, `Untitled1.ipynb`), that repeat a file beside
them, or that hold nothing but commented-out code; configuration files with the same keys and
differing values; stages of a Dockerfile that no other stage and no build uses.

## Why is this bad?

Somebody mends the copy.  Two configurations drift apart, and nobody knows which one ran.  Without a
`.gitignore` data, secrets and environments get into git sooner or later.

## Known problems

Settings by environment (`dev`, `prod`), overlays and groups of Hydra are meant to differ and are
left alone.  Lessons that build on each other repeat files on purpose.

## Example

```
training/config.json   {"learning_rate": 0.1, "max_depth": 6, "target": "price"}
scoring/config.json    {"learning_rate": 0.1, "max_depth": 8, "target": "price"}
```

## Use instead

```
config.json            read by training and scoring
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import INFO, LOW, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _docs_config, _docs_copies

_STAGE: Final = re.compile(
    r"^(?:--platform=\S{1,80}\s{1,4})?(\S{1,300})(?:\s{1,4}[Aa][Ss]\s{1,4}(\S{1,80}))?"
)
_SOURCE: Final = re.compile(r"--from=(\S{1,120})|[,= ]from=([\w.-]{1,120})")
_TARGET: Final = re.compile(r"--target[= ]{1,2}(\S{1,120})|target:\s{0,4}[\"']?([\w.-]{1,120})")


@rule(
    "TP09",
    name="repo-hygiene",
    dimension="team_practices",
    severity=LOW,
    confidence=0.8,
    fix="Delete what is left over, and keep one source for each setting.",
    effort=(0.1, 0.5),
    sources=(
        "openssf_scorecard: License",
        "ruff: ERA001 commented-out-code",
    ),
)
def repo_hygiene(repo: AuditRepository) -> Iterator[Hit]:
    """Report missing basics, left-over copies, duplicated settings, and dead stages."""
    yield from _basics(repo)
    yield from _docs_copies.copies(repo)
    yield from _docs_config.duplicates(repo)
    yield from _dead_stages(repo)


def _basics(repo: AuditRepository) -> Iterator[Hit]:
    if not repo.code.product or repo.workspace.truncated:
        return
    names = {p.rsplit("/", 1)[-1].lower() for p in repo.paths}
    hidden = any(n.startswith(".") for n in names) or repo.has_git
    missing = []
    if ".gitignore" not in names and (hidden or len(repo.files) >= _docs_copies.MANY):
        missing.append(".gitignore")
    if not any(n.startswith("readme") for n in names):
        missing.append("README")
    if not missing and _unlicensed(repo, names):
        missing.append("licence")
    if not missing:
        return
    only = missing == ["licence"]
    what = " and no ".join(f"`{m}`" if m.startswith(".") else m for m in missing)
    harm = (
        "nobody outside may use the code" if only
        else "data, secrets and environments get into git by accident" if ".gitignore" in missing
        else "nobody new can tell what this is and how to run it"
    )  # fmt: skip
    yield Hit(
        *_docs.anchor(repo),
        f"The repository has no {what}: {harm}.",
        f"Add {', '.join(missing)}.",
        severity=INFO if only else LOW,
        confidence=0.5 if only else 0.9,
    )


def _unlicensed(repo: AuditRepository, names: set[str]) -> bool:
    """Tell whether a repository that is meant for the public says nothing of a licence."""
    readme = repo.text(_docs.anchor(repo)[0]).lower()
    if not any(w in readme for w in ("img.shields.io", "github.com", "gitlab.com", "contribut")):
        return False
    if any(n.startswith(("licen", "copying", "unlicense")) for n in names) or "license" in readme:
        return False
    texts = [repo.text(p)[:4_000].lower() for p in repo.named("pyproject.toml", "setup.py")]
    return len(repo.files) >= _docs_copies.MANY and not any("license" in t for t in texts)


def _dead_stages(repo: AuditRepository) -> Iterator[Hit]:
    targets = _targets(repo)
    for path, instructions in repo.dockerfiles.items():
        stages: list[tuple[int, str, str]] = []
        used: set[str] = set()
        for item in instructions:
            if item.name == "FROM" and (found := _STAGE.match(item.text)):
                base, name = found.group(1), (found.group(2) or "").lower()
                used.add(base.lower())
                stages.append((item.line, name, base))
            elif item.name in ("COPY", "ADD", "RUN"):
                used.update((a or b).lower() for a, b in _SOURCE.findall(item.text[:2_000]))
        for index, (line, name, base) in enumerate(stages[:-1]):
            wanted = {name, f"{index}"} - {""}
            if wanted & used or name in targets or any("$" in u for u in used):
                continue
            label = f"`{name}`" if name else f"`FROM {base}`"
            yield Hit(
                path,
                line,
                f"The stage {label} is used by no later stage and no build names it: it is "
                "built, or "
                "skipped, for nothing.",
                "Delete the stage, or copy from it what it makes (`COPY --from=...`).",
                confidence=0.9,
            )


def _targets(repo: AuditRepository) -> set[str]:
    """Stages that a build asks for by name."""
    found: set[str] = set()
    for run in repo.runs.everything:
        if "target" in run.text:
            found.update((a or b).lower() for a, b in _TARGET.findall(run.text[:2_000]))
    for path in repo.ending(".yml", ".yaml", ".hcl", ".json", ".md", ".tf"):
        text = repo.text(path)
        if "target" in text:
            found.update((a or b).lower() for a, b in _TARGET.findall(text[:200_000]))
            found.update(
                t.lower()
                for t in re.findall(r"\"?target\"?\s{0,3}[:=]\s{0,3}\"([\w.-]{1,80})\"", text)
            )
    return found
