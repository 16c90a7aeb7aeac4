"""What rules on serving share: endpoints, serving images, and the functions behind them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.shell import Instruction
from mlops_advisor.tools.evidence.view import AnyFunction, View, last

METHODS: Final = ("post", "get", "put", "patch", "route", "api_route", "delete")
WEB: Final = (
    "fastapi",
    "flask",
    "starlette",
    "bentoml",
    "sanic",
    "quart",
    "litestar",
    "aiohttp",
    "bottle",
    "falcon",
    "robyn",
    "django",
    "rest_framework",
    "flask_restful",
    "flask_restx",
    "ray",
    "kserve",
    "mlserver",
    "litserve",
    "functions_framework",
    "tornado",
    "connexion",
    "chalice",
    "azure",
    "modal",
)
PREDICTS: Final = frozenset(
    "predict predict_proba predict_log_proba predict_batch predict_fn decision_function inference"
    " infer run_inference generate run_prediction make_prediction get_prediction get_predictions"
    " score_samples forecast classify recommend".split()
)
_PREDICT_WORDS: Final = (
    "predict",
    "infer",
    "score",
    "scoring",
    "classif",
    "recommend",
    "forecast",
    "estimat",
    "invocation",
)
_TRAIN_WORDS: Final = ("train", "fit", "retrain", "finetune")
_ADMIN_WORDS: Final = ("evaluate", "reload", "refresh", "admin", "promote", "delete", "deploy")
_OTHER_PATHS: Final = ("health", "metrics", "ready", "live", "version", "docs", "home", "about")
SERVER: Final = re.compile(
    r"\b(?:uvicorn|gunicorn|hypercorn|waitress-serve|flask(?: --\S{1,40}){0,3} run|"
    r"fastapi (?:run|dev)|bentoml serve|mlflow models serve|torchserve|tritonserver|"
    r"tensorflow_model_server|seldon-core-microservice|mlserver start|serve run|ray serve|"
    r"litserve|vllm serve|text-generation-launcher|kserve|awslambdaric|functions-framework)\b"
)
_MAX_DEPTH: Final = 3
_MAX_REACHED: Final = 40


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One function that answers requests.

    `route` is its path or name, `style` http, lambda, sagemaker, bentoml, kserve, seldon, ray,
    azure or litserve; `does` predict, train, admin or other.
    """

    view: View
    function: AnyFunction
    line: int
    route: str
    style: str
    does: str

    @property
    def name(self) -> str:
        """What to call it in a text."""
        return f"`{self.route}`" if self.route.startswith("/") else f"`{self.function.name}`"


def endpoints(repo: AuditRepository, view: View) -> list[Endpoint]:
    """Functions of a module that answer requests, in the order of the source."""
    found = [e for f in view.functions if (e := _endpoint(repo, view, f)) is not None]
    return sorted(found, key=lambda e: e.function.lineno)


def _endpoint(repo: AuditRepository, view: View, function: AnyFunction) -> Endpoint | None:
    seen = _decorated(view, function) or _handler(view, function)
    if seen is None:
        return None
    line, route, style = seen
    return Endpoint(view, function, line, route, style, _does(repo, view, function, route, style))


def _decorated(view: View, function: AnyFunction) -> tuple[int, str, str] | None:
    for decorator in function.decorator_list:
        name = view.name(decorator)
        end = last(name)
        if name in ("bentoml.api", "functions_framework.http", "functions_framework.cloud_event"):
            return function.lineno, function.name, "bentoml" if "bento" in name else "http"
        if end == "api" and "bentoml" in name:
            return function.lineno, function.name, "bentoml"
        if isinstance(decorator, ast.Call) and end in METHODS and "." in name:
            path = decorator.args[0] if decorator.args else View.arg(decorator, "path")
            route = view.string(path) or (view.literal(path) if path is not None else "")
            if isinstance(route, str) and (route.startswith("/") or route == ""):
                return function.lineno, route or "/", "http"
    return None


