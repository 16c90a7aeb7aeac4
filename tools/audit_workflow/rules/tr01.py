"""Training is random and nothing sets the seed

## What it does

Reports a stochastic estimator (forests, trees, boosting with sub-sampling, SGD, MLP, KMeans, Spark
ML, over-samplers ...) that is made without a `random_state` or `seed`, and a PyTorch, TensorFlow,
Keras or Lightning training whose code, with all it imports and all that imports it, never seeds the
framework.

## Why is this bad?

Two runs on the same data give two models.  A metric that moves by a point may be the change under
review or chance, and a model in production can't be made again.

## Known problems

Parameters that come from a dictionary which is not written in the same file are taken to hold a
seed.  For scikit-learn `numpy.random.seed` in code that runs with the module counts; for
`transformers.Trainer`, which has a default seed, nothing is reported.

## Example

```python
model = RandomForestClassifier(n_estimators=200)
```

## Use instead

```python
model = RandomForestClassifier(n_estimators=200, random_state=params["seed"])
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, Severity, module_rule
from mlops_advisor.tools.audit_workflow.rules._training import (
    known_keys,
    runs_keras,
    runs_torch,
    seeded,
)
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_SEEDS: Final = frozenset("random_state seed random_seed seed_value rng".split())
_SKLEARN: Final = frozenset(
    "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor"
    " DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor"
    " GradientBoostingClassifier GradientBoostingRegressor HistGradientBoostingClassifier"
    " HistGradientBoostingRegressor AdaBoostClassifier AdaBoostRegressor BaggingClassifier"
    " BaggingRegressor IsolationForest RandomTreesEmbedding MLPClassifier MLPRegressor"
    " SGDClassifier SGDRegressor SGDOneClassSVM Perceptron PassiveAggressiveClassifier"
    " PassiveAggressiveRegressor KMeans MiniBatchKMeans BisectingKMeans GaussianMixture"
    " BayesianGaussianMixture LatentDirichletAllocation TruncatedSVD TSNE LinearSVC"
    " BernoulliRBM SpectralClustering RANSACRegressor MiniBatchNMF Nystroem RBFSampler"
    " MiniBatchDictionaryLearning".split()
)
_SAMPLERS: Final = frozenset(
    "SMOTE SMOTENC SMOTEN BorderlineSMOTE SVMSMOTE KMeansSMOTE ADASYN RandomOverSampler"
    " RandomUnderSampler SMOTEENN SMOTETomek BalancedRandomForestClassifier RUSBoostClassifier"
    " BalancedBaggingClassifier EasyEnsembleClassifier".split()
)
_SPARK: Final = frozenset(
    "RandomForestClassifier RandomForestRegressor GBTClassifier GBTRegressor"
    " DecisionTreeClassifier DecisionTreeRegressor MultilayerPerceptronClassifier KMeans ALS"
    " GaussianMixture BisectingKMeans LDA Word2Vec".split()
)
_BOOSTERS: Final = frozenset(
    "XGBClassifier XGBRegressor XGBRFClassifier XGBRFRegressor XGBRanker LGBMClassifier"
    " LGBMRegressor LGBMRanker CatBoostClassifier CatBoostRegressor CatBoost".split()
)
_SAMPLING: Final = frozenset(
    "subsample colsample_bytree colsample_bylevel colsample_bynode bagging_fraction"
    " feature_fraction rsm bootstrap_type bagging_temperature max_samples".split()
)
_SOLVERS: Final = {
    "LogisticRegression": ("sag", "saga", "liblinear"),
    "Ridge": ("sag", "saga"),
    "RidgeClassifier": ("sag", "saga"),
    "PCA": ("randomized",),
}
_SEARCHES: Final = frozenset("GridSearchCV RandomizedSearchCV HalvingGridSearchCV fmin".split())
_BEST: Final = re.compile(r"best[_ ]?param|best[_ ]?hyper|best_config", re.IGNORECASE)
_MADE: Final = ("sklearn.", "imblearn.", "cuml.", "umap.", "sklearnex.", "daal4py.")
_ENTRIES: Final = frozenset(
    "lightning.Trainer pytorch_lightning.Trainer lightning.pytorch.Trainer"
    " lightning.pytorch.trainer.Trainer pytorch_lightning.trainer.Trainer".split()
)


@module_rule(
    "TR01",
    name="unseeded-estimator-or-framework",
    dimension="model_training",
    severity=MEDIUM,
    confidence=0.8,
    fix="Take one seed from the configuration and give it to every library that draws numbers.",
    effort=(0.1, 0.5),
    sources=(
        "code_smells_ml: smell 14, Randomness Uncontrolled",
        "ml_test_score: Infra 1, training is reproducible",
        "sklearn_docs: Common pitfalls, section 'Controlling randomness'",
    ),
)
def unseeded_training(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report estimators and training loops without a seed."""
    constant = _seed_constant(view)
    known = "numpy" if seeded(repo, view.path, "numpy") else ""
    reported: set[tuple[str, int]] = set()
    for call in view.calls:
        why, severity = _estimator(view, call, global_numpy=bool(known))
        if why and (last(view.name(call)), call.lineno) not in reported:
            reported.add((last(view.name(call)), call.lineno))
            name = last(view.name(call))
            seed = constant or "42"
            key = "seed" if view.name(call).startswith("pyspark") else "random_state"
            if constant:
                why += f" `{constant}` is defined in this file and not used here."
            yield Hit(
                view.path,
                call.lineno,
                why,
                f"Write `{name}(..., {key}={seed})`, the value from the configuration.",
                severity=severity,
            )
    yield from _frameworks(repo, view)


