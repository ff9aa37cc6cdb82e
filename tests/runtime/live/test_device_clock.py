"""Lost samples and drift, told by the clock alone."""

import numpy as np
import pytest

from voxface.runtime.live.device_clock import DeviceClock

RATE, BLOCK = 48_000, 480


def play(
    watch: DeviceClock, seconds: float, *, ppm: float = 0.0, jitter_ms: float = 5.0, stalls: dict[float, float]
) -> int:
    """Blocks as a device delivers them; `stalls`: at which second it loses so many seconds. Returns what was found missing."""
    rng = np.random.default_rng(1)
    found, lost, due = 0, 0.0, dict(stalls)
    for k in range(1, int(seconds * RATE / BLOCK) + 1):
        now = k * BLOCK / RATE / (1 + ppm * 1e-6)
        for at in [at for at in due if now + lost >= at]:
            lost += due.pop(at)
        now += lost + rng.exponential(jitter_ms / 1000)
        found += watch.feed(BLOCK, round(now * 1e9))
    return found


@pytest.mark.parametrize("jitter", [0.1, 5.0, 15.0])
def test_late_blocks_are_no_loss(jitter: float) -> None:
    assert play(DeviceClock(RATE), 60, jitter_ms=jitter, stalls={}) == 0


def test_a_silent_loss_is_found_once() -> None:
    watch = DeviceClock(RATE)
    found = play(watch, 30, stalls={10.0: 0.3})
    assert found == pytest.approx(0.3 * RATE, abs=0.01 * RATE)
    assert watch.lost_frames == found


@pytest.mark.parametrize("ppm", [-300.0, 0.0, 120.0])
def test_drift_is_measured_and_no_loss(ppm: float) -> None:
    watch = DeviceClock(RATE)
    assert play(watch, 600, ppm=ppm, jitter_ms=3, stalls={}) == 0
    assert watch.drift_ppm == pytest.approx(ppm, abs=5)


def test_too_early_to_say() -> None:
    watch = DeviceClock(RATE)
    play(watch, 5, stalls={})
    assert watch.drift_ppm is None
