"""What rules on data share: where data are read, which column is the target, lists of features."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import View, last

READERS: Final = frozenset(
    "read_csv read_parquet read_excel read_json read_feather read_pickle read_table read_sql"
    " read_sql_query read_sql_table read_gbq read_hdf read_orc read_delta scan_csv scan_parquet"
    " read_ndjson read_database loadtxt genfromtxt read_fwf read_xml".split()
)
_READS: Final = READERS | frozenset("load csv parquet json table format jdbc sql query".split())
_FRAMES: Final = frozenset(
    "pandas polars dask cudf modin geopandas numpy pyspark spark vaex awswrangler ray".split()
)
_TARGET_NAME: Final = re.compile(
    r"(?i)^(?:y|y_?(?:train|test|val|true|all|full|df|data)?|targets?|labels?|(?:train|test|val)_?(?:y|labels?"
    r"|targets?)|df_?(?:y|target|label)|target_(?:df|series|data))$"
)
_TARGET_KEY: Final = re.compile(
    r"(?i)^(?:target|label|target_?(?:col(?:umn)?|name|variable|feature|field)(?:_name)?"
    r"|label_?(?:col(?:umn)?|name)(?:_name)?|output_?col(?:umn)?|dependent_variable|y_col(?:umn)?)$"
)
_FEATURES_KEY: Final = re.compile(
    r"(?i)^(?:\w{0,30}_)?(?:features?|feature_(?:names|cols|columns|list)|predictors?|input_?cols"
    r"|x_cols|columns_to_use|model_inputs?)(?:_(?:names|cols|columns|list|to_use|used))?$"
)
_CONFIGS: Final = (".yaml", ".yml", ".json", ".toml")
_MAX_CONFIG: Final = 100_000
_CACHED: Final = 4_096
_MAX_NAME: Final = 80


@lru_cache(_CACHED)
def _names_target(key: str) -> bool:
    return _TARGET_KEY.match(key) is not None


@lru_cache(_CACHED)
def _names_features(key: str) -> bool:
    return _FEATURES_KEY.match(key) is not None


@dataclass(frozen=True, slots=True)
class Named:
    """A column name, or a list of them, and where it stands."""

    path: str
    line: int
    names: tuple[str, ...]
    key: str = ""


def views_with(
    repo: AuditRepository, *words: str, roots: frozenset[str] = frozenset()
) -> Iterator[View]:
    """Trees of modules outside tests whose text holds a word and that import one of `roots`."""
    for path, module in repo.code.product.items():
        if roots and not module.roots & roots:
            continue
        text = repo.text(path)
        view = repo.view(path) if any(w in text for w in words) else None
        if view is not None:
            yield view


def shown_line(repo: AuditRepository, path: str, line: int) -> int:
    """Line to name in a sentence: in a notebook that of the file, not of the joined cells."""
    return repo.place(path, line).line if path.endswith(".ipynb") else line


def at(repo: AuditRepository, path: str, line: int) -> str:
    """Name a place in a sentence, `path:line`."""
    return f"{path}:{shown_line(repo, path, line)}"


def written(node: ast.AST | None, limit: int = 200) -> str:
    """Source of an expression, shortened; empty for one nested too deeply."""
    try:
        return ast.unparse(node)[:limit] if node is not None else ""
    except RecursionError:
        return ""


def is_read(view: View, call: ast.Call) -> bool:
    """Tell whether a call reads a table from a file or a database."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in _READS:
        return False
    if func.attr in READERS:
        return True
    if func.attr in ("load", "csv", "parquet", "json", "table", "format", "jdbc"):
        return ".read." in f"{dotted(func)}." or dotted(func).endswith(
            (".read.table", "spark.table")
        )
    if func.attr == "sql":
        return "spark" in dotted(func).lower()
    return func.attr == "query" and view.name(call).startswith("google.cloud.bigquery")


def reads_of(view: View) -> Iterator[ast.Call]:
    """Find calls that read tables, in order."""
    for call in view.calls:
        if is_read(view, call):
            yield call


@shared
def _targets(repo: Repository) -> dict[str, tuple[Named, ...]]:
    """Names of target columns with the places that say so."""
    found: dict[str, list[Named]] = {}
    for path in repo.code.product:
        text = repo.text(path)
        if "[" not in text or (path.endswith(".ipynb") and path not in repo.code.training):
            continue
        view = repo.view(path)
        if view is not None:
            for name, line in _targets_in(view):
                found.setdefault(name, []).append(Named(path, line, (name,)))
    for named in configured(repo):
        if _TARGET_KEY.match(named.key) and len(named.names) == 1:
            found.setdefault(named.names[0], []).append(named)
    return {n: tuple(p) for n, p in found.items()}


def targets(repo: AuditRepository) -> dict[str, tuple[Named, ...]]:
    """Names of target columns of the whole workspace with the places that say so."""
    return _targets(repo)


