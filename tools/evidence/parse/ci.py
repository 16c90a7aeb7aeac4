"""Pipelines of CI systems as jobs and steps: what runs, when, and whether its failure counts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.evidence.parse.shell import Line, shell_lines
from mlops_advisor.tools.evidence.parse.tree import Node

_OFF: Final = re.compile(
    r"^\s{0,4}(?:\$\{\{\s{0,4})?(?:false|0|'false'|\"false\")(?:\s{0,4}\}\})?\s{0,4}$",
    re.IGNORECASE,
)
_FOLDERS: Final = (
    ("/.github/workflows/", "github"),
    ("/.circleci/config.y", "circleci"),
    ("/.azure-pipelines/", "azure"),
    ("/.azuredevops/", "azure"),
    ("/.pipelines/", "azure"),
    ("/.buildkite/", "buildkite"),
)
_NAMES: Final = (
    (".gitlab-ci", "gitlab"),
    ("azure-pipeline", "azure"),
    ("cloudbuild", "cloudbuild"),
    ("buildspec", "codebuild"),
    ("bitbucket-pipelines", "bitbucket"),
    (".travis", "travis"),
    (".drone", "drone"),
)
_EVENTS: Final = {
    "push": "push",
    "pull_request": "pull_request",
    "pull_request_target": "pull_request",
    "merge_group": "pull_request",
    "schedule": "schedule",
    "workflow_dispatch": "dispatch",
    "workflow_call": "call",
    "release": "release",
    "create": "push",
    "workflow_run": "workflow_run",
    "repository_dispatch": "event",
    "registry_package": "event",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an action (`uses`) with its inputs, or commands."""

    line: int
    name: str
    uses: str
    commands: tuple[Line, ...]
    soft: bool = False
    disabled: bool = False
    condition: str = ""
    inputs: Node | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One job with the events that start it.  `manual`: a person has to press a button."""

    path: str
    system: str
    name: str
    line: int
    events: frozenset[str]
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()
    environment: str = ""
    environment_line: int = 0
    disabled: bool = False
    manual: bool = False
    soft: bool = False
    condition: str = ""

    @property
    def automatic(self) -> bool:
        """True when an event other than a person's click starts it."""
        return not self.disabled and not self.manual and bool(self.events - {"dispatch"})

    @property
    def idle(self) -> bool:
        """True when nothing in it does anything: only echo and the like."""
        active = [s for s in self.steps if not s.disabled]
        return not any(
            (s.uses and not s.uses.startswith("actions/checkout"))
            or any(not c.idle for c in s.commands)
            for s in active
        )


def system_of(path: str) -> str:
    """Name of the CI system a file belongs to, by its path; empty when none."""
    name = path.rsplit("/", 1)[-1].lower()
    low = "/" + path.lower()
    if not name.endswith((".yml", ".yaml")):
        return "jenkins" if name.startswith("jenkinsfile") else ""
    for folder, system in _FOLDERS:
        if folder in low:
            return system
    return next((system for start, system in _NAMES if name.startswith(start)), "")


def jobs_of(path: str, system: str, docs: Iterable[Node]) -> tuple[Job, ...]:
    """Jobs of one CI file."""
    reader = {"github": _github, "gitlab": _gitlab, "azure": _azure, "circleci": _circleci}.get(
        system
    )
    found: list[Job] = []
    for doc in docs:
        found.extend(reader(path, doc) if reader else _other(path, system, doc))
    return tuple(found)


def jenkins_jobs(path: str, text: str) -> tuple[Job, ...]:
    """Read a Jenkinsfile as one job: its `sh` steps; `input` makes it wait for a person."""
    steps: list[Step] = []
    manual = False
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()[:2_000]
        if bare.startswith(("//", "*")):
            continue
        manual = manual or bare.startswith(("input ", "input("))
        if found := re.search(r"\b(?:sh|bat)\s{0,4}\(?\s{0,4}['\"]{1,3}([^'\"]{2,800})", bare):
            steps.append(Step(number, "", "", tuple(shell_lines(found.group(1), number))))
    events = frozenset({"push"} | ({"schedule"} if "cron(" in text else set()))
    return (
        Job(
            path,
            "jenkins",
            "pipeline",
            1,
            events,
            tuple(steps),
            manual=False,
            condition="input" if manual else "",
        ),
    )


