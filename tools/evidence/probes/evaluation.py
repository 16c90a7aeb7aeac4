"""How models are judged: hold-out, baseline, gate, slices, fairness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.evidence.parse.python_model import Check, PythonModule
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    stronger,
    unknown,
)
from mlops_advisor.tools.evidence.probes._tests import runner_strength
from mlops_advisor.tools.evidence.repository import Repository, shared

METRICS: Final = (
    "accuracy",
    "acc",
    "auc",
    "roc_auc",
    "f1",
    "f1_score",
    "precision",
    "recall",
    "rmse",
    "mae",
    "mse",
    "mape",
    "r2",
    "r2_score",
    "loss",
    "logloss",
    "score",
    "metric",
    "metrics",
    "error",
    "gini",
    "ndcg",
    "pr_auc",
    "average_precision",
    "perplexity",
    "bleu",
    "rouge",
    "wer",
    "performance",
    "brier",
)
_LIMITS: Final = (
    "threshold",
    "min_",
    "max_",
    "champion",
    "baseline",
    "production",
    "current",
    "best",
    "previous",
    "prod_",
    "candidate",
    "challenger",
    "minimum",
    "required",
    "limit",
    "target",
)
_GATES: Final = (
    "mlflow.validate_evaluation_results",
    "mlflow.models.validate_evaluation_results",
    "sagemaker.workflow.condition_step.ConditionStep",
    "sagemaker.workflow.conditions.",
    "kfp.dsl.Condition",
    "kfp.dsl.If",
    "kfp.v2.dsl.Condition",
    "tfx.components.Evaluator",
    "tfx.v1.components.Evaluator",
    "tensorflow_model_analysis.",
    "flytekit.conditional",
    "airflow.operators.python.BranchPythonOperator",
    "airflow.operators.python.ShortCircuitOperator",
    "airflow.providers.standard.operators.python.ShortCircuitOperator",
)
_GATE_PATHS: Final = ("gate", "promot", "validate_model", "model_validation", "acceptance")
_PROMOTES: Final = frozenset(
    "set_registered_model_alias transition_model_version_stage register_model promote"
    " create_model_version update_model_package".split()
)
_SPLITS: Final = (
    "sklearn.model_selection.train_test_split",
    "sklearn.model_selection.TimeSeriesSplit",
    "sklearn.model_selection.GroupKFold",
    "sklearn.model_selection.GroupShuffleSplit",
    "sklearn.model_selection.StratifiedKFold",
    "sklearn.model_selection.KFold",
    "sklearn.model_selection.cross_val_score",
    "sklearn.model_selection.cross_validate",
    "torch.utils.data.random_split",
    "*.train_test_split",
    "*.stratify_split",
    "*.temporal_split",
    "*.time_split",
    "*.randomSplit",
)


_METRIC_NAMES: Final = frozenset(METRICS)
_METRIC_ENDS: Final = tuple(f"_{m}" for m in METRICS)
_METRIC_STARTS: Final = tuple(f"{m}_" for m in METRICS)


def is_metric(name: str) -> bool:
    """Tell whether a name speaks of a measure of quality."""
    return name in _METRIC_NAMES or name.endswith(_METRIC_ENDS) or name.startswith(_METRIC_STARTS)


def _judges(check: Check) -> bool:
    """Tell whether a check compares a measure with a limit."""
    return check.compares and any(is_metric(n) for n in check.names)


@probe(
    "gate",
    practice="model_validation_gate",
    asks="Does a candidate below its thresholds stop the release?",
    searched=(
        "conditions on metrics that raise, exit or branch in training, "
        "evaluation and pipeline code; model tests in CI"
    ),
)
def _gate(repo: Repository) -> Verdict:
    code = repo.code
    own: list[Spot] = []
    branch: list[Spot] = []
    for path, module in code.product.items():
        if path in code.serving or module.notebook:
            continue
        own += [
            Spot(path, c.line, c.scope, c.swallowed)
            for c in module.checks
            if _judges(c) and not _self_compare(c)
        ]
        branch += _decisions(repo, module)
    library = spots(code.calls(*_GATES))
    verdict = stronger(
        from_code(repo, "A condition on a metric stops the run", own, stops=True),
        from_code(repo, "A pipeline branches on a metric", library, stops=True),
        from_code(repo, "A condition on a metric decides about the release", branch, stops=True),
        _model_tests(repo),
    )
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and no threshold stops a bad model.", [repo.stages.training]
        )
    return not_applicable("Nothing here trains a model.")


def _decisions(repo: Repository, module: PythonModule) -> list[Spot]:
    """Find comparisons of measures with limits in a module that stops or promotes by them."""
    named = any(w in module.path.lower() for w in _GATE_PATHS) or any(
        w in f.last.lower() for f in module.functions for w in _GATE_PATHS
    )
    if not named and module.path not in measuring(repo) and "mlflow" not in module.roots:
        return []
    if not module.raises and not any(
        c.name in ("sys.exit", "SystemExit") or c.last in _PROMOTES for c in module.calls
    ):
        return []
    return [
        Spot(module.path, c.line, c.scope, c.swallowed)
        for c in module.branches
        if any(w in n for n in c.names for w in _LIMITS)
        and (named or any(is_metric(n) for n in c.names))
        and not _self_compare(c)
    ]


def _self_compare(check: Check) -> bool:
    return len(check.names) > 1 and len(set(check.names)) == 1


def _model_tests(repo: Repository) -> Verdict | None:
    found: list[Spot] = []
    for path, module in repo.code.tests.items():
        found += [Spot(path, c.line) for c in module.checks if c.kind == "assert" and _judges(c)]
    if not found:
        return None
    strength, how = runner_strength(repo, [s.path for s in found])
    return present(repo, strength, f"A test asserts a metric of the model; {how}.", found)


@probe(
    "holdout",
    practice="holdout_discipline",
    asks="Is quality measured on data held out from training?",
    searched="splits of data and metrics computed outside training data",
)
def _holdout(repo: Repository) -> Verdict:
    found = spots(repo.code.calls(*_SPLITS))
    for path in repo.code.training_code | repo.flows.modules:
        found += [
            Spot(path, c.line, c.scope)
            for c in repo.code.modules[path].calls
            if c.last.startswith(("split_by", "split_on")) or c.last.endswith("_split")
        ]
    verdict = from_code(repo, "Data is split before evaluation", found, most=W)
    if verdict is not None:
        return verdict
    for path in [*repo.code.training_code, *repo.code.training_notebooks]:
        text = repo.text(path)
        at = next(
            (
                text.find(w)
                for w in (
                    "X_test",
                    "x_test",
                    "test_df",
                    "val_loader",
                    "test_loader",
                    "eval_dataset",
                    "valid_df",
                    "df_test",
                    "test_data",
                    "val_ds",
                )
                if w in text
            ),
            -1,
        )
        if at >= 0 and not path.endswith(".ipynb"):
            return present(
                repo,
                C,
                "A separate test set is named in the training code.",
                [(path, text.count("\n", 0, at) + 1)],
            )
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and no held-out data was found.", [repo.stages.training]
        )
    return not_applicable("Nothing here trains a model.")


@probe(
    "baseline",
    practice="baseline_model",
    asks="Is every model compared with a simple baseline?",
    searched="dummy models, functions and arguments named baseline in training and evaluation code",
)
def _baseline(repo: Repository) -> Verdict:
    code = repo.code
    hits = code.calls("sklearn.dummy.", "mlflow.evaluate", "mlflow.models.evaluate")
    found = spots(
        h
        for h in hits
        if h.call.name.startswith("sklearn.dummy.")
        or "baseline_model" in h.call.kwargs
        or "baseline_result" in h.call.kwargs
    )
    for path, module in code.product.items():
        if not module.roots:
            continue
        found += [Spot(path, c.line, c.scope) for c in module.calls if "baseline" in c.last.lower()]
        found += [
            Spot(path, c.line, c.scope)
            for c in (*module.checks, *module.branches)
            if c.compares and any("baseline" in n or "naive" in n for n in c.names)
        ]
    verdict = from_code(repo, "The model is compared with a baseline", found)
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        return absent(repo, "Training is here, and no baseline is named.", [repo.stages.training])
    return not_applicable("Nothing here trains a model.")


_SLICE_WORDS: Final = (
    "slice",
    "segment",
    "subgroup",
    "cohort",
    "per_group",
    "by_group",
    "per_class",
    "by_region",
)
_NOT_SLICES: Final = frozenset(("slice", "islice", "segment_anything"))
_GROUPED: Final = ("metric", "eval", "slice", "score", "measure", "report")


@shared
def measuring(repo: Repository) -> frozenset[str]:
    """Modules that compute a measure of quality."""
    return frozenset(
        hit.module.path
        for name, hits in repo.code.by_name.items()
        if name.startswith("sklearn.metrics.") or is_metric(name.rpartition(".")[2].lower())
        for hit in hits
    )


def _slice_spots(repo: Repository) -> Iterator[Spot]:
    """Find functions and calls that measure by group, in modules that measure."""
    paths = measuring(repo)
    for path, module in repo.code.product.items():
        for function in module.functions:
            sliced = any(d.startswith("snorkel.slicing.") for d in function.decorators)
            named = path in paths and any(w in function.last.lower() for w in _SLICE_WORDS)
            if sliced or named:
                yield Spot(path, function.line, function.name)
    for name, hits in repo.code.by_name.items():
        low = name.rpartition(".")[2].lower()
        by_name = low not in _NOT_SLICES and any(w in low for w in _SLICE_WORDS)
        for hit in hits if by_name or low == "groupby" else ():
            grouped = any(w in hit.call.scope.lower() for w in _GROUPED)
            if hit.module.path in paths and (by_name or grouped):
                yield Spot(hit.module.path, hit.call.line, hit.call.scope)


@probe(
    "slices",
    practice="slice_evaluation",
    asks="Is quality measured per relevant slice?",
    searched=(
        "metrics by group: MetricFrame, TFMA slicing specs, slicing functions, "
        "group-by next to metrics"
    ),
)
def _slices(repo: Repository) -> Verdict:
    code = repo.code
    found = spots(
        code.calls(
            "fairlearn.metrics.MetricFrame",
            "tensorflow_model_analysis.SlicingSpec",
            "snorkel.slicing.",
            "deepchecks.tabular.checks.WeakSegmentsPerformance",
            "giskard.scan",
            "*.get_slice_metrics",
            "*.slice_metrics",
            "*.evaluate_slices",
        )
    )
    found += _slice_spots(repo)
    verdict = from_code(repo, "Quality is measured per slice", found)
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        return absent(
            repo,
            "Training is here, and quality is measured on average only.",
            [repo.stages.training],
        )
    return not_applicable("Nothing here trains a model.")


@probe(
    "fairness",
    practice="fairness_assessment",
    asks="Are quality and errors compared across relevant groups?",
    searched="calls of Fairlearn, AIF360, Aequitas, Fairness Indicators, SageMaker Clarify",
)
def _fairness(repo: Repository) -> Verdict:
    code = repo.code
    found = spots(
        code.calls(
            "fairlearn.",
            "aif360.",
            "aequitas.",
            "sagemaker.clarify.",
            "responsibleai.",
            "fairness_indicators.",
            "*.demographic_parity_difference",
            "*.equalized_odds_difference",
            "*.disparate_impact",
            "*.run_bias",
            "*.run_pre_training_bias",
            "*.run_post_training_bias",
        )
    )
    verdict = from_code(repo, "Quality is compared across groups", found, stops=True)
    if verdict is not None:
        return _with_threshold(repo, verdict, found)
    if repo.code.importing("fairlearn", "aif360", "aequitas"):
        module = repo.code.importing("fairlearn", "aif360", "aequitas")[0]
        return present(
            repo,
            C,
            "A fairness library is imported, and nothing of it is called.",
            [(module.path, code.import_line(module, "fairlearn", "aif360", "aequitas"))],
        )
    return unknown(
        "No assessment of fairness was found; files do not tell whether the model concerns people."
    )


def _with_threshold(repo: Repository, verdict: Verdict, found: list[Spot]) -> Verdict:
    """Enforced needs a decision: a condition on the measure that stops."""
    paths = {s.path for s in found}
    checks = [c for p in paths for c in repo.code.modules[p].checks if c.compares]
    if verdict.strength == E and not checks:
        return Verdict(
            verdict.outcome,
            verdict.detail.rstrip(".") + "; no threshold stops on it.",
            W,
            verdict.places,
        )
    return verdict


@probe(
    "explanations",
    practice="explainability",
    asks="Can decisions be explained by a tested method?",
    searched="calls of SHAP, LIME, Captum, Alibi, InterpretML, Clarify, permutation importance",
)
def _explanations(repo: Repository) -> Verdict:
    found = spots(
        repo.code.calls(
            "shap.",
            "lime.",
            "captum.",
            "alibi.explainers.",
            "interpret.",
            "eli5.",
            "dalex.",
            "omnixai.",
            "sagemaker.clarify.SHAPConfig",
            "sklearn.inspection.permutation_importance",
            "*.run_explainability",
            "google.cloud.aiplatform.explain",
        )
    )
    found += spots(h for h in repo.code.calls("*.predict") if "pred_contrib" in h.call.kwargs)
    verdict = from_code(repo, "Predictions are explained", found)
    if verdict is not None:
        return verdict
    if repo.stages.scoring is not None or repo.stages.training is not None:
        return absent(
            repo,
            "Models are trained or used here, and nothing explains their output.",
            [repo.stages.training or repo.stages.scoring],
        )
    return not_applicable("Nothing here trains or uses a model.")
