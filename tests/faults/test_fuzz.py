"""Any bytes, for a moment: each target by hypothesis, and by atheris where it is installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.targets import SEEDS, TARGETS

EXAMPLES = 120  # of each target; the long run is `python -m tests.faults.fuzz`
RUNS = 3_000  # of atheris
ROOT = Path(__file__).parents[2]


@st.composite
def mutated(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A seed with pieces cut, doubled and replaced."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + 8)))
        middle = draw(st.one_of(st.binary(max_size=6), st.just(data[at:to] * 2), st.sampled_from(seeds)))
        data = data[:at] + middle + data[to:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_what_once_broke_something_does_not(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_end_as_the_contract_says(name: str) -> None:
    texts = st.text(max_size=60).map(lambda text: text.encode(errors="replace"))

    @settings(max_examples=EXAMPLES)
    @given(st.one_of(st.binary(max_size=200), texts, mutated(SEEDS[name])))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: uv sync --group fuzz"
)
@pytest.mark.parametrize("name", TARGETS)
def test_a_fuzzer_that_sees_the_branches_finds_nothing(name: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.faults.fuzz", name),
            *(f"-runs={RUNS}", "-max_len=512", "-seed=1", "-timeout=20", f"-artifact_prefix={tmp_path}/"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
