"""Retraining (weekly, or when monitoring asks for it) and daily monitoring of fraud-scoring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.pagerduty.notifications.pagerduty import send_pagerduty_notification
from airflow.sdk import Asset, dag, task
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable
from kubernetes.client import models as k8s

RETRAIN = Asset("fraud-scoring/retraining-needed")
EXIT_SKIP = 99  # fraud.registry.EXIT_SKIP
DATA = "s3://northpay-fraud-data"
# The data platform writes one snapshot a day, and the prediction log of the day before, with and
# without the labels that came in.
DAY = "{{ dag_run.run_after | ds }}"
DEFAULTS = {
    "owner": "fraud-science",
    "retries": 2,
    "retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": send_pagerduty_notification(
        pagerduty_events_conn_id="pagerduty_fraud",
        summary="{{ dag.dag_id }}.{{ ti.task_id }} failed",
        severity="error",
        source="airflow",
    ),
}


def pod(task_id: str, *arguments: str, **options: Any) -> KubernetesPodOperator:
    """One step in the training image; the release workflow keeps the variable at a digest."""
    return KubernetesPodOperator(
        task_id=task_id,
        name=f"fraud-{task_id}",
        namespace="fraud-prod",
        image="{{ var.value.fraud_train_image }}",
        arguments=list(arguments),
        service_account_name="fraud-train",
        env_vars={
            "MLFLOW_TRACKING_URI": "https://mlflow.northpay.example",
            "PUSHGATEWAY": "pushgateway.monitoring.svc:9091",
        },
        security_context={"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
        container_resources=k8s.V1ResourceRequirements(
            requests={"cpu": "2", "memory": "8Gi"}, limits={"cpu": "4", "memory": "16Gi"}
        ),
        on_finish_action="delete_succeeded_pod",
        **options,
    )


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 3 * * 1", timezone="UTC"), assets=[RETRAIN]
    ),
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["fraud"],
)
def fraud_retrain() -> None:
    """Train, gate, and ask for a release.  A candidate that fails the gate ends the run."""
    guard = pod("guard", "fraud.registry", "guard", skip_on_exit_code=EXIT_SKIP)
    train = pod(
        "train",
        "fraud.train",
        f"--snapshot={DATA}/snapshots/{DAY}/transactions.parquet",
        "--out=/tmp/out",
        "--result=/airflow/xcom/return.json",
        do_xcom_push=True,
    )
    version = "{{ ti.xcom_pull(task_ids='train')['model_version'] }}"
    gate = pod("gate", "fraud.gate", f"--version={version}")
    request_release = HttpOperator(
        task_id="request_release",
        http_conn_id="github_fraud_scoring",
        endpoint="repos/northpay/fraud-scoring/dispatches",
        method="POST",
        data=f'{{"event_type": "model-gated", "client_payload": {{"model_version": "{version}"}}}}',
    )
    guard >> train >> gate >> request_release


@dag(
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["fraud"],
)
def fraud_monitor() -> None:
    """Measure drift and live quality; ask for retraining when a threshold is passed."""
    measure = pod(
        "measure",
        "fraud.monitor",
        f"--predictions={DATA}/predictions/{DAY}/predictions.parquet",
        f"--labelled={DATA}/labelled/{DAY}/predictions.parquet",
        "--result=/airflow/xcom/return.json",
        do_xcom_push=True,
    )

    @task.short_circuit
    def needs_retraining(verdict: dict[str, Any]) -> bool:
        return bool(verdict["retrain"])

    @task(outlets=[RETRAIN])
    def ask_for_retraining() -> None:
        """Its success updates the asset, which starts fraud_retrain (its guard limits the rate)."""

    needs_retraining(measure.output) >> ask_for_retraining()


fraud_retrain()
fraud_monitor()
