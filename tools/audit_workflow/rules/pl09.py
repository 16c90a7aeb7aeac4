"""A step uses what another step makes, and nothing says which comes first

## What it does

Reads the order of steps from Flyte workflows, Kubeflow and ZenML pipelines, Airflow DAGs, Argo DAGs
and CI jobs: values handed on, `.after()`, `>>`, `depends`, `needs`.  Two steps without an order are
reported when one saves a model, table or file that the other loads, or when one trains and the
other evaluates, registers, deploys or serves.  A CI job that downloads an artifact that another job
uploads and does not need that job is reported as well.

## Why is this bad?

The orchestrator may start both at once.  The second step then finds nothing, or what the run
before left behind.

## Known problems

Order that is set by means which a reader of the source does not see (loops over lists of tasks)
keeps the rule silent.

## Example

```python
@workflow
def pipeline():
    train()
    deploy()
```

## Use instead

```python
@workflow
def pipeline():
    model = train()
    deploy(model=model)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    DAG_CALLS,
    definition,
    flows_of,
    own_calls,
    tasks_of,
    views_holding,
)
from mlops_advisor.tools.audit_workflow.rules._pipeline_files import Touched, bound, touched
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, names_read, walk

_TOOLS: Final = ("flytekit", "kfp", "airflow", "zenml")
_TRAINS: Final = re.compile(
    r"(?:^|_|-)(?:train|fit|retrain|finetune)(?:ing|_(?!(?:test|val|valid)(?:_|$))|-(?!test)|$)"
)
_AFTER: Final = re.compile(
    r"(?:^|_|-)(?:evaluat\w*|deploy\w*|register|serv\w*|promote|predict\w*|score|publish)(?:_|-|$)"
)
_ORDERING: Final = ("chain", "cross_downstream", "chain_linear", "create_node")


@dataclass(slots=True)
class _Step:
    name: str
    line: int
    names: set[str] = field(default_factory=set)  # variables that hold it
    after: set[int] = field(default_factory=set)
    files: Touched = field(default_factory=Touched)


@rule(
    "PL09",
    name="missing-step-dependency",
    dimension="model_training",
    severity=HIGH,
    confidence=0.75,
    fix="Hand the result of the first step to the second, or state the order.",
    effort=(0.1, 0.5),
    sources=(
        (
            "kfp_docs: Compose components into pipelines, Data passing and task dependencies "
            "(after())"
        ),
        "flyte_docs: example chain_entities (order without data exchange)",
    ),
)
def missing_step_dependency(repo: AuditRepository) -> Iterator[Hit]:
    """Report pairs of steps that need an order and have none."""
    for view in views_holding(repo, *_TOOLS):
        if view.module.notebook or view.module.roots.isdisjoint(_TOOLS):
            continue
        for flow in flows_of(view):
            if flow.tool in ("Flyte", "KFP", "ZenML", "Airflow"):
                yield from _check(view, _steps(repo, view, flow.function))
        if any(view.name(c) in DAG_CALLS for c in view.calls) and not _dynamic(view):
            yield from _check(view, _operators(repo, view))
    yield from _argo(repo)
    yield from _jobs(repo)


def _check(view: View, steps: list[_Step]) -> Iterator[Hit]:
    reach = [_before(steps, i) for i in range(len(steps))]
    for i, step in enumerate(steps):
        free = [
            other
            for j, other in enumerate(steps)
            if i != j and j not in reach[i] and i not in reach[j] and step.name != other.name
        ]
        hit = next((h for o in free if (h := _reads_of(view, step, o))), None)
        hit = hit or next((h for o in free if (h := _comes_after(view, step, o))), None)
        if hit is not None:
            yield hit


def _reads_of(view: View, step: _Step, other: _Step) -> Hit | None:
    shared = sorted(set(other.files.writes) & set(step.files.reads))
    if not shared:
        return None
    key = shared[0]
    why = (
        f"`{step.name}` reads {_shown(key)} that `{other.name}` (line {other.line}) "
        "writes, and nothing puts them in order."
    )
    also = ((view.path, other.line), other.files.writes[key], step.files.reads[key])
    return Hit(view.path, step.line, why, _how(step, other), also=also, confidence=0.85)


def _comes_after(view: View, step: _Step, other: _Step) -> Hit | None:
    low = step.name.lower()
    if not _AFTER.search(low) or _TRAINS.search(low) or not _TRAINS.search(other.name.lower()):
        return None
    why = (
        f"`{step.name}` does not depend on `{other.name}` (line {other.line}), so it may run first."
    )
    also = ((view.path, other.line),)
    return Hit(view.path, step.line, why, _how(step, other), also=also)


def _shown(key: str) -> str:
    kind, _, name = key.partition(":")
    word = {"bento": "the model", "model": "the model", "table": "the table"}.get(kind, "the file")
    return f"{word} `{name}`"


def _how(step: _Step, other: _Step) -> str:
    return (
        f"Give the output of `{other.name}` to `{step.name}` as an argument, "
        f"or write `{other.name} >> {step.name}` (`.after()` in Kubeflow and ZenML)."
    )


def _before(steps: list[_Step], start: int) -> set[int]:
    seen: set[int] = set()
    stack = [start]
    while stack:
        for i in steps[stack.pop()].after:
            if i not in seen:
                seen.add(i)
                stack.append(i)
    return seen


# --- functions that call steps ------------------------------------------------------------------


def _steps(repo: AuditRepository, view: View, function: AnyFunction) -> list[_Step]:
    """Find steps that a pipeline calls, with the order that values and marks give."""
    if any(isinstance(n, (ast.For, ast.While, ast.ListComp)) for n in view.walk(function)):
        return []
    tasks = {t.function.name for t in tasks_of(view)}
    steps: list[_Step] = []
    at: dict[ast.AST, int] = {}
    for call in own_calls(function):
        target = definition(repo, view, call.func)
        known = target is not None and (
            target.function.name in tasks or bool(tasks_of(target.view))
        )
        if target is None or not known or not isinstance(call.func, (ast.Name, ast.Attribute)):
            continue
        at[call] = len(steps)
        files = bound(view, call, target.function, touched(repo, target.view, target.function))
        steps.append(_Step(target.function.name, call.lineno, files=files))
    _link(view, function, steps, at)
    return steps if len(steps) > 1 else []


def _link(view: View, scope: ast.AST, steps: list[_Step], at: dict[ast.AST, int]) -> None:
    """Fill in variables and order."""
    holders: dict[str, set[int]] = {}
    _hold(view, scope, at, holders, steps)
    for call, index in at.items():
        for value in _needed(view, call):
            steps[index].after |= _held(value, holders, at)
    for call in view.below(scope, ast.Call):
        for first, second in _marked(view, call):
            before = _held(first, holders, at)
            for index in _held(second, holders, at):
                steps[index].after |= before
    for node in view.below(scope, ast.BinOp):
        _shift(node, steps, holders, at)
    for index, step in enumerate(steps):
        step.after.discard(index)


def _needed(view: View, call: ast.AST) -> Iterator[ast.expr]:
    """Expressions that have a value before a step starts: its arguments, conditions around it."""
    if isinstance(call, ast.Call):
        yield from call.args
        yield from (k.value for k in call.keywords)
    for up in view.above(call):
        if isinstance(up, ast.With):
            yield from (i.context_expr for i in up.items)
        elif isinstance(up, ast.If):
            yield up.test


def _marked(view: View, call: ast.Call) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Pairs of what comes first and what comes after, as `.after()` and the like say."""
    name = last(view.name(call))
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if name in ("after", "set_upstream") and owner is not None:
        yield from ((value, owner) for value in call.args)
    elif name == "set_downstream" and owner is not None:
        yield from ((owner, value) for value in call.args)
    elif name in _ORDERING:
        yield from zip(call.args, call.args[1:], strict=False)


