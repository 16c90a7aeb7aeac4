"""Orchestrated pipelines: what defines them, what is in them, what starts them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mlops_advisor.tools.evidence.code import Code
from mlops_advisor.tools.evidence.parse.python_model import Call, PythonModule, Ref
from mlops_advisor.tools.evidence.parse.tree import Node
from mlops_advisor.tools.evidence.parsed import Parsed
from mlops_advisor.tools.evidence.runs import Runs

# Names of what makes a pipeline, by tool: calls, decorators and base classes alike.
_MAKERS: Final = {
    "airflow.DAG": "Airflow",
    "airflow.models.DAG": "Airflow",
    "airflow.models.dag.DAG": "Airflow",
    "airflow.sdk.DAG": "Airflow",
    "airflow.sdk.dag": "Airflow",
    "airflow.decorators.dag": "Airflow",
    "kfp.dsl.pipeline": "Kubeflow Pipelines",
    "kfp.v2.dsl.pipeline": "Kubeflow Pipelines",
    "prefect.flow": "Prefect",
    "prefect.Flow": "Prefect",
    "dagster.job": "Dagster",
    "dagster.asset": "Dagster",
    "dagster.multi_asset": "Dagster",
    "dagster.graph": "Dagster",
    "dagster.pipeline": "Dagster",
    "dagster.define_asset_job": "Dagster",
    "metaflow.FlowSpec": "Metaflow",
    "flytekit.workflow": "Flyte",
    "zenml.pipeline": "ZenML",
    "zenml.pipelines.pipeline": "ZenML",
    "zenml.pipelines.base_pipeline.BasePipeline": "ZenML",
    "kedro.pipeline.Pipeline": "Kedro",
    "kedro.pipeline.pipeline": "Kedro",
    "kedro.pipeline.modular_pipeline.pipeline": "Kedro",
    "luigi.Task": "Luigi",
    "sagemaker.workflow.pipeline.Pipeline": "SageMaker Pipelines",
    "sagemaker.mlops.workflow.pipeline.Pipeline": "SageMaker Pipelines",
    "google.cloud.aiplatform.PipelineJob": "Vertex AI Pipelines",
    "google.cloud.aiplatform.pipeline_jobs.PipelineJob": "Vertex AI Pipelines",
    "azure.ai.ml.dsl.pipeline": "Azure ML Pipelines",
    "azureml.pipeline.core.Pipeline": "Azure ML Pipelines",
    "tfx.orchestration.pipeline.Pipeline": "TFX",
    "tfx.v1.dsl.Pipeline": "TFX",
    "tfx.dsl.Pipeline": "TFX",
    "clearml.PipelineController": "ClearML Pipelines",
    "clearml.automation.controller.PipelineDecorator.pipeline": "ClearML Pipelines",
    "hera.workflows.Workflow": "Argo Workflows",
}
_STEP_WORDS: Final = ("train", "fit", "finetune", "fine_tune", "tuning", "estimator", "retrain")
_SCHEDULE_KEYS: Final = (
    "schedule",
    "schedule_interval",
    "timetable",
    "cron",
    "interval",
    "rrule",
    "schedules",
    "cron_schedule",
    "cron_expression",
)
_SCHEDULERS: Final = (
    "dagster.ScheduleDefinition",
    "dagster.schedule",
    "dagster.sensor",
    "dagster.build_schedule_from_partitioned_job",
    "metaflow.schedule",
    "metaflow.trigger",
    "metaflow.trigger_on_finish",
    "zenml.config.schedule.Schedule",
    "zenml.pipelines.Schedule",
    "flytekit.CronSchedule",
    "flytekit.FixedRate",
    "azure.ai.ml.entities.JobSchedule",
    "prefect.client.schemas.schedules.CronSchedule",
    "prefect.schedules.Cron",
    "prefect.server.schemas.schedules.CronSchedule",
    "sagemaker.workflow.triggers.PipelineSchedule",
)
_SCHEDULER_METHODS: Final = (
    "create_recurring_run",
    "put_triggers",
    "create_schedule",
    "create_job_schedule",
)
_SENSORS: Final = (
    "S3KeySensor",
    "GCSObjectExistenceSensor",
    "GCSObjectUpdateSensor",
    "FileSensor",
    "WasbBlobSensor",
    "ExternalTaskSensor",
    "SqlSensor",
)


@dataclass(frozen=True, slots=True)
class Flow:
    """One pipeline definition: the tool, where it stands, and whether a step trains."""

    tool: str
    path: str
    line: int
    trains: bool
    retries: bool = False


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a pipeline or job by itself; an `off` trigger is written down but inert."""

    what: str
    path: str
    line: int
    off: bool = False
    trains: bool = True