def _run_lines(node: Node | None) -> tuple[Line, ...]:
    if node is None:
        return ()
    if node.items is not None:
        return tuple(line for item in node.items for line in _run_lines(item))
    return tuple(shell_lines(node.text, node.line + (1 if node.block else 0)))


def _truth(node: Node | None) -> bool:
    return node is not None and node.text.strip().lower() in ("true", "yes", "on")


def _events(node: Node | None) -> frozenset[str]:
    if node is None:
        return frozenset()
    names: list[str] = []
    if node.map is not None:
        for key, value in node.map.items():
            if key == "schedule" and not any(n.truthy for _, n in value.walk()):
                continue
            names.append(key)
            if key == "push" and (value.child("tags") is not None):
                names.append("release")
    elif node.items is not None:
        names = [n.text for n in node.items]
    else:
        names = [node.text]
    return frozenset(_EVENTS.get(n, "event") for n in names if n)


def _github(path: str, doc: Node) -> list[Job]:
    events = _events(doc.child("on") or doc.child("true"))
    found: list[Job] = []
    for name, body in doc.pairs("jobs"):
        steps = tuple(_github_step(s) for s in body.list_at("steps"))
        called = body.text_at("uses")
        if called:
            steps = (Step(body.line, "", called, (), inputs=body.child("with")),)
        env = body.child("environment")
        env_name = (env.text_at("name") or env.text) if env is not None else ""
        condition = body.text_at("if")
        found.append(
            Job(
                path,
                "github",
                name,
                body.key_line,
                events,
                steps,
                tuple(n.text for n in body.list_at("needs")),
                env_name,
                env.line if env is not None else 0,
                disabled=bool(_OFF.match(condition)),
                soft=_truth(body.child("continue-on-error")),
                condition=condition,
            )
        )
    return found


def _github_step(node: Node) -> Step:
    condition = node.text_at("if")
    return Step(
        node.line,
        node.text_at("name"),
        node.text_at("uses"),
        _run_lines(node.child("run")),
        soft=_truth(node.child("continue-on-error")),
        disabled=bool(_OFF.match(condition)),
        condition=condition,
        inputs=node.child("with"),
    )


_GITLAB_KEYS: Final = frozenset(
    (
        "stages",
        "variables",
        "image",
        "default",
        "include",
        "workflow",
        "cache",
        "services",
        "before_script",
        "after_script",
        "pages",
    )
)


def _gitlab(path: str, doc: Node) -> list[Job]:
    found: list[Job] = []
    order = [n.text for n in doc.list_at("stages")]
    stage_of: dict[str, str] = {}
    for name, body in doc.pairs():
        if name in _GITLAB_KEYS or name.startswith(".") or body.map is None:
            continue
        stage_of[name] = body.text_at("stage")
    for name, stage in stage_of.items():
        body = doc.child(name) or Node(0)
        text_rules = " ".join(n.text for _, n in body.walk() if n.text)[:4_000]
        events = {"push"}
        if "merge_request_event" in text_rules or "merge_requests" in text_rules:
            events.add("pull_request")
        if '"schedule"' in text_rules or "schedules" in text_rules:
            events.add("schedule")
        if "CI_COMMIT_TAG" in text_rules or "tags" in [n.text for n in body.list_at("only")]:
            events.add("release")
        manual = body.text_at("when") == "manual" or any(
            r.text_at("when") == "manual" for r in body.list_at("rules")
        )
        env = body.child("environment")
        earlier = order[: order.index(stage)] if stage in order else []
        needs = tuple(n.text_at("job") or n.text for n in body.list_at("needs")) or tuple(
            n for n, s in stage_of.items() if s in earlier
        )
        steps = (Step(body.line, name, "", _run_lines(body.child("script"))),)
        found.append(
            Job(
                path,
                "gitlab",
                name,
                body.key_line,
                frozenset(events),
                steps,
                needs,
                (env.text_at("name") or env.text) if env is not None else "",
                env.line if env is not None else 0,
                disabled=body.text_at("when") == "never",
                manual=manual,
                soft=_truth(body.child("allow_failure")),
            )
        )
    return found


