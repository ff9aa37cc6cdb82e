"""Stages that follow one another, and the traces made of them."""

import copy
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stand_ins.ticks import Ticks
from tests.trace_rules import check_trace, read_trace, stages_of
from voxface.runtime.timing.perfetto_trace import trace_events, write_trace
from voxface.runtime.timing.stage_timer import StageTimer
from voxface.runtime.timing.trace import Trace


def test_stages_leave_no_gap() -> None:
    clock = Ticks()
    trace = Trace(clock)
    stages = StageTimer(trace)
    clock.now += 50  # nobody's
    began = stages.begin()
    for name, took in (("a", 3), ("b", 5), ("a", 7)):
        clock.now += took
        stages.lap(name)
    stages.close("whole", began)
    assert stages.drain() == {"a": 10, "b": 5}
    assert stages.drain() == {}
    spans = [(span.name, span.began - began, span.ended - began) for span in trace.drain()]
    assert spans == [("a", 0, 3), ("b", 3, 8), ("a", 8, 15), ("whole", 0, 15)]
    assert trace.drain() == []


def test_without_a_trace_stages_are_counted_and_nothing_is_kept() -> None:
    stages = StageTimer()
    began = stages.begin()
    stages.lap("a")
    stages.close("whole", began)
    assert set(stages.drain()) == {"a"}
    assert stages.trace is None


def test_a_trace_is_bounded_and_can_be_switched_off() -> None:
    trace = Trace(Ticks(1), most=3)
    for _ in range(5):
        trace.add("a", 0, 1)
    assert len(trace.drain()) == 3
    assert trace.dropped == 2
    trace.recording = False
    with trace.span("b"):
        pass
    assert trace.drain() == []


@given(st.recursive(st.integers(0, 40), lambda inner: st.lists(inner, max_size=4), max_leaves=25))
def test_whatever_nests_is_a_valid_trace(work: Any) -> None:
    clock = Ticks()
    trace = Trace(clock)

    def do(part: Any) -> None:
        with trace.span("leaf" if isinstance(part, int) else "branch"):
            for each in [] if isinstance(part, int) else part:
                do(each)
            clock.now += part if isinstance(part, int) else 1

    do(work)
    document = trace_events(trace.drain(), trace.threads, {})
    check_trace(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert min(event["ts"] for event in document["traceEvents"] if event["ph"] == "X") == 0


def test_one_track_a_thread(tmp_path: Path) -> None:
    trace = Trace()

    def work() -> None:
        with trace.span("outer"), trace.span("inner"):
            pass

    other = threading.Thread(target=work, name="other")
    other.start()
    other.join()
    trace.name_thread("first")
    work()
    write_trace(tmp_path / "t.json", trace.drain(), trace.threads, {"of": "a test"})
    document = read_trace(tmp_path / "t.json")
    names = {e["args"]["name"]: e["tid"] for e in document["traceEvents"] if e["name"] == "thread_name"}
    assert set(names) == {"first", "other"}
    assert len(set(names.values())) == 2
    assert [[inner["name"] for inner in within] for _, within in stages_of(document, "outer")] == [["inner"], ["inner"]]
    assert document["otherData"] == {"of": "a test"}


def test_an_empty_trace() -> None:
    check_trace(trace_events([], {}, {}))


def unnamed(events: list[dict[str, Any]]) -> None:
    del next(event for event in events if event["ph"] == "X")["name"]


def endless(events: list[dict[str, Any]]) -> None:
    del next(event for event in events if event["ph"] == "X")["dur"]


def backwards(events: list[dict[str, Any]]) -> None:
    next(event for event in events if event["ph"] == "X")["dur"] = -1.0


def crossing(events: list[dict[str, Any]]) -> None:
    next(event for event in events if event["name"] == "inner")["dur"] = 1e9


def strange(events: list[dict[str, Any]]) -> None:
    events[-1]["ph"] = "?"


def nameless_track(events: list[dict[str, Any]]) -> None:
    events[:] = [event for event in events if event["name"] != "thread_name"]


@pytest.mark.parametrize("spoil", [unnamed, endless, backwards, crossing, strange, nameless_track])
def test_the_rules_find_what_is_wrong(spoil: Callable[[list[dict[str, Any]]], None]) -> None:
    clock = Ticks(10)
    trace = Trace(clock)
    with trace.span("outer"), trace.span("inner"):
        pass
    document = trace_events(trace.drain(), trace.threads, {})
    check_trace(document)
    spoilt = copy.deepcopy(document)
    spoil(spoilt["traceEvents"])
    with pytest.raises((AssertionError, KeyError)):
        check_trace(spoilt)
