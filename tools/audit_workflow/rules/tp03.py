"""The test does not test the code that runs

## What it does

Reports tests of a copy (a function defined in a test file under the name of a function of the
product, with nearly its text, or a module in the test folder that repeats one of the product), and
tests that need production: a model or data read from a registry, a bucket or an absolute path, a
file that the repository does not hold, a service on the network when the test file is imported.

## Why is this bad?

The copy stays green while the product breaks.  A test that needs production data does not run in
CI, or runs against data that changes.

## Known problems

Calls inside integration tests, or behind a mock of the cloud, are left alone.

## Example

```python
model = mlflow.pyfunc.load_model("models:/price/Production")   # at import

def test_price():
    assert model.predict(ROW)[0] > 0
```

## Use instead

```python
@pytest.fixture
def model():
    return train(read_csv(HERE / "data/sample.csv"))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._calls import ending
from mlops_advisor.tools.audit_workflow.rules._docs import source
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_MIN_STATEMENTS: Final = 3
_MIN_LINES: Final = 12
_SAME: Final = 0.8
_REMOTE: Final = re.compile(
    r"^(?:s3a?|gs|gcs|abfss?|wasbs?|hdfs|dbfs|models|runs|mlflow-artifacts):/"
)
_ABSOLUTE: Final = re.compile(
    r"^(?:/(?:home|Users|data|mnt|opt|root|srv|content|workspace)/|[A-Za-z]:[\\/]|~/)"
)
_WEB: Final = re.compile(r"^https?://(?!localhost|127\.0\.0\.1|testserver|0\.0\.0\.0|example\.)")
_READS: Final = frozenset(
    "read_csv read_parquet read_json read_excel read_pickle read_table load load_model open joblib"
    " load_data read_feather from_pretrained download_artifacts load_iris_model loadtxt "
    "genfromtxt".split()
)
_CALLS: Final = frozenset(("get", "post", "put", "request", "urlopen", "urlretrieve"))
_MOCKED: Final = re.compile(
    r"\b(?:moto|mock_aws|mock_s3|localstack|responses|requests_mock|vcr|respx|httpretty)\b"
)
_WHOLE: Final = ("integration", "integraton", "e2e", "end_to_end", "acceptance", "system", "load")
_DATA: Final = (".csv", ".parquet", ".pkl", ".joblib", ".pickle", ".h5", ".pt", ".pth", ".onnx",
    ".bin",
                ".keras", ".npy", ".model", ".feather", ".xlsx", ".json")  # fmt: skip


@rule(
    "TP03",
    name="test-not-of-real-code",
    dimension="team_practices",
    severity=HIGH,
    confidence=0.75,
    fix="Import the product's code in the test, and give it a small file of the test folder.",
    effort=(0.2, 2),
    sources=(
        "test_smells: Mystery Guest (test depends on external resources)",
        "ml_test_score: Infra 3, the full ML pipeline is integration tested",
    ),
)
def test_not_of_real_code(repo: AuditRepository) -> Iterator[Hit]:
    """Report tests of copies, and tests that need production."""
    for path in repo.code.tests:
        view = repo.view(path)
        if view is None or view.module.notebook:
            continue
        yield from _copies(repo, view)
        copied = _copied_module(repo, path)
        if copied:
            yield Hit(
                path,
                1,
                f"This file repeats `{copied}` nearly line by line: what imports it tests a copy.",
                f"Import `{copied}` in the tests and delete this file.",
                also=((copied, 1),),
            )
        elif not _MOCKED.search(repo.text(path)):
            yield from _production(repo, view)


# --- copies -------------------------------------------------------------------------------------


@shared
def _bodies(repo: Repository) -> dict[str, list[tuple[str, int, str]]]:
    """Functions of the product by name: path, line, normalised text."""
    found: dict[str, list[tuple[str, int, str]]] = {}
    for path in repo.code.product:
        view = repo.view(path)
        for function in view.functions if view is not None else ():
            if len(function.body) >= _MIN_STATEMENTS:
                found.setdefault(function.name, []).append((path, function.lineno, _text(function)))
    return found


def _text(function: AnyFunction) -> str:
    return "\n".join(source(s) for s in function.body)[:8_000]


def _copies(repo: AuditRepository, view: View) -> Iterator[Hit]:
    for function in view.functions:
        if function.name.startswith(("test", "__")) or len(function.body) < _MIN_STATEMENTS:
            continue
        if any("fixture" in source(d) for d in function.decorator_list):
            continue
        for path, line, text in _bodies(repo).get(function.name, ())[:20]:
            if _likeness(text.split("\n"), _text(function).split("\n")) >= _SAME:
                yield Hit(
                    view.path,
                    function.lineno,
                    f"`{function.name}` is a copy of the one in `{path}`: the tests below it "
                    "check the "
                    "copy, and a fault in the original passes.",
                    f"Import `{function.name}` from `{path}`.",
                    also=((path, line),),
                )
                break


def _likeness(one: list[str], other: list[str]) -> float:
    a, b = {x.strip() for x in one if x.strip()}, {x.strip() for x in other if x.strip()}
    return len(a & b) / max(len(a | b), 1)


@shared
def _lines(repo: Repository) -> dict[str, frozenset[str]]:
    """Distinct code lines of the product's modules, by path."""
    return {p: _code(repo, p) for p, m in repo.code.product.items() if not m.notebook}


