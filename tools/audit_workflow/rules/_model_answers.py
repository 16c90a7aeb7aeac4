"""Prediction endpoints whose answers and logs do not say which model they used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit
from mlops_advisor.tools.audit_workflow.rules._serving import (
    Endpoint,
    endpoints,
    prediction,
    reach,
)
from mlops_advisor.tools.evidence.view import View, last, strings_in

_MAX_TEXT: Final = 200
_RECORDS: Final = re.compile(
    r"version|run_id|runid|model_name|model_uri|model_id|model_tag|revision|git_sha|commit|"
    r"\btag\b|alias",
    re.IGNORECASE,
)


# --- answers that do not say which model ---------------------------------------------------


def silent_answers(repo: AuditRepository) -> Iterator[Hit]:
    """Report, once for each service, an answer without the version of the model."""
    done: set[str] = set()
    for path in sorted(repo.code.serving_code):
        view = repo.view(path)
        if view is None or path in done:
            continue
        for endpoint in endpoints(repo, view):
            if endpoint.does != "predict" or endpoint.style not in (
                "http",
                "lambda",
                "bentoml",
                "ray",
                "azure",
            ):
                continue
            if prediction(repo, view, endpoint.function) is None or _says_version(repo, endpoint):
                continue
            done.add(path)
            answer = _answer(view, endpoint)
            yield Hit(
                path,
                answer,
                f"Neither the answer of {endpoint.name} nor a log line says which version of the"
                " model made the prediction.",
                "Add `model_version` to the answer and to the log.",
                severity=LOW,
                confidence=0.7,
            )
            break


def _answer(view: View, endpoint: Endpoint) -> int:
    returns = [
        n
        for n in view.below(endpoint.function, ast.Return)
        if view.function(n) is endpoint.function and n.value is not None
    ]
    return max((n.lineno for n in returns), default=endpoint.function.lineno)


def _says_version(repo: AuditRepository, endpoint: Endpoint) -> bool:
    """Tell whether the endpoint, its service or a log call names a version."""
    for view, function in reach(repo, endpoint.view, endpoint.function):
        if any(
            _RECORDS.search(str(c.value))
            for c in strings_in(function)
            if len(str(c.value)) < _MAX_TEXT
        ):
            return True
        for node in view.below(function, ast.Name, ast.Attribute, ast.keyword):
            name = getattr(node, "id", "") or getattr(node, "attr", "") or getattr(node, "arg", "")
            if _RECORDS.search(f"{name}"):
                return True
    view = endpoint.view
    for call in view.calls:
        if last(view.name(call)) in ("info", "debug", "warning", "print") and _RECORDS.search(
            ast.unparse(call)[:300]
        ):
            return True
    return any(_RECORDS.search(e.route) for e in endpoints(repo, view))
