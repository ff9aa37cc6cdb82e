"""Which screens a live run draws on."""

import argparse
import importlib.util
import sys
from typing import TYPE_CHECKING, Protocol

from voxface.cli.live.display import why_no_display
from voxface.cli.output import warn
from voxface.cli.terminal_line import draws_over
from voxface.runtime.errors import ProviderError, UsageError

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


def open_screens(options: argparse.Namespace, pipeline: "Pipeline", model: "MorphableModel") -> list[ScreenSink]:
    """Opens the screens that `--show` asks for.

    "auto" is a window where one can open, else the terminal where there is one; and no screen for a file that is read faster
    than real time.
    """
    wanted = set(options.show or ["auto"])
    if "none" in wanted and len(wanted) > 1:
        raise UsageError("--show none excludes the others")
    if options.uncertainty and not wanted & {"auto", "window"}:
        raise UsageError("--uncertainty: colours the mesh in a window, and none is asked for; add --show window")
    screens: list[ScreenSink] = []
    if "auto" in wanted and (options.realtime or (not options.source and not options.replay)):
        window = None if "window" in wanted else _window_if_one_opens(pipeline, model, uncertain=options.uncertainty)
        if window is not None:
            screens.append(window)
        elif "window" not in wanted and sys.stderr.isatty():
            wanted.add("terminal")
    if "window" in wanted:
        from voxface.cli.live.window import Window

        screens.append(Window(pipeline, model, uncertain=options.uncertainty))
    if "terminal" in wanted:
        from voxface.cli.live.pictures.painter import NoPictures, choose_painter
        from voxface.cli.live.terminal import Terminal

        # No question to a terminal, and no pictures, where what is drawn goes into a file or a pipe.
        painter = choose_painter(options.terminal_face) if draws_over(sys.stderr) else NoPictures()
        screens.append(Terminal(sys.stderr, pipeline, model, painter))
    return screens


def _window_if_one_opens(pipeline: "Pipeline", model: "MorphableModel", *, uncertain: bool) -> ScreenSink | None:
    """A window where there is a display and Open3D; if it does not open all the same, that is said."""
    if why_no_display() is not None or importlib.util.find_spec("open3d") is None:
        return None
    from voxface.cli.live.window import Window

    try:
        return Window(pipeline, model, uncertain=uncertain)
    except ProviderError as error:
        warn(str(error))
        return None
