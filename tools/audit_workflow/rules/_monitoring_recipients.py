"""Lists of recipients that hold nobody."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs
from mlops_advisor.tools.evidence.parse.ci import system_of
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_RECIPIENTS: Final = re.compile(
    r"(?i)^(?:(?:alert|notification|failure|drift|monitoring|admin|on_call)_?)?"
    r"(?:emails?|e_mails?|recipients?|receivers?|mail_to|to_emails?|email_to|email_list)"
    r"(?:_list|_addresses)?$|^(?:alert|notify|notification)_(?:to|list|addresses)$"
)
_NONE_IN_YAML: Final = re.compile(
    r"(?im)(?:mail|recipient|receiver)\w{0,20}:\s{0,4}(?:\[\s{0,4}\]|[\"']{2}|$)"
)
_NOBODY: Final = re.compile(
    r"(?i)@(?:example\.(?:com|org|net)|domain\.com|your[-_]?\w{0,20}\.\w{2,6}|test\.com|email\.com)$|"
    r"^(?:your|me|user|someone|foo)[-_.]?\w{0,20}@"
)
_TOLD: Final = re.compile(
    r"(?i)e_?mail|recipient|(?:alarm|alert|notif|sns)\w{0,30}(?:topic|arn|channel|endpoint|webhook|to$)"
)
_UNSET: Final = re.compile(r"^\s{0,20}default\s{0,20}=\s{0,4}(?:null|\"\"|\[\s{0,4}\])\s{0,20}$")
_REACHES: Final = re.compile(r"sns|alarm|alert|notification|monitor|budget|action_group|chatbot")
_CFN_REACHES: Final = ("AWS::SNS::", "AWS::CloudWatch::Alarm", "AWS::Budgets::")
_GIVEN_IN: Final = (".tfvars", ".tfvars.json", ".sh", "makefile", ".json", ".toml")
_FLAGS: Final = ("email_on_failure", "email_on_retry")


def empty(repo: AuditRepository) -> Iterator[Hit]:
    """Find lists of recipients that are empty, or that hold an address of an example."""
    yield from _in_yaml(repo)
    yield from _in_terraform(repo)
    yield from _in_templates(repo)
    for view in repo.views("mail", "MAIL", "Mail", "recipient", "RECIPIENT"):
        text = repo.text(view.path).lower()
        spoken = "mail" in text or "recipient" in text
        if spoken and not view.module.notebook and not _docs.aside(repo, view.path):
            yield from _in_code(view)


def _in_yaml(repo: AuditRepository) -> Iterator[Hit]:
    for path in repo.ending(".yml", ".yaml"):
        if not _NONE_IN_YAML.search(repo.text(path)) or system_of(path) or _docs.aside(repo, path):
            continue
        for doc in repo.yaml(path).docs:
            if doc.child("kind") is not None:
                continue
            for key, node in doc.walk():
                if _RECIPIENTS.match(key) and node.map is None and not node.truthy:
                    yield _hit(path, node.key_line, key)


def _in_terraform(repo: AuditRepository) -> Iterator[Hit]:
    """Variables for an address of alarms that are empty unless somebody thinks of them."""
    for path, block in repo.terraform:
        if block.kind != "variable" or not _TOLD.search(block.type) or _docs.aside(repo, path):
            continue
        line = next((n for n, text in block.body if _UNSET.match(text)), 0)
        if line and _reaches(repo, block.type) and not _given(repo, block.type):
            yield _unset(path, line, f"var.{block.type}")


def _reaches(repo: AuditRepository, name: str) -> bool:
    """Tell whether a variable is what an alarm, a topic or a module with one is told."""
    used = re.compile(rf"\bvar\.{re.escape(name)}\b")
    return any(
        used.search(block.text())
        and (_REACHES.search(block.type) or (block.kind == "module" and _REACHES.search(name)))
        for _, block in repo.terraform
        if block.kind in ("resource", "module")
    )


def _given(repo: AuditRepository, name: str) -> bool:
    """Tell whether a module, a file of values or a command sets a variable."""
    setting = re.compile(
        rf"^\s{{0,20}}{re.escape(name)}\s{{0,40}}=\s{{0,4}}(?!null|\"\"|\[\s{{0,4}}\])\S"
    )
    if any(
        setting.match(text) for _, b in repo.terraform if b.kind == "module" for _, text in b.body
    ):
        return True
    for path, file in repo.files.items():
        if name not in file.text:
            continue
        if path.lower().endswith(".tfvars"):
            if any(setting.match(line[:600]) for line in repo.lines(path)):
                return True
        elif path.lower().endswith(_GIVEN_IN) or system_of(path):
            return True
    return False


def _in_templates(repo: AuditRepository) -> Iterator[Hit]:
    """Parameters of CloudFormation for the same."""
    for file in repo.yaml_files(holding=_CFN_REACHES):
        text = repo.text(file.path)
        for doc in file.docs if any(w in text for w in _CFN_REACHES) else ():
            for name, body in doc.pairs("Parameters"):
                default = body.child("Default")
                empty_ = default is not None and default.map is None and not default.items
                if (
                    default is not None
                    and empty_
                    and not default.text.strip()
                    and _TOLD.search(name)
                    and not _given(repo, name)
                ):
                    yield _unset(file.path, default.line, name)


def _unset(path: str, line: int, name: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{name}`, to which alarms are sent, is empty by default, and nothing here sets it: "
        "deployed as it is, nobody is told.",
        "Remove the default, so that a deployment without a recipient fails, or set the address "
        "of the team.",
        severity=MEDIUM,
        confidence=0.8,
    )


def _in_code(view: View) -> Iterator[Hit]:
    for values in view.assigned.values():
        for name, given in values.items():
            only = _RECIPIENTS.match(last(name)) and len(given) == 1 and _is_empty(given[0])
            if only and not _filled_later(view, name):
                yield _hit(view.path, given[0].lineno, name)
    for call in view.calls:
        for keyword in call.keywords:
            if keyword.arg and _RECIPIENTS.match(keyword.arg):
                yield from _value(view, keyword.arg, keyword.value)
    for node in view.of(ast.Dict):
        yield from _in_dict(view, node)


def _in_dict(view: View, node: ast.Dict) -> Iterator[Hit]:
    keys = {_text(k): v for k, v in zip(node.keys, node.values, strict=True) if _text(k)}
    for key, value in keys.items():
        if _RECIPIENTS.match(key):
            yield from _value(view, key, value)
    flag = next((f for f in _FLAGS if _is_true(keys.get(f))), "")
    if flag and "email" not in keys and None not in node.keys:
        yield Hit(
            view.path,
            keys[flag].lineno,
            f"`{flag}` is on and `email` is not set: the message of a failed run reaches no one.",
            "Set `email` to the address of the team.",
        )


def _value(view: View, name: str, value: ast.expr) -> Iterator[Hit]:
    if _is_empty(value) and not isinstance(value, ast.Constant):
        yield _hit(view.path, value.lineno, name)
        return
    parts = value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
    texts = [_text(p) for p in parts if _text(p)]
    if texts and len(texts) == len(parts) and all(_NOBODY.search(t) for t in texts):
        yield Hit(
            view.path,
            value.lineno,
            f"`{name}` holds only the address of an example: the messages meant for it reach "
            "nobody.",
            f"Set `{name}` to the address of the team that reacts.",
            severity=MEDIUM,
        )


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_empty(node: ast.expr) -> bool:
    if isinstance(node, (ast.List, ast.Tuple)):
        return not node.elts
    return isinstance(node, ast.Constant) and node.value == ""


def _filled_later(view: View, name: str) -> bool:
    """Tell whether a list gets its items after it was made."""
    return any(
        isinstance(c.func, ast.Attribute)
        and c.func.attr in ("append", "extend", "add", "insert")
        and dotted(c.func.value) == name
        for c in view.calls
    ) or any(dotted(n.target) == name for n in view.of(ast.AugAssign))


def _hit(path: str, line: int, name: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{name}` is empty: the messages meant for it reach nobody.",
        f"Set `{name}` to the address of the team that reacts, and fail at start when it is empty.",
    )
