"""Data are followed through names, branches, functions and modules."""

from __future__ import annotations

import time

import pytest

from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.trace import (
    Choice,
    Dated,
    Event,
    Fit,
    Load,
    Predict,
    Read,
    Resample,
    Save,
    Score,
    Seeded,
    Select,
    Shuffle,
    Sort,
    Split,
    Trace,
    Transform,
    Write,
    ancestors,
    origins,
    rows_of,
    trace,
    traces,
)
from mlops_advisor.tools.evidence.trace_base import MAX_STEPS
from mlops_advisor.tools.evidence.trace_library import is_metric, role_of_name, seed_family, sort_of


def traced(source: str, **others: str) -> Trace:
    files = [("main.py", source)]
    files += [(f"{name}.py", text) for name, text in others.items()]
    repo = Repository(collect_inline(files), trees=True)
    view = repo.view("main.py")
    assert view is not None
    return trace(repo, view)


SPLIT = """
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
df = pd.read_csv("a.csv")
"""


def test_rows_go_from_a_file_through_a_scaler_into_a_split() -> None:
    found = traced(
        SPLIT
        + """
X = df[["a", "b"]]
scaler = StandardScaler()
X = scaler.fit_transform(X)
X_train, X_test = train_test_split(X, random_state=1)
"""
    )
    (read,) = found.of(Read)
    (fit,) = found.of(Fit)
    (use,) = found.of(Transform)
    (split,) = found.of(Split)
    assert read.source == "a.csv"
    assert fit.estimator.last == "StandardScaler"
    assert fit.data.rows == read.value.rows  # columns of a frame hold its rows
    assert use.result.maker is not None
    assert use.result.maker.same(fit.estimator)
    assert fit.data.rows in rows_of(*split.sources)
    assert use.result.id in origins(*split.sources)
    assert [p.role for p in split.parts] == ["train", "test"]
    assert all(p.sure for p in split.parts)
    assert (split.seed, split.shuffle, split.stratify) == ("yes", "yes", "no")
    assert found.label(fit.data) == "X"


@pytest.mark.parametrize(
    ("call", "seed", "shuffle", "stratify"),
    [
        ("train_test_split(df)", "no", "yes", "no"),
        ("train_test_split(df, random_state=None)", "no", "yes", "no"),
        ("train_test_split(df, random_state=0, stratify=df.y)", "yes", "yes", "yes"),
        ("train_test_split(df, shuffle=False)", "no", "no", "no"),
        ("train_test_split(df, **options)", "maybe", "maybe", "maybe"),
        ("train_test_split(df, **{'random_state': 3})", "yes", "yes", "no"),
        ("df.randomSplit([0.8, 0.2], 3)", "yes", "yes", "no"),
        ("df.randomSplit([0.8, 0.2])", "no", "yes", "no"),
    ],
)
def test_settings_of_splits(call: str, seed: str, shuffle: str, stratify: str) -> None:
    (split,) = traced(SPLIT + f"a, b = {call}\n").of(Split)
    assert (split.seed, split.shuffle, split.stratify) == (seed, shuffle, stratify)


@pytest.mark.parametrize(
    "parts",
    [
        "train, test = df[:80], df[80:]",
        "train = df.iloc[:80].copy()\ntest = df.iloc[80:]",
        "train = df[df.day < 3]\ntest = df[df.day >= 3]",
        "train = df.sample(frac=0.8, random_state=1)\ntest = df.drop(train.index)",
        "m = rng.random(9) < 0.8\ntrain, test = df[m], df[~m]",
        "train_set = df.query('a < 3')\ntest_set = df.query('a >= 3')",
    ],
)
def test_splits_by_hand_are_told_by_the_names_of_their_parts(parts: str) -> None:
    (split,) = traced(SPLIT + parts + "\n").of(Split)
    assert split.how == "slice"
    assert sorted(p.role for p in split.parts) == ["test", "train"]


