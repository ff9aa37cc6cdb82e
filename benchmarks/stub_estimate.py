"""Estimates without a face, where what counts is decided before one is made."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StubEstimate:
    """What a live session asks of an estimate, and no more.

    Attributes:
        columns: float32 [E, C], the voice encoder's.
        stages_ns: none.
        picture_kept: there is none to keep.
    """

    frame_embeddings: NDArray[np.float32]
    stages_ns: dict[str, int] = field(default_factory=dict)
    image_reused: bool = False

    def moved_mm(self, before: Any) -> float:
        """It does not move."""
        return 0.0
