"""Contracts by name that do not hold: configuration keys, parameters, answers of services."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline import views_holding
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import (
    closest,
    folder_of,
    held,
    join,
    may_appear,
    plain,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_LOADS: Final = frozenset(
    "yaml.safe_load yaml.load yaml.full_load json.load toml.load tomllib.load tomli.load"
    " omegaconf.OmegaConf.load ruamel.yaml.YAML().load".split()
)
_SUFFIXES: Final = (".yaml", ".yml", ".json", ".toml")
_HOLE: Final = re.compile(r"(?<!\$)\{(\w{1,80})\}")
_DVC_HOLE: Final = re.compile(r"\$\{([\w.]{1,120})(?:\[\d+\])?\}")
_CHANGES: Final = frozenset(("update", "setdefault", "merge", "pop", "merge_with"))


def broken_contract(repo: AuditRepository) -> Iterator[Hit]:
    """Find keys, parameters and fields that the other side does not have."""
    for view in views_holding(repo, "yaml", "json.load", "toml", "OmegaConf"):
        yield from _configuration(repo, view)
    yield from _projects(repo)
    yield from _stages(repo)
    yield from _clients(repo)


# --- configuration ------------------------------------------------------------------------------


def _configuration(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Find keys that are read from a configuration file and are not in it."""
    changed = _changed(view)
    done: set[tuple[str, str]] = set()
    for node in view.of(ast.Subscript):
        if not isinstance(node.ctx, ast.Load) or isinstance(view.parent(node), ast.Subscript):
            continue
        if view.inside(node, ast.Try):
            continue
        keys, base = _chain(node)
        file = _file_of(repo, view, base) if keys else None
        if file is None or (isinstance(base, ast.Name) and base.id in changed):
            continue
        path, tree, prefix = file
        missing = _missing(tree, [*prefix, *keys])
        if missing and (path, missing[0]) not in done:
            done.add((path, missing[0]))
            near = closest(missing[0].rpartition(".")[2], missing[1])
            hint = f" It has `{near}`." if near else ""
            why = f"`{path}` has no key `{missing[0]}`: KeyError.{hint}"
            yield Hit(
                view.path, node.lineno, why, also=((path, 1),), severity=HIGH, confidence=0.85
            )


def _chain(node: ast.expr) -> tuple[list[str], ast.expr]:
    """Constant keys of `config["a"]["b"]`, and the expression they are taken from."""
    keys: list[str] = []
    while isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str):
            keys.insert(0, key)
        else:
            keys.clear()
        node = node.value
    return keys, node


def _changed(view: View) -> frozenset[str]:
    """Variables that are changed after they were made."""
    found: set[str] = set()
    for node in view.of(ast.Subscript):
        if isinstance(node.ctx, (ast.Store, ast.Del)):
            found.add(dotted(node.value))
    for call in view.calls:
        name = dotted(call)
        if last(name).removesuffix("()") in _CHANGES:
            found.add(name.rpartition(".")[0])
    for declared in view.of(ast.Global):
        found.update(declared.names)
    return frozenset(found)


def _file_of(
    repo: AuditRepository, view: View, base: ast.expr
) -> tuple[str, Node, list[str]] | None:
    """File, tree and keys behind an expression that holds a configuration."""
    prefix: list[str] = []
    for _ in range(4):
        if isinstance(base, ast.Name):
            values = view.values(base.id, base)
            if len(values) != 1:
                return None
            base = values[0]
        keys, inner = _chain(base)
        prefix = [*keys, *prefix]
        if inner is base and isinstance(base, ast.Call):
            break
        base = inner
    if not isinstance(base, ast.Call) or view.name(base) not in _LOADS or not base.args:
        return None
    path = _opened(repo, view, base.args[0])
    if not path or not path.endswith(_SUFFIXES):
        return None
    tree = (
        repo.tree(path)
        if path.endswith((".json", ".toml"))
        else next(iter(repo.yaml(path).docs), None)
    )
    several = not path.endswith((".json", ".toml")) and len(repo.yaml(path).docs) != 1
    return (
        (path, tree, prefix) if tree is not None and tree.map is not None and not several else None
    )


def _opened(repo: AuditRepository, view: View, node: ast.expr) -> str:
    """Path of the file that a handle or a name stands for, when only one can be meant."""
    settled = view.settled(node)
    if isinstance(settled, ast.Call) and last(view.name(settled)) in ("open", "read_text", "read"):
        inner = settled.args[0] if settled.args else None
        if inner is None and isinstance(settled.func, ast.Attribute):
            inner = settled.func.value
        text = view.string(inner)
    else:
        text = view.string(settled)
    text = text.replace("\\", "/").replace("{}", "").removeprefix("./").lstrip("/")
    text = re.sub(r"^(?:\.\./)+", "", text)
    name = text.rpartition("/")[2]
    if not name or "." not in name or not plain(text):
        return ""
    fits = [p for p in repo.named(name.lower()) if p == text or p.endswith("/" + text)]
    return fits[0] if len(fits) == 1 else ""


