"""Names of others can do nothing on this disk or this screen."""

import itertools
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shell.line.filenames import MAX_NAME_BYTES, UNNAMED, candidates, safe_name, safe_parts
from wire.display import safe

HOSTILE = st.text() | st.lists(
    st.sampled_from(["..", ".", "/", "\\", "~", "-", "CON", "nul.txt", "\0", "\n", "\x1b[2J", "\u202e", "a"])
).map("".join)


@given(HOSTILE)
def test_a_safe_name_is_one_plain_visible_part(offered: str) -> None:
    name = safe_name(offered)
    assert name
    assert "/" not in name
    assert "\\" not in name
    assert name[0] not in ".-~"
    assert name == name.strip()
    assert safe(name) == name
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name)
    assert len(name.encode()) <= MAX_NAME_BYTES + 1
    assert safe_name(name) == name


@given(HOSTILE)
def test_a_safe_path_stays_inside(path: str) -> None:
    root = Path("/folder")
    inside = root.joinpath(*safe_parts(path))
    assert inside.is_relative_to(root)
    assert ".." not in inside.parts


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system.ini", "system.ini"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("con.txt", "_con.txt"),
        ("", UNNAMED),
        ("..", UNNAMED),
        ("folder/", "folder"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("тетрадь 漢字 🙂.txt", "тетрадь 漢字 🙂.txt"),
        ("x" * 300 + ".tar.gz", "x" * (MAX_NAME_BYTES - 3) + ".gz"),
    ],
)
def test_names_stay_recognisable(offered: str, name: str) -> None:
    assert safe_name(offered) == name


def test_a_taken_name_gets_a_number_before_its_suffix() -> None:
    assert list(itertools.islice(candidates("a.tar.gz"), 3)) == ["a.tar.gz", "a (2).tar.gz", "a (3).tar.gz"]
