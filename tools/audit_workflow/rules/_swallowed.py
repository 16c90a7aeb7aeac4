"""Handlers of exceptions that hide a failure: what they catch, what they do, what comes after."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import AnyFunction, ScopeNode, View, last, walk

_BROAD: Final = frozenset(("", "Exception", "BaseException"))
_OUTSIDE: Final = frozenset(
    "RequestException HTTPError ConnectionError Timeout URLError ClientError BotoCoreError"
    " NoCredentialsError S3UploadFailedError OSError IOError MlflowException RestException"
    " SQLAlchemyError OperationalError DatabaseError GoogleAPIError GoogleCloudError"
    " AzureError HttpResponseError ApiException S3Error CommError"
    " RuntimeError CalledProcessError EmptyDataError ParserError"
    " AirflowException KafkaError RedisError".split()
)
_ENDS: Final = frozenset(
    "exit _exit abort fail set_exception fail_step send_error skip exit_with_error die fatal"
    " kill".split()
)
TELLS: Final = re.compile(
    r"^(?:print|pprint|echo|secho|debug|info|warning|warn|error|exception|critical|log|print_exc|"
    r"print_exception|write|format_exc|record_exception|capture_exception|log_message|show_message"
    r"|markdown|notify|success)$"
)
_WORK: Final = re.compile(
    r"load|read|fetch|download|ingest|extract|query|execute|request|urlopen|scrap|crawl|fit|train|"
    r"predict|infer|score|evaluat|valid|upload|put_object|copy|write|to_csv|to_parquet|to_sql|dump|"
    r"save|regist|promot|deploy|transition|log_(?:model|metric|param|artifact)|insert|commit|"
    r"transform|clean|process|build|create|submit|publish|export|pull|push|backup|send|post|"
    r"start_run|run_|main|update|train_test_split|get_object|sync|retrain|trigger|alias",
    re.IGNORECASE,
)
_OWNERS: Final = re.compile(
    r"client|session|bucket|conn|cursor|s3|mlflow|repo|workflow|api|registry|storage|blob|engine"
    r"|hook|model|trainer|pipeline|dataset",
    re.IGNORECASE,
)
_HANDLERS: Final = ("lambda_handler", "handler")
_LONG: Final = 3
_CLEANS: Final = re.compile(
    r"close|cleanup|clean_up|unlink|rmtree|remove|delete|shutdown|terminate|kill|disconnect|stop|"
    r"release|rollback|unsubscribe|drop|end_run|flush|__del__|teardown",
    re.IGNORECASE,
)
_PROBES: Final = re.compile(
    r"(?:^|_)(?:is|has|exists?|check|can|try|maybe|health|ready|readiness|liveness|ping|safe|wait|"
    r"probe|available|test|parse|to_float|optional|version|git|sha|commit)(?:_|$)",
    re.IGNORECASE,
)
_ROUTES: Final = re.compile(
    r"\.(?:get|post|put|delete|patch|route|websocket|api|exception_handler)$"
)
_SCREENS: Final = frozenset(("streamlit", "gradio", "tkinter"))
_STATUS: Final = re.compile(r"fail|error|success|ok$|status|errors|failed|exc", re.IGNORECASE)


class Swallowed(NamedTuple):
    """A handler that hides a failure; `minor` ones hide little."""

    why: str
    fix: str
    minor: bool
    confidence: float


def swallows(  # noqa: PLR0911 - one return for each reason to be silent
    repo: AuditRepository, view: View, handler: ast.ExceptHandler
) -> Swallowed | None:
    """Judge one handler; None when it is fine."""
    tried = view.parent(handler)
    if not isinstance(tried, ast.Try) or view.module.roots & _SCREENS:
        return None
    caught = _caught(handler)
    bare = handler.type is None
    if _ends(handler) or _retries(view, tried):
        return None
    broad = bool(caught & _BROAD)
    work = _work(view, tried)
    if bare and not _only_cleans(tried):
        return _bare(view, handler, work)
    quiet = _only_tells(view, handler)
    lost = (
        "FileNotFoundError" in caught and quiet == "only prints or logs" and _is_main(view, tried)
    )
    if not broad and not caught & _OUTSIDE and not lost:
        return None
    if (
        quiet is None
        or _only_cleans(tried)
        or _is_route(view, handler)
        or _worker(view, tried, quiet)
    ):
        return None
    if not work and not (broad and (quiet == "passes" or len(tried.body) >= _LONG)):
        return None
    if _given_back(repo, view, handler) or _optional(view, tried, handler):
        return None
    return _swallowed(view, handler, quiet, work, broad=broad)


def _caught(handler: ast.ExceptHandler) -> set[str]:
    node = handler.type
    if node is None:
        return {""}
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {last(dotted(p)) for p in parts}


def _bare(view: View, handler: ast.ExceptHandler, work: str) -> Swallowed:
    around = f" around `{work}`" if work else ""
    return Swallowed(
        f"A bare `except:`{around} catches everything, also `KeyboardInterrupt` and misspelt names"
        f"{', and the run goes on' if _only_tells(view, handler) else ''}.",
        "Name the exception that is expected.",
        minor=not work and view.function(handler) is not None,
        confidence=0.85,
    )


def _swallowed(
    view: View, handler: ast.ExceptHandler, quiet: str, work: str, *, broad: bool
) -> Swallowed:
    caught = ", ".join(sorted(_caught(handler)))
    around = f"`{work}`" if work else "what is tried"
    at_top = _is_main(view, handler)
    then = "the process ends with exit code 0" if at_top else "the code goes on without it"
    if view.module.notebook:
        then = "the cells below go on without it"
    return Swallowed(
        f"When {around} fails, the handler of `{caught}` {quiet}, and {then}.",
        "Let it fail: leave the handler out, or end it with `raise`"
        + (" (or `sys.exit(1)`)." if at_top else "."),
        minor=not work,
        confidence=0.8 if broad and work else 0.6,
    )


def _is_main(view: View, node: ast.AST) -> bool:
    function = view.function(node)
    return function is None or function.name in ("main", "run", "cli")


# --- what the handler does ---------------------------------------------------------------------


def _ends(handler: ast.ExceptHandler) -> bool:
    for node in walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call) and last(dotted(node.func)) in _ENDS:
            return True
    return False


def _only_tells(view: View, handler: ast.ExceptHandler) -> str | None:
    """Say what the handler does when it only passes, prints, logs or gives up; None otherwise."""
    does = {_does(view, handler, s) for s in handler.body}
    if "more" in does or ("falls back" in does and not _caught(handler) & _BROAD):
        return None
    if "falls back" in does:
        return "only logs and puts a constant in its place" if "tells" in does else None
    if "gives up" in does:
        return "logs and returns nothing" if "tells" in does else "returns nothing"
    return "only prints or logs" if "tells" in does else "passes"


def _does(view: View, handler: ast.ExceptHandler, statement: ast.stmt) -> str:
    """Sort a statement of a handler: nothing, tells, gives up, falls back, more."""
    result = "more"
    if isinstance(statement, (ast.Pass, ast.Continue)) or _mere(statement):
        result = "nothing"
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        told = TELLS.match(last(dotted(statement.value.func)))
        result = "tells" if told else "more"
    elif isinstance(statement, ast.Return):
        given = _empty(statement.value) or _answers(view, handler, statement.value)
        result = "gives up" if given else "more"
    elif isinstance(statement, ast.Assign) and (
        _empty(statement.value) or isinstance(statement.value, ast.Constant)
    ):
        result = "falls back"
    return result


def _answers(view: View, handler: ast.ExceptHandler, value: ast.expr | None) -> bool:
    """Tell whether a cloud function returns an ordinary answer for its failure."""
    function = view.function(handler)
    return (
        function is not None
        and function.name in _HANDLERS
        and isinstance(value, ast.Dict)
        and not any(isinstance(k, ast.Constant) and k.value == "statusCode" for k in value.keys)
    )


def _mere(statement: ast.stmt) -> bool:
    """Tell whether a statement only makes a message, or is a comment in quotes."""
    if isinstance(statement, ast.Import):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if not isinstance(statement, ast.Assign):
        return False
    name = last(dotted(statement.targets[0])).lower()
    return name in (
        "msg",
        "message",
        "tb",
        "text",
        "trace",
        "err_msg",
        "error_msg",
        "error_message",
    )


def _empty(value: ast.expr | None) -> bool:
    if value is None:
        return True
    if isinstance(value, ast.Constant):
        return value.value is None or value.value is False or value.value == ""
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return all(_empty(e) for e in value.elts)
    if isinstance(value, ast.Call):
        return last(dotted(value.func)) in ("DataFrame", "dict", "list") and not value.args
    return isinstance(value, ast.Dict) and not value.keys


# --- what is tried -----------------------------------------------------------------------------


def _calls(tried: ast.Try) -> Iterator[ast.Call]:
    for statement in tried.body:
        yield from (n for n in walk(statement) if isinstance(n, ast.Call))


def _work(view: View, tried: ast.Try) -> str:
    """Name the first call among what is tried that reads, trains, saves, registers or scores."""
    for call in sorted(_calls(tried), key=lambda c: (c.lineno, c.col_offset)):
        name = dotted(call.func)
        full = view.name(call)
        if full.startswith(("logging.", "os.path.", "logger.", "str.", "re.", "datetime.")):
            continue
        short = last(name)
        if short in ("copy", "create_engine", "format", "startswith", "update", "process_time"):
            continue
        if TELLS.match(short) and not short.startswith("write"):
            continue
        owner = name.rpartition(".")[0]
        if (
            _WORK.search(short)
            or (owner and _OWNERS.search(owner))
            or full.startswith(("mlflow.", "boto3.", "requests.", "wandb."))
        ):
            return name.removeprefix("?.")
    return ""


def _only_cleans(tried: ast.Try) -> bool:
    names = [last(dotted(c.func)) for c in _calls(tried)]
    return bool(names) and all(_CLEANS.search(n) or n in ("str", "Path", "len") for n in names)


def _retries(view: View, tried: ast.Try) -> bool:
    """Tell whether the loop around waits and tries again."""
    loop = next((u for u in view.above(tried) if isinstance(u, (ast.For, ast.While))), None)
    if loop is None:
        return False
    sleeps = any(
        isinstance(n, ast.Call) and last(dotted(n.func)) in ("sleep", "wait")
        for n in view.walk(loop)
    )
    target = dotted(loop.target).lower() if isinstance(loop, ast.For) else ""
    return (
        sleeps and any(isinstance(n, (ast.Break, ast.Return)) for n in view.walk(loop))
    ) or bool(re.search(r"attempt|retry|retries|tries|\btry", target))


def _worker(view: View, tried: ast.Try, quiet: str) -> bool:
    """Tell whether this is the endless loop of a worker that logs and goes on."""
    loop = next((u for u in view.above(tried) if isinstance(u, (ast.For, ast.While))), None)
    return (
        quiet.startswith("only")
        and isinstance(loop, ast.While)
        and isinstance(loop.test, ast.Constant)
    )


def _is_route(view: View, handler: ast.ExceptHandler) -> bool:
    function = view.function(handler)
    return function is not None and any(
        _ROUTES.search(f".{view.name(d)}".removesuffix("()")) for d in function.decorator_list
    )


# --- what comes after --------------------------------------------------------------------------


def _optional(view: View, tried: ast.Try, handler: ast.ExceptHandler) -> bool:
    """Tell whether what is tried is an extra, an import, or a look whether something exists."""
    if all(isinstance(s, (ast.Import, ast.ImportFrom)) for s in tried.body):
        return True
    function = view.function(handler)
    if function is not None and _PROBES.search(function.name):
        return True
    if tried.orelse or _counts(handler):
        return bool(_counts(handler))
    return _later_checked(view, tried, handler)


def _counts(handler: ast.ExceptHandler) -> bool:
    """Tell whether the handler keeps the failure for later."""
    for node in walk(handler):
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if _STATUS.search(last(dotted(target))):
                return True
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("append", "add", "inc", "labels")
        ):
            return True
    return False


def _later_checked(view: View, tried: ast.Try, handler: ast.ExceptHandler) -> bool:
    """Tell whether what is tried for is tested afterwards: `if model is None:`."""
    assigned = [s for s in (*tried.body, *handler.body) if isinstance(s, ast.Assign)]
    names = {
        dotted(t) for s in assigned for t in s.targets if isinstance(t, (ast.Name, ast.Attribute))
    }
    if not names:
        return False
    scope, shared = view.scope(tried), {n for g in view.of(ast.Global) for n in g.names}
    wide = isinstance(scope, ast.Module) or bool(names & shared) or any("." in n for n in names)
    tests: list[ast.If | ast.IfExp] = [*view.of(ast.If), *view.of(ast.IfExp)]
    return any(
        isinstance(node, (ast.Name, ast.Attribute)) and dotted(node) in names
        for test in tests
        if wide or (test.lineno > (tried.end_lineno or 0) and view.scope(test) is scope)
        for node in view.walk(test.test)
    )


def _given_back(repo: AuditRepository, view: View, handler: ast.ExceptHandler) -> bool:
    """Tell whether the handler returns a value that some caller looks at."""
    if not any(isinstance(n, ast.Return) for n in view.walk(handler)):
        return False
    function = view.function(handler)
    return function is not None and _checked_by_callers(repo, view, function)


@shared
def _looked_at_names(_: Repository) -> dict[str, frozenset[str]]:
    return {}


def _checked_by_callers(repo: AuditRepository, view: View, function: AnyFunction) -> bool:
    known = _looked_at_names(repo)
    for path in sorted({view.path, *repo.code.importers.get(view.path, ())})[:50]:
        if path not in known:
            other = repo.view(path)
            known[path] = _results_tested(other) if other is not None else frozenset()
        if function.name in known[path]:
            return True
    return False


def _results_tested(view: View) -> frozenset[str]:
    """Names of functions whose results some condition of the module reads."""
    tests = _tests(view)
    return frozenset(last(dotted(c.func)) for c in view.calls if _looked_at(view, c, tests))


def _looked_at(view: View, call: ast.Call, tests: dict[ScopeNode, dict[str, int]]) -> bool:
    """Tell whether the result of a call is tested, at once or by its name later on."""
    before: ast.AST = call
    for up in view.above(call):
        if isinstance(up, (ast.If, ast.While, ast.IfExp, ast.Assert)) and before is up.test:
            return True
        if isinstance(up, ast.Assign):
            target = up.targets[0]
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            last_test = tests.get(view.scope(call), {})
            return any(last_test.get(dotted(n), 0) > call.lineno for n in names)
        if isinstance(up, ast.stmt):
            return False
        before = up
    return False


def _tests(view: View) -> dict[ScopeNode, dict[str, int]]:
    """Names that conditions read, by scope, with the line of the last such condition."""
    found: dict[ScopeNode, dict[str, int]] = {}
    for test in view.of(ast.If):
        lines = found.setdefault(view.scope(test), {})
        for node in view.walk(test.test):
            if isinstance(node, ast.Name):
                lines[node.id] = max(test.lineno, lines.get(node.id, 0))
    return found
