"""How many replicas there are, and where the next session goes: on virtual time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voxface.serve.state.fleet import LONGEST_RETRY_S, NS, RETRY_S, Fleet, Scaling


def fleet(least: int = 1, most: int = 4, **more: float) -> Fleet:
    return Fleet(least, most, load=0.8, sessions=int(more.get("sessions", 100)), idle_s=more.get("idle_s", 60))


def started(of: Fleet, count: int) -> None:
    for _ in range(count):
        of.ready(of.begin().number, 0)


def chosen(of: Fleet, share: float, load: float | None = None) -> int | None:
    found = of.choose(share, load)
    return None if found is None else found.number


def test_a_replica_is_filled_to_three_quarters_before_the_next_and_all_of_them_in_the_end() -> None:
    found = fleet()
    started(found, 2)
    assert chosen(found, 0.2) == 1
    found.changed(1, 0.4, 2, 0)
    assert chosen(found, 0.2) == 1
    found.changed(1, 0.6, 3, 0)
    assert chosen(found, 0.2) == 2
    found.changed(2, 0.5, 3, 0)
    assert chosen(found, 0.2) == 2, "the emptiest of those beyond"
    found.changed(2, 0.7, 3, 0)
    assert chosen(found, 0.2) == 1
    found.changed(1, 0.8, 4, 0)
    assert chosen(found, 0.2) is None
    assert chosen(found, 0.2, load=0.9) == 2, "one that comes back may go beyond"


def test_one_session_is_let_in_whatever_it_takes() -> None:
    found = fleet()
    started(found, 1)
    assert chosen(found, 3.0) == 1
    found.changed(1, 3.0, 1, 0)
    assert chosen(found, 0.1) is None


def test_a_replica_that_starts_gets_nothing() -> None:
    found = fleet()
    seat = found.begin()
    assert chosen(found, 0.1) is None
    found.ready(seat.number, 0)
    assert chosen(found, 0.1) == seat.number


def test_more_are_started_before_there_is_no_room() -> None:
    found = fleet()
    assert found.scale(0) == Scaling(start=1)
    started(found, 1)
    found.changed(1, 0.6, 6, 0)
    assert found.scale(0) == Scaling()
    found.changed(1, 0.61, 6, 0)
    assert found.scale(0) == Scaling(start=1)
    found.begin()
    assert found.scale(0) == Scaling(), "it is on its way"
    assert found.scale(0, [0.3] * 10) == Scaling(start=2), "those without a replica count too; four at most"
    by_number = fleet(sessions=4)
    started(by_number, 1)
    by_number.changed(1, 0.0, 4, 0)
    assert by_number.scale(0) == Scaling(start=1)


def test_a_refusal_starts_another_unless_one_is_on_its_way() -> None:
    found = fleet()
    started(found, 1)
    found.changed(1, 0.5, 1, 0)
    found.missed()
    assert found.scale(0) == Scaling(start=1)
    assert found.scale(0) == Scaling(), "once"
    found.begin()
    found.missed()
    assert found.scale(0) == Scaling()


def test_idle_ones_go_and_none_with_sessions() -> None:
    found = fleet(idle_s=60)
    started(found, 3)
    found.changed(2, 0.1, 1, 0)
    assert found.scale(59 * NS) == Scaling()
    assert found.scale(60 * NS) == Scaling(retire=(3, 1)), "the newest first"
    found.changed(1, 0.1, 1, 60 * NS)
    found.changed(1, 0.0, 0, 61 * NS)
    assert found.scale(61 * NS) == Scaling(retire=(3,)), "idle is since the last session ended"
    found.begin()
    found.changed(2, 0.0, 0, 61 * NS)
    found.gone(1)
    found.gone(3)
    assert found.scale(1000 * NS) == Scaling(), "nor the only one that works, while another starts"
    only = fleet(least=3)
    started(only, 3)
    assert only.scale(10_000 * NS) == Scaling()


def test_what_does_not_start_is_tried_again_later_and_later() -> None:
    found = fleet()
    now, wait = 0, RETRY_S
    for _ in range(8):
        assert found.scale(now) == Scaling(start=1)
        found.did_not_start(found.begin().number, now)
        assert found.scale(now + round(wait * NS) - 1) == Scaling()
        now += round(wait * NS)
        wait = min(2 * wait, LONGEST_RETRY_S)
    assert found.failed == 8
    started(found, 1)
    found.gone(found.begin().number)
    found.did_not_start(found.begin().number, now)
    found.gone(9)
    assert found.scale(now + round(RETRY_S * NS)) == Scaling(start=1), "one that started makes the wait short again"


class Sessions(RuleBasedStateMachine):
    """Sessions come and go, replicas start, fail and are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(1, 5, load=1.0, sessions=8, idle_s=2)
        self.now = 0
        self.homes: dict[int, list[float]] = {}

    def told(self) -> None:
        for number, shares in self.homes.items():
            self.fleet.changed(number, sum(shares), len(shares), self.now)

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.now += round(seconds * NS)
        scaling = self.fleet.scale(self.now)
        for _ in range(scaling.start):
            self.homes[self.fleet.begin().number] = []
        assert not scaling.retire or self.fleet.count(ready=True) > len(scaling.retire)
        for number in scaling.retire:
            assert not self.homes.pop(number), "nobody loses a session"
            self.fleet.gone(number)

    @rule(share=st.floats(0.01, 1.5))
    def a_client_comes(self, share: float) -> None:
        seat = self.fleet.choose(share)
        if seat is None:
            self.fleet.missed()
            return
        assert seat.ready
        shares = self.homes[seat.number]
        shares.append(share)
        assert len(shares) == 1 or sum(shares) <= 1.0 + 1e-9
        assert len(shares) <= 8
        self.told()

    @rule(data=st.data())
    def a_client_goes(self, data: st.DataObject) -> None:
        busy = [number for number, shares in self.homes.items() if shares]
        if busy:
            self.homes[data.draw(st.sampled_from(busy))].pop()
            self.told()

    @rule(data=st.data(), starts=st.booleans())
    def one_has_started_or_not(self, data: st.DataObject, starts: bool) -> None:
        waiting = [seat.number for seat in self.fleet.seats.values() if not seat.ready]
        if waiting:
            number = data.draw(st.sampled_from(waiting))
            if starts:
                self.fleet.ready(number, self.now)
            else:
                self.fleet.did_not_start(number, self.now)
                del self.homes[number]

    @rule(data=st.data())
    def one_is_lost(self, data: st.DataObject) -> None:
        if self.homes:
            number = data.draw(st.sampled_from(sorted(self.homes)))
            self.fleet.gone(number)
            del self.homes[number]

    @invariant()
    def never_too_many(self) -> None:
        assert len(self.fleet.seats) <= 5
        assert self.fleet.seats.keys() == self.homes.keys()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
