"""The facts that probes find in small inline workspaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.models import Fact
from mlops_advisor.tools.evidence.run import probe_all


@pytest.fixture
def ask() -> Callable[[str, Mapping[str, str]], Fact]:
    """Give the fact about one practice in a workspace."""

    def answer(practice: str, files: Mapping[str, str]) -> Fact:
        report = probe_all(collect_inline(list(files.items())))
        (fact,) = (f for f in report.facts if f.practice == practice)
        return fact

    return answer
