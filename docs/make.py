"""Makes all generated files anew: `uv run python -m docs.make`. Tests hold them to the code.

The reference of commands and of the Python API is no file: MkDocs makes it while it builds (`docs/hooks.py`).
"""

from pathlib import Path

from docs import make_completions, make_man, make_pictures, make_protocol


def pages() -> dict[Path, str]:
    """Each generated file with what it must say, the pictures left out."""
    return {
        **make_protocol.pages(),
        **make_man.pages(),
        **make_completions.pages(),
    }


def main() -> None:
    """Writes them."""
    for file, text in {**pages(), **make_pictures.pages()}.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
