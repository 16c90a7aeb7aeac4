"""What all tests share: where the project is, and how Hypothesis behaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# No deadline: a test counts work, it never measures seconds. In CI the examples are always the
# same ones, so that a run there depends on the commit alone.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def samples(root: Path) -> Path:
    """The folder of bundled sample workspaces."""
    return root / "resources" / "samples"


@pytest.fixture(scope="session")
def server_command() -> list[str]:
    """The command that starts the real server; add `serve` and its options."""
    return [sys.executable, "-m", "mlops_advisor.server"]


@pytest.fixture
def anyio_backend() -> str:
    """The SDK and the server run on asyncio."""
    return "asyncio"
