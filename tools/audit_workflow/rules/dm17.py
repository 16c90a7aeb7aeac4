"""Feature store definitions without care

## What it does

Looks at Feast: feature views without `ttl`, `owner`, description or tags; file sources with an
absolute path; and a `feature_store.yaml` whose registry is a local file or whose stores are local
files (offline `file`, online `sqlite`).

## Why is this bad?

Without a ttl old values are served as if they were new. Without an owner nobody knows whom to ask
when a feature breaks. A registry in a local file is another one on each machine.

## Known problems

A repository with one `feature_store.yaml` for each environment is judged by the one that is not
named local or dev.

## Example

```python
driver_stats = FeatureView(name="driver_stats", entities=[driver], source=source)
```

## Use instead

```python
driver_stats = FeatureView(
    name="driver_stats",
    entities=[driver],
    ttl=timedelta(days=1),
    source=source,
    owner="team-pricing@example.org",
    description="Trips and ratings of a driver, by hour",
)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._data_frames import views_with
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.view import View

_VIEWS: Final = ("FeatureView", "BatchFeatureView", "StreamFeatureView", "OnDemandFeatureView")
_DESCRIBES: Final = ("owner", "description", "tags")
_ABSOLUTE: Final = re.compile(r"^(?:/(?!\{|opt/spark)|[A-Za-z]:[\\/]|~/|file:///)")
_REMOTE: Final = re.compile(r"^(?:s3|gs|abfss?|az|wasbs?|postgresql|mysql|snowflake|http)")
_ASIDE: Final = ("local", "dev", "test", "example", "sandbox")


@rule(
    "DM17",
    name="feature-store-definition-hygiene",
    dimension="data_management",
    severity=MEDIUM,
    confidence=0.85,
    fix="Set ttl, owner and description on each feature view, and keep registry and stores shared.",
    effort=(0.2, 1),
    sources=(
        "feast_docs: Feature view (owner, TTL, description and tags)",
        "rules_of_ml: Rule #11, give feature sets owners and documentation",
        "se4ml: Assign an Owner to Each Feature and Document its Rationale",
    ),
)
def feature_store_definition_hygiene(repo: AuditRepository) -> Iterator[Hit]:
    """Report feature views and stores that lack what production needs."""
    for view in views_with(repo, "feast", roots=frozenset(("feast",))):
        yield from _views(view)
    yield from _stores(repo)


def _views(view: View) -> Iterator[Hit]:
    for call in view.calls:
        name = view.name(call)
        if not name.startswith("feast"):
            continue
        short = name.rpartition(".")[2]
        if short in _VIEWS and not view.spreads(call):
            yield from _one_view(view, call, short)
        elif short == "FileSource":
            path = view.string(view.arg(call, "path"))
            if _ABSOLUTE.match(path):
                yield Hit(
                    view.path,
                    call.lineno,
                    f"The source reads `{path}`, an absolute path that exists on one machine.",
                    "Use a bucket, or a path from configuration.",
                )


def _one_view(view: View, call: ast.Call, short: str) -> Iterator[Hit]:
    given = {k.arg for k in call.keywords}
    missing = []
    ttl = view.arg(call, "ttl")
    if short != "OnDemandFeatureView" and _endless(view, ttl):
        missing.append("a ttl")
    if "owner" not in given:
        missing.append("an owner")
    if not given & {"description", "tags"}:
        missing.append("a description or tags")
    if missing:
        name = view.string(view.arg(call, "name", 0)) or "feature view"
        yield Hit(
            view.path,
            call.lineno,
            f"`{name}` has not got {', '.join(missing)}.",
            severity=MEDIUM if "a ttl" in missing else LOW,
        )


def _endless(view: View, ttl: ast.expr | None) -> bool:
    if ttl is None:
        return True
    ttl = view.settled(ttl)
    if isinstance(ttl, ast.Constant):
        return not ttl.value
    if isinstance(ttl, ast.Call) and view.name(ttl).endswith("timedelta"):
        values = [view.literal(a) for a in (*ttl.args, *(k.value for k in ttl.keywords))]
        return all(v == 0 for v in values)
    return False


def _stores(repo: AuditRepository) -> Iterator[Hit]:
    paths = [
        p for p in repo.named("feature_store.yaml", "feature_store.yml") if not is_test_path(p)
    ]
    paths = [p for p in paths if not any(w in p.lower() for w in _ASIDE)]
    for path in paths:
        for doc in repo.yaml(path).docs:
            found = []
            registry = doc.child("registry")
            where = registry.text or registry.text_at("path") if registry is not None else ""
            if registry is not None and where and not _REMOTE.match(where):
                found.append((registry.line, f"the registry is the local file `{where}`"))
            online = doc.text_at("online_store", "type") or doc.text_at("online_store")
            node = doc.child("online_store")
            if node is not None and online == "sqlite":
                found.append((node.line, "the online store is a local SQLite file"))
            offline = doc.child("offline_store")
            kind = offline.text or offline.text_at("type") if offline is not None else ""
            if offline is not None and kind == "file":
                found.append((offline.line, "the offline store reads local files"))
            if found:
                line = found[0][0]
                yield Hit(
                    path,
                    line,
                    f"In this store {', '.join(t for _, t in found)}: each machine has its own.",
                    "Keep the registry in a bucket or SQL, and the online store in a server.",
                    confidence=0.75,
                )
