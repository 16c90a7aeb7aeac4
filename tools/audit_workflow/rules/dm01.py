"""Training data without a version

## What it does

Reports where training data come from a place whose content may change (a URL, a branch of a
repository, a bucket, a table, a file that git does not hold) when nothing in the workspace fixes
the version: no DVC, LFS, lakeFS, Delta or Iceberg snapshot, registered data set, or checksum. One
finding for each data set.

## Why is this bad?

A model can be built again, checked and explained only with the very data it was trained on. A URL
gives another file tomorrow.

## Known problems

A bucket with object versions is still a place that changes when the version is not named.

## Example

```python
df = pd.read_csv("https://raw.githubusercontent.com/org/data/main/churn.csv")
```

## Use instead

```python
df = pd.read_csv(dvc.api.get_url("data/churn.csv", rev="v1.3"))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._calls import ending
from mlops_advisor.tools.audit_workflow.rules._data_frames import cells_of, reads_of, written
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.view import View

_MOST: Final = 6
_MAX_TEXT: Final = 100_000
_URL: Final = re.compile(r"(?i)^(?:https?|ftp)://")
_BUCKET: Final = re.compile(r"(?i)^(?:s3a?|gs|gcs|abfss?|wasbs?|az|hdfs)://")
_DATA: Final = re.compile(
    r"(?i)\.(?:csv|tsv|parquet|xlsx?|json|jsonl|zip|gz|tgz|tar|data|arff|feather|txt|xml|db|h5|npz)"
    r"(?:\.(?:gz|zip|bz2))?(?:[?#].{0,100})?$"
)
_TABLE: Final = re.compile(
    r"(?i)\.(?:csv|tsv|parquet|xlsx?|jsonl|arff|feather|npz)(?:\.(?:gz|zip|bz2))?(?:\?.{0,100})?$"
)
_FIXED: Final = re.compile(
    r"(?i)[0-9a-f]{40}|versionid=|generation=|/v\d+(?:\.\d+)*/|zenodo\.org/record|figshare"
    r"|/releases/download/|@v?\d|[?&](?:rev|revision|ref|sha)=|snapshot|doi\.org|version=\d"
)
_BRANCH: Final = re.compile(
    r"(?i)raw\.githubusercontent\.com/[^/]+/[^/]+/(?:refs/heads/)?(?:main|master|dev)"
)
_FETCH: Final = frozenset(
    "requests.get urllib.request.urlretrieve urllib.request.urlopen wget.download gdown.download"
    " urllib.request.Request httpx.get kaggle.api.dataset_download_files opendatasets.download"
    " kagglehub.dataset_download urlretrieve urlopen".split()
)
_STORE: Final = re.compile(
    r"(?i)^https?://[^\s]{0,200}(?:amazonaws\.com|storage\.googleapis\.com|blob\.core\.windows\.net"
    r"|raw\.githubusercontent\.com|cloudfront\.net|dataset|\.csv|\.parquet|\.zip)[^\s]{0,200}$"
)
_BLOB: Final = frozenset(
    "download_to_filename download_file download_fileobj fget_object download_as_bytes"
    " download_as_string download_blob download_as_text".split()
)
_ENDS: Final = (  # last parts of all calls that fetch something
    _BLOB
    | {n.rpartition(".")[2] for n in _FETCH}
    | {"get_file", "BigQueryExampleGen", "BigQueryToDatasetOp"}
)
_CHECKS: Final = re.compile(
    r"(?i)sha256|md5\b|known_hash|file_hash|checksum|hashlib|pooch|versionid|version_id"
    r"|generation=|versionAsOf|timestampAsOf|FOR SYSTEM_TIME|snapshot"
)
_MD5: Final = re.compile(r"md5\b")
_CHECK_WORDS: Final = (
    "sha256", "known_hash", "file_hash", "checksum", "hashlib", "pooch", "versionid",
    "version_id", "generation=", "versionasof", "timestampasof", "for system_time", "snapshot",
)  # fmt: skip
_SHELL: Final = re.compile(
    r"(?i)\b(?:wget|curl|gdown)\b.{0,200}?(https?://\S{4,300})"
    r"|\b(?:kaggle datasets download|kaggle competitions download)\b.{0,100}"
    r"|\b(?:aws s3 (?:cp|sync)|gsutil (?:-m )?(?:cp|rsync)|gcloud storage cp)\s{1,4}((?:s3|gs)://\S{3,200})"
)
_SQL: Final = frozenset(
    ("read_sql", "read_sql_query", "read_sql_table", "read_gbq", "table", "sql")
)
_SEARCHED: Final = (
    ".dvc files and dvc.lock, LFS attributes, lakeFS, Delta and Iceberg snapshots, registered data"
    " sets, hashes of the data"
)
_CONFIGS: Final = (
    ".yaml",
    ".yml",
    ".json",
    ".toml",
    ".env",
    ".cfg",
    ".ini",
    ".sh",
    ".mk",
    "makefile",
)
_CONFIG_KEY: Final = re.compile(
    r"(?i)^[\"']?(\w{0,40}(?:data|url|uri|source|path|bucket|file)\w{0,40})[\"']?\s{0,4}[:=]\s{0,4}"
    r"[\"']?((?:https?|s3|gs|abfss?)://[^\s\"']{4,300})"
)


@dataclass(frozen=True, slots=True)
class _Source:
    path: str
    line: int
    what: str
    kind: str  # branch, url, bucket, sql, file
    also: tuple[tuple[str, int], ...] = ()


@rule(
    "DM01",
    name="data-not-versioned",
    dimension="data_management",
    severity=HIGH,
    confidence=0.75,
    fix="Track the data with DVC (or lakeFS, Delta, a registered data set), and log the version"
    " with each run.",
    effort=(0.5, 3),
    sources=(
        "ml_test_score: Infra 1, training is reproducible",
        "se4ml: Use Versioning for Data, Model, Configurations and Training Scripts",
        "dvc_docs: use case Versioning Data and Models",
    ),
    absence=True,
    searched=_SEARCHED,
    practice="data_versioning",
)
def data_not_versioned(repo: AuditRepository) -> Iterator[Hit]:
    """Report where training data come from a place that may change."""
    if repo.absent("data_versioning") is None or repo.stages.training is None:
        return
    sources = list(_sources(repo))
    if any(s.kind != "file" for s in sources):
        sources = [s for s in sources if s.kind != "file"]
    seen: set[str] = set()
    count = 0
    for source in sorted(sources, key=lambda s: (_RANK.index(s.kind), repo.is_aside(s.path))):
        key = _KEY.sub("", source.what.lower())
        if key in seen or count >= _MOST:
            continue
        seen.add(key)
        count += 1
        yield Hit(
            source.path,
            source.line,
            f"{_HOW[source.kind].format(source.what)}; no version or checksum is kept anywhere in"
            " the workspace.",
            also=source.also,
            severity=MEDIUM if source.kind == "file" else None,
            confidence=0.65 if source.kind == "file" else None,
        )


_KEY: Final = re.compile(r"[\d{}%s_:-]+")
_RANK: Final = ("branch", "url", "bucket", "sql", "file")
_HOW: Final = {
    "branch": "Data are read from a branch, `{}`, that gets new commits",
    "url": "Data are downloaded from `{}`, whose content may change at any time",
    "bucket": "Data are read from {}, and the next upload replaces the object",
    "sql": "Data are read from {}, a table whose rows change",
    "file": "Training reads {}: neither git nor a store of versions holds it",
}


def _sources(repo: AuditRepository) -> Iterator[_Source]:
    written = _written(repo)
    wanted = _wanted(repo)
    for path in wanted:
        view = repo.view(path)
        if view is None or repo.is_aside(path):
            continue
        if not _checked(repo.text(path)):
            yield from _remote(repo, view)
        if path in repo.code.training_code or path in repo.code.training:
            yield from _local(repo, view, written)
    yield from _commands(repo)
    yield from _config(repo)
    if any(p.endswith(".ipynb") for p in wanted):
        yield from _magics(repo)


def _checked(text: str) -> bool:
    """Tell the same of a whole file as `_CHECKS`, faster."""
    low = text.lower()
    return any(w in low for w in _CHECK_WORDS) or ("md5" in low and _MD5.search(low) is not None)


def _wanted(repo: AuditRepository) -> list[str]:
    """Code that may fetch the data: neither tests nor what serves."""
    code = repo.code
    scripts = [p for p in code.product if not code.modules[p].notebook]
    scripts = [p for p in scripts if p not in code.serving and p not in code.batch]
    if any(p in code.training_code for p in scripts):
        return scripts
    return [*scripts, *code.training_notebooks]


def _remote(repo: AuditRepository, view: View) -> Iterator[_Source]:
    for call in ending(view, _ENDS):
        name = view.name(call)
        short = name.rpartition(".")[2]
        if name in _FETCH and call.args:
            url = view.string(call.args[0])
            if _URL.match(url) and (_DATA.search(url) or _is_data_url(url)):
                yield from _url(view, call, call.args[0], url)
            elif not url or url.startswith("{"):
                yield from _elsewhere(view, call)
        elif short == "get_file" and "utils" in name:
            url = view.string(view.arg(call, "origin", 1))
            if _URL.match(url):
                yield from _url(view, call, call, url)
        elif short in ("BigQueryExampleGen", "BigQueryToDatasetOp"):
            yield _Source(view.path, call.lineno, f"BigQuery (`{short}`)", "sql")
        elif short in _BLOB and _fetches_data(repo, view, call):
            what = view.string(call.args[0]) if call.args else ""
            yield _Source(view.path, call.lineno, what or "a bucket", "bucket")
    for call in reads_of(view):
        yield from _read(view, call)


def _elsewhere(view: View, call: ast.Call) -> Iterator[_Source]:
    """Find the URL of a download whose address is put together from parameters."""
    function = view.function(call)
    words = f"{view.path.rpartition('/')[2]} {function.name if function else ''}".lower()
    if not any(
        w in words for w in ("data", "download", "import", "ingest", "fetch", "raw", "extract")
    ):
        return
    for text in view.of(ast.Constant):
        if (
            isinstance(text.value, str)
            and _STORE.match(text.value)
            and not _FIXED.search(text.value)
        ):
            kind = "branch" if _BRANCH.search(text.value) else "url"
            yield _Source(view.path, text.lineno, text.value[:200], kind)


def _is_data_url(url: str) -> bool:
    return bool(
        re.search(r"(?i)dataset|/data/|tripdata|download\.?php|export\?|\bml/machine-learning", url)
    )


def _fetches_data(repo: AuditRepository, view: View, call: ast.Call) -> bool:
    """Tell whether a download from a bucket is one of data, not of a model."""
    function = view.function(call)
    words = " ".join(
        [view.path.rpartition("/")[2], function.name if function else "", written(call, 300)]
    ).lower()
    if any(
        w in words for w in ("model", "artifact", "checkpoint", "weights", "config", "vectorizer")
    ):
        return False
    return view.path in repo.code.training_code or any(
        w in words for w in ("data", "csv", "parquet", "raw", "ingest", "download", "import")
    )


def _url(view: View, call: ast.Call, node: ast.AST, url: str) -> Iterator[_Source]:
    if _FIXED.search(url):
        return
    yield _Source(
        view.path, _line(view, call, node), url, "branch" if _BRANCH.search(url) else "url"
    )


def _line(view: View, call: ast.Call, node: ast.AST) -> int:
    """Line of the URL's text when it stands in the same function, else that of the call."""
    settled = view.settled(node) if isinstance(node, ast.expr) else None
    if (
        settled is not None
        and settled is not node
        and view.function(settled) is view.function(call)
    ):
        return call.lineno
    return settled.lineno if settled is not None and settled is not node else call.lineno


