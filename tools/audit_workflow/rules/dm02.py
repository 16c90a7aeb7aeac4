"""Data files in git

## What it does

Reports data files of more than 100 kB (CSV, Parquet, Excel, JSON lines, SQLite, vector stores,
arrays and archives) that git holds: not listed in a `.gitignore`, no LFS pointer, no file that DVC
keeps elsewhere. Folders of tests, samples and documents are left out.

## Why is this bad?

Git keeps every version of every file for ever, so each clone carries all data there ever was. The
file says nothing of where it came from, and personal data in it can hardly be taken back.

## Known problems

Outside a folder it cannot be told from the files alone whether git already tracks a file; one that
no `.gitignore` lists is taken as tracked.

## Example

```text
data/raw/customers.csv        48 MB
```

## Use instead

```text
data/raw/customers.csv.dvc    105 bytes, with the hash of the data
data/raw/.gitignore           /customers.csv
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_tree import (
    Blob,
    grouped,
    is_fixture,
    kept_in_git,
    size_of,
    words_of,
)

_LEAST: Final = 100_000
_MUCH: Final = 10 << 20
_DATA: Final = re.compile(
    r"\.(?:csv|tsv|parquet|feather|arrow|orc|avro|xlsx?|sqlite3?|db|duckdb|jsonl|ndjson|npy|npz"
    r"|arff|sas7bdat|dta|faiss|libsvm|svmlight|tfrecords?)(?:\.(?:gz|bz2|xz|zst|zip))?$"
)
# Of many uses: data only in a folder or under a name that says so.
_MAYBE: Final = re.compile(r"\.(?:json|txt|xml|pkl|pickle|zip|gz|tgz|tar|h5|hdf5|joblib|mat|bin)$")
_FOLDERS: Final = frozenset("data dataset datasets raw interim processed preprocessed".split())
_MODELS: Final = frozenset("model models artifact artifacts checkpoint checkpoints".split())
_TRACKERS: Final = frozenset("mlflow.db mlruns.db prefect.db orion.db airflow.db optuna.db".split())
_FIX: Final = "Move the file to storage that DVC, LFS or a bucket with versions keeps: "


@rule(
    "DM02",
    name="data-file-in-git",
    dimension="data_management",
    severity=LOW,
    confidence=0.85,
    fix=_FIX + "`dvc add <file>` writes the pointer and the .gitignore entry.",
    effort=(0.2, 1),
    sources=(
        "mllint: version-control/code/git-no-big-files",
        "pynblint: large-data-file-not-versioned",
    ),
)
def data_file_in_git(repo: AuditRepository) -> Iterator[Hit]:
    """Report large data files that git holds."""
    found = [b for b in kept_in_git(repo) if b.size > _LEAST and _is_data(b)]
    for blob, others in grouped(found):
        why = f"A data file of {size_of(blob.size)} lies in git"
        if others:
            names = ", ".join(o.shown for o in others[:4])
            why += f", with {len(others)} more in this folder: {names}"
        total = blob.size + sum(o.size for o in others)
        yield Hit(
            blob.path,
            1,
            f"{why}. No .gitignore lists it, and neither LFS nor DVC keeps it.",
            f"{_FIX}`dvc add {blob.path}` writes the pointer and the .gitignore entry, then "
            f"`git rm --cached {blob.path}`.",
            text=blob.shown,
            also=tuple((o.path, 1) for o in others[:4]),
            severity=MEDIUM if total > _MUCH else LOW,
        )


def _is_data(blob: Blob) -> bool:
    if is_fixture(blob.path) or blob.name in _TRACKERS:
        return False
    if _DATA.search(blob.name):
        return True
    words = words_of(blob.folder)
    return bool(_MAYBE.search(blob.name) and words & _FOLDERS and not words_of(blob.path) & _MODELS)
