"""Batches made ahead: the same ones in the same order, no more than asked for, and none after the last step."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.training.engine.prepared_batches import PreparedBatches


@given(st.integers(0, 5), st.integers(0, 12), st.integers(0, 4), st.integers(1, 3), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_every_batch_comes_once_and_in_its_turn(
    first: int, count: int, ahead: int, threads: int, together: int
) -> None:
    made: list[int] = []
    lock = threading.Lock()

    def make(step: int) -> int:
        with lock:
            made.append(step)
        return step * step

    batches = PreparedBatches(make, first + count, ahead=ahead, threads=threads, together=together)
    assert [batches.at(step) for step in range(first, first + count)] == [k * k for k in range(first, first + count)]
    batches.close()
    assert sorted(made) == list(range(first, first + count))


def test_at_most_so_many_are_made_ahead() -> None:
    begun, go_on = [], threading.Event()

    def make(step: int) -> int:
        begun.append(step)
        if step:
            assert go_on.wait(10)
        return step

    batches = PreparedBatches(make, 100, ahead=3, threads=8)
    assert batches.at(0) == 0
    go_on.set()
    batches.close()
    assert set(begun) <= {0, 1, 2, 3}


@pytest.mark.parametrize("ahead", [0, 2])
def test_what_goes_wrong_is_raised_in_its_turn(ahead: int) -> None:
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("step 1")
        return step

    batches = PreparedBatches(make, 5, ahead=ahead)
    assert batches.at(0) == 0
    with pytest.raises(ValueError, match="step 1"):
        batches.at(1)
    assert batches.at(2) == 2
    batches.close()


def test_what_was_waited_for_is_counted() -> None:
    now = [0.0]

    def make(step: int) -> int:
        now[0] += 2.0
        return step

    batches = PreparedBatches(make, 5, clock=lambda: now[0])
    for step in range(3):
        batches.at(step)
        now[0] += 5.0
    assert batches.waited == 6.0
