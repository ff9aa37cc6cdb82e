"""A pool of streams: the events that each would give alone, nobody forgotten or passed over, lateness from when it was due."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import PlainEstimator, lines, noise, voice
from voxface.runtime.config.live import LiveConfig, Mode
from voxface.runtime.engines.packing import PACKED
from voxface.runtime.errors import UsageError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import EngineFailed, Event, FaceEstimated, Skipped
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.stream_pool import Heard, StreamPool
from voxface.runtime.voice_to_face import VoiceToFace

HOP = 3200
HOP_NS = 200_000_000
SOUNDS = [
    voice(0)[8000:56_000],
    voice(1)[4000:52_000],
    np.concatenate([voice(1)[:20_000], noise(1, 8), voice(0)[:28_000]]),
]


class Time:
    """A clock that is set by hand; each look at it takes `step_ns`."""

    def __init__(self, step_ns: int = 0) -> None:
        self.ns, self.step_ns = 0, step_ns

    def __call__(self) -> int:
        self.ns += self.step_ns
        return self.ns


def alone(session: LiveSession, sound: np.ndarray) -> list[Event]:
    return [event for at in range(0, len(sound), HOP) for event in session.feed(sound[at : at + HOP])]


def pooled(pool: StreamPool[int], sounds: list[np.ndarray], time: Time) -> dict[int, list[Event]]:
    """Each sound by hops, all due together at the end of their hop."""
    events: dict[int, list[Event]] = {key: [] for key in range(len(sounds))}
    for at in range(0, max(map(len, sounds)), HOP):
        time.ns = at // HOP * HOP_NS
        for key, sound in enumerate(sounds):
            if len(sound) > at:
                pool.push(key, sound[at : at + HOP], time.ns)
        while heard := pool.turn():
            for each in heard:
                assert each.error is None
                events[each.key] += each.events
    return events


@pytest.mark.parametrize("mode", ["exact", "incremental"])
def test_events_are_those_of_each_stream_alone(face_estimator: FaceEstimator, mode: Mode) -> None:
    """To the last bit, pictures and meshes too, although encoders ran for several voices at once."""
    config = LiveConfig(mode=mode, hop=HOP)
    counts: list[tuple[str, int]] = []
    time = Time()
    pool: StreamPool[int] = StreamPool(time, counted=lambda graph, size: counts.append((graph, size)))
    for key in range(len(SOUNDS)):
        pool.open(key, LiveSession(face_estimator, config))
    together = pooled(pool, SOUNDS, time)
    sizes = {graph: {size for name, size in counts if name == graph} for graph in ("encoder", "face", "mesh")}
    assert max(sizes["encoder"]) > 1
    assert sizes["face"] == sizes["mesh"] == {1}
    for key, sound in enumerate(SOUNDS):
        expected = alone(LiveSession(face_estimator, config), sound)
        assert lines(together[key]) == lines(expected)
        faces = [
            [event.estimate for event in events if isinstance(event, FaceEstimated)]
            for events in (together[key], expected)
        ]
        assert len(faces[0]) > 5
        for ours, theirs in zip(*faces, strict=True):
            for name in ("embedding", "frame_embeddings", "coefficients", "image"):
                np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
            assert set(ours.stages_ns) == set(theirs.stages_ns)


ARRIVALS = st.lists(
    st.lists(st.integers(0, 50), max_size=12), min_size=1, max_size=7
)  # of each stream, the time from one piece to the next


@settings(max_examples=60, deadline=None)
@given(arrivals=ARRIVALS, most=st.integers(1, 4), busy=st.integers(0, 30))
def test_who_was_due_first_is_heard_first_and_nobody_is_forgotten(
    arrivals: list[list[int]], most: int, busy: int
) -> None:
    time = Time()
    pool: StreamPool[int] = StreamPool(time, most=most)
    waiting: list[tuple[int, int, int]] = []  # due, key, number of the piece
    for key, gaps in enumerate(arrivals):
        pool.open(key, LiveSession(PlainEstimator()))
        due = 0
        for number, gap in enumerate(gaps):
            due += gap
            pool.push(key, np.full(number + 1, 1, np.int16), due)
            waiting.append((due, key, number))
    total, turns = len(waiting), 0
    heard: dict[int, list[int]] = {key: [] for key in range(len(arrivals))}
    while (first := pool.next_due_ns) is not None:
        assert first == min(waiting)[0]
        if first > time.ns:
            assert pool.turn() == []  # not yet
            time.ns = first
        now = time.ns
        turn = pool.turn()
        turns += 1
        assert 1 <= len(turn) <= most
        assert len({each.key for each in turn}) == len(turn)  # one piece of each stream
        for each in turn:
            assert each.due_ns <= now
            assert each.late_ns == now - each.due_ns  # from when it was due, not from its turn
            place = next(w for w in sorted(waiting) if w[1] == each.key)
            assert place[0] == each.due_ns  # its own pieces in order
            waiting.remove(place)
            heard[each.key].append(each.due_ns)
        # What still waits was due later, or belongs to a stream that has had its turn.
        had = {each.key for each in turn}
        latest = max(each.due_ns for each in turn)
        if len(turn) == most:
            assert all(due >= latest for due, key, _ in waiting if key not in had)
        time.ns += busy
    assert waiting == []
    assert turns <= total
    assert all(one <= other for dues in heard.values() for one, other in pairwise(dues))


def test_a_stream_that_sends_much_holds_nobody_up() -> None:
    """Ten pieces of one stream, due before the one of another: that one waits for those due before it, and no longer."""
    time = Time()
    pool: StreamPool[str] = StreamPool(time, most=1)
    for key in ("much", "little"):
        pool.open(key, LiveSession(PlainEstimator()))
    for number in range(10):
        pool.push("much", np.zeros(160, np.int16), 10 * number)
    pool.push("little", np.zeros(160, np.int16), 25)
    time.ns = 1000
    order = [pool.turn()[0].key for _ in range(11)]
    assert order.index("little") == 3


def test_lateness_counts_until_a_stream_s_own_events_are_ready() -> None:
    time = Time(step_ns=5)
    pool: StreamPool[int] = StreamPool(time)
    for key in range(3):
        pool.open(key, LiveSession(PlainEstimator()))
        pool.push(key, np.zeros(160, np.int16), key)
    assert [each.late_ns for each in pool.turn()] == [10, 14, 18]  # looked at 5 for the turn, then at 10, 15 and 20


def test_a_stream_that_is_behind_leaves_estimates_out(voice_to_face: VoiceToFace) -> None:
    time = Time()
    sound = voice(0)[8000:40_000]
    found = {}
    for skips in (False, True):
        pool: StreamPool[int] = StreamPool(time, skip_when_behind=skips)
        pool.open(0, voice_to_face.live_session(LiveConfig(mode="incremental", hop=HOP)))
        for at in range(0, len(sound), HOP):
            pool.push(0, sound[at : at + HOP], at)
        time.ns = len(sound)
        events = [event for _ in range(len(sound) // HOP) for event in pool.turn()[0].events]
        found[skips] = sum(isinstance(event, Skipped) for event in events)
    assert found[False] == 0
    assert found[True] > 0


class Fragile:
    """An engine that refuses batches, or the inputs of one voice."""

    def __init__(self, engine: Any, refuses: Any) -> None:
        self._engine, self._refuses = engine, refuses

    def run(self, feeds: dict[str, np.ndarray], out: Any = None) -> Any:
        if self._refuses(feeds):
            raise RuntimeError("no more memory on the device")
        return self._engine.run(feeds, out)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


def fragile(refuses: Any) -> FaceEstimator:
    return FaceEstimator(threads=1, wrap=lambda name, engine: Fragile(engine, refuses) if name == "encoder" else engine)


def test_an_engine_that_takes_no_batch_is_given_its_parts() -> None:
    config, time = LiveConfig(mode="incremental", hop=HOP), Time()
    with fragile(lambda feeds: len(feeds["log_mel"]) > 1) as estimator, fragile(lambda feeds: False) as sound:
        pool: StreamPool[int] = StreamPool(time)
        for key in range(2):
            pool.open(key, LiveSession(estimator, config))
        together = pooled(pool, SOUNDS[:2], time)
        for key in range(2):
            assert lines(together[key]) == lines(alone(LiveSession(sound, config), SOUNDS[key]))


def test_what_one_voice_does_to_an_engine_is_no_other_s() -> None:
    """The first voice's second estimate fails; the other's are as ever, and the first one goes on."""
    config, time, calls = LiveConfig(hop=HOP), Time(), [0]

    def refuses(feeds: dict[str, np.ndarray]) -> bool:
        calls[0] += 1
        return bool((feeds["log_mel"][:, 0, 0] == marks[0]).any())

    marks = [np.float32("nan")]
    with fragile(refuses) as estimator:
        sessions = [LiveSession(estimator, config) for _ in range(2)]
        expected = alone(LiveSession(estimator, config), SOUNDS[1])
        seen: list[Any] = []
        with fragile(lambda feeds: seen.append(feeds["log_mel"][0, 0, 0]) is not None) as spy:
            alone(LiveSession(spy, config), SOUNDS[0])
        marks[0] = seen[1]
        pool: StreamPool[int] = StreamPool(time)
        for key, session in enumerate(sessions):
            pool.open(key, session)
        together = pooled(pool, SOUNDS[:2], time)
    assert [isinstance(event, EngineFailed) for event in together[0]].count(True) == 1
    assert isinstance(together[0][-1], FaceEstimated)
    assert lines(together[1]) == lines(expected)


def test_a_session_with_a_bug_ends_alone() -> None:
    time = Time()
    pool: StreamPool[str] = StreamPool(time)
    for key in ("well", "ill"):
        pool.open(key, LiveSession(PlainEstimator()))
        pool.push(key, np.zeros(160, np.int16) if key == "well" else np.zeros((2, 2), np.int16), 0)
    heard: dict[str, Heard[str]] = {each.key: each for each in pool.turn()}
    assert heard["well"].error is None
    assert isinstance(heard["ill"].error, ValueError)
    assert len(pool) == 1
    with pytest.raises(UsageError, match="no stream 'ill'"):
        pool.push("ill", np.zeros(160, np.int16), 1)


def test_finishing_hears_what_waits(voice_to_face: VoiceToFace) -> None:
    config, sound, time = LiveConfig(hop=HOP), voice(0)[8000:40_000], Time()
    pool: StreamPool[str] = StreamPool(time, packed=PACKED)
    pool.open("a", voice_to_face.live_session(config))
    pool.push("a", sound[:30_000], 0)
    pool.push("a", sound[30_000:], 1)
    events = pool.turn()[0].events + pool.finish("a")
    session = voice_to_face.live_session(config)
    assert lines(events) == lines(session.feed(sound) + session.finish())
    assert len(pool) == 0
    assert pool.next_due_ns is None


def test_what_cannot_be_is_refused(voice_to_face: VoiceToFace) -> None:
    pool = voice_to_face.stream_pool()
    pool.open("a", LiveSession(PlainEstimator()))
    with pytest.raises(UsageError, match="'a' already"):
        pool.open("a", LiveSession(PlainEstimator()))
    pool.push("a", np.zeros(1, np.int16), 5)
    with pytest.raises(UsageError, match="due before"):
        pool.push("a", np.zeros(1, np.int16), 4)
    with pytest.raises(UsageError, match="0 streams"):
        voice_to_face.stream_pool(most=0)
    pool.close("a")
    pool.close("a")
    assert pool.turn() == []
