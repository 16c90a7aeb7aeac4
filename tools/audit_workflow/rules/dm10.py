"""Data are split at random without a seed

## What it does

Reports random splits without a seed: `train_test_split`, `KFold(shuffle=True)` and other shuffling
splitters, `random_split` of PyTorch, `randomSplit` of Spark, `train_test_split` of Hugging Face
datasets, and shuffles, samples and random masks (`df.sample`, `np.random.shuffle`,
`np.random.rand(n) < 0.8`) whose result is divided afterwards.

## Why is this bad?

Every run has another test set.  Two metrics can't be compared, a row that was used for training
yesterday is tested on today, and a model can't be made again.

## Known problems

A seed that comes in by `**options` is taken to be there.  A call that seeds the library's global
generator (`np.random.seed`, `seed_everything`), in any module that runs with this one, counts.

## Example

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2)
```

## Use instead

```python
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._dataflow import (
    at,
    in_product,
    product,
    quoted,
)
from mlops_advisor.tools.audit_workflow.rules._training import seeded
from mlops_advisor.tools.evidence.trace import (
    Event,
    Seeded,
    Shuffle,
    Split,
    Trace,
    Value,
    ancestors,
    origins,
)

_RANDOM: Final = (
    "numpy.random.rand", "numpy.random.random", "numpy.random.uniform", "numpy.random.choice",
    "numpy.random.binomial", "numpy.random.random_sample", "numpy.random.randint",
    "numpy.random.randn", "random.random", "random.sample",
)  # fmt: skip
_UNSEEDABLE: Final = ("randomSplit", "random_split")
_MAX_SEEN: Final = 400


@rule(
    "DM10",
    name="unseeded-split",
    dimension="data_management",
    severity=HIGH,
    confidence=0.9,
    fix="Give the split a seed from the configuration, e.g. `random_state=42`, or divide by a hash"
    " of the row's key.",
    effort=(0.1, 0.2),
    sources=(
        "code_smells_ml: smell 14, Randomness Uncontrolled",
        "ml_test_score: Infra 1, training is reproducible",
        "sklearn_docs: Common pitfalls, section Controlling randomness",
    ),
)
def unseeded_split(repo: AuditRepository) -> Iterator[Hit]:
    """Report random splits without a seed, and unseeded shuffles that a split rests on."""
    seen: set[tuple[str, int]] = set()
    for trace in product(repo):
        for hit in (*_calls(repo, trace), *_shuffles(repo, trace), *_masks(repo, trace)):
            if (hit.path, hit.line) not in seen:
                seen.add((hit.path, hit.line))
                yield hit


def _calls(repo: AuditRepository, trace: Trace) -> Iterator[Hit]:
    for split in trace.of(Split):
        if split.seed != "no" or split.shuffle != "yes" or not in_product(split):
            continue
        family, word = _family(split)
        if family and _is_seeded(repo, trace, split, family):
            continue
        data = quoted(trace, split.sources[0] if split.sources else None)
        last = split.name.rpartition(".")[2]
        maker = split.splitter
        if maker is not None and maker.line:
            last = maker.last
        path, line = (
            (maker.path, maker.line)
            if maker is not None and maker.line
            else (
                split.path,
                split.line,
            )
        )
        yield Hit(
            path,
            line,
            f"`{last}` divides {data} at random without `{word}`: each run has another test set.",
            also=((split.path, split.line),) if line != split.line else (),
            fix=f"Pass a seed from the configuration: `{last}(..., {word}="
            f"{'torch.Generator().manual_seed(42)' if word == 'generator' else '42'})`.",
        )


def _family(split: Split) -> tuple[str, str]:
    """Which global generator a split draws from, and what its seed is called."""
    last = split.name.rpartition(".")[2]
    if last == "random_split" and "torch" in split.name:
        return "torch", "generator"
    if split.how == "folds":
        return "numpy", "random_state"
    if last in _UNSEEDABLE:
        return "", "seed"
    return "numpy", "random_state" if "sklearn" in split.name or last != "train_test_split" else (
        "seed"
    )


def _is_seeded(repo: AuditRepository, trace: Trace, event: Event, family: str) -> bool:
    if any(family in s.families and s.order < event.order for s in trace.of(Seeded)):
        return True
    mine = any(s.path == event.path and family in s.families for s in trace.of(Seeded))
    return not mine and seeded(repo, event.path, family)


def _shuffles(repo: AuditRepository, trace: Trace) -> Iterator[Hit]:
    splits = trace.of(Split)
    for shuffle in trace.of(Shuffle):
        if shuffle.seed != "no" or not in_product(shuffle):
            continue
        split = next((s for s in splits if _rests_on(s, shuffle)), None)
        family = _generator(shuffle, split)
        if split is None or _is_seeded(repo, trace, shuffle, family):
            continue
        last = shuffle.name.rpartition(".")[2]
        yield Hit(
            shuffle.path,
            shuffle.line,
            f"`{last}` {_does(trace, shuffle)} without a seed, and the split"
            f"{at(split, shuffle.path)} rests on the result: each run has another test set.",
            also=((split.path, split.line),),
        )


def _does(trace: Trace, shuffle: Shuffle) -> str:
    data = quoted(trace, shuffle.data)
    return f"puts {data} in random order" if shuffle.share >= 1 else f"draws rows of {data}"


def _generator(shuffle: Shuffle, split: Split | None) -> str:
    """Which global generator a shuffle draws from."""
    if split is not None and split.name.endswith((": take", ": skip")):
        return "tensorflow"
    return "random" if shuffle.name.startswith("random.") else "numpy"


def _rests_on(split: Split, shuffle: Shuffle) -> bool:
    if split.excludes(shuffle):
        return False
    if any(v.role for v in (shuffle.data,) if v.sure):
        return False
    made = shuffle.result.id
    return made in origins(*split.sources) or (
        split.how == "slice" and made in origins(*split.parts)
    )


def _masks(repo: AuditRepository, trace: Trace) -> Iterator[Hit]:
    for split in trace.of(Split):
        if split.how != "slice" or not in_product(split):
            continue
        mask = next((v for v in ancestors(split.parts) if v.name in _RANDOM and v.line), None)
        if mask is None or _is_seeded(repo, trace, split, mask.name.partition(".")[0]):
            continue
        yield _mask_hit(trace, split, mask)


def _mask_hit(trace: Trace, split: Split, mask: Value) -> Hit:
    data = quoted(trace, split.sources[0] if split.sources else None)
    return Hit(
        mask.path,
        mask.line,
        f"`{mask.name}` decides at random, without a seed, which rows of {data} are for training.",
        fix="Draw from a seeded generator: `np.random.default_rng(42).random(len(df)) < 0.8`.",
        also=((split.path, split.line),),
    )