def _code(repo: Repository, path: str) -> frozenset[str]:
    return frozenset(
        s
        for line in repo.lines(path)[:2_000]
        if len(s := line.strip()) > len("return x") and not s.startswith(("#", "import ", "from "))
    )


def _copied_module(repo: AuditRepository, path: str) -> str:
    """Product module that a helper in the test folder repeats; empty when none."""
    name = path.rsplit("/", 1)[-1]
    module = repo.code.modules[path]
    if (
        name.startswith("test_")
        or name.endswith("_test.py")
        or name in ("conftest.py", "__init__.py")
    ):
        return ""
    if any(f.last.startswith("test") for f in module.functions):
        return ""
    mine = _code(repo, path)
    if len(mine) < _MIN_LINES:
        return ""
    best, which = 0.0, ""
    for other, lines in _lines(repo).items():
        if len(lines) * _SAME > len(mine) / _SAME or len(lines) < len(mine) * _SAME**2:
            continue
        share = len(mine & lines) / max(len(mine | lines), 1)
        if share > best:
            best, which = share, other
    return which if best >= _SAME else ""


# --- production ---------------------------------------------------------------------------------


class _Read(NamedTuple):
    """One text that a call of a test reads or calls."""

    text: str
    early: bool  # when the file is imported
    whole: bool  # the test is one of the whole system
    network: bool

    @property
    def when(self) -> str:
        """When it happens, in words."""
        return "when the test file is imported" if self.early else "in a test"


