"""Whose turn it is: nobody has two turns at once, nobody is passed over by what was due later, nothing is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.live.scheduler import Scheduler


def test_what_was_due_first_has_its_turn_first() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for key, due in (("late", 30), ("early", 10), ("middle", 20)):
        scheduler.ready(key, due)
    assert [scheduler.take() for _ in range(4)] == ["early", "middle", "late", None]


def test_of_two_due_at_once_the_one_that_came_first_goes_first() -> None:
    scheduler: Scheduler[str] = Scheduler()
    for key in ("b", "a", "c"):
        scheduler.ready(key, 5)
    assert [scheduler.take() for _ in range(3)] == ["b", "a", "c"]


def test_a_key_that_has_its_turn_is_not_given_out_again() -> None:
    scheduler: Scheduler[str] = Scheduler()
    scheduler.ready("a", 1)
    assert scheduler.take() == "a"
    scheduler.ready("a", 2)  # more sound came meanwhile; `done` says so
    assert scheduler.take() is None
    assert scheduler.running == 1
    scheduler.done("a", 2)
    assert scheduler.take() == "a"
    scheduler.done("a", None)
    assert scheduler.take() is None


def test_one_that_is_forgotten_has_no_turn_any_more_and_may_come_back() -> None:
    scheduler: Scheduler[str] = Scheduler()
    scheduler.ready("a", 1)
    scheduler.forget("a")
    assert scheduler.take() is None
    scheduler.ready("a", 9)
    assert scheduler.take() == "a"


@given(
    period=st.integers(10, 50),
    cost=st.integers(1, 9),
    flood=st.integers(1, 200),
    steady=st.integers(1, 4),
)
def test_a_client_that_sends_everything_at_once_delays_nobody_by_more_than_a_turn(
    period: int, cost: int, flood: int, steady: int
) -> None:
    """Steady clients have a turn due every `period`; the flood's turns are due at the same pace, but wait from the beginning.
    As long as there is time for all, no steady turn begins later than the turns due before it and one more take."""
    if (steady + 1) * cost > period:
        return
    scheduler: Scheduler[str] = Scheduler()
    dues = {f"s{n}": [n + period * k for k in range(20)] for n in range(steady)}
    dues["flood"] = [period * k for k in range(flood)]
    came: dict[str, int] = dict.fromkeys(dues, 0)  # index of the next turn
    now = 0
    while any(came[f"s{n}"] < 20 for n in range(steady)):
        for name, due in dues.items():
            if came[name] < len(due) and (name == "flood" or due[came[name]] <= now):
                scheduler.ready(name, due[came[name]])
        key = scheduler.take()
        if key is None:
            now += 1
            continue
        due_now = dues[key][came[key]]
        if key != "flood":
            assert now - due_now <= (steady + 2) * cost, (key, now, due_now)
        now += cost
        came[key] += 1
        following = dues[key][came[key]] if came[key] < len(dues[key]) else None
        scheduler.done(key, following if key == "flood" or (following is not None and following <= now) else None)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 100)), max_size=40), st.data())
def test_every_key_that_is_ready_gets_exactly_one_turn(events: list[tuple[str, int]], data: st.DataObject) -> None:
    scheduler: Scheduler[str] = Scheduler()
    ready: dict[str, int] = {}
    for key, due in events:
        scheduler.ready(key, due)
        ready.setdefault(key, due)
        if data.draw(st.booleans()):
            taken = scheduler.take()
            assert taken is not None
            assert ready.pop(taken) <= min(ready.values(), default=1000)
            scheduler.done(taken, None)
        assert len(scheduler) == len(ready)
    assert sorted(filter(None, (scheduler.take() for _ in range(10)))) == sorted(ready)
