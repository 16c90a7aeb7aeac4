"""Notebook or top-level script is the only place of the training

## What it does

Reports notebooks whose cells were run out of order or not run at all, notebooks that are committed
with their outputs, notebooks that hold the only training code of the repository or that papermill
runs, and training scripts whose whole work happens at import, without a function or a main guard.

## Why is this bad?

What a notebook shows may not be what its cells compute when run from top to bottom, stored outputs
hold data and hide changes in reviews, and code outside functions can be neither imported nor
tested.

## Known problems

Notebooks that explore or teach are reported too, with low severity.

## Example

```python
df = pd.read_csv("data.csv")
model = LinearRegression().fit(df[["x"]], df["y"])
joblib.dump(model, "model.joblib")
```

## Use instead

```python
def main() -> None:
    df = pd.read_csv("data.csv")
    ...


if __name__ == "__main__":
    main()
```
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, Severity, rule
from mlops_advisor.tools.audit_workflow.rules._training import words_in
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_SETUP: Final = re.compile(
    r"^(?:warnings\.|logging\.|sys\.path|os\.environ|dotenv\.|load_dotenv|random\.seed|numpy\.random"
    r"\.seed|torch\.manual_seed|matplotlib\.|seaborn\.|pandas\.set_option|os\.getenv|pathlib\.|"
    r"argparse\.|os\.path\.|getLogger|int|str|float|bool|len|print|nltk\.download|structlog\.|"
    r"typing\.|collections\.|frozenset|set|dict|list|tuple|re\.compile|ArgumentParser)"
)
_DATA: Final = re.compile(
    r"read_|load|fetch|download|open|DataLoader|[dD]ataset|train_test_split|\bfit\b|mlflow|wandb"
    r"|connect|query|backward|Session|get_dummies|clf|model"
)
_GAPS: Final = 2  # cells run for each one left: half of them are gone
_FEW: Final = 2  # functions that a script may have and still do its work at import


@rule(
    "TR16",
    name="notebook-as-production",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.85,
    fix="Move the code to functions of a module that the notebook or the pipeline calls.",
    effort=(0.5, 3),
    sources=("pynblint: rules non-linear-execution and non-executed-cells",),
)
def notebook_as_production(repo: AuditRepository) -> Iterator[Hit]:
    """Report notebooks in a state that can't be trusted, and scripts that are like notebooks."""
    yield from _only_notebooks(repo)
    for path in repo.notebooks:
        yield from _state(repo, path)
    for path, call in repo.code.training_scripts.items():
        view = repo.view(path)
        if view is not None and not _is_config(path):
            yield from _top_level(repo, view, call.line)


# --- training only in notebooks ----------------------------------------------------------------


def _only_notebooks(repo: AuditRepository) -> Iterator[Hit]:
    notebooks = {p: c for p, c in repo.code.training_notebooks.items() if not repo.is_aside(p)}
    if not notebooks or repo.code.training_scripts or not _is_product(repo):
        return
    path, call = next(iter(notebooks.items()))
    others = [p for p in notebooks if p != path]
    more = f" (and in {len(others)} more notebooks)" if others else ""
    yield Hit(
        path,
        call.line,
        f"The model is trained in this notebook{more} and in no module or script: what is served "
        "can't be trained again without a person who runs the cells.",
        "Move the training to a script with parameters, and run that from the pipeline.",
        also=tuple((p, notebooks[p].line) for p in others[:3]),
    )


def _is_product(repo: AuditRepository) -> bool:
    """Tell whether something is made of the model: it is served, scored or built."""
    return repo.stages.scoring is not None or bool(repo.dockerfiles) or bool(repo.flows.all)


# --- state of a notebook -----------------------------------------------------------------------


class _Cells(NamedTuple):
    counts: list[int | None]  # of the code cells with source
    outputs: int
    images: int


