"""Quality is measured on the training data

## What it does

Reports a metric that is computed on the very rows the model was fitted on, when nothing measures
it on others: `model.score(X, y)` after `model.fit(X, y)`, an evaluation script that reads the file
that training reads, and a configuration, DVC stage or command line that gives training and
evaluation the same file.

## Why is this bad?

A model can learn its training data by heart.  The number says how well it remembers, not how well
it predicts, and a release gate that rests on it lets everything through.

## Known problems

A metric that is called a training metric (`train_accuracy = ...`) is not reported.

## Example

```python
model.fit(X, y)
print("accuracy", accuracy_score(y, model.predict(X)))
```

## Use instead

```python
model.fit(X_train, y_train)
print("accuracy", accuracy_score(y_test, model.predict(X_test)))
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    class_of,
    in_product,
    is_model,
    judged,
    makers,
    product,
    quoted,
    same_file,
    written,
)
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.runs import Run
from mlops_advisor.tools.evidence.trace import (
    Fit,
    Load,
    Read,
    Score,
    Split,
    Trace,
    ancestors,
    rows_of,
)
from mlops_advisor.tools.evidence.trace_library import role_of_name, snake

_CLUSTERS: Final = re.compile(r"silhouette|calinski|davies|inertia|perplexity|loss$|_loss$")
_FILE: Final = re.compile(
    r"[\w./{}$:@%+-]{1,200}\.(?:csv|parquet|pq|feather|json|jsonl|npz|npy|pkl|tsv|arrow|tfrecord)\b"
)
_SCRIPT: Final = re.compile(r"([\w./-]{1,120})\.py\b")
_EVALUATING: Final = re.compile(r"(?:^|[_/-])(?:eval\w*|test_?model|validate_?model|gate|quality)")
_TRAINING: Final = re.compile(r"(?:^|[_/-])(?:train\w*|fit)")
_TRAIN_KEY: Final = re.compile(
    r"^(?:train|training)_?(?:data|path|file|set|dataset|csv|uri|data_path|data_file|input|source)?$"
)
_EVAL_KEY: Final = re.compile(
    r"^(?:eval|evaluation|test|testing|holdout|validation|val|gate)_?"
    r"(?:data|path|file|set|dataset|csv|uri|data_path|data_file|input|source)?$"
)
_MAX_FILES: Final = 2_000


@rule(
    "TR14",
    name="evaluation-on-training-data",
    dimension="model_training",
    severity=HIGH,
    confidence=0.85,
    fix="Evaluate on rows that were set aside before the fit.",
    effort=(0.1, 0.5),
    sources=("kapoor_narayanan: L1.1 no test set (same dataset for training and testing)",),
)
def evaluation_on_training_data(repo: AuditRepository) -> Iterator[Hit]:
    """Report metrics on training rows, and evaluations that are given the training file."""
    seen: set[tuple[str, int]] = set()
    for hit in (
        *_in_code(repo),
        *_across(repo),
        *_in_config(repo),
        *_in_commands(repo),
        *_in_dvc(repo),
    ):
        if (hit.path, hit.line) not in seen:
            seen.add((hit.path, hit.line))
            yield hit


# --- in one program ---------------------------------------------------------------------------


def _in_code(repo: AuditRepository) -> Iterator[Hit]:
    for trace in product(repo):
        for fit in trace.of(Fit):
            if not is_model(trace, fit.estimator) or judged(trace, fit) or fit.target is None:
                continue
            score = next((s for s in trace.of(Score) if _on_training(s, fit)), None)
            if score is None or not in_product(score) or _said(repo, score):
                continue
            yield Hit(
                score.path,
                score.line,
                f"`{score.name.rpartition('.')[2]}` measures"
                f" `{class_of(fit.estimator) or 'the model'}` on {quoted(trace, fit.data)}, the"
                f" rows it was fitted on{at(fit, score.path)}, and nothing measures it on others.",
                also=((fit.path, fit.line),),
            )


def _on_training(score: Score, fit: Fit) -> bool:
    if score.order < fit.order or score.excludes(fit) or _CLUSTERS.search(score.name):
        return False
    if score.estimator is not None:
        return score.estimator.same(fit.estimator) and any(
            v.rows == fit.data.rows for v in score.values
        )
    return any(
        v.rows == fit.data.rows
        and v.maker is not None
        and bool(fit.estimator.objects & makers((v,)))
        for one in score.values
        for v in ancestors((one,))
    )


def _said(repo: AuditRepository, score: Score) -> bool:
    """Tell whether the line calls its result one of training."""
    text = written(repo, score.path, score.line).lower()
    left = text.partition("=")[0] if "=" in text else ""
    return "train" in left or bool(re.search(r"[\"'][^\"']{0,40}train", text))


# --- in two programs --------------------------------------------------------------------------


def _across(repo: AuditRepository) -> Iterator[Hit]:
    """Report evaluation scripts that read, as a whole, the file that training reads."""
    trained: list[tuple[str, Read]] = []
    for trace in product(repo):
        for read in trace.of(Read):
            used = any(
                read.value.rows in rows_of(f.data) and is_model(trace, f.estimator)
                for f in trace.of(Fit)
            )
            if used and read.source:
                trained.append((trace.path, read))
    for trace in product(repo):
        if not trace.of(Load) or trace.of(Fit):
            continue
        for read in trace.of(Read):
            score = next((s for s in trace.of(Score) if _whole(trace, s, read)), None)
            if score is None or not in_product(score):
                continue
            other = next(
                (r for p, r in trained if p != trace.path and same_file(r.source, read.source)),
                None,
            )
            if other is not None:
                yield Hit(
                    read.path,
                    read.line,
                    f"The evaluation reads {read.source}, which {other.path}:{other.line} reads to"
                    " train: the score is taken on rows that the model has learnt.",
                    also=((other.path, other.line), (score.path, score.line)),
                )


def _whole(trace: Trace, score: Score, read: Read) -> bool:
    if read.value.role in ("test", "validation"):
        return False
    if any(read.value.rows in rows_of(*s.sources) for s in trace.of(Split)):
        return False
    return read.value.rows in rows_of(*score.values)


# --- in configuration -------------------------------------------------------------------------


def _in_config(repo: AuditRepository) -> Iterator[Hit]:
    for path in list(repo.files)[:_MAX_FILES]:
        low = path.lower()
        text = repo.text(path)
        if "train" not in text or not any(
            w in text for w in ("eval", "test", "valid", "holdout", "gate")
        ):
            continue
        if low.endswith((".yaml", ".yml")):
            docs: list[Node] = list(repo.yaml(path).docs)
        elif low.endswith((".json", ".toml")):
            tree = repo.tree(path)
            docs = [tree] if tree is not None else []
        else:
            continue
        for doc in docs:
            yield from _pairs(repo, path, doc)


def _pairs(repo: AuditRepository, path: str, doc: Node) -> Iterator[Hit]:
    for node in doc.below():
        entries = [(k, n) for k, n in (node.map or {}).items() if n.text]
        train = {n.text: k for k, n in entries if _TRAIN_KEY.match(snake(k))}
        for key, value in entries:
            if not _EVAL_KEY.match(snake(key)) or not _is_data(value.text):
                continue
            same = train.get(value.text)
            named = role_of_name(_stem(value.text)) == "train"
            if same is None and not named:
                continue
            line = value.line or repo.line_of(path, f'"{key}"') or repo.line_of(path, key)
            told = f"is the file of `{same}` as well" if same is not None else "is the training set"
            yield Hit(
                path,
                max(1, line),
                f"`{key}: {value.text[:120]}` {told}: the evaluation judges the model on rows that"
                " it has learnt.",
                fix="Point it to data that training does not read.",
            )


def _is_data(text: str) -> bool:
    return "\n" not in text and ("/" in text or bool(_FILE.search(text[:400])))


def _stem(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2].partition(".")[0]


# --- in commands ------------------------------------------------------------------------------


def _in_commands(repo: AuditRepository) -> Iterator[Hit]:
    trained = {
        file for run in repo.runs.everything if _runs(run, _TRAINING) for file in _files(run.text)
    }
    for run in repo.runs.everything:
        if not _runs(run, _EVALUATING):
            continue
        files = _files(run.text)
        data = {f for f in files if not f.endswith((".pkl", ".json"))}
        if data and all(role_of_name(_stem(f)) == "train" or f in trained for f in data):
            name = min(data)
            yield Hit(
                run.path,
                run.line,
                f"The evaluation is given {name}, which training is given too.",
                fix="Give it data that training does not read.",
            )


def _runs(run: Run, pattern: re.Pattern[str]) -> bool:
    scripts = _SCRIPT.findall(run.text[:2_000])
    return bool(scripts) and any(pattern.search(s.rpartition("/")[2].lower()) for s in scripts)


def _files(text: str) -> set[str]:
    return set(_FILE.findall(text[:2_000]))


def _in_dvc(repo: AuditRepository) -> Iterator[Hit]:
    for file in repo.yaml_files(named=("dvc.yaml",)):
        for doc in file.docs:
            stages = {k: v.child("do") or v for k, v in doc.pairs("stages")}
            outs: set[str] = set()
            trained: set[str] = set()
            for name, stage in stages.items():
                if _TRAINING.search(name.lower()):
                    trained |= _data_of(stage, "deps")
                    outs |= _data_of(stage, "outs")
            for name, stage in stages.items():
                if not _EVALUATING.search(name.lower()):
                    continue
                data = _data_of(stage, "deps") - outs
                if data and data <= trained and not any(_holds_test(d) for d in data):
                    node = next(n for n in stage.list_at("deps") if n.text in data)
                    yield Hit(
                        file.path,
                        node.line,
                        f"Stage `{name}` depends on no data but {node.text}, which the training"
                        " stage reads.",
                        confidence=0.6,
                    )


def _holds_test(path: str) -> bool:
    """Tell whether a dependency may hold the test part: a folder, or a name that says so."""
    return role_of_name(_stem(path)) in ("test", "validation") or "." not in path.rpartition("/")[2]


def _data_of(stage: Node, key: str) -> set[str]:
    found = {n.text for n in stage.list_at(key) if n.text}
    found |= {k for n in stage.list_at(key) for k, _ in n.pairs()}
    return {
        f for f in found if not f.endswith((".py", ".yaml", ".yml", ".toml")) and "model" not in f
    }
