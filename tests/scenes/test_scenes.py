"""Every scene in this folder is played: real shells, a real phone book, real sockets."""

from pathlib import Path

import pytest

from shell.host import Town
from shell.kit.player import play

SCENES = sorted(Path(__file__).parent.glob("*.transcript"))
DEMO = Path(__file__).parents[2] / "shell" / "demo.transcript"


@pytest.mark.parametrize("scene", [*SCENES, DEMO], ids=lambda path: path.stem)
def test_scene_goes_as_written(scene: Path) -> None:
    failure = play(scene, Town())
    assert failure is None, str(failure)
