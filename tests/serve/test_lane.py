"""Sessions that share engines: each gets, bit for bit, what it gets alone, in whatever order their turns come."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.engine import Array
from voxface.runtime.engines.passing import PassingEngine
from voxface.runtime.engines.steps import Steps
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import Clock, SystemClock
from voxface.runtime.live.events import FaceEstimated, Lost, Skipped
from voxface.serve.batching_engine import Batches
from voxface.serve.lane import Lane
from voxface.serve.protocol.hello import Hello
from voxface.serve.served_stream import ServedStream, Turn
from voxface.serve.state.sound_queue import Piece

CLIPS = [np.concatenate(list(read_blocks(path))) for path in SAMPLES]


class Delivered:
    """What lanes deliver, by stream."""

    def __init__(self) -> None:
        self.turns: dict[ServedStream, list[Turn]] = {}

    def __call__(self, stream: ServedStream, turn: Turn) -> None:
        self.turns.setdefault(stream, []).append(turn)

    def over(self, stream: ServedStream) -> bool:
        return any(turn.last for turn in self.turns.get(stream, []))

    def faces(self, stream: ServedStream) -> list[FaceEstimated]:
        return [e for turn in self.turns.get(stream, []) for e in turn.events if isinstance(e, FaceEstimated)]

    def kinds(self, stream: ServedStream) -> list[str]:
        return [event.kind for turn in self.turns.get(stream, []) for event in turn.events]


def stream_of(
    estimator: FaceEstimator, *, pace: str = "wait", mode: str = "incremental", waiting_s: float = 60.0
) -> ServedStream:
    hello = Hello(pace=pace, mode=mode, updates_per_s=4.0)  # type: ignore[arg-type]
    return ServedStream(hello, estimator, estimator.bundle, longest=round(waiting_s * 16_000), now_ns=time.monotonic_ns)


def sound_of(number: int) -> NDArray[np.int16]:
    """Three seconds of one of the voices, another stretch for each session."""
    clip = CLIPS[number % 2]
    at = number * 1999 % (len(clip) - 48_000)
    return clip[at : at + 48_000, None]


def bits(events: list[FaceEstimated]) -> list[tuple[int, bytes, bytes, bytes]]:
    return [
        (e.position, e.estimate.embedding.tobytes(), e.estimate.coefficients.tobytes(), e.estimate.image.tobytes())
        for e in events
    ]


def alone(estimator: FaceEstimator, number: int, mode: str) -> tuple[list[str], list[tuple[int, bytes, bytes, bytes]]]:
    stream = stream_of(estimator, mode=mode)
    stream.queue.push(sound_of(number), 0)
    stream.queue.finish()
    delivered = Delivered()
    while (piece := stream.next_piece()) is not None:
        delivered(stream, stream.work(piece))
    return delivered.kinds(stream), bits(delivered.faces(stream))


def wait_for(delivered: Delivered, streams: list[ServedStream]) -> None:
    until = time.monotonic() + 120
    while not all(map(delivered.over, streams)):
        assert time.monotonic() < until, "a session does not end"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def estimator() -> FaceEstimator:
    return FaceEstimator(threads=1)


@pytest.mark.parametrize("mode", ["incremental", "exact"])
def test_twenty_interleaved_sessions_give_bit_for_bit_what_each_gives_alone(
    estimator: FaceEstimator, mode: str
) -> None:
    numbers = range(20 if mode == "incremental" else 6)
    wanted = [alone(estimator, number, mode) for number in numbers]
    assert all(len(faces) >= 4 for _, faces in wanted)
    assert len({faces[-1][1] for _, faces in wanted}) == len(wanted), "each has a face of its own"
    delivered = Delivered()
    lane = Lane(SystemClock(), delivered)
    streams = [stream_of(estimator, mode=mode) for _ in numbers]
    rng = np.random.default_rng(1)
    left = dict.fromkeys(numbers, 0)
    for stream in streams:
        lane.open(stream)
    while left:  # blocks of any length, of any session
        number = int(rng.choice(list(left)))
        at, length = left[number], int(rng.integers(1, 4000))
        lane.push(streams[number], sound_of(number)[at : at + length])
        left[number] += length
        if left[number] >= 48_000:
            lane.finish(streams[number])
            del left[number]
    wait_for(delivered, streams)
    lane.close()
    for number, (kinds, faces) in zip(numbers, wanted, strict=True):
        assert delivered.kinds(streams[number]) == kinds
        assert bits(delivered.faces(streams[number])) == faces, number


def test_batches_are_really_made_and_change_next_to_nothing(estimator: FaceEstimator) -> None:
    """A kernel may add in another order for several voices at once, so bits are not promised here."""
    sizes: list[tuple[str, int]] = []
    clock: Clock = SystemClock()
    batches = Batches(clock, 0.05, counted=lambda graph, size: sizes.append((graph, size)))
    with FaceEstimator(threads=1, wrap=batches.wrap) as batched:
        delivered = Delivered()
        lane = Lane(clock, delivered, workers=4, batches=batches)
        streams = [stream_of(batched) for _ in range(8)]
        for number, stream in enumerate(streams):
            lane.open(stream)
            lane.push(stream, sound_of(number))
            lane.finish(stream)
        wait_for(delivered, streams)
        lane.close()
    for number, stream in enumerate(streams):
        kinds, faces = alone(estimator, number, "incremental")
        assert delivered.kinds(stream) == kinds
        for (position, *ours), (wanted, *theirs) in zip(bits(delivered.faces(stream)), faces, strict=True):
            assert position == wanted
            for one, other in zip(ours[:2], theirs[:2], strict=True):
                np.testing.assert_allclose(np.frombuffer(one, "f4"), np.frombuffer(other, "f4"), atol=1e-5)
    assert {graph for graph, _ in sizes} == {"encoder", "face", "mesh"}
    assert max(size for _, size in sizes) > 1


def test_sessions_that_wait_together_share_runs_of_the_encoder(default_bundle: Bundle) -> None:
    """All wait before the lane begins; the bits are those of each alone."""
    sizes: list[int] = []

    class Counted(PassingEngine):
        def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
            sizes.append(len(feeds["log_mel"]))
            return super().run(feeds, out)

    wrap = lambda name, engine: Counted(engine) if name == "encoder" else engine  # noqa: E731
    with FaceEstimator(default_bundle, threads=1, wrap=wrap) as estimator:
        delivered = Delivered()
        clock = SystemClock()
        gate = threading.Event()
        lane = Lane(clock, lambda stream, turn: (gate.wait(), delivered(stream, turn))[-1])
        streams = [stream_of(estimator) for _ in range(5)]
        for number, stream in enumerate(streams):
            lane.open(stream)
            lane.push(stream, sound_of(number))
            lane.finish(stream)
        gate.set()
        wait_for(delivered, streams)
        lane.close()
        assert max(sizes) > 1
        for number, stream in enumerate(streams):
            kinds, faces = alone(estimator, number, "incremental")
            assert delivered.kinds(stream) == kinds
            assert bits(delivered.faces(stream)) == faces


def test_a_session_that_fails_ends_alone(estimator: FaceEstimator, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = Delivered()
    lane = Lane(SystemClock(), delivered)
    bad, good = stream_of(estimator), stream_of(estimator)

    def broken(piece: Piece) -> Steps[Turn]:
        raise RuntimeError("a bug that this sound finds")
        yield  # a generator, as what it stands for

    monkeypatch.setattr(bad, "work_steps", broken)
    for number, stream in enumerate((bad, good)):
        lane.open(stream)
        lane.push(stream, sound_of(number))
        lane.finish(stream)
    wait_for(delivered, [bad, good])
    lane.close()
    assert delivered.turns[bad][0].failed == "RuntimeError"
    assert delivered.faces(good)


def test_a_session_that_was_closed_has_no_turn_any_more(estimator: FaceEstimator) -> None:
    delivered = Delivered()
    lane = Lane(SystemClock(), delivered)
    stream, other = stream_of(estimator), stream_of(estimator)
    lane.open(stream)
    lane.close_session(stream)
    lane.close_session(stream)
    assert lane.sessions == 0
    lane.push(stream, sound_of(0))
    lane.open(other)
    lane.push(other, sound_of(1))
    lane.finish(other)
    wait_for(delivered, [other])
    lane.close()
    assert stream not in delivered.turns


def test_too_much_sound_is_dropped_oldest_first_and_told_with_its_samples(estimator: FaceEstimator) -> None:
    stream = stream_of(estimator, pace="live", waiting_s=2.0)
    for at in range(0, 48_000, 4800):
        stream.queue.push(sound_of(0)[at : at + 4800], at)
    stream.queue.finish()
    events = []
    while (piece := stream.next_piece()) is not None:
        events += stream.work(piece).events
    assert [(e.start, e.end, e.cause) for e in events if isinstance(e, Lost)] == [(0, 16_000, "queue full")]
    assert stream.position == 48_000
    assert any(isinstance(e, Skipped) for e in events), "what is behind leaves estimates out"


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=30))
def test_answers_do_not_depend_on_how_sound_is_cut(estimator: FaceEstimator, lengths: list[int]) -> None:
    whole = alone(estimator, 3, "incremental")
    stream, delivered, at = stream_of(estimator), Delivered(), 0
    for length in [*lengths, 48_000]:
        stream.queue.push(sound_of(3)[at : at + length], 0)
        at += length
        piece = stream.next_piece()
        if piece is not None:
            delivered(stream, stream.work(piece))
    stream.queue.finish()
    while (piece := stream.next_piece()) is not None:
        delivered(stream, stream.work(piece))
    assert (delivered.kinds(stream), bits(delivered.faces(stream))) == whole
