"""Paths and addresses of one machine are written into the code

## What it does

Reports, in code, notebooks, scripts and configuration, home folders of a person, Windows drives,
addresses of machines (IP addresses, cloud instances, databases, function URLs) and account numbers
in ARNs.  Each kind is reported once a file, at its first place.

## Why is this bad?

The code runs on the machine of one person, or against the environment of that day.  To move it,
files have to be edited.

## Known problems

Values that an environment variable can override are fine and not reported, nor are paths inside
of containers, addresses of examples, and tests.

## Example

```python
df = pd.read_csv("/home/alice/data/train.csv")
mlflow.set_tracking_uri("http://52.14.9.201:5000")
```

## Use instead

```python
df = pd.read_csv(os.environ["TRAIN_DATA"])
mlflow.set_tracking_uri(os.getenv("MLFLOW_TRACKING_URI", "http://localhost:5000"))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.view import View, last

_CONTAINER_USERS: Final = (
    r"jovyan|airflow|ray|app|appuser|user|mambauser|jenkins|runner|model-server|mlflow|vscode|"
    r"prefect|dagster|sagemaker-user|docker|circleci|node|nonroot|notebook|worker|spark|glue_user|"
    r"ec2-user/SageMaker|venv|service|api|bentoml|flytekit|gitpod|coder|test|username|USER|your\w*"
)
_HOME: Final = re.compile(
    rf"(?<![\w.])/(?:home|Users)/(?!(?:{_CONTAINER_USERS})(?:/|\b))[a-zA-Z][\w.-]{{1,40}}/"
)
_WINDOWS: Final = re.compile(
    r"(?<![\w/])[A-Za-z]:(?:\\{1,2}|/)(?!/|Windows\b|Program Files|ProgramData|hostedtoolcache)"
    r"(?:[\w .()-]{1,60}(?:\\{1,2}|/))"
)
_COLAB: Final = re.compile(r"/content/(?:g?drive|MyDrive|data)")
_IP: Final = re.compile(
    r"(?<![\d.\w])((?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3})(?![\d.\w]|/\d)"
)
_PRIVATE: Final = re.compile(r"^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)")
_NO_ADDRESS: Final = re.compile(
    r"^(?:0\.|127\.|255\.|169\.254\.|224\.|8\.8\.|1\.1\.1\.|1\.0\.0\.|203\.0\.113\.|192\.0\.2\.|198\.51\.100\.)"
)
_HOST: Final = re.compile(
    r"\b(?:ec2-[\d-]{7,20}\.[\w.-]{0,40}amazonaws\.com|[\w-]{1,63}\.[\w.-]{0,80}rds\.amazonaws\.com|"
    r"[\w-]{6,40}\.execute-api\.[\w-]{1,30}\.amazonaws\.com|[\w-]{1,80}\.(?:azurewebsites\.net|"
    r"azurecontainer\.io|herokuapp\.com|ngrok(?:-free)?\.(?:io|app)|onrender\.com|a\.run\.app|"
    r"cloudfunctions\.net|elb\.amazonaws\.com|on\.aws)|[\w-]{1,80}\.[\w-]{1,40}\.(?:azmk8s\.io|"
    r"elb\.amazonaws\.com))\b"
)
_ARN: Final = re.compile(
    r"\barn:aws[\w-]{0,10}:[\w-]{1,30}:[\w-]{0,20}:(\d{12}):|\b(\d{12})\.dkr\.ecr\.[\w-]{1,20}\.amazonaws"
)
_LOCALHOST: Final = re.compile(r"https?://(?:localhost|127\.0\.0\.1)(?::\d{2,5})?")
_NEEDLES: Final = (
    "/home/", "/Users/", "/content/", "localhost", "amazonaws.com", "arn:aws", ".azure",
    ".azmk8s.io", "herokuapp.com", ".ngrok", "onrender.com", "a.run.app",
    "cloudfunctions.net", ".on.aws",
)  # fmt: skip
# Both begin with a plain character, which is found fast.
_NUMBERS: Final = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d")
_DRIVE: Final = re.compile(r":[\\/](?!/)(?<=(?<![\w/])[A-Za-z]:.)")
_EXAMPLE: Final = re.compile(
    r"(?i)example|your|placeholder|<[\w -]{1,40}>|xxx|changeme|123456789012|000000000000|"
    r"111122223333"
)
_OVERRIDABLE: Final = ("getenv", "get", "setdefault", "env", "pop", "Field", "Setting", "config")
_SKIPPED: Final = (
    "mlruns/",
    "/mlruns/",
    ".vscode/",
    ".idea/",
    "node_modules/",
    "egg-info/",
    "vendor/",
)
_CONFIG: Final = (
    ".yaml",
    ".yml",
    ".json",
    ".toml",
    ".cfg",
    ".ini",
    ".sh",
    ".bash",
    ".conf",
    ".properties",
)
_LOCKS: Final = ("lock", "conda", "environment.y", "package.json", "renovate", "dvc.lock")
_NO_VERSION: Final = 30  # no part of a version number is likely to be as large
_SHORTEST: Final = 7
_MAX_TEXT: Final = 20_000
_MAX_FILE: Final = 300_000
_KINDS: Final = {
    "home": "a path of one person's machine",
    "windows": "a path of one Windows machine",
    "colab": "a path that only exists in Colab",
    "ip": "the address of a machine",
    "host": "the address of one deployment",
    "arn": "an AWS account",
    "local": "a server that has to run on the same machine",
}


@rule(
    "PL12",
    name="hardcoded-environment",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.8,
    fix="Read it from the environment or a configuration file, with a default that works anywhere.",
    effort=(0.1, 0.5),
    sources=("twelve_factor: III. Config",),
)
def hardcoded_environment(repo: AuditRepository) -> Iterator[Hit]:
    """Report paths and addresses that bind files to one machine."""
    for path in repo.code.product:
        view = repo.view(path) if _may_hold(repo.text(path)) and not _skipped(path) else None
        if view is not None:
            yield from _once(path, _in_code(repo, view), notebook=view.module.notebook)
    for path, file in repo.files.items():
        low = path.lower()
        name = low.rsplit("/", 1)[-1]
        aside = _skipped(path) or is_test_path(path) or name.startswith(_LOCKS) or "lock" in name
        wanted = low.endswith(_CONFIG) or name.startswith(("makefile", "dockerfile"))
        if wanted and not aside and len(file.text) <= _MAX_FILE and _may_hold(file.text):
            yield from _once(path, _in_lines(repo, path))


def _may_hold(text: str) -> bool:
    """Tell whether a text may hold anything of what is looked for; cheap, for most hold nothing."""
    return (
        any(n in text for n in _NEEDLES)
        or _NUMBERS.search(text) is not None
        or _DRIVE.search(text) is not None
    )


def _skipped(path: str) -> bool:
    return path.startswith(_SKIPPED) or any(s in path for s in _SKIPPED)


def _once(
    path: str, found: Iterator[tuple[int, str, str]], *, notebook: bool = False
) -> Iterator[Hit]:
    """Report each kind once a file, in a notebook one for all, with the places of the others."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for line, kind, text in found:
        key = "all" if notebook else {"windows": "home", "colab": "home"}.get(kind, kind)
        groups.setdefault(key, []).append((line, f"`{text}` is {_KINDS[kind]}"))
    for places in groups.values():
        places.sort()
        line, what = places[0]
        more = f"; {len(places) - 1} more like it here" if len(places) > 1 else ""
        also = tuple((path, n) for n, _ in places[1:6] if n != line)
        if notebook:
            also, line = tuple(dict.fromkeys((path, n) for n, _ in places))[:5], 0
        low = LOW if all(_KINDS["local"] in w for _, w in places) else None
        yield Hit(path, line, f"{what}{more}.", also=also, severity=low)


