"""Is training data prepared by a job?"""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    Spot,
    Verdict,
    absent,
    from_code,
    not_applicable,
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
_WRITES: Final = frozenset(
    "to_csv to_parquet to_sql to_pickle to_feather save_to_disk dump write_parquet write_csv savez save saveAsTable parquet to_gbq write_table upload_file put_object insertInto writelines write".split()
)
_READS: Final = frozenset(
    "read_csv read_parquet read_sql read_excel read_json read_sql_query read_table load_dataset read_gbq scan_parquet scan_csv read_feather load parse execute get_historical_features read open fetch query get sql json download_file".split()
)


@probe(
    "data_jobs",
    practice="data_pipeline_automated",
    asks="Is training data extracted and prepared by a job that anyone can run again?",
    searched="scripts that read, prepare and write data, pipelines and commands that run them, dbt projects",
)
def _data_jobs(repo: Repository) -> Verdict:
    found: list[Spot] = []
    for path, module in repo.code.product.items():
        if module.notebook or path in repo.code.serving or path in repo.code.batch:
            continue
        lasts = {c.last for c in module.calls}
        named = any(n in path.rsplit("/", 1)[-1].lower() for n in _NAMES) or any(
            any(n in f.last.lower() for n in _NAMES) for f in module.functions
        )
        frame = module.roots & {
            "pandas",
            "polars",
            "pyspark",
            "dask",
            "numpy",
            "datasets",
            "pyarrow",
            "duckdb",
            "ray",
            "tensorflow",
            "torch",
            "beam",
            "apache_beam",
            "xml",
            "sqlalchemy",
            "sklearn",
            "csv",
            "json",
        }
        if (
            named
            and frame
            and lasts & _READS
            and (lasts & _WRITES or path in repo.code.training_code)
        ):
            line = next((c.line for c in module.calls if c.last in _READS), 1)
            found.append(Spot(path, line))
    verdict = from_code(repo, "A script prepares the data", found)
    if verdict is not None:
        return verdict
    dbt = repo.named("dbt_project.yml")
    if dbt:
        return from_code(
            repo, "A dbt project prepares the data", [Spot(p, 1) for p in dbt]
        ) or unknown("")
    if repo.code.training_notebooks and not repo.code.training_scripts:
        path, call = next(iter(repo.code.training_notebooks.items()))
        return absent(repo, "Data is prepared inside a notebook only.", [(path, call.line)])
    if not repo.stages.ml:
        return not_applicable("Nothing here prepares data for a model.")
    return unknown("No script that prepares data was recognised.")
