"""Features: the same in training and serving, defined once, joined as of the right time."""

from __future__ import annotations

from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    first_of,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.probes._tests import runner_strength
from mlops_advisor.tools.evidence.repository import Repository

_FEATURE_WORDS: Final = (
    "feature",
    "preprocess",
    "transform",
    "encode",
    "clean",
    "impute",
    "normaliz",
    "prepare",
    "tokeniz",
    "engineer",
    "vectoriz",
)
_MIN_FEATURES: Final = 2
_OFFLINE: Final = (
    "*.get_historical_features",
    "*.get_offline_features",
    "*.create_training_set",
    "*.create_training_dataset",
)
_ONLINE: Final = (
    "*.get_online_features",
    "*.get_feature_vector",
    "*.get_feature_vectors",
    "*.score_batch",
    "*.get_record",
)
_DEFINES: Final = (
    "feast.FeatureView",
    "feast.Entity",
    "feast.on_demand_feature_view",
    "feast.FeatureService",
    "tecton.",
    "hopsworks.",
    "hsfs.",
    "sagemaker.feature_store.feature_group.FeatureGroup",
    "databricks.feature_engineering.",
    "databricks.feature_store.",
    "google.cloud.aiplatform.Featurestore",
    "featureform.",
    "*.create_feature_group",
    "*.get_or_create_feature_group",
    "vertexai.resources.preview.feature_store.",
)
_PIPES: Final = (
    "sklearn.pipeline.Pipeline",
    "sklearn.pipeline.make_pipeline",
    "sklearn.compose.ColumnTransformer",
    "imblearn.pipeline.Pipeline",
    "pyspark.ml.Pipeline",
    "tensorflow_transform.",
    "keras.layers.Normalization",
    "tensorflow.keras.layers.Normalization",
    "tensorflow.keras.layers.StringLookup",
)
_EQUALITY: Final = ("parity", "skew", "same_features", "consisten")
_PREPARES: Final = frozenset(
    "get_dummies fillna map apply fit_transform transform astype merge replace drop".split()
)
_SAVES: Final = ("dump", "log_model", "save_model", "save", "register_model")


@probe(
    "parity",
    practice="train_serve_parity",
    asks="Does the same code or store compute features in training and serving?",
    searched=(
        "modules and functions used by both training and scoring code, stored "
        "preprocessing pipelines, feature store reads on both sides"
    ),
)
def _parity(repo: Repository) -> Verdict:
    verdict = _one_store(repo)
    if verdict is not None:
        return verdict
    if not (repo.code.serving or repo.code.batch) or not repo.code.training_scripts:
        if repo.stages.scoring is None and repo.stages.training is None:
            return not_applicable("Nothing here trains or uses a model.")
        return unknown("Training code and scoring code are not both here.")
    verdict = first_of(repo, _one_function, _stored_with_model, _one_module, _own_preparation)
    return verdict or unknown("No preparation of inputs was recognised in scoring code.")


def _one_store(repo: Repository) -> Verdict | None:
    offline, online = repo.code.calls(*_OFFLINE), repo.code.calls(*_ONLINE)
    if not offline or not online:
        return None
    detail = "Training and serving read features from the same store."
    return present(repo, W, detail, spots([*offline[:2], *online[:2]]))


def _shared_modules(repo: Repository) -> list[str]:
    code = repo.code
    scoring = code.closure(frozenset(code.serving) | frozenset(code.batch))
    training = code.training_code | repo.flows.modules
    return [p for p in sorted(training & scoring) if p in code.feature_code]


def _one_function(repo: Repository) -> Verdict | None:
    both = [(p, n, line) for p in _shared_modules(repo) for n, line in _used_on_both_sides(repo, p)]
    if not both:
        return None
    places = [(p, line) for p, _, line in both]
    name = both[0][1]
    tests = [
        p
        for p, m in repo.code.tests.items()
        if any(w in f.last for f in m.functions for w in _EQUALITY)
    ]
    if tests:
        strength, how = runner_strength(repo, tests)
        if strength == E:
            detail = f"Training and scoring both call `{name}`; a test on equality: {how}."
            return present(repo, E, detail, places)
    return present(repo, W, f"Training and scoring both call `{name}`.", places)


def _stored_with_model(repo: Repository) -> Verdict | None:
    code = repo.code
    pipes = [
        h
        for h in code.calls(*_PIPES)
        if h.module.path in code.training_code
        and any(
            c.last in _SAVES
            for p in (h.module.path, *code.importers.get(h.module.path, ()))
            for c in code.modules[p].calls
        )
    ]
    if not pipes:
        return None
    detail = "Preprocessing is stored inside the model, so serving runs the same."
    return present(repo, W, detail, spots(pipes))


