"""Where the skin lies between the landmarks, per sex: targets of the mean heads.

No survey measures there, and MakeHuman's cheeks, forehead and jaw are flatter than people's. The figures were read off
ICT-FaceKit's mean face (MIT) every 10 to 16 mm, on level sections of it under turned lines of sight; none is a vertex of
it. Each sex gets them at its size and carried along with its own landmarks, so that they do not contradict the surveys. Lids
and lips have landmarks only: their skin follows the eyeballs and each other.
"""

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.anthropometry import PLACES, SEX_SIZE, SEXES

Spots = NDArray[np.float64]

# (half a breadth, up, forward) from the sellion, millimetres, in the Frankfurt plane; the other half is the mirror image.
_FIGURES = (
    (0.0, 60.0, -10.1), (16.6, 60.0, -12.0), (32.3, 60.0, -18.3), (46.5, 60.0, -30.9),
    (0.0, 48.0, -5.4), (20.2, 48.0, -7.8), (38.6, 48.0, -16.8), (54.4, 48.0, -33.3),
    (16.8, 34.0, -2.5), (32.8, 34.0, -8.4), (48.1, 34.0, -20.2), (61.9, 34.0, -39.8),
    (24.0, 18.0, -1.8), (38.8, 22.0, -7.8), (54.8, 22.0, -24.0), (65.6, 22.0, -46.1),
    (11.9, 11.0, -2.4), (25.3, 11.0, -7.3), (42.7, 11.0, -11.2), (58.5, 11.0, -27.5),
    (57.3, 2.0, -28.3), (64.3, 2.0, -41.4), (69.7, -8.0, -52.6),
    (20.7, -11.0, -13.0), (48.0, -10.0, -22.0), (52.1, -6.0, -26.3),
    (15.1, -20.0, -4.5), (26.0, -20.0, -11.7), (39.8, -20.0, -15.2), (52.8, -20.0, -22.5), (64.0, -20.0, -35.9),
    (70.3, -20.0, -52.5),
    (7.0, -12.0, 2.9), (8.0, -21.0, 8.0), (8.0, -29.0, 15.8), (12.0, -36.0, 13.8),
    (25.0, -32.0, -8.0), (38.8, -32.0, -12.5), (52.1, -32.0, -19.7), (63.0, -32.0, -33.6),
    (69.1, -32.0, -52.8),
    (0.0, -43.0, 19.2), (19.5, -43.0, -6.0), (26.5, -44.0, -7.6), (39.3, -44.0, -11.7), (51.2, -44.0, -20.5),
    (61.2, -44.0, -34.7), (67.1, -44.0, -53.3),
    (23.4, -50.0, -5.8), (26.5, -62.0, -4.4),
    (0.0, -56.0, 6.2), (16.3, -56.0, 0.7), (28.2, -56.0, -6.6), (40.8, -56.0, -13.9), (51.8, -56.0, -25.0),
    (60.9, -56.0, -40.3), (66.2, -56.0, -58.3),
    (34.4, -68.0, -10.4), (46.3, -68.0, -22.1), (55.5, -68.0, -35.3), (63.0, -68.0, -54.3),
    (30.0, -80.0, -11.0), (41.6, -80.0, -20.4), (51.0, -80.0, -34.3), (59.0, -80.0, -54.2),
    (20.4, -92.0, -7.2), (33.8, -92.0, -18.0), (44.6, -92.0, -32.5), (51.8, -92.0, -51.2),
    (21.8, -104.0, -10.2), (32.7, -104.0, -25.0), (39.8, -104.0, -45.1),
    (14.0, -115.1, -16.4), (26.0, -112.0, -30.2), (34.0, -108.6, -48.2), (0.0, -118.1, -22.7), (14.0, -117.5, -33.0),
    (0.0, -119.8, -37.7),
)  # fmt: skip
# Landmarks of the same face, (up, forward) from the sellion.
_LANDMARKS = {
    "sellion": (0.0, 0.0, 0.0),
    "glabella": (0.0, 17.0, 0.7),
    "exocanthion": (44.6, -2.4, -21.4),
    "endocanthion": (18.4, -4.4, -15.5),
    "pronasale": (0.0, -34.1, 22.3),
    "subnasale": (0.0, -49.7, 6.7),
    "upper lip": (0.0, -62.6, 9.1),
    "stomion": (0.0, -70.8, 3.2),
    "cheilion": (25.3, -72.4, -7.8),
    "lower lip": (0.0, -81.4, 5.6),
    "sublabiale": (0.0, -91.0, -0.8),
    "pogonion": (0.0, -98.3, 0.0),
    "menton": (0.0, -116.8, -15.4),
}
# A spot moves as the landmarks within about this many millimetres do; `FREE` is the weight of no movement at all.
REACH, FREE = 14.0, 0.5
# The surveys' faces are narrower at the sides than the scans (bizygomatic 138 and 147 mm, bigonial 114 and 121): from the first
# half breadth on the skin is nearer to the midline, by this share from the second.
NARROWER, FROM, TO = 0.05, 30.0, 70.0


def skin_spots(sex: int) -> Spots:
    """Spots of one sex's skin (0 female, 1 male): float64 [K, 3] as (half a breadth, up, forward) from the sellion, mm."""
    size, places = SEX_SIZE[sex], PLACES[SEXES[sex]]
    spots = size * np.array(_FIGURES)
    spots[:, 0] *= 1 - NARROWER * np.clip((spots[:, 0] - FROM) / (TO - FROM), 0, 1)
    landmarks = size * np.array(list(_LANDMARKS.values()))
    moved = np.zeros_like(landmarks)
    for k, name in enumerate(_LANDMARKS):
        if name in places:
            moved[k, 1:] = (places[name].up, places[name].forward) - landmarks[k, 1:]
    # What a source does not tell moves nothing.
    return carry(spots, landmarks, np.nan_to_num(moved))


def carry(spots: Spots, landmarks: Spots, moved: Spots) -> Spots:
    """Spots float64 [K, 3] moved along with landmarks float64 [L, 3] near them, which move by `moved` float64 [L, 3]."""
    near = np.exp(-np.square((spots[:, None] - landmarks) / REACH).sum(axis=2) / 2)
    carried: Spots = spots + near @ moved / (near.sum(axis=1, keepdims=True) + FREE)
    return carried
