"""An estimate without a face, for benchmarks of what a live session decides before it makes one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StubEstimate:
    """The part of an estimate that a live session reads.

    Attributes:
        frame_embeddings: float32 [E, C], of the voice encoder.
        stages_ns: empty: no stage ran.
        image_reused: False: there is no image.
    """

    frame_embeddings: NDArray[np.float32]
    stages_ns: dict[str, int] = field(default_factory=dict)
    image_reused: bool = False

    def moved_mm(self, before: Any) -> float:
        """Always 0: there is no mesh."""
        return 0.0