class Flows:
    """Pipelines of a repository.  Computed once, when first asked for."""

    def __init__(self, files: Parsed, code: Code, runs: Runs) -> None:
        """Look at parsed files and code."""
        self._files = files
        self._code = code
        self._runs = runs

    @cached_property
    def all(self) -> tuple[Flow, ...]:
        """Every pipeline definition, by path and line."""
        found = [*self._python(), *self._dvc(), *self._argo(), *self._other()]
        return tuple(sorted(found, key=lambda f: (f.path, f.line)))

    @cached_property
    def modules(self) -> frozenset[str]:
        """Modules that take part in a pipeline: definitions, what they import, what steps run."""
        code = self._code
        starts = {f.path for f in self.all if f.path in code.product}
        for path in list(starts):
            starts |= self._scripts_named(path)
        return code.closure(starts) | frozenset(self._runs.piped)

    def _scripts_named(self, path: str) -> set[str]:
        """Scripts and modules that a definition names as strings, as steps in images do."""
        found = set()
        for call in self._code.modules[path].calls:
            for value in (*call.args, *call.kwargs.values()):
                for text in value if isinstance(value, tuple) else (value,):
                    target = self._named(text) if isinstance(text, str) else ""
                    if target in self._code.product and target != path:
                        found.add(target)
        return found

    def _named(self, text: str) -> str:
        if text.endswith(".py"):
            return self._runs.file_named(text.replace("{}", "").lstrip("/"))
        dotted = "." in text and text.replace(".", "").isidentifier()
        return self._code.resolve(text, "") if dotted else ""

    def _python(self) -> list[Flow]:
        found: list[Flow] = []
        for path, module in self._code.product.items():
            if module.notebook or self._files.is_aside(path):
                continue
            made = _maker(module)
            if made:
                tool, line = made
                found.append(Flow(tool, path, line, self._trains(path, module), _retries(module)))
        return found

    def _trains(self, path: str, module: PythonModule) -> bool:
        code = self._code
        if any(p in code.training for p in code.closure([path])):
            return True
        words = [f.last for f in module.functions] + [c.last for c in module.calls]
        for call in module.calls:
            for key in (
                "task_id",
                "name",
                "bash_command",
                "python_callable",
                "arguments",
                "command",
            ):
                value = call.kwargs.get(key)
                words.append(
                    value
                    if isinstance(value, str)
                    else value.name
                    if isinstance(value, Ref)
                    else ""
                )
        return any(w in word.lower() for word in words for w in _STEP_WORDS)

    def _dvc(self) -> list[Flow]:
        found: list[Flow] = []
        for file in self._files.yaml_files(named=("dvc.yaml",)):
            for doc in file.docs:
                stages = doc.pairs("stages")
                if stages:
                    runs = [r for r in self._runs.dvc if r.path == file.path and r.counts]
                    trains = any(
                        p in self._code.training
                        for r in runs
                        for p in self._code.closure(self._runs.modules(r))
                    ) or any("train" in name.lower() for name, _ in stages)
                    found.append(
                        Flow("DVC", file.path, stages[0][1].key_line, trains and bool(runs))
                    )
        return found

    def _argo(self) -> list[Flow]:
        kinds = ("Workflow", "CronWorkflow", "WorkflowTemplate", "PipelineRun", "Pipeline")
        return [
            Flow(
                "Argo Workflows" if "argo" in m.api else "Tekton",
                m.path,
                m.line,
                self._words(m.node.walk()),
            )
            for m in self._files.kinds(*kinds)
            if m.api.startswith(("argoproj.io", "tekton.dev"))
        ]

    @staticmethod
    def _words(pairs: Iterable[tuple[str, Node]]) -> bool:
        return any(
            w in node.text[:500].lower() for _, node in pairs if node.text for w in _STEP_WORDS
        )

    def _other(self) -> list[Flow]:
        found: list[Flow] = []
        for file in self._files.yaml_files(holding=("pipelineJob", "pipelineSpec", "pipelineInfo")):
            for doc in file.docs:
                if "pipelineJob" in doc.text_at("$schema"):
                    found.append(Flow("Azure ML Pipelines", file.path, 1, self._words(doc.walk())))
                elif doc.child("pipelineInfo") is not None or doc.child("pipelineSpec") is not None:
                    found.append(Flow("Kubeflow Pipelines", file.path, 1, self._words(doc.walk())))
        for path, block in self._files.resources("aws_sfn_state_machine", "aws_sagemaker_pipeline"):
            found.append(
                Flow(
                    "Step Functions",
                    path,
                    block.line,
                    any(w in block.text().lower() for w in _STEP_WORDS),
                )
            )
        for file in self._files.yaml_files(
            named=("databricks.yml", "databricks.yaml", "bundle.yml")
        ):
            for doc in file.docs:
                for _, node in doc.find("tasks"):
                    found.append(
                        Flow("Databricks Jobs", file.path, node.line, self._words(node.walk()))
                    )
        return found

    # --- triggers ---------------------------------------------------------------------------

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        """Schedules, sensors and events that start training; those that are off included."""
        found = [
            *self._python_triggers(),
            *self._yaml_triggers(),
            *self._cluster_triggers(),
            *self._cloud_triggers(),
        ]
        for run in self._runs.ci:
            if run.job is None or not run.counts:
                continue
            started = self._code.closure(self._runs.modules(run))
            trains = any(p in self._code.training_scripts for p in started) or _runs_training(
                run.text
            )
            timed = run.job.events & {"schedule", "event", "workflow_run"}
            if trains and timed and not run.job.manual:
                what = "CI on a schedule" if "schedule" in timed else "CI on an event"
                found.append(Trigger(what, run.path, run.line, off=not run.live))
        return tuple(sorted(set(found), key=lambda t: (t.path, t.line, t.what)))

    def _python_triggers(self) -> list[Trigger]:
        found: list[Trigger] = []
        training_flows = {f.path for f in self.all if f.trains}
        for path, module in self._code.product.items():
            if module.notebook or self._files.is_aside(path):
                continue
            relevant = path in training_flows or any(
                p in training_flows for p in self._code.closure([path])
            )
            if not relevant and training_flows:
                continue
            triggers = (_call_trigger(path, c) for c in module.calls)
            found += [t for t in triggers if t is not None]
            for function in module.functions:
                if any(d.startswith(_SCHEDULERS) for d in function.decorators):
                    found.append(Trigger("schedule", path, function.line))
        return found

    def _yaml_triggers(self) -> list[Trigger]:
        found: list[Trigger] = []
        for path in self._files.ending(
            "prefect.yaml", "deployment.yaml", "-deployment.yml", "prefect.yml"
        ):
            text = self._files.text(path)
            if "entrypoint" not in text and "flow_name" not in text:
                continue
            for doc in self._files.yaml(path).docs:
                for key, node in doc.find("schedule", "schedules"):
                    off = not any(
                        n.truthy for k, n in node.walk() if k in ("cron", "interval", "rrule")
                    ) and not (node.text and node.truthy)
                    active = node.text_at("active") != "false"
                    found.append(Trigger(f"Prefect {key}", path, node.line, off=off or not active))
        for file in self._files.yaml_files(holding=("/schedule.schema.json",)):
            found += [
                Trigger("Azure ML schedule", file.path, 1)
                for doc in file.docs
                if doc.child("trigger") is not None
            ]
        for file in self._files.yaml_files(named=("databricks.yml", "databricks.yaml")):
            for doc in file.docs:
                found += [
                    Trigger(
                        "Databricks schedule",
                        file.path,
                        n.line,
                        off=n.text_at("pause_status").upper() == "PAUSED",
                    )
                    for _, n in doc.find("schedule")
                    if n.map is not None
                ]
        return found

    def _cluster_triggers(self) -> list[Trigger]:
        found: list[Trigger] = []
        for m in self._files.kinds("CronJob", "CronWorkflow", "ScheduledWorkflow"):
            if any(
                w in n.text[:300].lower() for _, n in m.node.walk() if n.text for w in _STEP_WORDS
            ) or any(
                w in i.text.lower()
                for _, n in m.node.walk()
                if n.items
                for i in n.items
                for w in _STEP_WORDS
            ):
                off = m.node.text_at("spec", "suspend") == "true"
                found.append(Trigger(m.kind, m.path, m.line, off=off))
        return found

    def _cloud_triggers(self) -> list[Trigger]:
        found: list[Trigger] = []
        for path, block in self._files.resources(
            "aws_cloudwatch_event_rule", "aws_scheduler_schedule", "google_cloud_scheduler_job"
        ):
            text = block.text().lower()
            if block.has("schedule") and any(
                w in text or w in block.name.lower() for w in (*_STEP_WORDS, "pipeline")
            ):
                off = "disabled" in text or "is_enabled = false" in " ".join(text.split())
                found.append(Trigger("cloud scheduler", path, block.line, off=off))
        return found


