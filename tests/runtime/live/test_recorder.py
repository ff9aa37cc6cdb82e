"""A recording holds what was heard and said, and gives it back bit for bit; a full disk ends it cleanly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.stand_ins.live_recording import ABOUT, again, record
from tests.stand_ins.live_session import PlainEstimator, voice
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.live.recording import Recording
from voxface.runtime.live.sinks import recorder as recorder_file
from voxface.runtime.live.sinks.recorder import Recorder


def test_a_recording_comes_back_bit_for_bit(tmp_path: Path) -> None:
    estimator = PlainEstimator()
    estimator.stalls = {12: 4.0, 60: 1.5}
    pipeline = record(tmp_path / "a", estimator, queue_s=2.0)
    counters = pipeline.counters.to_json()
    assert set(counters["lost"]) == {"queue full", "device away"}
    assert counters["skipped_estimates"] > 0
    assert counters["rejected"]["rejected_samples"] == 100
    comparison, _ = again(tmp_path / "a", tmp_path / "b")
    assert comparison.to_json() == {
        "identical": True,
        "events": sum(pipeline.counters.events.values()),
        "differences": 0,
    }
    ours = {p.relative_to(tmp_path / "a"): p for p in (tmp_path / "a").rglob("*") if p.is_file()}
    theirs = {p.relative_to(tmp_path / "b"): p for p in (tmp_path / "b").rglob("*") if p.is_file()}
    assert set(ours) == set(theirs)
    for name in set(ours) - {Path("events.jsonl")}:  # times of a clock stand there; the comparison above left them out
        assert ours[name].read_bytes() == theirs[name].read_bytes(), name


def test_what_is_in_the_folder(tmp_path: Path) -> None:
    pipeline = record(tmp_path / "a")
    folder = tmp_path / "a"
    assert json.loads((folder / "recording.json").read_text())["complete"] is True
    sounds = sorted((folder / "audio").iterdir())
    assert [int(p.stem) for p in sounds] == [0, 25 * 16_000]
    samples, rate = soundfile.read(sounds[1], dtype="int16")
    assert rate == 16_000
    np.testing.assert_array_equal(samples, voice())
    events = [json.loads(text) for text in (folder / "events.jsonl").read_text().splitlines()]
    faces = [event["position"] for event in events if event["event"] == "face"]
    assert [int(p.stem) for p in sorted((folder / "faces").iterdir())] == faces
    assert np.load(folder / "vertices.npy").shape == (len(faces), *pipeline.last.estimate.vertices.shape)
    np.testing.assert_array_equal(np.load(folder / "vertices.npy")[-1], pipeline.last.estimate.vertices)


def test_hours_go_into_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_file, "LONGEST_FILE", 100_000)
    record(tmp_path / "a")
    assert len(list((tmp_path / "a" / "audio").iterdir())) > 3
    assert again(tmp_path / "a")[0].differences == 0


@pytest.mark.parametrize("after", [0, 5, 400])
def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    left = [after]
    real = recorder_file._rewrite_start

    def full(file: Any, header: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(file, header)

    monkeypatch.setattr(recorder_file, "_rewrite_start", full)
    pipeline = record(tmp_path / "a")
    assert "No space left" in str(pipeline.sink_workers[0].error)
    assert pipeline.counters.edges["recorder_failed"] == 1
    assert pipeline.counters.to_json()["estimates"] > 100
    assert json.loads((tmp_path / "a" / "recording.json").read_text())["complete"] is False
    assert not list((tmp_path / "a").rglob("*.part"))
    if after > 100:
        monkeypatch.undo()
        _, notebook = again(tmp_path / "a")
        assert any(line["event"] == "face" for line in notebook.lines())


def test_a_recording_that_was_changed_differs(tmp_path: Path) -> None:
    record(tmp_path / "a")
    text = (tmp_path / "a" / "events.jsonl").read_text().splitlines()
    (tmp_path / "a" / "events.jsonl").write_text("\n".join(text[:-3]) + "\n")
    assert again(tmp_path / "a")[0].differences == 3


def test_pictures_and_meshes_are_compared_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    record(folder)
    pictures = sorted((folder / "faces").iterdir())
    pictures[3].write_bytes(pictures[4].read_bytes()[:-20])
    pictures[7].unlink()
    meshes = np.load(folder / "vertices.npy")
    changed = meshes.copy()
    changed[5, 0, 0] = np.nextafter(changed[5, 0, 0], np.float32(np.inf))
    np.save(folder / "vertices.npy", changed[:-2])
    comparison, _ = again(folder)
    assert comparison.differences == 5
    assert comparison.first is not None
    assert comparison.first[0] is not None
    assert comparison.first[0]["differs"] == ["picture"]
    (folder / "vertices.npy").unlink()
    assert again(folder)[0].differences == len(meshes)
    (folder / "vertices.npy").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"vertices\.npy: damaged"):
        again(folder)
    np.save(folder / "vertices.npy", np.float32(3))
    with pytest.raises(InputError, match=r"vertices\.npy: damaged \(shape \(\), not \[K, N, 3\]\)"):
        again(folder)


@pytest.mark.parametrize("line", ['{"event":"lost","fed":1,"start":5,"end":"x","cause":"y"}', "5", '{"event":"sold"}'])
def test_inputs_that_cannot_be(tmp_path: Path, line: str) -> None:
    record(tmp_path / "a")
    with (tmp_path / "a" / "inputs.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match="a damaged recording"):
        Recording(tmp_path / "a")


def test_no_recording(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recording there"):
        Recording(tmp_path)
    (tmp_path / "recording.json").write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        Recording(tmp_path)
    (tmp_path / "recording.json").write_text('{"format": 9}')
    with pytest.raises(InputError, match="format 9"):
        Recording(tmp_path)
    with pytest.raises(UsageError, match="exists already"):
        Recorder(tmp_path, ABOUT)
