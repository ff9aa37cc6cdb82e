"""The rules of trace-event JSON that Perfetto and chrome://tracing rely on, as far as our traces use the format."""

import json
from pathlib import Path
from typing import Any

METADATA = {
    "process_name": "name",
    "process_sort_index": "sort_index",
    "thread_name": "name",
    "thread_sort_index": "sort_index",
}
PHASES = {"X", "M"}
ROUNDING = 0.0015  # microseconds: times are whole nanoseconds, but their sums are not exact


def read_trace(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    check_trace(document)
    return document


def check_trace(document: dict[str, Any]) -> None:
    """Raises AssertionError unless every event has its fields, every track its name, and the events of a track nest."""
    assert isinstance(document["traceEvents"], list)
    assert document.get("displayTimeUnit") in ("ms", "ns")
    named: set[tuple[int, int]] = set()
    tracks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in document["traceEvents"]:
        assert event["ph"] in PHASES
        assert isinstance(event["name"], str)
        assert event["name"]
        assert type(event["pid"]) is int
        assert type(event["tid"]) is int
        track = event["pid"], event["tid"]
        if event["ph"] == "M":
            assert event["args"][METADATA[event["name"]]] not in (None, "")
            if event["name"] == "thread_name":
                assert track not in named, f"track {track} is named twice"
                named.add(track)
            continue
        for key in ("ts", "dur"):
            assert type(event[key]) in (int, float)
            assert event[key] >= 0
        tracks.setdefault(track, []).append(event)
    assert set(tracks) <= named, "a track without a name"
    for events in tracks.values():
        parents(events)


def parents(events: list[dict[str, Any]]) -> list[int | None]:
    """Which event of a track lies directly round each; AssertionError where two overlap and neither holds the other."""
    found: list[int | None] = [None] * len(events)
    open_: list[int] = []
    for index in sorted(range(len(events)), key=lambda k: (events[k]["ts"], -events[k]["dur"])):
        event = events[index]
        while open_ and event["ts"] >= end(events[open_[-1]]) - ROUNDING:
            open_.pop()
        if open_:
            outer = events[open_[-1]]
            assert end(event) <= end(outer) + ROUNDING, f"{event['name']} ends after {outer['name']}, which holds it"
            found[index] = open_[-1]
        open_.append(index)
    return found


def end(event: dict[str, Any]) -> float:
    return float(event["ts"] + event["dur"])


def stages_of(document: dict[str, Any], name: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Every event of a name with the events directly within it."""
    found = []
    spans = [event for event in document["traceEvents"] if event["ph"] == "X"]
    for track in {(event["pid"], event["tid"]) for event in spans}:
        events = [event for event in spans if (event["pid"], event["tid"]) == track]
        above = parents(events)
        found += [
            (event, [events[k] for k, parent in enumerate(above) if parent == index])
            for index, event in enumerate(events)
            if event["name"] == name
        ]
    return found
