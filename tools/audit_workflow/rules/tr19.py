"""Pretrained model or data set is fetched without a revision

## What it does

Reports `from_pretrained`, `pipeline`, `load_dataset`, `hf_hub_download`, `snapshot_download`,
`SentenceTransformer` and `torch.hub.load` that name something on a hub and no revision, and
`trust_remote_code=True`.

## Why is this bad?

The name stands for whatever its owner has uploaded last.  Weights, tokenizer or data change under
the same name, so training can't be repeated; with `trust_remote_code` the owner's code runs too.

## Known problems

A name that comes from elsewhere is taken for a hub name unless its own name speaks of a path.

## Example

```python
model = AutoModel.from_pretrained("bert-base-uncased")
```

## Use instead

```python
model = AutoModel.from_pretrained("bert-base-uncased", revision="86b5e09")
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._training import known_keys
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import HOLE, View, last

_HF_ROOTS: Final = frozenset(
    "transformers diffusers peft sentence_transformers datasets huggingface_hub optimum trl"
    " unsloth setfit timm adapters auto_gptq awq ctransformers vllm FlagEmbedding".split()
)
_DOWNLOADS: Final = frozenset(
    "hf_hub_download snapshot_download load_dataset load_dataset_builder cached_download".split()
)
_MAKERS: Final = frozenset(
    "SentenceTransformer CrossEncoder HuggingFaceEmbeddings HuggingFaceBgeEmbeddings"
    " HuggingFaceInstructEmbeddings LLM SparseEncoder".split()
)
_FORMATS: Final = frozenset(
    "csv json parquet text imagefolder audiofolder arrow pandas generator webdataset xml".split()
)
_PATHLIKE: Final = re.compile(
    r"path|dir\b|_dir|folder|output|ckpt|checkpoint|local|save|artifact|root|file|disk|export|tmp"
    r"|download|cache|trained|fine_?tuned|\bmodel_fn",
    re.IGNORECASE,
)
_NAMELIKE: Final = re.compile(
    r"name|model_id|repo|pretrained|base_model|backbone|encoder|tokenizer|hub|hf_|model_type"
    r"|model_str|architecture|dataset|bert|llm|\bmodel$|model_key",
    re.IGNORECASE,
)
_CLASSES: Final = re.compile(r"^(?:Auto|TF|Flax)?[A-Z]\w{2,80}$")


@module_rule(
    "TR19",
    name="pretrained-revision-unpinned",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.85,
    fix='Pass `revision="<commit of the hub>"`, or store a copy with your own artefacts.',
    effort=(0.05, 0.2),
    sources=(
        "bandit: B615 huggingface_unsafe_download",
        "hf_hub_docs: Download files, parameter revision",
        "owasp_ml: ML06:2023 ML Supply Chain Attacks",
    ),
    words=(
        "from_pretrained",
        "load_dataset",
        "hub",
        "SentenceTransformer",
        "CrossEncoder",
        "pipeline",
        "trust_remote_code",
        "Embeddings",
        "snapshot_download",
        "vllm",
    ),
)
def unpinned_revision(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report what is fetched by a name that may change."""
    seen: dict[tuple[object, str, str], int] = {}
    for call in view.calls:
        found = _fetched(view, call)
        if found is None:
            continue
        shown, source, sure = found
        trusted = view.literal(view.arg(call, "trust_remote_code")) is True
        pinned = _pinned(view, call, torch_hub=shown.endswith("hub.load"))
        if pinned and not trusted:
            continue
        if not trusted and (_local(repo, source, sure=sure) or _saved_here(view, source)):
            continue
        key = (view.scope(call), source, "" if shown.endswith("from_pretrained") else shown)
        if key in seen and not trusted:
            continue
        seen[key] = call.lineno
        yield _hit(view, call, shown, source, sure=sure, trusted=trusted, pinned=pinned)


def _hit(  # noqa: PLR0913 - what was found, all by keyword
    view: View, call: ast.Call, shown: str, source: str, *, sure: bool, trusted: bool, pinned: bool
) -> Hit:
    what = f'"{source}"' if sure else f"`{source}`"
    if trusted:
        at = next(k.value.lineno for k in call.keywords if k.arg == "trust_remote_code")
        also = "" if pinned else " and no `revision`"
        why = f"`{shown}` of {what} has `trust_remote_code=True`{also}: it runs code from the hub."
        return Hit(
            view.path,
            call.lineno if not pinned else at,
            why,
            "Leave `trust_remote_code` out, or pin the `revision` that was reviewed.",
            severity=MEDIUM if pinned else HIGH,
        )
    if shown.endswith("hub.load"):
        return Hit(
            view.path,
            call.lineno,
            f"`{shown}` of {what} names no tag or commit, and runs the code of its main branch.",
            f'Write "{source.partition(":")[0]}:<tag or commit>".',
            severity=HIGH,
        )
    return Hit(
        view.path,
        call.lineno,
        f"`{shown}` fetches {what} without `revision`: it follows the newest upload.",
        severity=LOW if not sure else None,
        confidence=None if sure else 0.6,
    )


