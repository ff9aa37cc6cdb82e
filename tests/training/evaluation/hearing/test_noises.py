"""Noise as frames, alone and beside a voice."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.conftest import speech_like
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.features.log_mel import log_mel
from voxface.training.evaluation.hearing.noises import KINDS, beside, noises

FRONT_END = FrontEndConfig()


def test_every_kind_gives_as_many_frames_as_are_asked_for(rng: np.random.Generator) -> None:
    kinds = noises()
    assert [kind.name for kind in kinds] == list(KINDS)
    for kind in kinds:
        one, other = (kind.frames(250, FRONT_END, rng) for _ in range(2))
        assert one.shape == (250, 64)
        assert np.isfinite(one).all()
        assert not np.array_equal(one, other), kind.name


def test_pink_and_brown_noise_fall_towards_high_frequencies(rng: np.random.Generator) -> None:
    def slope(name: str) -> float:
        (kind,) = (kind for kind in noises() if kind.name == name)
        frames = kind.frames(500, FRONT_END, rng).mean(0)
        return float(frames[40:].mean() - frames[5:20].mean())

    assert slope("brown noise") < slope("pink noise") < slope("white noise")


@pytest.mark.parametrize("decibels", [20.0, 0.0, -10.0])
def test_the_ratio_of_powers_is_what_was_asked_for(decibels: float, rng: np.random.Generator) -> None:
    voice, noise = rng.normal(5, 3, (200, 64)).astype(np.float32), rng.normal(-2, 2, (200, 64)).astype(np.float32)
    both = np.exp(beside(voice, noise, decibels).astype(np.float64))
    added = both - np.exp(voice.astype(np.float64))
    assert 10 * np.log10(np.exp(voice.astype(np.float64)).mean() / added.mean()) == pytest.approx(decibels, abs=0.05)


def test_mixing_in_the_mel_bands_is_close_to_mixing_the_waves(rng: np.random.Generator) -> None:
    voice = speech_like(4.0).astype(np.float64)
    noise = rng.normal(size=len(voice)) * 300
    frames = [log_mel(np.clip(np.rint(x), -32768, 32767).astype(np.int16)) for x in (voice, noise, voice + noise)]
    ratio = 10 * np.log10(np.exp(frames[0].astype(np.float64)).mean() / np.exp(frames[1].astype(np.float64)).mean())
    mixed = beside(frames[0], frames[1], float(ratio))
    apart = mixed - frames[2]
    # The product of the waves, which is left out, has mean zero: no band gets louder, though each frame differs a little.
    assert abs(np.exp(mixed).mean() / np.exp(frames[2]).mean() - 1) < 0.02
    assert np.abs(apart).mean() < 0.35
    assert abs(apart.mean()) < 0.1


def test_a_folder_is_a_kind_of_its_own(tmp_path: Path, rng: np.random.Generator) -> None:
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "street").mkdir()
    soundfile.write(tmp_path / "street" / "a.wav", rng.normal(0, 0.1, 8000), 16000)
    kinds = noises((tmp_path / "street",))
    assert kinds[-1].name == "street"
    assert kinds[-1].frames(300, FRONT_END, rng).shape == (300, 64), "what is shorter is repeated"
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="no sound"):
        noises((tmp_path / "other",))
    (tmp_path / "white noise").mkdir()
    soundfile.write(tmp_path / "white noise" / "a.wav", rng.normal(0, 0.1, 8000), 16000)
    with pytest.raises(UsageError, match="another kind is called white noise"):
        noises((tmp_path / "white noise",))
