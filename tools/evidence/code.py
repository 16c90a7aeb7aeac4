"""Python modules as a whole: calls by name, roles, and who imports whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final, NamedTuple

from mlops_advisor.tools.evidence.parse.python_model import Call, PythonModule, Ref

ML_ROOTS: Final = frozenset(
    "sklearn xgboost lightgbm catboost torch tensorflow keras jax flax pytorch_lightning lightning"
    " transformers statsmodels prophet h2o fastai spacy gensim surprise implicit sktime darts"
    " pyspark mlflow onnx diffusers peft trl sentence_transformers timm ultralytics detectron2"
    " autogluon flaml pycaret tpot river tensorflow_decision_forests imblearn cuml nltk"
    " tfx stable_baselines3 gluonts neuralforecast statsforecast sagemaker azureml ludwig"
    " simpletransformers torchvision pyro pymc skorch interpret accelerate".split()
)
_FIT: Final = frozenset(("fit", "fit_generator", "train_on_batch", "fine_tune", "partial_fit"))
_NOT_MODELS: Final = (
    "sklearn.preprocessing.",
    "sklearn.decomposition.",
    "sklearn.feature_extraction.",
    "sklearn.feature_selection.",
    "sklearn.impute.",
    "sklearn.compose.",
    "alibi_detect.",
    "shap.",
    "nannyml.",
    "evidently.",
)
_TRAIN_CALLS: Final = frozenset(
    "xgboost.train lightgbm.train catboost.train xgboost.cv pyspark.ml.Pipeline().fit"
    " sagemaker.estimator.Estimator fastai.learner fine_tune".split()
)
_APPS: Final = frozenset(
    "fastapi.FastAPI flask.Flask sanic.Sanic starlette.applications.Starlette quart.Quart"
    " litestar.Litestar fastapi.APIRouter flask.Blueprint "
    "aiohttp.web.Application tornado.web.Application"
    " robyn.Robyn falcon.App bottle.Bottle connexion.App flask_restx.Api flask_restful.Api"
    " litserve.LitServer mlserver.MLServer".split()
)
_SERVE_CALLS: Final = (
    "bentoml.Service",
    "bentoml.service",
    "bentoml.api",
    "ray.serve.deployment",
    "ray.serve.run",
    "kserve.ModelServer",
    "litserve.",
    "seldon_core.",
    "azureml.core.model.Model.deploy",
    "starlette_serve.",
)
_SERVE_BASES: Final = (
    "kserve.Model",
    "mlserver.MLModel",
    "litserve.LitAPI",
    "ts.torch_handler",
    "seldon_core.",
    "bentoml.Runnable",
)
_LOADS: Final = frozenset(
    "joblib.load pickle.load cloudpickle.load dill.load torch.load "
    "torch.jit.load onnxruntime.InferenceSession"
    " tensorflow.keras.models.load_model keras.models.load_model tensorflow.saved_model.load"
    " mlflow.pyfunc.load_model mlflow.sklearn.load_model "
    "mlflow.pytorch.load_model mlflow.xgboost.load_model"
    " mlflow.lightgbm.load_model mlflow.catboost.load_model "
    "mlflow.tensorflow.load_model mlflow.keras.load_model"
    " skops.io.load lightgbm.Booster bentoml.models.get bentoml.sklearn.get "
    "xgboost.Booster().load_model"
    " xgboost.XGBClassifier().load_model".split()
)
_PREDICTS: Final = frozenset(
    ("predict", "predict_proba", "predict_fn", "decision_function", "predict_batch", "forecast")
)
_EVALUATES: Final = ("eval", "valid", "metric", "gate", "compare")
_FEATURE_WORDS: Final = (
    "feature",
    "preprocess",
    "transform",
    "encode",
    "clean",
    "impute",
    "normaliz",
    "tokeniz",
    "wrangl",
    "prepare",
    "engineer",
)


class Hit(NamedTuple):
    """One call found in one module."""

    module: PythonModule
    call: Call


def is_test_path(path: str) -> bool:
    """Tell whether a path is that of a test, or lies in a folder of tests."""
    parts = path.lower().split("/")
    name = parts[-1]
    return (
        name.startswith("test_")
        or name.endswith(("_test.py", "_tests.py"))
        or name == "conftest.py"
        or any(p in ("tests", "test", "testing") for p in parts[:-1])
    )


class Code:
    """Index over all modules.  Every property is computed once, when first asked for."""

    def __init__(self, modules: Mapping[str, PythonModule]) -> None:
        """Wrap the modules by path; aside: tests are told by their paths."""
        self.modules = modules
        self.tests = {p: m for p, m in modules.items() if is_test_path(p)}
        self.product = {p: m for p, m in modules.items() if p not in self.tests}

    # --- calls by name ----------------------------------------------------------------------

    @cached_property
    def by_name(self) -> dict[str, list[Hit]]:
        """Calls outside tests by full name."""
        found: dict[str, list[Hit]] = defaultdict(list)
        for module in self.product.values():
            for call in module.calls:
                found[call.name].append(Hit(module, call))
        return found

    @cached_property
    def _names_by_root(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.by_name:
            found[name.partition(".")[0].removesuffix("()")].append(name)
        return found

    @cached_property
    def _names_by_last(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name in self.by_name:
            found[name.rpartition(".")[2]].append(name)
        return found

    def calls(self, *names: str) -> list[Hit]:
        """Find calls outside tests by full name; `mlflow.` and `mlflow.log_*` are prefixes.

        `*.log_metric` matches the last part whatever stands before it.
        """
        wanted: set[str] = set()
        for name in names:
            prefix = name.rstrip("*")
            if name.startswith("*."):
                wanted.update(self._names_by_last.get(name[2:], ()))
            elif prefix != name or name.endswith("."):
                root = name.partition(".")[0]
                found = self._names_by_root.get(root, ())
                wanted.update(n for n in found if n.startswith(prefix))
            elif name in self.by_name:
                wanted.add(name)
        hits = [h for n in wanted for h in self.by_name[n]]
        return sorted(hits, key=lambda h: (h.module.path, h.call.line, h.call.name))

    def importing(self, *roots: str) -> list[PythonModule]:
        """Modules outside tests that import one of some packages (dotted prefixes too)."""
        wanted = {r.partition(".")[0] for r in roots}
        return [
            m for m in self.product.values() if wanted & m.roots and self.import_line(m, *roots)
        ]

    @staticmethod
    def import_line(module: PythonModule, *roots: str) -> int:
        """Line of the first import of one of some packages; 0 when there is none."""
        for item in module.imports:
            full = f"{item.module}.{item.name}" if item.name else item.module
            if any(full == r or full.startswith(r + ".") for r in roots):
                return item.line
        return 0

    @cached_property
    def names_used(self) -> frozenset[str]:
        """Parts of everything called, and what is decorated or handed over, outside tests."""
        dotted: set[str] = set(self.by_name)
        for module in self.product.values():
            for call in module.calls:
                for value in (*call.args, *call.kwargs.values()):
                    if value.__class__ is Ref:
                        dotted.add(value.name.rpartition(".")[2])
                    elif isinstance(value, tuple):
                        dotted.update(
                            v.name.rpartition(".")[2] for v in value if isinstance(v, Ref)
                        )
            for function in module.functions:
                dotted.update(a.rpartition(".")[2] for _, a in function.params if a)
                dotted.update(d.rpartition(".")[2] for d in function.decorators if d)
        return frozenset(p.removesuffix("()") for name in dotted for p in name.split("."))

    def is_used(self, module: PythonModule, scope: str) -> bool:
        """Tell whether the function or class around a call is itself called or decorated."""
        if not scope:
            return True
        parts = scope.split(".")
        if any(p in self.names_used or p in ("main", "forward", "__init__", "run") for p in parts):
            return True
        decorated = {f.name for f in module.functions if f.decorators}
        return scope in decorated or parts[0] in decorated or parts[0][:1].isupper()

    # --- imports between modules ------------------------------------------------------------

    @cached_property
    def _by_suffix(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for path, module in self.modules.items():
            if module.notebook:
                continue
            parts = path.removesuffix(".py").split("/")
            if parts[-1] == "__init__":
                parts = parts[:-1]
            for i in range(max(0, len(parts) - 6), len(parts)):
                found[".".join(parts[i:])].append(path)
        return found

    def resolve(self, dotted: str, origin: str) -> str:
        """Path of a module of this workspace by its dotted name, the nearest to `origin`."""
        if dotted.startswith("."):
            level = len(dotted) - len(dotted.lstrip("."))
            folder = origin.split("/")[:-level]
            base = "/".join([*folder, *[p for p in dotted.lstrip(".").split(".") if p]])
            for path in (f"{base}.py", f"{base}/__init__.py" if base else "__init__.py"):
                if path in self.modules:
                    return path
            return ""
        candidates = self._by_suffix.get(dotted)
        if not candidates:
            return ""
        if len(candidates) == 1:
            return candidates[0]
        here = origin.split("/")

        def near(path: str) -> tuple[int, int, str]:
            same = 0
            for a, b in zip(here, path.split("/"), strict=False):
                if a != b:
                    break
                same += 1
            return -same, path.count("/"), path

        return min(candidates[:200], key=near)

    @cached_property
    def edges(self) -> dict[str, frozenset[str]]:
        """Modules of this workspace that each module imports."""
        found: dict[str, frozenset[str]] = {}
        for path, module in self.modules.items():
            targets = set()
            for item in module.imports:
                sep = "" if item.module.endswith(".") else "."
                target = self.resolve(f"{item.module}{sep}{item.name}", path) if item.name else ""
                target = target or self.resolve(item.module, path)
                if target and target != path:
                    targets.add(target)
            found[path] = frozenset(targets)
        return found

    def closure(self, start: Iterable[str]) -> frozenset[str]:
        """Modules reached by imports, the start included."""
        key = tuple(start) if not isinstance(start, frozenset) else start
        found = self._closures.get(key)
        if found is None:
            found = self._closures[key] = self._reached(key)
        return found

    @cached_property
    def _closures(self) -> dict[object, frozenset[str]]:
        return {}

    def _reached(self, start: Iterable[str]) -> frozenset[str]:
        seen = {p for p in start if p in self.modules}
        stack = list(seen)
        while stack:
            for target in self.edges.get(stack.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        return frozenset(seen)

    @cached_property
    def importers(self) -> dict[str, frozenset[str]]:
        """Modules that import each module."""
        found: dict[str, set[str]] = defaultdict(set)
        for path, targets in self.edges.items():
            for target in targets:
                found[target].add(path)
        return {p: frozenset(s) for p, s in found.items()}

    # --- roles ------------------------------------------------------------------------------

    @cached_property
    def training(self) -> dict[str, Call]:
        """Modules and notebooks that train a model, with the first such call."""
        found: dict[str, Call] = {}
        for path, module in self.product.items():
            if module.roots & ML_ROOTS or self._local_ml(path):
                for call in module.calls:
                    if _is_training(call, module):
                        found[path] = call
                        break
        return found

    def _local_ml(self, path: str) -> bool:
        """Tell whether a module imported from this workspace brings the machine learning."""
        return any(self.modules[t].roots & ML_ROOTS for t in self.edges.get(path, ()))

    @cached_property
    def training_scripts(self) -> dict[str, Call]:
        """Those that are plain Python files."""
        return {p: c for p, c in self.training.items() if not self.modules[p].notebook}

    @cached_property
    def training_notebooks(self) -> dict[str, Call]:
        """Those that are notebooks."""
        return {p: c for p, c in self.training.items() if self.modules[p].notebook}

    @cached_property
    def loads(self) -> dict[str, Call]:
        """Modules that load a stored model, with the call."""
        found: dict[str, Call] = {}
        for path, module in self.product.items():
            for call in module.calls:
                if call.name in _LOADS or (
                    call.last in ("load_model", "from_pretrained") and module.roots & ML_ROOTS
                ):
                    found[path] = call
                    break
        return found

    @cached_property
    def predicts(self) -> dict[str, Call]:
        """Modules that call a model's predict, with the call."""
        found: dict[str, Call] = {}
        for path, module in self.product.items():
            call = next((c for c in module.calls if c.last in _PREDICTS), None)
            if call is not None:
                found[path] = call
        return found

    @cached_property
    def serving(self) -> dict[str, int]:
        """Modules of an online service that answers with a model, with a line."""
        found: dict[str, int] = {}
        for path, module in self.product.items():
            if module.notebook:
                continue
            line = self._serving_line(path, module)
            if line:
                found[path] = line
        return found

    def _serving_line(self, path: str, module: PythonModule) -> int:
        for call in module.calls:
            if call.name.startswith(_SERVE_CALLS):
                return call.line
            if call.name in _APPS and self._answers(path, module):
                return call.line
        lines = [c.line for c in module.classes if any(b.startswith(_SERVE_BASES) for b in c.bases)]
        lines += [
            f.line
            for f in module.functions
            if any(d.startswith(_SERVE_CALLS) for d in f.decorators)
        ]
        return lines[0] if lines else self._handler_line(path, module)

    def _answers(self, path: str, module: PythonModule) -> bool:
        """Tell whether an application has to do with a model."""
        if any(p in self.loads or p in self.predicts for p in self.closure([path])):
            return True
        return any("predict" in s or "infer" in s for s in self._routes(module))

    def _handler_line(self, path: str, module: PythonModule) -> int:
        """Line of the functions that a cloud platform calls by name."""
        names = {f.name: f.line for f in module.functions}
        uses = path in self.loads or path in self.predicts
        if "model_fn" in names and ("predict_fn" in names or "input_fn" in names):
            return names["model_fn"]
        if "lambda_handler" in names and uses:
            return names["lambda_handler"]
        return names["run"] if {"init", "run"} <= names.keys() and path in self.loads else 0

    @staticmethod
    def _routes(module: PythonModule) -> list[str]:
        return [
            c.text_of("path", 0).lower()
            for c in module.calls
            if c.last in ("post", "get", "route", "api_route", "add_url_rule", "put")
        ]

    @cached_property
    def serving_code(self) -> frozenset[str]:
        """Serving modules and what they import."""
        return self.closure(self.serving)

    @cached_property
    def batch(self) -> dict[str, Call]:
        """Scripts that load a stored model and predict without serving or training."""
        found: dict[str, Call] = {}
        for path, call in self.predicts.items():
            module = self.modules[path]
            if module.notebook or path in self.serving_code or path in self.training:
                continue
            name = path.rsplit("/", 1)[-1].lower()
            if any(w in name for w in _EVALUATES) or any(
                c.name.startswith("sklearn.metrics.") or c.last == "evaluate" for c in module.calls
            ):
                continue  # that is evaluation, not scoring
            if any(p in self.loads for p in self.closure([path])):
                found[path] = call
        return found

    @cached_property
    def training_roots(self) -> frozenset[str]:
        """Training scripts and the modules that drive them."""
        found = set(self.training_scripts)
        stack = list(found)
        while stack:
            for path in self.importers.get(stack.pop(), ()):
                if (
                    path in found
                    or path in self.tests
                    or path in self.serving
                    or self.modules[path].notebook
                ):
                    continue
                found.add(path)
                stack.append(path)
        return frozenset(found)

    @cached_property
    def training_code(self) -> frozenset[str]:
        """All modules that take part in training."""
        return frozenset(p for p in self.closure(self.training_roots) if p not in self.tests)

    @cached_property
    def feature_code(self) -> dict[str, int]:
        """Modules that prepare features, by path or function names, with a line."""
        found: dict[str, int] = {}
        for path, module in self.product.items():
            if module.notebook or path in self.serving:
                continue
            name = path.rsplit("/", 1)[-1].lower()
            function = next(
                (f for f in module.functions if any(w in f.last.lower() for w in _FEATURE_WORDS)),
                None,
            )
            if function is not None:
                found[path] = function.line
            elif any(w in name for w in _FEATURE_WORDS) and module.functions:
                found[path] = module.functions[0].line
        return found


def _is_training(call: Call, module: PythonModule) -> bool:
    if call.name in _TRAIN_CALLS:
        return True
    if call.last in _FIT:
        return not call.name.startswith(_NOT_MODELS) and not _scaler_like(call.name)
    if call.last == "train":
        owner = call.name.rpartition(".")[0].lower()
        return (
            "trainer" in owner
            or "learner" in owner
            or "ultralytics" in owner
            or ("model" in owner and bool(call.kwargs))
        )
    if call.last == "backward":
        return "torch" in module.roots
    return False


def _scaler_like(name: str) -> bool:
    owner = name.rpartition(".")[0].rpartition(".")[2].lower()
    return any(
        w in owner
        for w in (
            "scaler",
            "encoder",
            "preprocess",
            "imputer",
            "vectorizer",
            "transformer",
            "explainer",
            "tokenizer",
            "pca",
        )
    )
