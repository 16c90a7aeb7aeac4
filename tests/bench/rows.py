"""Lines of the benchmark's table."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf
from statistics import median


@dataclass(frozen=True)
class Row:
    """One line of the table: `bound` is what the project promises, infinity what is only told."""

    what: str
    value: float
    bound: float
    unit: str
    runs: int

    def line(self) -> str:
        """Return the line as shown."""
        value = f"{self.value:.2f} {self.unit}"
        bound, verdict = "", "told"
        if not isinf(self.bound):
            bound = f"<= {self.bound:g} {self.unit}"
            verdict = "ok" if self.value <= self.bound else "OVER"
        return f"{self.what:<68} {value:>11} {bound:>11} {verdict:>5} {self.runs:>5}"


def ratio(pairs: list[tuple[float, float]], bound: float) -> tuple[float, float, str, int]:
    """Median of one side to the median of the other, with bound, unit and number of runs."""
    value = median(mine for mine, _ in pairs) / median(other for _, other in pairs)
    return value, bound, "x", len(pairs)
