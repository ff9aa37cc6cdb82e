"""The fit of the speech modulation: known weights are found again, and the command writes a bundle of its own."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from tests.conftest import speech_like
from tests.stand_ins.small_bundle import small_bundle
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.features.front_end import listen
from voxface.runtime.features.speech_modulation import modulation_score
from voxface.training.data.sound_clips import Clip
from voxface.training.trainers import speech_modulation
from voxface.training.trainers.speech_modulation import SpeechModulationFit, fit, measured, with_speech_modulation

pytestmark = pytest.mark.train
WEIGHTS = SpeechModulationWeights(Movement(1.0, 0.25), Movement(2.0, 3.0), 0.5)


def test_a_fit_tells_apart_what_it_was_given() -> None:
    rng = np.random.default_rng(0)
    speech = [("speech", Movement(*rng.normal((1.5, 0.5), 0.2))) for _ in range(200)]
    other = [("synthetic music", Movement(*rng.normal((0.5, 0.2), 0.2))) for _ in range(50)]
    made = fit([*speech, *other, ("synthetic noise", None)])
    assert (made.clips, made.rejected) == (251, 1)
    assert np.mean([modulation_score(found, made.weights) > 0.5 for _, found in speech]) > 0.98
    assert np.mean([modulation_score(found, made.weights) < 0.5 for _, found in other]) > 0.98
    everything = np.array([(found.change, found.syllables) for _, found in (*speech, *other)])
    assert (made.weights.centre.change, made.weights.centre.syllables) == pytest.approx(everything.mean(0), abs=1e-3)


def test_both_sides_weigh_the_same_however_many_there_are() -> None:
    """Between two alike heaps the decision lies in the middle, although one is ten times as large."""
    rng = np.random.default_rng(1)
    heap = rng.normal(0, 0.1, (50, 2))
    speech = [("speech", Movement(*row)) for row in np.tile(heap, (10, 1)) + 1]
    made = fit([*speech, *(("silence", Movement(*row)) for row in heap)])
    assert modulation_score(Movement(0.5, 0.5), made.weights) == pytest.approx(0.5, abs=0.05)


def test_what_is_measured_is_what_the_front_end_hears() -> None:
    sound = speech_like(4)
    found = measured(Clip("speech", "a", sound), FrontEndConfig(), VadConfig())
    assert found == listen([sound]).movement is not None
    assert measured(Clip("silence", "b", np.zeros(32_000, np.int16)), FrontEndConfig(), VadConfig()) is None


def test_weights_go_into_a_bundle(tmp_path: Path) -> None:
    bundle = with_speech_modulation(small_bundle(tmp_path / "small"), WEIGHTS, ("a test",)).write(tmp_path / "out")
    assert bundle.speech_modulation == WEIGHTS
    assert bundle.manifest.speech_modulation is not None
    assert bundle.manifest.speech_modulation.trained_on == ("a test",)
    assert "speech_modulation" not in bundle.missing_parts
    assert "speaker_change" in bundle.missing_parts


def test_the_command_writes_another_bundle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_bundle(tmp_path / "small")
    (tmp_path / "speakers.csv").write_text("speaker_id,sex,file\n")
    monkeypatch.setattr(speech_modulation, "librispeech", lambda folder: [])
    monkeypatch.setattr(speech_modulation, "read", lambda path: np.ones(10, np.int16))
    monkeypatch.setattr(speech_modulation, "train", lambda *given: SpeechModulationFit(WEIGHTS, 3, 1))
    words = ["", "--speech", tmp_path, "--room", tmp_path / "room.wav", "--bundle", tmp_path / "small", "--out"]
    monkeypatch.setattr(sys, "argv", [*map(str, words), str(tmp_path / "small")])
    before = (tmp_path / "small" / "bundle.json").read_bytes()
    assert speech_modulation.main() == 2
    assert "choose another name" in capsys.readouterr().err
    assert (tmp_path / "small" / "bundle.json").read_bytes() == before
    monkeypatch.setattr(sys, "argv", [*map(str, words), str(tmp_path / "new.voxface")])
    assert speech_modulation.main() == 0
    assert Bundle.open(tmp_path / "new.voxface").speech_modulation == WEIGHTS
    assert "from 3 clips, 1 of them" in capsys.readouterr().out
    assert "speech_modulation" not in json.loads(before)
