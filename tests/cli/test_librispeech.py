"""The main job on every recording of real speech: `voxface run` on the whole folder."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from voxface.runtime.face import face_files
from voxface.runtime.face.mesh import boundary_edges
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.inference.face_estimator import FaceEstimator

REFUSED = ("1447-130550-0000.flac", "40-121026-0000.flac")
pytestmark = [pytest.mark.slow, pytest.mark.speech]


@pytest.fixture(scope="module")
def clips(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Every recording, run in one command. Its meshes are not drawn, which would take longer than all the rest together."""
    out = tmp_path_factory.mktemp("librispeech")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face_files, "preview", lambda *mesh, yaw: np.zeros((8, 8, 3), np.uint8))
        assert run("run", shared / "speech" / "librispeech", "--out", out) == 4
    document = json.loads((out / "report.json").read_text())
    # 1.65 s of speech, too little for the gate to tell it from music (docs/no-face.md: 8 % of pieces so short), and an adult
    # who is taken for a child, as one in a hundred may be (docs/age.md).
    refused = [(Path(error["file"]).name, error["reason"]) for error in document["errors"]]
    assert refused == list(zip(REFUSED, ("music", "child"), strict=True))
    return list(document["clips"])


@pytest.fixture(scope="module")
def speakers(shared: Path) -> dict[str, tuple[str, str]]:
    """File name -> (speaker, sex)."""
    with (shared / "speech" / "librispeech" / "speakers.csv").open() as lines:
        return {Path(row["file"]).name: (row["speaker_id"], row["sex"]) for row in csv.DictReader(lines)}


def test_239_of_241_succeed_with_finite_results(clips: list[dict], speakers: dict[str, tuple[str, str]]) -> None:
    assert sorted(Path(clip["file"]).name for clip in clips) == sorted(set(speakers) - set(REFUSED))
    assert len(clips) == 239
    for clip in clips:
        numbers = [*clip["embedding"], *clip["coefficients"], *clip["measurements_mm"].values(), clip["confidence"]]
        assert np.isfinite(numbers).all()
        assert np.linalg.norm(clip["embedding"]) == pytest.approx(1, abs=1e-5)
        assert all(5 < value < 400 for value in clip["measurements_mm"].values())


def test_every_mesh_file_is_closed_as_the_model_says(clips: list[dict], face_estimator: FaceEstimator) -> None:
    model: MorphableModel = face_estimator.morphable
    assert boundary_edges(model.triangles) == model.boundary_edges
    size, faces = len(model.mean), len(model.triangles)
    record = np.dtype([("count", "u1"), ("vertices", "<i4", 3)])
    for clip in clips:
        data = Path(clip["mesh"]).with_suffix(".ply").read_bytes()
        body = data[data.index(b"end_header\n") + 11 :]
        points = np.frombuffer(body, [("xyz", "<f4", 3), ("normal", "<f4", 3), ("rgb", "u1", 3)], size)
        assert np.isfinite(points["xyz"]).all()
        triangles = np.frombuffer(body, record, faces, size * 27)["vertices"]
        np.testing.assert_array_equal(triangles, model.triangles)


def test_faces_agree_with_the_sex_of_speakers_never_trained_on(
    clips: list[dict], speakers: dict[str, tuple[str, str]]
) -> None:
    speech = pytest.importorskip("voxface.training.data.speech_corpus")
    right: dict[str, list[bool]] = {}
    for clip in clips:
        speaker, sex = speakers[Path(clip["file"]).name]
        if speaker in speech.HELD_OUT:
            right.setdefault(speaker, []).append((clip["attributes"]["sex"]["female"] > 0.5) == (sex == "F"))
    assert len(right) == 52
    assert np.mean([np.mean(flags) > 0.5 for flags in right.values()]) >= 0.9


def test_women_and_men_get_different_faces(clips: list[dict], speakers: dict[str, tuple[str, str]]) -> None:
    for name in ("face_width", "face_length", "jaw_width"):
        women, men = (
            [c["measurements_mm"][name] for c in clips if speakers[Path(c["file"]).name][1] == sex] for sex in "FM"
        )
        assert np.median(men) - np.median(women) > 4, name
