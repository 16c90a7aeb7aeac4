"""Images are found wherever files name them, with their lines."""

from __future__ import annotations

import pytest
from auditing import notebook, repository

from mlops_advisor.tools.evidence.images import Image


def refs(files: dict[str, str]) -> list[tuple[str, int, str, str]]:
    return [(i.path, i.line, i.ref, i.where) for i in repository(files).images]


@pytest.mark.parametrize(
    ("ref", "name", "tag", "digest", "variable"),
    [
        ("python", "python", "", "", False),
        ("python:3.12-slim", "python", "3.12-slim", "", False),
        ("host:5000/a/b", "host:5000/a/b", "", "", False),
        ("host:5000/a/b:1.0", "host:5000/a/b", "1.0", "", False),
        ("a/b:1@sha256:00", "a/b", "1", "sha256:00", False),
        ("a/b@sha256:00", "a/b", "", "sha256:00", False),
        ("${REGISTRY}/a:${TAG}", "${REGISTRY}/a", "${TAG}", "", True),
        ("$IMAGE", "$IMAGE", "", "", True),
        ("a/b:{}", "a/b", "{}", "", True),
        ("gcr.io//a:1", "gcr.io//a", "1", "", True),
    ],
)
def test_a_reference_is_taken_apart(
    ref: str, name: str, tag: str, digest: str, *, variable: bool
) -> None:
    image = Image("f", 1, ref, "yaml")
    assert (image.name, image.tag, image.digest, image.variable) == (name, tag, digest, variable)


def test_dockerfiles_fill_arguments_in_and_skip_their_own_stages() -> None:
    text = (
        "ARG PYTHON=3.12.1\n"
        "ARG OTHER\n"
        "FROM --platform=linux/amd64 python:${PYTHON} AS build\n"
        "FROM python:$PYTHON-slim\n"
        "FROM ${OTHER}\n"
        "FROM ${BASE:-debian:12}\n"
        "FROM Build AS last\n"
        "COPY --from=build /a /a\n"
        "COPY --from=ghcr.io/astral-sh/uv:0.5 /uv /uv\n"
        "FROM scratch\n"
    )
    assert refs({"Dockerfile": text}) == [
        ("Dockerfile", 3, "python:3.12.1", "dockerfile"),
        ("Dockerfile", 4, "python:3.12.1-slim", "dockerfile"),
        ("Dockerfile", 5, "${OTHER}", "dockerfile"),
        ("Dockerfile", 6, "debian:12", "dockerfile"),
        ("Dockerfile", 9, "ghcr.io/astral-sh/uv:0.5", "dockerfile"),
    ]


def test_compose_knows_what_is_built_and_follows_anchors() -> None:
    files = {
        "docker-compose.yml": (
            "x-common: &common\n"
            "  image: apache/airflow:2.9.1\n"
            "services:\n"
            "  web:\n"
            "    <<: *common\n"
            "  scheduler:\n"
            "    <<: *common\n"
            "  api:\n"
            "    build: .\n"
            "    image: api:latest\n"
            "  db:\n"
            "    image: postgres:${PG:-16.3}\n"
        )
    }
    images = repository(files).images
    assert [(i.line, i.ref, i.built, i.owner) for i in images] == [
        (2, "apache/airflow:2.9.1", False, "web"),
        (10, "api:latest", True, "api"),
        (12, "postgres:16.3", False, "db"),
    ]


def test_ci_of_every_kind() -> None:
    files = {
        ".github/workflows/ci.yml": (
            "jobs:\n"
            "  a:\n"
            "    container: python:3.11\n"
            "    services:\n"
            "      db:\n"
            "        image: postgres:15\n"
            "    steps:\n"
            "      - uses: docker://alpine:3.20\n"
            "  b:\n"
            "    container:\n"
            "      image: node:20\n"
        ),
        ".gitlab-ci.yml": (
            "image: python:3.12\n"
            "services:\n"
            "  - docker:27-dind\n"
            "test:\n"
            "  image:\n"
            "    name: acme/runner:1.0\n"
            "    entrypoint: ['']\n"
        ),
        ".circleci/config.yml": "jobs:\n  a:\n    docker:\n      - image: cimg/python:3.12\n",
    }
    assert {(line, ref) for _, line, ref, where in refs(files) if where == "ci"} == {
        (3, "python:3.11"),
        (6, "postgres:15"),
        (8, "alpine:3.20"),
        (11, "node:20"),
        (1, "python:3.12"),
        (3, "docker:27-dind"),
        (6, "acme/runner:1.0"),
        (4, "cimg/python:3.12"),
    }


