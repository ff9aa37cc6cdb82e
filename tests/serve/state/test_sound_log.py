"""The sound that a session goes on with where its replica is lost: nothing twice, and nothing missing but what is told."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.live.block import QUEUE_FULL
from voxface.serve.state.sound_log import NS, Entry, Gap, Sound, SoundLog
from voxface.serve.state.sound_queue import HURRY, OF_CLIENT

RATE = 1000
ALL = 1 << 30


def numbered(first: int, count: int) -> np.ndarray:  # type: ignore[type-arg]
    """Frames whose samples are their numbers."""
    return np.arange(first, first + count, dtype=np.float32)[:, None]


def frames_of(entries: list[Entry], first: int = 0) -> tuple[list[int], int]:
    """Numbers of the frames that can be heard, checked against their places, and the number of the next one."""
    heard: list[int] = []
    for entry in entries:
        if isinstance(entry, Gap):
            first += entry.frames
            continue
        numbers = [int(value) for value in entry.samples[:, 0]]
        assert numbers == list(range(first, first + len(numbers)))
        heard += numbers
        first += len(numbers)
    return heard, first


def test_what_is_new_is_sent_once_and_losses_in_their_places() -> None:
    log = SoundLog(RATE, ALL, 0)
    log.push(numbered(0, 10), 0)
    assert frames_of(log.unsent()) == (list(range(10)), 10)
    assert log.unsent() == []
    log.lose(5)
    log.push(numbered(15, 5), 0)
    assert [type(entry) for entry in log.unsent()] == [Gap, Sound]
    log.finish()
    assert log.push(numbered(20, 5), 0) == 0
    log.lose(5)
    assert (log.unsent(), log.received, log.waiting) == ([], 20, 20)


def test_another_goes_on_where_what_was_told_ends() -> None:
    log = SoundLog(RATE, ALL, 8)
    log.push(numbered(0, 10), 0)
    log.push(numbered(10, 10), 0)
    log.unsent()
    log.hear(18)
    log.push(numbered(20, 4), 0)
    recall = log.recall()
    assert (recall.first, recall.heard, recall.lost) == (10, 8, 0)
    assert frames_of(recall.entries, 10) == (list(range(10, 24)), 24)
    assert log.unsent() == []
    log.hear(12)
    assert log.heard == 18, "a report that comes late takes nothing back"


def test_what_waits_too_long_is_dropped_and_told() -> None:
    log = SoundLog(RATE, 10, 5)
    log.push(numbered(0, 6), 0)
    log.unsent()
    assert log.push(numbered(6, 6), 0) == 0
    assert log.push(numbered(12, 6), 0) == 0, "what was sent is not dropped by being forgotten here"
    assert log.push(numbered(18, 6), 0) == 6
    entries = log.unsent()
    assert entries[0] == Gap(6, QUEUE_FULL)
    assert frames_of(entries, 6) == (list(range(12, 24)), 24)
    assert log.recall().lost == 12
    assert log.full


def test_a_client_that_is_to_wait() -> None:
    log = SoundLog(RATE, 10, 5)
    log.push(numbered(0, 10), 0)
    assert log.full
    log.hear(1)
    assert not log.full


def test_when_frames_were_due() -> None:
    log = SoundLog(RATE, ALL, ALL)
    log.push(numbered(0, 1000), 5 * NS)
    log.push(numbered(1000, 1000), 5 * NS)  # at once, though it takes a second to say
    log.push(numbered(2000, 1000), 9 * NS)
    assert log.due_ns(1000) == 5 * NS
    assert log.due_ns(750) == 4.75 * NS
    assert log.due_ns(2000) == 5 * NS + round(NS / HURRY)
    assert log.due_ns(3000) == 9 * NS
    assert SoundLog(RATE, 1, 1).due_ns(10) == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["push", "lose", "send", "hear", "lost"]), st.integers(1, 30)),
        min_size=5,
        max_size=60,
    ),
    st.integers(1, 60),
    st.integers(0, 60),
)
def test_each_replica_gets_every_frame_once_or_is_told_that_it_is_gone(
    steps: list[tuple[str, int]], longest: int, kept: int
) -> None:
    log = SoundLog(RATE, longest, kept)
    at = 0  # of the replica: number of the next frame
    sound = set[int]()
    for what, count in steps:
        if what == "push":
            sound |= set(range(log.received, log.received + count))
            log.push(numbered(log.received, count), 0)
        elif what == "lose":
            log.lose(count)
        elif what == "send":
            _, at = frames_of(log.unsent(), at)
            assert at == log.received
        elif what == "hear":
            log.hear(min(at, log.heard + count))
        else:
            recall = log.recall()
            heard, at = frames_of(recall.entries, recall.first)
            assert at == log.received
            assert set(heard) == {frame for frame in sound if frame >= recall.first}
            assert recall.first + recall.heard == max(log.heard, recall.first)
            assert recall.lost == max(0, recall.first - log.heard)
        assert log.frames <= kept + longest + 30
    assert all(cause in (QUEUE_FULL, OF_CLIENT) for cause in [e.cause for e in log.unsent() if isinstance(e, Gap)])