def test_folds_give_roles_to_what_their_indices_take() -> None:
    found = traced(
        """
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
X, y = np.load("x.npy"), np.load("y.npy")
for a, b in KFold(5, shuffle=True, random_state=0).split(X):
    model = Ridge().fit(X[a], y[a])
    model.score(X[b], y[b])
"""
    )
    (split,) = found.of(Split)
    assert (split.how, split.seed, split.shuffle) == ("folds", "yes", "yes")
    assert split.splitter is not None
    assert split.splitter.line == 6
    (fit,) = found.of(Fit)
    assert fit.data.role == "train"
    assert fit.loops == (6,)
    (score,) = found.of(Score)
    assert score.values[0].role == "test"


def test_functions_are_followed_with_their_arguments() -> None:
    found = traced(
        SPLIT
        + """
def prepare(frame, fit=False, scaler=StandardScaler()):
    if fit:
        return scaler.fit_transform(frame)
    return scaler.transform(frame)

def main(path):
    train, test = train_test_split(pd.read_csv(path), random_state=0)
    scaler = StandardScaler()
    return prepare(train, fit=True, scaler=scaler), prepare(scaler=scaler, frame=test)

main("b.csv")
"""
    )
    (fit,) = found.of(Fit)
    assert fit.data.role == "train"
    assert [t.data.role for t in found.of(Transform)] == ["train", "test"]
    assert all(t.estimator.same(fit.estimator) for t in found.of(Transform))
    assert fit.function == "prepare"


def test_both_sides_of_a_condition_are_run_and_told_apart() -> None:
    found = traced(
        SPLIT
        + """
def run(frame, scaled):
    if scaled:
        frame = StandardScaler().fit_transform(frame)
    else:
        frame = frame.dropna()
        train, test = train_test_split(frame)
    return train_test_split(frame)
"""
    )
    (fit,) = found.of(Fit)
    inside, after = found.of(Split)
    assert fit.excludes(inside)
    assert not fit.excludes(after)
    assert fit.data.rows in rows_of(*after.sources)


def test_other_modules_classes_and_generators_are_followed() -> None:
    found = traced(
        """
from steps import Preparation, chunks
from settings import SEED
from sklearn.model_selection import train_test_split
p = Preparation("a.csv")
p.scale()
p.divide()
for frame in chunks():
    train_test_split(frame, random_state=SEED)
""",
        steps="""
import pandas as pd
from sklearn.preprocessing import MinMaxScaler
from sklearn.model_selection import train_test_split

class Preparation:
    def __init__(self, path):
        self.frame = pd.read_csv(path)
        self.scaler = MinMaxScaler()

    def scale(self):
        self.frame[["a"]] = self.scaler.fit_transform(self.frame[["a"]])

    def divide(self):
        self.train, self.test = train_test_split(self.frame)

def chunks():
    yield pd.read_parquet("b.parquet")
""",
        settings="SEED = 3\n",
    )
    (fit,) = found.of(Fit)
    first, second = found.of(Split)
    assert fit.path == "steps.py"
    assert fit.data.rows in rows_of(*first.sources)
    assert (first.seed, second.seed) == ("no", "yes")
    assert found.of(Read)[1].value.rows in rows_of(*second.sources)


def test_files_join_what_tasks_pass_on() -> None:
    found = traced(
        """
import joblib, pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

def prepare():
    df = pd.read_csv("raw.csv")
    pd.DataFrame(StandardScaler().fit_transform(df)).to_csv("clean.csv")

def train():
    df = pd.read_csv("clean.csv")
    joblib.dump(Ridge().fit(df, df["y"]), "model.joblib")

def score():
    model = joblib.load("model.joblib")
    model.predict(pd.read_csv("new.csv"))

prepare()
train()
score()
"""
    )
    scaling, training = found.of(Fit)
    assert scaling.data.rows in rows_of(training.data)
    (write,) = found.of(Write)
    assert write.target == "clean.csv"
    (save,) = found.of(Save)
    (load,) = found.of(Load)
    assert save.target == load.source == "model.joblib"
    (predict,) = found.of(Predict)
    assert predict.estimator.same(training.estimator)


