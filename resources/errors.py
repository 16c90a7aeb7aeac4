"""The error of a broken knowledge file."""

from __future__ import annotations


class DataFileError(Exception):
    """A data file is broken: `file`, `line` (1-based), `field` (dotted path) and what is wrong."""

    def __init__(self, file: str, line: int, field: str, problem: str) -> None:
        """Keep the parts; the message is `file:line: field: problem`."""
        super().__init__(f"{file}:{line}: {field or 'file'}: {problem}")
        self.file = file
        self.line = line
        self.field = field
        self.problem = problem
