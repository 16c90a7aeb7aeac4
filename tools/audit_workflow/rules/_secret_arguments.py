"""Keys and passwords that a step of a pipeline is given as arguments of its command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_STEPS: Final = frozenset(
    "PythonScriptStep ScriptRunConfig ParallelRunStep EstimatorStep RScriptStep CommandStep"
    " AdlaStep DatabricksStep SynapseSparkStep ProcessingStep TrainingStep Estimator ContainerOp"
    " KubernetesPodOperator GKEStartPodOperator ContainerSpec DockerOperator SparkSubmitOperator"
    " CustomContainerTrainingJob CustomPythonPackageTrainingJob CustomTrainingJob CustomJob command"
    " Job SparkStep".split()
)
_RUNS: Final = frozenset(("run", "submit"))
_WORDS: Final = (
    *("arguments=", "script_params", "hyperparameters=", "container_arguments", "ContainerSpec"),
    *("PodOperator", "DockerOperator", "CustomJob"),
)
_KEYS: Final = (
    *("arguments", "args", "script_params", "hyperparameters", "container_arguments", "cmds"),
    *("job_arguments", "application_args", "python_script_params"),
)
_SECRET: Final = re.compile(
    r"(?:account|storage|access|api|secret|primary|master|shared|subscription)[-_]?key(?![a-z])"
    r"|passw(?:or)?d|(?:^|[-_.])pwd|(?:^|[-_.])secret|(?:auth|access|sas|bearer|api|hf|github)[-_]?token"
    r"|connection[-_]?str|(?:^|[-_.])token$|sas[-_]?(?:key|url)",
    re.IGNORECASE,
)
_REFERENCE: Final = re.compile(
    r"(?i)(?:name|id|arn|path|file|uri|ref|scope|version|vault|enabled|column|url|count|size|length|expiry)$"
)
_WRITTEN: Final = re.compile(
    r"--(?P<name>[\w-]{2,60})[= ]{1,2}[\"']?\$?\{\{-?\s{0,4}"
    r"(?:inputs|workflow\.parameters|params)\b"
)
_FIX: Final = (
    "Let the step read the key itself: from the secret store of the platform (Key Vault through "
    "`Run.get_context().get_secret(...)`, a Kubernetes secret, Secrets Manager), or use the "
    "identity of the compute and no key."
)


def secret_arguments(repo: AuditRepository) -> Iterator[Hit]:
    """Report keys that stand in the arguments of a step, once for each call."""
    for view in repo.views(*_WORDS):
        for call in view.calls:
            name = last(view.name(call))
            if name in _STEPS or name in _RUNS:
                given = (View.arg(call, key) for key in _KEYS)
                found = next((f for g in given if g is not None for f in _in(view, g)), None)
                if found is not None:
                    yield _hit(view.path, found[0], found[1], name)
    yield from _in_yaml(repo)


def _in_yaml(repo: AuditRepository) -> Iterator[Hit]:
    """Find them in steps of Argo, Kubeflow and Azure ML that YAML describes."""
    for file in repo.yaml_files(holding=("{{inputs", "{{ inputs", "workflow.parameters", "params")):
        if repo.ci_system(file.path) or is_test_path(file.path):
            continue
        for doc in file.docs:
            for key, node in doc.find("command", "args", "arguments"):
                for part in node.items or [node]:
                    match = _WRITTEN.search(part.text[:4_000])
                    if match and _is_secret(match.group("name")):
                        line = part.line + (1 if part.block else 0)
                        yield _hit(file.path, line, match.group("name"), key)


def _hit(path: str, line: int, name: str, where: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{name}` is handed to `{where}` as an argument: the key is stored with the definition of "
        "the step and shown to everybody who may look at its runs and logs.",
        _FIX,
        severity=HIGH,
        confidence=0.8,
    )


def _is_secret(name: str) -> bool:
    return bool(_SECRET.search(name)) and not _REFERENCE.search(name)


def _in(view: View, given: ast.expr) -> Iterator[tuple[int, str]]:
    """Elements of a list or values of a map of arguments that hold a secret: line and name."""
    settled = view.settled(given)
    if isinstance(settled, ast.Dict):
        for key, value in zip(settled.keys, settled.values, strict=True):
            named = view.string(key) if key is not None else ""
            if not isinstance(value, ast.Constant) and (_is_secret(named) or _named(value)):
                yield value.lineno, named.lstrip("-") or _named(value)
    elif isinstance(settled, (ast.List, ast.Tuple)):
        flag = ""
        for element in settled.elts[:200]:
            if isinstance(element, ast.Constant):
                flag = str(element.value)
                continue
            name = _named(element)
            behind = flag.startswith("-") and _is_secret(flag) and not isinstance(element, ast.List)
            if name or behind:
                yield element.lineno, name or flag.lstrip("-")
            flag = ""


def _named(node: ast.expr) -> str:
    """Name of a secret that an expression hands on; empty for anything else."""
    for one in [node, *(v.value for v in getattr(node, "values", ()) if hasattr(v, "value"))]:
        text = ""
        if isinstance(one, (ast.Name, ast.Attribute)):
            text = last(dotted(one))
        elif isinstance(one, ast.Subscript) and isinstance(one.slice, ast.Constant):
            text = str(one.slice.value)
        elif isinstance(one, ast.Call) and one.args and isinstance(one.args[0], ast.Constant):
            asks = last(dotted(one.func)).startswith(("getenv", "get"))
            text = str(one.args[0].value) if asks else ""
        if _is_secret(text):
            return text
    return ""
