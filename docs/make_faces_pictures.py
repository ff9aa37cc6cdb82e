"""The pictures of docs/faces.md: python docs/make_faces_pictures.py [--model embedded.npz] (needs Open3D and Pillow)."""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.atomic import write_atomically
from voxface.training.faces.expressions import EXPRESSIONS, FULL
from voxface.training.faces.render import PORTRAIT, Framing, ambient_visibility, render, write_picture_sheet

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results" / "faces.json"
FACE = Framing((0.0, -28.0, -30.0), 210.0, 1200.0)
MOUTH = Framing((0.0, -70.0, 10.0), 80.0, 1200.0)
SIDES = ((0.0, 0.0), (40.0, 0.0), (90.0, 0.0))

Picture = NDArray[np.uint8]
Coefficients = NDArray[np.float32]


class Studio:
    """Renders faces of one model in one light."""

    def __init__(self, model: MorphableModel) -> None:
        self.model = model
        self._occlusion = ambient_visibility(model.mean, model.triangles)

    def __call__(
        self, face: Coefficients, view: tuple[float, float] = SIDES[0], framing: Framing = PORTRAIT, size: int = 180
    ) -> Picture:
        """One face float32 [P] as a picture uint8 [size, size, 3]."""
        model = self.model
        vertices = model.vertices(np.asarray(face, np.float32))
        return render(
            vertices, model.triangles, model.albedo, size=size, view=view, occlusion=self._occlusion, framing=framing
        )


def pictures(studio: Studio) -> dict[str, list[list[Picture]]]:
    """Name of the file -> rows of pictures."""
    model = studio.model
    unit = np.eye(model.modes, dtype=np.float32)
    mean = np.zeros(model.modes, np.float32)
    found = {
        "faces-means": [
            [studio(face, view, size=210) for view in SIDES] for face in (mean, model.sex_means[0], model.sex_means[1])
        ],
        "faces-modes": [
            [studio(sign * 2 * unit[k], view, size=128) for k in range(6)]
            for sign in (-1, 1)
            for view in (SIDES[0], (60.0, 0.0))
        ],
        "faces-types": [[studio(face, view) for face in model.face_types.values()] for view in SIDES[:2]],
    }
    if model.modes == model.identity_modes + len(EXPRESSIONS):
        shown = [FULL * unit[model.identity_modes + k] for k in range(len(EXPRESSIONS))]
        found["faces-expressions"] = [
            [studio(face, view, FACE, 150) for face in half]
            for half in (shown[:5], shown[5:])
            for view in (SIDES[0], (45.0, 0.0))
        ]
        worst = np.array(json.loads(RESULTS.read_text())["measured"]["intersections"]["with_expressions"]["worst"])
        found["faces-worst"] = [
            [studio(worst, view, framing, 180) for view, framing in zip(SIDES, (FACE, MOUTH, MOUTH), strict=True)]
        ]
    return found


def main() -> None:
    """Writes them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="morphable model (.npz); default: the default bundle's")
    given = parser.parse_args()
    model = Bundle.open().morphable if given.model is None else MorphableModel.from_bytes(given.model.read_bytes())
    for name, rows in pictures(Studio(model)).items():
        write_atomically(DOCS / f"{name}.png", lambda part, rows=rows: _write(rows, part))  # type: ignore[misc]


def _write(rows: list[list[Picture]], path: Path) -> None:
    # The suffix tells Pillow the format.
    named = path.with_suffix(".png")
    write_picture_sheet(rows, named)
    named.replace(path)


if __name__ == "__main__":
    main()