def _handler(view: View, function: AnyFunction) -> tuple[int, str, str] | None:
    """Functions that a platform calls by name, or methods of its classes."""
    args = [a.arg for a in function.args.args]
    roots, name, line = view.module.roots, function.name, function.lineno
    home = view.parent(function)
    if isinstance(home, ast.ClassDef):
        bases = [view.name(b) for b in home.bases]
        return _method(view, function, home, bases)
    if name in ("lambda_handler", "handler") and args[:2] == ["event", "context"]:
        return line, name, "lambda"
    names = {f.name for f in view.functions}
    if name == "input_fn" and "model_fn" in names:
        return line, name, "sagemaker"
    if name == "run" and "init" in names and ("joblib" in roots or "azureml" in roots or args):
        return (line, name, "azure") if len(args) == 1 and "init" in names else None
    return None


def _method(
    view: View, function: AnyFunction, home: ast.ClassDef, bases: list[str]
) -> tuple[int, str, str] | None:
    line, name = function.lineno, function.name
    if any(b.startswith(("kserve.", "mlserver.")) for b in bases) and name in (
        "predict",
        "preprocess",
    ):
        return (line, name, "kserve") if name == "predict" else None
    if any(b.startswith("litserve.") for b in bases) and name == "decode_request":
        return line, name, "litserve"
    if any("Resource" in b or "MethodView" in b or "APIView" in b for b in bases):
        return (line, name, "http") if name in ("post", "get", "put") else None
    if any(b.startswith("tornado.") for b in bases) and name == "post":
        return line, name, "http"
    decorators = [view.name(d) for d in home.decorator_list]
    if name == "__call__" and any(d.startswith("ray.serve.deployment") for d in decorators):
        return line, home.name, "ray"
    return None


def _does(repo: AuditRepository, view: View, function: AnyFunction, route: str, style: str) -> str:
    words = f"{route} {function.name}".lower()
    asks = any(w in words for w in _PREDICT_WORDS)
    if any(w in words for w in _OTHER_PATHS) and not asks:
        return "other"
    if any(w in words for w in _TRAIN_WORDS) and "predict" not in words:
        return "train"
    if not asks and any(w in words for w in _ADMIN_WORDS):
        return "admin"
    if asks or style in ("kserve", "litserve", "sagemaker", "bentoml", "azure"):
        return "predict"
    far = view.path not in repo.code.serving_code and style == "http"
    if far and not _near_model(repo, view):
        return "other"
    return "predict" if predicts(repo, view, function) else "other"


def _near_model(repo: AuditRepository, view: View) -> bool:
    reached = repo.code.closure([view.path])
    return any(p in repo.code.loads or p in repo.code.predicts for p in reached)


def predicts(repo: AuditRepository, view: View, function: AnyFunction) -> bool:
    """Tell whether a function asks a model, itself or through functions that it calls."""
    return prediction(repo, view, function) is not None


def prediction(
    repo: AuditRepository, view: View, function: AnyFunction
) -> tuple[View, ast.Call] | None:
    """First call of a model reached from a function."""
    for where, reached in reach(repo, view, function):
        for call in calls_in(where, reached):
            name = where.name(call)
            if (
                last(name) in PREDICTS
                or ("onnxruntime" in name and name.endswith(".run"))
                or name.endswith("_runner.run")
                or ".async_run" in name
            ):
                return where, call
            if "transformers.pipeline()" in dotted(call) or name == "transformers.pipeline()":
                return where, call
    return None


def calls_in(view: View, node: ast.AST) -> list[ast.Call]:
    """List calls below a node, in the order of the source."""
    return sorted(view.below(node, ast.Call), key=lambda c: (c.lineno, c.col_offset))


