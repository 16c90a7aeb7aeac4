"""Splits in `trace`: calls that divide data, and folds."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.trace_base import Site
from mlops_advisor.tools.evidence.trace_library import (
    sort_of,
)
from mlops_advisor.tools.evidence.trace_model import (
    Given,
    Role,
    Score,
    Split,
    Value,
)
from mlops_advisor.tools.evidence.trace_run import Machine

_MAX_PARTS: Final = 16
_PAIR: Final = 2
_SEED_WORDS: Final = ("random_state", "seed", "generator", "rng", "random_seed", "split_seed")


def seed_given(c: Site, position: int = -1) -> Given:
    """Whether a call is given a seed; maybe: it takes arguments that are not known."""
    for word in _SEED_WORDS:
        value = c.arg(word)
        if value is not None:
            return "no" if value.known and value.const is None else "yes"
    if 0 <= position < len(c.args):
        value = c.args[position]
        return "no" if value.known and value.const is None else "yes"
    return "maybe" if c.spread else "no"


def _flag(c: Site, name: str, default: Given) -> Given:
    value = c.named.get(name)
    if value is None:
        return "maybe" if c.spread else default
    if value.known:
        return "yes" if value.const else "no"
    return "maybe" if value.kind == "unknown" and value.name == "parameter" else "yes"


def number(value: Value | None) -> float | None:
    """Give the number of a constant; None when it is not known."""
    if value is None or not value.known or isinstance(value.const, (str, bool)):
        return None
    return float(value.const) if value.const is not None else None


def _shares(c: Site) -> tuple[float, ...]:
    test, train = number(c.named.get("test_size")), number(c.named.get("train_size"))
    if test is not None and 0 < test < 1:
        return (1 - test if train is None else train, test)
    if train is not None and 0 < train < 1:
        return (train, 1 - train)
    return ()


def _sizes(c: Site) -> dict[str, Value]:
    return {k: c.named[k] for k in ("test_size", "train_size") if k in c.named}


def train_test_split(m: Machine, c: Site) -> Value | None:
    """`train_test_split(X, y, ...)`: two parts of each argument."""
    arrays = list(c.args)
    if c.last == "train_test_split" and c.receiver is not None and c.receiver.kind != "ref":
        return _dataset_split(m, c)
    if not arrays:
        return None
    sources: list[Value] = []
    for value in arrays:
        if value.kind == "sequence" and value.items:
            sources.extend(value.items)
        else:
            sources.append(value)
    parts: list[Value] = []
    roles: tuple[Role, Role] = ("train", "test")
    for source in sources[:_MAX_PARTS]:
        parts.extend(_part(m, source, c, role) for role in roles)
    m.emit(
        Split, c, sources=tuple(sources), parts=tuple(parts), how="call",
        seed=seed_given(c), shuffle=_flag(c, "shuffle", "yes"),
        stratify=_flag(c, "stratify", "no"), shares=_shares(c), sizes=_sizes(c),
    )  # fmt: skip
    return m.make("sequence", c.name, items=tuple(parts))


def _part(m: Machine, source: Value, c: Site, role: Role) -> Value:
    kind = source.kind if source.kind == "mask" else "data"
    part = m.derive(source, c.name, keep=False, role=role, sure=True, columns=source.columns)
    return part if kind == part.kind else part.changed(kind=kind)


def _dataset_split(m: Machine, c: Site) -> Value | None:
    """`train_test_split` of a Hugging Face dataset, or of Ray data."""
    base = c.receiver
    if base is None:
        return None
    train, test = _part(m, base, c, "train"), _part(m, base, c, "test")
    m.emit(
        Split, c, sources=(base,), parts=(train, test), how="call",
        seed=seed_given(c), shuffle=_flag(c, "shuffle", "yes"),
        stratify=_flag(c, "stratify_by_column", "no"), shares=_shares(c), sizes=_sizes(c),
    )  # fmt: skip
    if base.kind != "data" or c.last != "train_test_split":
        return m.make("mapping", c.name, keys=("train", "test"), items=(train, test))
    return m.make("mapping", c.name, keys=("train", "test"), items=(train, test))


def random_split(m: Machine, c: Site) -> Value | None:
    """PyTorch `random_split`, Spark `randomSplit`, `np.split` of shuffled rows, `Subset`."""
    spark = c.last in ("randomSplit", "random_split") and c.receiver is not None
    spark = spark and c.receiver is not None and c.receiver.kind != "ref"
    source = c.receiver if spark else (c.arg("dataset", 0) or c.arg("ary", 0))
    sizes = (
        c.arg("weights", 0) if spark else (c.arg("lengths", 1) or c.arg("indices_or_sections", 1))
    )
    if source is None:
        return None
    count = len(sizes.items) if sizes is not None and sizes.items else 2
    if sizes is not None and c.last == "split":
        count += 1
    names: tuple[Role, ...] = (
        ("train", "test") if count == _PAIR else ("train", "validation", "test")
    )
    parts = tuple(_part(m, source, c, r) for r in names[: max(2, min(count, 3))])
    shares = tuple(n for v in (sizes.items if sizes is not None else ()) if (n := number(v)))
    total = sum(shares) if len(shares) == count else 0
    random = c.last != "split"
    m.emit(
        Split, c, sources=(source,), parts=parts, how="call" if random else "slice",
        seed=seed_given(c, 1 if spark else 2) if random else "yes",
        shuffle="yes" if random else "no", stratify="no",
        shares=tuple(s / total for s in shares) if random and total else (),
    )  # fmt: skip
    return m.make("sequence", c.name, items=parts)


def numpy_split(m: Machine, c: Site) -> Value | None:
    """`np.split(...)`, or the folds of a splitter."""
    if c.receiver is not None and c.receiver.kind == "ref" and c.receiver.name in ("numpy", "np"):
        return random_split(m, c)
    return _folds(m, c)


def _folds(m: Machine, c: Site) -> Value | None:
    """`KFold(...).split(X)`, also of splitters that are made elsewhere."""
    splitter = c.receiver
    if splitter is None or not c.args:
        return None
    known = sort_of(splitter.name) == "folds"
    label = m.labels.get(splitter.id, "").lower()
    hinted = splitter.kind in ("unknown", "object") and (
        any(w in label for w in ("fold", "splitter", "tscv", "kf", "sss", "gss")) or label == "cv"
    )
    if not known and not hinted:
        return None
    source = c.args[0]
    train = m.make("unknown", "fold", (source,), role="train", sure=True)
    test = m.make("unknown", "fold", (source,), role="test", sure=True)
    shuffled, seed, stratify = _habits(c, splitter)
    m.emit(
        Split, c, sources=c.args, parts=(train, test), how="folds", seed=seed, shuffle=shuffled,
        stratify=stratify, shares=(), splitter=splitter,
    )  # fmt: skip
    pair = m.make("sequence", items=(train, test))
    return m.make("sequence", "each", items=(pair,))


def cross_validation(m: Machine, c: Site) -> Value | None:
    """`cross_val_score(model, X, y, cv=...)`, `cross_validate`, `xgb.cv`."""
    if c.receiver is not None and c.receiver.kind != "ref":
        return None
    model = c.arg("estimator", 0)
    data = c.arg("X", 1)
    if model is None or data is None:
        return None
    fold = folded(m, c, data, c.arg("cv"))
    m.emit(Score, c, values=(fold,), estimator=model)
    return m.make("unknown", c.name, (data, model), maker=model)


def folded(m: Machine, c: Site, data: Value, cv: Value | None) -> Value:
    """Folds that a cross-validation or a search makes of data; gives what is left out of each."""
    shuffled, seed, stratify = _habits(c, cv)
    if cv is not None and cv.name.startswith("pyspark."):
        shuffled, seed, stratify = "yes", "maybe", "no"
    fold = _part(m, data, c, "test")
    m.emit(
        Split, c, sources=(data,), parts=(_part(m, data, c, "train"), fold), how="folds",
        seed=seed, shuffle=shuffled, stratify=stratify, shares=(), splitter=cv,
    )  # fmt: skip
    return fold


def _habits(c: Site, splitter: Value | None) -> tuple[Given, Given, Given]:
    """Whether a splitter shuffles, has a seed, and keeps the share of classes."""
    if splitter is None or sort_of(splitter.name) != "folds":
        return ("no" if splitter is None or splitter.known else "maybe"), "maybe", "maybe"
    name = splitter.last
    own = c.changed(named=dict(splitter.options), args=splitter.items)
    shuffled = _flag(own, "shuffle", "no")
    if "Shuffle" in name or name.startswith("Repeated"):
        shuffled = "yes"
    seed = seed_given(own, 2 if name in ("KFold", "StratifiedKFold") else -1)
    return shuffled, seed, "yes" if "Stratified" in name else "no"


def make_folds(m: Machine, c: Site) -> Value | None:
    """Splitters themselves are objects; nothing is divided yet."""
    if sort_of(c.name) != "folds" or c.callee is None or c.callee.kind != "ref":
        return None
    return m.make(
        "object", c.name, items=c.args, options=c.named, line=c.line, path=c.frame.view.path
    )
