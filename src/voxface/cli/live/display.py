"""Whether a display answers here.

Where none does, Open3D draws off screen without a word, and nobody sees the window. So the display is asked first, with the
calls by which GLFW, on which Open3D builds, would find it.
"""

import ctypes
import os
import sys
from pathlib import Path


def why_no_display() -> str | None:
    """Why no window could be seen; None: there is a display, or a system on which only the window itself can tell."""
    if sys.platform in ("win32", "darwin"):
        return None
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    silent = []
    # libwayland complains on standard error where nothing was set up for it.
    if wayland or _default_wayland().exists():
        why = _why_silent("libwayland-client.so.0", "wl_display_connect", "wl_display_disconnect")
        if why is None:
            return None
        silent.append(f"{why} at WAYLAND_DISPLAY={wayland or 'wayland-0'}")
    if x11:
        why = _why_silent("libX11.so.6", "XOpenDisplay", "XCloseDisplay")
        if why is None:
            return None
        silent.append(f"{why} at DISPLAY={x11}")
    return " and ".join(silent) or "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"


def _default_wayland() -> Path:
    return Path(os.environ.get("XDG_RUNTIME_DIR") or os.devnull) / "wayland-0"


def _why_silent(library: str, connect: str, disconnect: str) -> str | None:
    """Why the display that the environment names cannot be connected to; None: it can."""
    try:
        loaded = ctypes.CDLL(library)
    except OSError:  # then GLFW does not find it either
        return f"without {library} no display is found"
    opening, closing = getattr(loaded, connect), getattr(loaded, disconnect)
    opening.restype, opening.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    closing.argtypes = [ctypes.c_void_p]
    display = opening(None)
    if not display:
        return "no display answers"
    closing(display)
    return None
