"""One tree of typed errors.  Every error names a field or a path and says what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: the field (dotted path) and what to do about it."""

    field: str
    problem: str


class AdvisorError(Exception):
    """Base of all errors that a caller may see."""

    code = "advisor_error"

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        """Keep the one-line message and the problems, each with its field."""
        super().__init__(message)
        self.message = message
        self.problems = problems


class InvalidInputError(AdvisorError):
    """The request does not validate; `problems` names each field."""

    code = "invalid_input"


class PathDeniedError(AdvisorError):
    """A path lies outside the allowed folders, or does not exist."""

    code = "path_denied"


class DataInvalidError(AdvisorError):
    """A knowledge file is broken; the message names file, line and field."""

    code = "data_invalid"
