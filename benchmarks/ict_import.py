"""The import of ICT-FaceKit, a model of scanned faces: whether it is read correctly, and how much the retargeting keeps.

VOXFACE_SHARED=… python -m benchmarks.ict_import
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.importers.face_models import read_face_model
from voxface.importers.retarget import import_face_model
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.mesh import boundary_edges
from voxface.training.faces.are_metric import are_ratios

FACES = 20


def read_vertices(file: Path) -> np.ndarray:
    """The vertices of an OBJ file, float64 [N, 3], as they stand there."""
    return np.array([line.split()[1:4] for line in file.read_text().splitlines() if line.startswith("v ")], float)


def main() -> None:
    """Imports, compares with the weighted OBJ files, retargets the default bundle, and records it."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    folder = shared / "ict-facekit"
    model = read_face_model(folder)
    neutral = 10 * read_vertices(folder / "generic_neutral_mesh.obj")  # centimetres
    modes = np.stack([10 * read_vertices(folder / f"identity{k:03}.obj") - neutral for k in range(40)])
    corners = model.landmarks[[36, 45]]
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(FACES):
        weights = rng.normal(size=40)
        weighted = neutral + np.tensordot(weights, modes, 1)
        weighted -= weighted[corners].mean(0)
        coefficients = np.concatenate([weights, np.zeros(model.modes - 40)]).astype(np.float32)
        worst = max(worst, float(np.abs(model.vertices(coefficients) - weighted).max()))
    with tempfile.TemporaryDirectory() as room:
        began = time.perf_counter()
        bundle = import_face_model(Bundle.open(), model, Path(room) / "ict.voxface")
        seconds = time.perf_counter() - began
        size = sum(len(data) for data in bundle.files.values())
        retargeting = bundle.manifest.retargeting
    record(
        "ict_import",
        "python -m benchmarks.ict_import",
        {
            "vertices": len(model.mean),
            "triangles": len(model.triangles),
            "identity_modes": model.identity_modes,
            "expression_modes": model.modes - model.identity_modes,
            "boundary_edges": boundary_edges(model.triangles),
            "faces_compared": FACES,
            "largest_difference_from_weighted_obj_mm": worst,
            "mean_face_mm": model.measure(model.mean),
            "are_anatomical": are_ratios(model.mean, model.are_pairs),
            "identity_explained": retargeting.identity_explained,
            "placement_uncertainty_mm": retargeting.placement_uncertainty_mm,
            "bundle_bytes": size,
            "retargeting_s": seconds,
        },
    )


if __name__ == "__main__":
    main()
