"""A command fails and what comes after it goes on

## What it does

Looks for commands whose failure nobody sees: `os.system`, and `subprocess.run` or `call` whose
result is thrown away and that do not say `check=True`; shell scripts that run several steps without
`set -e`; tests whose result is lost (`pytest || true`, `pytest | tee` without `pipefail`,
`continue-on-error`, a test in the middle of a script without `set -e`).

## Why is this bad?

A training step that failed leaves yesterday's model where the next step finds it.  A test that
cannot fail anything is no test.

## Known problems

A script whose commands may fail by intention should say so at the command, with `|| true`.

## Example

```bash
#!/bin/bash
pytest tests > results.txt
python train.py
```

## Use instead

```bash
#!/bin/bash
set -euo pipefail
pytest tests | tee results.txt
python train.py
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import views_holding
from mlops_advisor.tools.evidence.parse.shell import Line, shell_lines
from mlops_advisor.tools.evidence.runs import Run
from mlops_advisor.tools.evidence.view import View, last

_TEST: Final = re.compile(
    r"(?:^|[\s;&|/(\"'])(?:pytest|py\.test|nose2|nosetests|tox|nox|behave|unittest|"
    r"great_expectations\s+checkpoint|make\s+test|npm\s+test)(?=$|[\s\"';&|)])|"
    r"\bpython[\d.]{0,4}\s[^;&|]{0,60}\b(?:test|validate|evaluate)\w{0,30}\.py"
)
_NOT_TEST: Final = re.compile(
    r"\b(?:pip|uv|poetry|conda|apt(?:-get)?)\s+(?:add|install)\b|\becho\b"
)
_PIPE: Final = re.compile(r"(?<!\|)\|(?!\|)&?\s{0,4}(?:tee|cat|head|tail|less|grep|sed|awk)\b")
_LOST: Final = re.compile(
    r"\|\|\s{0,4}(?:true|:|exit\s{1,4}0|echo\b)|;\s{0,4}(?:true|exit\s{1,4}0)\b"
)
_STRICT: Final = re.compile(r"(?:^|[\s;])set\s{1,4}(?:-[a-z]{0,6}e|[^;\n]{0,40}errexit)")
_PIPEFAIL: Final = re.compile(r"\bpipefail\b")
_WORK: Final = re.compile(
    r"(?:^|[\s;&|(])(?:python[\d.]*|pytest|papermill|dvc|mlflow|docker(?:-compose)?|podman|kubectl|"
    r"helm|aws|gcloud|az|gsutil|terraform|bentoml|pyflyte|prefect|airflow|kedro|spark-submit|"
    r"torchrun|ray|make|poetry run|uv run|serverless|sam|bq|psql|kfp|git\s+push|curl|wget|pip|"
    r"conda|npm|tar|unzip|cp|mv|rsync|scp)\s"
)
_CHAIN: Final = re.compile(r"&&\s*$")
_STEP: Final = re.compile(
    r"\b(?:train\w*|fit|evaluat\w*|test\w*|deploy\w*|push|build|repro|serve|apply|register|upload|"
    r"preprocess\w*|predict\w*|pipeline|download|run|install|create|up|sync|update|publish|put|cp)\b"
)
_CHANGES: Final = re.compile(
    r"(?:^|[\s/\"'])(?:create|register|deploy|build|push|upload|apply|publish|delete|rm|install|"
    r"update|upgrade|start|stop|cp|sync|mv|add|commit|tag|submit|put|import|repro|scale|rollout|"
    r"destroy|restart|invoke|pull|load|train\w*|set-\w+|set)(?=$|[\s\"'])|\b(?:create|register|deploy|"
    r"update|put|start|delete)-\w+"
)
_PARSERS: Final = frozenset(("loads", "split", "splitlines", "search", "findall", "match", "int"))
_TWO: Final = 2


@rule(
    "PL08",
    name="shell-out-unchecked",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.85,
    fix="Let the failure of the command stop what runs it.",
    effort=(0.1, 0.25),
    sources=(
        "ruff: PLW1510 subprocess-run-without-check, S605 start-process-with-a-shell",
        "hadolint: DL4006, set SHELL option -o pipefail before RUN with a pipe",
    ),
)
def shell_out_unchecked(repo: AuditRepository) -> Iterator[Hit]:
    """Report commands whose failure stops nothing."""
    for view in views_holding(repo, "os.system", "subprocess"):
        text = repo.text(view.path)
        if ("os.system" in text or "subprocess" in text) and "behave" not in text:
            yield from _python(view)
    for path in repo.ending(".sh", ".bash"):
        yield from _script(repo, path)
    yield from _workflows(repo)
    yield from _lost(repo)


# --- Python -------------------------------------------------------------------------------------


def _python(view: View) -> Iterator[Hit]:
    """Each call that changes something; of those that only ask, one a function."""
    asking: dict[object, list[tuple[ast.Call, str]]] = {}
    for call in view.calls:
        what = _unchecked(view, call)
        if what and _CHANGES.search(_command(view, call)):
            yield _thrown(view, [(call, what)])
        elif what:
            asking.setdefault(view.function(call), []).append((call, what))
    for calls in asking.values():
        yield _thrown(view, calls)


def _thrown(view: View, calls: list[tuple[ast.Call, str]]) -> Hit:
    call, what = calls[0]
    more = "" if len(calls) == 1 else f" So do {len(calls) - 1} more calls here."
    command = _command(view, call)
    shown = f" of `{command[:80]}`" if command else ""
    why = f"`{what}` throws away the exit status{shown}: a failure goes unseen.{more}"
    fix = "Use `subprocess.run([...], check=True)`, which raises when the command fails."
    also = tuple((view.path, c.lineno) for c, _ in calls[1:])
    return Hit(view.path, call.lineno, why, fix, also=also)


def _command(view: View, call: ast.Call) -> str:
    node = call.args[0] if call.args else None
    if isinstance(node, ast.List):
        return " ".join(view.string(e) or "..." for e in node.elts[:20])
    return view.string(node)


def _unchecked(view: View, call: ast.Call) -> str:
    name = view.name(call)
    if name not in ("os.system", "subprocess.run", "subprocess.call"):
        return ""
    if _harmless(_command(view, call)):
        return ""
    check = view.arg(call, "check")
    if check is not None and view.literal(check) is not False:
        return ""
    if view.spreads(call) and name == "subprocess.run":
        return ""
    return "" if _result_used(view, call) else name


def _harmless(command: str) -> bool:
    first = command.strip().partition(" ")[0]
    return first in ("clear", "cls", "ls", "echo", "pwd", "open", "which", "tree", "nvidia-smi")


def _result_used(view: View, call: ast.Call) -> bool:
    parent = view.parent(call)
    if isinstance(parent, ast.Expr):
        return False
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        target = parent.targets[0]
        if isinstance(target, ast.Name):
            return _read_later(view, target.id, call)
    return True


def _read_later(view: View, name: str, call: ast.Call) -> bool:
    """Tell whether the status in a variable is looked at.

    Its output alone counts only when the command asks, and what it says is examined.
    """
    asks = not _CHANGES.search(_command(view, call))
    scope = view.function(call)
    status = view.name(call) != "subprocess.run"
    for node in view.of(ast.Name):
        if (
            node.id != name
            or not isinstance(node.ctx, ast.Load)
            or view.function(node) is not scope
        ):
            continue
        parent = view.parent(node)
        if status or not isinstance(parent, ast.Attribute):
            return True
        if parent.attr in ("returncode", "check_returncode"):
            return True
        if asks and parent.attr in ("stdout", "stderr") and _examined(view, parent):
            return True
    return False


def _examined(view: View, node: ast.AST) -> bool:
    """Tell whether an output is more than shown: searched, parsed, compared."""
    for up in view.above(node):
        if isinstance(up, (ast.Compare, ast.If, ast.Return, ast.BoolOp)):
            return True
        if isinstance(up, ast.Call) and last(view.name(up)) in _PARSERS:
            return True
        if isinstance(up, ast.stmt):
            return isinstance(up, (ast.Assign, ast.For))
    return False


# --- shell scripts ------------------------------------------------------------------------------


def _script(repo: AuditRepository, path: str) -> Iterator[Hit]:
    text = repo.text(path)
    lines = shell_lines(text)
    if _is_strict(text, lines):
        return
    work = [c for c in lines if _WORK.search(c.text[:400]) and not c.idle]
    steps = [c for c in work if _STEP.search(c.text[:400])]
    chained = sum(1 for c in lines if "&&" in c.text) >= len(work) - 1
    kinds = {" ".join(c.text.split()[:2]) for c in work}
    if len(kinds) < _TWO or not steps or chained or _only_functions(text):
        return
    names = "; ".join(c.text[:50] for c in steps[:3])
    why = f"The script has no `set -e` and runs {len(work)} commands, whatever fails: {names}."
    fix = "Write `set -euo pipefail` as the first command."
    yield Hit(path, 1, why, fix, also=tuple((path, c.line) for c in steps[:4]))
    for command in lines[:-1]:
        if _is_test(command.text) and "||" not in command.text and "&&" not in command.text:
            why = "The script has no `set -e`, so the result of this test is lost."
            yield Hit(path, command.line, why, fix, severity=HIGH)


def _only_functions(text: str) -> bool:
    """Tell whether a script is a collection of functions to source, or handles status itself."""
    return "$?" in text or "trap " in text or "PIPESTATUS" in text


def _is_strict(text: str, lines: list[Line]) -> bool:
    head = text[:200].partition("\n")[0]
    if head.startswith("#!") and re.search(r"\s-[a-z]{0,6}e", head):
        return True
    return any(_STRICT.search(c.text[:300]) for c in lines[:30])


def _is_test(text: str) -> bool:
    text = text[:600]
    return bool(_TEST.search(text)) and not _NOT_TEST.search(text)


# --- results of tests that are lost -------------------------------------------------------------


def _workflows(repo: AuditRepository) -> Iterator[Hit]:
    """Find test steps of CI that may fail."""
    for job in repo.jobs:
        for step in job.steps:
            tests = [c for c in step.commands if _is_test(c.text)]
            if not tests or step.disabled or job.disabled or not (step.soft or job.soft):
                continue
            start = step.line if step.soft else job.line
            words = ("continue-on-error", "allow_failure", "continueOnError")
            found = [n for w in words if (n := repo.line_of(job.path, w, start - 1))]
            line = min(found, default=tests[0].line)
            why = f"`{tests[0].text[:80]}` may fail: the job goes on and stays green."
            yield Hit(job.path, line, why, "Take the setting out.", severity=HIGH)


def _lost(repo: AuditRepository) -> Iterator[Hit]:
    runs = (*repo.runs.ci, *repo.runs.make, *repo.runs.shell, *repo.runs.images, *repo.runs.project)
    seen: set[tuple[str, int]] = set()
    for run in (*runs, *repo.runs.pipeline, *repo.runs.cluster):
        if (run.path, run.line) in seen or not _is_test(run.text):
            continue
        how = _how_lost(repo, run)
        if how:
            seen.add((run.path, run.line))
            why = f"The result of this test is lost: {how}."
            yield Hit(run.path, run.line, why, "Let the test fail the step.", severity=HIGH)


def _how_lost(repo: AuditRepository, run: Run) -> str:
    text = run.text[:1_000]
    test = _TEST.search(text)
    after = text[test.end() :] if test else ""
    lost = _LOST.search(after)
    if lost and not re.search(r"exit\s+\$|exit 1", after):
        return f"`{lost.group(0).strip()}` makes it a success"
    if _PIPE.search(after) and not _has_pipefail(repo, run):
        return "without `pipefail` a pipe has the status of its last command"
    body = after.strip()
    if run.source in ("make", "cluster", "docker", "pipeline") and re.search(
        r";\s*(?:cat|echo)\b", body
    ):
        return "the command after `;` decides the status"
    return ""


def _has_pipefail(repo: AuditRepository, run: Run) -> bool:
    text = repo.text(run.path)
    if _PIPEFAIL.search(text):
        return True
    # `shell: bash`, written out, runs with pipefail; the default shell of a step does not.
    return (
        run.source == "ci"
        and re.search(r"^\s{0,20}shell:\s{0,4}bash\s*$", text, re.MULTILINE) is not None
    )
