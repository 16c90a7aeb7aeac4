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

    commands.add_parser("demo", help="a real client talks to the real server on sample inputs")

    doctor = commands.add_parser("doctor", help="check that the installation can be trusted")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    return parser


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
