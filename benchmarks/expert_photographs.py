"""An expert of our own on real photographs with hand marks, beside renders that it has not learnt from.

    python -m benchmarks.expert_photographs EXPERT

EXPERT is the folder of a `voxface train expert`. Where it puts the landmarks of the face it reads, by coefficients and pose, is
compared with the hand marks of six photographs (brought to the place of the renders by these marks, as `data prepare` does
it) and with the true places in renders of another seed. The trivial answer is the mean face from the front, which has no
pose to find in photographs: alignment leaves little of it. Of the shape of these six faces nobody knows the truth.
"""

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.options import parser
from benchmarks.photographs import hand_marks
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.expert_renders import DECIMETRE, RenderConfig, Renders
from voxface.training.data.images import as_images
from voxface.training.engine.trained_experts import load_expert
from voxface.training.faces.aligned_picture import Template, similarity
from voxface.training.faces.picture_landmarks import read_picture
from voxface.training.faces.population import FacePopulation

Array = NDArray[np.float64]
RENDERS: Final = RenderConfig(pictures=200, seed=99)
INNER: Final = slice(17, 68)


def landmarks(model: MorphableModel, coefficients: NDArray[np.float32], pose: NDArray[np.float32]) -> Array:
    """Landmarks [B, 68, 2] in picture heights from the middle, right and down, of coefficients [B, P] and poses [B, 12]."""
    basis = model.basis[:, model.landmarks].astype(np.float64)
    points = model.mean[model.landmarks] + np.tensordot(coefficients.astype(np.float64), basis, 1)
    camera = pose.reshape(-1, 3, 4).astype(np.float64)
    seen = points / DECIMETRE @ camera[:, :, :3].transpose(0, 2, 1) + camera[:, None, :, 3]
    return np.asarray(seen[:, :, :2] * [1, -1], np.float64)


def errors(found: Array, truth: Array) -> dict[str, Any]:
    """Median distance of the inner 51 as a share of the distance between the outer eye corners, of all and of each face."""
    eyes = np.linalg.norm(truth[:, 36] - truth[:, 45], axis=1)
    each = np.median(np.linalg.norm(found - truth, axis=2)[:, INNER] / eyes[:, None], axis=1)
    return {"median": float(np.median(each)), "each": [float(face) for face in each[:6]]}


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("expert", type=Path, help="folder of a `voxface train expert`")
    expert = load_expert(options.parse_args().expert).eval()
    bundle = Bundle.open()
    model = bundle.morphable
    template = Template.of_model(model)
    real = Path(os.environ.get("VOXFACE_SHARED", "../shared/data")) / "real" / "photos"
    pictures, marked = [], []
    for name, marks in hand_marks(real / "marks.csv").items():
        pictures.append(template.align(read_picture(real / f"{name}.png"), marks))
        scale, turn, shift = similarity(marks[INNER], template.landmarks[INNER])
        marked.append((scale * marks @ turn.T + shift) / template.size - 0.5)
    renders = Renders.from_population(model, FacePopulation.load(bundle.path / "population.npz"), RENDERS, workers=2)

    def read(images: NDArray[np.uint8]) -> Array:
        with torch.no_grad():
            seen = expert(as_images(torch.from_numpy(images)))
        return landmarks(model, seen.coefficients.numpy(), seen.pose.numpy())

    sides = {
        "photographs": (read(np.stack(pictures)), np.array(marked)),
        "renders": (read(renders.pictures), landmarks(model, renders.coefficients, renders.pose)),
    }
    straight = template.landmarks[None] / template.size - 0.5
    record(
        "expert_photographs",
        "python -m benchmarks.expert_photographs EXPERT",
        {
            side: {"expert": errors(found, truth), "mean face": errors(np.repeat(straight, len(truth), 0), truth)}
            for side, (found, truth) in sides.items()
        }
        | {"faces": {side: len(truth) for side, (_, truth) in sides.items()}},
        ("numpy", "torch"),
    )


if __name__ == "__main__":
    main()
