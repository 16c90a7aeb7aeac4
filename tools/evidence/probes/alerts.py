"""Who is told when something goes wrong: alerts on services, reports of failed jobs."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.ci import Step
from mlops_advisor.tools.evidence.parse.python_model import PythonModule
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    contrary,
    first_of,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.probes._deploy import deployment_shown
from mlops_advisor.tools.evidence.repository import Repository

_ALARMS: Final = (
    "aws_cloudwatch_metric_alarm",
    "google_monitoring_alert_policy",
    "azurerm_monitor_metric_alert",
    "datadog_monitor",
    "grafana_rule_group",
    "newrelic_nrql_alert_condition",
    "pagerduty_service",
)
_ALARM_ACTIONS: Final = re.compile(
    r"(?:alarm_actions|notification_channels|action_group_id|contact_point|"
    r"escalation_policy)[^\n=]{0,40}=?\s{0,4}(?:\[\s{0,4}[^\]\s]|[a-z\"$])|"
    r"notification_settings|action\s{0,4}\{|"
    r"message\s{0,4}=\s{0,4}\"[^\"\n]{0,300}@"
)
_RECEIVER_KINDS: Final = (
    "email_configs",
    "slack_configs",
    "pagerduty_configs",
    "opsgenie_configs",
    "webhook_configs",
    "msteams_configs",
    "victorops_configs",
    "telegram_configs",
    "slackConfigs",
    "emailConfigs",
    "pagerdutyConfigs",
    "opsgenieConfigs",
    "webhookConfigs",
)
_SENDS: Final = (
    "slack_sdk.",
    "pdpyras.",
    "opsgenie_sdk.",
    "apprise.",
    "smtplib.",
    "pymsteams.",
    "*.send_alert",
    "*.notify_slack",
    "*.publish",
)
_CALLBACKS: Final = (
    "on_failure_callback",
    "sla",
    "sla_miss_callback",
    "on_failure",
    "on_crashed",
    "email",
    "failure_hook",
)
_NOTIFIERS: Final = ("slack", "mail", "teams", "discord", "notify", "issue")


@probe(
    "alerts",
    practice="alerting",
    asks="Do alerts reach somebody?",
    searched=(
        "Prometheus rules, Alertmanager routes and receivers, cloud alarms and "
        "their actions, Grafana alerts"
    ),
)
def _alerts(repo: Repository) -> Verdict:
    verdict = first_of(repo, _alarms, _prometheus, _by_code, _missing_rules, _receiver_only)
    if verdict is not None:
        return verdict
    if repo.stages.scoring is not None and deployment_shown(repo) is not None:
        return absent(repo, "A model is used here, and no alert is defined.", [repo.stages.scoring])
    if repo.stages.scoring is not None:
        return unknown("A model is used here; where it runs, and who is alerted, is not shown.")
    return not_applicable("Nothing here serves a model or scores with one.")


def _alarms(repo: Repository) -> Verdict | None:
    alarms = repo.resources(*_ALARMS)
    reaching = [
        (p, b.line)
        for p, b in alarms
        if b.type == "pagerduty_service" or _ALARM_ACTIONS.search(b.text())
    ]
    if reaching:
        return present(repo, E, "Alarms are defined and reach a recipient.", reaching)
    if alarms and not _rules(repo):
        places = [(p, b.line) for p, b in alarms]
        return present(repo, C, "Alarms are defined, but none notifies anybody.", places)
    return None


def _prometheus(repo: Repository) -> Verdict | None:
    rules = _rules(repo)
    if not rules:
        return None
    receivers, empty = _receivers(repo)
    if not receivers:
        why = "the receiver is empty" if empty else "no recipient is shown"
        return present(repo, C, f"Alert rules exist, but {why}.", [*rules, *empty])
    loaded, missing = _rule_files(repo)
    if missing and not loaded:
        detail = "Rules and receivers exist, but Prometheus loads a rule file that is not here."
        return present(repo, C, detail, [*rules[:3], *missing[:1]])
    detail = "Alert rules exist and are routed to a recipient."
    return present(repo, E, detail, [*rules[:3], *receivers[:2]])


def _by_code(repo: Repository) -> Verdict | None:
    calls = [
        h
        for h in repo.code.calls(*_SENDS)
        if not h.module.notebook and (h.call.last != "publish" or "TopicArn" in h.call.kwargs)
    ]
    return from_code(repo, "Code sends alerts", spots(calls), most=W)


def _missing_rules(repo: Repository) -> Verdict | None:
    _, missing = _rule_files(repo)
    if not missing:
        return None
    return contrary(repo, "Prometheus is told to load alert rules that are not here.", missing)


def _receiver_only(repo: Repository) -> Verdict | None:
    receivers, _ = _receivers(repo)
    if not receivers:
        return None
    return present(repo, C, "A recipient of alerts is set up; no alert rule is here.", receivers)


def _rules(repo: Repository) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for file in repo.yaml_files(holding=("alert:", '"alert"')):
        for doc in file.docs:
            for group in [*doc.list_at("groups"), *doc.list_at("spec", "groups")]:
                found += [
                    (file.path, r.line)
                    for r in group.list_at("rules")
                    if r.text_at("alert") and r.text_at("expr")
                ]
    for file in repo.yaml_files(holding=("grafana_alert", "relativeTimeRange")):
        found += [
            (file.path, n.key_line)
            for d in file.docs
            for _, n in d.find("rules")
            if any(r.text_at("title") and r.child("data") for r in n.list_at())
        ]
    return found


def _receivers(repo: Repository) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    good: list[tuple[str, int]] = []
    empty: list[tuple[str, int]] = []
    for file in repo.yaml_files(holding=("receivers:", "contactPoints:", "contact_points:")):
        for doc in file.docs:
            for holder in (doc, doc.child("spec") or Node(0)):
                for receiver in holder.list_at("receivers"):
                    if any(_addressed(n) for _, n in receiver.find(*_RECEIVER_KINDS)):
                        good.append((file.path, receiver.line))
                    elif receiver.map is not None:
                        empty.append((file.path, receiver.line))
                points = [*holder.list_at("contactPoints"), *holder.list_at("contact_points")]
                good += [(file.path, p.line) for p in points]
    return good, empty


def _addressed(node: Node) -> bool:
    return any(item.map and any(v.truthy for v in item.map.values()) for item in node.list_at())


def _rule_files(repo: Repository) -> tuple[list[str], list[tuple[str, int]]]:
    """Rule files that Prometheus loads and that are here, and those that are not."""
    loaded: list[str] = []
    missing: list[tuple[str, int]] = []
    for file in repo.yaml_files(holding=("rule_files",)):
        for item in (n for d in file.docs for n in d.list_at("rule_files")):
            end = item.text.rsplit("/", 1)[-1].replace("*", "")
            if any(p.endswith(end) for p in repo.paths):
                loaded.append(item.text)
            elif end:
                missing.append((file.path, item.line))
    return loaded, missing


@probe(
    "job_alerts",
    practice="batch_job_monitoring",
    asks="Are late, failed or empty runs noticed?",
    searched="failure callbacks of orchestrators, notification steps in scheduled CI, job alarms",
)
def _job_alerts(repo: Repository) -> Verdict:
    found = [s for p in sorted(repo.flows.modules) for s in _callbacks(repo.code.modules[p])]
    if found:
        return present(repo, W, "A failed run of the pipeline is reported.", found)
    steps = [
        (job.path, step.line)
        for job in repo.jobs
        for step in job.steps
        if "failure()" in step.condition and _notifies(step)
    ]
    if steps:
        return present(repo, W, "A failed run is reported by CI.", steps)
    job = repo.stages.pipeline or repo.stages.batch
    if job is not None:
        return absent(repo, "Jobs run here, and nothing reports a failed one.", [job])
    return not_applicable("No job runs here.")


def _callbacks(module: PythonModule) -> list[Spot]:
    found = [
        Spot(module.path, c.line) for c in module.calls if any(c.kwargs.get(k) for k in _CALLBACKS)
    ]
    found += [
        Spot(module.path, line)
        for name, (value, line) in module.constants.items()
        if value and name.rpartition(".")[2] in _CALLBACKS and "." in name
    ]
    return found


def _notifies(step: Step) -> bool:
    low = step.uses.lower()
    return any(w in low for w in _NOTIFIERS) or any("curl" in c.text for c in step.commands)
