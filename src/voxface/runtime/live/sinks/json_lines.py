"""One JSON object a line for every event."""

import json
from typing import TextIO

from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.events import to_json
from voxface.runtime.live.sink_worker import SinkEvent


class JsonLines:
    """Writes to a stream, which stays open."""

    name = "json_lines"
    keeps_all = False
    wants_audio = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def audio(self, audio: Audio) -> None:
        """Not written."""

    def event(self, told: SinkEvent) -> None:
        """One line."""
        self._stream.write(line(told))
        self._stream.flush()

    def close(self) -> None:
        """Writes what is held."""
        self._stream.flush()


def line(told: SinkEvent) -> str:
    """An event as a line of JSON."""
    return json.dumps(to_json(told.event, told.latency_ms), allow_nan=False, separators=(",", ":")) + "\n"
