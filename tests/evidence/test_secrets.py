"""Credentials are found by shape and by name, in every kind of file, and never repeated."""

from __future__ import annotations

import json
import time

import pytest

from mlops_advisor.tools.evidence.secret_patterns import PATTERNS
from mlops_advisor.tools.evidence.secrets import Secret, secrets_in
from mlops_advisor.tools.evidence.text import redact

HEX = "3f9c1b7e2d4a6f8091b2c3d4e5f60718293a4b5c"
LONG = "Zk3mQ8vR1tYw6bNc0xHd2LpAs9Fg4Jk7Qw5Er8Ty1Ui3Op6Zx2Cv4Bn7Mm0Lk9Jh8G"

# Kind, a value of the shape.  Put together from parts, so that no scanner takes them for real.
SHAPES = [
    ("AWS access key", "AKIA" + "Q3EGR5T7YUPLK2WX"),
    ("GitHub token", "ghp_" + LONG[:36]),
    ("GitHub token", "github_pat_" + LONG[:40]),
    ("GitLab token", "glpat-" + LONG[:20]),
    ("Slack token", "xoxb-" + "223456789015-qwErtyZXcv1"),
    ("Slack webhook", "https://hooks.slack.com/services/" + "T0AB12CD3/B0EF45GH6/" + LONG[:24]),
    ("Discord webhook", "https://discord.com/api/webhooks/" + "123456789012345678/" + LONG[:60]),
    ("Hugging Face token", "hf_" + LONG[:34]),
    ("API key of OpenAI or Anthropic", "sk-ant-api03-" + LONG[:40]),
    ("API key of OpenAI or Anthropic", "sk-proj-" + LONG[:40]),
    ("Google API key", "AIza" + LONG[:35]),
    ("Google OAuth secret", "GOCSPX-" + LONG[:28]),
    ("Azure storage key", "AccountKey=" + LONG[:64] + "=="),
    ("Azure SAS signature", "https://x.blob.core.windows.net/c?sp=r&sig=" + LONG[:44]),
    ("Databricks token", "dapi" + HEX[:32]),
    ("Stripe key", "sk_live_" + LONG[:24]),
    ("SendGrid key", "SG." + LONG[:22] + "." + LONG[:43]),
    ("npm token", "npm_" + LONG[:36]),
    ("PyPI token", "pypi-" + "AgEIcHlwaS5vcmc" + LONG[:60]),
    ("Docker Hub token", "dckr_pat_" + LONG[:27]),
    ("JSON web token", "eyJhbGciOiJIUzI1NiJ9" + ".eyJ1c2VyIjoiNDIifQ." + LONG[:43]),
    ("password in a URL", "postgresql://scorer:" + "Vw8Tq2zLp" + "@db.internal/x"),
    ("Telegram bot token", "8123456789" + ":AA" + LONG[:33]),
    ("Prefect key", "pnu_" + LONG[:36]),
    ("Replicate token", "r8_" + LONG[:37]),
    ("Groq key", "gsk_" + LONG[:52]),
    ("LangSmith key", "lsv2_pt_" + HEX[:32] + "_" + HEX[:10]),
    ("DigitalOcean token", "dop_v1_" + HEX + HEX[:24]),
    ("Vault token", "hvs." + LONG[:24]),
    ("Grafana token", "glsa_" + LONG[:32] + "_9f2b7c4d"),
    ("New Relic key", "NRAK-" + "QWERTZUIOPLKJHGFDSA84726159"),
    ("Notion token", "ntn_" + LONG[:40]),
    ("Postman key", "PMAK-" + HEX[:24] + "-" + HEX[:34]),
]


def one(path: str, text: str) -> Secret:
    found = secrets_in(path, text)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(("kind", "value"), SHAPES, ids=lambda x: x[:14])
