"""When a batch is started."""

from hypothesis import given
from hypothesis import strategies as st

from voxface.serve.state.batch_queue import BatchQueue


def test_it_waits_for_others_until_the_deadline() -> None:
    queue: BatchQueue[str] = BatchQueue(10)
    queue.working = 3
    queue.add("shape", "a", 0)
    assert queue.take(9) == []
    assert queue.next_deadline_ns() == 10
    queue.add("shape", "b", 5)
    assert queue.take(9) == []
    assert queue.take(10) == ["a", "b"]
    assert queue.next_deadline_ns() is None


def test_it_does_not_wait_where_nobody_can_come() -> None:
    queue: BatchQueue[str] = BatchQueue(10)
    queue.working = 2
    queue.add("shape", "a", 0)
    assert not queue.startable(0)
    queue.add("other", "b", 0)  # the second thread waits too, for another graph
    assert queue.take(0) == ["a"]
    queue.working = 1
    assert queue.take(0) == ["b"]


def test_a_full_batch_goes_at_once_and_the_rest_keeps_its_deadline() -> None:
    queue: BatchQueue[int] = BatchQueue(10, most=2)
    queue.working = 9
    for number in range(3):
        queue.add("shape", number, number)
    assert queue.take(2) == [0, 1]
    assert queue.take(2) == []
    assert queue.next_deadline_ns() == 12
    assert queue.take(12) == [2]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=40), st.integers(1, 5))
def test_every_request_runs_once_with_its_shape_by_its_deadline(steps: list[tuple[str, int]], most: int) -> None:
    queue: BatchQueue[tuple[str, int]] = BatchQueue(10, most)
    queue.working = 1000
    now, waiting = 0, {}
    for number, (shape, later) in enumerate(steps):
        now += later
        queue.add(shape, (shape, number), now)
        waiting[(shape, number)] = now
        while batch := queue.take(now):
            assert len(batch) <= most
            assert len({each[0] for each in batch}) == 1
            for each in batch:
                del waiting[each]
        assert all(since + 10 > now for since in waiting.values())
    while batch := queue.take(now + 10):
        for each in batch:
            del waiting[each]
    assert not waiting
