"""What Azure ML reuses under a name or an input that says nothing of what has changed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline import keyword
from mlops_advisor.tools.evidence.view import HOLE, View, last, strings_in

_STEPS: Final = frozenset(
    "PythonScriptStep EstimatorStep MpiStep CommandStep SynapseSparkStep RScriptStep".split()
)
_GETS: Final = re.compile(r"\b(?:Dataset\.get_by_name|data\.get|Datastore\.get)\(")
_LATEST: Final = re.compile(r"^latest$|@latest$|/latest(?:/|$)", re.IGNORECASE)
_ENVIRONMENT: Final = re.compile(r"^azureml:[\w.-]{1,100}@latest$")


def reused_steps(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Find steps that are reused although they look up their data by themselves."""
    for call in view.calls:
        name = view.name(call)
        if last(name) in _STEPS and name.startswith("azureml."):
            yield from _step(repo, view, call)
        elif name in ("azureml.core.Environment.get", "azureml.core.environment.Environment.get"):
            label = view.string(view.arg(call, "name", 1))
            if view.arg(call, "version", 2) is None and not view.spreads(call):
                shown = f" `{label}`" if label and HOLE not in label else ""
                why = (
                    f"The environment{shown} is taken by name without a version: the latest one "
                    "of the workspace is reused, whatever the repository says now."
                )
                fix = "Give `version=`, or build it from the file of this commit and register that."
                yield Hit(view.path, call.lineno, why, fix, confidence=0.6)


def _step(repo: AuditRepository, view: View, call: ast.Call) -> Iterator[Hit]:
    reuse = keyword(call, "allow_reuse")
    if view.spreads(call) or (reuse is not None and view.literal(reuse.value) is not True):
        return
    arguments = view.settled(view.arg(call, "arguments"))
    latest = next((t for t in _texts(view, arguments) if _LATEST.search(t)), "")
    script = view.string(view.arg(call, "script_name")).replace(HOLE, "").lstrip("/")
    path = repo.runs.file_named(script) if script.endswith(".py") else ""
    line = next((n for n, t in enumerate(repo.lines(path), 1) if _looks_up(t)), 0) if path else 0
    if not latest and not line:
        return
    how = "`allow_reuse=True`" if reuse is not None else "`allow_reuse` left at True"
    what = (
        f"its data are named by {latest!r}"
        if latest
        else f"`{path}` looks up the latest version of its data by itself (line {line})"
    )
    why = f"With {how} the step is skipped while code and arguments stay the same, but {what}."
    fix = "Pass the data as an input with a version, or set `allow_reuse=False`."
    also = ((path, line),) if line else ()
    at = reuse.value.lineno if reuse is not None else call.lineno
    yield Hit(view.path, at, why, fix, also=also, confidence=0.7)


def _looks_up(line: str) -> bool:
    """Tell whether a line gets a data set by its name alone."""
    code = line.partition("#")[0]
    return bool(_GETS.search(code)) and "version" not in code and code.rstrip().endswith(")")


def _texts(view: View, arguments: ast.expr | None) -> Iterator[str]:
    """Texts that a step gives its script, defaults of parameters of the pipeline included."""
    for one in arguments.elts[:60] if isinstance(arguments, (ast.List, ast.Tuple)) else ():
        value = view.settled(one)
        if isinstance(value, ast.Call) and last(view.name(value)) == "PipelineParameter":
            value = view.settled(view.arg(value, "default_value", 1))
        if value is not None:
            yield from (str(s.value) for s in strings_in(value))


def latest_environments(repo: AuditRepository) -> Iterator[Hit]:
    """Find environments of jobs and deployments that files take at their latest version."""
    for file in repo.yaml_files(holding=("@latest",)):
        for doc in file.docs:
            for _, node in doc.find("environment"):
                if _ENVIRONMENT.match(node.text):
                    name = node.text.removeprefix("azureml:").partition("@")[0]
                    why = (
                        f"`{name}` is taken at its latest version: the same commit runs in another "
                        "image after somebody registers one."
                    )
                    fix = f"Name the version: `azureml:{name}:<version>`."
                    yield Hit(file.path, node.line, why, fix, confidence=0.6)
