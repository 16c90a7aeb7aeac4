"""Split without regard to classes, or with too little left for training

## What it does

Reports `train_test_split` without `stratify` where the labels are classes: the program fits a
classifier or takes a measure of classification.  Reports also a split that leaves less than half of
the rows for training, whether the share is written in the call, in a default of the command line,
or in a YAML, JSON or TOML configuration that the code reads, under whatever key.

## Why is this bad?

Without `stratify` the test set may hold few rows of a rare class, or none: its recall then moves by
chance from seed to seed.  A model that is trained on the smaller part is worse than it could be.

## Known problems

For classes of equal size, and many rows, stratification changes little.

## Example

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = RandomForestClassifier(random_state=0).fit(X_train, y_train)
```

## Use instead

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
model = RandomForestClassifier(random_state=0).fit(X_train, y_train)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    classifies,
    in_product,
    product,
    quoted,
)
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.trace import Split, Trace, Value, ancestors

_HALF: Final = 0.5
_SHARE: Final = re.compile(
    r"^(?:(train|training)|(test|testing|val|valid|validation|holdout|eval|evaluation))_?"
    r"(?:set_?|data_?|split_?)?(?:size|split|ratio|fraction|frac|pct|percent|percentage|share|"
    r"proportion)$"
)
_NOT_LABELLED: Final = ("id", "ids", "files", "paths", "filenames", "users", "groups", "index")
_DATA_FILES: Final = ("package-lock.json", ".geojson", ".ipynb")
_MAX_FILES: Final = 2_000
_MAX_KEYS: Final = 12
_MIN_KEY: Final = 3


@rule(
    "DM11",
    name="no-stratify",
    dimension="data_management",
    severity=LOW,
    confidence=0.8,
    fix="Pass the labels: `train_test_split(X, y, stratify=y, random_state=42)`.",
    effort=(0.05, 0.2),
    sources=(
        "sklearn_docs: Cross-validation, iterators with stratification based on class labels",
    ),
)
def no_stratify(repo: AuditRepository) -> Iterator[Hit]:
    """Report splits of classes without stratification, and splits with a bad ratio."""
    seen: set[tuple[str, int]] = set()
    found = [(t, classifies(repo, t)) for t in product(repo)]
    whole = _verdict([v for _, v in found])
    for trace, own in found:
        hits = list(_ratios(trace))
        hits += _unstratified(trace, repo, own if own is not None else whole)
        for hit in hits:
            if (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit
    for hit in (*_configured(repo), *_by_key(repo, [t for t, _ in found])):
        if (hit.path, hit.line) not in seen:
            seen.add((hit.path, hit.line))
            yield hit


def _verdict(found: list[bool | None]) -> bool | None:
    """Tell what all models of the repository do, when they agree."""
    said = {v for v in found if v is not None}
    return said.pop() if len(said) == 1 else None


def _unstratified(trace: Trace, repo: AuditRepository, classes: bool | None) -> Iterator[Hit]:  # noqa: FBT001
    del repo
    if not classes:
        return
    splits = [s for s in trace.of(Split) if _plain(trace, s)]
    first: dict[tuple[str, str], Split] = {}
    for split in splits:
        first.setdefault((split.path, split.function), split)
    for (path, function), split in first.items():
        more = [s for s in splits if (s.path, s.function) == (path, function)]
        lines = sorted({s.line for s in more} - {split.line})
        labels = _labels(trace, split)
        yield Hit(
            path,
            split.line,
            f"`{split.name.rpartition('.')[2]}` divides classes without `stratify`: the share of a"
            " rare class in the test set is left to chance.",
            fix=f"Add `stratify={labels}`." if labels else "",
            also=tuple((path, n) for n in lines),
        )


def _plain(trace: Trace, split: Split) -> bool:
    if not in_product(split) or not split.name.endswith("train_test_split"):
        return False
    if split.stratify != "no" or split.shuffle == "no" or split.how != "call":
        return False
    if "strat" in split.function or any("group" in w for w in split.within):
        return False  # divided class by class
    if "sklearn" not in split.name and "cuml" not in split.name and "." in split.name:
        return False
    return trace.label(split.sources[0], "").lower().rpartition("_")[2] not in _NOT_LABELLED


def _labels(trace: Trace, split: Split) -> str:
    return trace.label(split.sources[1], "") if len(split.sources) > 1 else ""


def _ratios(trace: Trace) -> Iterator[Hit]:
    for split in trace.of(Split):
        if in_product(split) and split.how == "call" and split.shares:
            train = split.shares[0]
            if train < _HALF and not any(v.sure for v in split.sources):
                yield Hit(
                    split.path,
                    split.line,
                    f"Only {train:.0%} of {quoted(trace, split.sources[0])} are left for training.",
                    fix="Keep the larger part for training, e.g. `test_size=0.2`.",
                    severity=MEDIUM,
                    confidence=0.7,
                )


# --- shares in configuration ------------------------------------------------------------------


def _configured(repo: AuditRepository) -> Iterator[Hit]:
    text = None
    for path in list(repo.files)[:_MAX_FILES]:
        low = path.lower()
        if low.endswith((".yaml", ".yml")) and _mentions(repo.text(path)):
            docs: list[Node] = list(repo.yaml(path).docs)
        elif low.endswith((".json", ".toml")) and _mentions(repo.text(path)):
            tree = repo.tree(path)
            docs = [tree] if tree is not None else []
        else:
            continue
        for doc in docs:
            for key, node in doc.walk():
                share = _share(key, node.text)
                if share is None or share >= _HALF:
                    continue
                if text is None:
                    text = "\n".join(repo.text(p) for p in repo.code.product)
                if key in text:
                    yield _config_hit(path, node.line, key, node.text, share)
    yield from _defaults(repo)


def _mentions(text: str) -> bool:
    low = text.lower()
    return ("test" in low or "train" in low or "val" in low) and any(
        w in low
        for w in ("size", "split", "ratio", "frac", "pct", "percent", "share", "proportion")
    )


def _share(key: str, value: str) -> float | None:
    """Part of the rows that a setting leaves for training; None when it is not of that kind."""
    match = _SHARE.match(key.lower().replace("-", "_"))
    if match is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if 1 < number < 100:  # noqa: PLR2004 - percent
        if not key.lower().endswith(("pct", "percent", "percentage")):
            return None
        number /= 100
    if not 0 < number < 1:
        return None
    return number if match.group(1) else 1 - number


def _config_hit(path: str, line: int, key: str, value: str, share: float) -> Hit:
    return Hit(
        path,
        line,
        f"`{key}: {value}` leaves only {share:.0%} of the rows for training.",
        fix="Keep the larger part for training, e.g. a test share of 0.2.",
        severity=MEDIUM,
        confidence=0.8,
    )


def _by_key(repo: AuditRepository, found: list[Trace]) -> Iterator[Hit]:
    """Report shares that a split takes from a configuration, whatever their keys are called."""
    for trace in found:
        for split in trace.of(Split):
            if not in_product(split) or any(v.sure for v in split.sources):
                continue
            for name, value in split.sizes.items():
                place = None if value.known else _setting(repo, split.path, value)
                if place is None:
                    continue
                path, line, key, number = place
                share = number if name == "train_size" else 1 - number
                if share < _HALF:
                    hit = _config_hit(path, line, key, f"{number:g}", share)
                    yield replace(
                        hit,
                        why=f"{hit.why} It is the `{name}` of the split{at(split, path)}.",
                        also=((split.path, split.line),),
                    )


def _setting(repo: AuditRepository, path: str, value: Value) -> tuple[str, int, str, float] | None:
    """Find the setting that a value comes from: its file, line, key and number."""
    settings = _settings(repo)
    for one in islice(ancestors((value,)), _MAX_KEYS):
        keys = [one.name.rpartition(".")[2].strip("[]"), one.text]
        for key in keys:
            places = settings.get(key, ()) if len(key) >= _MIN_KEY else ()
            near = [
                p for p in places if _common(p[0], path) == max(_common(q[0], path) for q in places)
            ]
            numbers = {n for _, _, n in near}
            if len(numbers) == 1:
                return near[0][0], near[0][1], key, near[0][2]
            if numbers:
                return None
    return None


def _common(one: str, other: str) -> int:
    """Count the folders that two paths have in common from the top."""
    count = 0
    for a, b in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if a != b:
            break
        count += 1
    return count


@shared
def _settings(repo: Repository) -> dict[str, list[tuple[str, int, float]]]:
    """Numbers between 0 and 1 in configuration files and options of the command line, by key."""
    found: dict[str, list[tuple[str, int, float]]] = {}
    for path in list(repo.files)[:_MAX_FILES]:
        low = path.lower()
        if low.endswith((".yaml", ".yml")):
            docs: list[Node] = list(repo.yaml(path).docs)
        elif low.endswith((".json", ".toml", ".ini", ".cfg")) and not low.endswith(_DATA_FILES):
            tree = repo.tree(path)
            docs = [tree] if tree is not None else []
        else:
            continue
        for key, node in (pair for doc in docs for pair in doc.walk()):
            number = _fraction(node.text)
            if number is not None:
                short = key.rpartition(".")[2]
                line = node.line or repo.line_of(path, f'"{short}"') or 1
                found.setdefault(short, []).append((path, line, number))
    for hit in repo.code.calls("*.add_argument", "click.option", "typer.Option"):
        number = _fraction(str(hit.call.kwargs.get("default")))
        for name in hit.call.args[:3] if number is not None else ():
            if isinstance(name, str) and number is not None:
                key = name.lstrip("-").replace("-", "_")
                found.setdefault(key, []).append((hit.module.path, hit.call.line, number))
    return found


def _fraction(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < 1 else None


def _defaults(repo: AuditRepository) -> Iterator[Hit]:
    """Defaults of options of the command line."""
    for hit in repo.code.calls("*.add_argument", "click.option", "typer.Option"):
        call = hit.call
        names = [a for a in call.args if isinstance(a, str)]
        default = call.kwargs.get("default")
        for name in names[:3]:
            share = _share(name.lstrip("-"), str(default))
            if share is not None and share < _HALF:
                yield _config_hit(hit.module.path, call.line, name, str(default), share)
    for path in repo.code.training_code:
        view = repo.view(path)
        for node in view.of(ast.Assign) if view is not None else ():
            target = node.targets[0]
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
                share = _share(target.id, str(node.value.value))
                if share is not None and share < _HALF:
                    yield _config_hit(path, node.lineno, target.id, str(node.value.value), share)
