"""`audit` and `rule`: the audit as a linter, through the code that `tools/call` uses."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.server import calls, logs, reports
from mlops_advisor.tools.audit_workflow import pages
from mlops_advisor.tools.audit_workflow.models import AuditWorkflowResult
from mlops_advisor.tools.audit_workflow.rule import ORDER
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.common.errors import (
    AdvisorError,
    DataInvalidError,
    InvalidInputError,
    Problem,
)

SEVERITIES: Final = tuple(s.value for s in ORDER)
CLEAN, FOUND, INVALID, PARTIAL = 0, 1, 2, 3
_NEVER: Final = "never"
FAIL_ON: Final = (*SEVERITIES, _NEVER)
_TABLE: Final = ("tool", "mlops-advisor", "audit")
_SETTINGS: Final = ("select", "ignore", "exclude", "min-severity", "fail-on", "baseline")
_MOST_MS: Final = 300_000


def run(args: argparse.Namespace) -> int:
    """Print the report on stdout and return the exit code: 0, 1 found, 2 bad input, 3 partial."""
    logs.configure(logging.WARNING)
    try:
        return _explain(args.id) if args.command == "rule" else _audit(args)
    except (DataInvalidError, calls.InternalError) as error:
        sys.stderr.write(f"error: {error}\n")
    except AdvisorError as error:
        sys.stderr.write(f"error: {error.message}\n")
        for problem in error.problems:
            sys.stderr.write(f"  {problem.field}: {problem.problem}\n")
    return INVALID


def _explain(wanted: str | None) -> int:
    rules = all_rules()
    if wanted is None:
        _print("\n".join(f"{r.id} {r.severity.value:<8} {r.name}: {r.title}" for r in rules) + "\n")
        return CLEAN
    for rule in rules:
        if wanted.upper() == rule.id or wanted.lower() == rule.name:
            _print(pages.one_markdown(rule, bundled().sources))
            return CLEAN
    names = tuple(n for r in rules for n in (r.id, r.name))
    close = calls.nearest(wanted[:60], (*names, *(n.lower() for n in names)), count=3)
    hint = f"; nearest: {', '.join(close)}" if close else "; `mlops-advisor rule` lists them"
    raise InvalidInputError(f"no rule is called {wanted[:60]}{hint}", (Problem("ID", "unknown"),))


def _audit(args: argparse.Namespace) -> int:
    folders, files = _targets(args.paths)
    results: list[AuditWorkflowResult] = []
    fail_on: str = args.fail_on or ""
    for folder in folders:
        own = _settings(folder)
        fail_on = fail_on or str(own.get("fail-on", ""))
        results.append(_one(args, folder, own, files.get(folder, ())))
    if args.write_baseline is not None:
        return _write_baseline(args.write_baseline, results)
    _print(_shown(args, results))
    if any(r.degradation.level for r in results):
        return PARTIAL
    limit = fail_on or "high"
    if limit == _NEVER:
        return CLEAN
    bad = SEVERITIES[: SEVERITIES.index(limit) + 1]
    return FOUND if any(r.counts.get(s) for r in results for s in bad) else CLEAN


def _targets(paths: Sequence[str]) -> tuple[list[Path], dict[Path, tuple[str, ...]]]:
    """Folders to audit; files named by themselves are audited with the folder they stand in.

    A file is judged within its project (the current folder), because most rules look at several
    files; only findings in the files named are reported.
    """
    folders: list[Path] = []
    files: dict[Path, list[str]] = {}
    here = Path.cwd()
    for path in paths or (".",):
        target = Path(path)
        if target.is_dir():
            folder = Path(os.path.realpath(target))
            if folder not in folders:
                folders.append(folder)
        elif target.is_file():
            absolute = Path(os.path.realpath(target))
            folder = here if absolute.is_relative_to(here) else absolute.parent
            files.setdefault(folder, []).append(absolute.relative_to(folder).as_posix())
        else:
            raise InvalidInputError(
                f"{path}: there is no such file or folder", (Problem("PATH", "does not exist"),)
            )
    named = {folder: tuple(found) for folder, found in files.items() if folder not in folders}
    return [*folders, *named], named


def _one(
    args: argparse.Namespace, folder: Path, own: Mapping[str, Any], files: Sequence[str]
) -> AuditWorkflowResult:
    request: dict[str, Any] = {
        "workspace": ".",
        "options": {"detail": "full", "timeout_ms": min(_MOST_MS, max(1000, 1000 * args.timeout))},
        "select": _names(args.select) or own.get("select", []),
        "ignore": _names(args.ignore) or own.get("ignore", []),
        "exclude": own.get("exclude", []),
        "only": list(files),
        "min_severity": args.min_severity or own.get("min-severity", "info"),
    }
    if args.as_of:
        request["options"]["as_of"] = args.as_of
    if args.diff:
        request["changed_since"] = args.diff
    baseline = args.baseline or (folder / own["baseline"] if "baseline" in own else None)
    if baseline is not None:
        request["baseline"] = _read_baseline(Path(baseline))
    tool = calls.load("audit_workflow")
    prepared = calls.prepare(tool, request)
    deadline = time.monotonic() + calls.timeout_seconds(prepared)
    limits = calls.Limits(
        roots=(folder,),
        expired=lambda: time.monotonic() >= deadline,
        progress=_progress(sys.stderr, shown=args.format == "text" and sys.stderr.isatty()),
    )
    result = calls.execute(tool, prepared, limits).result
    if not isinstance(result, AuditWorkflowResult):
        raise TypeError("audit_workflow gave another tool's result")
    return result


def _progress(stream: TextIO, *, shown: bool) -> Callable[[int, int, str], None]:
    def tell(done: int, total: int, message: str) -> None:
        stream.write(f"\r\x1b[K[{done}/{total}] {message[:60]}" if done < total - 1 else "\r\x1b[K")
        stream.flush()

    return tell if shown else lambda _done, _total, _message: None


def _names(given: Sequence[str] | None) -> list[str]:
    return [name.strip() for one in given or () for name in one.split(",") if name.strip()]


def _settings(folder: Path) -> Mapping[str, Any]:
    """Table `[tool.mlops-advisor.audit]` of the folder's pyproject.toml, or nothing."""
    path = folder / "pyproject.toml"
    if not path.is_file() or path.is_symlink():
        return {}
    try:
        table: Any = tomllib.loads(path.read_text("utf-8", "replace"))
    except (OSError, tomllib.TOMLDecodeError, RecursionError):
        return {}  # the audit itself reports a broken file
    for key in _TABLE:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    where = f"pyproject.toml [{'.'.join(_TABLE)}]"
    if not isinstance(table, dict):
        raise InvalidInputError(
            "the settings do not validate", (Problem(where, "must be a table"),)
        )
    problems = [
        Problem(f"{where}.{name}", f"unknown setting; known are: {', '.join(_SETTINGS)}")
        for name in table
        if name not in _SETTINGS
    ]
    problems += [
        Problem(f"{where}.{name}", "must be a list of strings")
        for name in ("select", "ignore", "exclude")
        if name in table
        and not (isinstance(table[name], list) and all(isinstance(x, str) for x in table[name]))
    ]
    problems += [
        Problem(f"{where}.{name}", f"must be one of: {', '.join(allowed)}")
        for name, allowed in (("min-severity", SEVERITIES), ("fail-on", FAIL_ON))
        if name in table and table[name] not in allowed
    ]
    if not isinstance(table.get("baseline", ""), str):
        problems.append(Problem(f"{where}.baseline", "must be the path of a file"))
    if problems:
        raise InvalidInputError("the settings do not validate", tuple(problems))
    settings: Mapping[str, Any] = table
    return settings


