"""Learning curve of a run: `curve.jsonl`, one point per line, and the same with pictures for TensorBoard."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.files.atomic import write_bytes

CURVE: Final = "curve.jsonl"


class Curve:
    """Learning curve in the folder of a run. All methods raise OSError when the disk is full."""

    def __init__(self, folder: Path, first: int) -> None:
        """Opens the curve at step `first`: removes points from that step on, and a last line that was not written whole."""
        self.folder = folder
        self._purge: int | None = first
        self._writer: Any = None
        path, kept = folder / CURVE, []
        for line in path.read_text().splitlines(keepends=True) if first and path.exists() else []:
            if not line.endswith("}\n") or json.loads(line)["step"] >= first:
                break
            kept.append(line)
        write_bytes(path, "".join(kept).encode())

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
