"""Who is let in, who may come back, and when a session's time is over: on virtual time, against a plain model."""

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voxface.serve.state.limits import Limits
from voxface.serve.state.session_registry import NS, Entry, Refused, SessionRegistry

LIMITS = Limits(sessions=4, sessions_of_address=3, idle_s=10, resume_s=5, session_s=100, load=0.5, late_s=0.1)


def registry(limits: Limits = LIMITS) -> SessionRegistry:
    numbers = count(1)
    return SessionRegistry(limits, lambda: f"id{next(numbers)}")


def let_in(sessions: SessionRegistry, address: str = "a", now: float = 0, **more: float) -> Entry:
    found = sessions.admit(address, round(now * NS), **more)
    assert isinstance(found, Entry)
    return found


def refusal(found: Entry | Refused) -> str:
    assert isinstance(found, Refused)
    assert found.retry_s > 0
    return found.reason


def test_by_number_and_by_address() -> None:
    sessions = registry()
    for _ in range(3):
        let_in(sessions, "a")
    assert refusal(sessions.admit("a", 0)) == "address"
    let_in(sessions, "b")
    assert refusal(sessions.admit("c", 0)) == "full"
    sessions.end("id1", "finished")
    let_in(sessions, "a")
    assert sessions.refused == {"address": 1, "full": 1}


def test_by_load_and_lateness_but_never_the_first() -> None:
    sessions = registry()
    let_in(sessions, load=0.9, late_s=3.0)
    assert refusal(sessions.admit("a", 0, load=0.51)) == "load"
    assert refusal(sessions.admit("a", 0, load=0.4, late_s=0.2)) == "late"
    let_in(sessions, load=0.5, late_s=0.1)


def test_a_client_that_was_cut_off_may_come_back_for_a_time() -> None:
    sessions = registry()
    entry = let_in(sessions)
    sessions.cut_off(entry.id, 1, 0)
    assert sessions.count("away") == 1
    assert sessions.due(4 * NS) == []
    assert sessions.resume(entry.id, 4 * NS) is entry
    assert entry.connection == 2
    sessions.cut_off(entry.id, 1, 5 * NS)  # the end of the old connection is noticed late
    assert sessions.count("open") == 1
    sessions.cut_off(entry.id, 2, 5 * NS)
    assert sessions.due(10 * NS) == [(entry.id, "not resumed")]
    sessions.end(entry.id, "not resumed")
    assert sessions.resume(entry.id, 10 * NS) is None


def test_a_takeover_of_an_open_session() -> None:
    """A client behind a dead connection comes back before the server knows that it is dead."""
    sessions = registry()
    entry = let_in(sessions)
    assert sessions.resume(entry.id, NS) is entry
    assert (len(sessions), entry.connection, sessions.resumed) == (1, 2, 1)


def test_idle_and_too_long() -> None:
    sessions = registry()
    entry = let_in(sessions)
    sessions.heard(entry.id, 9 * NS)
    assert sessions.due(18 * NS) == []
    assert sessions.due(19 * NS) == [(entry.id, "idle")]
    for second in range(20, 100, 5):
        sessions.heard(entry.id, second * NS)
    assert sessions.due(100 * NS) == [(entry.id, "too long")]


def test_the_youngest_were_one_too_many_and_never_the_old() -> None:
    sessions = registry(Limits(sessions=100, sessions_of_address=100, late_s=0.1))
    for second in range(21):
        let_in(sessions, now=second)
    now = 21 * NS
    assert sessions.excess(0.1, now) == [], "not late"
    assert sessions.excess(0.5, now) == ["id21", "id20", "id19"]
    assert sessions.excess(0.5, 34 * NS) == ["id21"]
    assert sessions.excess(0.5, 36 * NS) == [], "whoever was there for long stays"
    alone = registry()
    let_in(alone)
    assert alone.excess(9.0, 0) == [], "one is served, however slowly"


def test_draining_lets_nobody_in_but_those_who_come_back() -> None:
    sessions = registry()
    entry = let_in(sessions)
    sessions.drain()
    assert refusal(sessions.admit("a", 0)) == "draining"
    assert sessions.resume(entry.id, 0) is entry


