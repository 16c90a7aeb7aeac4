"""Monitoring that does not fit the model

## What it does

Compares the set-up of drift monitoring with the model beside it.  Reported are: columns that
neither training code nor configuration nor the header of a data file knows (a set-up copied from a
tutorial); a reference file that is not in the repository and that nothing writes; a window of so
few rows that no test can tell drift from noise; a decision that rests on a library's default limit
or on one round limit for all features.

## Why is this bad?

A monitor of other columns fails or watches nothing.  A window of ten rows alarms at random, and so
the alarm is turned off.

## Known problems

Columns that code computes by name at run time cannot be compared; such set-ups are left alone.
Whether a limit was tuned is a guess: those findings are candidates.

## Example

```python
mapping = ColumnMapping(numerical_features=["temp", "humidity", "windspeed"])  # bike sharing
```

## Use instead

```python
from training.features import NUMERIC

mapping = ColumnMapping(numerical_features=NUMERIC)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _monitoring
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import View, last

_LISTS: Final = ("numerical_features", "categorical_features", "num_features", "cat_features",
                 "numerical_columns", "categorical_columns", "feature_columns", "features",
                 "columns")  # fmt: skip
_WINDOW: Final = re.compile(
    r"(?i)^(?:\w{1,30}_)?(?:window(?:_size)?|min_(?:samples|rows|reference_size)|n_samples|"
    r"sample_size|chunk_size|reference_size|batch_window)$"
)
_SMALL: Final = 30
_MIN_NAMES: Final = 3
_LIMIT: Final = re.compile(
    r"(?i)^(?:\w{1,30}_)?(?:drift|psi|stattest)\w{0,20}threshold\w{0,10}$|^drift_share$|^p_?val(?:ue)?_threshold$"
)
_LIMIT_ARGS: Final = ("drift_share", "stattest_threshold", "num_stattest_threshold",
                      "cat_stattest_threshold", "threshold")  # fmt: skip
_DEFAULTS: Final = (0.05, 0.1, 0.2, 0.25, 0.3, 0.5)
_PRESETS: Final = ("DataDriftPreset", "DataDriftTable", "DatasetDriftMetric",
    "TestShareOfDriftedColumns",
                   "DataDriftTestPreset")  # fmt: skip
_DATA: Final = (".csv", ".parquet", ".feather", ".pkl", ".json", ".jsonl", ".xlsx")
_READS: Final = ("read_csv", "read_parquet", "read_feather", "read_pickle", "read_json",
    "read_excel",
                 "read_table")  # fmt: skip
_TUTORIAL_WORDS: Final = frozenset(
    ("target", "prediction", "predictions", "label", "id", "datetime", "timestamp")
)


@rule(
    "MO04",
    name="monitoring-config-mismatch",
    dimension="monitoring",
    severity=HIGH,
    confidence=0.75,
    fix="Take the columns, the reference and the limits from the training code and its data.",
    effort=(0.5, 2),
    sources=(
        (
            "evidently_docs: Data definition (evaluations need specific columns and fail if they "
            "are missing)"
        ),
        "evidently_docs: data drift preset (always needs a reference dataset)",
    ),
    practice="data_drift_detection",
)
def monitoring_config_mismatch(repo: AuditRepository) -> Iterator[Hit]:
    """Report monitoring set up for other data, with too small a window or a default limit."""
    paths = {h.module.path for h in _monitoring.drift_calls(repo)}
    paths |= {m.path for m in repo.code.importing(*_monitoring.LIBRARIES)}
    paths = {p for p in paths if not _docs.aside(repo, p)}
    for path in sorted(paths):
        view = repo.view(path)
        if view is not None:
            yield from _columns(repo, view)
            yield from _references(repo, view)
            yield from _windows(view)
            yield from _limits(view)
    for path, doc in _configs(repo):
        yield from _columns_in_config(repo, path, doc)
        yield from _windows_in_config(repo, path, doc)


# --- columns ------------------------------------------------------------------------------------


def _columns(repo: AuditRepository, view: View) -> Iterator[Hit]:
    for call in view.calls:
        if last(view.name(call)) not in ("ColumnMapping", "DataDefinition"):
            continue
        names: list[str] = []
        for keyword in call.keywords:
            if keyword.arg in _LISTS:
                value = view.literal(keyword.value)
                names += [n for n in value if isinstance(n, str)] if isinstance(value, list) else []
        hit = _unknown(repo, view.path, call.lineno, names)
        if hit is not None:
            yield hit


def _columns_in_config(repo: AuditRepository, path: str, doc: Node) -> Iterator[Hit]:
    names: list[str] = []
    line = 0
    for key, node in doc.walk():
        if key in _LISTS and node.items:
            names += [n.text for n in node.items if n.text]
            line = line or node.key_line
    hit = _unknown(repo, path, line or 1, names)
    if hit is not None:
        yield hit


def _unknown(repo: AuditRepository, path: str, line: int, names: list[str]) -> Hit | None:
    """Make a finding when most columns of a monitor are known nowhere else."""
    wanted = [n for n in dict.fromkeys(names) if n.lower() not in _TUTORIAL_WORDS]
    if len(wanted) < _MIN_NAMES:
        return None
    others = {p: w for p, w in _words(repo).items() if p != path}
    if not any(p in repo.code.training for p in others):
        return None
    known = set().union(*others.values()) if others else set()
    strange = [n for n in wanted if n not in known]
    if len(strange) * 2 <= len(wanted) or not _names_columns(repo):
        return None
    listed = ", ".join(f"`{n}`" for n in strange[:5])
    return Hit(
        path,
        line,
        f"The monitor watches {listed}{' ...' if len(strange) > len(strange[:5]) else ''}: "
        f"{len(strange)} of its {len(wanted)} columns occur nowhere in the training code, the "
        "configuration or the data of this repository.",
        "List the features that the model is trained on, best by importing their list.",
    )


@shared
def _words(repo: Repository) -> dict[str, set[str]]:
    """Texts in code, keys and values of configuration, and headers of data, by file."""
    found: dict[str, set[str]] = {}
    for path, module in repo.code.product.items():
        book = repo.notebooks.get(path)
        text = "\n".join(line for _, _, line in book.lines) if book else repo.text(path)
        found[path] = set(re.findall(r"[\"']([^\"'\n]{1,80})[\"']", text))
        found[path] |= {c.last for c in module.calls}
        found[path] |= {f for c in module.classes for f in c.fields}
        found[path] |= set(re.findall(r"\.([A-Za-z_]\w{1,60})", text))
    for path in repo.files:
        if path.lower().endswith((".yml", ".yaml", ".json", ".toml", ".sql", ".csv", ".txt")):
            head = repo.text(path)[:20_000]
            found[path] = set(re.findall(r"[A-Za-z_][\w .+-]{0,80}", head))
            found[path] |= {w.strip() for w in re.split(r"[,;\n\t\"':]", head)}
    return found


@shared
def _names_columns(repo: Repository) -> bool:
    """Tell whether training code names its columns at all."""
    for path in repo.code.training_code | frozenset(repo.code.training):
        text = repo.text(path)
        if len(set(re.findall(r"\[\s{0,4}[\"']([A-Za-z_]\w{1,60})[\"']", text))) >= _MIN_NAMES:
            return True
        if re.search(r"(?:[\"']\w{2,60}[\"']\s{0,8},\s{0,8}){3}", text):
            return True
    return False


# --- reference ----------------------------------------------------------------------------------


def _references(repo: AuditRepository, view: View) -> Iterator[Hit]:
    for call in view.calls:
        if last(view.name(call)) not in _READS:
            continue
        text = view.string(view.arg(call, "filepath_or_buffer", 0) or view.arg(call, "path", 0))
        if "ref" not in text.lower() or "{}" in text or "://" in text or not text.endswith(_DATA):
            continue
        name = text.rsplit("/", 1)[-1]
        if any(p.rsplit("/", 1)[-1] == name for p in repo.paths) or view.module.notebook:
            continue
        if _mentioned(repo, view.path, name):
            continue
        yield Hit(
            view.path,
            call.lineno,
            f"The reference `{text}` is not in the repository, and nothing in it writes or fetches "
            "such a file.",
            "Write the reference from the training data in the training code, with its version.",
            confidence=0.6,
        )


def _mentioned(repo: AuditRepository, path: str, name: str) -> bool:
    """Tell whether something else, or a write in the same file, speaks of the file."""
    for other in repo.files:
        if name in repo.text(other):
            if other != path and not other.lower().endswith((".md", ".rst")):
                return True
            if other == path and repo.text(path).count(name) > 1:
                return True
    return any(name in repo.text(p) for p in repo.ending(".dvc", "dvc.lock", ".gitignore"))


# --- window and limits --------------------------------------------------------------------------


def _windows(view: View) -> Iterator[Hit]:
    for name, (value, line) in view.module.constants.items():
        bare = name.rpartition(".")[2]
        if _WINDOW.match(bare) and _few(value):
            yield _window(view.path, line, bare, f"{value}")
    for call in view.calls:
        if not _drifty(view, call):
            continue
        for keyword in call.keywords:
            value = view.literal(keyword.value) if keyword.arg else None
            if keyword.arg and _WINDOW.match(keyword.arg) and _few(value):
                yield _window(view.path, call.lineno, keyword.arg, f"{value}")


def _drifty(view: View, call: ast.Call) -> bool:
    name = view.name(call).lower()
    return any(w in name for w in ("drift", "monitor", "evidently", "nannyml", "detector"))


def _few(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _SMALL


def _window(path: str, line: int, name: str, value: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{name}` is {value}: with so few rows a test of drift sees noise, or nothing.",
        "Compare at least some hundred rows, or collect a day of traffic before each check.",
        severity=MEDIUM,
        confidence=0.7,
    )


def _windows_in_config(repo: AuditRepository, path: str, doc: Node) -> Iterator[Hit]:
    for key, node in doc.walk():
        if _WINDOW.match(key) and node.text.isdigit() and _few(int(node.text[:6])):
            yield _window(path, node.key_line or repo.line_of(path, key) or 1, key, node.text)


def _configs(repo: AuditRepository) -> Iterator[tuple[str, Node]]:
    """Find configuration files of monitoring."""
    for path in repo.ending(".yml", ".yaml", ".json", ".toml"):
        low = path.lower()
        text = repo.text(path)
        named = any(w in low for w in ("drift", "evidently", "monitoring"))
        keyed = any(w in text for w in ("evidently", "data_drift", "column_mapping", "drift_"))
        if not (named or keyed) or "panels" in text[:2_000] or "scrape_configs" in text:
            continue
        if low.endswith((".yml", ".yaml")):
            docs: tuple[Node, ...] = repo.yaml(path).docs
        else:
            tree = repo.tree(path)
            docs = (tree,) if tree is not None else ()
        for doc in docs if not _docs.aside(repo, path) else ():
            if not any(doc.child(k) is not None for k in ("apiVersion", "services", "jobs")):
                yield path, doc


def _limits(view: View) -> Iterator[Hit]:
    """Limits of drift that were left at a default, where they decide something."""
    if view.module.notebook:
        return
    for name, (value, line) in view.module.constants.items():
        bare = name.rpartition(".")[2]
        if _LIMIT.match(bare) and isinstance(value, float) and value in _DEFAULTS:
            yield _limit(view.path, line, f"`{bare} = {value}`")
    decides = any(
        "drift" in w for c in (*view.module.checks, *view.module.branches) for w in c.names
    )
    decides = decides or "dataset_drift" in repo_text(view)
    for call in view.calls:
        if last(view.name(call)) not in _PRESETS:
            continue
        given = [k for k in call.keywords if k.arg in _LIMIT_ARGS]
        if not given and decides and not view.spreads(call):
            yield _limit(view.path, call.lineno, f"`{last(view.name(call))}()` without a threshold")


def repo_text(view: View) -> str:
    """Names that a module uses as keys or attributes."""
    return " ".join(
        n.value for n in view.of(ast.Constant) if isinstance(n.value, str) and len(n.value) < _SMALL
    )


def _limit(path: str, line: int, what: str) -> Hit:
    return Hit(
        path,
        line,
        f"{what} decides about drift: a default for all features and any number of rows, fitted to "
        "neither.",
        "Measure the statistic on periods without drift and set the limit per feature above it.",
        severity=LOW,
        confidence=0.5,
    )
