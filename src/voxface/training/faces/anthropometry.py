"""Published sizes of heads and faces, per sex: the targets of the embedded model's population.

`ANSUR`: ANSUR II (2012 U.S. Army anthropometric survey, public release; 1,986 women and 4,082 men), computed from the
individual records. `NIOSH`: figures of the NIOSH respirator survey (Zhuang & Bradtmiller 2005), quoted from memory and not
verified against the source; they are soft targets for means and standard deviations only.

`PLACES` is the third dimension, targets of the mean heads. Where the source is "ANSUR 1988" they are means of its
headboard measurements, taken in the Frankfurt plane (Gordon et al. 1989, "1988 Anthropometric Survey of U.S. Army Personnel:
Methods and Summary Statistics", AD-A225094, pages 480 to 575; 2,208 women and 1,774 men). They come from a public
transcription of the scanned tables, not from the report itself; the lengths that the survey also gives, sellion to subnasale
and to menton, follow from them to 0.4 mm. Where it is "scan models" they were measured on the landmarks of three models made of
scans (ICT-FaceKit, BFM 2009, Surrey). Figures were taken over, never vertices.
"""

from dataclasses import dataclass, replace

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

# Protrusion of the nose, subnasale to pronasale: (mean, sd), millimetres; NIOSH's. ANSUR 1988 has 18.2 ± 2.3 for women, and
# three models made of scans 22.0, 19.2 and 22.7.
DEPTH: dict[str, dict[str, tuple[float, float]]] = {"nose_protrusion": {"female": (19.8, 2.7), "male": (21.1, 2.7)}}


@dataclass(frozen=True)
class Place:
    """The mean place of a landmark, in millimetres from the sellion; NaN is what the source does not tell.

    Attributes:
        forward: along the Frankfurt horizontal, positive in front of the sellion.
        up: vertically, positive above the sellion.
        breadth: from the landmark to its mirror image.
        source: where the figures come from.
    """

    forward: float
    up: float
    breadth: float
    source: str


_UNKNOWN = float("nan")
# Landmark -> (female, male), each the distance from the board behind the head, from the board on top of it, and the breadth.
_HEADBOARD: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "sellion": ((189.0, 105.3, _UNKNOWN), (197.0, 112.0, _UNKNOWN)),
    "glabella": ((191.0, 88.3, _UNKNOWN), (199.7, 96.2, _UNKNOWN)),
    "crinion": ((179.3, 41.7, _UNKNOWN), (183.4, 41.7, _UNKNOWN)),
    "pronasale": ((209.7, _UNKNOWN, _UNKNOWN), (219.2, 151.9, _UNKNOWN)),
    "alare": ((191.3, 146.5, _UNKNOWN), (199.8, 155.4, _UNKNOWN)),
    "subnasale": ((195.7, 152.8, _UNKNOWN), (203.5, 161.9, _UNKNOWN)),
    "stomion": ((193.1, 175.1, _UNKNOWN), (199.4, 186.3, _UNKNOWN)),
    "cheilion": ((179.7, 177.2, _UNKNOWN), (185.4, 187.9, _UNKNOWN)),
    "pogonion": ((187.6, _UNKNOWN, _UNKNOWN), (194.2, _UNKNOWN, _UNKNOWN)),
    "menton": ((173.3, 217.6, _UNKNOWN), (182.4, 232.0, _UNKNOWN)),
    "ectoorbitale": ((153.5, 111.5, 119.6), (160.1, 118.2, 121.8)),
    "gonion": ((106.4, 181.9, 108.3), (117.6, 197.9, 118.9)),
    "tragion": ((97.4, 123.5, 136.4), (98.9, 131.0, 144.8)),
}
# Landmark -> (forward, up, breadth) from the sellion: the mean of three models' mean faces, each nodded until its subnasale
# lies in ANSUR 1988's direction from its sellion. They differ by about 3 mm (one standard deviation) round the eyes, 1 mm in
# the middle of the face. The models know no sex; women's figures are 2.5 % smaller and men's larger, as their head lengths are.
_SCAN_MODELS: dict[str, tuple[float, float, float]] = {
    "exocanthion": (-21.2, -3.6, _UNKNOWN),
    "endocanthion": (-15.3, -5.2, _UNKNOWN),
    "upper lid": (-12.7, _UNKNOWN, _UNKNOWN),
    "lower lid": (-13.8, _UNKNOWN, _UNKNOWN),
    "inner brow": (-1.5, _UNKNOWN, _UNKNOWN),
    "brow": (-10.2, _UNKNOWN, _UNKNOWN),
    "bridge": (8.1, -13.0, _UNKNOWN),
    "lower bridge": (17.2, -25.1, _UNKNOWN),
    "upper lip": (8.5, _UNKNOWN, _UNKNOWN),
    "side of the upper lip": (1.6, _UNKNOWN, _UNKNOWN),
    "side of the lower lip": (-0.9, _UNKNOWN, _UNKNOWN),
    "lower lip": (5.4, _UNKNOWN, _UNKNOWN),
    "sublabiale": (-0.8, -90.0, _UNKNOWN),
}
SEX_SIZE = (0.975, 1.025)
# Heights that one source lacks: the red of the lips over and under the stomion (scan models), the tip of the nose for women
# and the foremost point of the chin (scan models, in proportion to subnasale and menton).
_LIPS_OVER_STOMION = {"upper lip": 7.6, "lower lip": -9.7}
_TIP_OF_SUBNASALE, _POGONION_OF_MENTON = 0.72, 0.855


def _places(sex: int) -> dict[str, Place]:
    back, top, _ = _HEADBOARD["sellion"][sex]
    found = {
        name: Place(board[sex][0] - back, top - board[sex][1], board[sex][2], "ANSUR 1988")
        for name, board in _HEADBOARD.items()
        if name != "sellion"
    }
    size = SEX_SIZE[sex]
    found |= {
        name: Place(size * forward, size * up, size * breadth, "scan models")
        for name, (forward, up, breadth) in _SCAN_MODELS.items()
    }
    heights = {name: found["stomion"].up + over for name, over in _LIPS_OVER_STOMION.items()}
    heights["pogonion"] = _POGONION_OF_MENTON * found["menton"].up
    if np.isnan(found["pronasale"].up):
        heights["pronasale"] = _TIP_OF_SUBNASALE * found["subnasale"].up
    return found | {name: replace(found[name], up=up) for name, up in heights.items()}


# Sex -> landmark -> its place.
PLACES: dict[str, dict[str, Place]] = {label: _places(sex) for sex, label in enumerate(SEXES)}
