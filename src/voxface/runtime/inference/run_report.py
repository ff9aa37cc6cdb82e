"""The results of `voxface run` on disk: a folder with image and mesh for each clip, and a report on all of them."""

import html
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.face_files import face_files
from voxface.runtime.face.morph_targets import morph_targets
from voxface.runtime.features.speech import Speech
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.replacement import room_beside
from voxface.runtime.inference.attributes import age_in_words, sex_in_words
from voxface.runtime.inference.estimate import Estimate, estimate_json
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.provenance.mark import KEY
from voxface.runtime.provenance.web_page import head_elements

REPORT_JSON, REPORT_HTML = "report.json", "report.html"


def folder_names(files: Sequence[Path]) -> list[str]:
    """The name of the results' folder of each sound file: that of the file, with a number where others have the same."""
    taken, names = {REPORT_JSON, REPORT_HTML}, []
    numbers: dict[str, int] = {}  # the last one of each stem
    for file in files:
        stem = file.stem if file.stem.strip(".") else "clip"  # "...wav": its stem is the folder above
        name, n = stem, numbers.get(stem, 1)
        while name in taken:  # two clips of one name, from two folders
            n += 1
            name = f"{stem}-{n}"
        numbers[stem] = n
        taken.add(name)
        names.append(name)
    return names


def check_fresh(out: Path, names: Sequence[str], *, force: bool = False) -> None:
    """Checks that a run would replace nothing below `out`, or with `force` only what is of the same kind.

    Args:
        names: of the folders that it would write.
        force: whether it may replace files and folders.

    Raises:
        UsageError: there are results already, or a file where a folder would be, or the other way round.
    """
    for name in (REPORT_JSON, REPORT_HTML, *names):
        path = out / name
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            continue
        if os.path.lexists(path) and path.is_dir() != (name not in (REPORT_JSON, REPORT_HTML)):
            raise UsageError(
                f"--out {out}: holds {name}, which is {'a' if path.is_dir() else 'no'} folder; remove it, or give another --out"
            )
        if os.path.lexists(path) and not force:
            raise UsageError(f"--out {out}: holds {name} already; --force replaces it, or give another --out")


def headings(files: Sequence[str]) -> list[str]:
    """The shortest ends of these paths that tell them apart, at least their names; the same path twice gets a number."""
    parts = {file: Path(file).parts for file in files}
    depth, open_ = 1, set(files)
    found: dict[str, str] = {}
    while open_:
        ends = {file: str(Path(*parts[file][-depth:])) for file in files}
        shared = Counter(ends[file] for file in parts)
        done = {file for file in open_ if shared[ends[file]] == 1 or depth >= len(parts[file])}
        found |= {file: ends[file] for file in done}
        open_ -= done
        depth += 1
    seen: Counter[str] = Counter()
    titles = []
    for file in files:
        seen[file] += 1
        titles.append(found[file] if seen[file] == 1 else f"{found[file]} ({seen[file]})")
    return titles


