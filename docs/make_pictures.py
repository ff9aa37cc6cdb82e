"""The pictures of README and docs: python docs/make_pictures.py (needs the default bundle only)."""

import argparse
from pathlib import Path

import numpy as np

from voxface.runtime.face.png import png
from voxface.runtime.face.rasteriser import BACKGROUND, preview
from voxface.runtime.face.resize import resized
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.voice_to_face import VoiceToFace

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"


def main() -> None:
    """Writes `demo.png`: for each sample voice its picture, enlarged to 256 px, and its mesh from three sides."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    with VoiceToFace() as voice_to_face:
        model = voice_to_face.morphable
        for name in ("sample_female.flac", "sample_male.flac"):
            _, estimate = voice_to_face.estimate_file(EXAMPLES / name)
            views = [
                preview(estimate.vertices, model.triangles, model.albedo, yaw=yaw, size=320) for yaw in (0, 40, 90)
            ]
            tile = np.full((320, 288, 3), BACKGROUND, np.uint8)
            tile[32:288, 16:272] = resized(estimate.image, 256)
            rows.append(np.concatenate([tile, *views], axis=1))
    write_bytes(DOCS / "demo.png", png(np.concatenate(rows), voice_to_face.bundle.mark))


if __name__ == "__main__":
    main()