def targets_near(repo: AuditRepository, path: str) -> frozenset[str]:
    """Names of target columns of the project that a module belongs to."""
    folder = path.partition("/")[0] if "/" in path else ""
    return frozenset(
        name
        for name, places in _targets(repo).items()
        if any(not folder or p.path.startswith(f"{folder}/") or not _split(repo) for p in places)
    )


@shared
def _split(repo: Repository) -> bool:
    """Tell whether the workspace holds several projects: training code in several top folders."""
    tops = {p.split("/")[0] for p in repo.code.training if "/" in p}
    return len(tops) > 2  # noqa: PLR2004 - src/ and notebooks/ are one project


def _targets_in(view: View) -> Iterator[tuple[str, int]]:
    for node in view.of(ast.Assign):
        target = node.targets[0]
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=False))
        for one, value in pairs:
            name = one.id if isinstance(one, ast.Name) else last(dotted(one))
            if name and _TARGET_NAME.match(name):
                yield from _column_of(view, value)
            if name and _names_target(name):
                yield from _named_by(value)
    for keyword in view.of(ast.keyword):
        if keyword.arg and _TARGET_KEY.match(keyword.arg):
            yield from ((n, line) for n, line in _named_by(keyword.value) if n.isidentifier())


def _named_by(value: ast.expr) -> Iterator[tuple[str, int]]:
    name = value.value if isinstance(value, ast.Constant) else None
    if isinstance(name, str) and name and len(name) < _MAX_NAME:
        yield name, value.lineno


def _column_of(view: View, node: ast.expr) -> Iterator[tuple[str, int]]:
    """Name of the one column that an expression takes: `df["y"]`, `df.pop("y")`, `df[["y"]]`."""
    for _ in range(4):
        key: ast.expr | None = node.slice if isinstance(node, ast.Subscript) else None
        if isinstance(key, ast.List) and len(key.elts) == 1:
            key = key.elts[0]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and key is None:
            short = node.func.attr
            if short == "pop" and node.args:
                key = node.args[0]
            else:
                node = node.args[0] if short == "ravel" and node.args else node.func.value
                continue
        elif isinstance(node, ast.Attribute) and node.attr in ("values", "array"):
            node = node.value
            continue
        name = view.string(key) if isinstance(key, (ast.Constant, ast.Name, ast.Attribute)) else ""
        if name and "{" not in name:
            yield name, node.lineno
        return


@shared
def configured(repo: Repository) -> tuple[Named, ...]:
    """Targets and lists of features in YAML, JSON and TOML files."""
    found: list[Named] = []
    for path, file in repo.files.items():
        low = path.lower()
        if not low.endswith(_CONFIGS) or is_test_path(path) or len(file.text) > _MAX_CONFIG:
            continue
        text = file.text.lower()
        if not any(w in text for w in ("feature", "target", "label", "predictor", "_col")):
            continue
        roots = repo.yaml(path).docs if low.endswith((".yaml", ".yml")) else (repo.tree(path),)
        for root in roots:
            for key, node in root.walk() if root is not None else ():
                name = key.rpartition(".")[2]
                if _names_target(name) and node.text and len(node.text) < _MAX_NAME:
                    line = node.line or repo.line_of(path, f'"{key}"') or 1
                    found.append(Named(path, line, (node.text,), name))
                elif _names_features(name) and node.items:
                    names = tuple(i.text for i in node.items if i.text)
                    if len(names) == len(node.items):
                        line = node.line or repo.line_of(path, f'"{key}"') or 1
                        found.append(Named(path, line, names, name))
    return tuple(found)


def cells_of(text: str) -> Iterator[tuple[int, str]]:
    """Lines of the code cells of a notebook as they stand, magics included, with their numbers."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return
    cells = data.get("cells") if isinstance(data, dict) else None
    number = 0
    for cell in cells if isinstance(cells, list) else ():
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source")
        whole = (
            "".join(s for s in source if isinstance(s, str)) if isinstance(source, list) else source
        )
        for line in whole.split("\n") if isinstance(whole, str) and whole.strip() else ():
            number += 1
            yield number, line


def text_list(node: ast.AST | None) -> tuple[str, ...]:
    """Texts of a literal list or tuple; empty when an element is no text."""
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return ()
    texts = tuple(
        e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)
    )
    return texts if len(texts) == len(node.elts) else ()


def is_features_name(name: str) -> bool:
    """Tell whether a variable's name says that it lists features."""
    return bool(_FEATURES_KEY.match(name.rpartition(".")[2]))


def listed(view: View, node: ast.expr | None, depth: int = 0) -> tuple[str, ...] | None:
    """Column names that an expression lists, names and `+` followed; None when not known."""
    node = view.settled(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        found: list[str] = []
        for element in node.elts[:500]:
            value = view.settled(element)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.append(value.value)
            elif isinstance(element, ast.Starred) and depth < 3:  # noqa: PLR2004
                below = listed(view, element.value, depth + 1)
                if below is None:
                    return None
                found.extend(below)
            else:
                return None
        return tuple(found)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and depth < 6:  # noqa: PLR2004
        left, right = listed(view, node.left, depth + 1), listed(view, node.right, depth + 1)
        return None if left is None or right is None else left + right
    return None
