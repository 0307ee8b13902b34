"""Makes the pictures of the README and the guides: scenes that are played, as SVG: `python -m docs.make`.

A step whose outcome may be anything (`/(?s:.*)/`) is played and not shown.
"""

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from rich.console import Console
from rich.text import Text

from shell.host import Town
from shell.kit.player import play
from shell.kit.transcript import parse
from shell.settings import ShellSettings

FOLDER = Path(__file__).parent / "pictures"
SCENES = sorted(FOLDER.glob("*.transcript"))
COLUMNS = 84
ANYTHING = ("/(?s:.*)/",)
CLOCK = "14:02"  # what every message of a picture is dated
_PROMPT = re.compile(r"^(\w+)> ")
_COLOURS = {"alice": "bold cyan", "bob": "bold green", "carol": "bold magenta", "server": "bold yellow"}
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # they would be fetched from another site


def pages() -> dict[Path, str]:
    """Each picture by its file."""
    return {scene.with_suffix(".svg"): picture(scene) for scene in SCENES}


def picture(scene: Path) -> str:
    """Plays a scene and paints it. Raises ValueError where it does not go as written."""
    text = scene.read_text(encoding="utf-8")
    steps = parse(text)
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    numbers = count()

    def paint(chunk: str) -> None:
        step = steps[next(numbers) // 2]  # each step is told twice: what is typed, and what comes of it
        if step.expected == ANYTHING:
            return
        prompt = _PROMPT.match(chunk)
        if prompt is not None and chunk.endswith("> " + step.typed + "\n"):
            typed = chunk[prompt.end() :].rstrip("\n")
            console.print(Text.assemble((prompt[0], _COLOURS.get(prompt[1], "bold")), (typed, "bold")))
        elif chunk:
            console.print(Text.from_ansi(chunk.rstrip("\n")))

    with _width():
        failure = play(scene, Town(ShellSettings(time_format=CLOCK)), paint, styled=True)
    if failure is not None:
        raise ValueError(str(failure))
    title = text.splitlines()[0].rstrip(".")
    svg = console.export_svg(title=title, unique_id=f"parley-{scene.stem}")
    return "\n".join(line.rstrip() for line in _FONTS.sub("", svg).splitlines()) + "\n"


def words(svg: str) -> list[str]:
    """What can be read in a picture, whatever version of rich painted it."""
    return re.findall(r"<text [^>]*>(.*?)</text>", svg)


@contextmanager
def _width() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(COLUMNS)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
