"""Replay of a recording: the same samples, losses and skipped estimates in the same order give the same events and meshes."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError
from voxface.runtime.face.png import png
from voxface.runtime.live.audio_input import Audio, Item
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.events import FaceEstimated, Lost, Rejected, Skipped, StreamEnded, StreamStarted
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import Screen, close
from voxface.runtime.live.sink_worker import SinkEvent
from voxface.runtime.live.sinks.json_lines import line
from voxface.runtime.live.sinks.recorder import FORMAT, MANIFEST, VERTICES, image_path
from voxface.runtime.live.stop import Stop

BLOCK_SAMPLES = SAMPLE_RATE // 50


class Recording:
    """A recording in a folder that `Recorder` wrote.

    Attributes:
        folder: the folder.
        about: contents of `recording.json`.
        config: settings of the session.
        start: absolute index of the first sample.
        skips: positions of the estimates that were left out.
    """

    def __init__(self, folder: Path) -> None:
        """Reads everything but the sound, the events and the meshes.

        Raises:
            InputError: the folder holds no recording, or a damaged one.
        """
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder}: no recording there (it has no {MANIFEST})")
        try:
            self.about: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
            if self.about["format"] != FORMAT:
                raise InputError(f"{folder}: recording format {self.about['format']}, this voxface reads {FORMAT}")
            self.config = LiveConfig.from_json(self.about["config"])
            self.start = int(self.about["start"])
            lines = [json.loads(text) for text in (folder / "inputs.jsonl").read_text().splitlines()]
            self.skips = frozenset(int(row["position"]) for row in lines if row["event"] == Skipped.kind)
            self._inputs = [(int(row["fed"]), _input(row)) for row in lines if row["event"] != Skipped.kind]
            self._audio = sorted((int(path.stem), path) for path in (folder / "audio").glob("*.wav"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{folder}: a damaged recording ({error})") from error

    def items(self) -> Iterator[Item]:
        """The sound and the events that the session was fed, in order.

        Raises:
            InputError: a sound file is missing or damaged.
        """
        waiting = list(self._inputs)
        position = self.start
        for start, path in self._audio:
            while waiting and position <= waiting[0][0] and position < start:
                _, item = waiting.pop(0)
                yield item
                position = item.end if isinstance(item, Lost) else position
            if position != start:
                raise InputError(f"{path}: begins at sample {start}, but the recording has got to {position}")
            for block in read_blocks(path):
                at = 0
                while at < len(block):
                    while waiting and waiting[0][0] <= position:
                        yield waiting.pop(0)[1]
                    stop = min(len(block), at + BLOCK_SAMPLES)
                    if waiting:
                        stop = min(stop, at + waiting[0][0] - position)
                    yield Audio(position, block[at:stop])
                    position += stop - at
                    at = stop
        yield from (item for _, item in waiting)

    def events(self) -> Iterator[dict[str, Any]]:
        """The recorded events as JSON, without the times that a clock measured.

        Raises:
            InputError: the file is missing or damaged.
        """
        path = self.folder / "events.jsonl"
        try:
            with path.open() as file:
                for text in file:
                    yield comparable(json.loads(text))
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: damaged ({error}); the recording cannot be compared") from error

    def meshes(self) -> NDArray[np.float32]:
        """The vertices of every face, float32 [K, N, 3]; K is 0 if there are none.

        Raises:
            InputError: the file is damaged.
        """
        path = self.folder / VERTICES
        if not path.exists():
            return np.empty((0, 0, 3), np.float32)
        try:
            meshes: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
            if meshes.ndim != 3:
                raise ValueError(f"shape {meshes.shape}, not [K, N, 3]")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: damaged ({error})") from error
        return meshes


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an event without the times, which differ from run to run."""
    return {key: value for key, value in document.items() if key != "latency_ms"}


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

    Attributes:
        events: number of events compared.
        differences: number of events that are missing or differ, in themselves, their image or their mesh.
        first: the first pair that differs, of the replay and of the recording.
        broken: whether the comparison failed before the end.
    """

    name = "comparison"
    keeps_all = True
    wants_audio = False

    def __init__(self, recording: Recording) -> None:
        self._expected = recording.events()
        self._folder = recording.folder
        self._meshes = recording.meshes()
        self._faces = 0
        self.events = self.differences = 0
        self.broken = False
        self.first: tuple[dict[str, Any] | None, dict[str, Any] | None] | None = None

    def audio(self, audio: Audio) -> None:
        """Ignored: the sound is the recording's own."""

    def event(self, sink_event: SinkEvent) -> None:
        """Compares an event."""
        ours, recorded = comparable(json.loads(line(sink_event))), next(self._expected, None)
        if isinstance(sink_event.event, FaceEstimated):
            differs = [what for what, same in self._same(sink_event.event) if not same]
            self._faces += 1
            if differs:  # the event itself does not hold them
                ours["differs"] = differs
        self._compare(ours, recorded)

    def close(self) -> None:
        """Ends the comparison: each recorded event that the replay did not give counts as a difference."""
        for left in self._expected:
            self._compare(None, left)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "identical": not self.differences and not self.broken,
            "events": self.events,
            "differences": self.differences,
        }

    def _same(self, event: FaceEstimated) -> Iterator[tuple[str, bool]]:
        picture = image_path(self._folder, event)
        yield "picture", picture.is_file() and picture.read_bytes() == png(event.estimate.image)
        known = self._faces < len(self._meshes)
        yield "mesh", known and np.array_equal(self._meshes[self._faces], event.estimate.vertices)

    def _compare(self, ours: dict[str, Any] | None, recorded: dict[str, Any] | None) -> None:
        self.events += 1
        if ours != recorded:
            self.differences += 1
            self.first = self.first or (ours, recorded)


def _input(row: dict[str, Any]) -> StreamStarted | StreamEnded | Lost | Rejected:
    kinds = {kind.kind: kind for kind in (StreamStarted, StreamEnded, Lost, Rejected)}
    kind = kinds[row["event"]]
    given = {key: value for key, value in row.items() if key not in ("fed", "event")}
    for field in fields(kind):
        if field.type is int and not isinstance(given[field.name], int):
            raise TypeError(f"{field.name} is {given[field.name]!r}, no whole number")
    return kind(**given)
