"""Remembers the audits of the last few workspaces by their content.

A server is asked about the same folder again and again (other rules shown, a summary, then all).
What a workspace holds decides what is found, so a digest of it is the key: reading the files stays,
parsing and checking are spared.  Partial audits are never kept.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from hashlib import sha256
from typing import Final

from cachetools import LRUCache

from mlops_advisor.tools.audit_workflow.engine import Audit
from mlops_advisor.tools.evidence.models import ProbeReport, Workspace

_KEPT: Final[LRUCache[Hashable, tuple[Audit, ProbeReport]]] = LRUCache(maxsize=8)
_LOCK: Final = threading.Lock()


def digest(workspace: Workspace, *further: str) -> str:
    """Digest of everything that was read or seen, and of what else decides the findings."""
    whole = sha256()
    groups = (
        further,
        sorted(workspace.paths),
        sorted(workspace.ignored),
        [f"{path}\0{size}" for path, size in sorted(workspace.sizes.items())],
        [f"{s.path}\0{s.reason}" for s in workspace.skipped],
    )
    for group in groups:
        whole.update(f"{len(group)}\0".encode())
        for part in group:
            text = part.encode("utf-8", "replace")
            whole.update(f"{len(text)}\0".encode() + text)
    for file in workspace.files:
        text = file.text.encode("utf-8", "replace")
        whole.update(f"{file.path}\0{len(text)}\0".encode("utf-8", "replace") + text)
    return whole.hexdigest()


def recall(key: Hashable) -> tuple[Audit, ProbeReport] | None:
    """Audit and facts kept for a key, or None."""
    with _LOCK:
        return _KEPT.get(key)


def keep(key: Hashable, audit: Audit, report: ProbeReport) -> None:
    """Keep an audit, unless it is partial."""
    if not audit.omitted and not report.omitted and not report.inventory.truncated:
        with _LOCK:
            _KEPT[key] = (audit, report)
