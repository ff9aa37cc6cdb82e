"""A clip of `report.json` in words, and as the page of a run shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from voxface.runtime.inference.attributes import age_in_words, sex_in_words
from voxface.runtime.report_page.clip_row import ClipRow
from voxface.runtime.report_page.shown_face import ShownFace

PICTURES: Final = {  # of meshes, among a clip's files; the last two with draws of the posterior
    "mesh.png": "Mesh from the front, three-quarter and side",
    "samples.png": "Other faces that the voice fits as well",
    "uncertainty.png": "How far each place of the face may be off",
}


def clip_row(clip: dict[str, Any], title: str, faces: Mapping[str, ShownFace]) -> ClipRow:
    """A clip of `report.json` as the page shows it; `faces`: by folder, those that the page has in itself."""
    from urllib.parse import quote  # takes longer to import than a page to write

    where = Path(clip["face"]).parent.name
    age, sex = age_in_words(clip["attributes"]), sex_in_words(clip["attributes"]["sex"])
    facts = {
        "speech": f"{clip['voiced_s']:.1f} of {clip['duration_s']:.1f} s",
        "confidence": f"{clip['confidence']:.2f}",
        "sex of the face": sex,
        **({"age": age} if age else {}),
        "face type": clip["attributes"]["face_type"],
    }
    return ClipRow(
        title=title,
        folder=quote(where, errors="surrogateescape"),
        inside=faces.get(where),
        about=f"{sex}{f', {age}' if age else ''}; confidence {clip['confidence']:.2f}",
        facts=facts,
        measurements={
            name.replace("_", " "): f"{value:.1f}{_give_or_take(clip, name)} mm"
            for name, value in clip["measurements_mm"].items()
        },
        told=told_in_words(clip) if "told" in clip else "",
        duration_s=clip["duration_s"],
        segments=clip["segments"],
        pictures=_pictures(clip),
    )


def _give_or_take(clip: dict[str, Any], name: str) -> str:
    sd = clip.get("measurements_sd_mm", {}).get(name)
    return "" if sd is None else f" ± {sd:.1f}"


def told_in_words(clip: dict[str, Any]) -> str:
    """What the voice told, in one line, of a clip's entry in `report.json` that has "told"."""
    of_mesh = clip["told_of_mesh"]
    shares = ", ".join(
        f"{name.replace('_', ' ')} {_percent(told['share'])}"
        for name, told in sorted(clip["told"].items(), key=lambda item: -item[1]["share"])
    )
    return (
        f"what the voice told: {_percent(of_mesh['share'])} of how adult faces differ, the sex included "
        f"({sex_in_words(clip['attributes']['sex'])}), and {_percent(of_mesh['within_sex'])} of how faces of one sex differ. "
        f"The rest is open. {f'Of {shares}.' if shares else ''}"
    ).strip()


def _percent(share: float) -> str:
    return "nothing" if share < 0.005 else f"{share:.0%}"


def _pictures(clip: dict[str, Any]) -> dict[str, str]:
    """Which pictures of meshes are among a clip's files, and what they show."""
    drawn = "uncertainty" in clip
    words = {name: text for name, text in PICTURES.items() if drawn or name == "mesh.png"}
    if drawn:
        words["uncertainty.png"] += f", 0 to {clip['uncertainty']['largest_mm']:g} mm"
    return words
