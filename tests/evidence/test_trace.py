"""Data are followed through names, branches, functions and modules, within bounds."""

from __future__ import annotations

import time

import pytest
from tracing import SPLIT, traced

from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.trace import (
    Event,
    Fit,
    Load,
    Predict,
    Read,
    Save,
    Score,
    Split,
    Transform,
    Write,
    origins,
    rows_of,
    trace,
    traces,
)
from mlops_advisor.tools.evidence.trace_base import MAX_STEPS


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
