"""Step waits for a person

## What it does

Reports `input()`, prompts of Click, Typer and Rich, `getpass`, `breakpoint()` and windows that
block (`plt.show()`, `cv2.imshow`) in scripts that train, prepare data, evaluate or deploy.
Notebooks are left out.

## Why is this bad?

A scheduled job has no keyboard and no screen: it hangs until somebody looks, or fails with
`EOFError`.

## Known problems

A question that is only asked behind a condition on an `interactive`, `yes` or `show` option, or on
`isatty()`, is fine and not reported.  A loop that talks (`while True` around `input()`) is a
program for people and left out, unless it asks for yes or no.

## Example

```python
path = input("Where is the data? ")
```

## Use instead

```python
parser.add_argument("--data", required=True)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._training import words_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last, strings_in

_ASKS: Final = frozenset(
    "input raw_input getpass.getpass click.prompt click.confirm click.pause typer.prompt"
    " typer.confirm rich.prompt.Prompt.ask rich.prompt.Confirm.ask rich.prompt.IntPrompt.ask"
    " questionary.text questionary.select questionary.confirm inquirer.prompt breakpoint"
    " pdb.set_trace ipdb.set_trace".split()
)
_WINDOWS: Final = frozenset(("matplotlib.pyplot.show", "pylab.show", "cv2.imshow"))
_CHAT: Final = re.compile(
    r"chat|(?:^|[/_-])(?:agents?|demo|repl|console)(?=[/_.-]|$)", re.IGNORECASE
)
_YES_NO: Final = re.compile(
    r"\b[yY](?:es)?\s{0,2}[\]/|)]{1,2}\s{0,2}[\[(/]?n|\byes\b.{0,20}\bno\b|overwrite|are you sure|"
    r"\bproceed\b|\bcontinue\b|want to (?:create|delete|replace|remove)|confirm",
    re.IGNORECASE,
)
_ANSWERS: Final = frozenset(("y", "yes", "n", "no", "Y", "N", "Yes", "No", "YES", "NO"))
_SCREENS: Final = frozenset("streamlit gradio tkinter PyQt5 textual pygame langgraph".split())
_OPTIONS: Final = frozenset(("click.option", "typer.Option"))
_HEADLESS: Final = re.compile(
    r"use\(\s*[\"']agg|MPLBACKEND|\.ion\(\)|switch_backend\(", re.IGNORECASE
)
_GUARD: Final = re.compile(
    r"interactive|isatty|show|plot|verbose|debug|display|confirm|yes|force|visual|prompt|notebook"
    r"|headless|view|local",
    re.IGNORECASE,
)


@module_rule(
    "PL14",
    name="interactive-step",
    dimension="model_training",
    severity=HIGH,
    confidence=0.85,
    fix="Take the value as a command-line argument or from the configuration.",
    effort=(0.1, 0.5),
    sources=("google_mlops: level 1, ML pipeline automation",),
    words=(
        "input(",
        "prompt",
        "confirm",
        "getpass",
        ".show(",
        "imshow",
        "breakpoint",
        "set_trace",
        "questionary",
        "click.pause",
        ".ask(",
    ),
)
def interactive_step(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report steps that wait for a person."""
    if view.module.notebook or _is_screen(view):
        return
    headless = bool(_HEADLESS.search(repo.text(view.path)[:200_000]))
    for call in view.calls:
        name = view.name(call)
        if name in _ASKS:
            if not _guarded(view, call) and not (name == "input" and "input" in view.aliases):
                yield _asks(repo, view, call, name)
        elif name in _WINDOWS:
            if not headless and not _guarded(view, call) and not _never_blocks(view, call):
                yield _window(view, call)
        elif name in _OPTIONS and _prompts(view, call):
            yield _option(view, call)


def _is_screen(view: View) -> bool:
    """Tell whether the module is made for a person: a chat, an app of Streamlit or the like."""
    return bool(view.module.roots & _SCREENS) or bool(_CHAT.search(view.path))


def _guarded(view: View, call: ast.Call) -> bool:
    before: ast.AST = call
    decides = _decides(view, call)
    for up in view.above(call):
        if isinstance(up, ast.If) and before is not up.test and _GUARD.search(words_in(up.test)):
            return True
        if isinstance(up, ast.While) and isinstance(up.test, ast.Constant) and not decides:
            return True  # a dialogue, not a step
        before = up
    function = view.function(call)
    return (
        function is not None
        and not decides
        and bool(re.match(r"(?:ask|prompt|chat|repl|interactive)", function.name))
    )


def _decides(view: View, call: ast.Call) -> bool:
    """Tell whether a question asks for yes or no: before something is made or overwritten."""
    if dotted(call.func) not in ("input", "raw_input"):
        return False
    given = call.args[0] if call.args else None
    prompt = view.string(given) or " ".join(
        str(s.value) for s in (list(strings_in(given))[:8] if given is not None else ())
    )
    if _YES_NO.search(prompt[:400]):
        return True
    function = view.function(call)
    if function is None:
        return False
    words = {s.value for s in strings_in(function) if isinstance(s.value, str)}
    return bool(words & _ANSWERS) and not words & {"quit", "exit", "bye", "q"}


def _never_blocks(view: View, call: ast.Call) -> bool:
    return view.literal(view.arg(call, "block")) is False


def _asks(repo: AuditRepository, view: View, call: ast.Call, name: str) -> Hit:
    shown = dotted(call.func)
    fallback = any(
        isinstance(up, ast.If) and isinstance(up.test, ast.UnaryOp) for up in view.above(call)
    )
    debug = name in ("breakpoint", "pdb.set_trace", "ipdb.set_trace")
    what = "stops in the debugger" if debug else "waits for somebody to type"
    return Hit(
        view.path,
        call.lineno,
        f"`{shown}()` {what}, so this step can't run in a pipeline.",
        "Remove it." if debug else "",
        severity=MEDIUM if fallback or repo.is_aside(view.path) else None,
    )


def _window(view: View, call: ast.Call) -> Hit:
    shown = dotted(call.func)
    return Hit(
        view.path,
        call.lineno,
        f"`{shown}()` opens a window and waits until it is closed, or shows nothing on a server.",
        "Write the figure to a file: `plt.savefig(path)`, and log it with the run."
        if shown.endswith(".show")
        else "Write the image with `cv2.imwrite`.",
        severity=MEDIUM,
        confidence=0.75,
    )


def _prompts(view: View, call: ast.Call) -> bool:
    given = view.arg(call, "prompt")
    value = view.literal(given)
    if given is None or value is False or value is None:
        return False
    required = view.literal(view.arg(call, "prompt_required"))
    env = view.arg(call, "envvar")
    return required is not False and env is None


def _option(view: View, call: ast.Call) -> Hit:
    name = view.string(call.args[0]) if call.args else ""
    prompt = view.arg(call, "prompt")
    return Hit(
        view.path,
        prompt.lineno if prompt is not None else call.lineno,
        f"The option `{name}` asks on the keyboard when it is not given (`prompt=`), "
        "so an unattended run without it hangs or aborts.",
        "Replace `prompt=` by `required=True` or a default.",
        severity=LOW if last(view.name(call)) == "Option" and view.arg(call, "default") else MEDIUM,
    )
