"""Write the model card of a release from its training report and the model's configuration."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

CARD = """# Model card: {name} version {version}

- Owner: {owner} ({team}), on call: {on_call}
- Purpose: {purpose}
- Not for: {not_for}
- Risk class: {risk_class}, see {risk_assessment}
- Training data: {data_version}, until {trained_until}
- Code: {git_commit}, run {run_id}

| on the test part | average precision | recall at 1 % false alarms |
| --- | --- | --- |
{rows}
"""


def model_card(version: str, report: dict[str, Any], config: dict[str, Any]) -> str:
    """Return the card as Markdown: use, data, figures beside baseline and per slice."""
    figures = {
        "this version": report["candidate"],
        "champion before": report["champion"],
        "rules (baseline)": report["baseline"],
        **{f"slice {name}": value for name, value in sorted(report["slices"].items())},
    }
    rows = [
        f"| {name} | {value['average_precision']:.3f} | {value['recall_at_1pct_fpr']:.3f} |"
        for name, value in figures.items()
        if value
    ]
    return CARD.format(**{**config, **report, "version": version, "rows": "\n".join(rows)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("build/model"))
    parser.add_argument("--config", type=Path, default=Path("conf/model.yaml"))
    parser.add_argument("--out", type=Path, default=Path("build/model-card.md"))
    args = parser.parse_args()
    release = json.loads((args.model / "release.json").read_text(encoding="utf-8"))
    report = json.loads((args.model / "report.json").read_text(encoding="utf-8"))
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    args.out.write_text(model_card(release["version"], report, config), encoding="utf-8")


if __name__ == "__main__":
    main()
