"""A job writes to what starts it

## What it does

Reports functions that an upload to a bucket starts and that write to the same bucket without a
filter, DAGs that produce the data set on which they are scheduled, consumers that publish to the
topic they read, cloud functions of Terraform whose output bucket is the one that triggers them, and
CI workflows that push with a personal token to the branch whose pushes start them.

## Why is this bad?

Each run starts the next one: an endless loop, and a bill.

## Known problems

A filter that is set up by hand at the bucket is not seen.

## Example

```python
def handler(event, context):
    bucket = event["Records"][0]["s3"]["bucket"]["name"]
    s3.put_object(Bucket=bucket, Key="scores.csv", Body=score(event))
```

## Use instead

```python
def handler(event, context):
    s3.put_object(Bucket=os.environ["SCORES_BUCKET"], Key="scores.csv", Body=score(event))
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._pipeline import (
    DAG_CALLS,
    flows_of,
    keyword,
    views_holding,
)
from mlops_advisor.tools.evidence.parse.ci import Job
from mlops_advisor.tools.evidence.parse.terraform import Block
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, names_read

_WRITES: Final = frozenset(
    "put_object upload_file upload_fileobj upload_blob upload_from_string upload_from_file"
    " upload_from_filename copy_object copy_blob".split()
)
_FILTER: Final = ("filter_prefix", "filter_suffix", "FilterRules", "matchingPrefix", "prefix:")
_PUSH: Final = re.compile(r"\bgit\s+(?:-c\s+\S+\s+)?push\b")
_PUSHERS: Final = (
    "stefanzweifel/git-auto-commit-action",
    "EndBug/add-and-commit",
    "ad-m/github-push-action",
)
_SKIP: Final = re.compile(r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]|ci\.skip")
_TOKEN: Final = re.compile(r"\$\{\{\s{0,4}secrets\.(?!GITHUB_TOKEN\b)\w{0,60}")
_OUT: Final = re.compile(r"(?:out|dest|target|result|write|score)", re.IGNORECASE)
_ASSIGNED: Final = re.compile(r'^\s{0,20}"?([\w-]{1,60})"?\s{0,20}=\s{0,4}(\S.{0,120})$')


@rule(
    "PL15",
    name="output-written-to-trigger-source",
    dimension="model_training",
    severity=HIGH,
    confidence=0.8,
    fix="Write to another bucket, topic or branch, or filter the trigger by prefix.",
    effort=(0.25, 1),
    sources=(
        (
            "aws_lambda_docs: Using AWS Lambda with Amazon S3, warning (function writes to the "
            "bucket that triggers it)"
        ),
    ),
)
def output_written_to_trigger_source(repo: AuditRepository) -> Iterator[Hit]:
    """Report jobs that start themselves again."""
    filtered = any(
        w in f.text
        for p, f in repo.files.items()
        if p.endswith((".tf", ".yml", ".yaml", ".json", ".sh"))
        for w in _FILTER
    )
    for view in views_holding(repo, "event", "airflow", "subscribe(", "KafkaConsumer("):
        text = repo.text(view.path)
        if not filtered and ("event" in text or "cloud_event" in text):
            yield from _handlers(view)
        if "airflow" in view.module.roots:
            yield from _data_sets(view)
        if any(w in text for w in ("subscribe(", "KafkaConsumer(")):
            yield from _topics(view)
    for path, block in repo.resources("google_cloudfunctions", "aws_lambda_function"):
        yield from _terraform(path, block)
    for job in repo.jobs:
        yield from _workflow(repo, job)


def _handlers(view: View) -> Iterator[Hit]:
    for function in view.functions:
        names = {a.arg for a in function.args.args[:2]}
        if not names & {"event", "cloud_event", "cloudevent", "data"}:
            continue
        source = _bucket_of_event(view, function)
        if source is None or _looks_at_key(view, function):
            continue
        for call in view.below(function, ast.Call):
            if last(view.name(call)) in _WRITES and _same_bucket(view, call, source):
                why = (
                    f"`{last(view.name(call))}` writes to the bucket whose upload started "
                    f"`{function.name}`: each result starts it again."
                )
                yield Hit(view.path, call.lineno, why, also=((view.path, source[1]),))
                return


def _bucket_of_event(view: View, function: AnyFunction) -> tuple[str, int] | None:
    """Variable that holds the bucket of the event, and its line."""
    for node in view.below(function, ast.Assign):
        text = ast.unparse(node.value)[:200]
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            from_event = re.search(r"\b(?:event|data|cloud_?event|record)\b", text)
            if from_event and re.search(r"\[['\"]bucket['\"]\]|get\(['\"]bucket['\"]", text):
                return node.targets[0].id, node.lineno
    return None


def _looks_at_key(view: View, function: AnyFunction) -> bool:
    """Tell whether the function leaves early for objects it made itself."""
    return any(
        last(view.name(c)) in ("startswith", "endswith", "match", "fnmatch")
        for test in view.below(function, ast.If)
        for c in view.walk(test.test)
        if isinstance(c, ast.Call)
    ) or any(
        isinstance(op, (ast.In, ast.NotIn))
        for test in view.below(function, ast.If)
        for c in view.walk(test.test)
        if isinstance(c, ast.Compare)
        for op in c.ops
    )


def _same_bucket(view: View, call: ast.Call, source: tuple[str, int]) -> bool:
    node = view.arg(call, "Bucket", 1) or view.arg(call, "bucket")
    if node is None and isinstance(call.func, ast.Attribute):
        node = call.func.value  # bucket.blob(...).upload_from_string(...)
    seen: set[str] = set()
    stack = [node] if node is not None else []
    while stack and len(seen) < 20:  # noqa: PLR2004 - a chain of variables
        for name in names_read(stack.pop()):
            if name == source[0]:
                return True
            if name not in seen:
                seen.add(name)
                stack.extend(view.values(name, call)[-1:])
    return False


def _data_sets(view: View) -> Iterator[Hit]:
    """Find DAGs scheduled on a data set that one of their own tasks updates."""
    dags = [c for c in view.calls if view.name(c) in DAG_CALLS]
    dags += [f.decorator for f in flows_of(view) if isinstance(f.decorator, ast.Call)]
    if len(dags) != 1:
        return
    schedule = keyword(dags[0], "schedule")
    wanted = set(_uris(view, schedule.value)) if schedule is not None else set()
    for call in view.calls if wanted else ():
        outlets = keyword(call, "outlets")
        both = wanted & set(_uris(view, outlets.value)) if outlets is not None else set()
        if outlets is not None and both:
            why = f"The DAG is scheduled on `{min(both)}`, which this task updates."
            yield Hit(view.path, outlets.value.lineno, why, also=((view.path, dags[0].lineno),))


def _uris(view: View, node: ast.expr) -> Iterator[str]:
    settled = view.settled(node)
    items = settled.elts if isinstance(settled, (ast.List, ast.Tuple)) else [settled]
    for item in items:
        made = view.settled(item)
        if (
            isinstance(made, ast.Call)
            and last(view.name(made)) in ("Dataset", "Asset")
            and made.args
        ):
            yield view.string(made.args[0]) or "?"


def _topics(view: View) -> Iterator[Hit]:
    """Find topics that one module both reads and writes."""
    read: dict[str, int] = {}
    for call in view.calls:
        name = last(view.name(call))
        if name == "KafkaConsumer" and call.args:
            read.setdefault(view.string(call.args[0]), call.lineno)
        elif name == "subscribe" and call.args:
            node = view.settled(call.args[0])
            items = node.elts if isinstance(node, ast.List) else [call.args[0]]
            for item in items:
                read.setdefault(view.string(item), call.lineno)
    for call in view.calls:
        name = view.name(call)
        if last(name) in ("send", "produce", "publish") and call.args:
            topic = view.string(call.args[0])
            if topic and topic in read and "{}" not in topic:
                why = f"The topic `{topic}` is read here and written here: each answer comes back."
                yield Hit(view.path, call.lineno, why, also=((view.path, read[topic]),))


def _terraform(path: str, block: Block) -> Iterator[Hit]:
    values: dict[str, tuple[str, int]] = {}
    for line, text in block.body:
        found = _ASSIGNED.match(text)
        if found:
            values.setdefault(found.group(1), (found.group(2).strip(), line))
    source = values.get("resource") or values.get("bucket")
    if source is None or not block.has("event_trigger"):
        return
    for name, (value, line) in values.items():
        if name.isupper() and _OUT.search(name) and value == source[0]:
            why = f"`{name}` is the bucket that triggers the function, `{value[:80]}`."
            yield Hit(path, line, why, also=((path, source[1]),))


# --- CI -----------------------------------------------------------------------------------------


def _workflow(repo: AuditRepository, job: Job) -> Iterator[Hit]:
    if job.system not in ("github", "gitlab") or not job.events & {"push"} or job.disabled:
        return
    text = repo.text(job.path)
    if _SKIP.search(text) or "paths" in text or ("tags:" in text and "branches" not in text):
        return
    own = job.system != "github" or any(_TOKEN.search(t) for t in _token_texts(job))
    if not own or _guards(job):
        return
    for step in job.steps:
        if step.disabled or ("ref" in step.condition and "!=" in step.condition):
            continue
        pushed = [
            c
            for c in step.commands
            if _PUSH.search(c.text) and "--tags" not in c.text and "HEAD:" not in c.text
        ]
        if pushed and not _elsewhere(pushed[0].text):
            yield _pushes(job, pushed[0].line)
        elif step.uses.startswith(_PUSHERS) and job.system == "github":
            branch = step.inputs.text_at("branch") if step.inputs is not None else ""
            if not branch:
                yield _pushes(job, step.line)


def _token_texts(job: Job) -> Iterator[str]:
    """Texts that say with whose token a job pushes."""
    for step in job.steps:
        if step.inputs is not None and step.uses.startswith(("actions/checkout", *_PUSHERS)):
            for key in ("token", "ssh-key", "github_token"):
                yield step.inputs.text_at(key)
        for command in step.commands:
            if "push" in command.text or "remote" in command.text:
                yield command.text


def _guards(job: Job) -> bool:
    return "actor" in job.condition or "commit.message" in job.condition


def _elsewhere(text: str) -> bool:
    """Tell whether a push names another branch than that of the event."""
    words = text[:300].split()
    after = (
        [w for w in words[words.index("push") + 1 :] if not w.startswith("-")]
        if "push" in words
        else []
    )
    return len(after) > 1 and after[1] not in ("main", "master", "HEAD", "develop", "dev")


def _pushes(job: Job, line: int) -> Hit:
    why = f"The job `{job.name}` pushes with a token whose pushes start this workflow again."
    fix = "Push with `GITHUB_TOKEN`, add `[skip ci]` to the message, or filter by `paths-ignore`."
    return Hit(job.path, line, why, fix)
