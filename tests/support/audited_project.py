"""A small project with a dozen defects, for the tests of the audit as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult

PROJECT = {
    "train.py": (
        "import pickle\n\nimport pandas as pd\nimport requests\n"
        "from sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.model_selection import train_test_split\n"
        "from sklearn.preprocessing import StandardScaler\n\n"
        'data = pd.read_csv("data.csv")\n'
        'x, y = data.drop(columns="churn"), data["churn"]\n'
        "x = StandardScaler().fit_transform(x)\n"
        "x_train, x_test, y_train, y_test = train_test_split(x, y)\n"
        "model = RandomForestClassifier()\nmodel.fit(x_train, y_train)\n"
        "print(model.score(x_test, y_test))\n"
        'requests.post("https://hooks.internal/done", json={"ok": True})\n'
        'with open("model.pkl", "wb") as file:\n    pickle.dump(model, file)\n'
    ),
    "serve.py": (
        "import pickle\n\nfrom flask import Flask, request\n\napp = Flask(__name__)\n"
        'model = pickle.load(open("model.pkl", "rb"))\n\n\n'
        '@app.route("/predict", methods=["POST"])\ndef predict():\n'
        '    return {"churn": int(model.predict([request.json["x"]])[0])}\n\n\n'
        'if __name__ == "__main__":\n    app.run(host="0.0.0.0", debug=True)\n'
    ),
    "Dockerfile": (
        "FROM python:latest\nCOPY . /app\nRUN pip install -r /app/requirements.txt\n"
        "RUN python /app/train.py\nRUN chmod -R 777 /app\n"
        'CMD ["python", "/app/serve.py"]\n'
    ),
    "requirements.txt": "pandas\nscikit-learn\nflask\nrequests\n",
    "README.md": "# Churn\n\nRun `python train.py`, then `python serve.py`.\n",
}


def dump(result: AuditWorkflowResult) -> str:
    """The result as it goes over the wire."""
    return result.model_dump_json(exclude_none=True)


def keys(result: AuditWorkflowResult) -> set[str]:
    """Fingerprints of the findings listed."""
    return {f.fingerprint for f in result.findings}


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