def _seed_constant(view: View) -> str:
    """Name of a seed that the module defines or imports."""
    names = [*view.assigned.get(view.tree, {}), *view.aliases]
    return next((n for n in names if n.lower() in ("random_state", "seed", "random_seed")), "")


def _estimator(  # noqa: PLR0911 - one return for each family
    view: View, call: ast.Call, *, global_numpy: bool
) -> tuple[str, Severity | None]:
    name = view.name(call)
    short = last(name)
    booster = short in _BOOSTERS
    spark = name.startswith(("pyspark.ml", "synapse.ml")) and short in _SPARK
    plain = short in _SKLEARN or short in _SAMPLERS or short in _SOLVERS or short in ("SVC", "UMAP")
    made = name.startswith(_MADE)
    if not (booster or spark or (plain and made)):
        return "", None
    keys = known_keys(view, call)
    if keys is None and _of_search(view, call):
        keys = frozenset(k.arg for k in call.keywords if k.arg)
    if keys is None or (keys & _SEEDS and not _is_none(call)):
        return "", None
    if booster:
        return _booster(view, call, short, keys)
    if (global_numpy and not spark) or _seeded_later(view, call):
        return "", None
    if not spark and not _draws(view, call, short):
        return "", None
    if spark:
        return f"`{short}` gets no `seed`; Spark's default differs between Python processes.", None
    return f"`{short}` draws random numbers and gets no `random_state`.", None


def _booster(
    view: View, call: ast.Call, short: str, keys: frozenset[str]
) -> tuple[str, Severity | None]:
    used = sorted(
        k for k in keys & _SAMPLING if view.literal(view.arg(call, k)) not in (1, 1.0, "No")
    )
    why = ""
    if used:
        sampled = ", ".join(f"`{k}`" for k in used)
        why = f"`{short}` samples rows or columns ({sampled}) and gets no `random_state`."
    elif _seed_constant(view) or _searches(view):
        why = (
            f"`{short}` gets no `random_state`, though other steps of this file are seeded or a "
            "search compares its results."
        )
    return why, LOW if why else None


def _searches(view: View) -> bool:
    return any(last(n) in _SEARCHES for n in view.aliases.values())


