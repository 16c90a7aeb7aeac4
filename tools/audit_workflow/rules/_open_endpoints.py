"""Endpoints of managed platforms that ask for no credential, by a setting or by its absence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.view import View, last

OPEN: Final = re.compile(
    r"--allow-unauthenticated\b|--auth-level[= ]anonymous|--ingress[= ]external\b|"
    r"--auth-type[= ]NONE|--member[= ][\"']?allUsers|--auth-enabled[= ]false|"
    r"--access-authorization[= ]false|--auth-mode[= ]none"
)
# Keys of configuration files, and the value that opens the service.
_KEYS: Final = {
    "AuthType": "none",
    "AuthorizationType": "none",
    "authLevel": "anonymous",
    "auth_mode": "none",
    "authMode": "none",
    "FunctionUrlAuthType": "none",
    "access_authorization": "false",
    "query_auth_token_enabled": "false",
    "allow_unauthenticated": "true",
    "allowUnauthenticated": "true",
    "run.googleapis.com/invoker-iam-disabled": "true",
}
_ARGUMENTS: Final = {
    "AuthType": ("NONE",),
    "authorizationType": ("NONE",),
    "authorization_type": ("NONE",),
    "auth_type": ("NONE",),
    "auth_level": ("ANONYMOUS",),
    "auth_mode": ("none", "NONE"),
    "allow_unauthenticated": (True,),
    "http_auth_level": ("ANONYMOUS",),
}
_WORDS: Final = (
    *("AciWebservice", "AksWebservice", "ANONYMOUS", "NONE", "allow_unauthenticated"),
    *('auth_mode="none"', "auth_mode='none'", "InferenceEndpoint", "inference_endpoint"),
)
_JSON: Final = re.compile(
    r"\"(authLevel|computeType|AuthType)\"\s{0,4}:\s{0,4}\"(anonymous|ACI|aci|NONE)\""
)


def open_endpoints(repo: AuditRepository) -> Iterator[tuple[str, int, str]]:
    """Give path, line and words of each setting that opens an endpoint."""
    yield from _yaml(repo)
    yield from _json(repo)
    for path, module in repo.code.product.items():
        text = repo.text(path)
        if any(w in text for w in _WORDS):
            view = repo.view(path)
            if view is not None and not repo.is_aside(module.path):
                yield from _code(view)


# --- configuration -------------------------------------------------------------------------------


def _yaml(repo: AuditRepository) -> Iterator[tuple[str, int, str]]:
    words = (*_KEYS, "computeType", "AWS::Serverless::Function", "httpApi", "- http", "flags")
    for file in repo.yaml_files(holding=words):
        if is_test_path(file.path):
            continue
        for doc in file.docs:
            for key, node in doc.find(*_KEYS):
                if node.text.lower() == _KEYS[key]:
                    yield file.path, node.line, f"{key}: {node.text}"
            for _, node in doc.find("flags"):
                found = OPEN.search(node.text)
                if found:
                    yield file.path, node.line, found.group(0)
            yield from _azure(file.path, doc)
            yield from _serverless(file.path, doc)


def _azure(path: str, doc: Node) -> Iterator[tuple[str, int, str]]:
    """Deployment configurations of Azure ML: ACI asks for no key unless told to, AKS does."""
    for home in doc.below():
        kind = home.child("computeType")
        if kind is None:
            continue
        enabled = home.child("authEnabled")
        if kind.text.lower() == "aci" and (enabled is None or enabled.text.lower() == "false"):
            line = enabled.line if enabled is not None else kind.line
            words = "authEnabled: false" if enabled is not None else _aci("authEnabled")
            yield path, line, words
        elif kind.text.lower() == "aks" and home.text_at("authEnabled").lower() == "false":
            yield path, (enabled or kind).line, "authEnabled: false"


def _aci(key: str) -> str:
    return f"ACI without {key}"


def _serverless(path: str, doc: Node) -> Iterator[tuple[str, int, str]]:
    """SAM and the Serverless framework: an event of the API without an authorizer is open."""
    guarded = any(n.map is not None for _, n in doc.find("Auth", "authorizers"))
    for _, resource in doc.pairs("Resources"):
        if guarded or resource.text_at("Type") != "AWS::Serverless::Function":
            continue
        for _, event in resource.pairs("Properties", "Events"):
            kind = event.child("Type")
            if kind is not None and kind.text in ("Api", "HttpApi"):
                yield path, kind.line, f"Type: {kind.text}` without `Auth"
    if doc.child("provider") is None or guarded:
        return
    for _, function in doc.pairs("functions"):
        for event in function.list_at("events"):
            for name in ("http", "httpApi"):
                node = event.child(name)
                if node is None or any(
                    node.child(k) is not None for k in ("authorizer", "private")
                ):
                    continue
                yield path, node.key_line or node.line, f"{name}` without `authorizer"


def _json(repo: AuditRepository) -> Iterator[tuple[str, int, str]]:
    for path in repo.ending(".json"):
        text = repo.text(path)
        found = _JSON.search(text) if len(text) < 100_000 else None  # noqa: PLR2004 - a bound
        if found is None or is_test_path(path):
            continue
        line = text.count("\n", 0, found.start()) + 1
        if found.group(1) != "computeType":
            yield path, line, f'"{found.group(1)}": "{found.group(2)}"'
        elif not re.search(r"\"authEnabled\"\s{0,4}:\s{0,4}true", text):
            yield path, line, _aci("authEnabled")


# --- code ------------------------------------------------------------------------------------


def _code(view: View) -> Iterator[tuple[str, int, str]]:
    for call in view.calls:
        name = view.name(call)
        end = last(name)
        if end == "deploy_configuration" and "Webservice" in name:
            yield from _webservice(view, call, name)
        for keyword in call.keywords:
            if keyword.arg in _ARGUMENTS:
                text = last(view.name(keyword.value)) or view.literal(keyword.value)
                if isinstance(keyword.value, ast.Constant):
                    text = keyword.value.value
                if text in _ARGUMENTS[keyword.arg]:
                    yield view.path, keyword.value.lineno, f"{keyword.arg}={text}"
            elif (
                end == "create_inference_endpoint"
                and keyword.arg == "type"
                and view.literal(keyword.value) == "public"
            ):
                yield view.path, keyword.value.lineno, 'type="public"'


def _webservice(view: View, call: ast.Call, name: str) -> Iterator[tuple[str, int, str]]:
    enabled = View.arg(call, "auth_enabled")
    value = view.literal(enabled)
    if "AciWebservice" in name and enabled is None and not View.spreads(call):
        token = View.arg(call, "token_auth_enabled")
        if token is None or view.literal(token) is False:
            yield view.path, call.lineno, _aci("auth_enabled")
    elif value is False and enabled is not None and "LocalWebservice" not in name:
        yield view.path, enabled.lineno, "auth_enabled=False"
