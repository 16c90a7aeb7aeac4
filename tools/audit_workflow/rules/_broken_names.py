"""References in code that do not hold: names, imports, arguments and tuples of functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, cast

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._broken_stages import STAGE_WORDS, broken_stages
from mlops_advisor.tools.audit_workflow.rules._pipeline import Definition, definition, importable
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import closest
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.undefined import Undefined, undefined
from mlops_advisor.tools.evidence.view import View, last, names_read

_SAME_SIGNATURE: Final = frozenset(
    "prefect.task prefect.flow functools.lru_cache functools.cache staticmethod timer torch.no_grad"
    " zenml.step flytekit.task tensorflow.function torch.inference_mode functools.wraps".split()
)
_PREFECT: Final = frozenset(("wait_for", "return_state"))
_SOFT: Final = ("softmax", "sigmoid", "predict_proba", "softmax()", "sigmoid()")
_DEEP_LOADS: Final = (
    "bentoml.pytorch.",
    "bentoml.tensorflow.",
    "bentoml.keras.",
    "bentoml.onnx.",
    "torch.load",
    "torch.jit.load",
    "tensorflow.keras.models.load_model",
    "keras.models.load_model",
)
_SCORING: Final = ("softmax", "sigmoid", "predict_proba", "bentoml", "torch", "keras")
_PYFUNC: Final = frozenset(("predict_proba", "score", "transform", "decision_function", "fit"))


def broken_names(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Find what is broken inside one module, and between it and the modules it imports."""
    yield from _undefined(repo, view)
    yield from _imports(repo, view)
    for call in _own_calls(repo, view):
        target = definition(repo, view, call.func)
        if target is not None:
            yield from _arguments(view, call, target)
            yield from _unpacked(view, call, target)
    text = repo.text(view.path)
    if any(w in text for w in _SCORING):
        yield from _inference(view)
    if "mlflow" in text and "pyfunc" in text:
        yield from _pyfunc(view)
    if any(w in text for w in STAGE_WORDS):
        yield from broken_stages(view)


def _own_calls(repo: AuditRepository, view: View) -> Iterator[ast.Call]:
    """Find calls that may be of functions of this workspace, told from the first name alone."""
    own = _words_of_paths(repo)
    heads = {f.name for f in view.functions}
    heads.add("self")
    heads.update(n for n, full in view.aliases.items() if full.partition(".")[0] in own)
    for call in view.calls:
        node = call.func
        while isinstance(node, ast.Attribute):
            node = node.value
        if isinstance(node, ast.Name) and node.id in heads:
            yield call


@shared
def _words_of_paths(repo: Repository) -> frozenset[str]:
    """First parts that names of modules of the workspace may have; empty for relative ones."""
    words = {w for p in repo.python for w in p.removesuffix(".py").split("/")}
    return frozenset((*words, ""))


# --- names --------------------------------------------------------------------------------------


def _undefined(repo: AuditRepository, view: View) -> Iterator[Hit]:
    book = repo.notebooks.get(view.path)
    text = repo.text(view.path)
    magics = text if book is not None or "MAGIC" in text else ""
    for use in undefined(view, magics, incomplete=bool(book is not None and book.problem)):
        line = _source(repo, view, use.line)
        if "noqa" not in line and "type: ignore" not in line:
            yield _no_name(view, use, notebook=book is not None)


def _source(repo: AuditRepository, view: View, line: int) -> str:
    lines = repo.lines(view.path)
    return lines[line - 1] if not view.module.notebook and 0 < line <= len(lines) else ""


def _no_name(view: View, use: Undefined, *, notebook: bool) -> Hit:
    also = ((view.path, use.bound),) if use.bound else ()
    if use.kind == "never":
        why = f"`{use.name}` is used here and defined nowhere: NameError."
        return Hit(view.path, use.line, why, f"Define or import `{use.name}`.", confidence=0.95)
    if use.kind == "late":
        where = "in a later cell" if notebook else "below"
        why = f"`{use.name}` is used before it has a value; it gets one only {where}."
        fix = f"Move the assignment of `{use.name}` above its first use."
        return Hit(view.path, use.line, why, fix, also=also, severity=MEDIUM, confidence=0.9)
    if use.kind == "branch":
        why = (
            f"`{use.name}` gets a value at line {use.bound} only, below a condition; when that "
            "does not hold, this line ends with NameError."
        )
        fix = f"Give `{use.name}` a value on the other way too, or raise a clear error there."
        return Hit(view.path, use.line, why, fix, also=also, severity=MEDIUM, confidence=0.7)
    why = (
        f"`{use.name}` has no value when the `try` above fails: the error is replaced by NameError."
    )
    fix = "Raise the error again in the `except`, or give the name a value there."
    return Hit(view.path, use.line, why, fix, also=also, severity=MEDIUM, confidence=0.8)


def bound_at_top(repo: AuditRepository, view: View) -> frozenset[str] | None:
    """Names that a module binds at its top level; None when that cannot be told."""
    key = ("bound", view.path)
    if key not in repo.shared:
        repo.shared[key] = _bound(view)
    return cast("frozenset[str] | None", repo.shared[key])


