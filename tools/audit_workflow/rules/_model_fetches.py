"""Models that services fetch from one fixed place, and versions written down in their code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.runs import Run
from mlops_advisor.tools.evidence.view import View, last

_FETCH: Final = re.compile(
    r"\b(?:aws(?: --?\S{1,60}){0,4} s3 (?:cp|sync)|gsutil(?: -\S{1,20}){0,3} (?:cp|rsync)|"
    r"gcloud storage (?:cp|rsync)|mc (?:cp|mirror)|s3cmd (?:get|sync)|rclone copy)"
    r"((?:\s{1,4}-{1,2}[\w-]{1,40})*)\s{1,4}[\"']?((?:s3|gs)://[^\s\"']{1,300})[\"']?"
    r"\s{1,4}[\"']?([^\s\"']{1,200})"
)
_MODELISH: Final = re.compile(
    r"model|mlflow|mlruns|checkpoint|ckpt|weights|artifacts?/|results?/|"
    r"\.(?:pkl|pickle|joblib|pt|pth|onnx|h5|keras|safetensors|cbm|bst|tflite|mar)\b",
    re.IGNORECASE,
)
_VARIABLE: Final = re.compile(
    r"\$\{\{[^{}]{0,120}\}\}|\$\{?\w{1,80}\}?|\{[^{}]{0,80}\}|\$\([^)]{0,80}\)"
)
_NO_VERSION: Final = re.compile(
    r"user|bucket|name|region|account|stage|env|prefix|project|folder|dir|root|registry|team",
    re.IGNORECASE,
)
_VERSIONED: Final = re.compile(
    r"v\d|/\d{1,14}(?:/|$)|\d{4}-\d{2}|[0-9a-f]{7,40}|version|sha\b|@|latest_approved"
)
_DEPLOYS: Final = re.compile(
    r"deploy|serv|predict|infer|scor|entrypoint|start|release|(?:^|[/_-])(?:api|app|run|web|cd)\b|"
    r"download|fetch|pull",
    re.IGNORECASE,
)
_SHELLS: Final = frozenset(
    ("check_output", "check_call", "run", "call", "system", "Popen", "popen")
)
_HEX: Final = re.compile(r"(?:^|[/:])([0-9a-f]{32})(?:/|$)")
_RUN_KEYS: Final = (
    *("run_id", "RUN_ID", "runId", "model_run_id", "MODEL_RUN_ID", "mlflow_run_id"),
    *("MLFLOW_RUN_ID", "logged_model", "LOGGED_MODEL", "model_uri", "MODEL_URI", "model_path"),
    *("MODEL_PATH", "model_id", "MODEL_ID", "best_run_id"),
)
_PAIR: Final = re.compile(r"\s{0,40}\"(\w{1,40})\"\s{0,4}:\s{0,4}\"([^\"]{1,300})\"")
_VERSION_NAMES: Final = frozenset(
    "model_version run_id model_run_id mlflow_run_id model_tag".split()
)
_VERSION: Final = re.compile(r"v?\d{1,6}(?:\.\d{1,6}){0,3}|[0-9a-f]{32}")
_RECORDS: Final = re.compile(r"(?:^|/)(?:mlruns|mlartifacts|outputs|\.dvc|wandb|node_modules)/")


def fetched_models(repo: AuditRepository) -> Iterator[Hit]:
    """Report copies of a model from a place that names no version."""
    seen: set[tuple[str, int]] = set()
    for run in _runs(repo):
        found = _fetched(run.text)
        if found and (run.path, run.line) not in seen and _goes_live(run):
            seen.add((run.path, run.line))
            yield _hit(run.path, run.line, found)
    for path, module in repo.code.product.items():
        text = repo.text(path)
        if module.notebook or ("s3" not in text and "gs" not in text):
            continue
        if not _DEPLOYS.search(path) and path not in repo.code.serving_code:
            continue
        if not any(w in text for w in ("subprocess", "os.system", "os.popen")):
            continue
        view = repo.view(path)
        if view is not None:
            yield from _of_code(view)


def _runs(repo: AuditRepository) -> Iterable[Run]:
    starts = [r for r in repo.runs.images if not r.path.endswith(".py")]
    started = {
        (path, i.line) for path, all_ in repo.dockerfiles.items() for i in all_ if i.name == "RUN"
    }
    images = [r for r in starts if (r.path, r.line) not in started]
    return (*repo.runs.ci, *repo.runs.shell, *images, *repo.runs.cluster)


def _goes_live(run: Run) -> bool:
    """Tell whether a command belongs to what serves or deploys."""
    if is_test_path(run.path) or run.source in ("docker", "compose", "k8s"):
        return not is_test_path(run.path)
    job = f"{run.job.name} {run.job.path} {run.step.name if run.step else ''}" if run.job else ""
    return bool(_DEPLOYS.search(f"{run.path} {job}"))


def _fetched(text: str) -> str:
    """Place that a command copies a model from, when it names no version; empty otherwise."""
    found = _FETCH.search(text[:2_000])
    if found is None or found.group(3).startswith(("s3://", "gs://")):
        return ""
    place = found.group(2)
    bucket, _, key = place.partition("://")[2].partition("/")
    if not _MODELISH.search(place) and not _MODELISH.search(found.group(3)):
        return ""
    for variable in _VARIABLE.findall(key):
        if not _NO_VERSION.search(variable):
            return ""
    plain = _VARIABLE.sub("", key)
    versioned = _VERSIONED.search(f"/{plain}") or (not key and "$" in bucket)
    return "" if versioned else place


def _of_code(view: View) -> Iterator[Hit]:
    """`subprocess.run(["aws", "s3", "cp", "s3://...", "model/"])` and `os.system`."""
    hits: list[tuple[int, str]] = []
    for call in view.calls:
        if last(view.name(call)) in _SHELLS and call.args:
            place = _fetched(_spelled(view, call.args[0]))
            if place:
                hits.append((call.lineno, place))
    if hits:
        line, place = hits[0]
        also = tuple((view.path, n) for n, _ in hits[1:4])
        yield _hit(view.path, line, place, also)


def _spelled(view: View, node: ast.expr) -> str:
    """Text of a command with `{name}` for what is filled in."""
    settled = view.settled(node)
    if isinstance(settled, (ast.List, ast.Tuple)):
        return " ".join(_spelled(view, e).replace(" ", "_") or "{}" for e in settled.elts[:40])
    if isinstance(settled, ast.JoinedStr):
        parts = [
            f"{{{ast.unparse(v.value)[:60]}}}"
            if isinstance(v, ast.FormattedValue)
            else str(v.value)
            for v in settled.values[:40]
            if isinstance(v, (ast.FormattedValue, ast.Constant))
        ]
        return "".join(parts)[:1_000]
    if isinstance(settled, ast.Constant):
        return str(settled.value)[:1_000]
    return f"{{{ast.unparse(node)[:60]}}}"


def _hit(path: str, line: int, place: str, also: tuple[tuple[str, int], ...] = ()) -> Hit:
    return Hit(
        path,
        line,
        f"`{place[:80]}` is one fixed place: what goes live is whatever the last training run left"
        " there, the model before is gone, and nobody can say which version answers.",
        "Let the release name the version, and copy exactly that: `s3://.../$MODEL_VERSION/`.",
        also=also,
        confidence=0.75,
    )


# --- versions written down ---------------------------------------------------------------------


def written_versions(view: View) -> Iterator[Hit]:
    """Report constants of a service that name one version of the model."""
    for node in view.tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        if not isinstance(target, ast.Name) or not isinstance(node, (ast.Assign, ast.AnnAssign)):
            continue
        value = node.value.value if isinstance(node.value, ast.Constant) else None
        if (
            target.id.lower() in _VERSION_NAMES
            and isinstance(value, (str, int))
            and not isinstance(value, bool)
            and _VERSION.fullmatch(str(value))
        ):
            yield Hit(
                view.path,
                node.lineno,
                f"`{target.id} = {str(value)[:12]!r}` is written into the code: each new model and"
                " rollback is a commit, and the service states it whatever it loaded.",
                f'Read it from configuration: `os.environ["{target.id.upper()}"]`, set by the'
                " deployment.",
                severity=LOW,
                confidence=0.7,
            )


def configured_runs(repo: AuditRepository) -> Iterator[Hit]:
    """Report run ids in committed configuration, images and workloads."""
    for file in repo.yaml_files(holding=_RUN_KEYS):
        if _leave_out(repo, file.path):
            continue
        for doc in file.docs:
            for key, node in doc.find(*_RUN_KEYS):
                if _HEX.search(node.text):
                    yield _configured(file.path, node.line, key)
    yield from _of_json(repo)
    for path, instructions in repo.dockerfiles.items():
        for item in instructions:
            name, _, value = item.text.replace("=", " ").partition(" ")
            if item.name == "ENV" and name in _RUN_KEYS and _HEX.search(value.strip(" \"'")):
                yield _configured(path, item.line, name)


def _of_json(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ending(".json"):
        text = repo.text(path)
        if not any(f'"{k}"' in text for k in _RUN_KEYS) or _leave_out(repo, path):
            continue
        for number, line in enumerate(repo.lines(path)[:2_000], 1):
            found = _PAIR.match(line[:500])
            if found and found.group(1) in _RUN_KEYS and _HEX.search(found.group(2)):
                yield _configured(path, number, found.group(1))


def _leave_out(repo: AuditRepository, path: str) -> bool:
    return bool(
        is_test_path(path)
        or _RECORDS.search(path)
        or path.endswith(("MLmodel", "meta.yaml", ".lock"))
        or "integration" in path
        or repo.is_aside(path)
    )


def _configured(path: str, line: int, key: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{key}` names one training run in a committed file: a new model or a rollback is an edit"
        " here, and no registry knows which run serves.",
        "Register the model and let the deployment name its version or alias"
        " (`models:/NAME@champion`).",
        severity=LOW,
        confidence=0.6,
    )
