"""A file shown on a screen of a live session, which stays open for what a test asks of it afterwards."""

from pathlib import Path

from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_inline
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.sources import FileSource
from voxface.runtime.live.stop import Stop


class Open:
    """Keeps a screen open after the run."""

    def __init__(self, screen: object) -> None:
        self._screen = screen
        self.name, self.keeps_all, self.wants_audio = "screen", False, True
        self.audio, self.event = screen.audio, screen.event  # type: ignore[attr-defined]

    def close(self) -> None:
        pass


def shown(path: Path, pipeline: Pipeline, screen: object) -> None:
    pipeline.sink_workers.append(SinkWorker(Open(screen), SystemClock(), "here", lambda _: None))
    run_inline(FileSource(path), pipeline, Stop(), [])
