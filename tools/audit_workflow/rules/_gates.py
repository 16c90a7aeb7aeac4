"""Calls that bring a model towards production, and the comparisons of metrics before them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rules._called import step_of
from mlops_advisor.tools.audit_workflow.rules._serving import callee, calls_in
from mlops_advisor.tools.evidence.models import Outcome, Strength
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import AnyFunction, View, last, walk

_PROMOTES: Final = frozenset(
    "transition_model_version_stage set_registered_model_alias update_model_package"
    " create_endpoint update_endpoint deploy_model".split()
)
_REGISTERS: Final = frozenset(
    "register_model create_model_version create_model_package link_model push_to_hub"
    " RegisterModel".split()
)
_SDKS: Final = frozenset(
    ("sagemaker", "azureml", "azure", "google", "mlflow", "boto3", "databricks")
)
_SAVES: Final = frozenset(
    "joblib.dump pickle.dump cloudpickle.dump dill.dump torch.save skops.io.dump"
    " mlflow.sklearn.save_model mlflow.sklearn.log_model mlflow.pytorch.log_model"
    " mlflow.xgboost.log_model mlflow.lightgbm.log_model mlflow.catboost.log_model"
    " mlflow.keras.log_model mlflow.tensorflow.log_model mlflow.pyfunc.log_model"
    " mlflow.transformers.log_model".split()
)
_SAVE_ENDS: Final = frozenset(("save_model", "save_pretrained", "save", "dump_model"))
# What may put a model into a registry of the repository's own: a table, a collection, a hash.
_STORES: Final = frozenset(
    "insert_one insert update_one replace_one find_one_and_update execute add set hset merge"
    " promote publish push put_item".split()
)
_OWN_REGISTRY: Final = re.compile(
    r"model_?registry|registered_?models?|production_?models?|deployed_?models?|champion_?models?|"
    r"(?:insert\s{1,4}into|update|replace\s{1,4}into)\s{1,4}[\w.\"`]{0,40}?"
    r"(?:model_?versions?|models?)\b",
    re.IGNORECASE,
)
_COPIES: Final = frozenset(("copy", "copy2", "copyfile", "copytree", "move", "replace", "rename"))
_LIVE: Final = re.compile(
    r"(?:^|[/_.\-\s\"'(])(?:prod|production|serving|deploy(?:ed|ment)?|live|champion)"
    r"(?:[/_.\-\s\"')]|$)",
    re.IGNORECASE,
)
_ENDS: Final = (
    _PROMOTES
    | _REGISTERS
    | _SAVE_ENDS
    | frozenset(("log_model", "register", "upload", "pack", "Pusher", "deploy", "dump"))
    | _STORES
    | _COPIES
)
_GATES: Final = frozenset(
    "validate_evaluation_results ConditionStep Condition If BranchPythonOperator"
    " ShortCircuitOperator conditional Evaluator".split()
)
_GATE_NAMES: Final = re.compile(
    r"gate|(?:^|_)(?:validate|check|verify|compare|assert|should|is_better|is_good|passes|meets|"
    r"beats|approve)"
    r"\w{0,40}(?:model|metric|performance|score|accuracy|quality|champion|challenger|threshold|"
    r"deploy|promot|register|$)"
)
_DECISIONS: Final = re.compile(
    r"should|approv|accept|passed|passes|is_better|better|improv|bless|promot|deploy_|_deploy|"
    r"decision|is_good|ok_to|meets|eligible|qualif|beats|winner|is_valid|validated",
    re.IGNORECASE,
)
_ORDERS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
# `if args.register_model`: a switch that a person sets, not what an evaluation found.
_SWITCHES: Final = re.compile(
    r"^(?:args|cfg|config|conf|params|settings|opts?|options|flags|FLAGS|self\.(?:args|cfg|"
    r"config))\.|"
    r"^(?:do_|no_|skip_|enable_)?(?:register|deploy|promote|push)(?:_model)?$"
)
_PAIR: Final = 2
_STOPS: Final = ("sys.exit", "exit", "quit", "SystemExit")
_APPROVAL: Final = (
    "PendingManualApproval",
    "requires_approval",
    "ManualApproval",
    "manual_approval",
)


@dataclass(frozen=True, slots=True)
class Release:
    """One call that brings a model towards production: promote, register or save."""

    view: View
    call: ast.Call
    kind: str
    what: str

    @property
    def line(self) -> int:
        """Line of the call."""
        return self.call.lineno


def releases(view: View) -> list[Release]:
    """List calls of a module that promote, register or save a model, in the order of the source."""
    found = []
    for call in view.calls:
        bare = call.func
        if isinstance(bare, ast.Attribute):
            end = bare.attr
        else:
            end = bare.id if isinstance(bare, ast.Name) else ""
        kind = _kind(view, call) if end in _ENDS else ""
        if kind:
            found.append(Release(view, call, kind, last(view.name(call))))
    return sorted(found, key=lambda r: r.line)


def _kind(view: View, call: ast.Call) -> str:
    name = view.name(call)
    end = last(name)
    if end in _PROMOTES:
        return "promote" if _to_production(view, call) else "register"
    if _registers(view, call, name):
        return "register"
    if _deploys(view, call, name) or (end in _COPIES and _replaces(view, call, name)):
        return "promote"
    if end in _STORES and _own_registry(view, call):
        return "register"
    return "save" if _saves(view, call, name) else ""


def _registers(view: View, call: ast.Call, name: str) -> bool:
    end, roots = last(name), view.module.roots
    if end == "log_model":
        given = View.arg(call, "registered_model_name")
        return given is not None and not (isinstance(given, ast.Constant) and given.value is None)
    if end == "register":
        return bool(roots & {"sagemaker", "azureml", "azure"}) and "model" in name.lower()
    return (
        (end in _REGISTERS and "torch.hub" not in name)
        or name.endswith("Model.upload")
        or (name.startswith("bentoml.") and end in ("save_model", "save", "pack"))
    )


def _deploys(view: View, call: ast.Call, name: str) -> bool:
    if last(name) == "Pusher":
        return View.arg(call, "model_blessing") is None and "tfx" in name
    if last(name) != "deploy" or not view.module.roots & _SDKS or name.startswith("prefect"):
        return False
    owner = dotted(call).lower()
    return any(w in owner for w in ("model", "endpoint", "estimator", "predictor", "client"))


def _own_registry(view: View, call: ast.Call) -> bool:
    """Tell whether a row, document or key of the repository's own registry is written."""
    end = step_of(call)
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    made = view.settled(owner)
    texts = [ast.unparse(n)[:200] for n in (owner, made) if n is not None]
    if end == "execute":
        texts = [view.string(a) for a in call.args[:1]]
        texts += [ast.unparse(a)[:300] for a in call.args[:1]]
    elif end in ("add", "set", "hset", "merge"):
        texts = [view.string(a) or ast.unparse(a)[:120] for a in call.args[:1]]
    written = any(_OWN_REGISTRY.search(t) for t in texts)
    reads = end == "execute" and re.match(r"\s{0,40}select\b", texts[0], re.IGNORECASE)
    return written and not reads


