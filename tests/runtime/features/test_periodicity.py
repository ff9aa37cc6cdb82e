"""How much of the newest speech is periodic: the decision is that of judging every frame, however little is judged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SAMPLES
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.features.periodicity import (
    BATCH_FRAMES,
    FRAME,
    LEAST_PERIODIC,
    PERIODIC,
    PeriodicityMeter,
    RunningPeriodicity,
    periodicity,
)

VOICE = np.concatenate(list(read_blocks(SAMPLES[0])))
HISS = np.random.default_rng(0).normal(0, 3000, len(VOICE)).astype(np.int16)
LONGEST = 64_000


def judged(sound: np.ndarray, newest: int) -> np.ndarray:
    """Of every frame of the newest samples, whether it is periodic."""
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    wanted = newest // FRAME
    return (periodicity(frames) > PERIODIC)[len(frames) - wanted :] if wanted else np.empty(0, bool)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30_000), st.integers(0, LONGEST)), min_size=1, max_size=15),
)
def test_the_decision_is_that_of_all_frames(parts: list[tuple[bool, int, int]]) -> None:
    """Voice and hiss in turns, so that the share crosses the limit now and then."""
    running, sound = RunningPeriodicity(LONGEST), np.empty(0, np.int16)
    for voiced, count, asked in parts:
        part = (VOICE if voiced else HISS)[:count]
        running.feed(part)
        sound = np.concatenate([sound, part])
        newest = min(asked, len(sound))
        flags, share = judged(sound, newest), running.share(newest)
        if not len(flags):
            assert share == 1.0
        elif flags.mean() < LEAST_PERIODIC:
            assert share == flags.mean(), "below the limit it is exact"
        else:
            assert share >= LEAST_PERIODIC


def test_frames_are_judged_in_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    running, sizes = RunningPeriodicity(128_000), []
    feed = PeriodicityMeter.feed

    def counted(self: PeriodicityMeter, samples: np.ndarray) -> np.ndarray:
        found = feed(self, samples)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(PeriodicityMeter, "feed", counted)
    sound = np.resize(VOICE, 320_000)
    for at in range(0, len(sound), 1600):
        running.feed(sound[at : at + 1600])
        if at >= 16_000:
            assert running.share(min(at + 1600, 128_000)) > 0.3
    assert sum(sizes) > 400
    assert min(sizes[1:]) >= BATCH_FRAMES, "after the first, which had to be known at once"


def test_it_remembers_a_window_and_no_more() -> None:
    running = RunningPeriodicity(64_000)
    for _ in range(40):
        running.feed(VOICE[:48_000])
        running.share(48_000)
    assert len(running._known) == 64_000 // FRAME
    assert sum(map(len, running._waiting)) < (BATCH_FRAMES + 1) * FRAME
