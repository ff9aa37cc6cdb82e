"""The part of the page that shows one clip."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from voxface.runtime.report_page.shown_face import ShownFace

_COLUMNS: Final = 1000  # of the strip that shows where speech was heard


@dataclass(frozen=True)
class ClipRow:
    """A clip and what was found in it.

    Attributes:
        title: what it is called.
        folder: of its files beside the page, as in a URL.
        inside: what the page itself has of its face; None: it is shown from the files.
        about: the face in one line, for who cannot see it.
        facts: what was heard, in words by name.
        measurements: lengths with their unit, by name.
        told: what the voice told, in one line, or "".
        duration_s: length of the clip.
        segments: [start, end] of each stretch of speech, in seconds.
        pictures: pictures of meshes among its files, by file name, and what they show.
    """

    title: str
    folder: str
    inside: ShownFace | None
    about: str
    facts: Mapping[str, str]
    measurements: Mapping[str, str]
    told: str
    duration_s: float
    segments: Sequence[Sequence[float]]
    pictures: Mapping[str, str]


def clip_html(row: ClipRow, number: int) -> str:
    """A clip as HTML; `number` is that of its mesh among those of the page."""
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in row.facts.items())
    lengths = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>'
        for name, text in row.measurements.items()
    )
    files = " · ".join(f'<a href="{row.folder}/mesh.{kind}">{kind.upper()}</a>' for kind in ("glb", "ply", "obj"))
    stage = _stage(row, row.inside, number) if row.inside is not None else _from_files(row)
    return (
        f"<article><h2>{escape(row.title)}</h2><div class=clip>{stage}<div class=heard>"
        f"{_sound(row)}<h3>What was heard</h3><dl>{facts}</dl>{f'<p>{escape(row.told)}</p>' if row.told else ''}"
        f"<details><summary>All measurements</summary><table>{lengths}</table></details>"
        f"<p class=note>Files beside this page: {files}</p></div></div></article>\n"
    )


def _stage(row: ClipRow, face: ShownFace, number: int) -> str:
    alt = escape(f"Mean face of people with such a voice: {row.about}")
    pictures = (
        f'<figure><div class=view><img src="{face.picture}" alt="{alt}"></div><figcaption>Picture</figcaption></figure>'
        '<figure class=drawn hidden><canvas class="view mesh" tabindex=0 role=application aria-describedby=mesh-help '
        'aria-label="Mesh of the head in three dimensions"></canvas><figcaption>Mesh</figcaption></figure>'
        f"{_rendered(zip(face.pictures, row.pictures.values(), strict=True))}"
    )
    check = "<label><input class=hot type=checkbox autocomplete=off> Uncertainty</label>" if face.largest_mm else ""
    tools = (
        "<div class=mesh-tools hidden>"
        '<button class=left aria-label="Turn the mesh to the left">⟲</button>'
        '<button class=front aria-label="Show the front of the mesh">Front</button>'
        '<button class=right aria-label="Turn the mesh to the right">⟳</button>'
        f"<label><input class=sway type=checkbox autocomplete=off> Turn by itself</label>{check}</div>"
    )
    return f"<div class=stage data-mesh={number}>{pictures}{tools}{_uncertainty(face)}{_draws(face, number)}</div>"


def _uncertainty(face: ShownFace) -> str:
    if not face.largest_mm:
        return ""
    return (
        f"<div class=scale hidden><span>0 mm</span><span class=ramp aria-hidden=true></span><span>{face.largest_mm:g} mm</span>"
        "<p class=note>How far each place may be off for people with such a voice.</p></div>"
    )


def _draws(face: ShownFace, number: int) -> str:
    if not face.draws:
        return ""
    choices = "".join(
        f"<label><input type=radio name=draw-{number} value={k} autocomplete=off{' checked' if k == 0 else ''}>"
        f"<canvas width=192 height=192 aria-hidden=true></canvas><span>{f'Face {k}' if k else 'Mean'}</span></label>"
        for k in range(face.draws + 1)
    )
    return (
        "<fieldset class=draws hidden><legend>Other faces that the voice fits as well</legend>"
        f"<div>{choices}</div></fieldset>"
    )


def _rendered(pictures: Iterable[tuple[str, str]], how: str = "") -> str:
    """Pictures of meshes, by URL and in words."""
    return "".join(
        f'<figure class=rendered><img src="{url}" alt="{escape(words)}"{how}><figcaption>{escape(words)}</figcaption></figure>'
        for url, words in pictures
    )


def _from_files(row: ClipRow) -> str:
    """The pictures that lie beside a page which has no more room."""
    alt = escape(f"Mean face of people with such a voice: {row.about}")
    pictures = [(f"{row.folder}/{name}", words) for name, words in row.pictures.items()]
    return (
        f'<div class=stage><figure><div class=view><img src="{row.folder}/face.png" alt="{alt}" loading=lazy></div>'
        f"<figcaption>Picture</figcaption></figure>{_rendered(pictures, ' loading=lazy')}</div>"
    )


def _sound(row: ClipRow) -> str:
    face = row.inside
    strip = _strip(row)
    if face is None or not face.sound:
        return strip
    part = "" if face.sound_whole else f"<p class=note>The first {face.sound_s:g} s of {row.duration_s:.0f} s.</p>"
    return f'<audio controls preload=metadata aria-label="The voice" src="{face.sound}"></audio>{part}{strip}'


def _strip(row: ClipRow) -> str:
    """Where in the clip speech was heard, as a strip."""
    scale = _COLUMNS / max(row.duration_s, 1e-9)
    spans: list[list[int]] = []
    for start, end in row.segments:
        first, last = min(_COLUMNS - 1, int(start * scale)), min(_COLUMNS, int(end * scale) + 1)
        if spans and first <= spans[-1][1]:
            spans[-1][1] = max(last, spans[-1][1])
        else:
            spans.append([first, last])
    bars = "".join(f'<rect x="{first}" width="{last - first}" height="10"/>' for first, last in spans)
    heard = sum(end - start for start, end in row.segments)
    return (
        f'<svg class=strip viewBox="0 0 {_COLUMNS} 10" preserveAspectRatio=none role=img '
        f'aria-label="Where speech was heard: {heard:.1f} of {row.duration_s:.1f} s">{bars}</svg>'
        "<p class=note>Where speech was heard.</p>"
    )