def _hold(
    view: View,
    scope: ast.AST,
    at: dict[ast.AST, int],
    holders: dict[str, set[int]],
    steps: list[_Step],
) -> None:
    """Note which variables hold which steps; values derived from them count."""
    for node in sorted(view.below(scope, ast.Assign), key=lambda n: n.lineno):
        found = _held(node.value, holders, at)
        for target in node.targets:
            for name in view.walk(target):
                if isinstance(name, ast.Name) and found:
                    holders[name.id] = set(found)
                    for index in found:
                        steps[index].names.add(name.id)


def _held(node: ast.AST, holders: dict[str, set[int]], at: dict[ast.AST, int]) -> set[int]:
    found: set[int] = set()
    for name in names_read(node):
        found |= holders.get(name, set())
    for below in walk(node):
        if below in at:
            found.add(at[below])
    return found


def _shift(
    node: ast.BinOp, steps: list[_Step], holders: dict[str, set[int]], at: dict[ast.AST, int]
) -> None:
    """Read `a >> b`, `b << a` and chains of them."""
    if not isinstance(node.op, (ast.RShift, ast.LShift)):
        return
    left = node.left
    while isinstance(left, ast.BinOp) and isinstance(left.op, (ast.RShift, ast.LShift)):
        left = left.right
    first, second = _held(left, holders, at), _held(node.right, holders, at)
    if isinstance(node.op, ast.LShift):
        first, second = second, first
    for index in second:
        steps[index].after |= first