def test_pipelines_and_searches_know_their_steps() -> None:
    found = traced(
        """
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

def run(X, y):
    columns = ColumnTransformer([("num", make_pipeline(SimpleImputer()), ["a"])])
    pipe = Pipeline(steps=[("columns", columns), ("model", Ridge())])
    search = GridSearchCV(pipe, {}).fit(X, y)
    return search.best_estimator_.predict(X)
"""
    )
    (fit,) = found.of(Fit)
    names = [s.last for s in fit.estimator.steps()]
    assert names == [
        "GridSearchCV",
        "Pipeline",
        "ColumnTransformer",
        "Ridge",
        "make_pipeline",
        "SimpleImputer",
    ]
    assert [s.how for s in found.of(Split)] == ["folds"]
    (predict,) = found.of(Predict)
    assert predict.estimator.same(fit.estimator)


def test_rows_and_columns() -> None:
    found = traced(
        SPLIT
        + """
df = df.drop(columns=["id", "y"])
df.sort_values("day", inplace=True)
df["day"] = pd.to_datetime(df["day"])
df["lag"] = df["sales"].shift(1)
df["sales"] = df["sales"].fillna(df["sales"].mean())
df["z"] = (df["a"] - df["a"].mean()) / df["a"].std()
df = df.sample(frac=1)
train, test = train_test_split(df)
"""
    )
    (select,) = found.of(Select)
    assert select.columns == ("id", "y")
    assert select.dropped
    (sort,) = found.of(Sort)
    assert sort.columns == ("day",)
    assert [(d.column, d.how) for d in found.of(Dated)] == [("day", "parsed"), ("sales", "lagged")]
    assert [f.estimator.name for f in found.of(Fit)] == [
        "by hand: fillna(mean)",
        "by hand: scaling by mean",
    ]
    (shuffle,) = found.of(Shuffle)
    (split,) = found.of(Split)
    assert shuffle.result.id in origins(*split.sources)
    made = {v.maker.name for v in ancestors(split.sources) if v.maker is not None}
    assert made == {"by hand: fillna(mean)", "by hand: scaling by mean"}


def test_resampling_choices_and_seeds() -> None:
    found = traced(
        """
import numpy as np
from imblearn.over_sampling import SMOTE
from sklearn.metrics import f1_score
from sklearn.svm import SVC
np.random.seed(3)

def run(X, y):
    X, y = SMOTE().fit_resample(X, y)
    scores = []
    for c in range(9):
        model = SVC(C=c).fit(X, y)
        scores.append(f1_score(y, model.predict(X)))
    return max(scores)
"""
    )
    (resample,) = found.of(Resample)
    (fit,) = found.of(Fit)
    assert resample.result.id in origins(fit.data)
    (score,) = found.of(Score)
    (choice,) = found.of(Choice)
    assert score.result is not None
    assert score.result.id in origins(*choice.values)
    (seeded,) = found.of(Seeded)
    assert seeded.families == {"numpy"}


def test_a_training_loop_of_pytorch_is_a_fit() -> None:
    found = traced(
        """
import torch
from torch.utils.data import DataLoader, random_split

class Net(torch.nn.Module):
    def forward(self, x):
        return x

def run(dataset):
    train_set, test_set = random_split(dataset, [8, 2])
    train_loader, test_loader = DataLoader(train_set), DataLoader(test_set)
    net = Net()
    for x, y in train_loader:
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
    for x, y in test_loader:
        net(x)
    torch.save(net.state_dict(), "net.pt")
"""
    )
    (fit,) = found.of(Fit)
    assert fit.data.role == "train"
    assert [p.data.role for p in found.of(Predict)] == ["train", "test"]


SPARK = """
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import GBTClassifier
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.tuning import CrossValidator
from pyspark.sql import SparkSession, functions as F
from pyspark.sql.window import Window
spark = SparkSession.builder.getOrCreate()
rows = spark.read.parquet("rows")
window = Window.orderBy(F.col("event_time").desc())
rows = rows.withColumn("before", F.lag("x").over(window)).na.drop()
train, test = rows.randomSplit([0.7, 0.3], seed=1)
evaluator = BinaryClassificationEvaluator()
search = CrossValidator(
    estimator=Pipeline(stages=[GBTClassifier()]), evaluator=evaluator, seed=2)
model = search.fit(train)
said = model.transform(test)
evaluator.evaluate(said)
model.bestModel.write().overwrite().save("model")
said.write.mode("append").format("delta").save("said")
PipelineModel.load("elsewhere").transform(rows)
"""


