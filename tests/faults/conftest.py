from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import Server, parley


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server") as running:
        yield running


@pytest.fixture
def befriended(server: Server, tmp_path: Path) -> Server:
    """Alice and Bob have accounts; Bob takes Alice's messages."""
    for name in ("alice", "bob"):
        assert (
            parley(
                "--server", server.address, "--data", str(tmp_path / name), "-c", f"signup {name}"
            ).returncode
            == 0
        )
    accepted = parley(
        "--server", server.address, "--data", str(tmp_path / "bob"), "--user", "bob", "-c", "accept alice"
    )
    assert accepted.returncode == 0, accepted.stderr
    return server
