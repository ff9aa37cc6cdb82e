"""Photographs brought to the place and size of the rendered pictures: a similarity to 68 landmarks (Wen 2019, §4)."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import ProviderError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.face_set import picture_camera, picture_pose

GREY: Final = (127, 127, 127)  # what lies beyond the photograph; 0 for the networks
_INNER: Final = slice(17, 68)  # the jaw line is another place of the skin in each pose


@dataclass(frozen=True)
class Template:
    """Where the landmarks lie in a picture.

    Attributes:
        landmarks: float64 [68, 2], px.
        size: height and width of the picture, px.
    """

    landmarks: NDArray[np.float64]
    size: int

    @classmethod
    def of_model(cls, model: MorphableModel, size: int = 64) -> Self:
        """Where a model's mean face has them in the pictures that are rendered of it, seen from the front."""
        camera = picture_camera(size)
        places = model.mean[model.landmarks].astype(np.float64)[None]
        return cls(camera.project(picture_pose(np.zeros((1, 3)), camera), places)[0], size)

    def align(self, picture: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> NDArray[np.uint8]:
        """The part uint8 [size, size, 3] of a picture uint8 [H, W, 3] whose inner landmarks lie as here, in least squares.

        Args:
            landmarks: [68, 2], in px of the picture, (0.5, 0.5) the centre of the first.

        Raises:
            ProviderError: Pillow is not installed.
        """
        try:
            from PIL import Image
        except ImportError as error:
            raise ProviderError("aligning pictures needs Pillow; pip install pillow") from error
        scale, turn, shift = similarity(landmarks[_INNER].astype(np.float64), self.landmarks[_INNER])
        image, fine = Image.fromarray(picture), 2 * self.size  # twice as fine, then halved: no pixel is skipped
        coarse = max(1, int(0.5 / max(scale, 1e-9)) // 2)
        if coarse > 1:
            image = image.reduce(coarse)
        # From a fine pixel to the photograph: x = turnᵀ (y·size/fine − shift) / scale, in reduced pixels.
        back = turn.T / scale
        matrix, offset = back * (self.size / fine) / coarse, -back @ shift / coarse
        data = (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1])
        seen = image.transform((fine, fine), Image.Transform.AFFINE, data, Image.Resampling.BICUBIC, fillcolor=GREY)
        return np.asarray(seen.reduce(2), np.uint8)


def similarity(
    points: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Scale, rotation [D, D] and shift [D] that bring points [n, D] to others in least squares (Umeyama 1991)."""
    here, there = points - points.mean(0), others - others.mean(0)
    u, s, vt = np.linalg.svd(there.T @ here)
    flip = np.append(np.ones(len(s) - 1), np.sign(np.linalg.det(u @ vt)))
    turn = (u * flip) @ vt
    scale = float((s * flip).sum() / np.square(here).sum())
    return scale, turn, others.mean(0) - scale * turn @ points.mean(0)
