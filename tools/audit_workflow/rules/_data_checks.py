"""Parts of DM05: schemas inferred from the data, and checks that never stop anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._data_frames import views_with, written
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, walk

_CHECKS_NAME: Final = re.compile(
    r"(?i)^_?(?:run_|perform_)?(?:data_?)?(?:valid(?:ate|ation)|check|verify|sanity|inspect|quality|assess)"
    r"_?\w{0,40}(?:data|df|frame|schema|quality|column|missing|null|feature|input|validation|checks?)\w{0,40}$"
    r"|^(?:data_validation|data_quality\w{0,20}|validate_data|check_data)$"
)
_NOT_DATA: Final = re.compile(
    r"(?i)path|file|folder|dir|structure|url|exist|model|drift|login|token|config"
)
_STOPS: Final = frozenset(
    "exit _exit quit fail abort error skip_downstream raise_for_status assert_frame_equal"
    " assert_series_equal".split()
)
_PRINTS: Final = frozenset("print info debug warning log display write echo".split())
_LOOKS: Final = frozenset(
    "isnull isna notnull notna describe shape columns dtypes info duplicated nunique value_counts"
    " head".split()
)
_TRUE: Final = re.compile(r"(?i)^(?:true|1|yes)$")
_WORDS: Final = ("valid", "check", "quality", "verify", "expect", "SchemaError")
_ROOTS: Final = frozenset(
    "pandas polars pyspark numpy dask pyarrow great_expectations pandera sklearn"
    " tensorflow_data_validation duckdb".split()
)
_GE_RUNS: Final = ("run_checkpoint", "run_validation_operator")


def inferred(repo: AuditRepository) -> Iterator[Hit]:
    """Report schemas that are inferred from the data that they should check."""
    for view in views_with(repo, "nferSchema", "autodetect", "low_memory"):
        text = repo.text(view.path)
        if view.module.notebook and view.path not in repo.code.training:
            continue
        if "nferSchema" in text or "autodetect" in text:
            yield from _inferred(repo, view)
        if "low_memory" in text and not view.module.notebook:
            yield from _mixed(view)


def _inferred(repo: AuditRepository, view: View) -> Iterator[Hit]:
    for call in view.calls:
        func = call.func
        short = func.attr if isinstance(func, ast.Attribute) else ""
        value: ast.expr | None = None
        what = ""
        if short == "option" and len(call.args) > 1:
            if f"{view.literal(call.args[0])}".lower() == "inferschema":
                what, value = "inferSchema", call.args[1]
        elif short in ("csv", "options", "load"):
            value, what = view.arg(call, "inferSchema"), "inferSchema"
        elif short in ("LoadJobConfig", "load_table_from_uri"):
            value, what = view.arg(call, "autodetect"), "autodetect"
        if value is None or not _on(repo, view, value):
            continue
        line = func.value.end_lineno if isinstance(func, ast.Attribute) else call.lineno
        yield Hit(
            view.path,
            (func.end_lineno if isinstance(func, ast.Attribute) else line) or call.lineno,
            f"`{what}` takes the types from whatever the file holds today: a column of numbers"
            " with one wrong value becomes text, and nothing stops.",
            "Give the schema: `spark.read.schema(SCHEMA).csv(path)`.",
            confidence=0.85,
        )


def _on(repo: AuditRepository, view: View, value: ast.expr) -> bool:
    """Tell whether a switch is on; one that comes from configuration is looked up there."""
    known = view.literal(value)
    if known is not None:
        return bool(_TRUE.match(f"{known}"))
    for path, file in repo.files.items():
        if (
            path.lower().endswith((".json", ".yaml", ".yml", ".toml"))
            and "infer" in file.text.lower()
        ):
            for line in repo.lines(path):
                if re.search(
                    r"(?i)infer_?schema[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:true|1|yes)", line[:300]
                ):
                    return True
    return False


def _mixed(view: View) -> Iterator[Hit]:
    for call in view.calls:
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr != "read_csv":
            continue
        low = view.arg(call, "low_memory")
        given = {k.arg for k in call.keywords}
        if (
            low is not None
            and view.literal(low) is False
            and not given & {"dtype", "converters", None}
        ):
            yield Hit(
                view.path,
                call.lineno,
                "`low_memory=False` silences the warning about columns of mixed types, and no"
                " `dtype` says what they should be: types follow the file.",
                "Give `dtype={...}` for the columns that are used.",
                severity=LOW,
                confidence=0.55,
            )


def shallow(repo: AuditRepository) -> Iterator[Hit]:
    """Report checks of data that never stop anything."""
    for view in views_with(repo, *_WORDS, roots=_ROOTS):
        text = repo.text(view.path)
        if view.module.notebook:
            continue
        if "valid" in text or "check" in text or "quality" in text or "verify" in text:
            for function in view.functions:
                hit = _prints_only(view, function)
                if hit is not None:
                    yield hit
            yield from _ignored(repo, view)
        if (
            "great_expectations" in text
            or "expect_" in text
            or "tensorflow_data_validation" in text
        ):
            yield from _unread(view)
        if "SchemaError" in text:
            yield from _caught(view)


def _prints_only(view: View, function: AnyFunction) -> Hit | None:
    """Report a function that looks at data, prints, and neither raises nor returns a verdict."""
    if not _CHECKS_NAME.match(function.name) or _NOT_DATA.search(function.name):
        return None
    looks = False
    printed = 0
    for node in view.walk(function):
        if isinstance(node, (ast.Raise, ast.Assert, ast.Yield)):
            return None
        if isinstance(node, ast.Return) and not _gives_data(function, node.value):
            return None
        if isinstance(node, ast.Call):
            short = last(view.name(node)) or ""
            if short in _STOPS or short.startswith(("validate", "expect", "check_", "assert")):
                return None
            if short in _PRINTS and not printed:
                printed = node.lineno
            looks = looks or short in _LOOKS
        elif isinstance(node, ast.Attribute):
            looks = looks or node.attr in _LOOKS
    if not looks or not printed:
        return None
    return Hit(
        view.path,
        function.lineno,
        f"`{function.name}` prints what it sees of the data and stops nothing: bad data go on to"
        " training all the same.",
        "Raise when a check fails, or use a schema that does (pandera, Great Expectations).",
        also=((view.path, printed),),
        severity=MEDIUM,
        confidence=0.8,
    )


def _gives_data(function: AnyFunction, value: ast.expr | None) -> bool:
    """Tell whether what a check returns is nothing, or the data it was given."""
    if value is None or (isinstance(value, ast.Constant) and value.value in (None, True)):
        return True
    names = {a.arg for a in function.args.args}
    return isinstance(value, ast.Name) and value.id in names


def _ignored(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report a check that gives a verdict which nobody reads: `validate(df)` alone on a line."""
    for node in view.of(ast.Expr):
        call = node.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        name = call.func.id
        if not _CHECKS_NAME.match(name) or _NOT_DATA.search(name):
            continue
        function = _definition(repo, view, name)
        if function is None or not _verdict(function):
            continue
        yield Hit(
            view.path,
            call.lineno,
            f"`{name}` returns whether the data are good, and the answer is thrown away here.",
            f"Stop on a bad answer: `if not {name}(...): raise ValueError(...)`.",
            confidence=0.85,
        )


