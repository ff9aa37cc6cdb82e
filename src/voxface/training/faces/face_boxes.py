"""Faces in a picture, found by a small network in an ONNX file: their boxes, the largest first."""

from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, InputError, ProviderError

Boxes = NDArray[np.float32]
LEAST_SCORE: Final = 0.7
OVERLAP: Final = 0.3  # of two boxes that are of one face: their intersection over their union
_MIDDLE, _RANGE = 127.0, 128.0


class FaceDetector:
    """Single-shot face detector as "Ultra-Light-Fast-Generic-Face-Detector" publishes it (`version-RFB-320.onnx`).

    Input: float32 [1, 3, H, W] of a fixed size, RGB, (x − 127) / 128. Outputs: scores [1, N, 2] (no face, face) and boxes
    [1, N, 4] (left, top, right, bottom) in shares of width and height. The picture is scaled to fit, its proportions kept.
    """

    def __init__(self, file: Path) -> None:
        """Opens the graph.

        Raises:
            InputError: the file is missing, no ONNX graph, or one with another signature.
            ProviderError: Pillow, which scales pictures, is not installed.
        """
        _pillow()
        if not file.is_file():
            raise InputError(f"{file}: no such file; give the ONNX file of a face detector")
        try:
            self._engine = open_engine(file.read_bytes(), "cpu", name=str(file))
        except BundleError as error:
            raise InputError(f"{error}; give the ONNX file of a face detector") from error
        (self._input, spec), *others = self._engine.inputs.items()
        shape = tuple(spec.shape)
        widths = {out.shape[-1]: name for name, out in self._engine.outputs.items() if len(out.shape) == 3}
        if (
            others
            or spec.dtype != "float32"
            or len(shape) != 4
            or shape[:2] != (1, 3)
            or not all(isinstance(side, int) for side in shape[2:])
            or not {2, 4} <= set(widths)
        ):
            self._engine.__exit__(None, None, None)
            raise InputError(
                f"{file}: is no face detector: a float32 picture [1, 3, H, W], scores [1, N, 2] and boxes [1, N, 4] are needed"
            )
        self._height, self._width = int(shape[2]), int(shape[3])
        self._scores, self._boxes = widths[2], widths[4]

    def detect(self, image: NDArray[np.uint8]) -> Boxes:
        """Boxes float32 [K, 5] of the faces in a picture uint8 [H, W, 3]: left, top, right, bottom in px, and the score.

        The largest comes first. A box may reach beyond the picture. Where the whole picture shows no face, and has more pixels
        than the network looks at, it is looked at in nine overlapping parts of half its sides, for faces that are small in it.
        """
        found = self._look(image)
        height, width = image.shape[:2]
        if not len(found) and (width > self._width or height > self._height):
            parts = []
            for rows in _halves(height):
                for columns in _halves(width):
                    boxes = self._look(image[rows, columns]) + np.array(
                        [columns.start, rows.start] * 2 + [0], np.float32
                    )
                    # What an edge within the picture cuts is whole in another part.
                    low = np.where([columns.start > 0, rows.start > 0], [columns.start, rows.start], -np.inf)
                    high = np.where([columns.stop < width, rows.stop < height], [columns.stop, rows.stop], np.inf)
                    parts.append(boxes[((boxes[:, :2] > low) & (boxes[:, 2:4] < high)).all(1)])
            found = suppressed(np.concatenate(parts))
        return found[np.argsort(-_areas(found), kind="stable")]

    def _look(self, image: NDArray[np.uint8]) -> Boxes:
        """Boxes of the faces in one picture, scaled to what the network takes; the likeliest first."""
        pillow = _pillow()
        height, width = image.shape[:2]
        scale = min(self._width / width, self._height / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(pillow.fromarray(image).resize(size, pillow.Resampling.BILINEAR, reducing_gap=3), np.float32)
        feed = np.zeros((1, 3, self._height, self._width), np.float32)
        feed[0, :, : size[1], : size[0]] = ((small - _MIDDLE) / _RANGE).transpose(2, 0, 1)
        out = self._engine.run({self._input: feed})
        score = out[self._scores][0, :, 1]
        likely = np.flatnonzero(score >= LEAST_SCORE)
        boxes = out[self._boxes][0, likely] * np.array([self._width, self._height] * 2, np.float32)
        boxes = boxes / np.array([size[0] / width, size[1] / height] * 2, np.float32)
        found = np.concatenate([boxes, score[likely, None]], 1).astype(np.float32)
        return suppressed(found[np.isfinite(found).all(1)])

    def close(self) -> None:
        """Frees the graph."""
        self._engine.__exit__(None, None, None)


def suppressed(boxes: Boxes, overlap: float = OVERLAP) -> Boxes:
    """Those of the boxes [K, 5] that overlap no likelier one (non-maximum suppression), the likeliest first."""
    left = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low, high = np.maximum(left[:, :2], best[:2]), np.minimum(left[:, 2:4], best[2:4])
        both = np.prod(np.maximum(0, high - low), 1)
        left = left[both <= overlap * (_areas(left) + _areas(best[None]) - both)]
    return np.array(kept, np.float32).reshape(-1, 5)


def _halves(length: int) -> list[slice]:
    """The first half of a side, the half in its middle, and the last."""
    half = -(-length // 2)
    return [slice(begin, begin + half) for begin in (0, (length - half) // 2, length - half)]


def _areas(boxes: Boxes) -> NDArray[np.float32]:
    areas: NDArray[np.float32] = np.prod(np.maximum(0, boxes[:, 2:4] - boxes[:, :2]), 1)
    return areas


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ProviderError("reading pictures needs Pillow; pip install pillow") from error
    return Image