def _one_module(repo: Repository) -> Verdict | None:
    shared = _shared_modules(repo)
    if not shared:
        return None
    detail = (
        "Training and scoring import the same feature module, but no function is called by both."
    )
    return present(repo, C, detail, [(p, repo.code.feature_code[p]) for p in shared])


def _own_preparation(repo: Repository) -> Verdict | None:
    own = [
        (p, c.line)
        for p in sorted({*repo.code.serving, *repo.code.batch})
        for c in repo.code.modules[p].calls
        if c.last in _PREPARES
    ]
    if not own:
        return None
    detail = "Scoring code prepares its inputs by itself, not with the code of training."
    return absent(repo, detail, own)


def _used_on_both_sides(repo: Repository, path: str) -> list[tuple[str, int]]:
    """Functions of a feature module that code of training and code of scoring call."""
    code = repo.code
    roots = frozenset(code.serving) | frozenset(code.batch)
    score = code.closure(roots) - frozenset(code.training_scripts) - {path}
    train = ((code.training_code | repo.flows.modules) - score - {path}) | frozenset(
        code.training_scripts
    )
    called = {c.last for p in train - roots for c in code.modules[p].calls}
    served = {c.last for p in score for c in code.modules[p].calls}
    both = called & served
    module = code.modules[path]
    named = any(w in path.lower() for w in _FEATURE_WORDS)
    wanted = [
        (f.last, f.line)
        for f in module.functions
        if f.last in both and (named or any(w in f.last.lower() for w in _FEATURE_WORDS))
    ]
    return wanted or [(c.name, c.line) for c in module.classes if c.name in both]


@probe(
    "feature_store",
    practice="feature_catalogue",
    asks="Are features defined once and reused?",
    searched=(
        "definitions and reads of Feast, Tecton, Hopsworks, SageMaker, "
        "Databricks and Vertex feature stores"
    ),
)
def _feature_store(repo: Repository) -> Verdict:
    code = repo.code
    reads = spots(code.calls(*_OFFLINE, *_ONLINE))
    defines = spots(code.calls(*_DEFINES))
    defines += [
        Spot(p, f.line)
        for p, m in code.product.items()
        for f in m.functions
        if any(d.startswith(("tecton.", "feast.", "chalk.")) for d in f.decorators)
    ]
    defines += [Spot(p, 1) for p in repo.named("feature_store.yaml")]
    if reads:
        verdict = from_code(repo, "Features are read from a feature store", reads)
        if verdict is not None and defines:
            return Verdict(
                verdict.outcome,
                verdict.detail,
                verdict.strength,
                (*verdict.places[:3], repo.place(defines[0].path, defines[0].line)),
            )
        if verdict is not None:
            return verdict
    listed = _catalogue(repo)
    if listed is not None:
        return listed
    if defines:
        return present(
            repo, C, "Features are defined in a store; nothing found reads them.", defines
        )
    if repo.stages.training is not None:
        return absent(
            repo,
            "Training is here, and its features are defined in no catalogue.",
            [repo.stages.training],
        )
    return not_applicable("Nothing here trains a model.")


def _catalogue(repo: Repository) -> Verdict | None:
    """Find a file of features with owner and meaning, and code that reads it."""
    for file in repo.yaml_files(holding=("description", "meaning")):
        name = file.path.rsplit("/", 1)[-1]
        if "feature" not in name.lower():
            continue
        described = [
            n
            for d in file.docs
            for n in d.below()
            if n.child("owner") is not None
            and (n.child("description") is not None or n.child("meaning") is not None)
        ]
        if len(described) < _MIN_FEATURES:
            continue
        places = [(file.path, n.line) for n in described]
        readers = [p for p in repo.code.product if name in repo.text(p)]
        if readers:
            return present(
                repo,
                W,
                "Features are listed with owner and meaning, and code reads the list.",
                places,
            )
        return present(repo, C, "Features are listed with owner and meaning.", places)
    return None


@probe(
    "as_of_joins",
    practice="point_in_time_correctness",
    asks="Do training joins use only values known at prediction time?",
    searched="historical reads of feature stores, as-of joins in Python and SQL",
)
def _as_of_joins(repo: Repository) -> Verdict:
    found = spots(
        repo.code.calls(
            "*.get_historical_features", "pandas.merge_asof", "*.join_asof", "*.merge_asof"
        )
    )
    verdict = from_code(repo, "Training joins are made as of the time of prediction", found)
    if verdict is not None:
        return verdict
    for path in repo.ending(".sql"):
        text = repo.text(path)
        if "ASOF JOIN" in text.upper():
            return present(
                repo,
                C,
                "An as-of join is written in SQL; nothing found runs it.",
                [(path, text.upper().count("\n", 0, text.upper().find("ASOF JOIN")) + 1)],
            )
    return (
        unknown("Files do not tell whether joins leak the future.")
        if repo.stages.training
        else not_applicable("Nothing here trains a model.")
    )
