"""What scripts take: arguments of argparse, click, typer, fire, hydra, and of `sys.argv`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, cast

from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

ANY: Final = -1  # number of values when it is not fixed

_CLI_WORDS: Final = tuple(
    "argv argparse parse_args click typer fire.Fire hydra absl ArgumentParser docopt plac tyro"
    " simple_parsing cyclopts gflags from_cli sacred LightningCLI optparse invoke getopt clize"
    " defopt kedro app.flags luigi streamlit dagster locust pyrallis confuse ConfigArgParse"
    " configargparse BaseSettings ZConfig traitlets FlowSpec pydantic_settings".split()
)
_HYDRA_FLAGS: Final = frozenset(
    "--multirun -m --config-name -cn --config-path -cp --config-dir -cd --help -h --hydra-help"
    " --version --cfg -c --job --package -p --info -i --run -r --resolve --shell-completion -sc"
    " --experimental-rerun".split()
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `flags` is empty for a positional one; `values` is how many follow a flag."""

    name: str
    flags: tuple[str, ...]
    line: int
    required: bool = False
    values: int = 1
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """What one script, or one of its sub-commands, takes.

    `kind` is argparse, click, typer, fire, hydra, argv or none. An `open` one also takes what is
    not listed.
    """

    path: str
    line: int
    kind: str
    arguments: tuple[Argument, ...] = ()
    commands: dict[str, Interface] = field(default_factory=dict)
    open: bool = False

    def takes(self, flag: str) -> Argument | None:
        """Argument that a flag as given stands for; argparse knows a flag by a clear beginning."""
        exact = next((a for a in self.arguments if flag in a.flags), None)
        if exact is not None or self.kind != "argparse" or not flag.startswith("--"):
            return exact
        begin = [a for a in self.arguments if any(f.startswith(flag) for f in a.flags)]
        return begin[0] if len(begin) == 1 else None

    @property
    def flags(self) -> list[str]:
        """Every flag, in the order of the source."""
        return [f for a in self.arguments for f in a.flags]


# --- what scripts take --------------------------------------------------------------------------


def interface_of(repo: Repository, path: str) -> Interface | None:
    """Find what a script takes; None when that cannot be told."""
    key = ("arguments.interface", path)
    if key not in repo.shared:
        view = repo.view(path) if path in repo.python else None
        repo.shared[key] = _interface(repo, view) if view is not None else None
    return cast("Interface | None", repo.shared[key])


def _interface(repo: Repository, view: View) -> Interface | None:
    text = repo.text(view.path)
    if view.module.notebook:
        return None
    readers = (
        ("ArgumentParser", _argparse),
        ("typer", _typer),
        ("click", _click),
        ("fire", _fire),
        ("hydra", _hydra),
        ("argv", _argv),
    )
    for word, reader in readers:
        if word in text:
            found = reader(view)
            if found is not None:
                return found
    closure = repo.code.closure([view.path])
    if any(w in repo.text(p) for p in closure for w in _CLI_WORDS):
        return None
    return Interface(view.path, 1, "none")


def _argparse(view: View) -> Interface | None:
    makers = [c for c in view.calls if last(view.name(c)) == "ArgumentParser"]
    parsing = [c for c in view.calls if last(view.name(c)) in ("parse_args", "parse_known_args")]
    if not makers or not parsing:
        return None
    open_ = any(last(view.name(c)) == "parse_known_args" for c in parsing) or _leaks(view, makers)
    groups: dict[str, list[Argument]] = {"": []}
    for call in view.calls:
        end = last(view.name(call))
        if end == "add_parser" and (name := view.string(call.args[0]) if call.args else ""):
            groups.setdefault(name, [])
        if end != "add_argument":
            continue
        argument = _argument(view, call)
        if argument is None or view.inside(call, ast.For, ast.While, ast.If):
            open_ = True
        if argument is not None:
            several = len(makers) > 1
            argument = replace(argument, required=argument.required and not several)
            groups.setdefault(_command_of(view, call), []).append(argument)
    main = groups.pop("")
    path, line = view.path, makers[0].lineno
    commands = {
        n: Interface(path, line, "argparse", tuple(main + own), open=open_)
        for n, own in groups.items()
    }
    return Interface(path, line, "argparse", tuple(main), commands, open_)


