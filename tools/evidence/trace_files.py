"""Files in `trace`: data and objects that are read, written, stored and loaded; seeds."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.trace_base import Site
from mlops_advisor.tools.evidence.trace_library import (
    LOADS,
    READS,
    SAVES,
    SPARK_READ,
    WRITES,
    role_of_name,
    seed_family,
    sort_by_label,
)
from mlops_advisor.tools.evidence.trace_model import (
    Dated,
    Load,
    Read,
    Role,
    Save,
    Seeded,
    Value,
    Write,
)
from mlops_advisor.tools.evidence.trace_rows import (
    names_in,
)
from mlops_advisor.tools.evidence.trace_run import Machine

_PATH_CALLS: Final = frozenset(
    "os.path.join pathlib.Path pathlib.PurePath pathlib.PosixPath str os.path.abspath Path"
    " os.path.expanduser os.path.normpath os.fspath hydra.utils.to_absolute_path".split()
)
_PATH_METHODS: Final = frozenset(
    ("resolve", "absolute", "as_posix", "expanduser", "joinpath", "format", "with_suffix")
)


KERAS_SAVES: Final = frozenset(("save", "export"))
_SETTINGS: Final = ("os.getenv", "os.environ.get")


def is_path_call(name: str, last: str) -> bool:
    """Tell by its name whether a call may be one of paths or open files."""
    return name in _PATH_CALLS or last in _PATH_METHODS or last == "open" or name in _SETTINGS


def path_call(m: Machine, c: Site) -> Value | None:
    """Text of paths that are joined, and of open files."""
    if c.name in _PATH_CALLS and c.args:
        texts = [v.text or "{}" for v in c.args]
        return m.make("text", c.name, c.args, const="/".join(texts)[:300])
    if c.last in _PATH_METHODS and c.receiver is not None and c.receiver.text:
        rest = [v.text or "{}" for v in c.args] if c.last == "joinpath" else []
        return m.make("text", c.name, (c.receiver,), const="/".join((c.receiver.text, *rest)))
    if c.name in _SETTINGS and len(c.args) > 1:
        return m.make("text", c.name, c.args, const=c.args[1].const)
    if c.last == "open" and (c.receiver is None or c.receiver.text):
        where = c.receiver if c.receiver is not None else (c.args or (None,))[0]
        if where is not None:
            return m.make("file", "open", (where,), const=where.text or None)
    return None


def _key_of(value: Value | None) -> str:
    """Give what two uses of one path have in common."""
    if value is None:
        return ""
    return value.text or f"@{min(value.objects, default=value.id)}"


def read_call(m: Machine, c: Site) -> Value | None:
    """Read data from a file, a table or a library."""
    name = c.name
    spark = c.receiver is not None and SPARK_READ.search(c.receiver.name)
    if not (READS.search(name) or spark):
        return _known_set(m, c)
    if c.receiver is not None and c.receiver.kind == "data":
        return None
    source = c.args[0] if c.args else next(iter(c.named.values()), None)
    stored = m.heap.get((0, _key_of(source)))
    parents = tuple(v for v in (source, stored) if v is not None)
    split = c.named.get("split")
    role = role_of_name((split.text if split is not None else "").partition("[")[0])
    path = source.text if source is not None else ""
    role = role or role_of_name(path.rpartition("/")[2].partition(".")[0])
    if stored is not None:
        result = m.derive(stored, name, *parents)
    elif (
        split is None and name.endswith("load_dataset") and not name.startswith(("seaborn", "sns"))
    ):
        result = m.make("data", "load_dataset", parents, role=role)
    else:
        columns = names_in(c.named.get("usecols") or c.named.get("columns"))
        result = m.make("data", name, parents, role=role, sure=split is not None, columns=columns)
    m.emit(Read, c, value=result, source=path)
    dates = c.named.get("parse_dates")
    if dates is not None and (dates.items or dates.const is True):
        m.emit(Dated, c, data=result, column=(names_in(dates) or ("",))[0], how="parsed")
    pair = c.named.get("return_X_y")
    if pair is not None and pair.const:
        return m.make("sequence", items=(result, m.derive(result, "target")))
    return result


def _known_set(m: Machine, c: Site) -> Value | None:
    """Read data sets that come divided: keras, torchvision."""
    if c.last == "load_data" and ".datasets." in c.name:
        made = [m.make("data", c.name, role=r, sure=True) for r in ("train", "test")]
        pairs = [m.make("sequence", items=(v, m.derive(v, "target"))) for v in made]
        m.emit(Read, c, value=made[0], source=c.name)
        return m.make("sequence", items=tuple(pairs))
    if ".datasets." in c.name and c.name.startswith(("torchvision.", "torchtext.", "torchaudio.")):
        flag, split = c.named.get("train"), c.named.get("split")
        role: Role = "" if split is None else role_of_name(split.text)
        if flag is not None and flag.known:
            role = "train" if flag.const else "test"
        result = m.make("data", c.name, role=role, sure=bool(role))
        m.emit(Read, c, value=result, source=c.name)
        return result
    return None


def is_write(name: str, last: str) -> bool:
    """Tell by its name whether a call writes data."""
    full = name.startswith(("numpy", "np.", "scipy"))
    return WRITES.search(name if full else f".{last}") is not None


def write_call(m: Machine, c: Site) -> Value | None:
    """Write data to a file or a table."""
    if not is_write(c.name, c.last):
        return None
    plain = c.receiver is not None and c.receiver.kind != "ref"
    value = c.receiver if plain else (c.args[1] if len(c.args) > 1 else (c.args or (None,))[0])
    return None if value is None else data_written(m, c, value)


def data_written(m: Machine, c: Site, value: Value) -> Value | None:
    """Keep that data are written, and where."""
    target = (c.args or (None,))[0] or next(iter(c.named.values()), None)
    if value.kind in ("constant", "text"):
        return None
    m.emit(Write, c, value=value, target=target.text if target is not None else "")
    if target is not None:
        m.put((0, _key_of(target)), value)
    return m.constant(None)


def save_call(m: Machine, c: Site) -> Value | None:
    """See objects that are stored: `joblib.dump`, `log_model`, `model.save`."""
    name = c.name if c.receiver is None or c.receiver.kind == "ref" else f".{c.last}"
    whole = c.receiver is not None and c.receiver.kind in ("estimator", "unknown", "object")
    keras = (
        c.last in KERAS_SAVES
        and whole
        and c.receiver is not None
        and (c.receiver.kind == "estimator" or bool(sort_by_label(m.labels.get(c.receiver.id, ""))))
    )
    if not (SAVES.search(name) or keras):
        return None
    return store(m, c, whole=whole)


def store(m: Machine, c: Site, *, whole: bool, more: tuple[Value, ...] = ()) -> Value:
    """Keep what a call stores: its arguments, its receiver if `whole`, and `more`."""
    values = [v for v in c.given if v.kind not in ("constant", "text", "file", "ref")]
    values.extend(more)
    if whole and c.receiver is not None:
        values.append(c.receiver)
    flat = [i for v in values for i in (v, *(v.items if v.kind in ("sequence", "mapping") else ()))]
    own = frozenset().union(*(v.objects for v in flat if v.objects & m.classes.keys()))
    flat += [v for (one, _), v in m.heap.items() if one in own][:40]
    place = next((v for v in (*c.args[::-1], *c.named.values()) if v.text), None)
    m.emit(Save, c, values=tuple(flat), target=place.text if place is not None else "")
    if place is not None and values:
        m.put((0, f"saved:{place.text}"), values[0])
    return m.make("unknown", c.name)


def load_call(m: Machine, c: Site) -> Value | None:
    """Open stored objects; those that this program stored itself are known again."""
    if not LOADS.search(c.name):
        return None
    if c.receiver is not None and c.receiver.kind in ("data", "object"):
        return None
    source = next((v for v in c.given if v.text), None)
    known = m.heap.get((0, f"saved:{source.text}")) if source is not None else None
    made = known or m.make("estimator", c.name, c.args)
    m.emit(Load, c, value=made, source=source.text if source is not None else "")
    return made


def seed_call(m: Machine, c: Site) -> Value | None:
    """See `np.random.seed(...)`, `seed_everything(...)`."""
    family = seed_family(c.name)
    if not family:
        return None
    families = ("numpy", "random", "torch", "tensorflow") if family == "all" else (family,)
    m.emit(Seeded, c, families=frozenset(families))
    return m.constant(None)