def _replaces(view: View, call: ast.Call, name: str) -> bool:
    """Tell whether a file becomes the model in production."""
    if not name.startswith(("shutil.", "os.")) or len(call.args) < _PAIR:
        return False
    target, source = call.args[1], call.args[0]
    into = f"{view.string(target)} {ast.unparse(target)[:200]}"
    both = f"{into} {view.string(source)} {ast.unparse(source)[:200]}".lower()
    return bool(_LIVE.search(into)) and "model" in both


def _to_production(view: View, call: ast.Call) -> bool:
    stage = View.arg(call, "stage", 2)
    text = view.string(stage).lower() if stage is not None else ""
    return text not in ("archived", "none", "staging")


def _saves(view: View, call: ast.Call, name: str) -> bool:
    if name in _SAVES:
        first = call.args[0] if call.args else View.arg(call, "sk_model")
        return first is not None and _is_model(view, first)
    if last(name) not in _SAVE_ENDS:
        return False
    owner = dotted(call.func.value).lower() if isinstance(call.func, ast.Attribute) else ""
    if last(name) == "save" and ".write()" in owner:  # Spark ML: `fitted.write().overwrite().save`
        return "pyspark" in view.module.roots
    return any(
        w in owner
        for w in ("model", "regressor", "classifier", "booster", "clf", "trainer", "estimator")
    )


def _is_model(view: View, node: ast.expr) -> bool:
    """Tell whether what is saved is a model rather than a vectoriser or data."""
    text = ast.unparse(node).lower()[:200]
    if text.startswith("self.state_dict"):
        return False  # a class that knows how to store itself decides nothing
    if any(
        w in text
        for w in (
            "model",
            "clf",
            "regressor",
            "classifier",
            "estimator",
            "pipeline",
            "booster",
            "state_dict",
            "best",
            "rf",
            "xgb",
            "lgb",
            "svm",
            "knn",
            "logreg",
            "net",
        )
    ):
        return True
    settled = view.settled(node)
    return isinstance(settled, ast.Call) and last(view.name(settled)) in (
        "fit",
        "train",
        "best_estimator_",
    )


# --- gates -----------------------------------------------------------------------------------