def _leaks(view: View, makers: list[ast.Call]) -> bool:
    """Tell whether a parser is filled elsewhere too."""
    if any(
        k.arg in ("parents", "fromfile_prefix_chars", "prefix_chars")
        for m in makers
        for k in m.keywords
    ):
        return True
    names = set()
    for maker in makers:
        parent = view.parent(maker)
        if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            names.add(parent.targets[0].id)
        elif not isinstance(parent, (ast.Attribute, ast.Return)):
            return True
    local = {f.name for f in view.functions}
    for call in view.calls:
        given = [*call.args, *(k.value for k in call.keywords)]
        own = isinstance(call.func, ast.Name) and call.func.id in local
        if not own and any(isinstance(a, ast.Name) and a.id in names for a in given):
            return True
    return any(
        last(view.name(c)) in ("add_cli_args", "add_argparse_args", "register") for c in view.calls
    )


def _argument(view: View, call: ast.Call) -> Argument | None:
    names = [view.literal(a) for a in call.args]
    if view.spreads(call) or not names or not all(isinstance(n, str) and n for n in names):
        return None
    flags = tuple(n for n in names if n.startswith("-"))
    action = view.literal(view.arg(call, "action"))
    nargs = view.literal(view.arg(call, "nargs"))
    if view.arg(call, "action") is not None and not isinstance(action, str):
        if last(view.name(view.arg(call, "action"))) != "BooleanOptionalAction":
            return None
        flags = (*flags, *(f"--no-{f[2:]}" for f in flags if f.startswith("--")))
        action = "store_true"
    if view.arg(call, "nargs") is not None and (nargs is None or nargs in ("...", "A...")):
        return None
    switch = isinstance(action, str) and action in (
        "store_true", "store_false", "store_const", "count", "help", "version", "append_const",
    )  # fmt: skip
    values = 0 if switch else nargs if isinstance(nargs, int) else ANY if nargs else 1
    required = view.literal(view.arg(call, "required")) is True
    if not flags:
        required = nargs not in ("?", "*") and view.arg(call, "default") is None
    choices = view.literal(view.arg(call, "choices"))
    fixed = isinstance(choices, list) and all(isinstance(c, (str, int)) for c in choices)
    dest = view.literal(view.arg(call, "dest"))
    long = next((f for f in flags if f.startswith("--")), names[0])
    name = dest if isinstance(dest, str) else long.lstrip("-")
    return Argument(
        name, flags, call.lineno, required, values, tuple(f"{c}" for c in choices) if fixed else ()
    )


def _command_of(view: View, call: ast.Call) -> str:
    """Name of the sub-command whose parser gets an argument; empty for the main one."""
    node = call.func.value if isinstance(call.func, ast.Attribute) else None
    for _ in range(5):
        if isinstance(node, ast.Name):
            values = [v for v in view.values(node.id, call) if v.lineno <= call.lineno]
            node = values[-1] if values else None
        if not isinstance(node, ast.Call):
            return ""
        if last(view.name(node)) == "add_parser":
            return view.string(node.args[0]) if node.args else ""
        node = node.func.value if isinstance(node.func, ast.Attribute) else None
    return ""


# --- click, typer, fire, hydra, argv ------------------------------------------------------------


def _click(view: View) -> Interface | None:
    commands: dict[str, Interface] = {}
    grouped = False
    for function in view.functions:
        made = [d for d in function.decorator_list if last(view.name(d)) in ("command", "group")]
        if not made or (
            not view.name(made[0]).startswith("click") and not _of_group(view, made[0])
        ):
            continue
        if last(view.name(made[0])) == "group":
            grouped = True
            continue
        grouped = grouped or not view.name(made[0]).startswith("click.command")
        call = made[0] if isinstance(made[0], ast.Call) else None
        given = view.string(view.arg(call, "name", 0)) if call is not None else ""
        name = given or function.name.replace("_", "-")
        commands[name] = _clicked(view, function, call)
    if not commands:
        return None
    if grouped:
        line = min(c.line for c in commands.values())
        return Interface(view.path, line, "click", (), commands)
    return next(iter(commands.values())) if len(commands) == 1 else None