class RunReport:
    """Writes results below one folder, which is made with the first of them."""

    def __init__(
        self,
        out: Path,
        face_estimator: FaceEstimator,
        *,
        samples: int = 0,
        seed: int = 0,
        morph_targets: bool = False,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Results below `out`.

        Args:
            samples: further faces of every voice, drawn from its posterior; more than 0 only if the bundle has one.
            seed: of these draws.
            morph_targets: whether each `mesh.glb` gets the shapes that animate it.
            sign: makes a signed PNG file of one; None: pictures are not signed.
        """
        self._out = out
        self._samples, self._seed = samples, seed
        self._morph_targets, self._sign = morph_targets, sign
        self._mark = face_estimator.mark
        self._bundle = face_estimator.bundle
        self._model = face_estimator.morphable
        self._choice = face_estimator.choice

    def write_clip(self, name: str, file: Path, speech: Speech, estimate: Estimate, total_ns: int) -> dict[str, Any]:
        """Writes `face.png`, `mesh.glb`, `mesh.ply`, `mesh.obj` and `mesh.png` into a folder of the clip, and what was drawn of
        its posterior (`draw_posterior`), all or none; files of draws that an earlier run left there are removed.

        Args:
            name: of the folder, see `folder_names`.
            file: the sound file.
            speech, estimate: what was found in it.
            total_ns: nanoseconds that the clip took, reading included.

        Returns:
            The clip's entry in `report.json`.

        Raises:
            InputError: the folder cannot be written.
        """
        contents = face_files(estimate.image, estimate.vertices, self._model, self._mark, animated=self._morph_targets)
        drawn: dict[str, Any] = {}
        if self._samples and (posterior := estimate.posterior) is not None:
            from voxface.runtime.inference.posterior_files import draw_posterior  # most runs do without

            draws = draw_posterior(posterior, self._samples, self._seed, self._mark)
            contents |= draws.contents
            drawn = draws.to_json(self._out / name)
        if self._sign is not None:
            sign = self._sign
            contents = {each: sign(data) if each.endswith(".png") else data for each, data in contents.items()}
        folder = self._out / name
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            with room_beside(folder) as room:
                for each, data in contents.items():
                    (room / each).write_bytes(data)
                there = folder.exists()
                folder.mkdir(exist_ok=True)
                for each in contents:
                    os.replace(room / each, folder / each)
                if there:
                    _remove_draws(folder, contents)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from error
        milliseconds = {stage: ns / 1e6 for stage, ns in estimate.stages_ns.items()}
        return {
            "file": str(file),
            "duration_s": speech.seconds,
            "voiced_s": speech.voiced_seconds,
            "segments": [[start / SAMPLE_RATE, end / SAMPLE_RATE] for start, end in speech.segments],
            "frames": estimate.frames,
            "face": str(folder / "face.png"),
            "mesh": str(folder / "mesh.glb"),
            "preview": str(folder / "mesh.png"),
            **estimate_json(estimate),
            **drawn,
            **(
                {"morph_targets": [target.name for target in morph_targets(self._model)]} if self._morph_targets else {}
            ),
            "timings_ms": {**milliseconds, "total": total_ns / 1e6},
        }

    def document(self, clips: list[dict[str, Any]], errors: list[dict[str, Any]]) -> dict[str, Any]:
        """The JSON document of a run, which `report.json` holds."""
        return {
            "bundle": {
                "path": str(self._bundle.path),
                "name": self._bundle.name,
                "sha256": self._bundle.manifest.sha256,
            },
            "clips": clips,
            "errors": errors,
            "provider": self._choice.provider,
            "threads": self._choice.threads,
            "chosen": self._choice.why,
            KEY: self._mark.to_json(),
        }

    def write_report(self, document: dict[str, Any]) -> None:
        """Writes `report.json` and `report.html`, a page that needs nothing but a browser.

        Raises:
            InputError: they cannot be written.
        """
        contents = {
            REPORT_JSON: json.dumps(document, indent=1, allow_nan=False).encode(),
            REPORT_HTML: self._page(document).encode("utf-8", "backslashreplace"),
        }
        for name, data in contents.items():
            try:
                write_bytes(self._out / name, data)
            except OSError as error:
                raise InputError(
                    f"{self._out / name}: cannot be written ({error.strerror}); the clips are there"
                ) from error

    @property
    def has_report(self) -> bool:
        """Whether there is one, of this run or another."""
        return (self._out / REPORT_JSON).exists()

    def _page(self, document: dict[str, Any]) -> str:
        titles = headings([clip["file"] for clip in document["clips"]])
        rows = "".join(self._row(clip, title) for clip, title in zip(document["clips"], titles, strict=True))
        bad = "".join(f"<li>{html.escape(error['message'])}</li>" for error in document["errors"])
        about = html.escape(self._bundle.manifest.description or "")
        return (
            f"<!doctype html><meta charset=utf-8><title>voxface report</title>{head_elements(self._mark)}<style>"
            "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222}"
            "article{display:grid;grid-template-columns:192px minmax(0,1fr);gap:1rem;border-top:1px solid #ddd;padding:1rem 0}"
            "img{max-width:100%}.face{width:192px;image-rendering:auto}dl{columns:3 11rem;font-size:13px}"
            "dt{color:#666}dd{margin:0 0 .3rem}h2{font-size:1rem;overflow-wrap:anywhere}</style>"
            f"<h1>voxface</h1><p>Bundle <b>{html.escape(self._bundle.name)}</b>. {about}</p>"
            f"<p><strong>{html.escape(self._mark.notice)}</strong></p>"
            + (f"<p>Could not be used:</p><ul>{bad}</ul>" if bad else "")
            + rows
        )

    def _row(self, clip: dict[str, Any], title: str) -> str:
        from urllib.parse import quote  # takes longer to import than a page to write

        where = Path(clip["face"]).parent.name
        age = age_in_words(clip["attributes"])
        facts = {
            "speech": f"{clip['voiced_s']:.1f} of {clip['duration_s']:.1f} s",
            "confidence": f"{clip['confidence']:.2f}",
            "sex of the face": sex_in_words(clip["attributes"]["sex"]),
            **({"age": age} if age else {}),
            "face type": clip["attributes"]["face_type"],
            **{
                name.replace("_", " "): f"{value:.1f}{_give_or_take(clip, name)} mm"
                for name, value in clip["measurements_mm"].items()
            },
        }
        terms = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts.items())
        source = quote(where, errors="surrogateescape")
        return (
            f'<article><img class=face src="{source}/face.png" alt="generated face">'
            f"<div><h2>{html.escape(title)}</h2>"
            f'<img src="{source}/mesh.png" alt="mesh from the front, three-quarter and side"><dl>{terms}</dl>'
            f"{_told(clip)}{_uncertainty(clip, source)}"
            f'<a href="{source}/mesh.glb">GLB</a> · <a href="{source}/mesh.ply">PLY</a> · '
            f'<a href="{source}/mesh.obj">OBJ</a></div></article>'
        )


def _remove_draws(folder: Path, contents: Collection[str]) -> None:
    """Removes the draws of an earlier run that are not among the files of this one."""
    from voxface.runtime.inference.posterior_files import DRAWN

    for old in folder.iterdir():
        if DRAWN.fullmatch(old.name) and old.name not in contents:
            old.unlink()


def _give_or_take(clip: dict[str, Any], name: str) -> str:
    sd = clip.get("measurements_sd_mm", {}).get(name)
    return "" if sd is None else f" ± {sd:.1f}"


def _told(clip: dict[str, Any]) -> str:
    """The line on what the voice told, as HTML; nothing of a bundle without a posterior."""
    return f"<p>{html.escape(told_in_words(clip))}</p>" if "told" in clip else ""


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


def _uncertainty(clip: dict[str, Any], source: str) -> str:
    """The draws and the heat map of a clip, as HTML; nothing where none were asked for."""
    if "uncertainty" not in clip:
        return ""
    from voxface.runtime.inference.posterior_files import SAMPLES_PNG, SHOWN, UNCERTAINTY_PNG

    largest = clip["uncertainty"]["largest_mm"]
    count = len(clip["samples"])
    return (
        f"<p>{count} other {'face' if count == 1 else 'faces'} that the voice fits as well"
        f"{f', of which {SHOWN} are shown' if count > SHOWN else ''}:</p>"
        f'<img src="{source}/{SAMPLES_PNG}" alt="faces drawn from the posterior">'
        f"<p>How far each place of the face may lie from where it is shown:</p>"
        f'<img src="{source}/{UNCERTAINTY_PNG}" alt="heat map of the uncertainty">'
        f"<div style=display:flex;justify-content:space-between><span>0 mm</span><span>{largest / 2:g} mm</span>"
        f"<span>{largest:g} mm</span></div>"
    )
