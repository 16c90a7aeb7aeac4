"""What must hold for every file, every set of findings and every defect."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from auditing import ask, notebook, repository, rules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_advisor.tools.audit_workflow import risk
from mlops_advisor.tools.audit_workflow.engine import Audit, examine
from mlops_advisor.tools.audit_workflow.plan import AFTER, plan
from mlops_advisor.tools.audit_workflow.rule import ORDER, Finding, Rule
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.audit_workflow.text import render
from mlops_advisor.tools.evidence.models import Place

slow_data = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

# --- any file ---------------------------------------------------------------------------------

NAMES = st.sampled_from(
    "train.py serve/app.py dags/flow.py tests/test_a.py nb.ipynb pipelines/kfp.py"
    " .github/workflows/ci.yml .gitlab-ci.yml azure-pipelines.yml .circleci/config.yml"
    " cloudbuild.yaml Jenkinsfile dvc.yaml dvc.lock a.dvc .dvc/config k8s/d.yaml values.yaml"
    " docker-compose.yml prefect.yaml .pre-commit-config.yaml prometheus.yml rules.yml"
    " alertmanager.yml pyproject.toml Pipfile Pipfile.lock setup.cfg setup.py tox.ini MLproject"
    " conda.yaml environment.yml main.tf terraform.tfstate Dockerfile serve/Dockerfile Makefile"
    " run.sh requirements.txt requirements.lock poetry.lock README.md MODEL_CARD.md CODEOWNERS"
    " .gitattributes .gitignore .env .env.example app.json config.json feature_store.yaml"
    " bentofile.yaml airflow.cfg config.ini data.sql params.yaml model.pkl data.csv LICENSE"
    " seldon.json evidently.yaml id_rsa.pem".split()
)
WORDS = st.sampled_from(
    [
        "import mlflow\n",
        "import torch, random\n",
        "from sklearn.model_selection import train_test_split\n",
        "x_train, x_test = train_test_split(x, y)\n",
        "StandardScaler().fit_transform(x)\n",
        "model.fit(x_train, y_train)\n",
        "joblib.dump(model, 'm.pkl')\n",
        "pickle.load(open(p, 'rb'))\n",
        "requests.get(url)\n",
        "@app.post('/predict')\n",
        "def predict(request):\n",
        "    return request.json\n",
        "with DAG('a', start_date=days_ago(1)) as dag:\n",
        "    a >> b\n",
        "try:\n",
        "except Exception:\n    pass\n",
        "client.transition_model_version_stage('m', 1, 'Production')\n",
        "def test_a():\n",
        "    assert True\n",
        "jobs:\n",
        "  a:\n",
        "    steps:\n",
        "      - run: python train.py\n",
        "      - uses: a/b@v1\n",
        "on: pull_request_target\n",
        "services:\n",
        "    image: mongo\n",
        "    ports: ['27017:27017']\n",
        "apiVersion: v1\n",
        "kind: Deployment\n",
        "spec:\n",
        "stages:\n",
        "schedule: null\n",
        "FROM python\n",
        "RUN pip install x\n",
        "CMD flask run\n",
        "all: all\n",
        "\tmake all\n",
        'resource "aws_s3_bucket" "b" {\n',
        "[core]\nfernet_key =\n",
        "password = 'x1'\n",
        "pandas==1.0\n",
        "# mlops: ignore[*]\n",
        '{"cells": [{"cell_type": "code", "source": ["',
        '"]}]}',
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        "&a ",
        "*a ",
        "<<: *a\n",
        "\\\n",
        "\x00",
        "\ufeff",
        "'",
        '"',
        "'''",
        "{{ x }}",
        "\u202e",
        "\r",
    ]
)
TEXT = st.one_of(
    st.text(max_size=300),
    st.lists(WORDS, max_size=25).map("".join),
    st.binary(max_size=300).map(lambda b: b.decode("utf-8", "replace")),
    st.lists(WORDS, max_size=12).map("".join).map(notebook),
)


@slow_data
@given(st.dictionaries(NAMES, TEXT, max_size=6), st.randoms(use_true_random=False))
def test_any_text_gives_an_audit_that_does_not_depend_on_order(
    files: dict[str, str], random: Random
) -> None:
    pairs = sorted(files.items())
    first = examine(repository(dict(pairs)), all_rules())

    assert first.omitted == ()
    random.shuffle(pairs)
    shuffled = list(all_rules())
    random.shuffle(shuffled)
    assert examine(repository(dict(pairs)), shuffled) == first
    for finding in (*first.findings, *(s.finding for s in first.suppressed)):
        assert finding.place.line >= 1
        assert finding.end_line >= finding.place.line
        assert len(finding.place.text) <= 160
        assert finding.place.text.isprintable()
        assert finding.why.isprintable()
        assert finding.fix
    everything = (*first.findings, *(s.finding for s in first.suppressed))
    assert len({f.fingerprint for f in everything}) == len(everything)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(NAMES, TEXT, min_size=1, max_size=4),
    st.sampled_from(["summary", "full"]),
    st.text(max_size=200),
)
def test_any_text_gives_a_result_that_can_be_sent_and_read(
    files: dict[str, str], detail: str, documentation: str
) -> None:
    result = ask(files, options={"detail": detail}, documentation=documentation)

    assert result.model_dump_json(exclude_none=True).encode("utf-8")
    assert render(result).encode("utf-8")
    assert sum(result.counts.values()) >= len(result.findings)
    assert 0 <= result.confidence <= 1


# --- any findings -----------------------------------------------------------------------------


def found(rule: Rule, line: int, severity: str, confidence: float) -> Finding:
    place = Place("a.py", line, "x")
    level = next(s for s in ORDER if s.value == severity)
    return Finding(rule, place, line, level, confidence, "why", "fix")


FINDING = st.builds(
    found,
    st.sampled_from(all_rules()),
    st.integers(1, 500),
    st.sampled_from([s.value for s in ORDER]),
    st.floats(0, 1, allow_nan=False),
)
FINDINGS = st.lists(FINDING, max_size=40)


@given(FINDINGS, FINDING, st.integers(0, 40))
def test_a_further_finding_never_lowers_the_risk(
    findings: list[Finding], more: Finding, at: int
) -> None:
    grown = [*findings[:at], more, *findings[at:]]

    assert 0 <= risk.score(findings) <= risk.score(grown) <= 100
    assert risk.points(grown) >= risk.points(findings) - 1e-9


@given(FINDINGS, st.randoms(use_true_random=False))
def test_the_risk_does_not_depend_on_the_order_of_findings(
    findings: list[Finding], random: Random
) -> None:
    shuffled = findings.copy()
    random.shuffle(shuffled)

    assert risk.score(shuffled) == risk.score(findings)


@given(FINDINGS)
def test_no_part_of_the_findings_is_riskier_than_all(findings: list[Finding]) -> None:
    for rule in {f.rule.id for f in findings}:
        assert risk.score(f for f in findings if f.rule.id == rule) <= risk.score(findings)


def test_nothing_found_is_no_risk_and_one_critical_finding_is_high() -> None:
    assert (risk.score([]), risk.level(0)) == (0, "none")
    one = found(all_rules()[0], 1, "critical", 0.9)
    assert risk.level(risk.score([one])) in ("high", "critical")
    assert risk.level(100) == "critical"
    assert risk.score([found(all_rules()[0], 1, "low", 0.1)]) == 1
    assert risk.score([found(all_rules()[0], 1, "info", 1.0)]) == 0


def test_the_formula_printed_is_the_formula_used() -> None:
    numbers = {s.value: str(n) for s, n in risk.IMPACT.items()}
    assert all(f"{name} {n}" in risk.FORMULA for name, n in numbers.items())
    first, second = all_rules()[:2]
    findings = [
        found(first, 1, "high", 0.5),
        found(first, 2, "high", 1.0),
        found(second, 1, "low", 0.5),
    ]
    points = 15 * 1.0 / 1 + 15 * 0.5 / 2 + 1 * 0.5
    assert risk.points(findings) == pytest.approx(points)
    assert risk.score(findings) == round(100 * points / (points + 50))


@given(FINDINGS)
def test_the_plan_holds_every_rule_once_after_all_that_it_depends_on(
    findings: list[Finding],
) -> None:
    steps = plan(findings, ".")

    assert sorted(s.rule_id for s in steps) == sorted({f.rule.id for f in findings})
    assert sum(s.findings for s in steps) == len(findings)
    done: set[str] = set()
    for number, step in enumerate(steps, 1):
        assert step.order == number
        assert set(step.depends_on) <= done
        assert set(step.depends_on) == set(AFTER.get(step.rule_id, ())) & {s.rule_id for s in steps}
        assert step.effort_days.low <= step.effort_days.high
        done.add(step.rule_id)


def test_no_step_waits_for_itself() -> None:
    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        left = list(AFTER.get(start, ()))
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                left += AFTER.get(one, ())
        return seen

    assert [r for r in AFTER if r in reach(r)] == []


# --- seeded defects ---------------------------------------------------------------------------

# Rule, file, the defect, the same without it.  Each stands in a folder of its own.
DEFECTS: Sequence[tuple[str, str, str, str]] = (
    (
        "DS03",
        "Dockerfile",
        "FROM python:latest\nUSER 1000\nCOPY . /a\n",
        "FROM python:3.12.4-slim\nUSER 1000\nCOPY . /a\n",
    ),
    (
        "DS05",
        "Dockerfile",
        "FROM python:3.12.4-slim\nCOPY . /b\nRUN python train.py\nUSER 1000\n",
        "FROM python:3.12.4-slim\nCOPY . /b\nUSER 1000\n",
    ),
    (
        "DS06",
        "Dockerfile",
        "FROM python:3.12.4-slim\nCOPY . /c\n",
        "FROM python:3.12.4-slim\nCOPY . /c\nUSER 1000\n",
    ),
    (
        "DS07",
        "Dockerfile",
        'FROM python:3.12.4-slim\nUSER 1000\nCMD ["uvicorn", "app:app", "--reload"]\n',
        'FROM python:3.12.4-slim\nUSER 1000\nCMD ["uvicorn", "app:app", "--workers", "4"]\n',
    ),
    (
        "PL16",
        "fetch.py",
        'import requests\n\nprint(requests.get("https://data.internal/x").json())\n',
        'import requests\n\nprint(requests.get("https://data.internal/x", timeout=9).json())\n',
    ),
    (
        "TR19",
        "load.py",
        'from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained("org/some-bert")\n',
        (
            "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained("
            '"org/some-bert", revision="5c1d0f0f9b1e1a4a5c3c2b8d6a7f8e9d0c1b2a3f")\n'
        ),
    ),
    (
        "TR03",
        "search.py",
        (
            "import optuna\n\nstudy = optuna.create_study(direction='maximize')\n"
            "study.optimize(objective, n_trials=50)\n"
        ),
        (
            "import optuna\n\nstudy = optuna.create_study(direction='maximize', "
            "sampler=optuna.samplers.TPESampler(seed=7))\nstudy.optimize(objective, n_trials=50)\n"
        ),
    ),
    (
        "DM06",
        "prepare.py",
        (
            "from sklearn.model_selection import train_test_split\n"
            "from sklearn.preprocessing import StandardScaler\n\n"
            "x = StandardScaler().fit_transform(x)\n"
            "a, b, c, d = train_test_split(x, y, random_state=1, stratify=y)\n"
        ),
        (
            "from sklearn.model_selection import train_test_split\n"
            "from sklearn.preprocessing import StandardScaler\n\n"
            "a, b, c, d = train_test_split(x, y, random_state=1, stratify=y)\n"
            "scaler = StandardScaler().fit(a)\n"
        ),
    ),
    (
        "DM10",
        "split.py",
        (
            "from sklearn.model_selection import train_test_split\n\n"
            "e, f, g, h = train_test_split(x, y, stratify=y)\n"
        ),
        (
            "from sklearn.model_selection import train_test_split\n\n"
            "e, f, g, h = train_test_split(x, y, stratify=y, random_state=3)\n"
        ),
    ),
    (
        "DM12",
        "sample.py",
        (
            "from imblearn.over_sampling import SMOTE\n"
            "from sklearn.model_selection import train_test_split\n\n"
            "xs, ys = SMOTE(random_state=1).fit_resample(x, y)\n"
            "i, j, k, m = train_test_split(xs, ys, random_state=1, stratify=ys)\n"
        ),
        (
            "from imblearn.over_sampling import SMOTE\n"
            "from sklearn.model_selection import train_test_split\n\n"
            "i, j, k, m = train_test_split(x, y, random_state=1, stratify=y)\n"
            "i, k = SMOTE(random_state=1).fit_resample(i, k)\n"
        ),
    ),
    (
        "TR12",
        "best.py",
        (
            "import mlflow\n\n"
            'runs = mlflow.search_runs(["1"], order_by=["metrics.rmse DESC"], max_results=1)\n'
        ),
        (
            "import mlflow\n\n"
            'runs = mlflow.search_runs(["1"], order_by=["metrics.rmse ASC"], max_results=1)\n'
        ),
    ),
    (
        "PL08",
        "steps.py",
        'import os\n\nos.system("python prepare.py")\nos.system("python fit.py")\n',
        (
            "import subprocess\n\n"
            'subprocess.run(["python", "prepare.py"], check=True)\n'
            'subprocess.run(["python", "fit.py"], check=True)\n'
        ),
    ),
    (
        "TP02",
        "tests/test_nothing.py",
        "def test_nothing():\n    assert True\n",
        "from scale import scale\n\n\ndef test_scale():\n    assert scale(2) == 4\n",
    ),
    (
        "GS03",
        "docker-compose.yml",
        'services:\n  cache:\n    image: redis:7.2.4\n    ports:\n      - "6379:6379"\n',
        'services:\n  cache:\n    image: redis:7.2.4\n    ports:\n      - "127.0.0.1:6379:6379"\n',
    ),
    (
        "GS16",
        "docker-compose.yml",
        (
            "services:\n  runner:\n    image: ci/runner:1.2.3\n    volumes:\n"
            "      - /var/run/docker.sock:/var/run/docker.sock\n"
        ),
        "services:\n  runner:\n    image: ci/runner:1.2.3\n    volumes:\n      - ./work:/work\n",
    ),
    (
        "GS07",
        "requirements.txt",
        "sklearn==0.0.post12\n",
        "scikit-learn==1.7.2\n",
    ),
)


def seeded(*mended: str) -> Audit:
    files = {
        f"{rule_id.lower()}/{path}": good if rule_id in mended else bad
        for rule_id, path, bad, good in DEFECTS
    }
    return examine(repository(files), rules(*(d[0] for d in DEFECTS)))


def own(audit: Audit) -> dict[str, list[Finding]]:
    """Findings of each rule in the folder that was made for it."""
    return {
        rule_id: [
            f
            for f in audit.findings
            if f.rule.id == rule_id and f.place.path == f"{rule_id.lower()}/{path}"
        ]
        for rule_id, path, _, _ in DEFECTS
    }


@pytest.fixture(scope="module")
def all_bad() -> Audit:
    return seeded()


def test_there_are_enough_seeded_defects_and_each_is_found_once(all_bad: Audit) -> None:
    assert len(DEFECTS) >= 12
    assert {rule_id: len(group) for rule_id, group in own(all_bad).items()} == dict.fromkeys(
        (d[0] for d in DEFECTS), 1
    )


@pytest.mark.parametrize("rule_id", [d[0] for d in DEFECTS])
def test_mending_a_defect_removes_its_finding_and_no_other(all_bad: Audit, rule_id: str) -> None:
    after = seeded(rule_id)

    gone = {f.fingerprint for f in all_bad.findings} - {f.fingerprint for f in after.findings}
    assert gone == {f.fingerprint for f in own(all_bad)[rule_id]}
    assert len(after.findings) == len(all_bad.findings) - 1


@settings(max_examples=15)
@given(st.sets(st.sampled_from([d[0] for d in DEFECTS])))
def test_defects_are_found_whatever_else_is_mended(mended: set[str]) -> None:
    groups = own(seeded(*mended))

    assert {rule_id for rule_id, group in groups.items() if not group} == mended
