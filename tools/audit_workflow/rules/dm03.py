"""DVC set up incompletely

## What it does

Looks at `.dvc/config`, `*.dvc`, `dvc.yaml` and `dvc.lock`. It reports a missing remote, or one on
the own disk; `dvc.yaml` without `dvc.lock`; a stage whose command runs a script that its `deps`
leave out; metrics that go into the cache, where git and `dvc metrics diff` of a fresh clone do not
see them; imports that are frozen while nothing runs `dvc update`; and a `config.local` in git.

## Why is this bad?

A pointer without a remote is a hash of data that nobody else can fetch. Without the lock, or with
a script that is no dependency, `dvc repro` reuses results that no longer fit the code.

## Known problems

A remote that CI adds with a command is seen only when the command stands in the workspace.

## Example

```yaml
stages:
  train:
    cmd: python src/train.py
    deps:
      - data/train.csv
    metrics:
      - metrics.json
```

## Use instead

```yaml
stages:
  train:
    cmd: python src/train.py
    deps:
      - src/train.py
      - data/train.csv
    metrics:
      - metrics.json:
          cache: false
```
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.data import parse_ini
from mlops_advisor.tools.evidence.parse.tree import Node

_REMOTE: Final = re.compile(r"^\s*\[\s*'?\s*remote\s+\"([^\"]{1,80})\"\s*'?\s*\]", re.MULTILINE)
_URL: Final = re.compile(r"^\s*url\s*=\s*(\S{1,300})\s*$", re.MULTILINE)
_OWN_DISK: Final = re.compile(r"^(?:/|\.{1,2}[/\\]|[A-Za-z]:[\\/]|~|file:)")
_ADDED: Final = re.compile(r"\bdvc remote (?:add|modify|default)\b")
_UPDATED: Final = re.compile(r"\bdvc (?:update|unfreeze)\b|\bdvc repro\b.{0,80}--(?:force|single)")
_SCRIPT: Final = re.compile(
    r"(?:^|[\s;&|/])((?:[\w.${}-]{1,60}/){0,8}[\w.-]{1,80}\.(?:py|ipynb|sh|R))\b"
)
_MODULE: Final = re.compile(r"python[\d.]{0,4}\s{1,4}-m\s{1,4}([\w.]{1,120})")
_METRIC_NAME: Final = re.compile(
    r"(?i)(?:metrics?|scores?|evaluation|eval_results?)[\w.-]{0,40}\.(?:json|ya?ml)$"
)


@rule(
    "DM03",
    name="dvc-incomplete",
    dimension="data_management",
    severity=HIGH,
    confidence=0.9,
    fix="Complete the set-up of DVC, so that a fresh clone can run `dvc pull` and `dvc repro`.",
    effort=(0.1, 0.5),
    sources=(
        "mllint: version-control/data/dvc-has-remote and version-control/data/commit-dvc-lock",
        "dvc_docs: Remote Storage",
        "dvc_docs: dvc.yaml files, section dvc.lock file",
    ),
)
def dvc_incomplete(repo: AuditRepository) -> Iterator[Hit]:
    """Report what is missing around DVC."""
    yield from _remotes(repo)
    for path in repo.named("config.local"):
        if path.endswith(".dvc/config.local") and path not in repo.workspace.ignored:
            yield Hit(
                path,
                1,
                "`config.local` holds what belongs to one machine, often credentials, and lies"
                " in git.",
                "Take it out (`git rm --cached .dvc/config.local`), renew what it gave away.",
            )
    for path in repo.named("dvc.yaml"):
        if not is_test_path(path):
            yield from _pipeline(repo, path)
    yield from _frozen(repo)


def _pointers(repo: AuditRepository, base: str) -> list[str]:
    """Files below a folder that name data which DVC keeps."""
    found = [p for p in repo.ending(".dvc", "dvc.lock") if not is_test_path(p)]
    found += [p for p in repo.named("dvc.yaml") if not is_test_path(p)]
    return [p for p in found if p.startswith(base)]


def _remotes(repo: AuditRepository) -> Iterator[Hit]:
    configs = [p for p in repo.files if f"/{p}".endswith("/.dvc/config")]
    bases = {p.removesuffix(".dvc/config") for p in configs}
    added = any(_ADDED.search(r.text) for r in repo.runs.everything)
    for path in configs:
        base = path.removesuffix(".dvc/config")
        text = repo.text(path)
        names = _REMOTE.findall(text)
        if not names:
            if _pointers(repo, base) and not added:
                yield _no_remote(path)
            continue
        tree = parse_ini(text)
        core = tree.text_at("core", "remote") if tree is not None else "?"
        urls = _URL.findall(text)
        local = [u for u in urls if _OWN_DISK.match(u)]
        if local and len(local) == len(urls):
            yield Hit(
                path,
                repo.line_of(path, local[0]),
                f"The only remote, `{local[0]}`, is a folder of one machine: `dvc pull` fails"
                " everywhere else.",
                "Point the remote at shared storage: `dvc remote add -d storage s3://...`.",
                severity=MEDIUM,
                confidence=0.8,
            )
        elif not core and len(names) >= 1 and not added:
            yield Hit(
                path,
                repo.line_of(path, names[0]),
                "A remote is set, but none is the default: `dvc pull` and `dvc push` stop.",
                f"Run `dvc remote default {names[0]}`.",
                severity=MEDIUM,
            )
    stray = [p for p in repo.ending(".dvc") if not any(p.startswith(b) for b in bases)]
    if stray and not added and not is_test_path(stray[0]):
        yield _no_remote(stray[0])


def _no_remote(path: str) -> Hit:
    return Hit(
        path,
        1,
        "Data are tracked with DVC, but no remote is set: the hashes lead to nothing that"
        " another machine can fetch.",
        "Run `dvc remote add -d storage s3://<bucket>/<path>` and `dvc push`.",
    )


def _pipeline(repo: AuditRepository, path: str) -> Iterator[Hit]:
    folder = path.removesuffix("dvc.yaml")
    ignored = {f"{folder}dvc.lock"} & repo.workspace.ignored
    file = repo.yaml(path)
    stages = [pair for doc in file.docs for pair in doc.pairs("stages")]
    if stages and f"{folder}dvc.lock" not in repo.files:
        yield Hit(
            path,
            1,
            "`dvc.yaml` has no `dvc.lock` beside it"
            + (" (a .gitignore lists it)" if ignored else "")
            + ": nothing records which data, code and parameters gave the results.",
            "Run `dvc repro` and commit `dvc.lock`.",
            severity=MEDIUM,
        )
    cached = _outs(stages)
    for name, stage in stages:
        body = stage.child("do") or stage
        yield from _deps(repo, path, name, body)
        yield from _metrics(path, name, body)
    for doc in file.docs:
        for node in doc.list_at("metrics"):
            out = _inside(node.text, cached)
            if node.text and out:
                yield _cached(path, node.line, node.text, out)


def _deps(repo: AuditRepository, path: str, name: str, body: Node) -> Iterator[Hit]:
    """Report a script that a stage runs and does not depend on."""
    deps = {_plain(_key(n)) for n in body.list_at("deps")}
    work = body.text_at("wdir")
    for node in body.list_at("cmd"):
        wanted = [_plain(s) for s in _SCRIPT.findall(node.text)]
        wanted += [f"{m.replace('.', '/')}.py" for m in _MODULE.findall(node.text)]
        for script in wanted:
            if "${" in script or not _exists(repo, path, work, script):
                continue
            if not any(_covers(d, script) for d in deps):
                yield Hit(
                    path,
                    node.line + (1 if node.block else 0),
                    f"Stage `{name}` runs `{script}`, but its `deps` do not name it: `dvc repro`"
                    " keeps the old result when the code changes.",
                    f"Add `- {script}` to the deps of `{name}`.",
                    severity=MEDIUM,
                )
                break


def _exists(repo: AuditRepository, path: str, work: str, script: str) -> bool:
    folder = posixpath.normpath(posixpath.join(path.rpartition("/")[0], work or "."))
    whole = posixpath.normpath(posixpath.join(folder, script)).removeprefix("./")
    return whole in repo.files or any(
        p.endswith(f"/{script}") for p in repo.named(script.rpartition("/")[2].lower())
    )


def _covers(dep: str, script: str) -> bool:
    """Tell whether a dependency is the script or a folder around it; variables may be anything."""
    if "${" in dep:
        return True
    dep = dep.rstrip("/")
    return (
        dep in (script, ".")
        or script.startswith(f"{dep}/")
        or (dep.rpartition("/")[2] == script.rpartition("/")[2])
    )


def _metrics(path: str, name: str, body: Node) -> Iterator[Hit]:
    cached = _outs([(name, body)])
    for node in body.list_at("metrics"):
        key, given = _key(node), _options(node)
        cache = given.text_at("cache") if given is not None else ""
        if key and cache.lower() != "false":
            yield Hit(
                path,
                node.line,
                f"The metrics `{key}` of stage `{name}` go into the cache and not into git: a"
                " clone without the remote does not have them, and no review shows them.",
                f"Write `- {key}:` with `cache: false` below it.",
                severity=MEDIUM,
                confidence=0.8,
            )
        elif key and (out := _inside(key, cached)):
            yield _cached(path, node.line, key, out)
    for node in body.list_at("outs"):
        key, given = _key(node), _options(node)
        cache = given.text_at("cache") if given is not None else ""
        if _METRIC_NAME.search(key) and cache.lower() != "false":
            yield Hit(
                path,
                node.line,
                f"`{key}` of stage `{name}` is a cached output and no metric: `dvc metrics` does"
                " not know it, and git does not hold it.",
                f"Move it to `metrics:` as `- {key}:` with `cache: false`.",
                severity=MEDIUM,
                confidence=0.8,
            )


def _outs(stages: list[tuple[str, Node]]) -> list[str]:
    """Give the cached outputs of stages."""
    found = []
    for _, stage in stages:
        body = stage.child("do") or stage
        for node in body.list_at("outs"):
            given = _options(node)
            if given is None or given.text_at("cache").lower() != "false":
                found.append(_plain(_key(node)))
    return [o for o in found if o]


def _inside(path: str, outs: list[str]) -> str:
    plain = _plain(path)
    return next((o for o in outs if plain == o or plain.startswith(f"{o.rstrip('/')}/")), "")


def _cached(path: str, line: int, metric: str, out: str) -> Hit:
    return Hit(
        path,
        line,
        f"The metrics file `{metric}` lies in `{out}`, a cached output that git ignores: the"
        " metrics are not in git, and no review shows them.",
        f"Write the metrics outside `{out}`, or set `cache: false` on it.",
        severity=MEDIUM,
        confidence=0.85,
    )


def _key(node: Node) -> str:
    """Path of an entry: a text, or the one key of a map."""
    if node.map:
        return next(iter(node.map))
    return node.text


def _options(node: Node) -> Node | None:
    return next(iter(node.map.values())) if node.map else None


def _plain(path: str) -> str:
    return path.strip("\"'").removeprefix("./")


def _frozen(repo: AuditRepository) -> Iterator[Hit]:
    """Report frozen imports and stages while nothing in the workspace updates them."""
    if any(_UPDATED.search(r.text) for r in repo.runs.everything):
        return
    for path in repo.ending(".dvc"):
        text = repo.text(path)
        imported = "rev_lock:" in text or ("repo:" in text and "url:" in text)
        line = repo.line_of(path, "frozen: true")
        if (line or imported) and not is_test_path(path):
            yield Hit(
                path,
                line or repo.line_of(path, "rev_lock:") or 1,
                "This import is frozen at one revision, and nothing in the workspace runs"
                " `dvc update`: the data never change, whatever happens at the source.",
                f"Run `dvc update {path}` in a scheduled job that opens a pull request.",
                severity=LOW,
                confidence=0.7,
            )
    for path in repo.named("dvc.yaml"):
        line = repo.line_of(path, "frozen: true")
        if line and not is_test_path(path):
            yield Hit(
                path,
                line,
                "This stage is frozen: `dvc repro` never runs it again, whatever changes.",
                "Remove `frozen: true`, or say beside it who thaws the stage and when.",
                severity=MEDIUM,
                confidence=0.75,
            )
