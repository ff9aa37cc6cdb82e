"""Rendered voices: aligned with what the teacher says, the same however many processes, and read only if they are whole."""

from pathlib import Path

import numpy as np
import pytest

from tests.stand_ins.small_voices import PitchTeacher, small_renderings, speech_folder
from voxface.runtime.errors import InputError, UsageError
from voxface.training.voices.listing import voices
from voxface.training.voices.rendering import RenderingConfig, render
from voxface.training.voices.renderings import Renderings

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
