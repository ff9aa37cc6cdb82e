"""Threads, queues and sinks on virtual time: faults, overload, stopping. Nothing hangs, nothing is lost silently."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.stand_ins.live_session import Blocks, Notebook, PlainEstimator, cut, lines, noise, nothing, voice
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock, SystemClock, VirtualClock
from voxface.runtime.live.events import FaceEstimated, Lost
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_inline, run_threaded
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.stop import Stop
from voxface.runtime.live.summary import summary

TALK = np.concatenate([nothing(0.5), voice(), noise(1, 8), voice(1), nothing(1)])


def live(
    blocks: list[Block],
    estimator: PlainEstimator | None = None,
    *,
    clock: Clock | None = None,
    notebook: Notebook | None = None,
    stop: Stop | None = None,
    queue_s: float = 10.0,
) -> tuple[Pipeline, Notebook]:
    clock = clock or VirtualClock()
    notebook = notebook or Notebook()
    pipeline = Pipeline(LiveSession(estimator or PlainEstimator()), clock)
    pipeline.sink_workers.append(SinkWorker(notebook, clock, "thread", pipeline.stage_histograms.stages["sink"].add))
    run_threaded(Blocks(blocks, clock), pipeline, clock, stop or Stop(), [], queue_s=queue_s)
    return pipeline, notebook


def account(notebook: Notebook, end: int) -> None:
    """Every sample up to `end` was heard or told lost, in order."""
    place = 0
    spans = [(a.start, a.start + len(a.samples)) for a in notebook.heard]
    spans += [(t.event.start, t.event.end) for t in notebook.told if isinstance(t.event, Lost)]
    for start, stop in sorted(spans):
        assert start == place
        place = stop
    assert place == end


def test_without_waiting_and_in_real_time_are_the_same() -> None:
    fast, slow = Notebook(), Notebook()
    for _ in range(2):
        inline = Pipeline(LiveSession(PlainEstimator()), VirtualClock())
        fast = Notebook()
        inline.sink_workers.append(SinkWorker(fast, VirtualClock(), "here", lambda _: None))
        run_inline(Blocks(cut(TALK)), inline, Stop(), [])
        _, slow = live(cut(TALK))
        assert fast.lines() == slow.lines()
    assert fast.closed == slow.closed == 1
    assert sum(line["event"] == "face" for line in fast.lines()) > 100


def test_the_stages_of_an_estimate() -> None:
    clock = VirtualClock()
    pipeline, notebook = live(cut(TALK), PlainEstimator(clock, seconds=0.004), clock=clock)
    faces = [told for told in notebook.told if isinstance(told.event, FaceEstimated)]
    for told in faces[:-1]:
        assert told.latency_ns is not None
        assert set(told.latency_ns) == {
            *("capture", "queue", "intake", "vad", "features", "gate", "encoder", "face", "mesh", "watch", "total")
        }
        assert 0 <= told.latency_ns["capture"] <= 20_000_000  # the block it waited for
        assert 4_000_000 <= told.latency_ns["total"] <= 25_000_000
    milliseconds = pipeline.stage_histograms.milliseconds()
    assert 4 <= milliseconds["total"]["p50"] <= 25
    assert milliseconds["sink"]["p99"] >= 0


def test_a_stall_of_five_seconds_is_caught_up_without_loss() -> None:
    clock, estimator = VirtualClock(), PlainEstimator()
    estimator._clock = clock
    estimator.stalls = {20: 5.0}
    pipeline, notebook = live(cut(TALK), estimator, clock=clock)
    account(notebook, len(TALK))
    counters = pipeline.counters.to_json()
    assert counters["lost"] == {}
    assert counters["skipped_estimates"] > 10
    assert counters["dropped_blocks"] == 0
    assert 4000 < counters["longest_queue_ms"] < 6000


def test_a_stall_longer_than_the_queue_loses_the_oldest_and_says_so() -> None:
    clock, estimator = VirtualClock(), PlainEstimator()
    estimator._clock = clock
    estimator.stalls = {20: 5.0}
    pipeline, notebook = live(cut(TALK), estimator, clock=clock, queue_s=2.0)
    account(notebook, len(TALK))
    lost = pipeline.counters.to_json()["lost"]["queue full"]
    assert lost["count"] == 1
    assert lost["samples"] == pytest.approx(3 * 16_000, abs=3200)
    assert pipeline.counters.edges["dropped_blocks"] * 320 == lost["samples"]
    assert pipeline.session.position == len(TALK)


def test_an_engine_slower_than_the_hop_still_shows_faces() -> None:
    clock = VirtualClock()
    pipeline, notebook = live(cut(TALK), PlainEstimator(clock, seconds=0.35), clock=clock)
    account(notebook, len(TALK))
    counters = pipeline.counters.to_json()
    assert counters["lost"] == {}
    assert counters["estimates"] > 20
    assert counters["skipped_estimates"] > counters["estimates"]


def test_an_engine_that_always_fails_ends_the_run_with_a_reason() -> None:
    estimator = PlainEstimator()
    estimator.fails = lambda call: call > 3
    notebook = Notebook()
    with pytest.raises(ProviderError, match=r"20 times in a row.*no more memory"):
        live(cut(TALK), estimator, notebook=notebook)
    assert sum(line["event"] == "engine-failed" for line in notebook.lines()) == 20
    assert notebook.closed == 1


def test_an_engine_that_fails_once_goes_on() -> None:
    estimator = PlainEstimator()
    estimator.fails = lambda call: call == 5
    pipeline, _ = live(cut(TALK), estimator)
    assert pipeline.counters.to_json()["engine_failures"] == 1
    assert pipeline.counters.to_json()["estimates"] == estimator.calls - 1


def test_a_source_that_fails_is_told_after_everything_was_flushed() -> None:
    class Broken(Blocks):
        def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
            super().run(deliver, stop)
            raise InputError("the disk is gone")

    clock, notebook = VirtualClock(), Notebook()
    pipeline = Pipeline(LiveSession(PlainEstimator()), clock)
    pipeline.sink_workers.append(SinkWorker(notebook, clock, "thread", lambda _: None))
    with pytest.raises(InputError, match="the disk is gone"):
        run_threaded(Broken(cut(voice()), clock), pipeline, clock, Stop(), [])
    account(notebook, len(voice()))
    assert notebook.closed == 1


def test_a_slow_sink_gets_the_newest_faces_and_every_other_event() -> None:
    clock = VirtualClock()
    notebook = Notebook(clock, keeps_all=False, slow_s=0.5)
    pipeline, _ = live(cut(TALK), clock=clock, notebook=notebook)
    told = notebook.lines()
    everything = pipeline.counters
    assert everything.edges["notebook_superseded"] > 50
    assert (
        sum(line["event"] == "face" for line in told) + everything.edges["notebook_superseded"]
        == (everything.to_json()["estimates"])
    )
    assert [line for line in told if line["event"] == "face"][-1]["position"] == pipeline.last.position
    for kind, count in everything.events.items():
        if kind != "face":
            assert sum(line["event"] == kind for line in told) == count


def test_a_sink_that_breaks_ends_alone() -> None:
    clock = VirtualClock()
    broken, whole = Notebook(), Notebook()
    broken.breaks = True
    pipeline = Pipeline(LiveSession(PlainEstimator()), clock)
    pipeline.sink_workers += [SinkWorker(sink, clock, "thread", lambda _: None) for sink in (broken, whole)]
    run_threaded(Blocks(cut(TALK), clock), pipeline, clock, Stop(), [])
    assert isinstance(pipeline.sink_workers[0].error, OSError)
    assert pipeline.counters.edges["notebook_failed"] == 1
    assert broken.closed >= 1
    account(whole, len(TALK))


@pytest.mark.parametrize("at_s", [0.0, 0.3, 2.0, 9.0])
def test_stopping_flushes_in_every_state(at_s: float) -> None:
    clock, stop, notebook = VirtualClock(), Stop(), Notebook()

    def ask() -> None:
        clock.sleep(at_s)
        stop.request("SIGTERM")

    asking = clock.start(ask, "asking")
    pipeline, _ = live(cut(TALK), clock=clock, stop=stop, notebook=notebook)
    asking.join()
    document = summary(pipeline, stop.reason or "")
    assert document["ended"] == "SIGTERM"
    account(notebook, pipeline.session.position)
    assert pipeline.session.position == pytest.approx(at_s * 16_000, abs=1700)
    assert clock.now_ns() < (at_s + 1) * 1e9
    assert notebook.closed == 1


def test_a_source_that_never_returns_does_not_keep_the_rest() -> None:
    class Stuck(Blocks):
        def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
            super().run(deliver, Stop())
            VirtualClock.sleep(clock, 100)

    clock, stop, notebook = VirtualClock(), Stop(), Notebook()
    pipeline = Pipeline(LiveSession(PlainEstimator()), clock)
    pipeline.sink_workers.append(SinkWorker(notebook, clock, "thread", lambda _: None))
    run_threaded(Stuck(cut(voice()), clock), pipeline, clock, stop, [], limit_s=9)
    account(notebook, len(voice()))
    assert stop.reason == "time is up"
    assert stop.early is None


def test_odd_blocks() -> None:
    """Nothing, 60 s at once, and 96 kHz stereo float, one after another."""
    import soxr

    high = soxr.resample((voice() / 32768).astype(np.float32), 16_000, 96_000)
    blocks = [Block(np.empty((0, 1), np.int16), 16_000, 0, 0)]
    blocks += [Block(np.tile(voice(), 8)[: 60 * 16_000, None], 16_000, 60 * 10**9, 60 * 10**9)]
    blocks += cut(np.repeat(high[:, None], 2, 1), 96_000, stream=1, began_ns=60 * 10**9)
    pipeline, notebook = live(blocks)
    account(notebook, pipeline.session.position)
    assert pipeline.session.position == pytest.approx(68 * 16_000, abs=4)
    assert pipeline.counters.to_json()["lost"]["queue full"]["samples"] == 50 * 16_000
    assert pipeline.counters.edges["empty_blocks"] == 1
    assert pipeline.counters.to_json()["estimates"] > 60


def test_with_the_system_clock_too() -> None:
    blocks = cut(voice()[:24_000])
    clock = SystemClock()
    began = clock.now_ns()
    moved = [Block(b.samples, b.rate, began + b.captured_ns, began + b.arrived_ns, first=b.first) for b in blocks]
    pipeline, notebook = live(moved, clock=clock)
    account(notebook, 24_000)
    assert pipeline.last is not None


def test_counters_stay_small() -> None:
    pipeline = Pipeline(LiveSession(PlainEstimator()), VirtualClock())
    for k in range(1000):
        pipeline.counters.count(Lost(10 * k, 10 * k + 5, "queue full"))
    told = pipeline.counters.to_json()["lost"]["queue full"]
    assert (told["count"], told["samples"], len(told["ranges"]), told["last"]) == (1000, 5000, 20, [9990, 9995])


def test_a_session_of_its_own_says_the_same() -> None:
    session = LiveSession(PlainEstimator())
    direct = lines(session.feed(TALK) + session.finish())
    _, notebook = live(cut(TALK, block_s=0.013))
    assert [line for line in notebook.lines() if line["event"] != "stream-started"] == direct
