"""Image tag that moves

## What it does

Looks at every container image that a Dockerfile, compose file, Kubernetes object, Helm or
Kustomize file, CI pipeline, Terraform file or pipeline code names.  No tag or a moving one
(`latest`, `main`, `nightly` ...) is reported for each line; a tag without a full version and
without a digest (`python:3.11-slim`) once for each file, as a lesser matter.  CI that only pushes
or deploys `:latest` is reported too.

## Why is this bad?

Behind such a tag stands another image tomorrow: builds and training runs cannot be repeated, two
nodes run different code under one name, and there is nothing to roll back to.

## Known problems

Compose images that are built by the same file, references with variables, and tags that an
overlay of Kustomize sets are left out.

## Example

```yaml
image: registry.example.org/churn-api:latest
```

## Use instead

```yaml
image: registry.example.org/churn-api:1.4.2@sha256:4bd2...
```
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.evidence.images import Image
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.probes._deploy import says_deploy
from mlops_advisor.tools.evidence.runs import Run

_MOVING: Final = frozenset(
    "latest main master edge dev develop development nightly head current unstable canary".split()
)
_LATEST_LIKE: Final = re.compile(r"(?:^|[-_.])latest(?:$|[-_.])")
# A full version, a date, a commit: such a tag is rarely moved.
_FULL: Final = re.compile(
    r"\d{1,6}\.\d{1,6}\.\d{1,6}|\d{4}[.-]\d{2}[.-]\d{2}|\b\d{8}\b|\b[0-9a-f]{7,40}\b|"
    r"RELEASE\.\d{4}|\d{1,4}\.\d{1,4}-(?:stable|\d)|\bv\d{1,4}\.\d{1,4}\b"
)
_NUMBERED: Final = re.compile(r"\d{1,6}\.\d{1,6}")
_PLACEHOLDER: Final = re.compile(r"^(?:your|my-?org|changeme|placeholder|todo|<)", re.IGNORECASE)
_OWN_BUILD: Final = re.compile(
    r"\b(?:docker|podman)(?: buildx)? build\b[^\n]{0,600}?(?:-t|--tag)[ =]([\w./-]{1,200})"
)
_PUSH: Final = re.compile(
    r"\b(?:docker|podman|crane) push\s{1,4}(?:-\S{1,30}\s{1,4}){0,3}[\"']?([^\s\"']{1,300})"
)
_DEPLOYED: Final = re.compile(
    r"(?:--image(?:-uri|-name)?[= ]|set image \S{1,120} \S{1,80}=|image\.tag=|"
    r"--container-image(?:-uri)?[= ])[\"']?([^\s\"']{1,300})"
)
_STARTED: Final = re.compile(
    r"\bdocker (?:pull|run)\s[^\n]{0,1500}?\s[\"']?([^\s\"']{0,300}:latest)(?:[\"']|\s|$)"
)
_EXPRESSION: Final = re.compile(r"\$\{\{[^{}]{0,300}\}\}")
_LATEST: Final = re.compile(r":latest\b")
_TAG_NAMES: Final = frozenset(
    ("IMAGE_TAG", "TAG", "DOCKER_TAG", "IMG_TAG", "imageTag", "image_tag")
)
_LOW_PLACES: Final = frozenset(("devcontainer",))
_ANY_FULL: Final = frozenset(("compose", "helm", "terraform"))


@rule(
    "DS03",
    name="image-tag-mutable",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.9,
    fix="Name a version and its digest: `NAME:VERSION@sha256:...` (`docker buildx imagetools"
    " inspect NAME:VERSION` prints it); tag own images with the commit.",
    effort=(0.1, 0.5),
    sources=(
        "hadolint: DL3006, DL3007",
        "checkov: CKV_DOCKER_7, CKV_K8S_14, CKV_K8S_43",
        "openssf_scorecard: check Pinned-Dependencies",
    ),
)
def image_tag_mutable(repo: AuditRepository) -> Iterator[Hit]:
    """Report images that are named by a tag that moves."""
    images = [i for i in repo.images if not _leave_out(i)]
    local = _built_here(repo)
    overlaid = {i.owner for i in repo.images if i.where == "kustomize"}
    loose: dict[str, list[Image]] = {}
    reported: set[tuple[str, str]] = set()
    for image in images:
        if image.where == "compose" and image.name in local:
            continue
        if image.where == "k8s" and image.name in overlaid:
            continue
        if _moves(image):
            if (image.path, image.ref) not in reported or image.where != "dockerfile":
                reported.add((image.path, image.ref))
                yield _moving(image)
        elif image.where not in _ANY_FULL | _LOW_PLACES and not _full(image):
            loose.setdefault(image.path, []).append(image)
    for path, found in sorted(loose.items()):
        yield _loose(path, found)
    yield from _only_latest(repo)


def _leave_out(image: Image) -> bool:
    return bool(
        image.built
        or image.variable
        or image.digest
        or _PLACEHOLDER.search(image.name)
        or image.name in ("scratch", "")
        or (image.owner == "copy" and image.tag not in ("", "latest"))
    )


def _moves(image: Image) -> bool:
    return not image.tag or image.tag.lower() in _MOVING or bool(_LATEST_LIKE.search(image.tag))


def _full(image: Image) -> bool:
    """Tell whether a tag names a version; for what is deployed two numbers are one."""
    if image.where not in ("dockerfile", "ci") and _NUMBERED.search(image.tag):
        return True
    return bool(_FULL.search(image.tag))


def _moving(image: Image) -> Hit:
    what = f"`{image.ref}` has no tag, which means `latest`" if not image.tag else f"`{image.ref}`"
    minor = image.where in _LOW_PLACES or image.owner == "copy" or "gitpod" in image.path
    return Hit(
        image.path,
        image.line,
        f"{what}: what stands behind this name changes without a commit here.",
        f"Name a version and its digest: `{image.name}:VERSION@sha256:...`.",
        severity=LOW if minor else MEDIUM,
    )


def _loose(path: str, found: list[Image]) -> Hit:
    names = sorted({f"`{i.ref}`" for i in found})
    return Hit(
        path,
        found[0].line,
        f"{', '.join(names[:4])}: the tag names no full version and no digest, so the image behind"
        " it is exchanged now and then.",
        f"Name the digest as well: `{found[0].ref}@sha256:...`.",
        also=tuple((path, i.line) for i in found[1:5]),
        severity=LOW,
        confidence=0.65,
    )


def _built_here(repo: AuditRepository) -> frozenset[str]:
    """Names of images that a compose service or a script builds from this repository."""
    found = {i.name for i in repo.images if i.built}
    for run in repo.runs.everything:
        if " build" in run.text and (match := _OWN_BUILD.search(run.text[:3_000])):
            found.add(match.group(1))
    return frozenset(found)


# --- CI that pushes or deploys nothing but latest ------------------------------------------


def _only_latest(repo: AuditRepository) -> Iterator[Hit]:
    seen: set[tuple[str, int]] = set()
    by_job: dict[tuple[str, str], list[Run]] = {}
    for run in repo.runs.ci:
        if run.counts and run.job is not None:
            by_job.setdefault((run.job.path, run.job.name), []).append(run)
    groups: Iterable[list[Run]] = (*by_job.values(), *([r] for r in repo.runs.shell))
    for runs in groups:
        for hit in _of_commands(runs):
            if (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit
    for job in repo.jobs:
        for step in job.steps:
            node = step.inputs.child("tags") if step.inputs is not None else None
            if node is not None and "build-push" in step.uses and _all_latest(node):
                yield Hit(
                    job.path, node.line, "Each build overwrites `latest`, the only tag pushed."
                )
    yield from _settings(repo)


def _of_commands(runs: list[Run]) -> Iterator[Hit]:
    pushed = [(r, m.group(1)) for r in runs if (m := _PUSH.search(r.text[:3_000]))]
    if pushed and all(_LATEST.search(ref) or _untagged(ref) for _, ref in pushed):
        run, ref = pushed[0]
        why = f"`{ref}` is the only tag pushed: each build overwrites the image before it."
        yield Hit(run.path, run.line, why, "Tag the image with the commit: `NAME:$GITHUB_SHA`.")
    started = [
        (r, m.group(1))
        for r in runs
        if r.job is not None and says_deploy(r.job) and (m := _STARTED.search(_tight(r.text)))
    ]
    for run, ref in started[-1:]:
        why = f"`{ref}` is deployed: nobody can tell which build runs."
        yield Hit(run.path, run.line, why, "Deploy the tag of the commit that was built.")
    for run in runs:
        found = _DEPLOYED.search(run.text[:3_000])
        if found and _LATEST.search(
            f":{found.group(1)}" if "tag=" in found.group(0) else found.group(1)
        ):
            why = f"`{found.group(1)}` is deployed: nobody can tell which build runs."
            yield Hit(run.path, run.line, why, "Deploy the tag of the commit that was built.")


def _tight(text: str) -> str:
    """Take the spaces out of `${{ ... }}`, so that a reference is one word."""
    return _EXPRESSION.sub(lambda m: m.group(0).replace(" ", ""), text[:3_000]) + " "


def _untagged(ref: str) -> bool:
    return "$" not in ref and ":" not in ref.rpartition("/")[2]


def _all_latest(node: Node) -> bool:
    tags = [t for n in (node.items or [node]) for t in n.text.replace(",", "\n").split()]
    return bool(tags) and all(_LATEST.search(t) for t in tags)


def _settings(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ci_paths:
        if not any(n in repo.text(path) for n in _TAG_NAMES):
            continue
        for doc in repo.yaml(path).docs:
            for key, node in doc.find(*_TAG_NAMES):
                if node.text == "latest":
                    why = f"`{key}: latest` names every image that this pipeline builds alike."
                    yield Hit(path, node.line, why, f"`{key}: ${{{{ github.sha }}}}`.")
