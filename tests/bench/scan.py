"""Measure one pass over a workspace in this process: `scan.py bare|ours|audit|parse|pool FOLDER`.

Prints JSON: `seconds` of the pass, `files` read, `peak_mb` of memory (10^6 bytes).  Imports and knowledge are loaded before, by a
pass over one small file; the measured pass meets the 1 000 files for the first time.
"""

from __future__ import annotations

import ast
import json
import os
import resource
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import yaml

AS_OF = date(2026, 11, 1)


def bare(folder: Path) -> int:
    """Read every file and parse it as its kind asks; the least that an assessment must do."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8")
        if path.suffix == ".py":
            ast.parse(text)
        elif path.suffix in {".yaml", ".yml"}:
            list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
        elif path.suffix in {".json", ".ipynb"}:
            json.loads(text)
        elif path.suffix == ".toml":
            tomllib.loads(text)
        count += 1
    return count


def ours(folder: Path) -> int:
    """Collect, parse, probe and assess."""
    from mlops_advisor.resources.loaders import bundled
    from mlops_advisor.tools.assess_maturity.models import AssessMaturityInput
    from mlops_advisor.tools.assess_maturity.run import run
    from mlops_advisor.tools.common.run import RunContext

    context = RunContext(as_of=AS_OF, knowledge=bundled(), roots=(folder,))
    result = run(AssessMaturityInput(workspace=str(folder)), context)
    assert result.inventory is not None
    return result.inventory.files_read


def audit(folder: Path) -> int:
    """Collect, parse, probe, run every rule and report."""
    from mlops_advisor.resources.loaders import bundled
    from mlops_advisor.tools.audit_workflow.models import AuditWorkflowInput
    from mlops_advisor.tools.audit_workflow.run import run
    from mlops_advisor.tools.common.models import Options
    from mlops_advisor.tools.common.run import RunContext

    context = RunContext(as_of=AS_OF, knowledge=bundled(), roots=(folder,))
    options = Options(detail="full")
    result = run(AuditWorkflowInput(workspace=str(folder), options=options), context)
    # So many made files break one rule more often than it reports; anything else is a fault.
    assert all("findings, the rest left out" in o for o in result.degradation.omitted), result
    return result.inventory.files_scanned


def summary(path: Path) -> int:
    """Parse one Python file to its summary; the size of the summary keeps it from being skipped."""
    from mlops_advisor.tools.evidence.parse.python import parse_python

    return len(parse_python(path.name, path.read_text("utf-8")).calls)


def parse(folder: Path) -> int:
    """Parse the Python files one after the other."""
    paths = sorted(folder.rglob("*.py"))
    sum(map(summary, paths))
    return len(paths)


def pool(folder: Path) -> int:
    """Parse the Python files in as many processes as there are cores.

    Only a number comes back from each: a pool that sent the summaries would be slower still.
    """
    paths = sorted(folder.rglob("*.py"))
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        sum(workers.map(summary, paths, chunksize=32))
    return len(paths)


def main() -> None:
    """Warm up, measure, print."""
    sides = {"bare": bare, "ours": ours, "audit": audit, "parse": parse, "pool": pool}
    one = sides[sys.argv[1]]
    folder = Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as small:
        for name, text in (("a.py", "import os\n"), ("b.yaml", "a: 1\n"), ("c.json", "{}\n")):
            (Path(small) / name).write_text(text, "utf-8")
        one(Path(small))
    start = time.perf_counter()
    files = one(folder)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # Linux: in kB
    print(json.dumps({"seconds": seconds, "files": files, "peak_mb": peak}))


if __name__ == "__main__":
    main()
