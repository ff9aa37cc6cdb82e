"""Pitch and length of the vocal tract, as heard."""

import numpy as np
import pytest

from tests.conftest import speech_like
from tests.stand_ins.small_worlds import voice
from voxface.runtime.audio.resample import to_int16
from voxface.training.data.voice_augmentation import change_speed
from voxface.training.world.speaker import Speaker
from voxface.training.world.synthetic_voice import synthesise
from voxface.training.world.voice_cues import measure_voice_cues

AUDIO = speech_like(3.0)


@pytest.mark.parametrize(
    ("sex", "f0", "tracts"), [("female", 210.0, (13.0, 14.1, 15.2)), ("male", 120.0, (15.6, 16.9, 18.2))]
)
def test_the_measured_tract_follows_the_true_one(sex: str, f0: float, tracts: tuple[float, ...]) -> None:
    found = []
    for k, tract in enumerate(tracts):
        rng = np.random.default_rng(k)
        speaker = Speaker(sex, f0, 7.0, tract)  # type: ignore[arg-type]
        found.append(measure_voice_cues(to_int16(synthesise(speaker, 6.0, rng))).tract_cm)
    np.testing.assert_allclose(found, tracts, rtol=0.09)
    assert 0.7 < np.polyfit(tracts, found, 1)[0] < 1.3


def test_a_voice_played_faster_has_a_shorter_tract() -> None:
    samples = to_int16(voice(1, 6.0))
    slow, fast = (measure_voice_cues(change_speed(samples, speed)) for speed in (1.0, 1.1))
    assert fast.tract_cm / slow.tract_cm == pytest.approx(1 / 1.1, rel=0.03)
    assert fast.f0_hz / slow.f0_hz == pytest.approx(1.1, rel=0.03)


def test_cues_follow_anatomy() -> None:
    rng = np.random.default_rng(4)
    cues = {}
    for sex in ("female", "male"):
        speakers = [Speaker.sample(rng, sex) for _ in range(5)]  # type: ignore[arg-type]
        found = [measure_voice_cues((synthesise(s, 5, rng) * 32767).astype(np.int16)) for s in speakers]
        for speaker, cue in zip(speakers, found, strict=True):
            assert cue.f0_hz == pytest.approx(speaker.f0_hz, rel=0.12)
        cues[sex] = np.mean([c.tract_cm for c in found])
    assert cues["male"] > cues["female"] + 1


def test_too_little_voice_has_no_cues() -> None:
    with pytest.raises(ValueError, match="few"):
        measure_voice_cues(AUDIO[:300])
    with pytest.raises(ValueError, match="periodic"):
        measure_voice_cues(np.random.default_rng(0).normal(0, 1000, 16_000).astype(np.int16))
