"""Parts of DM15: inference that prepares its input in another way than training did."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, Hit
from mlops_advisor.tools.audit_workflow.rules._data_frames import (
    at,
    is_features_name,
    targets_near,
    text_list,
)
from mlops_advisor.tools.audit_workflow.rules._data_scope import scope_of
from mlops_advisor.tools.audit_workflow.rules._dataflow import class_of
from mlops_advisor.tools.audit_workflow.rules._preparations import prepared
from mlops_advisor.tools.audit_workflow.rules._tracking import saves_of
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.trace import traces
from mlops_advisor.tools.evidence.trace_library import sort_of
from mlops_advisor.tools.evidence.view import View, last

_LEARNERS: Final = (
    "sklearn.preprocessing.",
    "sklearn.feature_extraction.",
    "sklearn.impute.",
    "sklearn.decomposition.",
    "sklearn.feature_selection.",
    "category_encoders.",
    "sklearn.compose.",
)
_PLAIN: Final = (
    "FunctionTransformer",
    "Normalizer",
    "Binarizer",
    "HashingVectorizer",
    "FeatureHasher",
)
_TARGET_ARG: Final = re.compile(r"(?i)^(?:y\w{0,12}|\w{0,20}(?:target|label)s?\w{0,10})$")
_WRAPS: Final = ("Pipeline", "make_pipeline", "ColumnTransformer", "make_column_transformer")
_PREDICTS: Final = ("predict", "predict_proba", "predict_batch", "decision_function")
_RUNS: Final = ("run", "async_run", "run_batch")
_RUNNER: Final = re.compile(r"(?i)^bentoml\.|runner|session|InferenceSession")
_NET: Final = re.compile(r"(?i)^(?:model|net|network|classifier)$")
_PREPARES: Final = re.compile(
    r"(?i)transform|load_pipeline|^_?(?:pre_?process|prepare|scale|normali[sz]e|encode|featuri[sz]e)"
)
_LOGS: Final = (
    "numpy.log1p",
    "numpy.log",
    "np.log1p",
    "np.log",
    "math.log1p",
    "math.log",
    "numpy.sqrt",
)
_UNDO: Final = ("expm1", "exp", "inverse_transform", "inv_boxcox", "square", "power")
_IMAGE: Final = ("Normalize", "Resize", "CenterCrop", "Grayscale")
_ALIGNS: Final = frozenset(
    "reindex align set_categories feature_names_in_ feature_names Categorical"
    " CategoricalDtype".split()
)
_LEAST: Final = 4
_MAX_LISTS: Final = 200
_MAX_LACKS: Final = 2
_MAX_NEAR: Final = 60


def at_request(view: View) -> Iterator[Hit]:
    """Report what learns from the request itself."""
    for call in view.calls:
        name = view.name(call)
        short = last(name)
        if short in ("fit_transform", "fit") and name.startswith(_LEARNERS):
            if view.function(call) is None or any(p in name for p in _PLAIN):
                continue
            made = name.rpartition(".")[0].rpartition(".")[2].removesuffix("()")
            if call.args and _TARGET_ARG.match(dotted(call.args[0])):
                continue
            yield Hit(
                view.path,
                call.lineno,
                f"`{made}` is fitted here, on the data to be scored: the same row gets other values"
                " than in training, and other ones in each batch.",
                "Load what was fitted in training and call `transform` only.",
                severity=HIGH,
                confidence=0.85,
            )
        elif (
            short == "get_dummies" and view.function(call) is not None and not _aligned(view, call)
        ):
            yield Hit(
                view.path,
                call.lineno,
                "`get_dummies` makes columns for the categories of this request only: number and"
                " order differ from what the model was trained on.",
                "Use the OneHotEncoder that was fitted in training, or `reindex` to its columns.",
                severity=HIGH,
                confidence=0.75,
            )


def _aligned(view: View, call: ast.Call) -> bool:
    """Tell whether the columns are brought in line with those of training."""
    scope = scope_of(view, call)
    return (
        scope.compares
        or not _ALIGNS.isdisjoint(scope.attributes | scope.calls.keys())
        or any(is_features_name(n) for n in scope.names)
    )


def apart(repo: AuditRepository, view: View, train: list[str]) -> Iterator[Hit]:
    """Report what training does to its data and inference does not, or does otherwise."""
    yield from _images(repo, view, train)
    yield from _order(repo, view, train)
    predict = _prediction(repo, view)
    if predict is None or view.path not in {**repo.code.serving, **repo.code.batch}:
        return
    called = _called(repo, view)
    if called is None:
        return
    scalers = _scalers(repo, train)
    if scalers and not any(_PREPARES.search(c) for c in called):
        path, line, made = scalers[0]
        if not _loads_more(repo, view.path):
            yield Hit(
                view.path,
                predict.lineno,
                f"The model gets the input as it comes; training put it through `{made}` first"
                f" ({at(repo, path, line)}), and nothing here does.",
                "Save scaler and model together as one Pipeline, and load that.",
                also=((path, line),),
                severity=HIGH,
                confidence=0.7,
            )
    logs = _logged_targets(repo, train)
    if logs and not called & set(_UNDO):
        path, line = logs[0]
        yield Hit(
            view.path,
            predict.lineno,
            f"The model was trained on the logarithm of the target ({at(repo, path, line)}); its"
            " answer is given out without `expm1` or `exp`.",
            "Undo it (`np.expm1(prediction)`), or train with TransformedTargetRegressor.",
            also=((path, line),),
            severity=HIGH,
            confidence=0.7,
        )


def _prediction(repo: AuditRepository, view: View) -> ast.Call | None:
    """Find the call that asks the model: `predict`, a BentoML runner, an ONNX session, `net(x)`."""
    loads = view.path in repo.code.loads or "runner" in repo.text(view.path)
    for call in view.calls:
        short = last(dotted(call.func))
        if short in _PREDICTS:
            return call
        if not loads or not call.args or view.function(call) is None:
            continue
        if short in _RUNS and _RUNNER.search(view.name(call).rpartition(".")[0]):
            return call
        if _NET.match(short) and "torch" in view.module.roots:
            return call
    return None


def _called(repo: AuditRepository, view: View) -> set[str] | None:
    """Names that a service calls, with those in the functions which it calls of what it imports.

    None when it uses a class of a module that trains: more than can be told.
    """
    code = repo.code
    called = {c.last for c in view.module.calls}
    near = [repo.view(p) for p in sorted(code.closure((view.path,)) - {view.path})]
    for other in near[:_MAX_NEAR] * 2:  # a helper may call one of a module before it
        if other is None:
            continue
        if any(c.name in called for c in other.module.classes):
            if other.path in code.feature_code or other.path in code.training:
                return None
            called |= {c.last for c in other.module.calls}
            continue
        used = [f for f in other.functions if f.name in called]
        called |= {last(dotted(c.func)) for c in other.calls if other.function(c) in used}
    return called


def _loads_more(repo: AuditRepository, path: str) -> bool:
    """Tell whether more than one stored object is opened: the scaler may be one of them."""
    loads = [
        c for c in repo.code.modules[path].calls if c.last in ("load", "load_model", "load_context")
    ]
    return len(loads) > 1 or any(
        w in repo.text(path)
        for w in (
            "scaler",
            "encoder",
            "vectorizer",
            "preprocessor",
            "tokenizer",
            "pipeline",
            "pyfunc",
        )
    )


@shared
def _fitted(repo: Repository) -> dict[str, tuple[tuple[int, str], ...]]:
    """Preprocessors that each module fits outside a Pipeline, when the module saves a model."""
    found: dict[str, tuple[tuple[int, str], ...]] = {}
    for path in (*repo.code.training_code, *repo.code.training_notebooks):
        module = repo.code.modules[path]
        names = {c.last for c in module.calls}
        stores = bool(names & {"log_model", "autolog"}) or any(True for _ in saves_of(module))
        if not stores or names & set(_WRAPS):
            continue
        view = repo.view(path)
        places = []
        for call in view.calls if view is not None else ():
            name = view.name(call) if view is not None else ""
            if last(name) not in ("fit_transform", "fit") or not name.startswith(_LEARNERS):
                continue
            if any(p in name for p in _PLAIN) or (
                call.args and _TARGET_ARG.match(dotted(call.args[0]))
            ):
                continue
            if call.args and isinstance(call.args[0], ast.Subscript) and "Label" in name:
                continue  # a label encoder of one column, most often the target
            places.append(
                (call.lineno, name.rpartition(".")[0].rpartition(".")[2].removesuffix("()"))
            )
        if places:
            found[path] = tuple(places)
    return found


@shared
def _followed(repo: Repository) -> dict[str, tuple[tuple[str, int, str], ...]]:
    """Give the preparations of what stored models learn from, by the module that starts it."""
    found: dict[str, tuple[tuple[str, int, str], ...]] = {}
    for trace in traces(repo):
        ones = [p for p in prepared(trace) if sort_of(p.step.name) != "labels"]
        found[trace.path] = tuple((o.fit.path, o.fit.line, class_of(o.step)) for o in ones)
    return found


def _scalers(repo: AuditRepository, train: list[str]) -> list[tuple[str, int, str]]:
    known, followed = _fitted(repo), _followed(repo)
    direct = [(p, line, made) for p in train for line, made in known.get(p, ())[:1]]
    return direct or [place for p in train for place in followed.get(p, ())]


def _logged_targets(repo: AuditRepository, train: list[str]) -> list[tuple[str, int]]:
    """Places where training takes the logarithm of the target, with a model saved beside it."""
    found = []
    for path in train:
        module = repo.code.modules[path]
        if path not in repo.code.training or any(
            c.last == "TransformedTargetRegressor" for c in module.calls
        ):
            continue
        if any(c.last in _UNDO for c in module.calls):
            continue
        view = repo.view(path)
        for node in view.of(ast.Assign) if view is not None else ():
            name = dotted(node.targets[0])
            value = node.value
            if view is None or not isinstance(value, ast.Call) or not _TARGET_ARG.match(name):
                continue
            if view.name(value) in _LOGS:
                found.append((path, node.lineno))
    return found


def _images(repo: AuditRepository, view: View, train: list[str]) -> Iterator[Hit]:
    """Compare the constants of image transforms on both sides."""
    if "transforms" not in repo.text(view.path):
        return
    mine = {n: (c, a) for n, c, a in _transforms(view)}
    there: dict[str, dict[str, tuple[str, int]]] = {}
    for path in train:
        other = repo.view(path) if "transforms" in repo.text(path) else None
        for name, call, args in _transforms(other) if other is not None else ():
            there.setdefault(name, {}).setdefault(args, (path, call.lineno))
    for name, variants in there.items():
        args, place = next(iter(variants.items()))
        where = at(repo, *place)
        why = ""
        if name in mine and mine[name][1] not in variants:
            why = f"`{name}({mine[name][1]})` here, `{name}({args})` in training ({where})."
        elif name == "Normalize" and mine and name not in mine:
            why = f"Training normalises its images ({where}); these transforms do not."
        if why:
            call, _ = mine.get(name) or next(iter(mine.values()))
            yield Hit(
                view.path,
                call.lineno,
                why,
                "Keep the transform in one module that both sides import.",
                also=(place,),
                severity=HIGH,
                confidence=0.85,
            )


def _transforms(view: View | None) -> Iterator[tuple[str, ast.Call, str]]:
    for call in view.calls if view is not None else ():
        name = view.name(call) if view is not None else ""
        short = last(name)
        known = short in (*_IMAGE, "ToTensor") and (
            "transforms" in name or "albumentations" in name
        )
        if not known or view is None:
            continue
        values = [view.literal(a) for a in (*call.args, *(k.value for k in call.keywords))]
        if all(v is not None for v in values):
            yield short, call, ", ".join(f"{v}" for v in values)


def _order(repo: AuditRepository, view: View, train: list[str]) -> Iterator[Hit]:
    """Report a row put together by hand in another order than the features of training."""
    wanted = [w for p in train for w in _trained_on(repo, p)][:_MAX_LISTS]
    for node in view.of(ast.List)[:_MAX_LISTS]:
        names = tuple(_field(e) for e in node.elts)
        if len(names) < _LEAST or not all(names):
            continue
        for path, line, features in wanted:
            why = _differs(repo, names, features, path, line)
            if why:
                yield Hit(
                    view.path,
                    node.lineno,
                    why,
                    "Build a DataFrame with named columns, in the order stored with the model.",
                    also=((path, line),),
                    severity=HIGH,
                    confidence=0.8,
                )
                return


def _differs(
    repo: AuditRepository, names: tuple[str, ...], features: tuple[str, ...], path: str, line: int
) -> str:
    """Say how a row differs from the features of training; empty when it is equal or another."""
    mine, theirs = frozenset(names), frozenset(features)
    where = at(repo, path, line)
    if mine == theirs and len(names) == len(features):
        for i, (a, b) in enumerate(zip(names, features, strict=True), 1):
            if a != b:
                return (
                    f"The row holds the features in another order than training ({where}): place"
                    f" {i} is `{a}` here and `{b}` there."
                )
    lacks = sorted(theirs - mine - targets_near(repo, path))
    if lacks and mine < theirs and len(lacks) <= _MAX_LACKS:
        shown = ", ".join(f"`{n}`" for n in lacks)
        return f"The row lacks {shown}, which training uses ({where})."
    return ""


def _field(node: ast.expr) -> str:
    """Name of the field that an expression reads: `data.age`, `data["age"]`, `data.get("age")`."""
    if (
        isinstance(node, ast.Call)
        and last(dotted(node.func)) in ("float", "int", "str")
        and node.args
    ):
        node = node.args[0]
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value if isinstance(node.slice.value, str) else ""
    if isinstance(node, ast.Call) and last(dotted(node.func)) == "get" and node.args:
        first = node.args[0]
        return (
            first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        )
    return ""


def _trained_on(repo: AuditRepository, path: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """Give the lists of features in a module that trains."""
    view = repo.view(path)
    found = []
    for node in view.of(ast.List) if view is not None else ():
        names = text_list(node)
        if len(names) < _LEAST or view is None:
            continue
        parent = view.parent(node)
        named = isinstance(parent, ast.Assign) and is_features_name(dotted(parent.targets[0]))
        if named or isinstance(parent, ast.Subscript):
            found.append((path, node.lineno, names))
    return found