def test_an_unknown_session_changes_nothing() -> None:
    sessions = registry()
    assert sessions.resume("nope", 0) is None
    assert not sessions.end("nope", "finished")
    sessions.heard("nope", 0)
    sessions.cut_off("nope", 1, 0)
    assert (len(sessions), sessions.ended) == (0, {})


class Sessions(RuleBasedStateMachine):
    """Anything a client or the network may do, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = registry()
        self.now = 0.0
        self.model: dict[str, tuple[str, str, float, float]] = {}  # address, state, since, heard
        self.ended = 0

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = dict(self.registry.due(round(self.now * NS)))
        for name, (_, state, since, heard) in list(self.model.items()):
            over = self.now - since >= 5 - 1e-6 if state == "away" else self.now - heard >= 10 - 1e-6
            if name in due:
                assert over or due[name] == "too long"
                self.registry.end(name, due[name])
                del self.model[name]
                self.ended += 1
            else:
                assert (self.now - since < 5 + 1e-6) if state == "away" else (self.now - heard < 10 + 1e-6)

    @rule(address=st.sampled_from("ab"))
    def come(self, address: str) -> None:
        found = self.registry.admit(address, round(self.now * NS))
        of_address = sum(each[0] == address for each in self.model.values())
        if isinstance(found, Refused):
            assert len(self.model) >= 4 or of_address >= 3
        else:
            assert len(self.model) < 4
            assert of_address < 3
            self.model[found.id] = (address, "open", self.now, self.now)

    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*self.model, "nobody"]))
        entry = self.registry.get(name)
        if entry is None:
            return
        old = data.draw(st.booleans())
        self.registry.cut_off(name, entry.connection - old, round(self.now * NS))
        address, state, _, heard = self.model[name]
        if not old and state == "open":
            self.model[name] = (address, "away", self.now, heard)

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*self.model, "nobody"]))
        found = self.registry.resume(name, round(self.now * NS))
        assert (found is not None) == (name in self.model)
        if found is not None:
            self.model[name] = (self.model[name][0], "open", self.now, self.now)

    @invariant()
    def agrees(self) -> None:
        assert len(self.registry) == len(self.model) <= 4
        for state in ("open", "away"):
            assert self.registry.count(state) == sum(each[1] == state for each in self.model.values())
        assert sum(self.registry.ended.values()) == self.ended
        assert self.registry.opened == len(self.model) + self.ended


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("name", ["sessions", "load", "idle_s", "body_bytes"])
def test_limits_that_cannot_be(name: str) -> None:
    from voxface.runtime.errors import UsageError

    for value in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=name.replace("_", "-")):
            Limits(**{name: value})  # type: ignore[arg-type]
    assert Limits(resume_s=0).resume_s == 0


def test_a_client_that_comes_back_may_go_on_a_little_beyond_the_load_of_new_ones() -> None:
    sessions = registry(Limits(load=0.5, resume_load=0.7, resume_s=5))
    entry, other = let_in(sessions), let_in(sessions)
    sessions.cut_off(entry.id, 1, 0)
    assert refusal(sessions.resume(entry.id, NS, load=0.71) or entry) == "load"
    assert (entry.state, entry.connection, sessions.resumed) == ("away", 1, 0)
    assert sessions.resume(entry.id, NS, load=0.7) is entry
    assert sessions.resume(entry.id, NS, load=5.0) is entry, "one that is open has its time already"
    sessions.cut_off(entry.id, 3, 0)
    sessions.cut_off(other.id, 1, 0)
    assert sessions.resume(entry.id, NS, load=5.0) is entry, "the first, as with new ones"
    sessions.cut_off(entry.id, 4, 0)
    assert (entry.id, "not resumed") in sessions.due(5 * NS), "a refusal does not make its time longer"


def test_no_room_anywhere_refuses_the_first_too() -> None:
    sessions = registry()
    assert refusal(sessions.admit("a", 0, room=False)) == "full"
