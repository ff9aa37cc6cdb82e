"""The folders that `voxface run` writes: their names, and whether they are free. Without what results are made with, which a
command loads while its engines load."""

import os
from collections.abc import Sequence
from pathlib import Path

from voxface.runtime.errors import UsageError

REPORT_JSON, REPORT_HTML = "report.json", "report.html"


def folder_names(files: Sequence[Path]) -> list[str]:
    """The name of the results' folder of each sound file: that of the file, with a number where others have the same."""
    taken, names = {REPORT_JSON, REPORT_HTML}, []
    numbers: dict[str, int] = {}  # the last one of each stem
    for file in files:
        stem = file.stem if file.stem.strip(".") else "clip"  # "...wav": its stem is the folder above
        name, n = stem, numbers.get(stem, 1)
        while name in taken:  # two clips of one name, from two folders
            n += 1
            name = f"{stem}-{n}"
        numbers[stem] = n
        taken.add(name)
        names.append(name)
    return names


def check_fresh(out: Path, names: Sequence[str], *, force: bool = False) -> None:
    """Checks that a run would replace nothing below `out`, or with `force` only what is of the same kind.

    Args:
        names: of the folders that it would write.
        force: whether it may replace files and folders.

    Raises:
        UsageError: there are results already, or a file where a folder would be, or the other way round.
    """
    for name in (REPORT_JSON, REPORT_HTML, *names):
        path = out / name
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            continue
        if os.path.lexists(path) and path.is_dir() != (name not in (REPORT_JSON, REPORT_HTML)):
            raise UsageError(
                f"--out {out}: holds {name}, which is {'a' if path.is_dir() else 'no'} folder; remove it, or give another --out"
            )
        if os.path.lexists(path) and not force:
            raise UsageError(f"--out {out}: holds {name} already; --force replaces it, or give another --out")
