from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server") as running:
        yield running
