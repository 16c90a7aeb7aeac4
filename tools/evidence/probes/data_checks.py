"""Checks of data: schema and values."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    absent,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    stronger,
    unknown,
)
from mlops_advisor.tools.evidence.probes._tests import runner_strength
from mlops_advisor.tools.evidence.repository import Repository, shared

_WHERE: Final = (
    "calls of pandera, Great Expectations, TFDV, Deepchecks, Soda, dbt "
    "tests, and own checks that raise, in Python, SQL models and YAML"
)
_RUNS_SCHEMA: Final = (
    "pandera.",
    "great_expectations.",
    "tensorflow_data_validation.validate_statistics",
    "tfx.components.ExampleValidator",
    "tfx.v1.components.ExampleValidator",
    "deepchecks.",
    "soda.scan.",
    "frictionless.validate",
    "cerberus.",
    "jsonschema.validate",
    "pointblank.",
    "dataframely.",
    "patito.",
    "*.run_checkpoint",
    "*.checkpoint.run",
)
_DEFINES: Final = (
    "pandera.DataFrameSchema",
    "pandera.SeriesSchema",
    "pandera.Column",
    "pandera.Check",
    "pandera.Field",
    "pandera.Index",
    "great_expectations.get_context",
    "pandera.pandas.",
)
_SCHEMA_BASES: Final = ("pandera.", "patito.Model", "dataframely.Schema")
_SCHEMA_WORDS: Final = (
    "columns",
    "dtypes",
    "dtype",
    "schema",
    "expected_columns",
    "required_columns",
    "missing_columns",
    "missing_cols",
)
_VALUE_WORDS: Final = (
    "isnull",
    "isna",
    "notnull",
    "notna",
    "between",
    "isin",
    "duplicated",
    "is_unique",
    "any",
    "min",
    "max",
    "null_count",
    "missing",
    "nan",
    "isnan",
    "isfinite",
)


@probe(
    "schema_checks",
    practice="schema_validation",
    asks="Do schema checks run on input data and stop the run?",
    searched=_WHERE,
)
def _schema_checks(repo: Repository) -> Verdict:
    return _checks(repo, "schema", _SCHEMA_WORDS)


@probe(
    "value_checks",
    practice="value_validation",
    asks="Do value checks run on input data and stop the run?",
    searched=_WHERE,
)
def _value_checks(repo: Repository) -> Verdict:
    return _checks(repo, "value", _VALUE_WORDS)


def _checks(repo: Repository, kind: str, words: tuple[str, ...]) -> Verdict:
    found = stronger(
        _library(repo, kind),
        _own(repo, kind, words),
        _ci_tests(repo, kind),
        _dbt(repo, kind),
        _configured(repo, kind),
    )
    if found is not None:
        return found
    if repo.stages.training is not None:
        return absent(
            repo,
            f"Training reads data and no {kind} check of it was found.",
            [repo.stages.training],
        )
    if not repo.stages.ml:
        return not_applicable("Nothing here trains a model or scores with one.")
    return unknown("No code here reads training data.")


def _values(repo: Repository, path: str) -> bool:
    text = repo.text(path)
    return any(
        w in text
        for w in (
            "Check(",
            "Check.",
            "Field(",
            "ge=",
            "le=",
            "gt=",
            "lt=",
            "isin=",
            "nullable=",
            "expect_column_values",
            "expect_column_",
            "validate_statistics",
            "unique=",
            "data_integrity",
            "between(",
        )
    )


def _library(repo: Repository, kind: str) -> Verdict | None:
    code = repo.code
    names = _schema_names(repo)
    hits = [h for h in code.calls(*_RUNS_SCHEMA) if not _defines(h.call.name)]
    hits += [
        h
        for h in code.calls("*.validate", "*.run", "*.to_validated")
        if h.call.name.split(".")[0].removesuffix("()") in names or _owner(h.call.name) in names
    ]
    found = [
        s
        for s in spots(hits)
        if kind == "schema"
        or _values(repo, s.path)
        or any(_values(repo, p) for p in code.edges.get(s.path, ()))
    ]
    for path, module in code.product.items():
        for function in module.functions:
            checked = [
                d
                for d in function.decorators
                if d.startswith(("pandera.check_", "pandera.pandas.check_"))
            ]
            if checked and (
                kind == "schema"
                or _values(repo, path)
                or any(_values(repo, p) for p in code.edges.get(path, ()))
            ):
                found.append(Spot(path, function.line, function.name))
    return from_code(repo, f"Data is checked ({kind})", found, stops=True)


def _owner(name: str) -> str:
    return name.rpartition(".")[0].rpartition(".")[2].removesuffix("()")


def _defines(name: str) -> bool:
    return name.startswith(_DEFINES) and not name.endswith((".validate", ".run"))


@shared
def _schema_names(repo: Repository) -> frozenset[str]:
    """Names of schemas defined anywhere: variables and classes."""
    names: set[str] = set()
    for module in repo.code.product.values():
        names.update(
            c.name for c in module.classes if any(b.startswith(_SCHEMA_BASES) for b in c.bases)
        )
        names.update(
            v
            for v, c in module.made.items()
            if c.startswith(("pandera.", "patito.", "dataframely."))
        )
    return frozenset(names)


def _configured(repo: Repository, kind: str) -> Verdict | None:
    found = [Spot(h.module.path, h.call.line) for h in repo.code.calls(*_DEFINES)]
    for module in repo.code.product.values():
        found += [
            Spot(module.path, c.line)
            for c in module.classes
            if any(b.startswith(_SCHEMA_BASES) for b in c.bases)
        ]
    if kind == "value":
        found = [s for s in found if _values(repo, s.path)]
    if found:
        return present(
            repo, C, f"A {kind} check is defined, but no training or pipeline code calls it.", found
        )
    folders = [p for p in repo.files if "/expectations/" in f"/{p}" and p.endswith(".json")]
    folders += [f.path for f in repo.yaml_files(holding=("checks for ",))]
    if folders:
        return present(
            repo,
            C,
            "Expectations are written down; nothing found runs them.",
            [(p, 1) for p in folders],
        )
    return None


def _own(repo: Repository, kind: str, words: tuple[str, ...]) -> Verdict | None:
    """Own checks: an assert or a raise on columns or values of a frame."""
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        if (
            module.notebook
            or path in repo.code.serving
            or not module.roots & {"pandas", "polars", "pyspark", "numpy", "dask", "pyarrow"}
        ):
            continue
        found += [
            Spot(path, c.line, c.scope, c.swallowed)
            for c in module.checks
            if not c.constant and any(n in words for n in c.names) and _about_data(c.names, kind)
        ]
    return from_code(repo, f"Own code stops on a wrong {kind}", found, stops=True)


def _about_data(names: tuple[str, ...], kind: str) -> bool:
    if kind == "schema":
        return True
    return any(
        n in ("df", "data", "frame", "features", "x", "x_train", "train", "dataset", "batch")
        or n.endswith(("_df", "_data", "df"))
        for n in names
    )


def _ci_tests(repo: Repository, kind: str) -> Verdict | None:
    """Test suites over data (`tests/data`, or expectations called in a test) that CI runs."""
    found: list[Spot] = []
    for path, module in repo.code.tests.items():
        calls = [
            c
            for c in module.calls
            if c.last.startswith("expect_")
            or (
                c.name.startswith(("great_expectations.", "pandera."))
                and c.last in ("validate", "run")
            )
        ]
        if kind == "value":
            calls = [
                c for c in calls if c.last.startswith("expect_column_values") or _values(repo, path)
            ]
        else:
            calls = [c for c in calls if "column" in c.last or not c.last.startswith("expect_")]
        if calls and is_test_path(path):
            found.append(Spot(path, calls[0].line))
    if not found:
        return None
    strength, how = runner_strength(repo, [s.path for s in found])
    return present(repo, strength, f"Tests check the data ({kind}); {how}.", found)


def _dbt(repo: Repository, kind: str) -> Verdict | None:
    found: list[Spot] = []
    for file in repo.yaml_files(holding=("tests:", "data_tests:")):
        for doc in file.docs:
            for model in [*doc.list_at("models"), *doc.list_at("sources")]:
                for _, node in model.find("tests", "data_tests"):
                    found.append(Spot(file.path, node.line))
    if not found or not repo.named("dbt_project.yml"):
        return None
    runs = [
        r
        for r in repo.runs.ci
        if r.automatic
        and r.hard
        and r.counts
        and "dbt" in r.text
        and ("test" in r.text or "build" in r.text)
    ]
    if runs:
        return present(repo, E, f"dbt tests ({kind}) are run by {runs[0].at}.", found)
    return present(repo, C, f"dbt tests ({kind}) are defined; nothing found runs them.", found)