def _read_baseline(path: Path) -> list[str]:
    """Fingerprints of a baseline, or of an earlier result or several (`--format json`)."""
    try:
        data = json.loads(path.read_text("utf-8"))
        parts = data if isinstance(data, list) else [data]
        return [str(f["fingerprint"]) for part in parts for f in part["findings"]]
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; make one with --write-baseline {path}"
    except (ValueError, KeyError, TypeError):
        problem = "is neither a baseline nor a result of `audit --format json`"
    raise InvalidInputError(f"{path} {problem}", (Problem("--baseline", problem),))


def _write_baseline(path: str, results: Sequence[AuditWorkflowResult]) -> int:
    findings = [
        {"fingerprint": f.fingerprint, "rule_id": f.rule_id, "path": f.path, "line": f.line}
        for r in results
        for f in r.findings
    ]
    data = json.dumps({"version": 1, "findings": findings}, indent=1) + "\n"
    try:
        Path(path).write_text(data, encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise InvalidInputError(
            f"{path} {problem}", (Problem("--write-baseline", problem),)
        ) from None
    sys.stderr.write(f"{len(findings)} findings accepted in {path}\n")
    return CLEAN


def _shown(args: argparse.Namespace, results: Sequence[AuditWorkflowResult]) -> str:
    if args.format == "json":
        data = [r.model_dump(mode="json", exclude_none=True) for r in results]
        whole = data[0] if len(data) == 1 else data
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
    if args.format == "text":
        coloured = args.color == "always" or (
            args.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        )
        return reports.text(results, colour=coloured)
    return {"sarif": reports.sarif, "markdown": reports.markdown, "github": reports.github}[
        args.format
    ](results)


def _print(text: str) -> None:
    """Write bytes, because a terminal's encoding may not know every character."""
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
