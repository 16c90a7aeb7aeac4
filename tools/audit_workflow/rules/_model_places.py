"""Models at one place that every run overwrites, and models chosen by their age."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import HOLE, View, last

_MODEL_FILE: Final = re.compile(
    r"(?:\.(?:pkl|pickle|joblib|pt|pth|onnx|h5|keras|safetensors|cbm|bst|tflite|bin|tar\.gz)|"
    r"/models?/?|"
    r"saved_model/?)$"
)
_DOWNLOADS: Final = frozenset(
    (
        "download_file",
        "download_fileobj",
        "upload_file",
        "upload_fileobj",
        "put_object",
        "get_object",
        "blob",
        "fput_object",
        "fget_object",
        "get_blob_client",
        "get_object_to_file",
    )
)
REMOTE: Final = re.compile(r"^(?:s3a?|gs|abfss?|wasbs?|hdfs|https?)://")
_COPIES: Final = (
    "shutil.copy",
    "shutil.copy2",
    "shutil.copyfile",
    "shutil.copytree",
    "shutil.move",
)
_LIVE: Final = re.compile(r"prod|serv|deploy|latest|current|champion|best|(?:^|/)(?:api|app|live)/")
VERSIONED: Final = re.compile(
    r"\{|\$|v\d|/\d{1,14}(?:/|$)|\d{4}-\d{2}|[0-9a-f]{7,40}|version|sha|@|tpl|huggingface\.co|hub"
)


def fixed_places(repo: AuditRepository) -> Iterator[Hit]:
    """Report uploads and loads at a place without a version, and the newest of a list."""
    for path in sorted(repo.code.product):
        text = repo.text(path)
        if repo.code.product[path].notebook or not any(
            w in text for w in ("s3", "storage", ".list(", "gs://", "blob", "shutil.")
        ):
            continue
        view = repo.view(path)
        if view is not None:
            yield from _fixed(view)
            yield from _newest_of_list(view)


# --- places that each run overwrites -------------------------------------------------------


def _fixed(view: View) -> Iterator[Hit]:
    """Models at one remote place: uploads and loads."""
    for call in view.calls:
        name = view.name(call)
        end = last(name)
        if end in _DOWNLOADS:
            if "boto3" not in name and not any(
                w in dotted(call).lower()
                for w in ("s3", "bucket", "client", "storage", "minio", "blob")
            ):
                continue
            texts = [view.string(a) for a in (*call.args, *(k.value for k in call.keywords))]
            key = next(
                (t for t in reversed(texts) if _MODEL_FILE.search(t) and "/" not in t[:1]), ""
            )
            if key and not VERSIONED.search(key) and not _dynamic(view, call):
                yield _overwritten(view.path, call.lineno, key)
        elif name in _COPIES and len(call.args) > 1:
            target, source = view.string(call.args[1]), view.string(call.args[0])
            model = "model" in target.lower() or _MODEL_FILE.search(source)
            if _LIVE.search(target) and model and not VERSIONED.search(target):
                yield _overwritten(view.path, call.lineno, target)
        elif end in (
            "load_model",
            "load",
            "read",
            "open",
            "Model",
            "SKLearnModel",
            "XGBoostModel",
            "upload",
        ):
            for node in (
                *call.args[:1],
                *(
                    k.value
                    for k in call.keywords
                    if k.arg in ("model_data", "artifact_uri", "model_uri")
                ),
            ):
                uri = view.string(node)
                if (
                    REMOTE.match(uri)
                    and _MODEL_FILE.search(uri)
                    and not VERSIONED.search(uri.partition("://")[2])
                ):
                    yield _overwritten(view.path, call.lineno, uri)


def _dynamic(view: View, call: ast.Call) -> bool:
    """Tell whether a part of the key is not known."""
    return any(HOLE in view.string(a) for a in (*call.args, *(k.value for k in call.keywords)))


def _overwritten(path: str, line: int, where: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{where[:80]}` is one fixed place: each training run overwrites the model that is served,"
        " and the one before is gone.",
        "Write each model under its version or run id, and let the release name which is served.",
        confidence=0.7,
    )


def _newest_of_list(view: View) -> Iterator[Hit]:
    """`Model.list(..., order_by="update_time")[-1]` picks what was uploaded last."""
    for node in view.of(ast.Subscript):
        value = node.value
        if not isinstance(value, ast.Call) or view.literal(node.slice) not in (0, -1):
            continue
        name = view.name(value)
        if (
            name.endswith(
                ("Model.list", "models.list", "search_model_versions", "list_model_packages")
            )
            and "Endpoint" not in name
        ):
            yield Hit(
                view.path,
                node.lineno,
                f"`{ast.unparse(value.func)}(...)[{view.literal(node.slice)}]` deploys whatever was"
                " uploaded last under this name.",
                "Take the resource name or version of the model that was judged as an argument.",
            )