def _state(repo: AuditRepository, path: str) -> Iterator[Hit]:
    cells = _cells(repo.text(path))
    if cells is None or len(cells.counts) < _FEW:
        return
    severity = _weight(repo, path)
    run = [c for c in cells.counts if c is not None]
    if run:
        yield from _order(path, cells, run, severity)
    if cells.outputs:
        images = f", {cells.images} of them pictures" if cells.images else ""
        yield Hit(
            path,
            0,
            f"{cells.outputs} cells are committed with their outputs{images}: data in the history, "
            "and differences that nobody can read.",
            "Strip outputs before a commit: `nbstripout --install`, or a hook of pre-commit.",
            text="stored outputs",
            severity=LOW,
        )


def _order(path: str, cells: _Cells, run: list[int], severity: Severity) -> Iterator[Hit]:
    missing = len(cells.counts) - len(run)
    jump = next(((a, b) for a, b in pairwise(run) if b <= a), None)
    if jump is not None:
        said = f"execution counts go from {jump[0]} to {jump[1]}"
    elif missing:
        said = f"{missing} of {len(cells.counts)} code cells were not run"
    elif run[-1] - run[0] + 1 >= _GAPS * len(run):
        said = f"execution counts run from {run[0]} to {run[-1]} over {len(run)} cells"
        severity = LOW
    else:
        return
    yield Hit(
        path,
        0,
        f"The cells were not run once from top to bottom: {said}.",
        "Restart the kernel and run all cells before a commit (`jupyter nbconvert --execute`).",
        text="execution order",
        severity=severity,
    )


def _weight(repo: AuditRepository, path: str) -> Severity:
    """Low, unless a pipeline runs the notebook or it is the only one to train."""
    name = path.rsplit("/", 1)[-1]
    if any(name in r.text for r in repo.runs.matching(re.compile(r"papermill|nbconvert"))):
        return MEDIUM
    only = path in repo.code.training_notebooks and not repo.code.training_scripts
    return MEDIUM if only and not repo.is_aside(path) else LOW


def _cells(text: str) -> _Cells | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return None
    cells = data.get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        return None
    counts: list[int | None] = []
    outputs = images = 0
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source")
        if not source or not "".join(s for s in source if isinstance(s, str)).strip():
            continue
        count = cell.get("execution_count")
        counts.append(count if isinstance(count, int) else None)
        stored = cell.get("outputs")
        if isinstance(stored, list) and stored:
            outputs += 1
            images += '"image/' in json.dumps(stored)[:2_000_000]
    return _Cells(counts, outputs, images)


# --- scripts -----------------------------------------------------------------------------------


def _is_config(path: str) -> bool:
    return path.rsplit("/", 1)[-1] in ("setup.py", "conf.py", "__init__.py")


def _top_level(repo: AuditRepository, view: View, line: int) -> Iterator[Hit]:
    if view.main_block is not None:
        return
    fit = next(
        (c for c in view.calls if c.lineno == line and view.at_import(c)),
        None,
    )
    if fit is None:
        return
    working = [s for s in view.tree.body if _works(view, s)]
    first = next((s for s in working if _DATA.search(words_in(s))), next(iter(working), None))
    if first is None:
        return
    yield Hit(
        view.path,
        first.lineno,
        f"Everything down to `{dotted(fit.func)}` (line {fit.lineno}) runs when the module is "
        'imported: there is no function to test and no `if __name__ == "__main__":`.',
        "Put the steps into functions, call them from `main()`, and guard the call.",
        also=((view.path, fit.lineno),),
        severity=LOW if repo.is_aside(view.path) else MEDIUM,
    )


def _works(view: View, statement: ast.stmt) -> bool:
    """Tell whether a statement of a module does work, more than define or set up."""
    if isinstance(
        statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    ):
        return False
    if isinstance(statement, (ast.For, ast.While, ast.With)):
        return True
    calls = [n for n in view.walk(statement) if isinstance(n, ast.Call)]
    names = [view.name(c) for c in calls]
    return any(
        n and not _SETUP.match(n) and last(n) not in ("get", "join", "format") for n in names
    )
