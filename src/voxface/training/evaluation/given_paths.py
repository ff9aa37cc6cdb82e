"""Files and folders that were given, looked at before anything runs: a suite may train for minutes before it reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from voxface.runtime.errors import InputError, UsageError

READ_WHOLE: Final = ("--predictions", "--speech", "--noise", "--lists")
"""Folders that are read with all below them: results in them would be read, too."""


def check_out(out: Path, given: Mapping[str, Sequence[Path]]) -> None:
    """Checks that results can go to a folder and are apart from what is evaluated.

    Args:
        out: the folder of results.
        given: what was given, by option.

    Raises:
        UsageError: `out` is a file, is one of the folders given, or lies in one that is read whole.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out: {out} is a file; give a folder")
    place = out.resolve()
    for option, paths in given.items():
        for path in paths:
            folder = path.resolve()
            if folder == place:
                raise UsageError(f"--out: {out} is that of {option}; give the results a folder of their own")
            if option in READ_WHOLE and folder in place.parents:
                raise UsageError(f"--out: {out} lies in that of {option}, which is read whole; give another folder")


def check_given(given: Mapping[str, Sequence[Path]]) -> None:
    """Raises InputError where something that was given is not there."""
    for option, paths in given.items():
        for path in paths:
            if not path.exists():
                raise InputError(f"{option}: {path}: no such file or folder")