def test_helm_values_kustomize_and_templates() -> None:
    files = {
        "chart/values.yaml": (
            "image:\n"
            "  registry: ghcr.io\n"
            "  repository: acme/api\n"
            "  tag: '1.4'\n"
            "sidecar:\n"
            "  image:\n"
            "    repository: acme/side\n"
            "    tag: ''\n"
        ),
        "k8s/kustomization.yaml": "images:\n  - name: api\n    newTag: 1.4.2\n",
        "cfn.yaml": (
            "Resources:\n"
            "  Model:\n"
            "    Type: AWS::SageMaker::Model\n"
            "    Properties:\n"
            "      PrimaryContainer:\n"
            "        Image: 1.dkr.ecr.eu-west-1.amazonaws.com/churn:latest\n"
        ),
    }
    assert [(p, n, r) for p, n, r, _ in refs(files)] == [
        ("cfn.yaml", 6, "1.dkr.ecr.eu-west-1.amazonaws.com/churn:latest"),
        ("chart/values.yaml", 4, "ghcr.io/acme/api:1.4"),
        ("chart/values.yaml", 8, "acme/side:{}"),
        ("k8s/kustomization.yaml", 3, "api:1.4.2"),
    ]


def test_json_devcontainer_and_terraform() -> None:
    files = {
        ".devcontainer/devcontainer.json": '{\n  // a comment\n  "image": "acme/dev:1",\n}\n',
        "seldon.json": (
            '{"apiVersion": "machinelearning.seldon.io/v1", "kind": "SeldonDeployment",\n'
            ' "spec": {"predictors": [{"componentSpecs": [{"spec": {"containers": [\n'
            '\t{"name": "m", "image": "acme/m:0.1"}]}}]}]}}\n'
        ),
        "other.json": '{"image": "cat/dog:1"}',
        "main.tf": 'resource "x" "y" {\n  image = "acme/api:2"\n  image_id = "ami-1/2"\n}\n',
    }
    assert refs(files) == [
        (".devcontainer/devcontainer.json", 3, "acme/dev:1", "devcontainer"),
        ("main.tf", 2, "acme/api:2", "terraform"),
        ("seldon.json", 3, "acme/m:0.1", "k8s"),
    ]


def test_code_names_images_in_calls_tables_and_constants() -> None:
    source = (
        "from kfp import dsl\n"
        "from airflow.providers.docker.operators.docker import DockerOperator\n"
        "BASE = 'acme/base:1'\n"
        "@dsl.component(base_image=BASE)\n"
        "def step(): ...\n"
        "DockerOperator(task_id='a', image='acme/task')\n"
        "show(image='pictures/cat.png')\n"
        "spec = {'container_spec': {'image_uri': f'gcr.io/{project}/train:latest'}}\n"
    )
    expected = [
        (3, "acme/base:1"),
        (6, "acme/task"),
        (8, "gcr.io/{}/train:latest"),
    ]
    assert [(n, r) for _, n, r, _ in refs({"p.py": source})] == expected
    assert [(n, r) for _, n, r, _ in refs({"p.ipynb": notebook(source)})] == expected


def test_what_is_no_image_is_left_out() -> None:
    files = {
        "mkdocs.yml": "theme:\n  image: assets/logo.png\n  container: wide\n",
        "site.yaml": "image: https://example.org/a:1\n",
        "front.yaml": "image: ./pictures/a\n",
    }
    assert refs(files) == []
