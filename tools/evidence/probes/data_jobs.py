"""Preparation of training data by a job."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.parse.python_model import PythonModule
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
    unknown,
)
from mlops_advisor.tools.evidence.repository import Repository

_NAMES: Final = (
    "prepare",
    "preprocess",
    "etl",
    "ingest",
    "extract",
    "make_dataset",
    "dataset",
    "feature",
    "load_data",
    "build_data",
    "data_pipeline",
    "clean",
    "split",
)
_FRAMES: Final = frozenset(
    "pandas polars pyspark dask numpy datasets pyarrow duckdb ray tensorflow torch beam"
    " apache_beam xml sqlalchemy sklearn csv json".split()
)
_WRITES: Final = frozenset(
    (
        "to_csv to_parquet to_sql to_pickle to_feather save_to_disk dump "
        "write_parquet write_csv savez save saveAsTable parquet to_gbq "
        "write_table upload_file put_object insertInto writelines write"
    ).split()
)
_READS: Final = frozenset(
    (
        "read_csv read_parquet read_sql read_excel read_json read_sql_query "
        "read_table load_dataset read_gbq scan_parquet scan_csv read_feather "
        "load parse execute get_historical_features read open fetch query get "
        "sql json download_file"
    ).split()
)


@probe(
    "data_jobs",
    practice="data_pipeline_automated",
    asks="Is training data extracted and prepared by a job that anyone can run again?",
    searched=(
        "scripts that read, prepare and write data, pipelines and commands that "
        "run them, dbt projects"
    ),
)
def _data_jobs(repo: Repository) -> Verdict:
    found = [
        spot
        for path, module in repo.code.product.items()
        if not module.notebook
        and path not in repo.code.serving
        and path not in repo.code.batch
        and (spot := _prepares(repo, module)) is not None
    ]
    verdict = from_code(repo, "A script prepares the data", found)
    if verdict is not None:
        return verdict
    dbt = repo.named("dbt_project.yml")
    if dbt:
        runs = [r for r in repo.runs.ci if r.automatic and r.counts and "dbt " in r.text]
        where = [(p, 1) for p in dbt] + [r.where for r in runs]
        return present(repo, E if runs else C, "A dbt project prepares the data.", where)
    if repo.code.training_notebooks and not repo.code.training_scripts:
        path, call = next(iter(repo.code.training_notebooks.items()))
        return absent(repo, "Data is prepared inside a notebook only.", [(path, call.line)])
    if not repo.stages.ml:
        return not_applicable("Nothing here prepares data for a model.")
    return unknown("No script that prepares data was recognised.")


def _prepares(repo: Repository, module: PythonModule) -> Spot | None:
    """Find where a module named after preparation reads data to write it or to train on it."""
    name = module.path.rsplit("/", 1)[-1].lower()
    if not any(n in name for n in _NAMES) and not any(
        n in f.last.lower() for f in module.functions for n in _NAMES
    ):
        return None
    if not module.roots & _FRAMES:
        return None
    read = next((c for c in module.calls if c.last in _READS), None)
    if read is None:
        near = repo.code.edges.get(module.path, frozenset())
        if not any(c.last in _READS for p in near for c in repo.code.modules[p].calls):
            return None
    if module.path not in repo.code.training_code and not any(
        c.last in _WRITES for c in module.calls
    ):
        return None
    return Spot(module.path, read.line if read else 1)
