"""The live view in a terminal: face and mesh in coloured half blocks, then level, state, confidence and latency."""

import shutil
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.runtime.live.audio_input import Audio
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.sink_worker import SinkEvent

BARS = " ▁▂▃▄▅▆▇█"
ROWS = 16  # lines of pictures, two pixels each
FRAMES_A_SECOND = 12


class Terminal:
    """A screen that draws over its own lines, a few times a second, and leaves the last picture standing."""

    name = "terminal"
    keeps_all = False
    wants_audio = True

    def __init__(
        self, stream: TextIO, pipeline: "Pipeline", model: "MorphableModel", *, columns: int | None = None
    ) -> None:
        self._stream, self._pipeline, self._model = stream, pipeline, model
        self._columns = columns or shutil.get_terminal_size((80, 24)).columns
        self._levels: deque[float] = deque(maxlen=max(10, min(60, self._columns - 20)))
        self._newest: SinkEvent | None = None
        self._lines = 0
        self._next = 0.0
        self._pictures: tuple[int, list[str]] = (-1, [])

    def audio(self, audio: "Audio") -> None:
        """Adds to the waveform."""
        import numpy as np

        from voxface.runtime.audio.levels import decibels

        self._levels.append(decibels(float(np.abs(audio.samples.astype(np.int32)).max(initial=0))))

    def event(self, sink_event: "SinkEvent") -> None:
        """Keeps the newest face."""
        from voxface.runtime.live.events import FaceEstimated, SpeakerChanged

        if isinstance(sink_event.event, FaceEstimated):
            self._newest = sink_event
        elif isinstance(sink_event.event, SpeakerChanged):
            self._newest = None

    def draw(self) -> bool:
        """Draws, unless it just did."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1 / FRAMES_A_SECOND
            self._write(self.lines())
        return True

    def close(self) -> None:
        """Draws the last state."""
        self._write(self.lines())

    def lines(self) -> list[str]:
        """The lines to draw."""
        from voxface.cli.live.status import status

        wave = "".join(BARS[max(0, min(8, round((db + 60) / 60 * 8)))] for db in self._levels)
        return [*self._faces(), *status(self._pipeline, self._newest), wave]

    def _faces(self) -> list[str]:
        from voxface.runtime.live.events import FaceEstimated

        event = self._newest.event if self._newest else None
        if not isinstance(event, FaceEstimated):
            return ["" for _ in range(ROWS)]
        if self._pictures[0] != event.position:
            from voxface.runtime.face.rasteriser import preview
            from voxface.runtime.face.resize import resized

            side = 2 * ROWS
            mesh = preview(event.estimate.vertices, self._model.triangles, self._model.albedo, yaw=30, size=side)
            face = resized(event.estimate.image, side)
            self._pictures = (event.position, [f"{a} {b}" for a, b in zip(_blocks(face), _blocks(mesh), strict=True)])
        return self._pictures[1]

    def _write(self, lines: list[str]) -> None:
        up = f"\033[{self._lines}A" if self._lines else ""
        self._stream.write(up + "".join(f"\r\033[K{line}\n" for line in lines))
        self._stream.flush()
        self._lines = len(lines)


def _blocks(image: Any) -> list[str]:
    """A picture [2 n, m, 3] as n lines of half blocks, the upper pixel in the foreground."""
    rows = image.astype(int)
    return [
        "".join(
            f"\033[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m▀" for a, b in zip(upper, lower, strict=True)
        )
        + "\033[0m"
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
