"""Error answered as success, or with its details

## What it does

Looks at functions that answer requests.  An `except` branch that returns a body without a status
of 400 or above is reported, and so is a body that says "error" under status 200.  Text of an
unexpected exception or a traceback that is sent to the client is reported as well.

## Why is this bad?

Load balancers, retries and alerts go by the status: with 200 a broken model looks healthy, and the
client takes the message for a prediction.  Exception texts tell strangers paths, queries and
library versions.

## Known problems

A status that middleware sets afterwards is not seen.

## Example

```python
except Exception as error:
    return {"error": str(error)}
```

## Use instead

```python
except Exception:
    logger.exception("prediction failed")
    raise HTTPException(status_code=500, detail="prediction failed") from None
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._serving import endpoints
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

_BROAD: Final = ("", "Exception", "BaseException", "RuntimeError", "builtins.Exception")
_PAGES: Final = (
    "render_template",
    "TemplateResponse",
    "redirect",
    "render",
    "url_for",
    "render_template_string",
)
_RAISED: Final = frozenset(
    ("HTTPException", "abort", "HTTPError", "ApiError", "InternalServerError", "APIException")
)
_OK: Final = 200
_ERROR: Final = 400
_RESPONSES: Final = (
    *("make_response", "Response", "JSONResponse", "PlainTextResponse", "HttpResponse", "json"),
)
_BODIES: Final = ("jsonify", "dict", "str", "dumps", "JsonResponse", "repr")
_WORDS: Final = ("error", "errors", "exception", "err")
_STATES: Final = ("error", "fail", "failed", "failure")


@module_rule(
    "DS09",
    name="error-as-success",
    dimension="deployment",
    severity=HIGH,
    confidence=0.85,
    fix="Log the exception, and answer with a status and a general text:"
    ' `raise HTTPException(status_code=500, detail="prediction failed")` (Flask:'
    ' `return jsonify(error="prediction failed"), 500`).',
    effort=(0.1, 0.5),
    sources=("fastapi_docs: Handling Errors (HTTPException)",),
    words=("except", "error", "Error"),
)
def error_as_success(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report answers to failures that look like success or tell too much."""
    if view.module.notebook:
        return
    seen: set[int] = set()
    for function, style in _answering(repo, view):
        for hit in _of_function(view, function, style):
            if hit.line not in seen:
                seen.add(hit.line)
                yield hit


def _answering(repo: AuditRepository, view: View) -> Iterator[tuple[AnyFunction, str]]:
    for endpoint in endpoints(repo, view):
        yield endpoint.function, endpoint.style
    for function in view.functions:
        names = [last(view.name(d)) for d in function.decorator_list]
        if "exception_handler" in names or "errorhandler" in names:
            yield function, "handler"


def _of_function(view: View, function: AnyFunction, style: str) -> Iterator[Hit]:
    for handler in sorted(view.below(function, ast.ExceptHandler), key=lambda h: h.lineno):
        if view.function(handler) is function:
            yield from _of_handler(view, function, handler, style)
    if style == "handler":
        names = frozenset(a.arg for a in function.args.args)
        for node in _returns(view, function):
            if _leaks(view, node.value, names) and not _of_client(function):
                yield _leak(view.path, node.lineno)
        return
    for node in _returns(view, function):
        said = not view.inside(node, ast.ExceptHandler) and _says_error(view, node.value)
        if said and _status(view, function, node.value, style) < _ERROR:
            yield _success(view.path, node.lineno, "This answer says that something failed")


def _of_client(function: AnyFunction) -> bool:
    """Tell whether a handler is for errors of the client: validation, 404 and the like."""
    text = " ".join(ast.unparse(d) for d in function.decorator_list)
    return any(
        w in text for w in ("Validation", "ValueError", "404", "400", "422", "HTTPException")
    )


def _returns(view: View, function: AnyFunction) -> list[ast.Return]:
    found = [
        n
        for n in view.below(function, ast.Return)
        if n.value is not None and view.function(n) is function
    ]
    return sorted(found, key=lambda n: n.lineno)


def _of_handler(
    view: View, function: AnyFunction, handler: ast.ExceptHandler, style: str
) -> Iterator[Hit]:
    caught = view.name(handler.type) if handler.type is not None else ""
    broad = caught in _BROAD
    names = frozenset((handler.name,)) if handler.name else frozenset()
    what = f"`except {ast.unparse(handler.type)[:40] if handler.type else ''}`".replace(" `", "`")
    for statement in handler.body:
        for node in [statement, *view.below(statement, ast.Return, ast.Raise, ast.Call)]:
            if isinstance(node, ast.Return) and node.value is not None:
                leaks = _leaks(view, node.value, names)
                if _status(view, function, node.value, style) < _ERROR:
                    extra = ", and the text of the exception" if leaks and broad else ""
                    yield _success(
                        view.path, node.lineno, f"After {what} the client gets an answer{extra}"
                    )
                elif leaks and broad:
                    yield _leak(view.path, node.lineno)
            elif isinstance(node, ast.Call) and last(view.name(node)) in _RAISED and broad:
                given = [*node.args, *(k.value for k in node.keywords)]
                if any(_leaks(view, g, names) for g in given):
                    yield _leak(view.path, node.lineno)
    yield from _kept(view, function, handler, what)


