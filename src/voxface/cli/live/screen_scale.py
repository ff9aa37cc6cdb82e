"""How many pixels of this screen stand for one of an ordinary one, so that a window is as large, and as sharp, as others."""

import ctypes
import math
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

ORDINARY_DPI: Final = 96
MOST: Final = 4.0
_XFT_DPI: Final = re.compile(r"^Xft\.dpi:\s*(\d+(?:\.\d+)?)\s*$", re.MULTILINE)


def screen_scale() -> float:
    """The scale of the screen, 1 to `MOST`; 1 where nothing tells it, and on macOS, where windows are measured in points."""
    if sys.platform == "darwin":
        return 1.0
    if sys.platform == "win32":
        with suppress(OSError, AttributeError):
            return _bounded(ctypes.windll.user32.GetDpiForSystem() / ORDINARY_DPI)
        return 1.0
    resources, height = _x11()
    return scale_told(os.environ, resources, height)


def scale_told(environment: Mapping[str, str], resources: str, height: int, needed: int = 720) -> float:
    """What a desktop on X11 tells.

    Args:
        environment: whose GDK_SCALE comes first.
        resources: of the X server, whose Xft.dpi comes next.
        height: of the screen in pixels; 0: not known. What would not fit is made smaller.
        needed: pixels at scale 1.
    """
    found = 1.0
    dpi = _XFT_DPI.search(resources)
    with suppress(ValueError):
        found = float(environment.get("GDK_SCALE") or (float(dpi[1]) / ORDINARY_DPI if dpi else 1.0))
    if height > 0:
        found = min(found, 0.9 * height / needed)
    return _bounded(found)


def _bounded(scale: float) -> float:
    return min(MOST, max(1.0, scale)) if math.isfinite(scale) else 1.0


def _x11() -> tuple[str, int]:
    """The resources of the X server and the height of its screen; ("", 0) without one."""
    if not os.environ.get("DISPLAY"):
        return "", 0
    try:
        library = ctypes.CDLL("libX11.so.6")
    except OSError:
        return "", 0
    library.XOpenDisplay.restype, library.XOpenDisplay.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    library.XResourceManagerString.restype = ctypes.c_char_p
    library.XResourceManagerString.argtypes = [ctypes.c_void_p]
    library.XDefaultScreen.argtypes = [ctypes.c_void_p]
    library.XDisplayHeight.argtypes = [ctypes.c_void_p, ctypes.c_int]
    display = library.XOpenDisplay(None)
    if not display:
        return "", 0
    # The connection stays, for the window that is opened next: an X server without any resets itself, and refuses meanwhile.
    resources = library.XResourceManagerString(display) or b""
    return resources.decode("ascii", "replace"), int(library.XDisplayHeight(display, library.XDefaultScreen(display)))
