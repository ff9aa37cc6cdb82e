"""Replay of a recording: the same samples, losses and skipped estimates in the same order give the same events and meshes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.face.png import picture_alone, png
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.recording import Recording, comparable
from voxface.runtime.live.runner import Screen, close
from voxface.runtime.live.sink_worker import SinkEvent
from voxface.runtime.live.sinks.json_lines import line
from voxface.runtime.live.sinks.recorder import image_path
from voxface.runtime.live.stop import Stop


def run_replay(
    recording: Recording, pipeline: Pipeline, stop: Stop, screens: list[Screen], clock: Clock | None = None
) -> None:
    """Feeds a recording to a pipeline on the calling thread; with a clock at the pace of the recording, else without waiting.

    Raises:
        VoxfaceError: the recording is damaged, or the engine fails; the sinks are closed all the same.
    """
    began = clock.now_ns() if clock else 0
    try:
        for item in recording.items():
            if stop():
                break
            if clock and isinstance(item, Audio):
                due = began + (item.start + len(item.samples) - recording.start) * 1_000_000_000 // SAMPLE_RATE
                clock.sleep((due - clock.now_ns()) / 1e9)
            pipeline.feed_items([item])
            if not all(screen.draw() for screen in screens):
                stop.request("window closed")
        pipeline.finish()
    finally:
        close(pipeline.sink_workers, pipeline)


class Comparison:
    """A sink that compares the events, images and meshes of a replay with those of the recording.

    Of a recording that was not closed, the events after its last one are not compared, and of a replay that was stopped, those
    that it did not reach.

    Attributes:
        events: number of events compared.
        differences: number of events that are missing or differ, in themselves, their image or their mesh.
        first: the first pair that differs, of the replay and of the recording.
        broken: whether the comparison failed before the end.
    """

    name = "comparison"
    keeps_all = True
    wants_audio = False

    def __init__(self, recording: Recording, stop: Callable[[], bool] = lambda: False) -> None:
        """`stop`: whether the replay is being ended early."""
        self._expected = recording.events()
        self._folder, self._complete, self._stop = recording.folder, recording.complete, stop
        self._meshes = recording.meshes()
        self._faces = 0
        self._ended = False  # the recorded events have
        self.events = self.differences = 0
        self.broken = False
        self.first: tuple[dict[str, Any] | None, dict[str, Any] | None] | None = None
        self._first_number = 0

    def audio(self, audio: Audio) -> None:
        """Ignored: the sound is the recording's own."""

    def event(self, sink_event: SinkEvent) -> None:
        """Compares an event."""
        if self._stop():  # what the end makes of the sound so far is not recorded
            return
        recorded = None if self._ended else next(self._expected, None)
        self._ended = recorded is None
        if recorded is None and not self._complete:
            return
        ours = comparable(json.loads(line(sink_event)))
        if isinstance(sink_event.event, FaceEstimated):
            differs = [what for what, same in self._same(sink_event.event) if not same]
            self._faces += 1
            if differs:  # the event itself does not hold them
                ours["differs"] = differs
        self._compare(ours, recorded)

    def close(self) -> None:
        """Ends the comparison: each recorded event that the replay did not give counts as a difference."""
        if not self._stop():
            for left in self._expected:
                self._compare(None, left)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "identical": not self.differences and not self.broken,
            "events": self.events,
            "differences": self.differences,
            **({} if self._complete else {"complete": False}),
            **({} if self.first is None else {"first": {"event": self._first_number, "differs": self.what_differs()}}),
        }

    def what_differs(self) -> str:
        """The first difference in words; "" if there is none."""
        if self.first is None:
            return ""
        ours, recorded = self.first
        if ours is None or recorded is None:
            there = ours or recorded or {}
            return f"{_named(there)} is {'missing' if ours is None else 'not in the recording'}"
        if ours.get("event") != recorded.get("event"):
            return f"{_named(ours)}, recorded was {_named(recorded)}"
        found = [f"its {what}" for what in ours.get("differs", [])]
        found += [
            f"{name}{_values(ours.get(name), recorded.get(name))}"
            for name in dict.fromkeys([*recorded, *ours])
            if name != "differs" and ours.get(name) != recorded.get(name)
        ]
        return f"{_named(recorded)}: {', '.join(found)}"

    def _same(self, event: FaceEstimated) -> Iterator[tuple[str, bool]]:
        picture = image_path(self._folder, event)
        yield "picture", picture.is_file() and picture_alone(picture.read_bytes()) == png(event.estimate.image)
        known = self._faces < len(self._meshes)
        yield "mesh", known and np.array_equal(self._meshes[self._faces], event.estimate.vertices)

    def _compare(self, ours: dict[str, Any] | None, recorded: dict[str, Any] | None) -> None:
        self.events += 1
        if ours != recorded:
            self.differences += 1
            if self.first is None:
                self.first, self._first_number = (ours, recorded), self.events


def _named(event: dict[str, Any]) -> str:
    at = event.get("position", event.get("start"))
    where = f" at {at / SAMPLE_RATE:.2f} s" if isinstance(at, int | float) else ""
    return f"{event.get('event', 'an event without a name')}{where}"


def _values(ours: Any, recorded: Any) -> str:
    """Both values, where they are short enough to be read."""
    both = [json.dumps(value) for value in (ours, recorded)]
    return f" {both[0]}, recorded {both[1]}" if max(map(len, both)) <= 40 else ""
