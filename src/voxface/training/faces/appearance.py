"""Appearance of a face beyond its shape: colours of skin, iris, hair and lips, background and light.

Appearances are drawn independently of the voice. The embedded model's albedo is painted with the `PALETTE` colours, mixed
only at the borders of parts, so the share of a part's colour can be read back from each vertex and the same layout repainted
with another person's colours.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import PARTS

Colour = tuple[float, float, float]

# sRGB in [0, 1]; the colours of the neutral preview.
PALETTE: dict[str, Colour] = {
    "skin": (0.80, 0.62, 0.53),
    "lips": (0.69, 0.43, 0.40),
    "brows": (0.30, 0.22, 0.17),
    "scalp": (0.24, 0.17, 0.13),
    "sclera": (0.90, 0.88, 0.86),
    "iris": (0.33, 0.24, 0.15),
    "pupil": (0.03, 0.03, 0.03),
}

# Points along the range of human skin, from light to dark (sRGB); tones between them are interpolated.
SKIN_TONES = np.array(
    [
        (0.91, 0.76, 0.68),
        (0.86, 0.68, 0.58),
        (0.78, 0.60, 0.48),
        (0.66, 0.48, 0.37),
        (0.50, 0.35, 0.27),
        (0.36, 0.25, 0.20),
    ]
)
HAIR_TONES = np.array(
    [(0.07, 0.06, 0.055), (0.17, 0.12, 0.09), (0.30, 0.21, 0.14), (0.47, 0.34, 0.21), (0.55, 0.53, 0.51)]
)
IRIS_TONES = np.array(
    [(0.22, 0.14, 0.08), (0.36, 0.25, 0.13), (0.40, 0.40, 0.24), (0.38, 0.46, 0.50), (0.32, 0.44, 0.58)]
)


@dataclass(frozen=True)
class Appearance:
    """Colours (sRGB in [0, 1]) and light of one picture.

    Attributes:
        skin, lips, hair, brows, iris: the colours of the parts.
        background: behind the head.
        key_yaw, key_pitch: place of the key light, in degrees right of and above the camera.
        key: strength of the key light; 1 is neutral.
        warmth: colour of the key light, −1 bluish … 1 yellowish.
    """

    skin: Colour = PALETTE["skin"]
    lips: Colour = PALETTE["lips"]
    hair: Colour = PALETTE["scalp"]
    brows: Colour = PALETTE["brows"]
    iris: Colour = PALETTE["iris"]
    background: Colour = (0.62, 0.65, 0.68)
    key_yaw: float = -28.0
    key_pitch: float = 32.0
    key: float = 1.0
    warmth: float = 0.15

    @classmethod
    def sample(cls, rng: np.random.Generator) -> Self:
        """A random appearance; the tones of skin, hair and iris are loosely correlated, as among people."""
        tone = float(rng.beta(1.3, 2.0))
        skin = np.clip(_along(SKIN_TONES, tone) + rng.normal(0, 0.012, 3), 0.05, 0.97)
        # Dark skin seldom comes with light hair or a blue iris; light skin comes with every tone.
        lightness = float(rng.beta(1.2, 2.2)) * max(0.0, 1.0 - 1.6 * tone)
        hair = _along(HAIR_TONES, min(1.0, lightness + (0.35 if rng.random() < 0.06 else 0.0)))
        iris = _along(IRIS_TONES, float(rng.beta(0.8, 1.6)) * max(0.0, 1.0 - 1.5 * tone))
        redness = rng.uniform(0.25, 0.75)
        lips = skin * (1.0 - redness * np.array([0.14, 0.36, 0.33]))
        return cls(
            skin=_colour(skin),
            lips=_colour(lips),
            hair=_colour(hair),
            brows=_colour(0.8 * hair + 0.2 * 0.35 * skin),
            iris=_colour(iris),
            background=_colour(np.clip(rng.uniform(0.25, 0.85) + rng.normal(0, 0.04, 3), 0.0, 1.0)),
            key_yaw=float(rng.uniform(-50, 50)),
            key_pitch=float(rng.uniform(10, 50)),
            key=float(rng.uniform(0.8, 1.15)),
            warmth=float(rng.uniform(-0.5, 0.8)),
        )

    def paint(self, parts: NDArray[np.uint8], albedo: NDArray[np.float32]) -> NDArray[np.float32]:
        """Albedo float32 [N, 3] (sRGB) of the embedded model, repainted in these colours; `parts` uint8 [N] of its vertices."""
        painted = np.empty(albedo.shape, np.float32)
        skin = np.array(PALETTE["skin"])
        for index, part in enumerate(PARTS):
            here = parts == index
            if part == "eyes":
                painted[here] = self._eyes(albedo[here])
                continue
            theirs = {"skin": self.skin, "lips": self.lips, "brows": self.brows, "scalp": self.hair}[part]
            away = np.array(PALETTE[part]) - skin
            share = np.clip((albedo[here] - skin) @ away / max(away @ away, 1e-9), 0, 1)[:, None]
            plain = (1 - share) * skin + share * np.array(PALETTE[part])
            # Shading painted on a part (redder cheeks, darker lids, the dark between the lips) stays, relative to its tone.
            shading = np.clip(albedo[here] / plain, 0, 1.2)
            painted[here] = ((1 - share) * np.array(self.skin) + share * np.array(theirs)) * shading
        return np.clip(painted, 0, 1)

    def _eyes(self, albedo: NDArray[np.float32]) -> NDArray[np.float32]:
        """Albedo of the eyes with the iris repainted; a vertex is iris if its colour is nearest to the palette's iris."""
        names = ("sclera", "iris", "pupil")
        distance = np.stack([np.linalg.norm(albedo - np.array(PALETTE[n]), axis=1) for n in names], axis=1)
        nearest_iris = (distance.argmin(axis=1) == 1)[:, None]
        repainted = albedo * np.array(self.iris) / np.array(PALETTE["iris"])
        return np.where(nearest_iris, repainted, albedo).astype(np.float32)


def _along(tones: NDArray[np.float64], position: float) -> NDArray[np.float64]:
    """The colour at `position` in [0, 1] along a row of colours [K, 3]."""
    at = np.linspace(0, 1, len(tones))
    return np.array([np.interp(position, at, tones[:, c]) for c in range(3)])


def _colour(rgb: NDArray[np.float64]) -> Colour:
    r, g, b = (float(x) for x in rgb)
    return r, g, b
