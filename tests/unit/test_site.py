"""The site builds without a warning. It needs the `docs` group, which plain `uv run pytest` leaves out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs: uv run --group docs pytest tests/unit/test_site.py")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # of the theme's authors, about another program
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    for page in ("index", "reference/shell/index", "reference/api/index", "protocol/index"):
        assert (tmp_path / f"{page}.html").exists()
