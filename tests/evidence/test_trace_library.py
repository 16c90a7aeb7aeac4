"""What calls of libraries do to data: rows, columns, estimators, Spark, and names told apart."""

from __future__ import annotations

import pytest
from tracing import SPLIT, traced

from mlops_advisor.tools.evidence.trace import (
    Choice,
    Dated,
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
    Transform,
    Write,
    ancestors,
    origins,
)
from mlops_advisor.tools.evidence.trace_library import is_metric, role_of_name, seed_family, sort_of


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