def _fetched(view: View, call: ast.Call) -> tuple[str, str, bool] | None:
    """Say what is called, what it names, and whether the name is a literal."""
    name = view.name(call)
    short = last(name)
    known = bool(view.module.roots & _HF_ROOTS)
    keys: tuple[str, ...]
    if short == "from_pretrained":
        owner = last(name.rpartition(".")[0].removesuffix("()"))
        if not known or not _CLASSES.match(owner):
            return None
        keys = ("pretrained_model_name_or_path", "model_name", "model_id")
    elif name == "torch.hub.load":
        if view.literal(view.arg(call, "source", -1)) == "local":
            return None
        keys = ("repo_or_dir",)
    elif short in _DOWNLOADS and name.partition(".")[0] in _HF_ROOTS:
        keys = ("repo_id", "path")
    elif name == "transformers.pipeline":
        return _pipeline(view, call)
    elif short in _MAKERS and (known or name.startswith("langchain")):
        keys = ("model_name_or_path", "model_name", "model")
    else:
        return None
    node = next((v for k in keys if (v := view.arg(call, k)) is not None), None)
    if node is None and call.args and not isinstance(call.args[0], ast.Starred):
        node = call.args[0]
    if node is None and known_keys(view, call) is None:
        return None
    return _source(view, call, node)


def _pipeline(view: View, call: ast.Call) -> tuple[str, str, bool] | None:
    model = view.arg(call, "model", 1)
    if model is None:
        task = view.string(view.arg(call, "task", 0))
        return (dotted(call.func), f"the default model of {task}", True) if task else None
    text = view.string(model)
    return (dotted(call.func), text, True) if text and HOLE not in text else None


def _source(view: View, call: ast.Call, node: ast.expr | None) -> tuple[str, str, bool] | None:
    if node is None:
        return None
    text = view.string(node)
    shown = dotted(call.func)
    if text and HOLE not in text:
        return shown, text, True
    if isinstance(node, ast.Name):
        default = _default(view, node)
        if default:
            return shown, default, True
    name = dotted(node)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        name = str(node.slice.value)
    if isinstance(node, ast.Call) or text or not name:
        return None
    return shown, name, False


def _default(view: View, node: ast.Name) -> str:
    """Default of the parameter that a name is."""
    function = view.function(node)
    if function is None:
        return ""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    value = next((d for a, d in pairs if a.arg == node.id), None)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _pinned(view: View, call: ast.Call, *, torch_hub: bool) -> bool:
    if torch_hub:
        text = (
            view.string(call.args[0]) if call.args else view.string(view.arg(call, "repo_or_dir"))
        )
        return ":" in text or not text
    keys = known_keys(view, call)
    if keys is None:
        return True
    given = view.arg(call, "revision") or view.arg(call, "code_revision")
    if given is None:
        inner = view.settled(view.arg(call, "model_kwargs"))
        if isinstance(inner, ast.Dict):
            return any(isinstance(k, ast.Constant) and k.value == "revision" for k in inner.keys)
        return "revision" in keys
    value = view.literal(given)
    return value not in ("main", "master")


def _local(repo: AuditRepository, source: str, *, sure: bool) -> bool:
    if not sure:
        return bool(_PATHLIKE.search(source)) or not _NAMELIKE.search(source)
    if source.startswith(("./", "../", "/", "~", "s3:", "gs:", "file:")) or "\\" in source:
        return True
    if source in _FORMATS or source.count("/") > 1 or source.endswith((".bin", ".pt", ".json")):
        return True
    head = source.strip("/")
    if head.partition("/")[0] in ("models", "model", "data", "output", "outputs", "checkpoints"):
        return True
    return any(p == head or p.startswith(f"{head}/") for p in repo.paths)


def _saved_here(view: View, source: str) -> bool:
    """Tell whether the module itself writes what it reads: `save_pretrained` of the same name."""
    return any(
        last(view.name(c)) in ("save_pretrained", "save_model")
        and c.args
        and source in (view.string(c.args[0]), dotted(c.args[0]))
        for c in view.calls
    )
