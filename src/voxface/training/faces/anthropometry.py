"""Published sizes of heads and faces, per sex: the targets of the embedded model's population.

`ANSUR`: ANSUR II (2012 U.S. Army anthropometric survey, public release; 1,986 women and 4,082 men), computed from the
individual records. `NIOSH`: figures of the NIOSH respirator survey (Zhuang & Bradtmiller 2005), quoted from memory and not
verified against the source; they are soft targets for means and standard deviations only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEXES = ("female", "male")

# Our measurement -> the name ANSUR II gives it.
ANSUR_NAMES = {
    "face_width": "bizygomaticbreadth",
    "face_length": "mentonsellionlength",
    "head_breadth": "headbreadth",
    "head_length": "headlength",
    "interpupillary": "interpupillarybreadth",
    "ear_length": "earlength",
    "ear_breadth": "earbreadth",
    "ear_protrusion": "earprotrusion",
    "tragion_to_top": "tragiontopofhead",
    "bitragion_chin_arc": "bitragionchinarc",
    "bitragion_submandibular_arc": "bitragionsubmandibulararc",
}


@dataclass(frozen=True)
class Survey:
    """Measures of one sex, in the order of `names`.

    Attributes:
        names: our names of the measures.
        mean, sd: float64 [M], millimetres.
        correlation: float64 [M, M].
    """

    names: tuple[str, ...]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    correlation: NDArray[np.float64]


_ANSUR = {
    "female": (
        [133.77, 113.09, 147.77, 189.82, 61.71, 59.36, 33.22, 20.39, 126.48, 311.01, 287.98],
        [5.56, 6.09, 5.19, 7.45, 3.62, 3.88, 2.77, 2.66, 6.55, 14.16, 15.3],
        [
            [1.0, 0.211, 0.609, 0.162, 0.475, 0.211, 0.065, 0.088, 0.271, 0.544, 0.482],
            [0.211, 1.0, 0.181, 0.289, 0.226, 0.176, 0.114, 0.009, 0.185, 0.334, 0.293],
            [0.609, 0.181, 1.0, 0.22, 0.284, 0.112, 0.071, 0.128, 0.331, 0.285, 0.269],
            [0.162, 0.289, 0.22, 1.0, 0.343, 0.098, 0.095, -0.065, 0.286, 0.423, 0.307],
            [0.475, 0.226, 0.284, 0.343, 1.0, 0.157, 0.119, -0.007, 0.178, 0.484, 0.354],
            [0.211, 0.176, 0.112, 0.098, 0.157, 1.0, 0.311, 0.283, 0.161, 0.197, 0.221],
            [0.065, 0.114, 0.071, 0.095, 0.119, 0.311, 1.0, 0.091, -0.021, 0.153, 0.164],
            [0.088, 0.009, 0.128, -0.065, -0.007, 0.283, 0.091, 1.0, 0.118, -0.101, -0.067],
            [0.271, 0.185, 0.331, 0.286, 0.178, 0.161, -0.021, 0.118, 1.0, 0.141, 0.141],
            [0.544, 0.334, 0.285, 0.423, 0.484, 0.197, 0.153, -0.101, 0.141, 1.0, 0.767],
            [0.482, 0.293, 0.269, 0.307, 0.354, 0.221, 0.164, -0.067, 0.141, 0.767, 1.0],
        ],
    ),
    "male": (
        [142.62, 122.64, 154.33, 199.5, 64.02, 64.21, 36.06, 23.17, 131.15, 331.65, 315.71],
        [6.22, 6.67, 5.53, 7.02, 3.42, 4.51, 3.02, 3.0, 6.16, 14.04, 16.65],
        [
            [1.0, 0.194, 0.653, 0.185, 0.437, 0.22, 0.104, 0.061, 0.18, 0.589, 0.561],
            [0.194, 1.0, 0.159, 0.319, 0.161, 0.159, 0.134, -0.01, 0.178, 0.364, 0.295],
            [0.653, 0.159, 1.0, 0.176, 0.306, 0.091, 0.047, 0.11, 0.307, 0.335, 0.307],
            [0.185, 0.319, 0.176, 1.0, 0.268, 0.177, 0.119, -0.074, 0.288, 0.392, 0.308],
            [0.437, 0.161, 0.306, 0.268, 1.0, 0.133, 0.076, -0.007, 0.148, 0.393, 0.276],
            [0.22, 0.159, 0.091, 0.177, 0.133, 1.0, 0.336, 0.227, 0.081, 0.312, 0.337],
            [0.104, 0.134, 0.047, 0.119, 0.076, 0.336, 1.0, 0.082, -0.035, 0.181, 0.174],
            [0.061, -0.01, 0.11, -0.074, -0.007, 0.227, 0.082, 1.0, 0.084, -0.015, -0.012],
            [0.18, 0.178, 0.307, 0.288, 0.148, 0.081, -0.035, 0.084, 1.0, 0.076, 0.066],
            [0.589, 0.364, 0.335, 0.392, 0.393, 0.312, 0.181, -0.015, 0.076, 1.0, 0.785],
            [0.561, 0.295, 0.307, 0.308, 0.276, 0.337, 0.174, -0.012, 0.066, 0.785, 1.0],
        ],
    ),
}

ANSUR = {
    sex: Survey(tuple(ANSUR_NAMES), np.array(mean), np.array(sd), np.array(correlation))
    for sex, (mean, sd, correlation) in _ANSUR.items()
}

# measure -> sex -> (mean, sd), millimetres: bigonial breadth, lip length, nose breadth, subnasale-sellion length,
# minimum frontal breadth.
NIOSH: dict[str, dict[str, tuple[float, float]]] = {
    "jaw_width": {"female": (110.1, 8.9), "male": (120.4, 10.4)},
    "mouth_width": {"female": (48.0, 4.0), "male": (51.1, 4.2)},
    "nose_width": {"female": (33.2, 3.9), "male": (36.6, 4.1)},
    "nose_length": {"female": (48.2, 3.8), "male": (52.0, 4.1)},
    "forehead_width": {"female": (102.9, 5.4), "male": (105.5, 5.7)},
}
