"""The results of `voxface run` on disk: a folder with image and mesh for each clip, and a report on all of them."""

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.background import Background
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError
from voxface.runtime.face.face_files import face_files
from voxface.runtime.face.morph_targets import morph_targets
from voxface.runtime.features.speech import Speech
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.replacement import room_beside
from voxface.runtime.inference.clip_words import PICTURES, clip_row
from voxface.runtime.inference.estimate import Estimate, estimate_json
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.inference.run_folders import REPORT_HTML, REPORT_JSON
from voxface.runtime.provenance.mark import KEY
from voxface.runtime.report_page.kept_sound import KeptSound
from voxface.runtime.report_page.packed_mesh import packed_topology
from voxface.runtime.report_page.page import MOST_BYTES, page
from voxface.runtime.report_page.shown_face import DRAWS, MOST_DRAWS, ShownFace, show_face

Float32 = NDArray[np.float32]


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
        self._shown: dict[str, ShownFace] = {}  # by folder, what the page has of faces in itself
        self._room = MOST_BYTES
        self._mark = face_estimator.mark
        self._bundle = face_estimator.bundle
        self._model = face_estimator.morphable
        self._choice = face_estimator.choice

    def write_clip(
        self,
        name: str,
        file: Path,
        speech: Speech,
        estimate: Estimate,
        total_ns: int,
        sound: KeptSound | None = None,
    ) -> dict[str, Any]:
        """Writes `face.png`, `mesh.glb`, `mesh.ply`, `mesh.obj` and `mesh.png` into a folder of the clip, and what was drawn of
        its posterior (`draw_posterior`), all or none; files of draws that an earlier run left there are removed.

        Args:
            name: of the folder, see `folder_names`.
            file: the sound file.
            speech, estimate: what was found in it.
            total_ns: nanoseconds that the clip took, reading included.
            sound: of the clip, where `report.html` is to play it.

        Returns:
            The clip's entry in `report.json`.

        Raises:
            InputError: the folder cannot be written.
        """
        files = Background(
            partial(
                face_files, estimate.image, estimate.vertices, self._model, self._mark, animated=self._morph_targets
            )
        )
        # Meanwhile, on this thread: numbers, which need no picture.
        found, uncertainty = estimate_json(estimate), self._uncertainty(estimate) if self._room > 0 else None
        contents = files.result()
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
        shown = None
        if uncertainty is not None:
            spread, other_faces = uncertainty
            pictures = [contents[each] for each in PICTURES if each in contents]
            shown = show_face(
                contents["face.png"], pictures, estimate.vertices, spread=spread, draws=other_faces, sound=sound
            )
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
        if shown is not None and shown.size <= self._room:
            self._shown[name] = shown
        self._room -= shown.size if shown is not None else 0  # once one has no room, those after it have none either
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
            **found,
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
        """Writes `report.json` and `report.html`, a page that has faces, meshes and, where it was given, sound in itself, and
        needs nothing but a browser.

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

    def _uncertainty(self, estimate: Estimate) -> tuple[Float32 | None, list[Float32]]:
        """What the page says of how far a face may be off, as `show_face` takes it: each vertex's millimetres, and draws."""
        model, posterior = self._model, estimate.posterior
        if posterior is None:
            return None, []
        count = min(self._samples, MOST_DRAWS) or DRAWS
        return posterior.vertex_sd_mm, list(model.vertices(posterior.sample(count, self._seed), posterior.decades))

    def _page(self, document: dict[str, Any]) -> str:
        titles = headings([clip["file"] for clip in document["clips"]])
        return page(
            self._mark,
            self._bundle.name,
            self._bundle.manifest.description or "",
            [clip_row(clip, title, self._shown) for clip, title in zip(document["clips"], titles, strict=True)],
            packed_topology(self._model.triangles, self._model.albedo) if self._shown else {},
            [error["message"] for error in document["errors"]],
        )


def _remove_draws(folder: Path, contents: Collection[str]) -> None:
    """Removes the draws of an earlier run that are not among the files of this one."""
    others = [old for old in folder.iterdir() if old.name not in contents]
    if not others:
        return  # most runs draw nothing, and do without the module
    from voxface.runtime.inference.posterior_files import DRAWN

    for old in others:
        if DRAWN.fullmatch(old.name):
            old.unlink()
