"""Measure one pass over a workspace in this process: `scan.py bare|ours FOLDER`.

Prints JSON: `seconds` of the pass, `files` read.  Imports and knowledge are loaded before, by a
pass over one small file; the measured pass meets the 1 000 files for the first time.
"""

from __future__ import annotations

import ast
import json
import sys
import tempfile
import time
import tomllib
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


def main() -> None:
    """Warm up, measure, print."""
    one = {"bare": bare, "ours": ours}[sys.argv[1]]
    folder = Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as small:
        for name, text in (("a.py", "import os\n"), ("b.yaml", "a: 1\n"), ("c.json", "{}\n")):
            (Path(small) / name).write_text(text, "utf-8")
        one(Path(small))
    start = time.perf_counter()
    files = one(folder)
    print(json.dumps({"seconds": time.perf_counter() - start, "files": files}))


if __name__ == "__main__":
    main()
