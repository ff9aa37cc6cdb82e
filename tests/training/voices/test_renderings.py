"""Rendered voices: aligned with what the teacher says, the same however many processes, and read only if they are whole."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stand_ins.small_voices import PitchTeacher, small_renderings, speech_folder
from voxface.runtime.errors import InputError, UsageError
from voxface.training.voices.listing import voices
from voxface.training.voices.rendering import RenderingConfig, moved_by, render
from voxface.training.voices.renderings import TABLES, Renderings, write_manifest

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Renderings:
    return small_renderings(tmp_path_factory.mktemp("voices"))


def test_every_training_voice_at_every_speed_clean_and_degraded(made: Renderings) -> None:
    for number, voice in enumerate(made.about["voices"]):
        own = np.flatnonzero(made.voice == number)
        speeds = (1.0, 1.1) if voice["split"] == "train" else (1.0,)
        assert sorted((made.speed[r], made.clean[r]) for r in own) == sorted(
            (s, c) for s in speeds for c in (False, True)
        )
        for speed in speeds:
            pair = [r for r in own if made.speed[r] == speed]
            assert len({(made.length[r], made.first[r], made.pieces[r]) for r in pair}) == 1  # one teacher, one length
    assert (made.start[1:] == made.start[:-1] + made.length[:-1]).all()
    assert made.start[-1] + made.length[-1] == len(made.frames)
    assert np.isfinite(made.frames).all()


def test_formants_move_at_other_speeds_only_and_alike_in_all_recordings_of_a_speaker(tmp_path: Path) -> None:
    still, moved = (small_renderings(tmp_path / str(factor), formants=factor) for factor in (1.0, 1.18))
    for r in still.of("train", clean=True):
        a, b = (np.asarray(which.frames[which.start[r] :][: which.length[r]]) for which in (still, moved))
        assert (len(a) == len(b) and np.array_equal(a, b)) == (still.speed[r] == 1.0)
    voice = voices(tmp_path / "1.0" / "speech")[0]
    one, other = (replace(voice, path=Path(name)) for name in "ab")
    config = RenderingConfig()
    assert moved_by(one, 0.9, config) == moved_by(other, 0.9, config) != moved_by(one, 1.08, config)
    factors = [moved_by(replace(one, speaker=str(k)), 0.9, config) for k in range(300)]
    assert 1 / 1.18 <= min(factors) < 0.87
    assert 1.15 < max(factors) <= 1.18
    assert abs(np.mean(np.log(factors))) < 0.02


def test_degraded_frames_are_other_ones_of_the_same_speech(made: Renderings) -> None:
    clean, degraded = (made.of("train", clean=which) for which in (True, False))
    alike = []
    for one, other in zip(clean, degraded, strict=True):
        a, b = (np.asarray(made.frames[made.start[r] :][: made.length[r]], np.float32) for r in (one, other))
        assert np.abs(a - b).max() > 0.1
        alike.append(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    assert np.mean(alike) > 0.5
    assert np.min(alike) > 0.2


def test_targets_are_of_the_pieces_within(made: Renderings) -> None:
    r = int(made.of("train", clean=True)[np.argmax(made.length[made.of("train", clean=True)])])
    rows = made.vectors[made.first[r] : made.first[r] + made.pieces[r]].astype(np.float32)
    np.testing.assert_allclose(made.targets(r, 0, int(made.length[r])), rows.mean(0), atol=1e-6)
    # Pieces of 50 frames every 20: their middles lie at 25, 45, 65, …
    np.testing.assert_allclose(made.targets(r, 30, 70), rows[1:3].mean(0), atol=1e-6)
    np.testing.assert_allclose(made.targets(r, 26, 40), rows[0], atol=1e-6)  # none within: the nearest


def test_the_result_does_not_depend_on_the_processes(tmp_path: Path) -> None:
    listed = voices(speech_folder(tmp_path / "speech", speakers=4))
    config = RenderingConfig(speeds=(1.0,))
    digests = []
    for workers in (1, 2):
        render(listed, PitchTeacher(), config, tmp_path / str(workers), workers=workers)
        digests.append(Renderings.load(tmp_path / str(workers)).digest)
    assert digests[0] == digests[1]


def test_a_file_without_speech_is_left_out(tmp_path: Path) -> None:
    folder = speech_folder(tmp_path / "speech", speakers=4)
    (folder / "s1.wav").write_bytes(b"RIFF")
    left = render(voices(folder), PitchTeacher(), RenderingConfig(speeds=(1.0,)), tmp_path / "out")
    assert [Path(one.file).name for one in left] == ["s1.wav"]
    assert 1 not in Renderings.load(tmp_path / "out").voice


@pytest.mark.parametrize("name", ["frames.npy", "vectors.npy", "tables.npz", "renderings.json"])
@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_a_damaged_folder_is_not_read(tmp_path: Path, name: str, how: str) -> None:
    small_renderings(tmp_path, speeds=(1.0,), degraded=0)
    file = tmp_path / "voices" / name
    data = file.read_bytes()
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        file.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(InputError, match="voices"):
        Renderings.load(tmp_path / "voices")


@pytest.mark.parametrize("settings", [{"speeds": (0.9,)}, {"speeds": (1.0, 3.0)}, {"degraded": -1}, {"every": 0}])
def test_settings_out_of_range(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RenderingConfig(**settings)  # type: ignore[arg-type]


def spoil(folder: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    """Rewrites a folder, sealed like an honest one; `change` gets the arrays by name and `about`."""
    arrays = {name: np.load(folder / f"{name}.npy") for name in ("frames", "vectors")}
    with np.load(folder / "tables.npz") as tables:
        arrays |= {name: tables[name] for name in TABLES}
    about = json.loads((folder / "renderings.json").read_text())["about"]
    change(arrays, about)
    for name in ("frames", "vectors"):
        np.save(folder / f"{name}.npy", arrays.pop(name))
    np.savez(folder / "tables.npz", **arrays)
    write_manifest(folder, about)


def put(name: str, at: object, value: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(arrays: dict[str, Any], about: dict[str, Any]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name][at] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("frames", (5, 3), np.nan),
        put("vectors", (-1, -1), np.inf),
        put("voice", 0, 8),
        put("voice", 0, -1),
        put("start", 1, -1),
        put("length", 1, 1 << 62),
        put("length", 1, 0),
        put("first", 0, 1 << 62),
        put("pieces", -1, 1 << 20),
        put("speed", 0, np.nan),
        lambda arrays, about: arrays.update(frames=arrays["frames"][:, :40]),
        lambda arrays, about: arrays.update(frames=arrays["frames"].astype(np.float32)),
        lambda arrays, about: arrays.update(vectors=arrays["vectors"][:0]),
        lambda arrays, about: arrays.update(vectors=arrays["vectors"][0]),
        lambda arrays, about: arrays.update(clean=arrays["clean"].astype(np.int64)),
        lambda arrays, about: arrays.update(start=arrays["start"].astype(np.float64)),
        lambda arrays, about: arrays.update(speed=arrays["speed"][:-1]),
        lambda arrays, about: arrays.update({name: arrays[name][:0] for name in TABLES}),
        lambda arrays, about: about["voices"].pop(),
        lambda arrays, about: about["voices"][0].update(corpus="\x1b[31mred"),
        lambda arrays, about: about["voices"][0].update(speaker=7),
        lambda arrays, about: about["voices"][0].update(licence=None),
        lambda arrays, about: about.update(teacher="\x1b[31mred"),
        lambda arrays, about: about["voices"][0].update(split="all"),
        lambda arrays, about: about["voices"][0].update(age=["old", 3]),
        lambda arrays, about: about["voices"].__setitem__(0, None),
        lambda arrays, about: about.update(every=0),
        lambda arrays, about: about.update(piece=1e9),
        lambda arrays, about: about.pop("teacher"),
    ],
)
def test_a_sealed_folder_is_not_believed(
    tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]
) -> None:
    small_renderings(tmp_path, speeds=(1.0,), degraded=0)
    spoil(tmp_path / "voices", lambda arrays, about: None)
    Renderings.load(tmp_path / "voices")
    spoil(tmp_path / "voices", change)
    with pytest.raises(InputError, match="cannot be read as rendered voices"):
        Renderings.load(tmp_path / "voices")


@pytest.mark.parametrize("name", ["frames.npy", "tables.npz", "renderings.json"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    small_renderings(tmp_path, speeds=(1.0,), degraded=0)
    (tmp_path / "voices" / name).unlink()
    os.mkfifo(tmp_path / "voices" / name)
    with pytest.raises(InputError, match="pipe"):
        Renderings.load(tmp_path / "voices")


def test_recordings_of_one_speaker_share_a_number(tmp_path: Path) -> None:
    made = small_renderings(tmp_path, speeds=(1.0,), degraded=0)
    assert made.speaker.tolist() == list(range(8))
    people = made.about["voices"]
    people[3] |= {"speaker": people[1]["speaker"]}
    people[4] |= {"speaker": people[1]["speaker"], "corpus": "another"}
    assert replace(made, about=made.about).speaker.tolist() == [0, 1, 2, 1, 3, 4, 5, 6]