def _azure(path: str, doc: Node) -> list[Job]:
    events = set()
    trigger = doc.child("trigger")
    if trigger is None or trigger.text != "none":
        events.add("push")
    if doc.child("pr") is not None and doc.text_at("pr") != "none":
        events.add("pull_request")
    if doc.child("schedules") is not None:
        events.add("schedule")
    if not events:
        events.add("dispatch")
    found: list[Job] = []

    def job(body: Node, name: str, stage: Node | None) -> None:
        steps = [s for n in _azure_steps(body) if (s := _azure_step(n)) is not None]
        env = body.child("environment")
        depends = (stage or body).list_at("dependsOn")
        found.append(
            Job(
                path,
                "azure",
                name,
                body.line,
                frozenset(events),
                tuple(steps),
                tuple(n.text for n in depends),
                (env.text_at("name") or env.text) if env is not None else "",
                env.line if env is not None else 0,
                disabled=bool(_OFF.match(body.text_at("condition"))),
                soft=_truth(body.child("continueOnError")),
                condition=body.text_at("condition"),
            )
        )

    for stage in doc.list_at("stages"):
        for body in stage.list_at("jobs"):
            job(
                body,
                stage.text_at("stage") or body.text_at("job") or body.text_at("deployment"),
                stage,
            )
    for body in doc.list_at("jobs"):
        job(body, body.text_at("job") or body.text_at("deployment"), None)
    if doc.child("steps") is not None:
        job(doc, "pipeline", None)
    return found


def _azure_steps(body: Node) -> list[Node]:
    steps = list(body.list_at("steps"))
    for _, strategy in body.pairs("strategy"):
        for _, phase in strategy.pairs():
            steps.extend(phase.list_at("steps"))
    return steps


def _azure_step(node: Node) -> Step | None:
    run = (
        node.child("script") or node.child("bash") or node.child("pwsh") or node.child("powershell")
    )
    task = node.text_at("task")
    inputs = node.child("inputs")
    if run is None and inputs is not None:
        run = inputs.child("script") or inputs.child("inlineScript")
    if run is None and not task and not node.text_at("template"):
        return None
    return Step(
        node.line,
        node.text_at("displayName"),
        task or node.text_at("template"),
        _run_lines(run),
        soft=_truth(node.child("continueOnError")),
        disabled=bool(_OFF.match(node.text_at("condition"))) or node.text_at("enabled") == "false",
        inputs=inputs,
    )


def _circleci(path: str, doc: Node) -> list[Job]:
    found: list[Job] = []
    approvals: dict[str, Node] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for _, flow in doc.pairs("workflows"):
        for entry in flow.list_at("jobs"):
            for name, body in entry.pairs():
                needs[name] = tuple(n.text for n in body.list_at("requires"))
                if body.text_at("type") == "approval":
                    approvals[name] = body
    scheduled = any(k == "cron" for k, _ in doc.walk())
    events = frozenset({"push", "schedule"} if scheduled else {"push"})
    for name, body in doc.pairs("jobs"):
        steps = []
        for step in body.list_at("steps"):
            run = step.child("run")
            if run is not None:
                steps.append(
                    Step(
                        step.line, run.text_at("name"), "", _run_lines(run.child("command") or run)
                    )
                )
            elif step.text or step.map:
                uses = step.text or next(iter(step.map or {}), "")
                steps.append(Step(step.line, "", "" if uses == "checkout" else uses, ()))
        found.append(
            Job(path, "circleci", name, body.key_line, events, tuple(steps), needs.get(name, ()))
        )
    for name, body in approvals.items():
        found.append(
            Job(
                path,
                "circleci",
                name,
                body.line,
                events,
                (Step(body.line, name, "approval", ()),),
                needs[name],
            )
        )
    return found


def _other(path: str, system: str, doc: Node) -> list[Job]:
    """Cloud Build, CodeBuild, Bitbucket and the like: every list of commands is a step."""
    steps: list[Step] = []
    manual = False
    seen: set[int] = set()
    for key, node in doc.walk():
        if key in ("script", "commands", "command", "before_script") and id(node) not in seen:
            seen.add(id(node))
            steps.append(Step(node.line, "", "", _run_lines(node)))
        elif key == "args" and node.items is not None:
            text = " ".join(n.text for n in node.items)
            steps.append(Step(node.line, "", "", tuple(shell_lines(text, node.line))))
        elif key == "trigger" and node.text == "manual":
            manual = True
    if not steps:
        return []
    return [
        Job(
            path,
            system,
            "pipeline",
            1,
            frozenset({"push"}),
            tuple(steps),
            condition="input" if manual else "",
        )
    ]
