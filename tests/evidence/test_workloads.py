"""Services, containers and model servers are one model."""

from __future__ import annotations

from auditing import repository

from mlops_advisor.tools.evidence.workloads import Workload


def loads(files: dict[str, str]) -> list[Workload]:
    return list(repository(files).workloads)


def test_a_compose_service_with_everything() -> None:
    found = loads(
        {
            "docker-compose.yml": (
                "services:\n"
                "  api:\n"
                "    image: acme/api:1\n"
                "    privileged: true\n"
                "    entrypoint: [sh, -c]\n"
                "    command: uvicorn app:app\n"
                "    ports:\n"
                "      - 127.0.0.1:8000:80/tcp\n"
                "      - '9000'\n"
                "      - ${PORT:-8080}:80\n"
                "      - published: 1\n"
                "        target: 2\n"
                "        host_ip: 10.0.0.1\n"
                "    environment:\n"
                "      A: 1\n"
                "      B: ${B}\n"
                "    volumes: ['/var/run/docker.sock:/x', {source: a, target: b}]\n"
                "  empty:\n"
            )
        }
    )
    assert len(found) == 1
    api = found[0]
    assert (api.line, api.name, api.image) == (2, "api", "acme/api:1")
    assert (api.command, api.privileged) == ("sh -c uvicorn app:app", True)
    assert [(p.host, p.published, p.target) for p in api.ports] == [
        ("127.0.0.1", "8000", "80"),
        ("", "", "9000"),
        ("", "8080", "80"),
        ("10.0.0.1", "1", "2"),
    ]
    assert [(s.name, s.value, s.literal) for s in api.env] == [
        ("A", "1", True),
        ("B", "${B}", False),
    ]
    assert api.volumes == ("/var/run/docker.sock:/x", "a:b")


def test_environment_is_a_list_too_and_anchors_are_followed() -> None:
    found = loads(
        {
            "compose.yaml": (
                "x-env: &env\n  A: 1\n"
                "services:\n"
                "  a:\n    environment:\n      <<: *env\n      B: 2\n"
                "  b:\n    environment:\n      - C=3\n      - D\n"
            )
        }
    )
    assert [[s.name for s in w.env] for w in found] == [["A", "B"], ["C"]]


def test_containers_of_kubernetes_objects() -> None:
    found = loads(
        {
            "k8s.yaml": (
                "apiVersion: batch/v1\n"
                "kind: CronJob\n"
                "metadata: {name: nightly}\n"
                "spec:\n"
                "  jobTemplate:\n"
                "    spec:\n"
                "      template:\n"
                "        spec:\n"
                "          volumes: [{name: s, hostPath: {path: /var/run}}]\n"
                "          containers:\n"
                "            - name: train\n"
                "              image: acme/train:1\n"
                "              command: [python]\n"
                "              args: [train.py]\n"
                "              securityContext: {privileged: true}\n"
                "              env: [{name: A, value: b}, {name: S, valueFrom: {}}]\n"
                "              ports: [{containerPort: 80}]\n"
            )
        }
    )
    assert len(found) == 1
    train = found[0]
    assert (train.line, train.kind, train.name, train.command) == (
        11,
        "CronJob",
        "train",
        "python train.py",
    )
    assert train.privileged
    assert train.volumes == ("/var/run",)
    assert [(s.name, s.literal) for s in train.env] == [("A", True), ("S", False)]
    assert [p.target for p in train.ports] == ["80"]
    assert train.manifest is not None
    assert train.manifest.name == "nightly"


def test_model_servers_without_a_container_of_their_own() -> None:
    found = loads(
        {
            "kserve.yaml": (
                "apiVersion: serving.kserve.io/v1beta1\n"
                "kind: InferenceService\n"
                "metadata: {name: churn}\n"
                "spec:\n"
                "  predictor:\n"
                "    minReplicas: 1\n"
                "    model:\n"
                "      modelFormat: {name: sklearn}\n"
                "      storageUri: s3://a/b\n"
                "  transformer:\n"
                "    containers:\n"
                "      - name: t\n"
                "        image: acme/t:1\n"
            ),
            "seldon.yaml": (
                "apiVersion: machinelearning.seldon.io/v1\n"
                "kind: SeldonDeployment\n"
                "spec:\n"
                "  predictors:\n"
                "    - name: main\n"
                "      graph:\n"
                "        implementation: SKLEARN_SERVER\n"
                "    - name: own\n"
                "      graph: {name: m}\n"
                "      componentSpecs:\n"
                "        - spec:\n"
                "            containers:\n"
                "              - {name: m, image: acme/m:1}\n"
            ),
        }
    )
    assert [(w.path, w.line, w.name, w.prepackaged) for w in found] == [
        ("kserve.yaml", 7, "churn", True),
        ("kserve.yaml", 12, "t", False),
        ("seldon.yaml", 6, "main", True),
        ("seldon.yaml", 13, "m", False),
    ]


def test_a_json_object_has_lines() -> None:
    found = loads(
        {
            "deploy.json": (
                '{\n"apiVersion": "apps/v1",\n"kind": "Deployment",\n"spec": {"template": '
                '{"spec": {\n"containers": [\n{"name": "a", "image": "acme/a:1"}]}}}}\n'
            )
        }
    )
    assert [(w.line, w.name, w.image) for w in found] == [(6, "a", "acme/a:1")]


def test_definitions_of_kinds_and_broken_files_are_no_workloads() -> None:
    files = {
        "crd.yaml": (
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
            "spec: {schema: {containers: [{name: a}]}}\n"
        ),
        "bad.json": '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [',
        "odd.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  containers: [a, {}]\n",
        "docker-compose.yml": "services: [1, 2]\n",
    }
    assert [w.path for w in loads(files)] == ["odd.yaml"]