def _of_group(view: View, decorator: ast.expr) -> bool:
    name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
    owner = name.rpartition(".")[0]
    return any(
        f.name == owner and any(last(view.name(d)) == "group" for d in f.decorator_list)
        for f in view.functions
    )


def _clicked(view: View, function: AnyFunction, made: ast.Call | None) -> Interface:
    arguments: list[Argument] = []
    open_ = made is not None and any(k.arg in ("context_settings", "cls") for k in made.keywords)
    for decorator in function.decorator_list:
        name = view.name(decorator)
        if not isinstance(decorator, ast.Call) or not name.startswith("click."):
            open_ = open_ or (
                not name.startswith(("click.", "functools.")) and decorator is not made
            )
            continue
        if last(name) not in ("option", "argument"):
            continue
        names = [view.literal(a) for a in decorator.args]
        if not names or not all(isinstance(n, str) for n in names) or view.spreads(decorator):
            open_ = True
            continue
        flags = tuple(p for n in names if n.startswith("-") for p in n.replace(" ", "").split("/"))
        has_default = view.arg(decorator, "default") is not None
        required = view.literal(view.arg(decorator, "required"))
        switch = view.literal(view.arg(decorator, "is_flag")) is True or any(
            "/" in n for n in names
        )
        counted = view.literal(view.arg(decorator, "count")) is True
        optional = has_default or view.arg(decorator, "nargs") is not None
        wanted = required is True or (not flags and required is not False and not optional)
        prompt = view.arg(decorator, "prompt") is not None
        plain = (flags[0] if flags else names[0]).lstrip("-")
        arguments.append(
            Argument(
                plain, flags, decorator.lineno, wanted and not prompt, 0 if switch or counted else 1
            )
        )
    return Interface(view.path, function.lineno, "click", tuple(arguments), open=open_)


def _typer(view: View) -> Interface | None:
    ends = {last(view.name(c)) for c in view.calls}
    ends.update(last(view.name(d)) for f in view.functions for d in f.decorator_list)
    if "typer" not in view.module.roots or ends & {"add_typer", "callback"}:
        return None
    for call in view.calls:
        if view.name(call) == "typer.run" and call.args and isinstance(call.args[0], ast.Name):
            wanted = call.args[0].id
            function = next((f for f in view.functions if f.name == wanted), None)
            return _typed(view, function) if function is not None else None
    commands: dict[str, Interface] = {}
    for function in view.functions:
        for decorator in function.decorator_list:
            made = view.name(decorator)
            if made.startswith("typer.Typer()") and last(made) == "command":
                call_ = decorator if isinstance(decorator, ast.Call) else None
                given = view.string(view.arg(call_, "name", 0)) if call_ is not None else ""
                commands[given or function.name.replace("_", "-")] = _typed(view, function)
    if len(commands) == 1:
        return next(iter(commands.values()))
    return Interface(view.path, 1, "typer", (), commands) if commands else None