def _kept(
    view: View, function: AnyFunction, handler: ast.ExceptHandler, what: str
) -> Iterator[Hit]:
    """Report an answer that is made in the handler and returned at the end."""
    names = frozenset((handler.name,)) if handler.name else frozenset()
    for node in view.below(handler, ast.Assign):
        target = node.targets[0]
        if not isinstance(target, ast.Name) or not isinstance(node.value, (ast.Dict, ast.Call)):
            continue
        if not (_says_error(view, node.value) or _leaks(view, node.value, names)):
            continue
        for answer in _returns(view, function):
            value = answer.value
            if answer.lineno > node.lineno and value is not None:
                bare = value.args[0] if isinstance(value, ast.Call) and value.args else value
                if isinstance(bare, ast.Name) and bare.id == target.id:
                    if not _mentions_status(value):
                        yield _success(
                            view.path, node.lineno, f"After {what} `{target.id}` is returned"
                        )
                    break


def _mentions_status(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and any("status" in (k.arg or "") for k in value.keywords)


def _success(path: str, line: int, what: str) -> Hit:
    return Hit(path, line, f"{what}, with status 200: callers and alerts take it for success.")


def _leak(path: str, line: int) -> Hit:
    return Hit(
        path,
        line,
        "The client is sent the text of an unexpected exception: paths, queries, versions.",
        "Log the exception with `logger.exception(...)` and answer with a general text.",
        severity=MEDIUM,
    )


def _status(view: View, function: AnyFunction, value: ast.expr | None, style: str) -> int:
    """Status of an answer; a status that is not a literal counts as an error's."""
    if isinstance(value, ast.Name):
        settled = view.settled(value)
        value = settled if settled is not value else None
    if isinstance(value, ast.Tuple) and len(value.elts) > 1:
        return _number(view, value.elts[1])
    if isinstance(value, ast.Call):
        return _status_of_call(view, value)
    if isinstance(value, ast.Dict):
        return _status_of_dict(view, function, value, style)
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return _ERROR if style == "handler" else _OK
    return _OK if isinstance(value, ast.JoinedStr) else _ERROR


def _status_of_call(view: View, value: ast.Call) -> int:
    name = last(view.name(value))
    if name in _PAGES or name in _RAISED:
        return _ERROR
    for keyword in value.keywords:
        if keyword.arg in ("status_code", "status"):
            return _number(view, keyword.value)
    if name in _RESPONSES:
        return _number(view, value.args[1]) if len(value.args) > 1 else _OK
    # A function of its own makes the answer, and may set a status.
    return _OK if name in _BODIES else _ERROR


def _status_of_dict(view: View, function: AnyFunction, value: ast.Dict, style: str) -> int:
    for key, item in zip(value.keys, value.values, strict=True):
        name = key.value if isinstance(key, ast.Constant) else ""
        if name == "statusCode" or (style == "lambda" and name in ("status_code", "code")):
            return _number(view, item)
    return _ERROR if style == "lambda" or _sets_status(view, function) else _OK


def _number(view: View, node: ast.expr) -> int:
    number = view.literal(node)
    if isinstance(number, int):
        return number
    text = ast.unparse(node)
    return _OK if text.endswith(("HTTP_200_OK", "HTTPStatus.OK", "OK.value")) else _ERROR


def _sets_status(view: View, function: AnyFunction) -> bool:
    return any(
        isinstance(n.ctx, ast.Store) and n.attr in ("status_code", "status")
        for n in view.below(function, ast.Attribute)
    )


def _says_error(view: View, value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and last(view.name(value)) in (
        "jsonify",
        "JSONResponse",
        "dict",
        "JsonResponse",
    ):
        if any(k.arg in _WORDS for k in value.keywords):
            return True
        value = View.arg(value, "content", 0)
    if not isinstance(value, ast.Dict):
        return False
    for key, item in zip(value.keys, value.values, strict=True):
        if not isinstance(key, ast.Constant):
            continue
        text = str(key.value).lower()
        if text in _WORDS and not (
            isinstance(item, ast.Constant) and item.value in (None, "", False)
        ):
            return isinstance(item, (ast.JoinedStr, ast.Constant)) or _is_text_call(item)
        if (
            text == "status"
            and isinstance(item, ast.Constant)
            and str(item.value).lower() in _STATES
        ):
            return True
    return False


def _is_text_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str"


def _leaks(view: View, value: ast.expr | None, names: frozenset[str]) -> bool:
    """Tell whether an answer holds the exception's text or a traceback."""
    if value is None:
        return False
    for node in view.walk(value):
        if isinstance(node, ast.Call):
            name = view.name(node)
            if name in ("traceback.format_exc", "traceback.format_exception", "sys.exc_info"):
                return True
            if name in ("str", "repr", "format") and node.args and _is(node.args[0], names):
                return True
        if isinstance(node, ast.FormattedValue) and _is(node.value, names):
            return True
        if isinstance(node, ast.Attribute) and node.attr == "args" and _is(node.value, names):
            return True
    return False


def _is(node: ast.expr, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names
