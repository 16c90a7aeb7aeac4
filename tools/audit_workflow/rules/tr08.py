"""Hyper-parameters are written into the training code

## What it does

Reports training code that gives numbers for learning rate, depth, epochs and the like right in the
call, the loop or a dictionary of parameters, in a module that takes no settings from a command
line, file or environment; values copied from a search into the code; and a model of a script
without settings that is made with the defaults of its library.

## Why is this bad?

Each try is an edit of the code, so runs differ in ways that no configuration shows, and what a run
was started with has to be read out of the history.

## Known problems

Defaults of function arguments are taken to be set by a caller.

## Example

```python
model = XGBClassifier(n_estimators=300, max_depth=7, learning_rate=0.05)
```

## Use instead

```python
model = XGBClassifier(**yaml.safe_load(Path("params.yaml").read_text())["model"])
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._training import configured
from mlops_advisor.tools.evidence.code import ML_ROOTS
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.view import View, last

_STRONG: Final = frozenset(
    "n_estimators max_depth learning_rate lr eta epochs num_epochs n_epochs max_epochs C alpha"
    " num_boost_round iterations num_train_epochs num_leaves hidden_layer_sizes max_iter"
    " n_neighbors n_clusters".split()
)
_HYPER: Final = _STRONG | frozenset(
    "batch_size gamma subsample colsample_bytree reg_alpha reg_lambda min_child_weight depth"
    " hidden_size hidden_dim dropout weight_decay momentum l1_ratio min_samples_split"
    " min_samples_leaf max_features per_device_train_batch_size warmup_steps max_leaf_nodes"
    " gradient_accumulation_steps lambda_l1 lambda_l2 min_data_in_leaf bagging_fraction"
    " feature_fraction early_stopping_rounds l2_leaf_reg num_layers embedding_dim hidden_units"
    " learning_rate_init max_bin max_len max_length num_round".split()
)
_CONSTANT: Final = re.compile(
    r"^(?:NUM_|N_|MAX_)?(?:EPOCHS?|BATCH_SIZE|LEARNING_RATE|LR|ESTIMATORS|DEPTH|HIDDEN_SIZE|HIDDEN_DIM|"
    r"DROPOUT|WEIGHT_DECAY)$"
)
_LIBRARIES: Final = ML_ROOTS | {"torch", "keras", "tensorflow"}
_MANY: Final = 3
_SHOWN: Final = 4
_DIGITS: Final = 7  # nobody types so many
# Models whose result hangs on values that nobody should leave to the library.
_TUNABLE: Final = frozenset(
    "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor"
    " GradientBoostingClassifier GradientBoostingRegressor HistGradientBoostingClassifier"
    " HistGradientBoostingRegressor XGBClassifier XGBRegressor LGBMClassifier LGBMRegressor"
    " CatBoostClassifier CatBoostRegressor SVC SVR MLPClassifier MLPRegressor"
    " DecisionTreeClassifier DecisionTreeRegressor".split()
)
_NOT_TUNED: Final = frozenset(
    "random_state n_jobs verbose seed verbosity silent probability use_label_encoder eval_metric"
    " thread_count nthread".split()
)
_SEARCHES: Final = (
    "optuna",
    "hyperopt",
    "GridSearchCV",
    "RandomizedSearchCV",
    "BayesSearchCV",
    "wandb.sweep",
    "ray.tune",
)


class _Value(NamedTuple):
    key: str
    line: int
    text: str
    literal: bool
    fine: bool  # so many digits that no hand wrote them


@rule(
    "TR08",
    name="hyperparameters-in-code",
    dimension="model_training",
    severity=LOW,
    confidence=0.75,
    fix="Move the values to `params.yaml` (or arguments), read them there, and log them.",
    effort=(0.2, 1),
    sources=(
        "hidden_debt: section on configuration debt",
        "code_smells_ml: smell 11, Hyperparameter Not Explicitly Set",
    ),
)
def hyperparameters_in_code(repo: AuditRepository) -> Iterator[Hit]:
    """Report training places whose hyper-parameters are literals."""
    scripts = bool(repo.code.training_scripts)
    searched = any(w in f.text for f in repo.files.values() for w in _SEARCHES)
    for path in repo.code.training:
        module = repo.python[path]
        if (module.notebook and scripts) or path.rpartition("/")[2].startswith(
            ("config", "params")
        ):
            continue
        view = repo.view(path)
        if view is not None:
            found = list(_of_module(view, has_config=configured(module), searched=searched))
            yield from found
            if not found and not module.notebook and not configured(module):
                yield from _defaults(view)


def _of_module(view: View, *, has_config: bool, searched: bool) -> Iterator[Hit]:
    places: dict[ast.AST, list[_Value]] = {}
    for at, value in _values(view):
        places.setdefault(view.function(at) or view.tree, []).append(value)
    settled = any(not v.literal for values in places.values() for v in values)
    for place, values in places.items():
        if isinstance(place, ast.FunctionDef) and "objective" in place.name:
            continue  # a search varies what matters
        mine = sorted((v for v in values if v.literal), key=lambda v: v.line)
        copied = [v for v in mine if v.fine]
        strong = [v for v in mine if v.key in _STRONG]
        if searched and copied:
            yield _copied(view, copied, mine)
        elif has_config:
            if len({v.key for v in mine}) >= _MANY and not settled:
                yield _hit(view, place, mine, 0.6)
        elif strong or len(mine) >= _MANY:
            yield _hit(view, place, mine, 0.75)


def _defaults(view: View) -> Iterator[Hit]:
    """First model that is made with nothing but what its library happens to choose."""
    for call in view.calls:
        name = last(view.name(call))
        if (
            name in _TUNABLE
            and not call.args
            and {k.arg for k in call.keywords} <= _NOT_TUNED
            and not view.inside(call, ast.Call, ast.Dict, ast.List)
        ):
            yield Hit(
                view.path,
                call.lineno,
                f"`{name}` is made with the defaults of its library: neither a file nor the code "
                "says which values the model was trained with, and an upgrade may change them.",
                "Write the values that matter to `params.yaml`, read them there, and log them.",
                severity=LOW,
                confidence=0.6,
            )
            return


def _hit(view: View, place: ast.AST, values: list[_Value], confidence: float) -> Hit:
    names = list(dict.fromkeys(f"{v.key}={v.text}" for v in values))
    shown = ", ".join(f"`{n}`" for n in names[:_SHOWN])
    where = f"`{place.name}`" if isinstance(place, ast.FunctionDef) else "this module"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Hit(
        view.path,
        values[0].line,
        f"{where} trains with {shown}{more}, written into the code.",
        severity=LOW,
        confidence=confidence,
    )


def _copied(view: View, copied: list[_Value], values: list[_Value]) -> Hit:
    shown = ", ".join(f"`{v.key}={v.text}`" for v in copied[:3])
    return Hit(
        view.path,
        values[0].line,
        f"{shown} look like results of a search that were copied into the code by hand: nothing "
        "ties them to the run that found them.",
        "Read the best parameters from the run, or from a file that the search writes.",
        severity=LOW,
        confidence=0.8,
    )


# --- where values stand ------------------------------------------------------------------------


def _values(view: View) -> Iterator[tuple[ast.AST, _Value]]:
    for call in view.calls:
        root = view.name(call).partition(".")[0].removesuffix("()")
        learns = root in _LIBRARIES or last(view.name(call)) in ("fit", "train", "compile")
        for keyword in call.keywords if learns else ():
            if keyword.arg in _HYPER:
                yield from _value(view, call, keyword.arg, keyword.value)
    yield from _in_dictionaries(view)
    for loop in view.of(ast.For):
        if "epoch" in dotted(loop.target).lower() and dotted(loop.iter) == "range()":
            stop = loop.iter.args[-1:] if isinstance(loop.iter, ast.Call) else []
            for value in stop:
                yield from _value(view, loop, "epochs", value)
    for name, (number, line) in view.module.constants.items():
        if _CONSTANT.match(name) and isinstance(number, (int, float)):
            yield view.tree, _Value(name, line, f"{number}", literal=True, fine=False)


def _in_dictionaries(view: View) -> Iterator[tuple[ast.AST, _Value]]:
    for node in view.of(ast.Dict):
        pairs = [
            (str(k.value), v)
            for k, v in zip(node.keys, node.values, strict=True)
            if isinstance(k, ast.Constant) and k.value in _HYPER
        ]
        if len(pairs) > 1 and not _is_log(view, node):
            for key, value in pairs:
                yield from _value(view, node, key, value)


def _is_log(view: View, node: ast.Dict) -> bool:
    """Tell whether a dictionary only repeats what is logged."""
    parent = view.parent(node)
    return isinstance(parent, ast.Call) and last(dotted(parent)) in (
        "log_params()",
        "config.update()",
    )


def _value(view: View, at: ast.AST, key: str, node: ast.expr) -> Iterator[tuple[ast.AST, _Value]]:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Constant):
        number = node.value
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            yield at, _Value(key, node.lineno, f"{number}", literal=True, fine=_fine(number))
    elif isinstance(node, ast.Tuple):
        if all(isinstance(e, ast.Constant) for e in node.elts):
            yield at, _Value(key, node.lineno, "(...)", literal=True, fine=False)
    elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        known = view.settled(node)
        if isinstance(known, ast.Constant) and isinstance(known.value, (int, float)):
            yield at, _Value(key, known.lineno, f"{known.value}", literal=True, fine=False)
        else:
            yield at, _Value(key, node.lineno, "", literal=False, fine=False)


def _fine(number: float) -> bool:
    digits = repr(number).partition("e")[0].replace(".", "").strip("-0")
    return "." in repr(number) and len(digits) >= _DIGITS