def _match(text: str, *, code: bool) -> Iterator[tuple[str, str]]:
    """Kinds of what one text holds, with the part that shows it."""
    text = text[:_MAX_TEXT]
    if _EXAMPLE.search(text):
        return
    for kind, pattern in (("home", _HOME), ("windows", _WINDOWS), ("host", _HOST)):
        if found := pattern.search(text):
            yield kind, found.group(0)
    if code and (found := _COLAB.search(text)):
        yield "colab", found.group(0)
    if code and (found := _ARN.search(text)):
        yield "arn", found.group(0).rstrip(":")
    for found in _IP.finditer(text):
        address = found.group(1)
        part = text[max(0, found.start() - 12) : found.start()].lower()
        after = text[found.end() : found.end() + 1]
        whole = after.strip("\"', ") == "" and part.strip("\"'=: ")[-1:] in ("", "t", "p", "r", "i")
        wired = (
            "://" in part
            or "@" in part
            or "host" in part
            or after == ":"
            or (whole and max(int(n) for n in address.split(".")) >= _NO_VERSION)
        )
        if not _NO_ADDRESS.match(address) and (wired or _PRIVATE.match(address)):
            yield "ip", address
            break


# --- code ---------------------------------------------------------------------------------------


def _in_code(repo: AuditRepository, view: View) -> Iterator[tuple[int, str, str]]:
    for node in view.of(ast.Constant):
        value = node.value
        if not isinstance(value, str) or len(value) < _SHORTEST or not _may_hold(value):
            continue
        if isinstance(view.parent(node), ast.Expr):
            continue
        found = list(_match(value, code=True))
        if found and not _is_prose(value) and not _overridable(view, node):
            for kind, text in found:
                yield node.lineno, kind, text
        if _LOCALHOST.match(value) and (_is_tracking(view, node) or _is_called(repo, view, node)):
            yield node.lineno, "local", value[:60]


