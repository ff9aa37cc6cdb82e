"""Sound that waits: nothing changes its place, the oldest is dropped, and what was dropped is told where it was."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxface.serve.state.sound_queue import NS, SoundQueue

RATE = 1000


def numbered(first: int, count: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int16]]":
    return np.arange(first, first + count, dtype=np.int16)[:, None]


def test_turns_join_blocks_up_to_a_hop() -> None:
    queue = SoundQueue(RATE, 1000)
    for at in range(0, 300, 100):
        queue.push(numbered(at, 100), at)
    piece = queue.take(250, 1000)
    assert piece is not None
    assert (piece.first, len(piece.samples), piece.lost, piece.last) == (0, 250, (), False)
    piece = queue.take(250, 1000)
    assert piece is not None
    assert piece.samples[:, 0].tolist() == list(range(250, 300))
    assert queue.take(250, 1000) is None


def test_the_oldest_is_dropped_and_the_next_piece_says_so() -> None:
    queue = SoundQueue(RATE, 250)
    assert queue.push(numbered(0, 200), 0) == 0
    assert queue.push(numbered(200, 200), 0) == 150
    piece = queue.take(1000, 1000)
    assert piece is not None
    assert piece.lost == (("queue full", 150),)
    assert piece.first == 150
    assert piece.samples[:, 0].tolist() == list(range(150, 400))
    assert (queue.waiting, queue.dropped, queue.received) == (0, 150, 400)


def test_a_block_alone_may_be_too_long() -> None:
    queue = SoundQueue(RATE, 100)
    assert queue.push(numbered(0, 1000), 0) == 900
    piece = queue.take(1000, 1000)
    assert piece is not None
    assert piece.samples[:, 0].tolist() == list(range(900, 1000))


def test_what_a_client_lost_is_not_joined() -> None:
    queue = SoundQueue(RATE, 1000)
    queue.push(numbered(0, 100), 0)
    queue.lose(50)
    queue.push(numbered(150, 100), 0)
    first, second = queue.take(1000, 1000), queue.take(1000, 1000)
    assert first is not None
    assert second is not None
    assert len(first.samples) == 100
    assert (second.first, second.lost) == (150, (("device overflow", 50),))


def test_the_end_is_told_once_and_after_the_sound() -> None:
    queue = SoundQueue(RATE, 1000)
    queue.push(numbered(0, 100), 0)
    queue.finish()
    assert queue.push(numbered(100, 100), 0) == 0, "nothing comes after the end"
    piece = queue.take(60, 1000)
    assert piece is not None
    assert not piece.last
    piece = queue.take(60, 1000)
    assert piece is not None
    assert piece.last
    assert queue.due_ns() is None
    silent = SoundQueue(RATE, 1000)
    silent.finish()
    piece = silent.take(60, 1000)
    assert piece is not None
    assert piece.last
    assert len(piece.samples) == 0


def test_hurry_is_due_when_it_would_have_been_spoken() -> None:
    """Ten seconds at once are due over nine; a clock that runs a little fast stays where it is, for hours."""
    queue = SoundQueue(RATE, 100_000)
    queue.push(numbered(0, 10_000), 0)
    queue.push(numbered(0, 1), 1)
    queue.take(10_000, 0)
    assert 9.0 * NS < (queue.due_ns() or 0) < 9.2 * NS
    fast = SoundQueue(RATE, 100_000)
    for second in range(10_000):
        arrived = round(second * 0.95 * NS)
        fast.push(numbered(0, 1000), arrived)
        assert fast.due_ns() == arrived
        fast.take(1000, 0)


def test_a_client_that_waits_loses_nothing() -> None:
    queue = SoundQueue(RATE, 100, keep=True)
    for at in range(0, 1000, 100):
        assert queue.push(numbered(at, 100), 0) == 0
    assert queue.full
    piece = queue.take(1000, 0)
    assert piece is not None
    assert not piece.behind
    assert len(piece.samples) == 1000
    assert not queue.full


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 80)),
            st.tuples(st.just("take"), st.integers(1, 120)),
            st.tuples(st.just("lose"), st.integers(1, 30)),
        ),
        max_size=60,
    ),
    st.integers(20, 150),
)
def test_every_frame_is_given_out_at_its_place_or_told_as_lost(steps: list[tuple[str, int]], longest: int) -> None:
    queue = SoundQueue(RATE, longest)
    sent = at = lost = dropped = 0
    now = 0
    for what, count in steps:
        now += 1_000_000
        if what == "push":
            dropped += queue.push(numbered(sent, count), now)
            sent += count
        elif what == "lose":
            queue.lose(count)
            sent += count
        elif (piece := queue.take(count, 10)) is not None:
            told = sum(frames for _, frames in piece.lost)
            assert piece.first == at + told, "what is missing is told"
            assert piece.samples[:, 0].tolist() == list(range(piece.first, piece.first + len(piece.samples)))
            lost += told
            at = piece.first + len(piece.samples)
        assert queue.waiting <= longest
        assert queue.received == sent
    assert queue.dropped == dropped
    assert at + queue.waiting <= sent
