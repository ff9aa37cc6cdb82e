"""Answers: in order, none twice but to a client that comes back, and bounded."""

from hypothesis import given
from hypothesis import strategies as st

from voxface.serve.state.outbox import Answer, Outbox


def answer(number: int, size: int = 10, *, face: bool = False) -> Answer:
    return Answer(number, ("x" * size,), replaceable=face)


def taken(outbox: Outbox) -> list[int]:
    found = []
    while (each := outbox.take()) is not None:
        found.append(each.number)
    return found


def test_in_order_and_once() -> None:
    outbox = Outbox(1000)
    for number in (1, 2, 3):
        outbox.add(answer(number))
    assert taken(outbox) == [1, 2, 3]
    assert taken(outbox) == []
    outbox.add(answer(4))
    assert taken(outbox) == [4]


def test_a_client_that_comes_back_gets_what_it_missed() -> None:
    outbox = Outbox(1000)
    for number in range(1, 6):
        outbox.add(answer(number))
    assert taken(outbox) == [1, 2, 3, 4, 5]
    outbox.rewind(3)
    assert taken(outbox) == [4, 5]
    outbox.rewind(99)  # a client may say anything
    assert taken(outbox) == []
    outbox.rewind(-1)
    assert taken(outbox) == [1, 2, 3, 4, 5]


def test_a_slow_client_loses_faces_first_and_never_the_newest() -> None:
    outbox = Outbox(45)
    outbox.add(answer(1))
    for number in (2, 3, 4):
        outbox.add(answer(number, face=True))
    outbox.add(answer(5))
    outbox.add(answer(6, face=True))
    assert taken(outbox) == [1, 4, 5, 6]
    assert outbox.superseded == 2
    huge = Outbox(10)
    huge.add(answer(1, 100))
    assert taken(huge) == [1], "one answer is sent however large it is"


def test_few_faces_wait_for_a_client_that_is_to_see_the_newest() -> None:
    outbox = Outbox(1000, 2)
    for number in range(1, 8):
        outbox.add(answer(number, face=number % 2 == 0))
    assert taken(outbox) == [1, 3, 4, 5, 6, 7]
    assert outbox.superseded == 1
    assert outbox.waiting_bytes == 0
    outbox.add(answer(8, 30, face=True))
    assert outbox.waiting_bytes == 30


def test_what_was_sent_goes_before_what_waits() -> None:
    outbox = Outbox(30)
    for number in (1, 2):
        outbox.add(answer(number))
    assert taken(outbox) == [1, 2]
    for number in (3, 4, 5):
        outbox.add(answer(number))
    assert outbox.superseded == 0
    assert taken(outbox) == [3, 4, 5]


@given(st.lists(st.tuples(st.sampled_from(["add", "face", "take", "rewind"]), st.integers(0, 60)), max_size=80))
def test_bounded_and_in_order_whatever_happens(steps: list[tuple[str, int]]) -> None:
    outbox = Outbox(200)
    number, last = 0, 0
    for what, value in steps:
        if what in ("add", "face"):
            number += 1
            outbox.add(answer(number, value, face=what == "face"))
        elif what == "take":
            found = outbox.take()
            if found is not None:
                assert found.number > last
                last = found.number
        else:
            outbox.rewind(min(value, last))
            last = min(value, last)
        held = [*outbox._sent, *outbox._waiting]
        assert sum(each.size for each in held) <= 200 or len(held) == 1
        assert [each.number for each in held] == sorted(each.number for each in held)
        assert outbox._bytes == sum(each.size for each in held)
