"""Health and readiness endpoints that say the same whatever state the service is in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules._serving import Endpoint, endpoints
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import FUNCTIONS, View, last, walk

_HEALTH: Final = re.compile(r"health|ready|readiness|readyz|healthz|status$|/ping$")
_READY: Final = re.compile(r"ready|readiness")
_ALIVE: Final = re.compile(r"live|alive|ping|startup")
_LOADS: Final = re.compile(
    r"(?:^|[._])load(?:_model|_checkpoint|_artifacts?|_state_dict)?$|from_pretrained$|"
    r"InferenceSession$|download_model|get_model$"
)
_STORES: Final = re.compile(
    r"^(?:sqlalchemy\.create_engine|psycopg2?\.connect|pymongo\.MongoClient|redis\.(?:Redis|"
    r"StrictRedis|from_url)|motor\.\S{0,40}Client|asyncpg\.\S{0,20}|feast\.FeatureStore|"
    r"elasticsearch\.Elasticsearch|mysql\.connector\.connect|pymysql\.connect)"
)
_ANSWERS: Final = frozenset(
    "jsonify dict JSONResponse Response PlainTextResponse make_response HealthResponse isoformat"
    " now utcnow time str JsonResponse HttpResponse info debug dumps get".split()
)


def constant_health(repo: AuditRepository) -> Iterator[Hit]:
    """Report, once for each service, a readiness answer that checks nothing it depends on."""
    done: set[str] = set()
    for path in sorted(repo.code.serving_code):
        text = repo.text(path)
        if not any(w in text for w in ("health", "ready", "/ping", "/status")):
            continue
        view = repo.view(path)
        if view is None:
            continue
        found = [e for e in endpoints(repo, view) if _HEALTH.search(_words(e))]
        ready = [e for e in found if _READY.search(_words(e))]
        asked = ready or [e for e in found if not _ALIVE.search(_words(e))]
        if not asked or not all(_constant(e) for e in asked) or path in done:
            continue
        needs = _needs(view, sure=bool(ready))
        if needs is not None:
            done.add(path)
            yield _hit(repo, asked[0], needs)


def _words(endpoint: Endpoint) -> str:
    return f"{endpoint.route.rstrip('/')} {endpoint.function.name}".lower().replace("_", " ")


def _constant(endpoint: Endpoint) -> bool:
    """Tell whether an endpoint answers the same without looking at anything of the service."""
    function = endpoint.function
    own = {a.arg for a in function.args.args}
    made = {n.id for n in walk(function) if isinstance(n, ast.Name) and _stored(n)}
    body = [s for s in function.body if not _is_text(s)]
    for statement in body:
        for node in walk(statement):
            if isinstance(node, (ast.If, ast.Try, ast.Raise, ast.Await, ast.Compare, ast.IfExp)):
                return False
            if isinstance(node, ast.Call):
                end = last(dotted(node).removesuffix("()"))
                if end not in _ANSWERS and not end[:1].isupper():
                    return False
            if isinstance(node, ast.Attribute) and dotted(node).startswith("self."):
                return False
            if isinstance(node, ast.Name) and "model" in node.id.lower():
                return False
    answers = [s for s in body if isinstance(s, ast.Return)]
    return bool(answers) and len(own | made) < 6  # noqa: PLR2004 - longer ones do something


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _needs(view: View, *, sure: bool) -> tuple[int, str] | None:
    """Find what the service depends on and may lack while it runs: line and words."""
    for call in view.calls:
        name = view.name(call)
        if _STORES.search(name):
            return call.lineno, f"`{last(name)}`"
    for call in view.calls:
        name = last(dotted(call).removesuffix("()"))
        if not _LOADS.search(name):
            continue
        if _may_fail(view, call) or (sure and _later(view, call)):
            return call.lineno, f"the model of `{name}`"
    return None


def _may_fail(view: View, call: ast.Call) -> bool:
    """Tell whether the service goes on without a model that could not be loaded."""
    for up in view.above(call):
        if isinstance(up, ast.Try) and any(call.lineno < h.lineno for h in up.handlers):
            caught = [s for h in up.handlers for s in view.walk(h)]
            stops = any(
                isinstance(s, ast.Raise)
                or (isinstance(s, ast.Call) and dotted(s) in ("sys.exit()", "exit()", "quit()"))
                for s in caught
            )
            if not stops:
                return True
        if isinstance(up, FUNCTIONS):
            break
    target = view.parent(call)
    names = [t.id for t in getattr(target, "targets", []) if isinstance(t, ast.Name)]
    empty = any(
        isinstance(v, ast.Constant) and v.value is None
        for n in names
        for v in view.assigned.get(view.tree, {}).get(n, ())
    )
    function = view.function(call)
    # Loaded by the first request: until then nobody knows whether that works.
    return empty and function is not None and not _at_start(view, function)


def _later(view: View, call: ast.Call) -> bool:
    """Tell whether a model is loaded after the service began to answer."""
    function = view.function(call)
    if function is None or function.name in ("__init__", "main", "init"):
        return False
    return not _at_start(view, function)


def _at_start(view: View, function: ast.AST) -> bool:
    texts = [ast.unparse(d) for d in getattr(function, "decorator_list", [])]
    name = getattr(function, "name", "")
    called = any(view.function(c) is None and dotted(c) == f"{name}()" for c in view.calls) or any(
        name in ast.unparse(c)[:300] and "lifespan" in ast.unparse(c)[:300] for c in view.calls
    )
    return called or any(
        w in f"{' '.join(texts)} {name}"
        for w in ("startup", "on_event", "lifespan", "asynccontext")
    )


def _hit(repo: AuditRepository, endpoint: Endpoint, needs: tuple[int, str]) -> Hit:
    view = endpoint.view
    line, what = needs
    answers = [
        n
        for n in view.below(endpoint.function, ast.Return)
        if view.function(n) is endpoint.function
    ]
    ready = bool(_READY.search(_words(endpoint)))
    also = [(view.path, line)]
    also += [
        (w.path, n.line)
        for w in repo.workloads
        if (n := w.node.child("readinessProbe")) is not None
        and endpoint.route.rstrip("/") == n.text_at("httpGet", "path").rstrip("/")
    ][:2]
    return Hit(
        view.path,
        max((n.lineno for n in answers), default=endpoint.function.lineno),
        f"{endpoint.name} answers the same whatever happened: it looks at nothing, also not at"
        f" {what} (line {line}) that predictions need, so a service that cannot predict stays in"
        " the load balancer.",
        "Answer 503 until the model is loaded and its stores can be reached (`if model is None:"
        " raise HTTPException(503)`), and point the readiness probe there.",
        also=tuple(also),
        severity=MEDIUM if ready else LOW,
        confidence=0.7,
    )
