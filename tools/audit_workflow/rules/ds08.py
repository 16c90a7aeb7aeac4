"""Prediction input is not validated

## What it does

Looks at functions that answer requests with a prediction, whatever the framework (FastAPI, Flask,
BentoML, Ray Serve, Lambda, SageMaker, Azure ML, KServe), and reports those that take raw JSON, a
`dict`, `Any` or a data frame and hand it on without a schema or a check.  Scripts that read
features from a file or the command line and pass them to a model unseen are reported too.

## Why is this bad?

A missing field, another order of columns or a text in place of a number either fails with a
status 500 or, worse, gives a prediction that nobody sees is wrong.

## Known problems

Validation that a gateway does in front of the service is not seen.

## Example

```python
@app.post("/predict")
async def predict(request: Request):
    data = await request.json()
    return model.predict([list(data.values())]).tolist()
```

## Use instead

```python
class Features(BaseModel):
    age: int = Field(ge=0, le=120)
    income: float = Field(ge=0)


@app.post("/predict")
def predict(features: Features):
    return model.predict([[features.age, features.income]]).tolist()
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._called import step_of
from mlops_advisor.tools.audit_workflow.rules._serving import (
    PREDICTS,
    Endpoint,
    calls_in,
    endpoints,
    reach,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, names_read

_REQUEST_READS: Final = frozenset(("get_json", "json", "get_data", "body", "form", "read"))
_REQUEST_PARTS: Final = frozenset(
    ("json", "form", "args", "data", "values", "body", "query_params", "POST", "GET")
)
_LOOSE: Final = frozenset(
    "dict Dict Any list List object Mapping MutableMapping JSON DataFrame ndarray Request"
    " typing.Any typing.Dict typing.List pandas.DataFrame numpy.ndarray".split()
)
_SCHEMAS: Final = frozenset(
    "model_validate model_validate_json parse_obj parse_raw validate validate_python validate_json"
    " validate_call is_valid validate_request check_schema check_input validate_input"
    " validate_data validate_features validate_payload loads_schema check_columns"
    " enforce_schema validate_schema validate_inputs convert_and_validate".split()
)
_SCHEMA_ROOTS: Final = (
    "marshmallow",
    "pandera",
    "jsonschema",
    "cerberus",
    "voluptuous",
    "great_expectations",
    "attrs",
    "msgspec",
    "pydantic",
    "webargs",
    "flask_pydantic",
    "schema",
)
_REFUSES: Final = frozenset(("abort", "HTTPException", "BadRequest", "exit"))
_NO_CHECK: Final = ("streamlit", "gradio")


@rule(
    "DS08",
    name="no-input-validation",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.8,
    fix="Describe the request as a type with ranges (`class Features(BaseModel): age: int ="
    " Field(ge=0)`), and build the model's input from it column by column.",
    effort=(0.25, 1.0),
    sources=(
        "fastapi_docs: Request Body (validate the data)",
        "owasp_ml: ML01:2023 Input Manipulation Attack, How to Prevent, input validation",
    ),
)
def no_input_validation(repo: AuditRepository) -> Iterator[Hit]:
    """Report prediction endpoints and scripts that pass on what they are given."""
    for path, module in repo.code.product.items():
        if module.notebook:
            continue
        text = repo.text(path)
        if not any(
            w in text
            for w in ("predict", "infer", "_fn", "event", "def run", "json", "score", "classif")
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        found = [e for e in endpoints(repo, view) if e.does == "predict"]
        for endpoint in found:
            hit = _of_endpoint(repo, endpoint)
            if hit is not None:
                yield hit
        if not found and not module.roots & frozenset(_NO_CHECK):
            yield from _of_script(repo, view)


# --- endpoints -----------------------------------------------------------------------------


def _of_endpoint(repo: AuditRepository, endpoint: Endpoint) -> Hit | None:
    view, function = endpoint.view, endpoint.function
    raw = _raw_input(endpoint)
    if raw is None or _validated(repo, view, function):
        return None
    line, what = raw
    return Hit(
        view.path,
        line,
        f"{endpoint.name} takes {what} as it comes: no schema or check of names, types and ranges"
        " stands before the model.",
        also=((view.path, function.lineno),) if line != function.lineno else (),
        confidence=0.6 if endpoint.style in ("sagemaker", "azure", "kserve", "bentoml") else None,
    )


def _raw_input(endpoint: Endpoint) -> tuple[int, str] | None:
    view, function, style = endpoint.view, endpoint.function, endpoint.style
    read = _request_read(view, function)
    if read is not None:
        return read
    if style in ("lambda", "sagemaker", "azure", "litserve", "ray"):
        return _handler_read(view, function)
    if style == "kserve":
        return function.lineno, "its payload"
    plain = () if style == "bentoml" else ("list", "List", "ndarray", "Request")
    loose = _loose_argument(view, function, plain)
    if style == "bentoml":
        return (function.lineno, loose or "JSON") if _json_api(view, function) else None
    return (function.lineno, loose) if loose else None


def _loose_argument(view: View, function: AnyFunction, plain: tuple[str, ...]) -> str:
    """Find an argument without a real type, as it is written; some types are left out."""
    for argument in [*function.args.args, *function.args.kwonlyargs]:
        kind = _loose_type(view, argument.annotation)
        given = argument.arg not in ("self", "cls") and not _depends(function, argument)
        if kind and given and kind.rpartition(".")[2] not in plain:
            return f"`{argument.arg}: {kind}`"
    return ""


def _request_read(view: View, function: AnyFunction) -> tuple[int, str] | None:
    requests = {"request", "req", "flask.request"} | {
        a.arg
        for a in function.args.args
        if a.annotation is not None and "Request" in view.name(a.annotation)
    }
    nodes = sorted(
        (n for n in view.below(function, ast.Attribute)), key=lambda n: (n.lineno, n.col_offset)
    )
    for node in nodes:
        owner = view.name(node.value) if not isinstance(node.value, ast.Constant) else ""
        plain = owner.rpartition(".")[2]
        if plain not in requests and owner not in requests:
            continue
        up = view.parent(node)
        called = isinstance(up, ast.Call) and up.func is node
        if (called and node.attr in _REQUEST_READS) or (not called and node.attr in _REQUEST_PARTS):
            if node.attr in ("args", "query_params", "values") and _one_text(view, node):
                continue
            return node.lineno, f"`{ast.unparse(node)}{'()' if called else ''}`"
    return None


def _one_text(view: View, node: ast.Attribute) -> bool:
    """Tell whether `request.args.get("x")` only asks for one text."""
    up = view.parent(node)
    return isinstance(up, ast.Attribute) and up.attr == "get"


def _handler_read(view: View, function: AnyFunction) -> tuple[int, str] | None:
    arguments = [a.arg for a in function.args.args if a.arg not in ("self", "cls", "context")]
    if not arguments:
        return None
    first = arguments[0]
    for node in sorted(view.below(function, ast.Subscript, ast.Call), key=lambda n: n.lineno):
        if isinstance(node, ast.Subscript) and _root(node) == first:
            return node.lineno, f"`{ast.unparse(node)[:60]}`"
        if isinstance(node, ast.Call) and (
            dotted(node) == f"{first}.get()" or any(_root(a) == first for a in node.args)
        ):
            name = view.name(node)
            if last(name) in (
                "loads",
                "get",
                "read_csv",
                "read_json",
                "DataFrame",
                "array",
                "load",
                "StringIO",
            ):
                return node.lineno, f"`{first}`"
    return None


def _root(node: ast.AST) -> str:
    for _ in range(12):
        if isinstance(node, (ast.Subscript, ast.Attribute, ast.Await)):
            node = node.value
        else:
            break
    return node.id if isinstance(node, ast.Name) else ""


def _loose_type(view: View, annotation: ast.expr | None) -> str:
    if annotation is None:
        return ""
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    name = view.name(outer)
    return (
        ast.unparse(annotation)[:40] if name in _LOOSE or name.rpartition(".")[2] in _LOOSE else ""
    )


def _depends(function: AnyFunction, argument: ast.arg) -> bool:
    """Tell whether FastAPI fills an argument from `Depends(...)`."""
    names = [a.arg for a in function.args.args]
    defaults = function.args.defaults
    at = names.index(argument.arg) - (len(names) - len(defaults)) if argument.arg in names else -1
    return 0 <= at < len(defaults) and "Depends" in ast.unparse(defaults[at])


def _json_api(view: View, function: AnyFunction) -> bool:
    """Tell whether a BentoML API takes JSON, frames or arrays without a model or shape."""
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        given = View.arg(decorator, "input", 0)
        if isinstance(given, ast.Call):
            name = last(view.name(given))
            keys = {k.arg for k in given.keywords}
            if keys & {"pydantic_model", "shape", "enforce_shape", "enforce_dtype", "dtype"}:
                return False
            return name in ("JSON", "PandasDataFrame", "NumpyNdarray", "Text")
    return any(
        _loose_type(view, a.annotation) in ("dict", "Dict", "Any") for a in function.args.args
    )


def _validated(repo: AuditRepository, view: View, function: AnyFunction) -> bool:
    return any(_checks(where, one) for where, one in reach(repo, view, function))


def _checks(view: View, function: AnyFunction) -> bool:
    for decorator in function.decorator_list:
        if any(
            w in view.name(decorator).lower()
            for w in ("validate", "expects", "use_kwargs", "check_")
        ):
            return True
    for call in calls_in(view, function):
        name = view.name(call)
        if last(name) in _SCHEMAS or name.startswith(_SCHEMA_ROOTS):
            return True
        if _makes_model(call):
            return True
        if (
            last(name)
            .lower()
            .startswith(("validate", "check_", "_validate", "_check", "verify_", "ensure_"))
        ):
            return True
    tests = [
        n
        for n in view.below(function, ast.If)
        if _refuses(view, n.body) and _looks_at_data(view, n.test)
    ]
    asserts = [n for n in view.below(function, ast.Assert) if _looks_at_data(view, n.test)]
    return bool(tests or asserts)


def _makes_model(call: ast.Call) -> bool:
    """Tell whether `Features(**data)` makes an object of a class."""
    name = step_of(call)
    spread = any(k.arg is None for k in call.keywords)
    return spread and name[:1].isupper() and name not in ("DataFrame", "Dict", "Series")


def _refuses(view: View, body: Iterable[ast.stmt]) -> bool:
    """Tell whether a branch turns the request away: raises, aborts, or answers with an error."""
    for statement in body:
        for node in view.walk(statement):
            if isinstance(node, ast.Raise):
                return True
            if isinstance(node, ast.Call) and last(view.name(node)) in _REFUSES:
                return True
            if isinstance(node, ast.Return) and node.value is not None:
                text = ast.unparse(node.value)[:400].lower()
                if any(w in text for w in ("error", "400", "422", "invalid", "missing")):
                    return True
    return False


def _looks_at_data(view: View, test: ast.expr) -> bool:
    """Tell whether a condition asks for fields, types or shapes, not for presence alone."""
    for node in view.walk(test):
        if isinstance(node, ast.Call):
            name = last(view.name(node))
            if name in (
                "isinstance",
                "issubset",
                "issuperset",
                "all",
                "any",
                "keys",
                "isnull",
                "isna",
                "difference",
            ):
                return True
        if isinstance(node, ast.Compare):
            left = node.left
            ins = any(isinstance(o, (ast.In, ast.NotIn)) for o in node.ops)
            if ins and not _content_type(node):
                return True
            if isinstance(left, ast.Subscript) or ".shape" in ast.unparse(left):
                return any(not isinstance(o, (ast.Is, ast.IsNot)) for o in node.ops)
        if isinstance(node, ast.Name) and node.id in (
            "missing",
            "missing_fields",
            "missing_columns",
            "errors",
        ):
            return True
    return False


def _content_type(node: ast.Compare) -> bool:
    text = ast.unparse(node).lower()
    return any(
        w in text
        for w in (
            "content_type",
            "content-type",
            "mime",
            "resource",
            "httpmethod",
            "requestcontext",
        )
    )


# --- scripts -------------------------------------------------------------------------------


def _of_script(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report a script that hands features from a file or a prompt to a loaded model, unseen."""
    path = view.path
    if (
        path in repo.code.serving_code
        or path in repo.code.training
        or path not in repo.code.predicts
    ):
        return
    if not any(p in repo.code.loads for p in repo.code.closure([path])):
        return
    reads = [
        c
        for c in view.calls
        if view.name(c) in ("json.load", "json.loads", "input", "ast.literal_eval")
    ]
    reads = sorted((c for c in reads if _features(view, c)), key=_reads_file)
    if not reads or any(_checks(view, f) for f in view.functions):
        return
    for call in view.calls:
        if last(view.name(call)) not in PREDICTS or not call.args or "." not in dotted(call):
            continue
        source = _frame(view, call.args[0])
        if source is None:
            continue
        columns = View.arg(source, "columns") is not None
        if not columns:
            yield Hit(
                path,
                call.lineno,
                f"`{ast.unparse(call)[:60]}` gets features that `{ast.unparse(reads[0])[:40]}`"
                f" (line {reads[0].lineno}) reads; their names, order and types are not compared"
                " with what the model was trained on.",
                "Check and order them first: `frame = frame[model.feature_names_in_]`, and refuse"
                " what is missing or of another type.",
                also=((path, reads[0].lineno),),
                confidence=0.7,
            )
            return


def _reads_file(call: ast.Call) -> tuple[bool, int]:
    return not dotted(call).startswith("json"), call.lineno


def _features(view: View, call: ast.Call) -> bool:
    """Tell whether what is read is data rather than a configuration."""
    statement = view.statement(call)
    text = ast.unparse(statement).lower()[:300] if statement is not None else ""
    return not any(
        w in text
        for w in ("config", "param", "settings", "meta", "label", "vocab", "metric", "mapping")
    )


def _frame(view: View, node: ast.expr) -> ast.Call | None:
    """Call that makes the model's input of a list or dictionary, if that is where it comes from."""
    settled = view.settled(node)
    if isinstance(settled, ast.Call):
        name = view.name(settled)
        if name in ("pandas.DataFrame", "numpy.array", "pandas.json_normalize", "pandas.Series"):
            first = settled.args[0] if settled.args else None
            return settled if first is not None and names_read(first) else None
    return None
