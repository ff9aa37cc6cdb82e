"""Marks in web pages: `<meta>` elements, and digital source types anywhere in the text."""

import json
from html.parser import HTMLParser

from voxface.runtime.provenance.found_mark import FoundMark, of_json, source_types, text
from voxface.runtime.provenance.mark import KEY


def read_html(content: str) -> list[FoundMark]:
    """The marks of a page."""
    metas = _Metas()
    metas.feed(content)
    found: list[FoundMark] = []
    for name, said in metas.found:
        if name == KEY:
            try:
                mark = of_json(f"meta {name}", json.loads(said))
            except (ValueError, RecursionError):
                continue
            found += [] if mark is None else [mark]
    known = {mark.digital_source_type for mark in found}
    found += [mark for mark in source_types("text", content) if mark.digital_source_type not in known]
    generator = next((text(said) for name, said in metas.found if name == "generator"), None)
    if generator and not found:
        found.append(FoundMark("meta generator", software=generator, ours=generator.startswith("voxface ")))
    return found


class _Metas(HTMLParser):
    """Name and content of every `<meta>`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        given = dict(attrs)
        name, content = given.get("name"), given.get("content")
        if tag == "meta" and name and content:
            self.found.append((name.lower(), content))
