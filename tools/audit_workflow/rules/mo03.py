"""Measured, but nobody is alerted

## What it does

Follows the way of an alert.  Reported are: a rule file or an Alertmanager that `prometheus.yml`
names and that is not in the repository; alert rules without any receiver, receivers and lists of
recipients that are empty, alarms without an action; alert rules on metrics that nothing exports;
a drift or quality measure that no threshold and no message follows.

## Why is this bad?

A measure without a reaction changes nothing.  A rule that is never loaded, or whose message goes
nowhere, is worse: everybody believes in it.

## Known problems

Receivers may be set outside the repository.  Metrics of common exporters are taken as exported.

## Example

```yaml
rule_files:
  - alert_rules.yml   # not in the repository
```

## Use instead

```yaml
rule_files:
  - alert_rules.yml
alerting:
  alertmanagers:
    - static_configs:
        - targets: ["alertmanager:9093"]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import (
    _docs,
    _monitoring,
    _monitoring_alerts,
    _monitoring_recipients,
)

_PROMETHEUS: Final = ("rule_files", "scrape_configs", "alertmanagers")
_ALARMS: Final = (
    "aws_cloudwatch_metric_alarm",
    "google_monitoring_alert_policy",
    "azurerm_monitor_metric_alert",
)
_ACTIONS: Final = re.compile(r"\b(?:alarm_actions|ok_actions|notification_channels|action)\b")
_EMPTY_ACTIONS: Final = re.compile(
    r"\b(?:alarm_actions|notification_channels)\s{0,8}=\s{0,4}\[\s{0,4}\]"
)
_WARNS: Final = re.compile(
    r"(?i)\b(?:slack|smtplib|sendmail|send_(?:mail|email|alert|message|notification)|pagerduty|"
    r"opsgenie|notify\w{0,20}|alert\w{0,20}|webhook\w{0,20}|sns|publish|raise_for_drift|"
    r"teams|telegram|send_\w{0,20}|create_issue|EmailOperator|on_failure)\b"
)


@rule(
    "MO03",
    name="monitoring-without-alert",
    dimension="monitoring",
    severity=HIGH,
    confidence=0.85,
    fix="Give the measure a limit, an alert rule that is loaded, and a recipient that exists.",
    effort=(0.5, 3),
    sources=(
        "google_mlops: DevOps versus MLOps: notify or roll back when values deviate",
        "dora: capability Proactive failure notification",
        "prometheus_docs: Practices, Alerting",
    ),
    practice="alerting",
)
def monitoring_without_alert(repo: AuditRepository) -> Iterator[Hit]:
    """Report each place where the way of an alert ends."""
    yield from _rule_files(repo)
    yield from _alertmanagers(repo)
    yield from _receivers(repo)
    yield from _alarms(repo)
    yield from _monitoring_recipients.empty(repo)
    yield from _monitoring_alerts.unknown_metrics(repo)
    yield from _no_reaction(repo)


def _rule_files(repo: AuditRepository) -> Iterator[Hit]:
    """Rule files that Prometheus is told to load and that are nowhere."""
    for file in repo.yaml_files(holding=("rule_files",)):
        if _docs.aside(repo, file.path):
            continue
        missing = [
            n
            for d in file.docs
            for n in d.list_at("rule_files")
            if n.text and "tpl" not in n.text and not _here(repo, n.text)
        ]
        if missing:
            names = ", ".join(f"`{n.text}`" for n in missing[:5])
            yield Hit(
                file.path,
                missing[0].line,
                f"Prometheus is told to load {names}, and no such file is in the repository: no "
                "alert rule is active.",
                "Add the file with the alert rules and mount it beside this one, or remove the "
                "line.",
            )


def _here(repo: AuditRepository, name: str) -> bool:
    """Tell whether a rule file is in the repository, wherever it is mounted to."""
    base = name.rsplit("/", 1)[-1]
    parts = name.rsplit("/", 2)
    folder = parts[-2] if len(parts) > 1 else ""
    wild = base.lstrip("*").lower() in (".yml", ".yaml", ".rules", "", ".json")
    for path in repo.paths:
        last = path.rsplit("/", 1)[-1]
        if not fnmatch(last, base):
            continue
        if not wild or (folder and f"/{folder}/" in f"/{path}") or "rule" in path.lower():
            return True
    return False


def _alertmanagers(repo: AuditRepository) -> Iterator[Hit]:
    """Alertmanagers that Prometheus sends to and that nothing here runs."""
    services = {w.name for w in repo.workloads} | {m.name for m in repo.manifests}
    if not any("prom" in w.image or "prom" in w.name for w in repo.workloads):
        return
    for file in repo.yaml_files(holding=("alertmanagers",)):
        for doc in file.docs:
            for item in doc.list_at("alerting", "alertmanagers"):
                for target in [t for _, n in item.find("targets") for t in n.list_at()]:
                    host = target.text.partition(":")[0]
                    known = host in services or "." in host or host in ("", "localhost", "127")
                    if not known and host != "host":
                        why = (
                            f"Alerts are sent to `{target.text}`, and no service of that name is "
                            "started here."
                        )
                        yield Hit(file.path, target.line, why)


def _receivers(repo: AuditRepository) -> Iterator[Hit]:
    """Receivers without an address that routes point to, and rules that no receiver gets."""
    rules = _monitoring_alerts.rules(repo)
    addressed, empty = _monitoring_alerts.receivers(repo)
    if addressed:
        return
    for path, line, name in empty:
        why = (
            f"The receiver `{name}` has no address, or that of an example: its alerts reach nobody."
        )
        yield Hit(
            path, line, why, "Add `email_configs`, `slack_configs` or the like to the receiver."
        )
    if rules and not empty and not _sent_elsewhere(repo):
        path, line, name = rules[0]
        yield Hit(
            path,
            line,
            f"The alert `{name}` fires, and nothing in the repository takes it to a person: no "
            "Alertmanager receiver, contact point or webhook is set.",
            "Add an Alertmanager with a route and a receiver, and name it in `prometheus.yml`.",
            severity=MEDIUM,
            confidence=0.6,
        )


def _sent_elsewhere(repo: AuditRepository) -> bool:
    """Tell whether rules are objects of a cluster, whose receivers live elsewhere."""
    return bool(repo.kinds("PrometheusRule", "AlertmanagerConfig")) or any(
        "targets" in repo.text(f.path).partition("alertmanagers")[2][:400]
        and any(
            "." in t.text.partition(":")[0]
            for d in f.docs
            for _, n in (d.get("alerting") or d).find("targets")
            for t in n.list_at()
        )
        for f in repo.yaml_files(holding=("alertmanagers",))
    )


def _alarms(repo: AuditRepository) -> Iterator[Hit]:
    """Cloud alarms without an action."""
    for path, block in repo.resources(*_ALARMS):
        text = block.text()
        empty = _EMPTY_ACTIONS.search(text)
        if empty or not _ACTIONS.search(text):
            line = next((n for n, t in block.body if _EMPTY_ACTIONS.search(t)), block.line)
            why = f"The alarm `{block.name}` has no action: when it goes off, nobody is told."
            yield Hit(path, line, why, "Set `alarm_actions` (or notification channels) to a topic.")
    for file in repo.yaml_files(holding=("AWS::CloudWatch::Alarm",)):
        for doc in file.docs:
            for name, body in doc.pairs("Resources"):
                if body.text_at("Type") == "AWS::CloudWatch::Alarm" and not any(
                    n.truthy for _, n in body.find("AlarmActions")
                ):
                    why = f"The alarm `{name}` has no `AlarmActions`: nobody is told."
                    yield Hit(file.path, body.key_line, why)


def _no_reaction(repo: AuditRepository) -> Iterator[Hit]:
    """Drift that is measured in production code, with neither a limit nor a message after it."""
    hits = [h for h in _monitoring.drift_calls(repo) if not h.module.notebook]
    hits = [h for h in hits if not _docs.aside(repo, h.module.path)]
    if not hits or _monitoring_alerts.rules(repo) or repo.resources(*_ALARMS):
        return
    if _monitoring_alerts.on_dashboards(repo):
        return
    for hit in _monitoring.running_calls(hits):
        path = hit.module.path
        if hit.call.name.startswith(_monitoring.MANAGED) or _reacts(repo, path):
            continue
        if path in repo.code.training_code and "monitor" not in path.lower():
            continue
        yield Hit(
            path,
            hit.call.line,
            f"`{hit.call.name}` measures drift, and nothing compares the result with a limit or "
            "sends a message: a drift changes nothing.",
            "Compare the share of drifted columns with a limit and notify the team above it.",
            severity=MEDIUM,
            confidence=0.7,
        )


def _reacts(repo: AuditRepository, path: str) -> bool:
    """Tell whether the module or one that uses it compares drift or sends a message."""
    users = {path, *repo.code.importers.get(path, ()), *repo.code.edges.get(path, ())}
    for user in users:
        module = repo.code.modules[user]
        if user in repo.code.tests:
            continue
        checks = [*module.checks, *module.branches]
        words = " ".join(w for c in checks for w in c.names)
        if "drift" in words or "p_value" in words or "psi" in words or "passed" in words:
            return True
        if any(_WARNS.search(c.name) for c in module.calls):
            return True
        if re.search(r"\bif\b[^\n]{0,120}(?:drift|p_val|psi|threshold|passed)", repo.text(user)):
            return True
    return False
