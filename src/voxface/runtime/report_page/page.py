"""The page itself: head, clips, data and script in one file, which may load nothing from anywhere else."""

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final

from voxface.runtime.provenance.mark import Mark
from voxface.runtime.provenance.web_page import head_elements
from voxface.runtime.report_page.clip_row import ClipRow, clip_html
from voxface.runtime.viewer import look, one_script

MOST_BYTES: Final = 32 << 20  # of faces in the page; clips beyond it are shown from the files beside it
_HERE: Final = Path(__file__).parent


def page(
    mark: Mark, bundle: str, about: str, rows: Sequence[ClipRow], topology: dict[str, Any], bad: Sequence[str]
) -> str:
    """The page.

    Args:
        mark: what it says of all its faces.
        bundle, about: the bundle's name, and what it says of itself.
        rows: the clips.
        topology: what their meshes share, see `packed_topology`.
        bad: what could not be used, and why.
    """
    script = one_script([_HERE / "report.js"])
    inside = [row.inside for row in rows if row.inside is not None]
    data = (
        f'{{"topology":{json.dumps(topology)},"faces":[{",".join(face.mesh for face in inside)}]}}' if inside else "{}"
    )
    numbers = iter(range(len(inside)))
    articles = "".join(clip_html(row, next(numbers) if row.inside is not None else -1) for row in rows)
    outside = len(rows) - len(inside)
    left_out = (
        f"<p class=note>This page is full: its last {outside} {'clip is' if outside == 1 else 'clips are'} shown from the "
        "files beside it, without their meshes in three dimensions.</p>"
        if outside
        else ""
    )
    unusable = "".join(f"<li>{escape(message)}</li>" for message in bad)
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>voxface report</title>"
        '<meta name=viewport content="width=device-width, initial-scale=1"><meta name=color-scheme content="light dark">'
        f'<meta http-equiv=Content-Security-Policy content="{_policy(script)}">{head_elements(mark)}\n'
        f"<style>\n{look()}{(_HERE / 'report.css').read_text(encoding='utf-8')}</style></head>\n"
        f"<body><header><h1>voxface</h1><p>Bundle <b>{escape(bundle)}</b>. {escape(about)}</p>"
        f"<p><strong>{escape(mark.notice)}</strong></p></header>\n<main>"
        + (f"<section><p>Could not be used:</p><ul>{unusable}</ul></section>" if unusable else "")
        + f"{articles}{left_out}{_WHAT_THIS_IS}</main>\n"
        f"<script type=application/json id=faces>{data}</script>\n<script type=module>{script}</script></body></html>\n"
    )


_WHAT_THIS_IS: Final = (
    "<section><h2 id=about>What this is, and what it is not</h2><p>A voice tells sex almost entirely, and a little of age and "
    "size. What is shown is the mean of the faces that such people have, from population statistics: no real person, and "
    "nothing about skin, hair, health or identity. Do not use it to identify, profile or decide about anybody.</p>"
    "<p class=note id=mesh-help>A mesh turns by dragging and by its buttons. With the keyboard: arrow keys turn it, plus and "
    "minus change its size, Home shows the front.</p>"
    "<p class=note id=no-webgl hidden>This browser draws nothing in three dimensions: it has no WebGL 2, or it is off. "
    "The meshes are shown as pictures.</p></section>"
)


def _policy(script: str) -> str:
    """What the page may load: its own script, pictures and sound in it, and pictures beside it."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' file: data:; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )
