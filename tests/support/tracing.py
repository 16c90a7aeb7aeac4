"""What the tests of `trace` share."""

from __future__ import annotations

from mlops_advisor.tools.evidence.collect import collect_inline
from mlops_advisor.tools.evidence.repository import Repository
from mlops_advisor.tools.evidence.trace import Trace, trace

SPLIT = """
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
df = pd.read_csv("a.csv")
"""


def traced(source: str, **others: str) -> Trace:
    files = [("main.py", source)]
    files += [(f"{name}.py", text) for name, text in others.items()]
    repo = Repository(collect_inline(files), trees=True)
    view = repo.view("main.py")
    assert view is not None
    return trace(repo, view)
