"""The benchmark measures what it says; nothing here looks at a clock."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import made_workspace
import pytest
import scan
from rpc import Peer

HERE = Path(__file__).resolve().parent


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_made_workspace_is_a_thousand_files_and_always_the_same(tmp_path: Path) -> None:
    made = made_workspace.make(tmp_path / "one")
    made_workspace.make(tmp_path / "two")

    assert len(set(made)) == 1000
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_made_workspace_is_mixed_and_every_file_parses(tmp_path: Path) -> None:
    made = made_workspace.make(tmp_path)

    assert scan.bare(tmp_path) == 1000
    kinds = Counter(path.suffix or path.name for path in made)
    assert set(kinds) == {".py", ".yml", ".yaml", ".ipynb", "Dockerfile", ".md", ".json", ".toml"}


@pytest.mark.slow
def test_the_raw_client_speaks_to_a_bare_server(tmp_path: Path) -> None:
    with Peer([sys.executable, str(HERE / "bare_server.py")], tmp_path, limit=60) as peer:
        peer.handshake()

        (tool,) = peer.request("tools/list", {})["tools"]
        assert tool["name"] == "assess_maturity"
        assert peer.call("assess_maturity", {"responses": []})["structuredContent"] == {"ok": True}
        with pytest.raises(RuntimeError, match="refused"):
            peer.request("no/such/method", {})


@pytest.mark.slow
def test_a_server_that_ends_is_an_error_and_not_a_hang(tmp_path: Path) -> None:
    with (
        Peer([sys.executable, "-c", "pass"], tmp_path, limit=60) as peer,
        pytest.raises((RuntimeError, BrokenPipeError)),
    ):
        peer.handshake()