# --- operators of Airflow -----------------------------------------------------------------------


def _dynamic(view: View) -> bool:
    """Tell whether tasks are made or linked in loops, lists or groups, which is not followed."""
    if any(last(view.name(c)) == "TaskGroup" for c in view.calls):
        return True
    loops = (*view.of(ast.For), *view.of(ast.ListComp))
    return any(
        isinstance(n, ast.Call) and last(view.name(n)).endswith("Operator")
        for loop in loops
        for n in view.walk(loop)
    ) or any(
        isinstance(n, ast.BinOp) and isinstance(n.op, (ast.RShift, ast.LShift))
        for loop in loops
        for n in view.walk(loop)
    )


def _operators(repo: AuditRepository, view: View) -> list[_Step]:
    steps: list[_Step] = []
    at: dict[ast.AST, int] = {}
    for call in view.calls:
        name = last(view.name(call))
        if not name.endswith("Operator") or view.function(call) is not None:
            continue
        node = view.arg(call, "python_callable")
        target = definition(repo, view, node) if node is not None else None
        files = touched(repo, target.view, target.function) if target is not None else Touched()
        at[call] = len(steps)
        label = view.string(view.arg(call, "task_id", 0)) or f"{name} at line {call.lineno}"
        steps.append(_Step(label, call.lineno, files=files))
    _link(view, view.tree, steps, at)
    return steps if len(steps) > 1 else []


# --- Argo and CI --------------------------------------------------------------------------------


def _argo(repo: AuditRepository) -> Iterator[Hit]:
    for manifest in repo.kinds("Workflow", "WorkflowTemplate", "CronWorkflow"):
        for _, dag in manifest.node.find("dag"):
            tasks = dag.list_at("tasks")
            if any(t.child("dependencies") or t.child("depends") for t in tasks):
                continue
            for task in tasks:
                name = task.text_at("name")
                other = next((t for t in tasks if _TRAINS.search(t.text_at("name").lower())), None)
                if other is not None and other is not task and _AFTER.search(name.lower()):
                    before = other.text_at("name")
                    why = f"`{name}` does not depend on `{before}`: both start at once."
                    fix = f"Add `depends: {before}`."
                    yield Hit(manifest.path, task.line, why, fix)


def _jobs(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ci_paths:
        jobs = [j for j in repo.jobs if j.path == path and j.system == "github"]
        needs = {j.name: set(j.needs) for j in jobs}
        made: dict[str, str] = {}
        for job in jobs:
            for step in job.steps:
                if step.uses.startswith("actions/upload-artifact"):
                    made.setdefault(_artifact(step.inputs), job.name)
        for job in jobs:
            for step in job.steps:
                if not step.uses.startswith("actions/download-artifact"):
                    continue
                name = _artifact(step.inputs)
                maker = made.get(name)
                if maker and maker != job.name and maker not in _all_needs(needs, job.name):
                    why = (
                        f"`{job.name}` downloads `{name}` and does not need `{maker}`, its source."
                    )
                    yield Hit(path, step.line, why, f"Add `needs: {maker}` to `{job.name}`.")


def _artifact(inputs: Node | None) -> str:
    return inputs.text_at("name") if inputs is not None else ""


def _all_needs(needs: dict[str, set[str]], name: str) -> set[str]:
    seen: set[str] = set()
    stack = [name]
    while stack:
        for other in needs.get(stack.pop(), ()):
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen
