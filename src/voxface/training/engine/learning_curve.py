"""Learning curve of a run: `curve.jsonl`, one point per line, and the same with pictures for TensorBoard."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.files.atomic import write_bytes

CURVE: Final = "curve.jsonl"


def read_points(path: Path) -> tuple[list[tuple[bytes, dict[str, Any]]], bool]:
    """The points of a curve, each with its line; none where there is no file.

    Returns:
        (the points, whether a last line without an end was left out: what a kill leaves of a point).

    Raises:
        InputError: a line is no point.
    """
    found: list[tuple[bytes, dict[str, Any]]] = []
    data = path.read_bytes() if path.is_file() else b""
    lines = data.splitlines(keepends=True)
    cut = bool(lines) and not lines[-1].endswith(b"\n")
    for number, line in enumerate(lines[:-1] if cut else lines, 1):
        try:
            point = json.loads(line)
            if type(point["step"]) is not int or point["step"] < 0:
                raise ValueError("no step")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"{path}: line {number} is no point of a learning curve, so the file is damaged; put a good copy back, or "
                "move the file away to go on without its points"
            ) from error
        found.append((line, point))
    return found, cut


class Curve:
    """Learning curve in the folder of a run. All methods raise OSError when the disk is full."""

    def __init__(self, folder: Path, first: int, say: Callable[[str], None] = lambda _: None) -> None:
        """Opens the curve at step `first`: removes the points from that step on.

        A last line that a kill has cut off is removed as well, and `say` is told.

        Raises:
            InputError: another line is no point; nothing was changed.
        """
        self.folder = folder
        self._purge: int | None = first
        self._writer: Any = None
        path = folder / CURVE
        whole, cut = read_points(path) if first else ([], False)
        if cut:
            say(f"{path}: its last line was cut off and is left out")
        kept = [line for line, point in whole if point["step"] < first]
        write_bytes(path, b"".join(kept))

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point; its numbers are written so that they are read back exactly."""
        with (self.folder / CURVE).open("a") as curve:
            curve.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._board().add_scalar(name, value, step)

    def picture(self, step: int, name: str, picture: NDArray[np.uint8]) -> None:
        """Shows a picture uint8 [h, w, 3] in TensorBoard."""
        self._board().add_image(name, picture, step, dataformats="HWC")
        self.flush()

    def flush(self) -> None:
        """Passes everything to the operating system."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Closes the files; a point that is added later opens them again."""
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
            self._writer = None

    def _board(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Once per run: TensorBoard drops what a killed run has written after its last checkpoint.
            self._writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=self._purge)
            self._purge = None
        return self._writer