@pytest.mark.parametrize("path", ["src/a.py", "conf/a.yaml", ".env", "README.md"])
def test_a_key_is_known_by_its_shape_and_never_repeated(kind: str, value: str, path: str) -> None:
    found = one(path, f'\nvalue = "{value}"\n')
    assert (found.line, found.kind, found.path) == (2, kind, path)
    secret = "Vw8Tq2zLp" if kind == "password in a URL" else value[-20:]
    assert secret not in repr(found)
    assert secret not in redact(f'value = "{value}"')


NAMED = [
    ("a.py", 'password = "t7Kq!fraud92"'),
    ("a.py", 'connect(user="x", password="t7Kq!fraud92")'),
    ("a.py", 'PASSWORD: str = "t7Kq!fraud92"'),
    ("a.py", 'conf = {"db_password": "t7Kq!fraud92"}'),
    ("a.py", 'os.environ["DB_PASSWORD"] = "t7Kq!fraud92"'),
    ("a.py", 'x = os.getenv("DB_PASSWORD", "t7Kq!fraud92")'),
    ("a.py", 'parser.add_argument("--password", default="t7Kq!fraud92")'),
    ("a.py", 'psycopg2.connect("host=db user=x password=t7Kq!fraud92")'),
    ("a.py", 'password: SecretStr = SecretStr("t7Kq!fraud92")'),
    ("a.yaml", "password: t7Kq!fraud92"),
    ("a.yaml", "- DB_PASSWORD=t7Kq!fraud92"),
    ("a.yaml", "- {name: DB_PASSWORD, value: t7Kq!fraud92}"),
    ("a.yaml", "- name: DB_PASSWORD\n  value: t7Kq!fraud92"),
    ("a.json", '{"name": "DB_PASSWORD",\n "value": "t7Kq!fraud92"}'),
    ("a.json", '{"password": "t7Kq!fraud92"}'),
    ("a.ini", "password = t7Kq!fraud92"),
    ("a.properties", "spring.datasource.password=t7Kq!fraud92"),
    ("run.sh", "export DB_PASSWORD='t7Kq!fraud92'"),
    ("run.sh", "mlflow login --password t7Kq!fraud92"),
    ("Dockerfile", "ENV DB_PASSWORD=t7Kq!fraud92"),
    ("Dockerfile", "ENV DB_PASSWORD t7Kq!fraud92"),
    (".env", "DB_PASSWORD=t7Kq!fraud92"),
    ("a.tf", 'variable "db_password" {\n  type = string\n  default = "t7Kq!fraud92"\n}'),
    ("a.tf", '  password = "t7Kq!fraud92"'),
    ("a.toml", 'password = "t7Kq!fraud92"'),
]


@pytest.mark.parametrize(("path", "text"), NAMED)
def test_a_value_given_to_a_name_is_found(path: str, text: str) -> None:
    found = one(path, text)
    assert found.line == 1 + text.count("\n", 0, text.index("t7Kq"))
    assert not found.default
    assert "t7Kq" not in repr(found)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", 'password = os.environ["DB_PASSWORD"]'),
        ("a.py", "password = get_password(user)"),
        ("a.py", 'password = f"{prefix}-{secret}"'),
        ("a.py", 'password = "<your password>"'),
        ("a.py", 'api_key = "YOUR_API_KEY"'),
        ("a.py", 'token = "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"'),
        ("a.py", 'key = "AKIAIOSFODNN7EXAMPLE"'),
        ("a.py", 'secret_name = "prod/db/main-7"'),
        ("a.py", 'if token == "end": pass'),
        ("a.py", 'pad_token = "[PAD]"'),
        ("a.py", 'print("password: " + password)'),
        ("a.py", 'tokenizer = "bert-base-uncased"'),
        ("a.py", 'token_url = "https://login.example.org/oauth2/token"'),
        ("a.py", 'secret = "projects/1/secrets/db/versions/2"'),
        ("a.py", 'token = "0f8fad5b-d9cb-469f-a165-70867728950e"'),
        ("a.py", "# password = 't7Kq!fraud92'"),
        ("a.py", "PASSWORD = t7Kq_fraud92"),
        ("a.yaml", "password: ${DB_PASSWORD}"),
        ("a.yaml", "password: {{ .Values.password }}"),
        ("a.yaml", "password: the password of the database, ask ops"),
        ("a.yaml", "secretName: api-tls-cert-2024"),
        ("a.yaml", "api_token: ${{ secrets.API_TOKEN }}"),
        ("a.yaml", "kind: SealedSecret\nencryptedData:\n  password: AgBy3i4OJSWK9PiTySYZZA9rO43"),
        (".github/workflows/a.yml", "uses: actions/checkout@0123456789abcdef0123456789abcdef01234567"),
        ("a.json", '{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}'),
        ("a.md", "postgresql://user:password@localhost/db"),
        ("a.md", "postgresql://DB_USER:DB_PASSWORD@host/db"),
        ("a.sh", 'docker login -p "$PASSWORD" --password "$PASSWORD"'),
        ("a.tf", "password = var.db_password"),
        ("a.py", 'conn = "DefaultEndpointsProtocol=http;AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="'),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret_is_left_alone(path: str, text: str) -> None:
    assert secrets_in(path, text) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "POSTGRES_PASSWORD: postgres"),
        ("a.yaml", "PASSWORD: ${PASSWORD:-airflow}"),
        ("a.py", 'engine = "mysql://root:root@db/x"'),
        ("a.ini", "secret_key = minio123"),
    ],
)
def test_what_everybody_tries_first_is_marked(path: str, text: str) -> None:
    assert one(path, text).default


