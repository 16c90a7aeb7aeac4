"""Python that `ast` refuses (Python 2, templates, broken text), read line by line."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.python_model import Call, Function, Import, PythonModule

_IMPORT_LINE: Final = re.compile(
    r"^[ \t]{0,40}(?:from[ \t]+([\w.]{1,200})[ \t]+import[ \t]+(.{1,300})|"
    r"import[ \t]+([\w.]{1,200})(?:[ \t]+as[ \t]+(\w{1,80}))?)"
)
_CALL_LINE: Final = re.compile(r"([A-Za-z_][\w.]{0,200})\(")
_DEF_LINE: Final = re.compile(r"^[ \t]{0,80}(?:async[ \t]+)?def[ \t]+(\w{1,120})")
_MAX_LINE: Final = 2_000


def read_lines(path: str, text: str) -> PythonModule:
    """Make the same summary, a poorer one, from single lines."""
    module = PythonModule(path)
    aliases: dict[str, str] = {}
    scope = ""
    for number, full in enumerate(text.split("\n"), 1):
        line = full[:_MAX_LINE].partition("#")[0]
        if not line.strip():
            continue
        if found := _IMPORT_LINE.match(line):
            _import_line(module, found, number, aliases)
            continue
        if found := _DEF_LINE.match(line):
            scope = found.group(1)
            module.functions.append(Function(scope, number, number, (), (), empty=False))
            continue
        for call in _CALL_LINE.finditer(line):
            root, dot, rest = call.group(1).partition(".")
            name = aliases.get(root, root) + dot + rest
            last = name.rpartition(".")[2]
            module.calls.append(Call(name, number, (), {}, scope, swallowed=False, last=last))
    module.roots = frozenset(
        i.module.partition(".")[0] for i in module.imports if not i.module.startswith(".")
    )
    return module


def _import_line(
    module: PythonModule, found: re.Match[str], number: int, aliases: dict[str, str]
) -> None:
    source, names, plain, alias = found.groups()
    if plain:
        module.imports.append(Import(plain, "", number))
        if alias:
            aliases[alias] = plain
        return
    for part in names.strip("() \\").split(","):
        words = part.split()
        if words:
            module.imports.append(Import(source, words[0], number))
            aliases[words[-1]] = f"{source}.{words[0]}"
