"""An estimate as files and as a pickle."""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.sphere import sphere
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.inference.estimate import Estimate, estimate_json
from voxface.runtime.voice_to_face import VoiceToFace

NAMES = {"face.png", "mesh.glb", "mesh.ply", "mesh.obj", "mesh.png", "estimate.json"}


@pytest.fixture(scope="module")
def estimate(voice_to_face: VoiceToFace) -> Estimate:
    return voice_to_face.estimate_file(SAMPLES[0])[1]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_its_files_are_those_of_a_run(estimate: Estimate, tmp_path: Path) -> None:
    paths = estimate.save(tmp_path / "deep" / "face")
    assert paths == {name: tmp_path / "deep" / "face" / name for name in NAMES}
    saved = contents(tmp_path / "deep" / "face")
    assert json.loads(saved.pop("estimate.json")) == estimate_json(estimate)
    assert run("run", SAMPLES[0], "--out", tmp_path / "run") == 0
    assert saved == contents(tmp_path / "run" / SAMPLES[0].stem)
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"face"}, "nothing is left beside it"


def test_it_replaces_what_is_its_own_and_nothing_else(estimate: Estimate, tmp_path: Path) -> None:
    folder = tmp_path / "face"
    folder.mkdir()
    estimate.save(folder)
    (folder / "face.png").write_bytes(b"old")
    estimate.save(str(folder))
    assert (folder / "face.png").read_bytes() != b"old"
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'notes\.txt', which was not saved there before"):
        estimate.save(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    of_a_run = tmp_path / "run"
    of_a_run.mkdir()
    (of_a_run / "face.png").write_bytes(b"of a run")
    (of_a_run / "estimate.json").write_text("[]")
    with pytest.raises(UsageError, match=r"holds 'estimate\.json', which was not"):
        estimate.save(of_a_run)
    assert (of_a_run / "face.png").read_bytes() == b"of a run"
    (tmp_path / "file").write_text("a file")
    with pytest.raises(UsageError, match="is a file; give a folder"):
        estimate.save(tmp_path / "file")


def test_a_link_to_a_folder_stays_one(estimate: Estimate, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    estimate.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert set(contents(tmp_path / "real")) == NAMES


def test_what_cannot_be_written_leaves_what_was_there(
    estimate: Estimate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "face"
    estimate.save(folder)
    before = contents(folder)

    def full(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", full)
    monkeypatch.setattr(
        "voxface.runtime.files.replacement.exchange", lambda one, other: False
    )  # as elsewhere than on Linux
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        estimate.save(folder)
    assert contents(folder) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        estimate.save(tmp_path / "file" / "below")


def test_a_folder_is_as_readable_as_any_other(estimate: Estimate, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    estimate.save(tmp_path / "face")
    assert (tmp_path / "face").stat().st_mode == (tmp_path / "other").stat().st_mode


PROGRAM = """
import pickle, sys
estimate = pickle.load(sys.stdin.buffer)
assert "voxface.runtime.engines.onnxruntime" not in sys.modules
try:
    estimate.vertices
except Exception as error:
    said = f"{type(error).__name__}: {error}"
import voxface
again = estimate.with_model(voxface.Bundle.open().morphable)
pickle.dump((estimate, again.vertices, again.measurements_mm, said), sys.stdout.buffer)
"""


def test_a_pickle_is_small_and_comes_back_in_another_process(estimate: Estimate) -> None:
    _ = estimate.vertices  # known, and left out all the same
    data = pickle.dumps(estimate)
    assert len(data) < 40_000 + estimate.image.nbytes
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=data, capture_output=True, check=True)
    again, vertices, measurements, said = pickle.loads(done.stdout)
    assert said.startswith("UsageError: an unpickled estimate has no morphable model")
    assert again.model is None
    for name in ("embedding", "frame_embeddings", "image", "coefficients"):
        np.testing.assert_array_equal(getattr(again, name), getattr(estimate, name))
    assert (again.attributes, again.confidence, again.stages_ns) == (
        estimate.attributes, estimate.confidence, estimate.stages_ns,
    )  # fmt: skip
    assert again.measurements_mm == measurements == estimate.measurements_mm
    assert estimate_json(again) == estimate_json(estimate)
    assert not again.image_reused
    np.testing.assert_array_equal(vertices, estimate.vertices)
    assert pickle.loads(pickle.dumps(again)).measurements_mm == measurements
    with pytest.raises(UsageError, match="an unpickled estimate has no morphable model"):
        again.moved_mm(estimate)
    with pytest.raises(UsageError, match="give the model of the bundle"):
        again.with_model(sphere())


def test_without_its_model_it_is_not_saved(estimate: Estimate, tmp_path: Path) -> None:
    again = pickle.loads(pickle.dumps(estimate))
    with pytest.raises(UsageError, match="no morphable model"):
        again.save(tmp_path / "face")
    assert list(tmp_path.iterdir()) == []
    assert estimate.model is not None
    again.with_model(estimate.model).save(tmp_path / "face")
    assert set(contents(tmp_path / "face")) == NAMES


def test_a_folder_that_is_there_keeps_its_permissions_and_is_not_the_working_directory(
    estimate: Estimate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    estimate.save(private)
    assert private.stat().st_mode & 0o777 == 0o700
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UsageError, match="is the working directory"):
        estimate.save(".")
    assert not list(Path.cwd().iterdir())


def test_copies_of_an_unpickled_estimate_keep_its_measurements(estimate: Estimate) -> None:
    unpickled = pickle.loads(pickle.dumps(estimate))
    for made in (copy.copy(unpickled), copy.deepcopy(unpickled)):
        assert made.measurements_mm == estimate.measurements_mm
        assert made.image_reused == estimate.image_reused


def test_estimates_can_be_compared_and_looked_for(estimate: Estimate) -> None:
    other = copy.deepcopy(estimate)
    assert estimate != other
    assert [other, estimate].index(estimate) == 1
    assert len({estimate, other}) == 2


def test_copies_keep_the_model(estimate: Estimate) -> None:
    for again in (copy.copy(estimate), copy.deepcopy(estimate)):
        assert again.model is estimate.model
        np.testing.assert_array_equal(again.vertices, estimate.vertices)
        assert not again.image_reused
    assert copy.deepcopy(estimate).image is not estimate.image


def test_how_far_it_moved_is_the_distance_of_the_meshes(estimate: Estimate) -> None:
    model = estimate.model
    assert model is not None
    other = replace(estimate, coefficients=estimate.coefficients + np.float32(0.25))
    assert estimate.moved_mm(estimate) == 0
    moved = model.distance(estimate.coefficients, other.coefficients)
    assert moved > 0.1
    assert other.moved_mm(estimate) == pytest.approx(moved, rel=1e-6)
    again = pickle.loads(pickle.dumps(estimate))
    assert other.moved_mm(again) == pytest.approx(moved, rel=1e-6), "the one before may have no model"
    assert again.with_model(model).moved_mm(other) == pytest.approx(moved, rel=1e-6)


def test_with_its_stages_it_is_the_same_estimate(estimate: Estimate) -> None:
    vertices, before = estimate.vertices, dict(estimate.stages_ns)
    timed = estimate.with_stages({"encoder": 5})
    assert timed.stages_ns == {"encoder": 5}
    assert estimate.stages_ns == before != timed.stages_ns
    assert timed.vertices is vertices, "what was made is not made again"
    assert estimate_json(timed) == estimate_json(estimate)
    assert timed.image_reused == estimate.image_reused