def _runs_training(text: str) -> bool:
    low = text.lower()
    return any(
        w in low
        for w in (
            "dvc repro",
            "dvc exp run",
            "kedro run",
            "mlflow run",
            "az ml job create",
            "run-pipeline",
            "start-pipeline-execution",
        )
    )


def _maker(module: PythonModule) -> tuple[str, int] | None:
    for function in module.functions:
        for decorator in function.decorators:
            if decorator in _MAKERS:
                return _MAKERS[decorator], function.line
    for cls in module.classes:
        for base in cls.bases:
            if base in _MAKERS:
                return _MAKERS[base], cls.line
    for call in module.calls:
        if call.name in _MAKERS:
            return _MAKERS[call.name], call.line
    return None


def _retries(module: PythonModule) -> bool:
    for call in module.calls:
        value = call.kwargs.get(
            "retries", call.kwargs.get("num_retries", call.kwargs.get("max_retries"))
        )
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return True
        if call.last in ("set_retry", "retry"):
            return True
    return any(
        name.endswith(".retries") and isinstance(v, int) and v > 0
        for name, (v, _) in module.constants.items()
    )


def _call_trigger(path: str, call: Call) -> Trigger | None:
    maker = _MAKERS.get(call.name)
    if maker == "Airflow" or call.last in (
        "serve",
        "deploy",
        "build_from_flow",
        "get_or_create",
        "to_deployment",
    ):
        for key in _SCHEDULE_KEYS:
            if key in call.kwargs:
                value = call.kwargs[key]
                off = value is None or value in ("", "@once", "None")
                what = "data set event" if isinstance(value, tuple) else "schedule"
                return Trigger(f"{maker or 'deployment'} {what}", path, call.line, off=off)
    if call.name.startswith(_SCHEDULERS) or call.last in _SCHEDULER_METHODS:
        return Trigger("schedule", path, call.line)
    if call.last in _SENSORS:
        return Trigger("sensor for new data", path, call.line)
    return None
