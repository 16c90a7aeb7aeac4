"""Variables of Azure Pipelines that are used and set nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._pipeline_paths import closest
from mlops_advisor.tools.evidence.parse.ci import system_of
from mlops_advisor.tools.evidence.parse.tree import Node

_USE: Final = re.compile(r"\$\(([A-Za-z]\w{1,80})\)")
_SET: Final = re.compile(r"task\.setvariable\s{1,3}variable=([\w.]{1,80})", re.IGNORECASE)
# Secrets are set in the web interface, on purpose.
_SECRET: Final = re.compile(
    r"secret|token|passw|pwd|key|credential|connection|sas|client_?id|tenant|subscription|user",
    re.IGNORECASE,
)
_SHELL: Final = re.compile(r"^[a-z]{1,12}\d?$")  # `$(pwd)`: the output of a command


def broken_variables(repo: AuditRepository) -> Iterator[Hit]:
    """Find variables of pipelines that no file sets, where nothing else could bring them."""
    paths = [p for p in repo.ci_paths if system_of(p) == "azure" and "$(" in repo.text(p)]
    known = {n.lower() for p in paths for n in _SET.findall(repo.text(p))} if paths else set()
    for path in paths:
        text = repo.text(path)
        docs = repo.yaml(path).docs
        if len(docs) != 1 or "${{" in text or _brings(docs[0]) or _is_template(docs[0]):
            continue
        set_here = known | {n.lower() for n in _declared(docs[0])}
        yield from _unset(path, docs[0], set_here)


def _brings(doc: Node) -> bool:
    """Tell whether a pipeline takes in what may define variables."""
    return any(True for _ in doc.find("group", "template", "extends", "resources"))


def _is_template(doc: Node) -> bool:
    """Tell whether another file includes this one, which has the variables."""
    starts = any(doc.child(k) is not None for k in ("trigger", "pr", "schedules", "pool"))
    return doc.child("parameters") is not None or not starts


def _declared(doc: Node) -> Iterator[str]:
    for node in doc.below():
        variables = node.child("variables")
        if variables is not None:
            yield from (k for k, _ in variables.pairs())
            yield from (n.text_at("name") for n in variables.items or ())
        for _, leg in node.pairs("strategy", "matrix"):
            yield from (k for k, _ in leg.pairs())


def _unset(path: str, doc: Node, known: set[str]) -> Iterator[Hit]:
    found: dict[str, int] = {}
    for key, node in doc.walk():
        script = key in ("script", "bash", "powershell", "pwsh", "inlineScript")
        for match in _USE.finditer(node.text[:20_000]):
            name = match.group(1)
            plain = script and _SHELL.match(name)
            if name.lower() not in known and not plain and not _SECRET.search(name):
                line = node.line + (1 if node.block else 0)
                found.setdefault(name, line + node.text.count("\n", 0, match.start()))
    if found:
        names = ", ".join(f"`$({n})`" for n in list(found)[:6])
        near = closest(next(iter(found)), sorted(known))
        hint = f" There is `{near}`." if near else ""
        why = (
            f"{names}: set by no variable, group, template or step of this pipeline, so the text "
            f"stays as it is.{hint}"
        )
        fix = "Define it below `variables:`, or include the group or template that does."
        also = tuple((path, n) for n in list(found.values())[1:5])
        line = next(iter(found.values()))
        yield Hit(path, line, why, fix, also=also, severity=MEDIUM, confidence=0.6)
