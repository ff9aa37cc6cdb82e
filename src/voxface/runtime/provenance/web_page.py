"""The mark of a page that shows faces: elements of its head for programs, and words for people."""

import json
from typing import Final

from voxface.runtime.provenance.mark import KEY, SOFTWARE, Mark

SOURCE_TYPE: Final = "digital-source-type"


def head_elements(mark: Mark) -> str:
    """`<meta>` elements: what made the page, how its pictures came about, and the whole mark as JSON."""
    named = {"generator": SOFTWARE, SOURCE_TYPE: mark.digital_source_type, KEY: json.dumps(mark.to_json())}
    return "".join(f'<meta name="{name}" content="{_escaped(text)}">' for name, text in named.items())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