def _read(view: View, call: ast.Call) -> Iterator[_Source]:
    func = call.func
    short = func.attr if isinstance(func, ast.Attribute) else ""
    first = call.args[0] if call.args else next((k.value for k in call.keywords[:1]), None)
    text = view.string(first)
    if _URL.match(text):
        yield from _url(view, call, first or call, text)
    elif _BUCKET.match(text):
        if not _FIXED.search(text):
            yield _Source(view.path, _line(view, call, first or call), text, "bucket")
    elif short in _SQL or (short == "query" and text[:7].lower() == "select "):
        words = " ".join(text.split())[:80]
        if words and not _CHECKS.search(text):
            yield _Source(view.path, call.lineno, f"`{words}`", "sql")


def _local(repo: AuditRepository, view: View, written: frozenset[str]) -> Iterator[_Source]:
    """Report files that training reads, that git does not hold, and that no code here writes."""
    found: list[tuple[int, str]] = []
    for call in reads_of(view):
        first = call.args[0] if call.args else next((k.value for k in call.keywords[:1]), None)
        text = view.string(first)
        if "://" in text or (isinstance(call.func, ast.Attribute) and call.func.attr in _SQL):
            continue
        name = text.rpartition("/")[2].rpartition("\\")[2].lower()
        if name and "{" not in name and (name in written or repo.named(name) or _held(repo, name)):
            continue
        if not _DATA.search(name or "x.csv") or any(w in name for w in ("pred", "score", "result")):
            continue
        found.append((call.lineno, text if name else ""))
    if found:
        line, text = found[0]
        shown = f"`{text}`" if text else "a path given at run time"
        if len(found) > 1:
            shown += f" and {len(found) - 1} more"
        yield _Source(view.path, line, shown, "file")


