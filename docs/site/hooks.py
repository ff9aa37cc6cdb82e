"""What mkdocs does besides for this site: pages that are made while it is built, and links that lead out of docs/."""

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent.parent
for place in (ROOT / "src", ROOT):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from docs.site.command_pages import command_pages  # noqa: E402
from docs.site.diagram import with_diagrams  # noqa: E402
from docs.site.links import OUTSIDE, for_the_site  # noqa: E402
from docs.site.python_pages import python_pages  # noqa: E402


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages that are made into the navigation."""
    made = {"Command line": command_pages(), "Python": python_pages()}
    reference: list[dict[str, Any]] = next(part["Reference"] for part in config.nav or [] if "Reference" in part)
    for part in reference:
        for title in part:
            part[title] = list(made[title])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made, and those that lie outside docs/."""
    for path, text in {**command_pages(), **python_pages()}.items():
        files.append(File.generated(config, path, content=text))
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links and diagrams as the site has them."""
    return with_diagrams(for_the_site(markdown, page.file.src_uri))
