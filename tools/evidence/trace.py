"""Follows data through a module: what is fitted on what, split, transformed, scored and saved.

    found = trace(repo, view)
    for fit in found.of(Fit):
        for split in found.of(Split):
            if split.order > fit.order and fit.data.rows in rows_of(*split.sources): ...

`trace` runs a small abstract interpreter over the tree of a module: the top level with its
`if __name__` block, then each function that nothing in the module calls, with parameters of which
nothing is known.  Local functions, and those imported from other modules of the repository, are
followed at their calls, so an event may stand in another file (`event.path`).  Of a condition that
is not known both sides are run; `event.excludes(other)` tells that two events stand on different
sides.  Values know what they were made from (`ancestors`, `origins`), which rows they hold
(`rows`, `rows_of`) and what part of a split they are (`role`, `sure`).  See `trace_model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast

from mlops_advisor.tools.evidence.code import ML_ROOTS, is_test_path
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.trace_calls import library
from mlops_advisor.tools.evidence.trace_model import (
    Choice,
    Dated,
    Event,
    Fit,
    Load,
    Predict,
    Read,
    Resample,
    Save,
    Score,
    Seeded,
    Select,
    Shuffle,
    Sort,
    Split,
    Step,
    Trace,
    Transform,
    Value,
    Write,
    ancestors,
    origins,
    rows_of,
)
from mlops_advisor.tools.evidence.trace_run import Machine
from mlops_advisor.tools.evidence.view import View

__all__ = (
    "Choice",
    "Dated",
    "Event",
    "Fit",
    "Load",
    "Predict",
    "Read",
    "Resample",
    "Save",
    "Score",
    "Seeded",
    "Select",
    "Shuffle",
    "Sort",
    "Split",
    "Step",
    "Trace",
    "Transform",
    "Value",
    "Write",
    "ancestors",
    "origins",
    "rows_of",
    "trace",
    "traces",
)

# A module is followed when it holds one of these, ...
_WORDS: Final = (
    "train_test_split", "random_split", "randomSplit", ".fit(", "fit_transform", ".predict(",
    "fit_resample", ".backward(", "cross_val",
)  # fmt: skip
# ... or one of these while it, or what it imports, has to do with data.
_MAYBE: Final = (
    ".predict", ".fit", ".transform(", ".score(", ".split(", ".evaluate", "dump", "save_model",
    "log_model", ".shuffle", "read_", "to_csv", "to_parquet", "load_model", "joblib", ".train(",
    ".sample(",
    "np.random.", "DataLoader", "scaler", "fillna",
)  # fmt: skip
_ROOTS: Final = ML_ROOTS | frozenset(
    "pandas numpy polars datasets joblib dask cudf pyarrow scipy ray modin vaex kedro".split()
)
_PARTS: Final = 2
_MAX_STEPS_ALL: Final = 1_000_000  # of all modules together


class _Modules:
    """Finds what an import of another module of the repository means."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._known: dict[tuple[str, str], tuple[View, str] | None] = {}

    def find(self, dotted: str, origin: str) -> tuple[View, str] | None:
        key = (dotted, origin.rpartition("/")[0])
        if key not in self._known:
            self._known[key] = self._find(dotted, origin)
        return self._known[key]

    def _find(self, dotted: str, origin: str) -> tuple[View, str] | None:
        head = dotted
        for _ in range(3):
            head, dot, _ = head.rpartition(".")
            if not dot:
                return None
            path = self._repo.code.resolve(head or ".", origin)
            if path and path != origin:
                view = self._repo.view(path)
                return None if view is None else (view, dotted[len(head) :].lstrip("."))
            if not head.strip("."):
                return None
        return None


def trace(repo: Repository, view: View) -> Trace:
    """Follow the data of one module.  The result is kept with the repository."""
    key = ("trace", view.path)
    if key not in repo.shared:
        repo.shared[key] = _traced(repo, view)
    return cast("Trace", repo.shared[key])


def _concerned(repo: Repository, path: str) -> bool:
    """Tell whether a module is worth following; asked by many rules, so kept."""
    known = _kept(repo)
    if path not in known:
        known[path] = _is_concerned(repo, path)
    return known[path]


@shared
def _kept(_repo: Repository) -> dict[str, bool]:
    return {}


def _is_concerned(repo: Repository, path: str) -> bool:
    text = repo.text(path)
    if any(w in text for w in _WORDS):
        return True
    if path in _assembling(repo):
        return True
    if not any(w in text for w in _MAYBE):
        return False
    near = (path, *repo.code.edges.get(path, ()))
    return any(repo.python[p].roots & _ROOTS for p in near if p in repo.python)


@shared
def _assembling(repo: Repository) -> frozenset[str]:
    """Modules that put data and models together from functions which they import."""
    code = repo.code
    holding = {p for p in code.product if any(w in repo.text(p) for w in _WORDS)}
    return frozenset(
        path
        for path, edges in code.edges.items()
        if len(edges & holding) >= _PARTS or (edges & holding and path in repo.flows.modules)
    )


def _traced(repo: Repository, view: View) -> Trace:
    if not _concerned(repo, view.path):
        return Trace(view.path)
    spent = cast("int", repo.shared.get("trace steps", 0))
    if spent > _MAX_STEPS_ALL:
        return Trace(view.path, complete=False)
    modules = repo.shared.get("trace modules")
    if modules is None:
        modules = repo.shared["trace modules"] = _Modules(repo)
    machine = Machine(view, cast("_Modules", modules), library)
    machine.run()
    repo.shared["trace steps"] = spent + machine.steps
    return Trace(view.path, tuple(machine.events), not machine.over, machine.labels)


def traces(repo: Repository, *, notebooks: bool = True, tests: bool = False) -> Iterator[Trace]:
    """Traces of all modules that deal with data or models, by path; without tests unless asked."""
    for path in _paths(repo.python, notebooks=notebooks, tests=tests):
        if _concerned(repo, path):
            view = repo.view(path)
            if view is not None:
                yield trace(repo, view)


def _paths(paths: Iterable[str], *, notebooks: bool, tests: bool) -> Iterator[str]:
    for path in paths:
        if (tests or not is_test_path(path)) and (notebooks or not path.endswith(".ipynb")):
            yield path