def _of_search(view: View, call: ast.Call) -> bool:
    """Tell whether the unknown arguments are the best of a search that varies no seed."""
    spread = [k.value for k in call.keywords if k.arg is None]
    if len(spread) != 1 or any(isinstance(a, ast.Starred) for a in call.args):
        return False
    value = spread[0]
    name = view.string(value.slice) if isinstance(value, ast.Subscript) else dotted(value)
    if not _BEST.search(name):
        return False
    keys = (c.value for c in view.of(ast.Constant) if isinstance(c.value, str))
    return not any(k in _SEEDS or k.endswith("__random_state") for k in keys)


def _is_none(call: ast.Call) -> bool:
    value = next((k.value for k in call.keywords if k.arg in _SEEDS), None)
    return isinstance(value, ast.Constant) and value.value is None


def _draws(view: View, call: ast.Call, short: str) -> bool:
    """Tell whether the estimator is random with the arguments it has."""
    solvers = _SOLVERS.get(short)
    if solvers is not None:
        key = "svd_solver" if short == "PCA" else "solver"
        return bool(view.literal(view.arg(call, key)) in solvers)
    if short == "SVC":
        return view.literal(view.arg(call, "probability")) is True
    if short == "LinearSVC":
        return view.literal(view.arg(call, "dual")) is not False
    if short == "TruncatedSVD":
        return view.string(view.arg(call, "algorithm")) != "arpack"
    return True


def _seeded_later(view: View, call: ast.Call) -> bool:
    """Tell whether `set_params(random_state=...)` or the like follows in the file."""
    return any(
        isinstance(c.func, ast.Attribute)
        and c.func.attr in ("set_params", "setSeed")
        and (
            c.func.attr == "setSeed"
            or any((k.arg or "").endswith("random_state") for k in c.keywords)
        )
        for c in view.calls
        if c is not call
    )


# --- frameworks of deep learning ---------------------------------------------------------------


def _frameworks(repo: AuditRepository, view: View) -> Iterator[Hit]:
    if runs_torch(view.module) and not seeded(repo, view.path, "torch"):
        found = _torch_place(view)
        if found is not None:
            yield Hit(
                view.path,
                found[0].lineno,
                f"{found[1]} and nothing in this module, in what it imports or in what imports it "
                "seeds PyTorch (`torch.manual_seed`, `seed_everything`, `set_seed`).",
                "Call `torch.manual_seed(seed)` (in Lightning `seed_everything(seed)`) "
                "before the model and the data loaders are made.",
            )
    elif runs_keras(view.module) and not seeded(repo, view.path, "tensorflow"):
        found = _keras_place(view)
        if found is not None:
            yield Hit(
                view.path,
                found[0].lineno,
                f"{found[1]} and nothing that runs with this module seeds TensorFlow.",
                "Call `keras.utils.set_random_seed(seed)` before the model is made.",
            )


def _torch_place(view: View) -> tuple[ast.For | ast.Call, str] | None:
    for call in view.calls:
        name = view.name(call)
        if name in _ENTRIES:
            return call, "Lightning trains here"
        if last(name) == "backward" and not _lightning_method(view, call):
            loop = None
            for up in view.above(call):
                if isinstance(up, ast.For):
                    loop = up
                elif isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    break
            return loop or call, "a model is trained in this loop" if loop else "a model is trained"
    return None


def _lightning_method(view: View, call: ast.Call) -> bool:
    function = view.function(call)
    return function is not None and function.name in ("training_step", "closure", "backward")


def _keras_place(view: View) -> tuple[ast.Call, str] | None:
    for call in view.calls:
        if (
            isinstance(call.func, ast.Attribute)
            and call.func.attr in ("fit", "fit_generator", "train_on_batch")
            and _is_keras_model(view, call)
        ):
            return call, f"`{dotted(call)}` trains a network"
        if last(view.name(call)) == "apply_gradients":
            return call, "a network is trained here"
    return None


def _is_keras_model(view: View, call: ast.Call) -> bool:
    keys = {k.arg for k in call.keywords}
    if keys & {"epochs", "validation_data", "validation_split", "steps_per_epoch", "callbacks"}:
        return True
    return view.name(call).startswith(("tensorflow.", "keras.", "tf_keras."))
