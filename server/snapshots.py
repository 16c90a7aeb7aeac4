"""Generated files: wire schemas and pages.  `python -m mlops_advisor.server.snapshots [--check]`.

Without `--check` they are written; with it, a difference to what the models and the knowledge
say is shown and the exit code is 1.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path

from mlops_advisor.resources import loaders, pages
from mlops_advisor.server import calls, registry, wire
from mlops_advisor.tools.audit_workflow import pages as rule_pages
from mlops_advisor.tools.matching.match import Matcher
from mlops_advisor.tools.matching.words import learn

WORDS = loaders.DATA / "words.json"
README = Path(loaders.__file__).parents[1] / "README.md"
_RECORDED = ("<!-- recorded by make snapshots: {} -->", "<!-- end of the recording -->")
# Where the shown part of each tool's text ends.
_SHOWN_UNTIL = {"assess_maturity": "\n## Next", "audit_workflow": "\n## Plan"}
PAGES = Path(loaders.__file__).parent / "docs"


def expected() -> dict[Path, str]:
    """Return every generated file with the text it should have."""
    # First, so that the knowledge can be loaded even when the weights are missing or broken.
    files = {WORDS: words()}
    if not WORDS.is_file():
        WORDS.write_text(files[WORDS], encoding="utf-8")
    files |= {
        registry.SCHEMAS / f"{name}.json": json.dumps(
            wire.entry(registry.load(name)), indent=1, ensure_ascii=False
        )
        + "\n"
        for name in registry.names()
    }
    known = loaders.bundled()
    files[PAGES / "rubric.md"] = _generated(pages.rubric_markdown(known))
    files[PAGES / "principles.md"] = _generated(pages.principles_markdown(known))
    files[PAGES / "rules.md"] = _generated(rule_pages.index_markdown())
    files[README] = _recorded(README.read_text(encoding="utf-8"))
    return files


def _recorded(readme: str) -> str:
    """Return the README with its examples run anew: a sample request, and how its text begins."""
    for name in registry.names():
        mark = _RECORDED[0].format(name)
        start = readme.index(mark)
        end = readme.index(_RECORDED[1], start)
        readme = readme[:start] + _example(name, mark) + readme[end:]
    return readme


def _example(name: str, mark: str) -> str:
    request = json.loads((loaders.SAMPLES / "inputs" / f"{name}.json").read_text("utf-8"))
    request["options"] = {"as_of": "2026-11-23"}
    tool = registry.load(name)
    limits = calls.Limits(roots=(loaders.SAMPLES,))
    text = calls.execute(tool, calls.prepare(tool, request), limits).text
    shown = text[: text.index(_SHOWN_UNTIL[name])].strip()
    return (
        f"{mark}\n\n```json\n{json.dumps(request, indent=2, ensure_ascii=False)}\n```\n\n"
        f"`{request['workspace']}` is a sample workspace of the package. The answer begins:\n\n"
        f"````markdown\n{shown}\n…\n````\n\n"
    )


def words() -> str:
    """Return the word weights of the free-text matcher, learnt from the example sentences."""
    practices, lexicon, examples = loaders.lessons()
    weights = learn(examples, Matcher(practices, lexicon).features)
    return json.dumps(weights.model_dump(), separators=(",", ":"), ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Return the differences, one text per file: stale, missing, or left over."""
    wanted = expected()
    found = [_difference(path, text) for path, text in wanted.items()]
    left = [p for p in sorted(registry.SCHEMAS.glob("*.json")) if p not in wanted]
    return [text for text in found if text] + [f"{_short(p)} belongs to no tool\n" for p in left]


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description="Generated schemas and pages.")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="only compare; exit 1 if stale")
    choice.add_argument("--write", action="store_true", help="write them (the default)")
    if parser.parse_args().check:
        differences = stale()
        sys.stderr.writelines(differences)
        if differences:
            sys.stderr.write("stale: run `make snapshots` and commit the result\n")
        return 1 if differences else 0
    for path, text in expected().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def _generated(text: str) -> str:
    return f"<!-- Generated from resources/data; do not edit, run `make snapshots`. -->\n\n{text}"


def _difference(path: Path, text: str) -> str:
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if old == text:
        return ""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        text.splitlines(keepends=True),
        f"{_short(path)} (committed)",
        f"{_short(path)} (generated)",
    )
    return "".join(lines)


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


if __name__ == "__main__":
    sys.exit(main())
