"""The four face types: coefficients of a typical wide, regular, slim and skinny face, the same for both sexes."""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.gaussian import Gaussian, Matrix
from voxface.training.faces.population import measure_paths
from voxface.training.faces.surface import Vertices

MEASURES = ("face_width", "face_length", "jaw_width", "cheek_width")
# Deviation of each measure of `MEASURES` from its mean, in standard deviations within a sex. Width against length makes a
# face wide or slim; a skinny face is narrow in jaw and cheeks rather than in its bones.
TYPES: dict[str, tuple[float, float, float, float]] = {
    "wide": (1.2, -0.6, 1.0, 1.1),
    "regular": (0.0, 0.0, 0.0, 0.0),
    "slim": (-1.0, 0.8, -0.7, -0.6),
    "skinny": (-0.6, 0.4, -1.5, -1.9),
}


def face_types(
    mean: Vertices, basis: Matrix, within: Gaussian, paths: dict[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Coefficients float32 [P] by type: the most probable face with the type's measures, for a person of unknown sex."""
    of_type = {name: paths[name] for name in MEASURES}
    step = 0.01 * np.eye(len(basis))
    jacobian = (
        (
            measure_paths(mean, basis, of_type, within.mean + step)
            - measure_paths(mean, basis, of_type, within.mean - step)
        )
        / 0.02
    ).T
    covariance = jacobian @ within.covariance @ jacobian.T
    gain = within.covariance @ jacobian.T @ np.linalg.inv(covariance)
    sd = np.sqrt(np.diag(covariance))
    return {name: (within.mean + gain @ (sd * np.array(away))).astype(np.float32) for name, away in TYPES.items()}