def _typed(view: View, function: AnyFunction) -> Interface:
    args = function.args
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults))
    defaults += list(args.defaults)
    pairs = [
        *zip(plain, defaults, strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ]
    found = [_typer_argument(view, arg, default) for arg, default in pairs]
    known = tuple(a for a in found if a is not None)
    open_ = len(known) < len(found) or args.kwarg is not None
    return Interface(view.path, function.lineno, "typer", known, open=open_)


def _typer_argument(view: View, arg: ast.arg, default: ast.expr | None) -> Argument | None:
    label, note = arg.arg.replace("_", "-"), arg.annotation
    made = default if isinstance(default, ast.Call) else None
    annotated = isinstance(note, ast.Subscript) and last(dotted(note.value)) == "Annotated"
    has_default = default is not None
    if isinstance(note, ast.Subscript) and annotated and isinstance(note.slice, ast.Tuple):
        made = next((e for e in note.slice.elts[1:] if isinstance(e, ast.Call)), None)
        note = note.slice.elts[0]
    kind = last(view.name(made)) if made is not None else ""
    if note is not None and last(dotted(note)) == "Context":
        return Argument(label, (), arg.lineno, values=0)
    if made is not None and kind not in ("Option", "Argument"):
        return None
    names = [view.literal(a) for a in made.args] if made is not None else []
    given = tuple(
        p for n in names if isinstance(n, str) and n.startswith("-") for p in n.split("/")
    )
    if made is not None and not annotated:
        first = made.args[0] if made.args else view.arg(made, "default")
        has_default = first is not None and not (
            isinstance(first, ast.Constant) and first.value is Ellipsis
        )
    switch = isinstance(note, ast.Name) and note.id == "bool"
    if kind == "Argument" or (not kind and not has_default):
        return Argument(label, (), arg.lineno, not has_default)
    flags = given or ((f"--{label}", f"--no-{label}") if switch else (f"--{label}",))
    return Argument(label, flags, arg.lineno, not has_default, 0 if switch else 1)


def _fire(view: View) -> Interface | None:
    for call in view.calls:
        if view.name(call) in ("fire.Fire", "fire.core.Fire"):
            node = call.args[0] if call.args else None
            function = next(
                (f for f in view.functions if isinstance(node, ast.Name) and f.name == node.id),
                None,
            )
            if function is None or view.inside(function, ast.ClassDef):
                return Interface(view.path, call.lineno, "fire", open=True)
            args = function.args
            names = [*args.posonlyargs, *args.args, *args.kwonlyargs]
            known = tuple(
                Argument(
                    a.arg, (f"--{a.arg}", f"--{a.arg.replace('_', '-')}"), a.lineno, values=ANY
                )
                for a in names
            )
            open_ = args.kwarg is not None or args.vararg is not None
            return Interface(view.path, call.lineno, "fire", known, open=open_)
    return None


def _hydra(view: View) -> Interface | None:
    for function in view.functions:
        for decorator in function.decorator_list:
            if view.name(decorator) == "hydra.main":
                known = tuple(
                    Argument(f.strip("-"), (f,), decorator.lineno) for f in sorted(_HYDRA_FLAGS)
                )
                return Interface(view.path, decorator.lineno, "hydra", known)
    return None


def _argv(view: View) -> Interface | None:
    """Positions of `sys.argv` that a script reads without asking how many there are."""
    if any(view.name(c) in ("getopt.getopt", "absl.app.run") for c in view.calls):
        return None
    found: list[Argument] = []
    counted = any(
        isinstance(c.func, ast.Name)
        and c.func.id == "len"
        and c.args
        and view.name(c.args[0]) == "sys.argv"
        for c in view.calls
    )
    for node in view.of(ast.Subscript):
        if view.name(node.value) == "sys.argv":
            index = view.literal(node.slice)
            if isinstance(index, int) and 0 < index < 20:  # noqa: PLR2004
                guarded = counted or view.inside(node, ast.If, ast.Try, ast.IfExp)
                found.append(Argument(f"argv[{index}]", (), node.lineno, not guarded))
            else:
                return None
    if not found:
        return None
    names = {a.name: a for a in found}
    return Interface(view.path, found[0].line, "argv", tuple(names.values()), open=True)


def reads_environment(view: View) -> Iterator[tuple[str, int, bool]]:
    """Environment variables a module reads: name, line, and whether it cannot do without."""
    for node in view.of(ast.Subscript):
        if view.name(node.value) == "os.environ" and isinstance(node.ctx, ast.Load):
            name = view.literal(node.slice)
            if isinstance(name, str):
                yield name, node.lineno, True
    for call in view.calls:
        if view.name(call) in ("os.getenv", "os.environ.get") and call.args:
            name = view.literal(call.args[0])
            if isinstance(name, str):
                yield name, call.lineno, False
