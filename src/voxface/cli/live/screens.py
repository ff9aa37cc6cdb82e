"""Which screens a live run draws on."""

import argparse
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Protocol

from voxface.runtime.errors import UsageError

if TYPE_CHECKING:
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.runtime.live.audio_input import Audio
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.sink_worker import SinkEvent


class ScreenSink(Protocol):
    """A sink that the main thread draws."""

    name: str
    keeps_all: bool
    wants_audio: bool

    def audio(self, audio: "Audio") -> None: ...

    def event(self, sink_event: "SinkEvent") -> None: ...

    def draw(self) -> bool: ...

    def close(self) -> None: ...


def has_display() -> bool:
    """Whether a window could open here."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_screens(options: argparse.Namespace, pipeline: "Pipeline", model: "MorphableModel") -> list[ScreenSink]:
    """Opens the screens that `--show` asks for.

    "auto" is a window where one can open, else the terminal where there is one; and no screen for a file that is read faster
    than real time.
    """
    wanted = set(options.show or ["auto"])
    if "none" in wanted and len(wanted) > 1:
        raise UsageError("--show none excludes the others")
    if "auto" in wanted:
        wanted.discard("auto")
        if options.realtime or (not options.source and not options.replay):
            if has_display() and importlib.util.find_spec("open3d"):
                wanted.add("window")
            elif sys.stderr.isatty():
                wanted.add("terminal")
    screens: list[ScreenSink] = []
    if "window" in wanted:
        from voxface.cli.live.window import Window

        screens.append(Window(pipeline, model))
    if "terminal" in wanted:
        from voxface.cli.live.terminal import Terminal

        screens.append(Terminal(sys.stderr, pipeline, model))
    return screens