def callee(repo: AuditRepository, view: View, call: ast.Call) -> tuple[View, AnyFunction] | None:
    """Find the function of this workspace that a call starts, if it can be told."""
    raw = dotted(call)
    name = raw.removesuffix("()")
    head, _, tail = name.rpartition(".")
    if not head or head in ("self", "cls"):
        for function in view.functions:
            if function.name == tail and (head or not _is_method(view, function)):
                return view, function
    full = view.name(call)
    head, _, tail = full.rpartition(".")
    if not head:
        return None
    for module, wanted in ((head, tail), (head.removesuffix("()").rpartition(".")[0], tail)):
        path = repo.code.resolve(module, view.path) if module else ""
        other = repo.view(path) if path and path != view.path else None
        if other is None and head.endswith("()") and "." not in head:
            other = view
        for function in other.functions if other is not None else ():
            if function.name == wanted:
                return (other or view), function
    return None


def _is_method(view: View, function: AnyFunction) -> bool:
    return isinstance(view.parent(function), ast.ClassDef)


def reach(
    repo: AuditRepository, view: View, function: AnyFunction
) -> list[tuple[View, AnyFunction]]:
    """Collect a function and those of this workspace that it calls, to a bounded depth."""
    found: list[tuple[View, AnyFunction]] = [(view, function)]
    seen = {id(function)}
    level = [(view, function)]
    for _ in range(_MAX_DEPTH):
        below: list[tuple[View, AnyFunction]] = []
        for where, one in level:
            for call in calls_in(where, one):
                target = callee(repo, where, call)
                if target is not None and id(target[1]) not in seen and len(found) < _MAX_REACHED:
                    seen.add(id(target[1]))
                    found.append(target)
                    below.append(target)
        level = below
    return found


# --- images and workloads ------------------------------------------------------------------


def last_stage(instructions: list[Instruction]) -> list[Instruction]:
    """Instructions of the final stage of a Dockerfile."""
    starts = [i for i, item in enumerate(instructions) if item.name == "FROM"]
    return instructions[starts[-1] :] if starts else []


def start_of(instructions: list[Instruction]) -> tuple[int, str]:
    """Line and text of what the image starts; (0, "") when it does not say."""
    stage = last_stage(instructions)
    entry = [i for i in stage if i.name == "ENTRYPOINT"][-1:]
    command = [i for i in stage if i.name == "CMD"][-1:]
    both = [*entry, *command]
    return (both[-1].line, " ".join(i.text for i in both)) if both else (0, "")


def serving_images(repo: AuditRepository) -> dict[str, tuple[int, str]]:
    """Dockerfiles whose image serves a model, with the line and text of what they start."""
    found: dict[str, tuple[int, str]] = {}
    for path, instructions in repo.dockerfiles.items():
        line, text = start_of(instructions)
        if text and serves(repo, path, text):
            found[path] = (line, text)
    return found


def serves(repo: AuditRepository, path: str, text: str) -> bool:
    """Tell whether a start command serves a model rather than a tracking server or the like."""
    if re.search(r"\bmlflow (?:ui|server)\b|\bjupyter|\bairflow\b|\bprefect\b|\bcelery\b", text):
        return False
    started = started_near(repo, path, text)
    near = path.rsplit("/", 1)[0] if "/" in path else ""
    serving = repo.code.serving
    if any(p in serving for p in started):
        return True
    if SERVER.search(text):
        return any(p.startswith(near) for p in serving) or not repo.python or bool(serving)
    if re.search(r"^\s{0,4}\S{1,80}\.(?:lambda_)?handler\b", text):
        return any(p.startswith(near) for p in serving)
    return False


def started_near(repo: AuditRepository, path: str, text: str) -> frozenset[str]:
    """Python files that a command in some file starts: of equal names those next to the file."""
    folder = path.rsplit("/", 1)[0] + "/" if "/" in path else ""
    found = set()
    for module in repo.runs.started(text):
        parts = module.split("/")
        tails = [folder + "/".join(parts[i:]) for i in range(len(parts))]
        found.add(next((t for t in tails if t in repo.code.modules), module))
    return frozenset(found)


def own_lines(view: View, function: AnyFunction) -> Iterator[ast.stmt]:
    """Statements of a function, nested functions left out."""
    for node in view.walk(function):
        if isinstance(node, ast.stmt) and node is not function and view.function(node) is function:
            yield node
