"""The command line.  A command's module is imported only when the command is given."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from mlops_advisor.server import settings

_LAST_PORT = 65_535
_MODULES = {
    "serve": "mlops_advisor.server.serving",
    "call": "mlops_advisor.server.calling",
    "demo": "mlops_advisor.server.demo",
    "doctor": "mlops_advisor.server.doctor",
    "audit": "mlops_advisor.server.auditing",
    "rule": "mlops_advisor.server.auditing",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = _parser().parse_args(argv)
    # Imports allocate much that stays: collecting in between is time lost at start.
    gc.disable()
    run: Callable[[argparse.Namespace], int] = import_module(_MODULES[args.command]).run
    gc.freeze()
    gc.enable()
    try:
        return run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read stdout has gone; Python's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=settings.NAME, description=settings.DESCRIPTION)
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="the MCP server; over stdio unless said otherwise")
    serve.add_argument("--transport", choices=("stdio", "sse", "http"), default="stdio")
    serve.add_argument("--host", default="127.0.0.1", help="for sse and http (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8000, help="for sse and http (default 8000)")
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name under which clients reach the server, besides this machine's own",
    )
    _add_roots(serve)

    call = commands.add_parser("call", help="run one tool on a JSON input")
    call.add_argument("tool", metavar="TOOL")
    call.add_argument("--input", metavar="FILE|-", help="JSON file; - or nothing: stdin")
    _add_roots(call)

    _add_audit(commands.add_parser("audit", help="the audit as a linter"))
    rule = commands.add_parser("rule", help="explain a rule of the audit, or list them")
    rule.add_argument("id", nargs="?", metavar="ID", help="a rule, for example DM06")

    commands.add_parser("demo", help="a real client talks to the real server on sample inputs")

    doctor = commands.add_parser("doctor", help="check that the installation can be trusted")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_audit(audit: argparse.ArgumentParser) -> None:
    severities = ("critical", "high", "medium", "low", "info")
    audit.add_argument("paths", nargs="*", metavar="PATH", help="folders or files (default .)")
    audit.add_argument(
        "--format", choices=("text", "json", "sarif", "markdown", "github"), default="text"
    )
    audit.add_argument("--diff", metavar="BASE", help="only findings on lines changed since BASE")
    audit.add_argument(
        "--fail-on",
        choices=(*severities, "never"),
        help="exit 1 when a finding at or above this is left (default high)",
    )
    audit.add_argument("--min-severity", choices=severities, help="report nothing below this")
    for name, what in (("--select", "only these rules"), ("--ignore", "not these rules")):
        audit.add_argument(
            name, action="append", metavar="RULES", help=f"{what}: DM06,TR or several times"
        )
    audit.add_argument("--baseline", metavar="FILE", help="findings accepted earlier")
    audit.add_argument("--write-baseline", metavar="FILE", help="accept what is found now")
    audit.add_argument("--timeout", type=int, default=120, metavar="SECONDS", help="default 120")
    audit.add_argument("--as-of", metavar="DATE", help="day at which ages are judged")
    audit.add_argument("--color", choices=("auto", "always", "never"), default="auto")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text[:6]) <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"'{text[:20]}' is no port; give 0 to {_LAST_PORT}")
    return int(text)


def _add_roots(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        action="append",
        type=Path,
        default=[],
        metavar="DIR",
        help="a folder that `workspace` may lie in; may be given more than once",
    )


class _Version(argparse.Action):
    """Prints the version; looking it up takes time that only this option should cost."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{settings.NAME} {settings.version()}\n")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