def test_a_server_on_this_machine_is_marked() -> None:
    assert one("a.py", 'x = "postgresql://postgres:postgres@localhost:5432/x"').local
    assert not one("a.py", 'x = "postgresql://postgres:postgres@db:5432/x"').local


def notebook(*cells: tuple[list[str], list[object]]) -> str:
    return json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": ["password = 't7Kq!fraud92'"]},
                *(
                    {"cell_type": "code", "source": [s + "\n" for s in source], "outputs": outputs}
                    for source, outputs in cells
                ),
            ],
            "nbformat": 4,
        }
    )


def test_a_notebook_is_read_cell_by_cell_with_its_magics_and_outputs() -> None:
    text = notebook(
        (["import wandb", "%env WANDB_API_KEY=" + HEX], []),
        (["print(token)"], [{"output_type": "stream", "text": ["ghp_" + LONG[:36]]}]),
        (['password = "t7Kq!fraud92"'], [{"data": {"text/plain": ["password: t7Kq!fraud92"]}}]),
    )
    found = secrets_in("a.ipynb", text)
    assert [(s.line, s.kind) for s in found] == [
        (2, "W&B API key"),
        (5, "GitHub token in an output"),
        (6, "password"),
    ]
    assert "t7Kq" not in repr(found)
    assert HEX not in repr(found)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"cells": 3}', '{"cells": [3, {}]}', "\0"]
)
def test_a_broken_notebook_holds_nothing(text: str) -> None:
    assert secrets_in("a.ipynb", text) == []


@pytest.mark.parametrize(
    "line",
    [
        "password" * 20_000,
        "password=" * 20_000,
        "token: " + "a" * 200_000,
        "://" * 60_000,
        "eyJ" + "a." * 60_000,
        "secret='" + "x" * 200_000,
        "wandb" * 40_000,
        "name: token\n" * 20_000,
        '"key": "' * 20_000,
        "-----BEGIN PRIVATE KEY-----" * 8_000,
    ],
    ids=lambda x: x[:12],
)
def test_hostile_text_takes_little_time(line: str) -> None:
    start = time.perf_counter()
    secrets_in("a.yaml", line)
    secrets_in("a.py", line)
    assert time.perf_counter() - start < 2


def test_a_file_full_of_keys_does_not_flood_the_report() -> None:
    text = "\n".join(f"password{i} = t7Kq!fraud{i}" for i in range(5_000))
    assert len(secrets_in("a.ini", text)) == 200


def test_there_are_as_many_patterns_as_promised() -> None:
    assert len(PATTERNS) >= 40