def _definition(repo: AuditRepository, view: View, name: str) -> AnyFunction | None:
    for function in view.functions:
        if function.name == name:
            return function
    full = view.aliases.get(name, "")
    path = repo.code.resolve(full.rpartition(".")[0], view.path) if "." in full else ""
    other = repo.view(path) if path and path != view.path else None
    return next((f for f in other.functions if f.name == name), None) if other is not None else None


def _verdict(function: AnyFunction) -> bool:
    """Tell whether a function answers True or False and never raises."""
    answers = set()
    for node in walk(function):
        if isinstance(node, (ast.Raise, ast.Assert)):
            return False
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant):
            answers.add(node.value.value)
    return {True, False} <= answers


def _unread(view: View) -> Iterator[Hit]:
    """Report results of Great Expectations and TFDV of which nobody reads whether they passed."""
    text = {n.attr for n in view.of(ast.Attribute)}
    keys = {view.column(s) for s in view.of(ast.Subscript)}
    read = "success" in text or "success" in keys or "anomaly_info" in text or "passed" in text
    raises = bool(view.of(ast.Raise)) or bool(view.of(ast.Assert))
    if read or raises:
        return
    for call in view.calls:
        name = view.name(call)
        short = last(name)
        checkpoint = short == "run" and "checkpoint" in name.lower()
        suite = short == "validate" and (
            "great_expectations" in name or "validator" in name.lower()
        )
        anomalies = name.endswith("validate_statistics") and "tensorflow_data_validation" in name
        if short in _GE_RUNS or checkpoint or suite or anomalies:
            yield Hit(
                view.path,
                call.lineno,
                f"The result of `{short}` is never looked at: it says whether the data passed, and"
                " does not raise by itself.",
                "Read it: `if not result.success: raise ValueError(...)`.",
                confidence=0.8,
            )
            return


def _caught(view: View) -> Iterator[Hit]:
    """Report failures of a schema that are printed and forgotten."""
    for handler in view.of(ast.ExceptHandler):
        if handler.type is None or "SchemaError" not in written(handler.type):
            continue
        for node in view.walk(handler):
            if isinstance(node, (ast.Raise, ast.Return)):
                break
            if isinstance(node, ast.Call) and last(view.name(node)) in _STOPS:
                break
        else:
            yield Hit(
                view.path,
                handler.lineno,
                "The schema failed, and the program goes on with the data that failed it.",
                "Let the exception end the run, or `raise` after logging it.",
                confidence=0.85,
            )