def test_spark_fits_answers_measures_and_stores() -> None:
    found = traced(SPARK)
    (dated,) = found.of(Dated)
    assert (dated.how, dated.name) == ("lagged", "pyspark.sql.functions.lag")
    assert [s.columns for s in found.of(Sort)] == [("event_time",)]
    first, folds = found.of(Split)
    assert first.shares == (0.7, 0.3)
    assert first.sources[0].rows != found.of(Read)[0].value.rows  # rows were dropped
    assert (folds.how, folds.shuffle) == ("folds", "yes")
    assert folds.splitter is not None
    assert folds.splitter.line == 14
    (fit,) = found.of(Fit)
    answer, other = found.of(Predict)
    assert answer.estimator.same(fit.estimator)
    assert answer.data.role == "test"
    (score,) = found.of(Score)
    assert score.estimator is None
    assert [v.id for v in score.values] == [answer.result.id]
    (save,) = found.of(Save)
    assert save.values[0].same(fit.estimator)
    assert save.target == "model"
    assert [(w.target, w.value.id) for w in found.of(Write)] == [("said", answer.result.id)]
    (load,) = found.of(Load)
    assert other.estimator.same(load.value)
    assert not found.of(Transform)


def test_events_know_the_calls_that_led_to_them() -> None:
    found = traced(
        """
import tasks
from sklearn.model_selection import train_test_split
class Flow:
    def run(self, rows):
        return train_test_split(rows)
def main():
    rows = tasks.read()
    scaled = tasks.scale(rows)
    Flow().run(scaled)
main()
""",
        tasks="""
import pandas as pd
from sklearn.preprocessing import StandardScaler
def read():
    return pd.read_csv("a.csv")
def scale(rows):
    return inner(rows)
def inner(rows):
    return StandardScaler().fit_transform(rows)
""",
    )
    (fit,) = found.of(Fit)
    assert [(s.path, s.line, s.bound) for s in fit.calls] == [
        ("main.py", 11, False),
        ("main.py", 9, False),
        ("tasks.py", 7, False),
    ]
    (split,) = found.of(Split)
    assert [(s.line, s.bound) for s in split.calls] == [(11, False), (10, True)]


def test_modules_that_only_put_imported_parts_together_are_followed() -> None:
    found = traced(
        "from parts import get, half\nfrom more import grow\nhalf(grow(get()))\n",
        parts=SPLIT + "def get():\n    return df\ndef half(x):\n    return train_test_split(x)\n",
        more="def grow(x):\n    return Scaler().fit_transform(x)\n",
    )
    assert len(found.of(Split)) == 1


def test_functions_that_are_handed_over_say_to_what() -> None:
    found = traced(
        """
import optuna
from sklearn.svm import SVC

def run(X_train, y_train, X_val, y_val):
    def objective(trial):
        return SVC().fit(X_train, y_train).score(X_val, y_val)
    study = optuna.create_study()
    study.optimize(objective, n_trials=3)
"""
    )
    (score,) = found.of(Score)
    assert score.within == ("optuna.create_study.optimize",)
    assert score.values[0].role == "validation"
    assert not score.values[0].sure


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("X_train", "train"),
        ("xTest", "test"),
        ("df_val", "validation"),
        ("trainset", "train"),
        ("test_loader", "test"),
        ("X_train_val", "train"),
        ("train_test", ""),
        ("latest", ""),
        ("value", ""),
        ("constraint", ""),
        ("evaluation_set", "validation"),
        ("holdout", "test"),
    ],
)
def test_roles_of_names(name: str, role: str) -> None:
    assert role_of_name(name) == role


@pytest.mark.parametrize(
    ("name", "sort"),
    [
        ("sklearn.preprocessing.StandardScaler", "preprocessor"),
        ("sklearn.preprocessing.Normalizer", "stateless"),
        ("sklearn.preprocessing.LabelEncoder", "labels"),
        ("sklearn.feature_selection.SelectKBest", "selector"),
        ("sklearn.pipeline.make_pipeline", "pipeline"),
        ("imblearn.pipeline.Pipeline", "pipeline"),
        ("imblearn.over_sampling.SMOTE", "resampler"),
        ("xgboost.XGBClassifier", "model"),
        ("sklearn.linear_model.Ridge", "model"),
        ("sklearn.model_selection.KFold", "folds"),
        ("sklearn.model_selection.GridSearchCV", "search"),
        ("pandas.DataFrame", ""),
        ("logging.getLogger", ""),
    ],
)
def test_sorts_of_classes(name: str, sort: str) -> None:
    assert sort_of(name) == sort


