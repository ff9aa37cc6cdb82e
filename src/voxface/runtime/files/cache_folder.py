"""The user's cache folder, which keeps results that can be made again: compiled kernels and build timings."""

import os
from pathlib import Path
from typing import Final

ENGINE_TIMES: Final = "engine-times"  # the part of measured times; a start looks whether there are any


def cache_folder(*parts: str) -> Path:
    """The folder of voxface in the user's cache: `$XDG_CACHE_HOME`, on Windows `%LOCALAPPDATA%`, else `~/.cache`.

    The folder is not made. A relative `$XDG_CACHE_HOME` is ignored, as the XDG base directory specification asks.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "")
    return (given if given.is_absolute() else Path.home() / ".cache").joinpath("voxface", *parts)