def _held(repo: AuditRepository, name: str) -> bool:
    """Tell whether a file of that name lies in the tree and git holds it."""
    return any(
        p.rpartition("/")[2].lower() == name
        for p in repo.workspace.sizes
        if p not in repo.workspace.ignored
    )


def _written(repo: AuditRepository) -> frozenset[str]:
    """Names of files that code of the workspace writes."""
    found: set[str] = set()
    for path in repo.code.product:
        text = repo.text(path)
        if ".to_" not in text and "dump" not in text and "save" not in text and "write" not in text:
            continue
        view = repo.view(path)
        for call in view.calls if view is not None else ():
            func = call.func
            if isinstance(func, ast.Attribute) and func.attr.startswith(("to_", "save", "write")):
                target = view.string(call.args[0]) if view is not None and call.args else ""
                name = target.rpartition("/")[2].lower()
                if name:
                    found.add(name)
    return frozenset(found)


def _commands(repo: AuditRepository) -> Iterator[_Source]:
    seen: set[tuple[str, int]] = set()
    for run in (*repo.runs.make, *repo.runs.shell, *repo.runs.images, *repo.runs.pipeline):
        match = _SHELL.search(run.text[:1_000])
        if match is None or (run.path, run.line) in seen or _CHECKS.search(run.text):
            continue
        seen.add((run.path, run.line))
        url, bucket = match.group(1), match.group(2)
        if url is not None:
            url = url.strip("\"'")
            if _is_data(run.text) and not _FIXED.search(url) and not _TOOL.search(url):
                kind = "branch" if _BRANCH.search(url) else "url"
                yield _Source(run.path, run.line, url, kind)
        elif bucket is not None:
            if re.search(r"(?i)data|raw|csv|parquet", bucket) and "model" not in bucket.lower():
                yield _Source(run.path, run.line, bucket.strip("\"'"), "bucket")
        else:
            yield _Source(run.path, run.line, match.group(0)[:80].strip(), "url")


