"""Updates at a fixed rate, in virtual time: what a stall costs, and whom."""

import numpy as np
import pytest

from tests.stand_ins.live_session import PlainEstimator, noise, nothing
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.session import LiveSession
from voxface.runtime.profile.paced import Loop, Paced, lead_in, run_paced
from voxface.runtime.profile.synthetic_voice import synthetic_voice
from voxface.runtime.profile.update_times import UpdateTimes
from voxface.runtime.timing.trace import Trace

CONFIG = LiveConfig(window=32_000)
VOICE = synthetic_voice(3.0)
PERIOD_MS = 100


def paced(blocks: int, seconds: float, stalls: dict[int, float] | None = None) -> tuple[Paced, UpdateTimes, Pipeline]:
    """A run in which an estimate takes so many seconds, and the k-th of the run as many as `stalls` say."""
    clock = VirtualClock()
    trace = Trace(clock.now_ns)
    estimator = PlainEstimator(clock, seconds)
    pipeline = Pipeline(LiveSession(estimator, CONFIG, trace=trace), clock)
    loop = Loop(VOICE, CONFIG.hop, "voice")
    lead_in(pipeline, loop)
    trace.drain()
    estimator.stalls = {estimator.calls + k: took for k, took in (stalls or {}).items()}
    times = UpdateTimes()
    found = run_paced(pipeline, loop, clock, blocks, watch=lambda: times.add(trace.drain()), cpu_ns=lambda: 0)
    return found, times, pipeline


def test_every_update_is_made_when_it_is_due() -> None:
    found, times, pipeline = paced(40, 0.02)
    assert found.response.count == times.service.count == found.blocks == 40
    assert times.service.percentile_ns(0.5) == pytest.approx(20e6, rel=2e-3)
    assert found.response.percentile_ns(0.99) == pytest.approx(20e6, rel=2e-3)
    assert found.wall_ns == 40 * found.period_ns + 20_000_000
    assert found.busy_ns == 40 * 20_000_000
    assert found.idle_wall_ns == found.wall_ns - found.busy_ns
    assert found.late_ns == [0.0] * 4
    assert pipeline.counters.to_json()["skipped_estimates"] == 0


def test_a_stall_is_charged_to_every_update_that_waited() -> None:
    """One update of a second: by service times it is one of forty, but ten more were late."""
    found, times, _ = paced(40, 0.02, {10: 1.0})
    assert times.service.percentile_ns(0.97) == pytest.approx(20e6, rel=2e-3)
    assert times.service.largest_ns == 10**9
    # The one that stalls responds after 1 s; each after it is due 100 ms later and takes 20 ms: 920, 840, ... 40, 20.
    late = sorted([1000 - k * (PERIOD_MS - 20) for k in range(13)] + [20] * 27)
    for share in (0.5, 0.75, 0.9, 0.99):
        exact = late[int(np.ceil(share * 40)) - 1]
        assert found.response.percentile_ns(share) / 1e6 == pytest.approx(exact, rel=2e-3)
    assert found.late_ns[1] > 100e6
    assert found.late_ns[3] == 0


def test_more_work_than_time_falls_further_and_further_behind() -> None:
    found, times, pipeline = paced(40, 0.15)
    assert found.busy_ns / (found.blocks * found.period_ns) == pytest.approx(1.5)
    assert found.late_ns == sorted(found.late_ns)
    assert found.response.largest_ns == pytest.approx(40 * 150e6 - 39 * 100e6)
    assert times.service.largest_ns == pytest.approx(150e6)
    assert pipeline.counters.to_json()["skipped_estimates"] == 0
    assert found.idle_wall_ns == 100_000_000  # for the first


def test_asked_to_stop() -> None:
    clock = VirtualClock()
    pipeline = Pipeline(LiveSession(PlainEstimator(), CONFIG), clock)
    loop = Loop(VOICE, CONFIG.hop, "voice")
    lead_in(pipeline, loop)
    found = run_paced(pipeline, loop, clock, 100, stop=lambda: clock.now_ns() >= 10**9)
    assert found.blocks == 10
    assert len(found.late_ns) == 1  # of four quarters it came to one


def test_asked_to_stop_while_the_window_fills() -> None:
    pipeline = Pipeline(LiveSession(PlainEstimator(), CONFIG), VirtualClock())
    asked = iter([False, True])
    with pytest.raises(NoSpeechError):
        lead_in(pipeline, Loop(VOICE, CONFIG.hop, "voice"), stop=lambda: next(asked))
    assert pipeline.session.position == CONFIG.hop


def test_filling_the_window_is_not_counted() -> None:
    pipeline = Pipeline(LiveSession(PlainEstimator(), CONFIG), VirtualClock())
    filled = lead_in(pipeline, Loop(VOICE, CONFIG.hop, "voice"))
    assert 1.8 <= filled <= 2.31
    assert pipeline.counters.estimates == 0
    little = np.concatenate([VOICE[:24_000], nothing(20.0)])
    pipeline = Pipeline(LiveSession(PlainEstimator(), LiveConfig(window=128_000)), VirtualClock())
    assert lead_in(pipeline, Loop(little, CONFIG.hop, "voice")) < 7


@pytest.mark.parametrize("samples", [nothing(3.0), noise(3.0, 300)])
def test_what_gets_no_face_cannot_be_measured(samples: np.ndarray) -> None:
    pipeline = Pipeline(LiveSession(PlainEstimator(), CONFIG), VirtualClock())
    with pytest.raises(NoSpeechError, match=r"that\.wav: no face to measure"):
        lead_in(pipeline, Loop(samples, CONFIG.hop, "that.wav"))


def test_a_loop_goes_on_across_its_end() -> None:
    samples = np.arange(1000, dtype=np.int16)
    loop = Loop(samples, 300, "numbers")
    blocks = [loop.block(0, 0) for _ in range(10)]
    assert [block.first for block in blocks] == list(range(0, 3000, 300))
    heard = np.concatenate([block.samples[:, 0] for block in blocks])
    np.testing.assert_array_equal(heard, np.tile(samples, 3))
    short = Loop(samples[:7], 20, "few")
    np.testing.assert_array_equal(short.block(0, 0).samples[:, 0], np.tile(samples[:7], 3)[:20])


@pytest.mark.parametrize("seed", range(3))
def test_the_synthetic_voice_is_speech_throughout(seed: int) -> None:
    """Its end joins its beginning as well: it is heard again and again."""
    voice = synthetic_voice(4.0, seed)
    pipeline = Pipeline(LiveSession(PlainEstimator(), CONFIG), VirtualClock())
    loop = Loop(voice, CONFIG.hop, "voice")
    for _ in range(120):
        pipeline.feed(loop.block(0, 0))
    counters = pipeline.counters.to_json()
    assert counters["estimates"] >= 109  # none in the first second
    assert counters["no_face"] == {}
    assert counters["speaker_changes"] == 0
    np.testing.assert_array_equal(voice, synthetic_voice(4.0, seed))
