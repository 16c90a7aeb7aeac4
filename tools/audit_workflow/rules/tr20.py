"""Code uses an interface of a machine-learning library that is deprecated or gone

## What it does

Looks for names, arguments and values of libraries that a later version deprecated or removed:
MLflow stages, `reg:linear`, dashboards of Evidently, BentoML 0.13, Prefect 1 and 2 deployments, KFP
1, SageMaker SDK 1, TensorFlow 1, removed parts of scikit-learn, pandas and NumPy, and others.

## Why is this bad?

The code only runs with old versions, which get no fixes; the first upgrade stops it.

## Known problems

The version installed is not looked up: with an old pin the code still runs.

## Example

```python
client.transition_model_version_stage("churn", version, "Production")
```

## Use instead

```python
client.set_registered_model_alias("churn", "champion", version)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._deprecated import (
    ARGUMENTS,
    EVIDENTLY,
    METHODS,
    NAMES,
    TEXTS,
    Gone,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_STAGE_URI: Final = re.compile(r"models:/[^/\s\"'@]{1,200}/(Production|Staging|Archived)\b")
_OLD_EVIDENTLY: Final = re.compile(r"evidently[\"']?\s{0,3}={1,2}\s{0,3}[\"']?[~^=]{0,2}0\.[0-6]\b")
_STAGE: Final = METHODS["transition_model_version_stage"][1]
_COMMANDS: Final = (
    (
        re.compile(r"(?:^|[\s;&|])dvc run\b"),
        "dvc run",
        Gone("removed in DVC 3.0", "`dvc stage add` and `dvc repro`"),
    ),
    (
        re.compile(r"mlflow .{0,200}--no-conda"),
        "--no-conda",
        Gone("removed in MLflow 2.0", "`--env-manager local`"),
    ),
    (
        re.compile(r"gcloud (?:beta )?(?:ai-platform|ml-engine)\b"),
        "gcloud ai-platform",
        Gone("AI Platform was shut down in January 2025", "`gcloud ai` (Vertex AI)"),
    ),
)
_CONFIGS: Final = (".yaml", ".yml", ".json", ".toml", ".sh", ".env", ".ini", ".cfg")
_ROOTS: Final = frozenset(n.partition(".")[0] for n in NAMES)
_BY_ARGUMENT: Final = frozenset(a for _, _, a, _ in ARGUMENTS)


def _each(repo: AuditRepository, view: View) -> Iterator[Hit]:
    pinned = _pins_old_evidently(repo)
    found = {what: (line, gone) for what, line, gone in reversed([*_used(repo, view)])}
    if "build_from_flow" in found:
        found.pop("prefect.deployments.Deployment", None)
    imports: dict[Gone, str] = {}
    for what, (line, gone) in sorted(found.items(), key=lambda pair: pair[1][0]):
        if pinned and gone is EVIDENTLY:
            continue
        if what in NAMES and imports.setdefault(gone, what) != what:
            continue  # the same story as another import of this file
        yield _hit(view.path, line, what, gone)


@rule(
    "TR20",
    each=_each,
    name="deprecated-ml-api",
    dimension="model_training",
    severity=LOW,
    confidence=0.9,
    fix="Use what replaced it, and raise the version of the library.",
    effort=(0.1, 1),
    sources=("mlflow_docs: Model registry stages deprecated since 2.9 (issue 10336)",),
)
def deprecated_api(repo: AuditRepository) -> Iterator[Hit]:
    """Report interfaces that are deprecated or gone, each once a file."""
    yield from _configured(repo)
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.shell):
        for pattern, what, gone in _COMMANDS:
            if pattern.search(run.text[:1_000]):
                yield _hit(run.path, run.line, what, gone)


def _pins_old_evidently(repo: AuditRepository) -> bool:
    names = ("requirements.txt", "pyproject.toml", "pipfile", "environment.yml", "conda.yaml")
    return any(_OLD_EVIDENTLY.search(repo.text(p)[:100_000]) for p in repo.named(*names))


def _hit(path: str, line: int, what: str, gone: Gone) -> Hit:
    return Hit(path, line, f"`{what}` is {_is(gone.since)}.", f"Use {gone.instead}.")


def _is(since: str) -> str:
    plain = ("deprecated", "removed", "renamed", "moved", "an ", "the ", "without")
    return since if since.startswith(plain) else f"outdated: {since}"


def _used(repo: AuditRepository, view: View) -> Iterator[tuple[str, int, Gone]]:
    yield from _imported(view)
    for call in view.calls:
        yield from _called(view, call)
    yield from _attributes(repo, view)
    for text in view.of(ast.Constant):
        if isinstance(text.value, str) and ":" in text.value:
            yield from _written(text.value, text.lineno)
    for joined in view.of(ast.JoinedStr):
        if any(isinstance(v, ast.Constant) and "models:/" in str(v.value) for v in joined.values):
            yield from _written(view.string(joined), joined.lineno)


def _imported(view: View) -> Iterator[tuple[str, int, Gone]]:
    for node in view.of(ast.Import):
        for alias in node.names:
            yield from _named(alias.name, node.lineno)
    for taken in view.of(ast.ImportFrom):
        for alias in taken.names if not taken.level else ():
            yield from _named(f"{taken.module}.{alias.name}", taken.lineno)


def _named(full: str, line: int) -> Iterator[tuple[str, int, Gone]]:
    """Look a dotted name up, the longest known start of it first."""
    name = full if full.partition(".")[0] in _ROOTS else ""
    while "." in name:
        gone = NAMES.get(name)
        if gone is not None:
            yield name, line, gone
            return
        name = name.rpartition(".")[0]


def _called(view: View, call: ast.Call) -> Iterator[tuple[str, int, Gone]]:
    name = view.name(call)
    short = last(name)
    method = METHODS.get(short)
    plain = short == "get_latest_versions" and view.arg(call, "stages", 1) is None
    if method is not None and not plain and (not method[0] or method[0] in view.module.roots):
        yield short, call.lineno, method[1]
    if "." in name:
        yield from _named(name.replace("()", ""), call.lineno)
    for keyword in call.keywords:
        if keyword.arg in _BY_ARGUMENT:
            for called, start, argument, gone in ARGUMENTS:
                if argument == keyword.arg and _matches(called, short) and name.startswith(start):
                    yield f"{short}({argument}=...)", keyword.value.lineno, gone
                    break
    if short == "append" and _frame_append(view, call):
        gone = Gone("deprecated since pandas 1.4, removed in 2.0", "`pd.concat`")
        yield "DataFrame.append", call.lineno, gone


def _matches(pattern: str, name: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern


def _frame_append(view: View, call: ast.Call) -> bool:
    """Tell whether `append` is that of a frame: its result is kept, or the index is ignored."""
    if any(k.arg == "ignore_index" for k in call.keywords):
        return True
    parent = view.parent(call)
    return (
        isinstance(parent, ast.Assign)
        and "pandas" in view.module.roots
        and isinstance(call.func, ast.Attribute)
        and dotted(call.func.value) == dotted(parent.targets[0])
    )


def _attributes(repo: AuditRepository, view: View) -> Iterator[tuple[str, int, Gone]]:
    text = repo.text(view.path)
    numpy = any(f"{n}.{t}" in text for n in ("np", "numpy") for t in ("int", "float", "obj", "str"))
    stage = "current_stage" in text
    index = ".ix[" in text
    if not (numpy or stage or index):
        return
    for node in view.of(ast.Attribute):
        if numpy and node.attr in ("int", "float", "object", "str", "complex", "unicode"):
            name = view.name(node)
            if name in NAMES:
                yield name, node.lineno, NAMES[name]
        elif stage and node.attr == "current_stage":
            yield "current_stage", node.lineno, _STAGE
        elif index and node.attr == "ix" and isinstance(view.parent(node), ast.Subscript):
            yield "DataFrame.ix", node.lineno, Gone("removed in pandas 1.0", "`.loc` or `.iloc`")


def _written(text: str, line: int) -> Iterator[tuple[str, int, Gone]]:
    match = _STAGE_URI.search(text[:1_000]) if "models:/" in text else None
    if match is not None:
        yield f"models:/.../{match.group(1)}", line, _STAGE
    for word, gone in TEXTS:
        if text == word:
            yield word, line, gone


def _configured(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ending(*_CONFIGS):
        text = repo.text(path)
        for word, gone in TEXTS:
            if word in text:
                yield _hit(path, repo.line_of(path, word) or 1, word, gone)
        if "models:/" in text:
            for number, line in enumerate(repo.lines(path), 1):
                match = _STAGE_URI.search(line[:1_000])
                if match is not None and not line.lstrip().startswith("#"):
                    yield _hit(path, number, f"models:/.../{match.group(1)}", _STAGE)
                    break
