"""A cache answers with old results

## What it does

Looks at caches whose key says nothing of what the step reads: Flyte tasks with a constant
`cache_version`, Prefect tasks cached for ever by their inputs, pipelines of Vertex and Kubeflow
with caching on although a step ingests data, SageMaker caches without end, DVC stages that download
without a dependency, `joblib.Memory` on functions that read data, CI caches of data or models under
a constant key; steps of Azure ML that are reused although they look up the latest data themselves,
and environments that are taken by name without a version.

## Why is this bad?

The step is skipped although its data or its code has changed, and the model is trained on what
was there the first time.

## Known problems

A step that reads an immutable source may be cached for ever.

## Example

```python
@task(cache=True, cache_version="1.0")
def fetch() -> pd.DataFrame:
    return pd.read_sql(QUERY, engine)
```

## Use instead

```python
@task(cache=True, cache_version="1.0")
def fetch(day: date) -> pd.DataFrame:  # the day is part of the key
    return pd.read_sql(QUERY, engine, params={"day": day})
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._cache_azure import (
    latest_environments,
    reused_steps,
)
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    Task,
    definition,
    does_network,
    keyword,
    reached,
    short,
    tasks_of,
    views_holding,
)
from mlops_advisor.tools.evidence.view import View, last

_READS: Final = re.compile(
    r"^(?:read_\w+|load_\w+|fetch_\w+|download\w*|open|urlretrieve|get_data\w*|query\w*)$"
)
_GETS: Final = re.compile(
    r"^(?:get\w*|read\w*|load\w*|fetch\w*|download\w*|query\w*|select|find\w*|list_\w+|urlopen|"
    r"urlretrieve|snapshot_\w+|execute|scan\w*)$"
)
_INGEST: Final = re.compile(
    r"(?:^|_)(?:ingest|extract|download|fetch|load|import|read|pull)(?:_|$)"
)
_DOWNLOAD: Final = re.compile(
    r"(?:^|[\s;&|])(?:wget|curl|aws s3|gsutil|kaggle|gdown)\s|download|ingest|fetch"
)
_CACHED: Final = re.compile(r"\b(?:data|models?|datasets?|artifacts?|mlruns)\b", re.IGNORECASE)
_ROOTS: Final = (
    "flytekit",
    "prefect",
    "kfp",
    "sagemaker",
    "joblib",
    "google",
    "zenml",
    "azureml",
    "azure",
)


@rule(
    "PL10",
    name="stale-cache",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.7,
    fix="Make what the step reads part of the cache key, or do not cache the step.",
    effort=(0.1, 0.5),
    sources=(
        "kfp_docs: Use Caching (on by default, set_caching_options)",
        "flyte_docs: example task_cache (bump cache_version when the task changes)",
    ),
)
def stale_cache(repo: AuditRepository) -> Iterator[Hit]:
    """Report caches whose key leaves out what the step reads."""
    for view in views_holding(repo, *_ROOTS):
        if view.module.roots.isdisjoint(_ROOTS):
            continue
        for task in tasks_of(view):
            if task.tool == "Flyte":
                yield from _flyte(repo, view, task)
            elif task.tool == "Prefect":
                yield from _prefect(repo, view, task)
        yield from _pipelines(repo, view)
        yield from _memory(repo, view)
        if "azureml" in view.module.roots or "azure" in view.module.roots:
            yield from reused_steps(repo, view)
    yield from latest_environments(repo)
    yield from _dvc(repo)
    yield from _ci(repo)


def _reader(repo: AuditRepository, view: View, function: ast.AST) -> str:
    """Name of the first call of a function that reads from outside of it."""
    for where, call in reached(repo, view, function):
        name = where.name(call)
        if _READS.match(last(name)) or (does_network(where, call) and _GETS.match(last(name))):
            return name
    return ""


def _flyte(repo: AuditRepository, view: View, task: Task) -> Iterator[Hit]:
    cached = keyword(task.decorator, "cache")
    version = keyword(task.decorator, "cache_version")
    if cached is None or view.literal(cached.value) is not True or version is None:
        return
    value = view.literal(version.value)
    if not isinstance(value, (str, int, float)):
        return
    name = task.function.name
    read = _reader(repo, view, task.function)
    inputs = bool(task.function.args.args or task.function.args.kwonlyargs)
    why = f"`{name}` is cached under the constant version {value!r}"
    if read:
        why += f", but it reads from outside (`{short(read)}`): new data is not seen."
        confidence = 0.8
    elif not inputs:
        why += " and has no inputs: it runs once and never again."
        confidence = 0.8
    else:
        why += ": a change of its code or libraries gives the old result until somebody edits it."
        confidence = 0.6
    fix = "Use `cache_version` from a hash of the code, or `cache=False` for steps that read data."
    yield Hit(view.path, task.decorator.lineno, why, fix, confidence=confidence)


def _prefect(repo: AuditRepository, view: View, task: Task) -> Iterator[Hit]:
    key = keyword(task.decorator, "cache_key_fn", "cache_policy")
    if key is None or keyword(task.decorator, "cache_expiration") is not None:
        return
    if view.name(key.value).endswith(("NO_CACHE", "NONE")) or view.literal(key.value) is False:
        return
    read = _reader(repo, view, task.function)
    constant = isinstance(key.value, ast.Lambda) and isinstance(key.value.body, ast.Constant)
    if read or constant:
        what = "a constant key" if constant else "its inputs alone and without end"
        why = f"`{task.function.name}` is cached by {what}" + (
            f", but what `{short(read)}` reads can change." if read else "."
        )
        fix = "Add `cache_expiration=timedelta(...)`, or a version of the data to the key."
        yield Hit(view.path, task.decorator.lineno, why, fix)


def _pipelines(repo: AuditRepository, view: View) -> Iterator[Hit]:
    for call in view.calls:
        name = view.name(call)
        found = keyword(call, "enable_caching")
        if found is None or view.literal(found.value) is not True:
            continue
        if last(name) == "CacheConfig":
            if keyword(call, "expire_after") is None:
                why = "The cache of the step never expires: new data at the same URI is not read."
                fix = 'Add `expire_after="P1D"` or less than the time between two data drops.'
                yield Hit(view.path, call.lineno, why, fix)
        elif step := _ingests(repo, view):
            why = f"Caching is on for the whole pipeline, and `{step}` reads data that changes."
            fix = f"Call `.set_caching_options(False)` on `{step}`."
            yield Hit(view.path, found.value.lineno, why, fix, confidence=0.6)
    for call in view.calls:
        if last(view.name(call)) == "set_caching_options":
            owner = call.func.value if isinstance(call.func, ast.Attribute) else None
            value = view.arg(call, "enable_caching", 0)
            label = ast.unparse(owner)[:60] if owner is not None else ""
            if value is not None and view.literal(value) is True and _INGEST.search(label.lower()):
                why = f"Caching is on for `{label}`, which reads data that changes."
                yield Hit(view.path, call.lineno, why, confidence=0.7)


def _ingests(repo: AuditRepository, view: View) -> str:
    """Name of a step that ingests data, in this module or in one that it imports."""
    for path in sorted(repo.code.closure([view.path])):
        other = repo.view(path)
        for task in tasks_of(other) if other is not None else ():
            if _INGEST.search(task.function.name.lower()):
                return task.function.name
    return ""


def _memory(repo: AuditRepository, view: View) -> Iterator[Hit]:
    if "joblib" not in view.module.roots:
        return
    for function in view.functions:
        for decorator in function.decorator_list:
            if view.name(decorator) == "joblib.Memory().cache":
                read = _reader(repo, view, function)
                if read:
                    yield _remembered(view, decorator.lineno, function.name, read)
    for call in view.calls:
        if view.name(call) == "joblib.Memory().cache" and call.args:
            target = definition(repo, view, call.args[0])
            read = _reader(repo, target.view, target.function) if target is not None else ""
            if target is not None and read:
                yield _remembered(view, call.lineno, target.function.name, read)


def _remembered(view: View, line: int, name: str, read: str) -> Hit:
    why = f"`{name}` is remembered by its arguments, but it reads from outside (`{short(read)}`)."
    return Hit(view.path, line, why)


def _dvc(repo: AuditRepository) -> Iterator[Hit]:
    for file in repo.yaml_files(named=("dvc.yaml",)):
        for doc in file.docs:
            for name, stage in doc.pairs("stages"):
                body = stage.child("do") or stage
                command = " ".join(n.text for n in body.list_at("cmd"))
                deps = [n.text for n in body.list_at("deps")]
                inputs = [d for d in deps if not d.endswith((".py", ".sh"))]
                if (
                    body.list_at("outs")
                    and not inputs
                    and not body.list_at("params")
                    and body.text_at("always_changed") != "true"
                    and _DOWNLOAD.search(command)
                ):
                    why = f"`{name}` downloads, but depends on no data: `dvc repro` skips it."
                    fix = "Add `always_changed: true`, or import the source with `dvc import-url`."
                    yield Hit(file.path, stage.key_line, why, fix)


def _ci(repo: AuditRepository) -> Iterator[Hit]:
    for job in repo.jobs:
        for step in job.steps:
            if not step.uses.startswith("actions/cache") or step.inputs is None:
                continue
            key, path = step.inputs.child("key"), step.inputs.text_at("path")
            text = key.text if key is not None else ""
            fixed = "hashFiles" not in text and not re.search(
                r"github\.(?:sha|run_|ref)|steps\.|needs\.|env\.|inputs\.|matrix\.", text
            )
            if key is not None and fixed and _CACHED.search(path):
                why = (
                    f"`{path.split()[0]}` is cached under a key that never changes, `{text[:60]}`."
                )
                fix = "Add `${{ hashFiles('...') }}` of what the content depends on to the key."
                yield Hit(job.path, key.line, why, fix)