def judges(test: ast.expr) -> bool:
    """Tell whether a condition compares a metric, or asks for a decision made of one."""
    for node in walk(test):
        if isinstance(node, ast.Compare) and any(isinstance(o, _ORDERS) for o in node.ops):
            decides = any(_metric_like(n) for n in _words(node))
        elif isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            found = _DECISIONS.search(name) or _GATE_NAMES.search(name.lower())
            decides = found is not None and not _SWITCHES.match(ast.unparse(node))
        else:
            text = node.value if isinstance(node, ast.Constant) else ""
            decides = isinstance(text, str) and _DECISIONS.search(text[:60]) is not None
        if decides:
            return True
    return False


def _words(node: ast.AST) -> Iterator[str]:
    for one in walk(node):
        if isinstance(one, ast.Name):
            yield one.id.lower()
        elif isinstance(one, ast.Attribute):
            yield one.attr.lower()
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value.lower()[:60]


def _metric_like(word: str) -> bool:
    parts = re.split(r"[^a-z0-9]{1,4}", word)[:8]
    return is_metric(word) or any(is_metric(p) for p in parts if len(p) > 1)


def stops(body: list[ast.stmt]) -> bool:
    """Tell whether a branch ends the function or the program."""
    return any(isinstance(s, (ast.Return, ast.Continue, ast.Break)) or fails(s) for s in body)


def fails(statement: ast.stmt) -> bool:
    """Tell whether a statement raises or exits."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return dotted(statement.value).removesuffix("()") in _STOPS
    return isinstance(statement, ast.Raise)


def gated(repo: AuditRepository, release: Release) -> bool:
    """Tell whether a comparison of metrics or an approval decides about a release."""
    view = release.view
    if any(w in repo.text(view.path) for w in _APPROVAL):
        return True
    if _has_gate(repo, view):
        return True
    return _decided(repo, view, release.call, 0)


def _has_gate(repo: AuditRepository, view: View) -> bool:
    """Tell whether a module calls a gate of a framework; asked for each release, so kept."""
    known = _gating(repo)
    if view.path not in known:
        text = repo.text(view.path)
        known[view.path] = any(w in text for w in _GATES) and any(
            last(view.name(c)) in _GATES for c in view.calls
        )
    return known[view.path]


@shared
def _gating(_repo: Repository) -> dict[str, bool]:
    return {}


def _decided(repo: AuditRepository, view: View, call: ast.Call, depth: int) -> bool:
    child: ast.AST = call
    for up in view.above(call):
        if isinstance(up, (ast.If, ast.IfExp)) and child is not up.test and judges(up.test):
            return True
        if isinstance(up, (ast.FunctionDef, ast.AsyncFunctionDef)):
            break
        child = up
    function = view.function(call)
    scope: ast.AST = function or view.tree
    if _judged_before(repo, view, scope, call, function):
        return True
    if function is None or depth > 1:
        return False
    return any(
        _decided(repo, where, site, depth + 1) for where, site in sites(repo, view, function)
    )


def _judged_before(
    repo: AuditRepository, view: View, scope: ast.AST, call: ast.Call, function: AnyFunction | None
) -> bool:
    for node in view.below(scope, ast.If, ast.Assert):
        if node.lineno >= call.lineno or view.function(node) is not function:
            continue
        if isinstance(node, ast.Assert) and judges(node.test):
            return True
        if (
            isinstance(node, ast.If)
            and judges(node.test)
            and (stops(node.body) or stops(node.orelse))
        ):
            return True
    for other in calls_in(view, scope):
        if other.lineno >= call.lineno or view.function(other) is not function:
            continue
        name = step_of(other).lower()
        if _GATE_NAMES.search(name):
            target = callee(repo, view, other)
            if target is None or _raises(target[0], target[1]):
                return True
    return False


def _raises(view: View, function: AnyFunction) -> bool:
    return any(
        isinstance(n, (ast.Raise, ast.Assert)) or view.name(n) in _STOPS
        for n in view.below(function, ast.Raise, ast.Assert, ast.Call)
    )


def sites(
    repo: AuditRepository, view: View, function: AnyFunction
) -> Iterator[tuple[View, ast.Call]]:
    """Find calls of a function, in its own module and in those that import it."""
    for path in (view.path, *sorted(repo.code.importers.get(view.path, ()))):
        if path in repo.code.tests:
            continue
        where = repo.view(path)
        if where is None or function.name not in repo.text(path):
            continue
        for call in where.calls:
            if step_of(call) == function.name:
                yield where, call


@shared
def gate_exists(repo: Repository) -> bool:
    """Tell whether some condition on a metric stops or decides anywhere, by the maturity probe."""
    facts = getattr(repo, "facts", {})
    fact = facts.get("gate")
    return (
        fact is not None
        and fact.outcome is Outcome.PRESENT
        and (fact.strength or 0) >= Strength.WIRED
    )


@shared
def training_paths(repo: Repository) -> frozenset[str]:
    """Modules that take part in training, notebooks that train included."""
    return repo.code.training_code | frozenset(repo.code.training)