def _missing(tree: Node, keys: list[str]) -> tuple[str, list[str]] | None:
    """First key that a tree does not hold, with those that stand in its place."""
    here: Node | None = tree
    for i, key in enumerate(keys):
        if here is None or here.map is None:
            return None
        below = here.child(key)
        if below is None:
            return ".".join(keys[: i + 1]), sorted(here.map)
        here = below
    return None


# --- MLflow projects ----------------------------------------------------------------------------


def _projects(repo: AuditRepository) -> Iterator[Hit]:
    points: dict[str, dict[str, Node]] = {}
    for path in repo.named("mlproject"):
        for doc in repo.yaml(path).docs:
            points[path] = dict(doc.pairs("entry_points"))
            yield from _environment(repo, path, doc)
            for name, point in doc.pairs("entry_points"):
                yield from _placeholders(path, name, point)
    if points:
        for hit in repo.code.calls("mlflow.run", "mlflow.projects.run"):
            view = repo.view(hit.module.path)
            for call in view.calls if view is not None else ():
                if (
                    view is not None
                    and call.lineno == hit.call.line
                    and view.name(call) == hit.call.name
                ):
                    yield from _started(view, call, points)


def _environment(repo: AuditRepository, path: str, doc: Node) -> Iterator[Hit]:
    for key in ("conda_env", "python_env"):
        node = doc.child(key)
        if node is not None and plain(node.text):
            target = join(folder_of(path), node.text)
            if not held(repo, target) and not may_appear(repo, target):
                yield Hit(path, node.line, f"There is no `{target}`.", severity=HIGH)


def _placeholders(path: str, name: str, point: Node) -> Iterator[Hit]:
    known = {k for k, _ in point.pairs("parameters")}
    command = point.child("command")
    for hole in dict.fromkeys(_HOLE.findall(command.text)) if command is not None else ():
        if command is not None and hole not in known:
            why = f"The command of `{name}` uses `{{{hole}}}`, which is no parameter of it."
            yield Hit(path, command.line, why, f"Add `{hole}` below `parameters`.", severity=HIGH)


