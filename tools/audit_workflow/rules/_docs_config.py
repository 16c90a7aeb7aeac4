"""Configuration files that say the same things differently."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import Hit
from mlops_advisor.tools.evidence.parse.ci import system_of
from mlops_advisor.tools.evidence.parse.tree import Node

_NAMES: Final = re.compile(
    r"^(?:[\w.-]{0,40}[-_.])?(?:config|conf|params|parameters|settings|hyperparameters|hparams)"
    r"(?:[-_.][\w.-]{0,40})?\.(?:ya?ml|json|toml)$",
    re.IGNORECASE,
)
_APART: Final = re.compile(
    r"(?:^|[/_.-])(?:dev|develop|development|prod|production|stag|staging|stage|qa|uat|local|base|default|debug|"
    r"preprod|sandbox|env|envs|environments?|overlays?|example|sample|template|conf|configs?|experiments?|exp\d{0,3}|"
    r"ci|docker|gpu|cpu|small|large|tiny|demo|week|lab|lesson|cohorts?|v\d{1,3}|region|\d{1,4})(?=[/_.\d-]|$)",
    re.IGNORECASE,
)
_TOOLS: Final = (".dvc/", ".streamlit/", ".vscode/", ".devcontainer", ".circleci/", "package",
    "tsconfig", "mkdocs",
                 "renovate", ".pre-commit", "pyrightconfig", "node_modules", "_config.y",
                 ".aws/", ".kube/",
                 "tokenizer_config", "special_tokens", "generation_config",
                 "preprocessor_config")  # fmt: skip
_MIN_KEYS: Final = 4
_SHARED: Final = 0.6
_MAX_FILES: Final = 40
_LONG: Final = 4  # items but one of a list that is worth sharing
_MANY: Final = 8
_BETWEEN: Final = "\x1f"


def duplicates(repo: AuditRepository) -> Iterator[Hit]:
    """Pairs of configuration files with the same keys and differing values; one finding a file."""
    files: dict[str, dict[str, str]] = {}
    for path in repo.ending(".yml", ".yaml", ".json", ".toml"):
        name = path.rsplit("/", 1)[-1]
        if not _NAMES.match(name) or system_of(path) or any(t in path for t in _TOOLS):
            continue
        if "{{" in path or "examples/" in f"{path}" or len(files) >= _MAX_FILES:
            continue
        leaves = _leaves(repo, path)
        if len(leaves) >= _MIN_KEYS:
            files[path] = leaves
    told: set[str] = set()
    paths = sorted(files)
    for index, one in enumerate(paths):
        for two in paths[index + 1 :]:
            if two in told or not _comparable(one, two):
                continue
            why = _twice(files[one], files[two])
            if why:
                told.add(two)
                yield Hit(
                    two,
                    1,
                    f"`{two}` and `{one}` {why}",
                    "Keep one file that both parts read.",
                    also=((one, 1),),
                    confidence=0.75,
                )


def _twice(one: dict[str, str], two: dict[str, str]) -> str:
    """Say what two files hold both; empty when that is not much."""
    shared = one.keys() & two.keys()
    equal = {k for k in shared if one[k] == two[k]}
    lists = sorted(k for k in equal if one[k].count(_BETWEEN) >= _LONG)
    if lists and len(shared) < _MANY:
        names = ", ".join(f"`{k}`" for k in lists[:3])
        return f"hold the same {names}: a change of one misses the other."
    if len(shared) < _MIN_KEYS or len(shared) < _SHARED * min(len(one), len(two)):
        return ""
    differing = sorted(shared - equal)
    if differing and equal:
        names = ", ".join(f"`{k}`" for k in differing[:3])
        return (
            f"set the same {len(shared)} keys and differ in {names}: two sources for one setting."
        )
    if not differing and len(shared) == len(one) == len(two):
        return "are the same key by key: the two will drift apart."
    return ""


def _comparable(one: str, two: str) -> bool:
    """Tell whether two files have one name and no part of their paths sets them apart."""
    first, second = one.rsplit("/", 1)[-1], two.rsplit("/", 1)[-1]
    if (
        first.rpartition(".")[2] != second.rpartition(".")[2]
        and first.rpartition(".")[0] != second.rpartition(".")[0]
    ):
        return False
    if first != second and first.rpartition(".")[0] != second.rpartition(".")[0]:
        return False
    # What stands in only one of the two paths tells them apart on purpose, or does not.
    a, b = set(one.split("/")[:-1]), set(two.split("/")[:-1])
    return not any(_APART.search(part) for part in a ^ b)


def _leaves(repo: AuditRepository, path: str) -> dict[str, str]:
    """Scalars of a file by their full key."""
    if path.endswith((".yml", ".yaml")):
        docs = repo.yaml(path).docs
        tree = docs[0] if len(docs) == 1 else None
    else:
        tree = repo.tree(path)
    if tree is None or tree.map is None or tree.child("apiVersion") is not None:
        return {}
    found: dict[str, str] = {}
    stack: list[tuple[str, Node]] = [("", tree)]
    while stack and len(found) < 500:  # noqa: PLR2004
        prefix, node = stack.pop()
        if node.map is not None:
            stack += [(f"{prefix}.{k}" if prefix else k, n) for k, n in node.map.items()]
        elif node.items is not None:
            found[prefix] = "\x1f".join(n.text for n in node.items)[:4_000]
        else:
            found[prefix] = node.text
    return defaultdict(str, found) if found else {}
