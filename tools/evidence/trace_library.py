"""What `trace` knows of libraries: which class is what, which method does what to rows."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from mlops_advisor.tools.evidence.trace_model import Role

Sort: TypeAlias = Literal[
    "", "preprocessor", "stateless", "labels", "selector", "resampler", "model", "search",
    "pipeline", "folds",
]  # fmt: skip


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STATELESS: Final = _words(
    "Normalizer FunctionTransformer HashingVectorizer FeatureHasher PolynomialFeatures Binarizer"
    " VectorAssembler Tokenizer RegexTokenizer StopWordsRemover HashingTF NGram SQLTransformer"
    " IndexToString Bucketizer ColumnSelector DropFeatures AutoTokenizer AutoProcessor"
    " AutoImageProcessor AutoFeatureExtractor BertTokenizer Compose ToTensor Resize"
    " SentenceTransformer StringIndexer DatetimeFeatures CyclicalFeatures"
)
_LABELS: Final = _words("LabelEncoder LabelBinarizer MultiLabelBinarizer")
_PREPARING: Final = _words(
    "DictVectorizer Word2Vec CountVectorizer IDF TfidfTransformer PCA TruncatedSVD NMF FastICA"
    " KernelPCA IncrementalPCA SparsePCA UMAP TSNE KBinsDiscretizer PowerTransformer"
    " QuantileTransformer RFE RFECV SelectKBest SelectPercentile SelectFromModel SelectFpr"
    " SelectFdr SelectFwe VarianceThreshold GenericUnivariateSelect SequentialFeatureSelector"
    " ChiSqSelector UnivariateFeatureSelector BorutaPy Winsorizer RareLabelEncoder Normalization"
    " StringLookup IntegerLookup TextVectorization Discretization LatentDirichletAllocation"
)
_SELECTORS: Final = _words(
    "RFE RFECV SelectKBest SelectPercentile SelectFromModel SelectFpr SelectFdr SelectFwe BorutaPy"
    " GenericUnivariateSelect SequentialFeatureSelector ChiSqSelector UnivariateFeatureSelector"
)
_PREPARING_ENDS: Final = (
    "Scaler", "Imputer", "Vectorizer", "Encoder", "Discretizer", "Transformer", "Binarizer",
    "ScalerModel",
)  # fmt: skip
_PREPARING_MODULES: Final = (
    "sklearn.preprocessing.", "sklearn.impute.", "sklearn.decomposition.",
    "sklearn.feature_extraction.", "sklearn.feature_selection.", "category_encoders.",
    "feature_engine.", "pyspark.ml.feature.", "cuml.preprocessing.", "sklearn.random_projection.",
)  # fmt: skip
_RESAMPLERS: Final = _words(
    "SMOTE SMOTENC SMOTEN ADASYN BorderlineSMOTE SVMSMOTE KMeansSMOTE SMOTEENN SMOTETomek"
    " RandomOverSampler RandomUnderSampler NearMiss TomekLinks EditedNearestNeighbours"
    " ClusterCentroids CondensedNearestNeighbour OneSidedSelection InstanceHardnessThreshold"
)
_SEARCHES: Final = _words(
    "GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV BayesSearchCV"
    " OptunaSearchCV CrossValidator TrainValidationSplit TuneSearchCV TuneGridSearchCV"
)
_PIPELINES: Final = _words(
    "Pipeline make_pipeline ColumnTransformer make_column_transformer FeatureUnion make_union"
    " TransformedTargetRegressor PipelineModel make_column_selector SklearnTransformerWrapper"
    " DataFrameMapper imbpipeline ImbPipeline"
)
_FOLDS: Final = _words(
    "KFold StratifiedKFold GroupKFold RepeatedKFold RepeatedStratifiedKFold ShuffleSplit"
    " StratifiedShuffleSplit GroupShuffleSplit TimeSeriesSplit LeaveOneOut LeaveOneGroupOut"
    " StratifiedGroupKFold LeavePOut PredefinedSplit MultilabelStratifiedKFold PurgedKFold"
)
ORDERED_FOLDS: Final = _words("TimeSeriesSplit PurgedKFold BlockingTimeSeriesSplit PredefinedSplit")
_MODEL_ENDS: Final = (
    "Classifier", "Regressor", "Regression", "RegressionCV", "SVC", "SVR", "Lasso", "Ridge",
    "ElasticNet", "LassoCV", "RidgeCV", "NB", "KMeans", "Sequential", "ForSequenceClassification",
    "ForTokenClassification", "IsolationForest", "DBSCAN", "GaussianMixture", "OneClassSVM",
    "Perceptron", "Booster", "Prophet", "ARIMA", "SARIMAX", "AutoML", "RidgeClassifierCV",
    "ForImageClassification", "TabularPredictor", "Discriminant", "DiscriminantAnalysis",
)  # fmt: skip
_MODEL_MODULES: Final = (
    "sklearn.linear_model.", "sklearn.ensemble.", "sklearn.svm.", "sklearn.tree.",
    "sklearn.neighbors.", "sklearn.naive_bayes.", "sklearn.neural_network.", "sklearn.cluster.",
    "sklearn.gaussian_process.", "sklearn.discriminant_analysis.", "sklearn.mixture.",
    "pyspark.ml.classification.", "pyspark.ml.regression.", "pyspark.ml.clustering.",
    "pyspark.ml.recommendation.",
)  # fmt: skip
_MODEL_CALLS: Final = _words(
    "tensorflow.keras.Sequential tensorflow.keras.Model keras.Sequential keras.Model"
    " tensorflow.keras.models.Sequential tensorflow.keras.models.Model keras.models.Sequential"
    " keras.models.Model tf.keras.Sequential tf.keras.Model transformers.Trainer"
    " sagemaker.estimator.Estimator"
)
_PREPARING_NAMES: Final = re.compile(
    r"(?:^|_)(?:scaler|encoder|imputer|vectori[sz]er|preprocessor|transformer|pca|dv|tfidf|ohe|"
    r"selector|binarizer|discretizer|normali[sz]er|svd|minmax|std_?scale)s?\d{0,2}(?:_|$)"
)
_MODEL_NAMES: Final = re.compile(
    r"(?:^|_)(?:model|clf|classifier|regressor|reg|lr|rf|xgb|lgbm?|estimator|pipe|pipeline|net|"
    r"svm|knn|gbm|booster|learner)s?\d{0,2}(?:_|$)"
)

# Methods that give the same rows, changed or with other columns.
ROW_KEEPING: Final = _words(
    "drop astype copy fillna rename assign to_numpy to_list reset_index set_index select_dtypes"
    " transform map replace round clip toarray todense reshape ravel flatten squeeze float"
    " to cuda cpu numpy withColumn withColumnRenamed select cast with_columns sort_values"
    " sort_index shuffle orderBy sort sort_by toPandas to_pandas to_frame cache persist"
    " repartition coalesce interpolate ffill bfill apply add sub mul div abs log1p pipe shift rank"
    " rolling diff pct_change long double half unsqueeze view permute detach requires_grad_"
    " batch prefetch set_format with_format remove_columns rename_column rename_columns insert"
    " groupby eval mask where lower strip str dt cat compute collect lazy as_matrix tolist cumsum"
    " fill_null fill_nan na fill get_dummies T values iteritems items infer_objects convert_dtypes"
    " to_dict array result get join_asof applymap pop"
)
ROW_TAKING: Final = _words(
    "dropna drop_duplicates query filter head tail sample limit where loc iloc take skip iter_rows"
    " nlargest nsmallest truncate between_time slice unique dropDuplicates distinct gather shard"
    " exceptAll subtract drop_nulls"
)
# Functions of one argument (or more) that give the same rows.
WRAPPERS: Final = _words(
    "DataFrame Series array asarray tensor from_numpy FloatTensor LongTensor Tensor DMatrix Pool"
    " QuantileDMatrix TensorDataset DataLoader csr_matrix csc_matrix log1p log hstack column_stack"
    " from_pandas createDataFrame from_tensor_slices as_tensor"
    " get_dummies to_numeric nan_to_num sqrt exp squeeze expand_dims ravel stack to_categorical"
    " convert_to_tensor float32 asfarray ascontiguousarray deepcopy copy"
    " Dataset Subset list tuple iter next tqdm reshape where from_arrow from_dict check_array"
)
STATISTICS: Final = _words("mean median mode quantile std var min max percentile nanmean nanstd")
SCALES: Final = re.compile(
    r"^sklearn\.preprocessing\.(?:\w{1,30}\.)?(?:scale|minmax_scale|robust_scale|maxabs_scale|"
    r"quantile_transform|power_transform)$|^scipy\.stats\.(?:zscore|boxcox)$"
)
CHOICES: Final = _words("max min argmax argmin idxmax idxmin nlargest nsmallest sorted")
METRIC_MODULES: Final = (
    "sklearn.metrics.", "torchmetrics.", "evaluate.", "tensorflow.keras.metrics.",
    "keras.metrics.", "statsmodels.tools.eval_measures.", "pyspark.ml.evaluation.",
    "tf.keras.metrics.", "seqeval.metrics.", "sklearn.model_selection.permutation_test_score",
)  # fmt: skip
_METRIC: Final = re.compile(
    r"^(?:\w{1,40}_(?:score|error|curve|loss|deviance)|classification_report|rmse|mae|mse|mape|smape|r2|auc"
    r"|accuracy|f1|confusion_matrix|eval_metrics|compute_metrics|get_metrics|calculate_metrics)$"
)
_METRIC_CONSTRUCTORS: Final = _words("make_scorer get_scorer check_scoring")
READS: Final = re.compile(
    r"(?:^|\.)(?:read_(?:csv|parquet|json|excel|sql|sql_query|sql_table|table|pickle|feather|hdf|"
    r"orc|gbq|delta|database|ndjson|ipc|avro|xml|html|fwf|stata|sas)|scan_(?:csv|parquet|ndjson)|"
    r"loadtxt|genfromtxt|load_npz|load_dataset|load_from_disk|from_csv|imread|"
    r"image_dataset_from_directory|text_dataset_from_directory|flow_from_directory|"
    r"flow_from_dataframe|make_csv_dataset|TFRecordDataset|ImageFolder|fetch_\w{1,40}|"
    r"load_(?:iris|digits|wine|breast_cancer|diabetes|boston|svmlight_file|files)|"
    r"get_historical_features|FakeData)$|^numpy\.load$|^np\.load$|^make_(?:classification|"
    r"regression|blobs)$|^sklearn\.datasets\.\w{1,40}$|^(?:seaborn|sns)\.load_dataset$"
)
SPARK_READ: Final = re.compile(r"\.read(?:Stream)?(?:\(\))?(?:\.\w{1,40}(?:\(\))?){0,8}$")
WRITES: Final = re.compile(
    r"\.(?:to_(?:csv|parquet|pickle|json|excel|feather|hdf|sql|gbq|delta)|write_(?:csv|parquet|"
    r"delta|table|database)|sink_parquet|save_to_disk|saveAsTable|write_dataset|insertInto)$"
    r"|^(?:numpy|np)\.(?:save|savetxt|savez|savez_compressed)$|^scipy\.sparse\.save_npz$"
)
SAVES: Final = re.compile(
    r"(?:^|\.)(?:joblib|pickle|cloudpickle|dill|_pickle|cPickle|skops\.io)"
    r"\.(?:dump|dumps|save)$|^torch\.(?:save|jit\.save|onnx\.export)$"
    r"|^mlflow\.(?:\w{1,30}\.)?(?:log_model|save_model)$|^bentoml\.\w{1,30}\.save(?:_model)?$"
    r"|\.(?:save_model|save_pretrained|push_to_hub|save_weights|export_model|save_checkpoint|"
    r"save_pickle|save_object|log_model|dump_model|save_joblib|save_to_s3)$"
    r"|^(?:tensorflow|tf)\.(?:saved_model\.save|keras\.models\.save_model)$|^keras\.models\.save_model$"
    r"|^save_(?:model|object|pickle|artifact|pipeline|preprocessor|scaler|joblib|obj|bin|pkl)$"
    r"|^(?:skl2onnx\.)?(?:to_onnx|convert_sklearn)$"
)
LOADS: Final = re.compile(
    r"(?:^|\.)(?:joblib|pickle|cloudpickle|dill|torch|torch\.jit|skops\.io)\.(?:load|loads)$"
    r"|(?:^|\.)load_(?:model|checkpoint|from_checkpoint|object|pickle|artifact|pipeline|booster)$"
    r"|^mlflow\.pyfunc\.load_model$|^onnxruntime\.InferenceSession$|\.from_pretrained$"
)
_SEEDS: Final = (
    (re.compile(r"^(?:numpy|np)\.random\.seed$"), "numpy"),
    (re.compile(r"^random\.seed$"), "random"),
    (
        re.compile(r"^torch\.(?:cuda\.)?(?:manual_seed|manual_seed_all|random\.manual_seed)$"),
        "torch",
    ),
    (re.compile(r"^(?:tensorflow|tf)\.(?:random\.)?set_(?:random_)?seed$"), "tensorflow"),
    (
        re.compile(
            r"(?:^|\.)(?:seed_everything|set_seed|set_seeds|set_random_seed|fix_seed|seed_all|"
            r"set_all_seeds|set_global_seed|fix_seeds|setup_seed|set_random_seeds|seed_torch|"
            r"init_seeds|set_determinism|fix_random_seed|random_seed|reset_random|reset_seeds|"
            r"enable_full_determinism|initialize_seed|make_deterministic)$"
        ),
        "all",
    ),
)
_ROLE: Final[tuple[tuple[re.Pattern[str], Role], ...]] = (
    (re.compile(r"(?:^|_)(?:train(?:ing|_val|val)?|tr|trn)\d{0,2}(?:_|$)"), "train"),
    (re.compile(r"(?:^|_)(?:val(?:id|idation)?|dev|valset)\d{0,2}(?:_|$)"), "validation"),
    (
        re.compile(r"(?:^|_)(?:test(?:ing)?|ts|tst|holdout|hold_out|oot|unseen)\d{0,2}(?:_|$)"),
        "test",
    ),
    (re.compile(r"(?:^|_)(?:eval(?:uation)?)\d{0,2}(?:_|$)"), "validation"),
)
_BOTH: Final = re.compile(r"train(?:ing)?_?(?:and_?)?val(?:id|idation)?(?=_|$)")
_CACHED: Final = 4_096
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_RUN_TOGETHER: Final = re.compile(
    r"^(?:[xy]_?|df_?)?(train|test|valid|val)(?:_?(?:x|y|df|set|ds|data|loader|dataset|dl|gen|iter))?$"
)


@lru_cache(_CACHED)
def sort_of(name: str) -> Sort:  # noqa: C901, PLR0911
    """Tell what kind of thing a class is, by its dotted name."""
    last = name.rpartition(".")[2].removesuffix("()")
    if last in _STATELESS:
        return "stateless" if "keras" not in name or last != "Tokenizer" else "preprocessor"
    if last in _LABELS:
        return "labels"
    if last in _RESAMPLERS:
        return "resampler"
    if last in _SEARCHES:
        return "search"
    if last in _PIPELINES:
        return "pipeline"
    if last in _FOLDS:
        return "folds"
    if last in _SELECTORS:
        return "selector"
    if name in _MODEL_CALLS or name.startswith(_MODEL_MODULES):
        return "model" if last[:1].isupper() else ""
    if name.startswith(_PREPARING_MODULES) and last[:1].isupper():
        return "preprocessor"
    if last in _PREPARING or (last.endswith(_PREPARING_ENDS) and last[:1].isupper()):
        return "preprocessor"
    return "model" if last.endswith(_MODEL_ENDS) and last[:1].isupper() else ""


def sort_by_label(label: str) -> Sort:
    """Tell what kind of thing a variable is by its name: a weak hint."""
    low = snake(label)
    if _PREPARING_NAMES.search(low):
        return "preprocessor"
    return "model" if _MODEL_NAMES.search(low) else ""


def snake(name: str) -> str:
    """Name in lower case with underscores: `XTrain` is `x_train`."""
    return _CAMEL.sub("_", name[:120]).lower()


@lru_cache(_CACHED)
def role_of_name(name: str) -> Role:
    """Part of a split that a variable's name speaks of; empty when none or several."""
    low = _BOTH.sub("train", snake(name))
    together = _RUN_TOGETHER.match(low)
    if together is not None:
        low = together.group(1)
    found = {role for pattern, role in _ROLE if pattern.search(low)}
    if len(found) != 1:
        return ""
    return found.pop()


def is_metric(name: str) -> bool:
    """Tell whether a call takes a measure of predictions."""
    last = name.rpartition(".")[2]
    if (
        last in _METRIC_CONSTRUCTORS
        or last.endswith("Evaluator")
        or last.startswith(("plot_", "log_", "cross_val", "print_"))
    ):
        return False
    if name.startswith(METRIC_MODULES):
        return True
    return bool(_METRIC.match(last)) and not name.startswith(("torch.", "tensorflow.", "tf."))


@lru_cache(_CACHED)
def seed_family(name: str) -> str:
    """Which global generator a call seeds: numpy, random, torch, tensorflow, all; or empty."""
    return next((family for pattern, family in _SEEDS if pattern.search(name)), "")
