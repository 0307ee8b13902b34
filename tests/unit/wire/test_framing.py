import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FrameTooLong
from wire.framing import FrameSplitter, LineSplitter, frame

LINES = st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"")), max_size=10)
CUTS = st.lists(st.integers(0, 600), max_size=10)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(LINES, CUTS)
def test_lines_come_whole_however_they_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    splitter = LineSplitter(100)
    data = b"".join(line + b"\n" for line in lines)
    assert [line for piece in pieces(data, cuts) for line in splitter.feed(piece)] == lines
    assert not splitter.rest


@given(st.lists(st.binary(max_size=50), max_size=10), CUTS)
def test_frames_come_whole_however_they_are_cut(payloads: list[bytes], cuts: list[int]) -> None:
    splitter = FrameSplitter(100)
    data = b"".join(map(frame, payloads))
    assert [got for piece in pieces(data, cuts) for got in splitter.feed(piece)] == payloads


def test_a_line_over_the_limit_is_refused_before_it_ends() -> None:
    splitter = LineSplitter(10)
    assert splitter.feed(b"0123456789") == []
    with pytest.raises(FrameTooLong):
        splitter.feed(b"x")


def test_a_frame_over_the_limit_is_refused_by_its_length_alone() -> None:
    with pytest.raises(FrameTooLong):
        list(FrameSplitter(10).feed((11).to_bytes(4)))