_TOOL: Final = re.compile(
    r"(?i)install|/releases/|conda|spark|hadoop|jdk|maven|\.deb\b|\.sh\b|terraform|helm|kubectl|jar\b"
    r"|dl\.google|get\.docker|packages|awscli|schema"
)


def _magics(repo: AuditRepository) -> Iterator[_Source]:
    """Report downloads by shell lines of notebooks."""
    for path in repo.code.training_notebooks:
        text = repo.text(path)
        if (
            "s3 cp" not in text
            and "wget" not in text
            and "curl" not in text
            and "kaggle" not in text
        ):
            continue
        for number, line in cells_of(text):
            match = _SHELL.search(line[:1_000]) if line.lstrip().startswith("!") else None
            what = (match.group(1) or match.group(2) or match.group(0)) if match else ""
            if match and "{" not in what and not _FIXED.search(what) and not _TOOL.search(what):
                kind = "bucket" if what.startswith(("s3:", "gs:")) else "url"
                yield _Source(path, number, what.strip("\"'")[:200], kind)


def _is_data(text: str) -> bool:
    """Tell whether a line fetches data: a table by its suffix, or an archive said to hold data."""
    return any(
        _TABLE.search(word) or (_DATA.search(word) and "data" in text.lower())
        for word in (w.strip("\"'") for w in text.split()[:40])
    )


def _config(repo: AuditRepository) -> Iterator[_Source]:
    """Report data sets that configuration names by URL."""
    for path, file in repo.files.items():
        low = path.lower()
        if not low.endswith(_CONFIGS):
            continue
        if (
            is_test_path(path)
            or "://" not in file.text
            or ".github/" in low
            or len(file.text) > _MAX_TEXT
        ):
            continue
        for number, line in enumerate(repo.lines(path), 1):
            found = _CONFIG_KEY.match(line.strip()[:500].removeprefix("export "))
            if found is None or _FIXED.search(found.group(2)) or not _is_data(found.group(0)):
                continue
            url = found.group(2)
            if "model" in found.group(1).lower() or _TOOL.search(url) or low.endswith("lock.json"):
                continue
            kind = "bucket" if not url.startswith("http") else "url"
            yield _Source(path, number, url, "branch" if _BRANCH.search(url) else kind)
