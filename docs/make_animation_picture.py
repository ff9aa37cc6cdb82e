"""The picture of docs/animation.md: python docs/make_animation_picture.py (needs the default bundle only)."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morph_targets import morph_targets
from voxface.runtime.face.png import png
from voxface.runtime.face.rasteriser import preview
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.provenance.mark import DRAWN

DOCS: Final = Path(__file__).parent
# In the order of the page's caption.
SHOWN: Final[tuple[dict[str, float], ...]] = (
    {"mouthSmileLeft": 1},
    {"mouthFrownLeft": 1, "mouthFrownRight": 1},
    {"browInnerUp": 1},
    {"browOuterUpLeft": 1},
    {"browDownLeft": 1, "browDownRight": 1},
    {"eyeBlinkLeft": 1},
    {"mouthPucker": 1},
    {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "jawOpen": 0.4},
)


def main() -> None:
    """Writes `animation.png`: the mean face with these weights of its morph targets, from the front and from the side."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    model = Bundle.open().morphable
    targets = {target.name: target.displacements for target in morph_targets(model)}

    def picture(weights: dict[str, float], yaw: float) -> NDArray[np.uint8]:
        moved = sum((np.float32(weight) * targets[name] for name, weight in weights.items()), model.mean)
        left = 70 if yaw == 0 else 110
        whole = preview(np.asarray(moved, np.float32), model.triangles, model.albedo, yaw=yaw, size=300)
        return whole[60:240, left : left + 160]

    rows = [np.concatenate([picture(weights, yaw) for weights in SHOWN], axis=1) for yaw in (0.0, 55.0)]
    write_bytes(DOCS / "animation.png", png(np.concatenate(rows), DRAWN))


if __name__ == "__main__":
    main()