def _started(view: View, call: ast.Call, points: dict[str, dict[str, Node]]) -> Iterator[Hit]:
    target = view.string(view.arg(call, "uri", 0)).replace("{}", "").strip("/.")
    fits = [
        p
        for p in points
        if not target or folder_of(p) == target or folder_of(p).endswith("/" + target)
    ]
    if (target and not fits) or len(fits) != 1:
        return
    name = view.string(view.arg(call, "entry_point", 1)) or "main"
    path, entries = fits[0], points[fits[0]]
    if name not in entries:
        if not name.endswith((".py", ".sh")) and "{}" not in name:
            shown = ", ".join(f"`{e}`" for e in sorted(entries))
            why = f"`{path}` has no entry point `{name}`; it has {shown}."
            yield Hit(view.path, call.lineno, why, also=((path, 1),), severity=HIGH, confidence=0.9)
        return
    node = view.settled(view.arg(call, "parameters", 3))
    if not isinstance(node, ast.Dict) or any(k is None for k in node.keys):
        return
    given = [k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
    parameters = dict(entries[name].pairs("parameters"))
    lacking = [
        k
        for k, p in parameters.items()
        if k not in given
        and p.child("default") is None
        and p.text in ("string", "float", "path", "uri", "")
        and not (p.map and "default" in p.map)
    ]
    unknown = [g for g in given if g not in parameters]
    if unknown:
        near = closest(unknown[0], sorted(parameters))
        hint = f" It has `{near}`." if near else ""
        why = f"`{name}` of `{path}` has no parameter `{unknown[0]}`.{hint}"
        yield Hit(view.path, node.lineno, why, also=((path, 1),), severity=HIGH)
    elif lacking:
        why = f"`{name}` of `{path}` needs the parameter `{lacking[0]}`, which is not given."
        yield Hit(view.path, node.lineno, why, also=((path, 1),), severity=HIGH)


# --- DVC ----------------------------------------------------------------------------------------


def _stages(repo: AuditRepository) -> Iterator[Hit]:
    for file in repo.yaml_files(named=("dvc.yaml",)):
        base = folder_of(file.path)
        for doc in file.docs:
            outs = {
                join(join(base, s.text_at("wdir")), o)
                for _, stage in doc.pairs("stages")
                for s in (stage.child("do") or stage,)
                for key in ("outs", "metrics", "plots")
                for o in _names(s, key)
            }
            for name, stage in doc.pairs("stages"):
                body = stage.child("do") or stage
                if stage.child("foreach") is None and stage.child("matrix") is None:
                    yield from _parameters(repo, file.path, base, doc, body)
                yield from _inputs(repo, file.path, name, body, outs)


def _names(stage: Node, key: str) -> list[str]:
    return [n.text or next(iter(n.map or {}), "") for n in stage.list_at(key)]


def _parameters(
    repo: AuditRepository, path: str, base: str, doc: Node, stage: Node
) -> Iterator[Hit]:
    if doc.child("vars") is not None or stage.child("vars") is not None:
        return
    file = join(base, "params.yaml")
    tree = next(iter(repo.yaml(file).docs), None) if file in repo.files else None
    if tree is None or stage.child("wdir") is not None:
        return
    wanted = [(n.text, n.line) for n in stage.list_at("params") if n.text and n.map is None]
    for node in stage.list_at("cmd"):
        wanted += [(m, node.line) for m in _DVC_HOLE.findall(node.text) if not m.isupper()]
    for key, line in wanted:
        missing = _missing(tree, key.split(".")) if tree.child(key) is None else None
        if missing:
            near = closest(missing[0].rpartition(".")[2], missing[1])
            hint = f" It has `{near}`." if near else ""
            yield Hit(path, line, f"`{file}` has no parameter `{key}`.{hint}", severity=HIGH)


def _inputs(
    repo: AuditRepository, path: str, name: str, stage: Node, outs: set[str]
) -> Iterator[Hit]:
    folder = join(folder_of(path), stage.text_at("wdir"))
    for node in stage.list_at("deps"):
        text = node.text
        if not plain(text) or not text:
            continue
        target = join(folder, text)
        made = any(
            target == o or target.startswith(o + "/") or o.startswith(target + "/") for o in outs
        )
        if not made and target != "!" and not held(repo, target) and not may_appear(repo, target):
            code = target.endswith((".py", ".sh", ".yaml", ".json"))
            why = f"`{name}` depends on `{target}`, which is not here and no stage makes."
            yield Hit(path, node.line, why, severity=HIGH if code else MEDIUM, confidence=0.8)


# --- services -----------------------------------------------------------------------------------


def _clients(repo: AuditRepository) -> Iterator[Hit]:
    """Find keys that clients read from the answer of a service which does not send them."""
    routes = _routes(repo)
    if not routes:
        return
    for view in views_holding(repo, "requests.", "httpx.", tests=True):
        for call in view.calls:
            name = view.name(call)
            if not name.startswith(("requests.", "httpx.")) or last(name) not in (
                "post",
                "get",
                "put",
            ):
                continue
            url = view.string(view.arg(call, "url", 0))
            route = (
                "/" + url.partition("://")[2].partition("/")[2].strip("/") if "://" in url else ""
            )
            answer = routes.get((last(name), route.rstrip("/") or "/"))
            if answer is not None and answer[0] and len(route) > 1:
                yield from _read(view, call, answer)


_Answer = tuple[frozenset[str], str, int]


def _routes(repo: AuditRepository) -> dict[tuple[str, str], _Answer | None]:
    found: dict[tuple[str, str], _Answer | None] = {}
    for view in views_holding(repo, "fastapi", "flask", "starlette", "litestar"):
        if view.module.roots.isdisjoint(("fastapi", "flask", "starlette", "litestar")):
            continue
        for function in view.functions:
            for decorator in function.decorator_list:
                if not isinstance(decorator, ast.Call) or not decorator.args:
                    continue
                path, kind = view.string(decorator.args[0]), last(view.name(decorator))
                methods = ("post", "get") if kind == "route" else (kind,)
                if not path.startswith("/") or kind not in ("post", "get", "put", "route"):
                    continue
                for method in methods:
                    key = (method, path.rstrip("/") or "/")
                    found[key] = None if key in found else _answer(view, function)
    return found


def _answer(view: View, function: AnyFunction) -> _Answer | None:
    keys: set[str] = set()
    for node in view.below(function, ast.Return):
        if view.function(node) is not function:
            continue
        value = view.settled(node.value)
        if isinstance(value, ast.Tuple) and value.elts:
            value = value.elts[0]
        if isinstance(value, ast.Call) and last(view.name(value)) in ("jsonify", "JSONResponse"):
            inner = value.args[0] if value.args else view.arg(value, "content")
            keys.update(
                k.arg for k in value.keywords if k.arg and k.arg not in ("content", "status_code")
            )
            value = view.settled(inner) if inner is not None else ast.Dict(keys=[], values=[])
        if not isinstance(value, ast.Dict) or any(
            not isinstance(k, ast.Constant) for k in value.keys
        ):
            return None
        keys.update(str(k.value) for k in value.keys if isinstance(k, ast.Constant))
    return (frozenset(keys), view.path, function.lineno) if keys else None


def _read(view: View, call: ast.Call, answer: _Answer) -> Iterator[Hit]:
    keys, path, line = answer
    for node in view.of(ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(key, str) or not isinstance(node.ctx, ast.Load) or key in keys:
            continue
        source = view.settled(node.value)
        if not isinstance(source, ast.Call) or last(view.name(source)) != "json":
            continue
        owner = source.func.value if isinstance(source.func, ast.Attribute) else None
        if owner is call or (owner is not None and view.settled(owner) is call):
            near = closest(key, sorted(keys))
            hint = f" It sends `{near}`." if near else f" It sends {', '.join(sorted(keys))}."
            why = f"The service (`{path}`) answers without `{key}`: KeyError.{hint}"
            yield Hit(
                view.path, node.lineno, why, also=((path, line),), severity=HIGH, confidence=0.85
            )