def _bound(view: View) -> frozenset[str] | None:
    if any(a.name == "*" for n in view.of(ast.ImportFrom) for a in n.names):
        return None
    imports: list[ast.Import | ast.ImportFrom] = [*view.of(ast.Import), *view.of(ast.ImportFrom)]
    made: list[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef] = [
        *view.of(ast.FunctionDef),
        *view.of(ast.AsyncFunctionDef),
        *view.of(ast.ClassDef),
    ]
    stored = [n for n in view.of(ast.Name) if isinstance(n.ctx, ast.Store)]
    found = {
        *(
            alias.asname or alias.name.partition(".")[0]
            for node in imports
            if view.function(node) is None
            for alias in node.names
        ),
        *(name.id for name in stored if view.function(name) is None),
        *(name for declared in view.of(ast.Global) for name in declared.names),
        *(node.name for node in made if view.function(node) is None),
    }
    changing = ("globals", "setattr", "exec")
    if "__getattr__" in found or any(
        isinstance(c.func, ast.Name) and c.func.id in changing for c in view.calls
    ):
        return None
    return frozenset(found)


def _imports(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Find names imported from a module of this workspace that it does not have."""
    for node in view.of(ast.ImportFrom):
        if view.inside(node, ast.Try) or not (node.level or node.module):
            continue
        module = "." * node.level + (node.module or "")
        path = repo.code.resolve(module, view.path)
        if not path or path == view.path or not _certain(repo, view, node, path):
            continue
        other = repo.view(path)
        known = (
            bound_at_top(repo, other) if other is not None and not other.module.problem else None
        )
        if known is None:
            continue
        for alias in node.names:
            if alias.name == "*" or alias.name in known or alias.name.startswith("__"):
                continue
            folder = path.rpartition("/")[0]
            if path.endswith("__init__.py") and _sub_module(repo, folder, alias.name):
                continue
            near = closest(alias.name, sorted(known))
            hint = f" Perhaps `{near}` is meant." if near else ""
            why = f"`{path}` defines no `{alias.name}`: ImportError.{hint}"
            yield Hit(view.path, node.lineno, why, also=((path, 1),), confidence=0.9)
            break


def _sub_module(repo: AuditRepository, folder: str, name: str) -> bool:
    base = f"{folder}/{name}" if folder else name
    return any(p.startswith((base + ".", base + "/")) for p in repo.paths)


def _certain(repo: AuditRepository, view: View, node: ast.ImportFrom, path: str) -> bool:
    """Tell whether an import can only mean that module of the workspace."""
    if node.level:
        return True
    module = node.module or ""
    return (
        not view.module.notebook
        and module.partition(".")[0].lower() not in _installed(repo)
        and importable(repo, module, view.path) == path
    )


@shared
def _installed(repo: Repository) -> frozenset[str]:
    """Names of packages that requirement files list, as they would be imported."""
    return frozenset(n.replace("-", "_") for r in repo.requirements for n in r.names)


# --- arguments ----------------------------------------------------------------------------------


def _arguments(view: View, call: ast.Call, target: Definition) -> Iterator[Hit]:
    function = target.function
    if (
        view.spreads(call)
        or not _plain(target)
        or (view.inside(call, ast.Try) and _type_error(view, call))
    ):
        return
    args = function.args
    names = [a.arg for a in (*args.posonlyargs, *args.args)]
    method = isinstance(target.view.parent(function), ast.ClassDef)
    if method:
        static = any(dotted(d) == "staticmethod" for d in function.decorator_list)
        if (
            not isinstance(call.func, ast.Attribute)
            or dotted(call.func).partition(".")[0] != "self"
        ):
            return
        names = names if static else names[1:]
    only = [a.arg for a in args.kwonlyargs]
    given = [k.arg for k in call.keywords if k.arg]
    also = ((target.view.path, function.lineno),)
    where = "" if target.view is view else f" of `{target.view.path}`"
    special = _PREFECT if "prefect" in target.view.module.roots and function.decorator_list else ()
    unknown = [g for g in given if g not in names and g not in only and g not in special]
    if unknown and args.kwarg is None:
        near = closest(unknown[0], [*names, *only])
        hint = f" Perhaps `{near}` is meant." if near else ""
        why = f"`{function.name}`{where} takes no `{unknown[0]}`: TypeError.{hint}"
        yield Hit(view.path, call.lineno, why, also=also, confidence=0.9)
        return
    if len(call.args) > len(names) and args.vararg is None:
        count = f"takes {len(names)} positional arguments, here are {len(call.args)}"
        why = f"`{function.name}`{where} {count}."
        yield Hit(view.path, call.lineno, why, also=also, confidence=0.9)
        return
    needed = names[: len(names) - len(args.defaults)] if len(args.defaults) <= len(names) else []
    missing = [n for n in needed[len(call.args) :] if n not in given]
    missing += [
        a.arg
        for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)
        if d is None and a.arg not in given
    ]
    if missing:
        shown = ", ".join(f"`{m}`" for m in missing[:4])
        why = f"`{function.name}`{where} needs {shown}, which this call does not give: TypeError."
        yield Hit(view.path, call.lineno, why, also=also, confidence=0.9)


def _plain(target: Definition) -> bool:
    """Tell whether a function is called with the arguments it is written with."""
    view, function = target.view, target.function
    stored = view.assigned.get(view.tree, {}).get(function.name)
    known = isinstance(view.parent(function), (ast.Module, ast.ClassDef))
    if target.again or stored or not known:
        return False
    parent = view.parent(function)
    if isinstance(parent, ast.ClassDef) and (
        parent.bases or parent.decorator_list or parent.keywords
    ):
        return False
    return all(view.name(d) in _SAME_SIGNATURE for d in function.decorator_list)


def _type_error(view: View, call: ast.Call) -> bool:
    return any(
        "TypeError" in ast.dump(h.type)
        for t in view.above(call)
        if isinstance(t, ast.Try)
        for h in t.handlers
        if h.type is not None
    )


# --- tuples -------------------------------------------------------------------------------------


def _unpacked(view: View, call: ast.Call, target: Definition) -> Iterator[Hit]:
    parent = view.parent(call)
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1 or not _plain(target):
        return
    names = parent.targets[0]
    if not isinstance(names, (ast.Tuple, ast.List)) or any(
        isinstance(e, ast.Starred) for e in names.elts
    ):
        return
    returned = _returned(target)
    if returned is None:
        return
    lengths = {len(r.elts) for r in returned}
    count = len(names.elts)
    also = ((target.view.path, returned[0].lineno),)
    function = target.function.name
    if count not in lengths:
        number = min(lengths)
        why = f"`{function}` returns {number} values, here are {count} names: ValueError."
        yield Hit(view.path, call.lineno, why, also=also, confidence=0.9)
        return
    if len(returned) == 1:
        swapped = _swapped(names, returned[0])
        if swapped:
            why = f"`{function}` returns {swapped[0]}, here they are taken as {swapped[1]}."
            yield Hit(
                view.path, call.lineno, why, "Use the same order.", also=also, confidence=0.85
            )


def _returned(target: Definition) -> list[ast.Tuple] | None:
    """Tuples that a function returns, when it returns nothing else."""
    view, function = target.view, target.function
    found: list[ast.Tuple] = []
    if any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in view.walk(function)):
        return None
    for node in view.below(function, ast.Return):
        if view.function(node) is not function:
            continue
        if not isinstance(node.value, ast.Tuple) or any(
            isinstance(e, ast.Starred) for e in node.value.elts
        ):
            return None
        found.append(node.value)
    return found or None


def _swapped(names: ast.Tuple | ast.List, returned: ast.Tuple) -> tuple[str, str] | None:
    """Orders of the same names that differ, as texts."""
    left = [e.id if isinstance(e, ast.Name) else "" for e in names.elts]
    right = [e.id if isinstance(e, ast.Name) else "" for e in returned.elts]
    if left == right or "" in left or len(set(left)) != len(left) or set(left) != set(right):
        return None
    return f"`{', '.join(right)}`", f"`{', '.join(left)}`"


# --- calls of models ----------------------------------------------------------------------------


def _inference(view: View) -> Iterator[Hit]:
    done: set[ast.AST | None] = set()
    for node in view.of(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            continue
        right = node.comparators[0]
        number = right.value if isinstance(right, ast.Constant) else None
        text = isinstance(number, str)
        if not (isinstance(number, float) or text) or isinstance(number, bool):
            continue
        source = _scores(view, node.left)
        if source and view.function(node) not in done:
            done.add(view.function(node))
            what = "a text" if text else str(number)
            why = (
                f"`{ast.unparse(node.left)[:60]}` holds scores of `{source}`: one is never equal "
                f"to {what}, so this selects nothing."
            )
            fix = "Take the class with the highest score, `argmax`, or compare with a threshold."
            yield Hit(view.path, node.lineno, why, fix, confidence=0.8)


def _pyfunc(view: View) -> Iterator[Hit]:
    for call in view.calls:
        name = view.name(call)
        if name.startswith("mlflow.pyfunc.load_model().") and last(name) in _PYFUNC:
            why = f"A model loaded by `mlflow.pyfunc` has no `{last(name)}`: AttributeError."
            fix = "Load it by its flavour, such as `mlflow.sklearn.load_model`."
            yield Hit(view.path, call.lineno, why, fix, confidence=0.9)


def _scores(view: View, node: ast.expr) -> str:
    """Name of the call that made scores, when an expression holds the scores of a deep model."""
    names = names_read(node)
    if isinstance(node, ast.Call) and last(view.name(node)) not in (*_SOFT, "predict", "run"):
        return ""
    made = [node] if isinstance(node, ast.Call) else []
    if isinstance(node, (ast.Name, ast.Subscript)) and len(names) == 1:
        made += [v for v in view.values(next(iter(names)), node) if isinstance(v, ast.Call)][-1:]
    for call in made:
        name = view.name(call)
        if last(name) in ("softmax", "sigmoid", "predict_proba"):
            return last(name)
        if name.startswith(_DEEP_LOADS) and last(name) in ("run", "predict", "__call__"):
            return name.replace("()", "")[:60]
    return ""
