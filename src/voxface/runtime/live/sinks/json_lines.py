"""Events as JSON, and a sink that writes them: one object a line for every event.

Times that a clock measured stand under "latency_ms" alone, so that without it two runs over the same samples give the same
text.
"""

import json
from dataclasses import fields
from typing import Any, TextIO

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.inference.estimate import estimate_json
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.events import Event, FaceEstimated
from voxface.runtime.live.sink_worker import SinkEvent


class JsonLines:
    """A sink that writes one line for each event to a stream; `close` leaves the stream open."""

    name = "json_lines"
    keeps_all = False
    wants_audio = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def audio(self, audio: Audio) -> None:
        """Ignored: sound is not written."""

    def event(self, sink_event: SinkEvent) -> None:
        """Writes an event as one line."""
        self._stream.write(line(sink_event))
        self._stream.flush()

    def close(self) -> None:
        """Flushes the stream."""
        self._stream.flush()


def line(sink_event: SinkEvent) -> str:
    """An event as one line of JSON."""
    return (
        json.dumps(event_json(sink_event.event, sink_event.latency_ms), allow_nan=False, separators=(",", ":")) + "\n"
    )


def event_json(event: Event, latency_ms: dict[str, float] | None = None) -> dict[str, Any]:
    """An event as a JSON object; `latency_ms`: the stages of a face in milliseconds."""
    if not isinstance(event, FaceEstimated):
        values = {field.name: getattr(event, field.name) for field in fields(event)}
        return {"event": event.kind, **values}
    estimate = event.estimate
    return {
        "event": event.kind,
        "start": estimate.start,
        "end": estimate.end,
        "position": event.position,
        "speaker": event.speaker,
        "voiced_s": estimate.voiced_seconds,
        "heard_s": event.position / SAMPLE_RATE,
        "frames": estimate.frames,
        "moved_mm": event.moved_mm,
        "converged": event.converged,
        **estimate_json(estimate),
        **({"latency_ms": latency_ms} if latency_ms is not None else {}),
    }