def test_names_of_metrics_and_seeds() -> None:
    assert is_metric("sklearn.metrics.f1_score")
    assert is_metric("mean_squared_error")
    assert not is_metric("scipy.sparse.csr_matrix")
    assert not is_metric("sklearn.model_selection.cross_val_score")
    assert seed_family("numpy.random.seed") == "numpy"
    assert seed_family("pytorch_lightning.seed_everything") == "all"
    assert not seed_family("numpy.random.default_rng")


HOSTILE = {
    "recursion": "def f(x):\n    return g(f(x.fit(x)))\ndef g(x):\n    return f(x)\nf(1)\n",
    "a class of itself": "class A(A):\n    x = A()\n    def fit(self):\n        return A().fit()\nA().fit()\n",
    "nesting": "x = " + "(" * 80 + "a.fit(b)" + ")" * 80 + "\n",
    "chain": "x = a.fit(b)" + ".f(1)" * 150 + "\n",
    "conditions": "def f(x):\n"
    + "".join(f"    if x.fit({i}):\n        y{i} = 1\n" for i in range(900)),
    "fan out": "".join(
        f"def f{i}(x):\n    f{i + 1}(x.fit(1))\n    f{i + 1}(x)\n    f{i + 1}(x)\n"
        for i in range(60)
    )
    + "f0(1)\n",
    "unpacking": "a, *b, (c, d) = x.fit(1), *y, (1, 2)\n[p, q] = 1\n(*z,) = a\nfor i, (j, k) in {}: pass\n",
    "odd syntax": """
import pandas as pd
async def f(*a, b=1, **c):
    async with x as y, z: yield await y
    async for i in y: del i
    match b:
        case [1, *rest]: return rest
        case {"k": v}: return v
    try: raise E from None
    except* ValueError as e: pass
    else: pass
    finally: return lambda *q, r=1, **s: (q, r, s)
x: int
x += 1
x.y[0], x["z"]: 1
print(f"{x!r:>{y}}", {**x}, [*x], {i: j for i, j in x}, x if y else z, (w := 3), not x, -x, ~x)
x.fit(x[1:2, ::3, ...], *x, **y)
train_test_split(*x, **y)
train_test_split()
random_split()
x.sample(frac="a")
pd.concat()
x.drop()
""".replace('x.y[0], x["z"]: 1\n', ""),
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_any_program_ends(source: str) -> None:
    began = time.perf_counter()
    found = traced(source)
    assert time.perf_counter() - began < 20
    assert all(isinstance(e, Event) for e in found.events)


def test_the_budget_is_kept_and_told() -> None:
    body = "".join(f"    x.fit({'1 + ' * 40}1)\n" for _ in range(MAX_STEPS // 40))
    assert not traced(f"def f(x):\n{body}").complete


def test_the_same_files_give_the_same_events() -> None:
    first, second = traced(HOSTILE["fan out"]), traced(HOSTILE["fan out"])
    assert [(type(e), e.line, e.order) for e in first.events] == [
        (type(e), e.line, e.order) for e in second.events
    ]


def test_traces_leave_out_tests_and_what_has_nothing_to_do_with_data() -> None:
    files = [
        ("train.py", "model.fit(X, y)\n"),
        ("plain.py", "print(1)\n"),
        ("tests/test_train.py", "model.fit(X, y)\n"),
        ("book.ipynb", '{"cells": [{"cell_type": "code", "source": ["model.fit(X, y)"]}]}'),
    ]
    repo = Repository(collect_inline(files), trees=True)
    assert [t.path for t in traces(repo)] == ["book.ipynb", "train.py"]
    assert [t.path for t in traces(repo, notebooks=False)] == ["train.py"]
    assert "tests/test_train.py" in [t.path for t in traces(repo, tests=True)]
    view = repo.view("train.py")
    assert view is not None
    assert trace(repo, view) is trace(repo, view)
