"""The release gate: a candidate passes every check, or the pipeline stops."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from fraud.registry import read_report, set_gate


def failures(report: dict[str, Any], policy: dict[str, Any]) -> list[str]:
    """Return why the candidate must not be released; empty if it may.

    The first version has no champion to beat; all other checks hold for it too.
    """
    candidate, champion = report["candidate"], report["champion"]
    found = [
        f"{name} {candidate[name]:.3f} is under the minimum {least}"
        for name, least in policy["minimum"].items()
        if not candidate[name] >= least
    ]
    found += [
        f"{name} leads the baseline by less than {lead}"
        for name, lead in policy["lead_over_baseline"].items()
        if not candidate[name] - report["baseline"][name] >= lead
    ]
    if champion:
        found += [
            f"{name} {candidate[name]:.3f} is worse than the champion's {champion[name]:.3f}"
            for name, loss in policy["loss_to_champion"].items()
            if not candidate[name] >= champion[name] - loss
        ]
    metric = policy["slice_metric"]
    found += [
        f"slice {name}: {metric} {figures[metric]:.3f} is far under the average"
        for name, figures in sorted(report["slices"].items())
        if figures["rows"] >= policy["slice_rows"]
        and not figures[metric] >= candidate[metric] - policy["slice_gap"]
    ]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--report", type=Path, help="a report file; nothing is recorded")
    source.add_argument("--version", help="a registered version; the verdict is recorded")
    parser.add_argument("--config", type=Path, default=Path("conf/model.yaml"))
    args = parser.parse_args()
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    if args.report:
        report = json.loads(args.report.read_text(encoding="utf-8"))
    else:
        report = read_report(config["name"], args.version)
    found = failures(report, config["gate"])
    if args.version:
        set_gate(config["name"], args.version, passed=not found)
    for reason in found:
        print(f"gate: {reason}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
