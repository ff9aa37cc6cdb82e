"""Faces that a published expert reads from pictures, in the place of faces fitted to landmarks (3DDFA-V2, SynergyNet).

The landmarks still say where the face is, whether it is one, and which way it looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel

if TYPE_CHECKING:
    from voxface.training.models.experts.expert import Expert

MODEL: Final = "bfm2009-noneck"  # as `importers.face_models.tddfa` calls it
SHAPE, EXPRESSION = 40, 10
_SIZE: Final = 120


@dataclass(frozen=True)
class ExpertChoice:
    """A published expert, small enough to be sent to every worker, which opens it once.

    Attributes:
        checkpoint: its weights.
        whitening: means and deviations of what it gives, where the weights do not have them.
    """

    checkpoint: Path
    whitening: Path | None = None

    def check(self, model: MorphableModel) -> None:
        """Opens it, so that what is wrong is said before the work.

        Raises:
            InputError: a file is missing or not what it should be.
            UsageError: its coefficients are of another morphable model.
        """
        require_bfm(model, f"--expert {self.checkpoint.name}: gives {SHAPE} + {EXPRESSION} coefficients")
        _opened(self)

    def read(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Coefficients float32 [K, P] of K crops uint8 [120, 120, 3] (`crop`); each picture on its own, on one core.

        So they depend neither on the other pictures nor on the number of cores.
        """
        import torch

        from voxface.training.data.images import as_images

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                found = [_opened(self)(as_images(torch.from_numpy(one[None].copy()))).coefficients for one in crops]
        finally:
            torch.set_num_threads(threads)
        return torch.cat(found).numpy().astype(np.float32)


def require_bfm(model: MorphableModel, what: str) -> None:
    """Raises UsageError, beginning with `what`, unless a model is BFM-2009 with the modes that 3DDFA-V2 keeps."""
    if model.name != MODEL or (model.identity_modes, model.modes) != (SHAPE, SHAPE + EXPRESSION):
        raise UsageError(
            f"{what} of BFM-2009 as 3DDFA-V2 pickles it, and the model is {model.name} with {model.identity_modes} + "
            f"{model.modes - model.identity_modes}; import that one (docs/face-models.md) and name it: --bundle or --faces"
        )


@cache
def _opened(choice: ExpertChoice) -> "Expert":
    from voxface.training.models.experts.published import Whitening, load_published

    return load_published(choice.checkpoint, None if choice.whitening is None else Whitening.load(choice.whitening))


def crop(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part uint8 [120, 120, 3] of a picture that 3DDFA-V2 looks at once it has landmarks [68, 2], px.

    As in its published code, a square about the middle of their box, √2 times its longer side, black beyond the picture.
    """
    from PIL import Image

    low, high = landmarks.min(0), landmarks.max(0)
    half = float(max(high - low)) / np.sqrt(2)
    left, top, right, bottom = (round(float(each)) for each in (*((low + high) / 2 - half), *((low + high) / 2 + half)))
    part = Image.fromarray(picture).crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return np.asarray(part.resize((_SIZE, _SIZE), Image.Resampling.BILINEAR), np.uint8)
