"""What MkDocs asks while it builds the site: the reference is made from the code at that moment."""

from typing import Any

from docs import make_api, make_reference


def on_files(files: Any, config: Any) -> Any:
    """Adds the generated pages."""
    from mkdocs.structure.files import File

    for place, text in {**make_reference.pages(), **make_api.pages()}.items():
        files.append(File.generated(config, place, content=text))
    return files