def _production(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """One finding of each sort a file, what happens at import first."""
    whole = any(w in view.path.lower() for w in _WHOLE)
    best: dict[str, tuple[bool, int, str]] = {}
    for line, read in _reads(view, whole=whole):
        sort, why = _why(repo, view, read)
        if why and (sort not in best or (read.early and not best[sort][0])):
            best[sort] = (read.early, line, why)
    for function in view.functions if not whole else ():
        found = _fixture(view, function) or _cloud(view, function)
        if found:
            best.setdefault("remote", (False, *found))
    for early, line, why in best.values():
        yield Hit(
            view.path,
            line,
            why,
            severity=HIGH if early else MEDIUM,
            confidence=0.8 if early else 0.65,
        )


def _reads(view: View, *, whole: bool) -> Iterator[tuple[int, _Read]]:
    """Texts that calls read files from or send requests to, with their lines."""
    script = not any(f.last.startswith("test") for f in view.module.functions)
    for call in ending(view, {*_CALLS, *_READS}):
        name = view.name(call)
        method = last(name)
        network = method in _CALLS and name.startswith(("requests.", "httpx.", "urllib."))
        if (network and (whole or script)) or not (network or method in _READS):
            continue
        function = view.function(call)
        if function is not None and any("skip" in source(d) for d in function.decorator_list):
            continue
        for value in [*call.args[:2], *(k.value for k in call.keywords)]:
            text = view.string(value)
            if text and "tmp" not in source(value):
                yield call.lineno, _Read(text, view.at_import(call), whole, network)


def _fixture(view: View, function: AnyFunction) -> tuple[int, str] | None:
    """Find a fixture that hands tests a remote data set."""
    if not any("fixture" in source(d) for d in function.decorator_list):
        return None
    for node in view.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            text = view.string(node.value)
            if _REMOTE.match(text) or (_WEB.match(text) and text.endswith(_DATA)):
                why = (
                    f"`{text[:80]}` is handed to tests: without the network, or once it "
                    "changes, they fail."
                )
                return node.lineno, why
    return None


def _cloud(view: View, function: AnyFunction) -> tuple[int, str] | None:
    """Find a test that demands the settings of a cloud project and works on its resources."""
    clients = {"google", "boto3", "azure", "sagemaker", "mlflow"}
    if not function.name.startswith("test") or not view.module.roots & clients:
        return None
    settings = any(
        isinstance(n, ast.Call) and view.name(n) in ("os.getenv", "os.environ.get")
        for n in view.walk(function)
    )
    if not settings:
        return None
    clouds = ("google.cloud.", "boto3.", "azure.", "sagemaker.", "mlflow.")
    used = next(
        (
            view.name(n)
            for n in view.walk(function)
            if isinstance(n, ast.Call) and view.name(n).startswith(clouds)
        ),
        "",
    )
    if not used:
        return None
    return function.lineno, (
        f"`{function.name}` asks the environment for a project and calls `{used}` there: it "
        "runs only "
        "where that project, its data and its credentials are."
    )


def _why(repo: AuditRepository, view: View, read: _Read) -> tuple[str, str]:
    """Sort of production that a text stands for, and words for it; empty when for none."""
    text, name = read.text, f"`{read.text[:80]}`"
    if read.network:
        called = text.startswith(("http://localhost", "http://127.0.0.1")) or _WEB.match(text)
        why = f"{name} is called {read.when}: without that service no test of the file runs."
        return ("web", why) if read.early and called else ("", "")
    if _REMOTE.match(text) and (read.early or not read.whole):
        why = (
            f"{name} is read {read.when}: the test depends on what production holds at the moment."
        )
        return "remote", why
    if _ABSOLUTE.match(text):
        return "path", f"{name} is read {read.when}: the path exists on one machine only."
    if _WEB.match(text) and read.early:
        why = f"{name} is fetched {read.when}: without the network no test of the file runs."
        return "web", why
    if text.endswith(_DATA) and "{}" not in text and not _here(repo, view, text):
        return "file", (
            f"{name} is read {read.when}, and the repository does not hold it: the test runs only "
            "where somebody put the file."
        )
    return "", ""


def _here(repo: AuditRepository, view: View, text: str) -> bool:
    """Tell whether a file is in the repository, or made by the tests or a pipeline of DVC."""
    name = text.rsplit("/", 1)[-1]
    if any(p.rsplit("/", 1)[-1] == name for p in repo.paths):
        return True
    body = repo.text(view.path)
    if body.count(name) > 1 and re.search(
        r"to_csv|to_parquet|dump|save|write|mkdir|open\([^)]{0,80}[\"']w", body
    ):
        return True
    return any(name in repo.text(p) for p in repo.code.tests if p != view.path) or any(
        p.endswith(f"{name}.dvc") for p in repo.paths
    )
