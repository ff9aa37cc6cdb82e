"""A stream for programs: the events of `voxface live`, whatever the blocks, the sample rate and the type of the samples."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SAMPLES
from tests.stand_ins.live_session import Blocks, Notebook, PlainEstimator, cut, lines, noise, nothing, voice
from voxface.cli import main
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.errors import UsageError
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.events import (
    EngineFailed,
    FaceEstimated,
    Lost,
    Rejected,
    Skipped,
    StreamStarted,
    VoiceEnded,
)
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_inline
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.stop import Stop
from voxface.runtime.live.stream import Stream
from voxface.runtime.voice_to_face import VoiceToFace

MIXED = np.concatenate([nothing(0.6), voice()[:40_000], noise(1.1, 8), voice(1)[:30_000], nothing(0.5)])
# Lengths of blocks, empty ones too, in turn; not so short throughout that a test takes long.
SIZES = st.lists(st.integers(0, 9000), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 300 * len(sizes))
FEW = LiveConfig(hop=3200, mode="incremental")
Lines = list[dict[str, object]]


def opened(**more: int) -> Stream:
    return Stream(LiveSession(PlainEstimator()), **more)


@lru_cache
def of_a_session(face: VoiceToFace, config: LiveConfig) -> Lines:
    session = face.live_session(config)
    return lines(session.feed(MIXED) + session.finish())


@settings(max_examples=3, deadline=None)
@given(sizes=SIZES, as_float=st.booleans())
@pytest.mark.parametrize("config", [FEW, LiveConfig(hop=3200)], ids=["incremental", "exact"])
def test_events_are_those_of_a_session_whatever_the_blocks(
    voice_to_face: VoiceToFace, config: LiveConfig, sizes: list[int], as_float: bool
) -> None:
    samples = MIXED / np.float32(32768) if as_float else MIXED
    with voice_to_face.stream(config) as stream:
        events, at, turn = [], 0, 0
        while at < len(samples):
            size = sizes[turn % len(sizes)]
            events += stream.feed(samples[at : at + size])
            at, turn = at + size, turn + 1
        events += stream.finish()
    assert events[0] == StreamStarted(0, "program", 16_000, 1)
    assert lines(events[1:]) == of_a_session(voice_to_face, config)


@lru_cache
def of_a_run(rate: int) -> Lines:
    """What `voxface live` makes of a device of two channels at a rate."""
    notebook, clock = Notebook(), VirtualClock()
    pipeline = Pipeline(LiveSession(PlainEstimator()), clock)
    pipeline.sink_workers.append(SinkWorker(notebook, clock, "here", lambda _: None))
    run_inline(Blocks(cut(at_rate(rate), rate, source="program")), pipeline, Stop(), [])
    return notebook.lines()


@lru_cache
def at_rate(rate: int) -> np.ndarray:
    import soxr

    sound = soxr.resample(MIXED.astype(np.float32) / 32768, 16_000, rate).clip(-1, 0.99).astype(np.float32)
    return np.stack([sound, sound / 3], 1)


@settings(max_examples=5, deadline=None)
@given(sizes=SIZES)
@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_any_rate_gives_the_events_of_a_run(rate: int, sizes: list[int]) -> None:
    samples = at_rate(rate)
    ends = np.cumsum(np.resize(sizes, len(samples) // 300 * len(sizes)))
    blocks = np.split(samples, ends[ends < len(samples)])
    assert lines(list(opened(sample_rate=rate).events(blocks))) == of_a_run(rate)


@pytest.mark.parametrize("mode", ["exact", "incremental"])
def test_events_are_those_of_the_command_line(
    voice_to_face: VoiceToFace, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    """The whole way, defaults included: `LiveConfig(mode=...)` alone is what `--mode` is."""
    assert main(["live", "--source", str(SAMPLES[1]), "--mode", mode, "--show", "none", "--json-lines"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with voice_to_face.stream(LiveConfig(mode=mode)) as stream:
        ours = json.loads(json.dumps(lines(list(stream.events(read_blocks(SAMPLES[1]))))))
    assert said[0] == {**ours[0], "source": SAMPLES[1].name}
    assert [{k: v for k, v in each.items() if k != "latency_ms"} for each in said[1:]] == ours[1:]


def test_it_knows_the_newest_face_and_finishes_on_leaving() -> None:
    with opened() as stream:
        assert (stream.face, stream.position, stream.speaking) == (None, 0, False)
        stream.feed(voice()[:60_000])
        assert stream.speaking
        newest = stream.face
        assert newest is not None
        assert stream.position == 60_000
        assert stream.no_face is None
        assert stream.config == LiveConfig()
    assert not stream.speaking
    assert stream.face is not None
    assert stream.face.position > newest.position, "the last speech has got its estimate"
    assert stream.finish() == []
    with pytest.raises(UsageError, match="has ended"):
        stream.feed(voice())


def test_an_exception_ends_it_without_another_estimate() -> None:
    estimator, calls = PlainEstimator(), []
    stream = Stream(LiveSession(estimator))

    def hear() -> None:
        with stream:
            stream.feed(voice()[:60_000])
            calls.append(estimator.calls)
            raise KeyError

    with pytest.raises(KeyError):
        hear()
    assert calls == [estimator.calls]
    assert stream.finish() == []


def test_what_is_lost_is_an_event_and_moves_the_index() -> None:
    stream = opened(sample_rate=48_000)
    stream.feed(np.repeat(voice()[:20_000], 3))
    events = stream.feed(np.repeat(voice()[20_000:], 3), lost=48_000)
    lost = next(event for event in events if isinstance(event, Lost))
    assert (lost.end, lost.cause) == (36_000, "device overflow")
    assert any(isinstance(event, VoiceEnded) and event.end <= 20_000 for event in events)
    assert abs(stream.position - len(voice()) - 16_000) < 1000, "the resampler holds some back"
    with pytest.raises(UsageError, match="cannot be lost"):
        stream.feed(voice(), lost=-1)
    with pytest.raises(UsageError, match="cannot be lost; give a whole number"):
        stream.feed(voice(), lost=1.5)  # type: ignore[arg-type]
    stream.feed(nothing(0.1), lost=np.int64(160))  # type: ignore[arg-type]
    assert type(stream.position) is int


def test_what_is_no_sample_is_an_event() -> None:
    samples = voice() / np.float32(32768)
    samples[[5000, 6000]] = np.nan, 12_000
    events = opened().feed(samples)
    assert [event for event in events if isinstance(event, Rejected)] == [Rejected(5000, 6001, 2)]
    assert any(isinstance(event, FaceEstimated) for event in events)


def test_channels_do_not_change() -> None:
    stream = opened()
    stream.feed(voice()[:100])
    stream.feed(voice()[:100, None])
    with pytest.raises(UsageError, match="the stream has 1 channels, this block 2"):
        stream.feed(np.zeros((10, 2), np.int16))


def test_a_buffer_may_be_used_again() -> None:
    buffer, stream, events = np.empty(160, np.int16), opened(), []
    for at in range(0, len(MIXED) - 160, 160):
        buffer[:] = MIXED[at : at + 160]
        events += stream.feed(buffer)
        buffer[:] = 12_345
    whole = opened()
    assert lines(events) == lines(whole.feed(MIXED[: stream.position]))


def test_behind_leaves_estimates_out_and_failures_end_nothing() -> None:
    assert any(isinstance(event, Skipped) for event in opened().feed(voice(), behind=True))
    estimator = PlainEstimator()
    estimator.fails = lambda call: call < 30
    events = Stream(LiveSession(estimator)).feed(voice())
    assert sum(isinstance(event, EngineFailed) for event in events) == 29
    assert any(isinstance(event, FaceEstimated) for event in events)


def test_recordings_store_the_distance_that_was_used(tmp_path: Path) -> None:
    for mode, distance in (("exact", 0.0), ("incremental", 0.15)):
        config = LiveConfig(mode=mode)
        stored = config.to_json()
        assert (config.image_reuse_limit, stored["still"]) == (distance, distance)
        assert LiveConfig.from_json(stored).image_reuse_limit == distance
        assert LiveConfig.from_json(stored).to_json() == stored
    assert LiveConfig(mode="incremental", image_reuse_distance=0.0).image_reuse_limit == 0
