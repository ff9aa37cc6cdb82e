"""The live view in a terminal: face and mesh as large as it is, then level, state, confidence and latency."""

import os
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from voxface.cli.terminal_line import draws_over

if TYPE_CHECKING:
    from voxface.cli.live.pictures.layout import Layout
    from voxface.cli.live.pictures.painter import Painter
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.runtime.live.audio_input import Audio
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.sink_worker import SinkEvent

BARS = " ▁▂▃▄▅▆▇█"
FRAMES_A_SECOND = 12
SHARE = 0.2  # of the time that drawing pictures may take: a large terminal gets fewer of them
PLAIN_S = 5.0  # between lines where the screen is no terminal


class Terminal:
    """A screen that draws over its own lines, a few times a second, and leaves the last picture standing.

    Where its stream is no terminal that can be drawn over, it says now and then in words how it goes.
    """

    name = "terminal"
    keeps_all = False
    wants_audio = True

    def __init__(
        self,
        stream: TextIO,
        pipeline: "Pipeline",
        model: "MorphableModel",
        painter: "Painter",
        *,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """`size`: columns and lines of the terminal; None: it is asked whenever it is drawn on."""
        self._stream, self._pipeline, self._model, self._painter = stream, pipeline, model, painter
        self._plain = size is None and not draws_over(stream)
        self._size = size or self._asked_size
        self._levels: deque[float] = deque(maxlen=60)
        self._newest: SinkEvent | None = None
        self._shown: tuple[int, Layout] | None = None  # which face, and how large
        self._rows = self._below = 0  # lines of the pictures, and of what is below them
        self._drawn: tuple[tuple[int, int], int] | None = None  # size of the terminal, and lines that were drawn
        self._next = self._next_picture = 0.0

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
            self._next = now + (PLAIN_S if self._plain else 1 / FRAMES_A_SECOND)
            self._write(now)
        return True

    def close(self) -> None:
        """Draws the last state."""
        self._write(float("inf"))

    def lines(self, columns: int) -> list[str]:
        """The lines below the pictures, each of fewer letters than there are columns."""
        from voxface.cli.live.status import status

        wave = "".join(BARS[max(0, min(8, round((db + 60) / 60 * 8)))] for db in self._levels)
        most = max(1, columns - 1)
        return [part for line in status(self._pipeline, self._newest) for part in broken(line, most)] + [wave[-most:]]

    def _asked_size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return size.columns or 80, size.lines or 24

    def _write(self, now: float) -> None:
        if self._plain:
            from voxface.cli.live.status import status

            self._stream.write("".join(f"{line}\n" for line in status(self._pipeline, self._newest)))
            self._stream.flush()
            return
        size = columns, height = self._size()
        # What does not fit is left out, the waveform first: the cursor could not go back up to what has moved off the screen.
        lines = self.lines(columns)[: max(1, height - 1)]
        self._below = max(self._below, len(lines))  # not fewer again, or the pictures would change their size
        text = ""
        if self._drawn is not None:
            before, count = self._drawn
            text = f"\r\033[{count}A"
            if before != size:
                text += f"{self._painter.erase()}\033[J"
                self._shown, self._rows = None, 0
        layout = self._painter.layout(columns, height - self._below - 1)  # the cursor has a line of its own
        text += self._pictures(layout, now) + "".join(f"\r\033[K{line}\n" for line in lines) + "\033[J"
        self._stream.write(text)
        self._stream.flush()
        self._drawn = size, self._rows + len(lines)

    def _pictures(self, layout: "Layout", now: float) -> str:
        """What draws the pictures, or goes past them where they are there already."""
        from voxface.runtime.live.events import FaceEstimated

        event = self._newest.event if self._newest else None
        past = f"\033[{self._rows}B" if self._rows else ""
        if not isinstance(event, FaceEstimated):
            there, self._shown = self._shown, None
            return f"{self._painter.erase()}" + "\r\033[K\n" * self._rows if there else past
        if not layout.rows:
            return past
        position, before = self._shown or (-1, None)
        if before == layout and (position == event.position or now < self._next_picture):
            return past
        began = time.monotonic()
        text = self._painter.paint(*self._face_and_mesh(event.estimate, layout.side))
        ended = time.monotonic()
        self._shown, self._rows = (event.position, layout), layout.rows
        self._next_picture = ended + (ended - began) * (1 / SHARE - 1)
        return text

    def _face_and_mesh(self, estimate: Any, side: int) -> tuple[Any, Any]:
        from voxface.runtime.face.rasteriser import preview
        from voxface.runtime.face.resize import resized

        mesh = preview(estimate.vertices, self._model.triangles, self._model.albedo, yaw=30, size=side)
        return resized(estimate.image, side), mesh


def broken(line: str, most: int) -> list[str]:
    """A line in parts of at most so many letters, broken where it has two spaces, or anywhere if there is no other way."""
    parts: list[str] = []
    for word in line.split("  "):
        if parts and len(parts[-1]) + 2 + len(word) <= most:
            parts[-1] += f"  {word}"
        else:
            parts += [word[at : at + most] for at in range(0, len(word), most)] or [""]
    return parts
