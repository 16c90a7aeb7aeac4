"""Hyper-parameter search without a seed

## What it does

Reports Optuna studies whose sampler has no seed, Hyperopt's `fmin` without `rstate`, randomised
searches of scikit-learn and scikit-optimize without `random_state`, tuners of Keras without `seed`
and search algorithms of Ray Tune without one.

## Why is this bad?

The search tries other values each time, so the chosen hyper-parameters can't be explained or found
again, and a comparison of two searches compares luck.

## Known problems

With parallel workers a seed does not make a search fully repeatable.

## Example

```python
study = optuna.create_study(direction="maximize")
```

## Use instead

```python
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=42))
```
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit, module_rule
from mlops_advisor.tools.audit_workflow.rules._training import known_keys, seeded
from mlops_advisor.tools.evidence.view import View, last

# What is called, the argument that seeds it, and whether NumPy's own seed reaches it.
_SEARCHES: Final[dict[str, tuple[tuple[str, ...], bool]]] = {
    "RandomizedSearchCV": (("random_state",), True),
    "HalvingRandomSearchCV": (("random_state",), True),
    "ParameterSampler": (("random_state",), True),
    "BayesSearchCV": (("random_state",), True),
    "OptunaSearchCV": (("random_state",), False),
    "gp_minimize": (("random_state",), True),
    "forest_minimize": (("random_state",), True),
    "dummy_minimize": (("random_state",), True),
    "TuneSearchCV": (("random_state",), False),
    "TPOTClassifier": (("random_state",), False),
    "TPOTRegressor": (("random_state",), False),
    "BayesianOptimization": (("random_state", "seed"), False),
    "RandomSearch": (("seed",), False),
    "Hyperband": (("seed",), False),
    "HyperOptSearch": (("random_state_seed",), False),
    "OptunaSearch": (("seed", "sampler"), False),
    "BasicVariantGenerator": (("random_state",), False),
}
_SAMPLERS: Final = frozenset(
    "TPESampler RandomSampler CmaEsSampler NSGAIISampler GPSampler QMCSampler".split()
)
_ROOTS: Final = (
    "sklearn.",
    "skopt.",
    "optuna.",
    "optuna_integration.",
    "tpot.",
    "bayes_opt.",
    "kerastuner.",
    "keras_tuner.",
    "ray.",
    "tune_sklearn.",
)


@module_rule(
    "TR03",
    name="unseeded-hpo",
    dimension="model_training",
    severity=LOW,
    confidence=0.85,
    fix="Give the search a seed from the configuration.",
    effort=(0.05, 0.2),
    sources=(
        "optuna_docs: FAQ, How can I obtain reproducible optimization results?",
        "code_smells_ml: smell 14, Randomness Uncontrolled",
    ),
    words=(
        "optuna",
        "fmin",
        "Search",
        "ParameterSampler",
        "_minimize",
        "TPOT",
        "Hyperband",
        "BayesianOptimization",
        "BasicVariantGenerator",
    ),
)
def unseeded_search(repo: AuditRepository, view: View) -> Iterator[Hit]:
    """Report searches without a seed."""
    numpy = seeded(repo, view.path, "numpy")
    for call in view.calls:
        name = view.name(call)
        keys = known_keys(view, call)
        if keys is None:
            continue
        short = last(name)
        if name in ("optuna.create_study", "optuna.study.create_study"):
            yield from _study(view, call)
        elif name in ("hyperopt.fmin", "hyperopt.fmin.fmin"):
            if "rstate" not in keys and not _all_fixed(view, call):
                yield Hit(
                    view.path,
                    call.lineno,
                    "`fmin` gets no `rstate`, so each search tries other values.",
                    "Pass `rstate=np.random.default_rng(42)`.",
                )
        elif short in _SEARCHES and name.startswith(_ROOTS):
            seeds, by_numpy = _SEARCHES[short]
            if not keys & set(seeds) and not (by_numpy and numpy):
                yield Hit(
                    view.path,
                    call.lineno,
                    f"`{short}` gets no `{seeds[0]}`, so each search tries other values.",
                    f"Pass `{seeds[0]}=42`, from the configuration.",
                )


def _study(view: View, call: ast.Call) -> Iterator[Hit]:
    sampler = view.arg(call, "sampler")
    fix = "Pass `sampler=optuna.samplers.TPESampler(seed=42)`."
    if sampler is None:
        why = "The study has no `sampler`: Optuna's default TPE sampler draws without a seed."
        yield Hit(view.path, call.lineno, why, fix)
        return
    made = view.settled(sampler)
    if isinstance(made, ast.Call) and last(view.name(made)) in _SAMPLERS:
        keys = known_keys(view, made)
        if keys is not None and "seed" not in keys and not made.args:
            why = f"`{last(view.name(made))}` of the study gets no `seed`."
            yield Hit(view.path, made.lineno, why, fix)


def _all_fixed(view: View, call: ast.Call) -> bool:
    """Tell whether `fmin` was given its trials by `points_to_evaluate` and nothing else."""
    return view.arg(call, "points_to_evaluate") is not None and view.arg(call, "max_evals") is None