def _is_prose(text: str) -> bool:
    """Tell whether a text is a message or a document rather than a value."""
    return text.count(" ") > 8 or "\n\n" in text  # noqa: PLR2004


def _overridable(view: View, node: ast.Constant) -> bool:
    """Tell whether the text is the default of an environment variable or a setting."""
    for up in view.above(node):
        if isinstance(up, ast.Call):
            name = view.name(up)
            first = bool(up.args) and up.args[0] is node
            if name.startswith("os.") and last(name) in _OVERRIDABLE and not first:
                return True
            if last(name) in ("getenv", "Field", "env", "Setting", "config"):
                return True
            if last(name) in ("print", "info", "debug", "warning", "error", "skip"):
                return True
        if isinstance(up, ast.BoolOp) and "environ" in ast.dump(up):
            return True
        if isinstance(up, (ast.stmt,)):
            return isinstance(up, (ast.Raise, ast.Assert))
    return False


def _is_tracking(view: View, node: ast.Constant) -> bool:
    """Tell whether a text is where a client of a tracking server is pointed at."""
    parent = view.parent(node)
    if isinstance(parent, ast.keyword):
        parent = view.parent(parent)
    if isinstance(parent, ast.Call):
        return last(view.name(parent)) in ("set_tracking_uri", "set_registry_uri", "MlflowClient")
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        name = parent.targets[0].id
        return "TRACKING" in name.upper() and "URI" in name.upper()
    return False


def _is_called(repo: AuditRepository, view: View, node: ast.Constant) -> bool:
    """Tell whether a part of a pipeline or service calls another one at this address."""
    inside = view.path in repo.flows.modules or view.path in repo.code.serving_code
    if not inside and view.path not in repo.code.batch:
        return False
    parent = view.parent(node)
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        return parent.targets[0].id.isupper()
    return isinstance(parent, ast.Call) and view.name(parent).startswith(("requests.", "httpx."))


# --- configuration ------------------------------------------------------------------------------


def _in_lines(repo: AuditRepository, path: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(repo.lines(path), 1):
        if not _may_hold(line):
            continue
        bare = line.strip()
        if bare.startswith(("#", "//")) or len(bare) > 2_000 or ":-" in bare:  # noqa: PLR2004
            continue
        for kind, text in _match(bare.partition(" #")[0], code=False):
            if kind != "windows" or path not in repo.ci_paths:
                yield number, kind, text
