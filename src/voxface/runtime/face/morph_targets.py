"""Morph targets: what animates an exported head elsewhere, under ARKit's names where there are such.

The embedded model's ten expression modes move both sides together. They are cut here into the shapes that ARKit knows: by
side, and brows into inner and outer parts. The cuts are smooth, and the parts of a mode add up to it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.expression_names import EMBEDDED, arkit_name
from voxface.runtime.face.morphable_model import MorphableModel

Float32 = NDArray[np.float32]
FULL: Final = 2.5  # the coefficient of an embedded mode at which its action is at full strength
MIDDLE_MM: Final = 6.0  # half the width of the seam between the sides, at full movement on each
BROWS_MM: Final = (
    14.0,
    36.0,
)  # from the middle: up to the first the inner brow alone moves, from the second the outer alone
MOUTH_MM: Final = (-28.0, -12.0)  # above the origin: from the second on, nothing is of the mouth


@dataclass(frozen=True)
class MorphTarget:
    """A shape that is mixed in by a weight of 0 to 1.

    Attributes:
        name: its name in files.
        displacements: float32 [N, 3], millimetres, at weight 1.
    """

    name: str
    displacements: Float32


@dataclass(frozen=True)
class _Cut:
    """A part of the embedded modes: modes with their shares, and where of the mean face they count (1) and where not (0)."""

    modes: Mapping[str, float]
    where: Callable[[Float32], Float32] | None = None


def _ramp(values: Float32, low: float, high: float) -> Float32:
    """0 up to `low`, 1 from `high` on, smooth between."""
    at = np.clip((values - low) / (high - low), 0, 1)
    smooth: Float32 = (at * at * (3 - 2 * at)).astype(np.float32)
    return smooth


def _left(mean: Float32) -> Float32:
    return _ramp(mean[:, 0], -MIDDLE_MM, MIDDLE_MM)


def _right(mean: Float32) -> Float32:
    return 1 - _left(mean)


def _outer(mean: Float32) -> Float32:
    return _ramp(np.abs(mean[:, 0]), *BROWS_MM)


def _mouth(mean: Float32) -> Float32:
    return 1 - _ramp(mean[:, 1], *MOUTH_MM)


_BROWS_UP: Final = {
    "brows-up": 1.0,
    "lids-wide": -0.3,
}  # the mode opens the lids as well (`training/faces/expressions.py`)
_CUTS: Final[Mapping[str, _Cut]] = {
    "jawOpen": _Cut({"jaw-open": 1}),
    "jawForward": _Cut({"jaw-forward": 1}),
    "mouthPucker": _Cut({"lips-pucker": 1}),
    "mouthFunnel": _Cut({"lips-funnel": 1}),
    "mouthSmileLeft": _Cut({"smile": 1}, _left),
    "mouthSmileRight": _Cut({"smile": 1}, _right),
    "mouthFrownLeft": _Cut({"frown": 1}, lambda mean: _left(mean) * _mouth(mean)),
    "mouthFrownRight": _Cut({"frown": 1}, lambda mean: _right(mean) * _mouth(mean)),
    "browInnerUp": _Cut(_BROWS_UP, lambda mean: 1 - _outer(mean)),
    "browOuterUpLeft": _Cut(_BROWS_UP, lambda mean: _outer(mean) * _left(mean)),
    "browOuterUpRight": _Cut(_BROWS_UP, lambda mean: _outer(mean) * _right(mean)),
    "browDownLeft": _Cut({"brows-down": 1}, _left),
    "browDownRight": _Cut({"brows-down": 1}, _right),
    "eyeBlinkLeft": _Cut({"lids-closed": 1}, _left),
    "eyeBlinkRight": _Cut({"lids-closed": 1}, _right),
    "eyeWideLeft": _Cut({"lids-wide": 1}, _left),
    "eyeWideRight": _Cut({"lids-wide": 1}, _right),
}


def morph_targets(model: MorphableModel, *, identity: int = 0) -> tuple[MorphTarget, ...]:
    """The morph targets of a model's expression modes; none where it has no such modes.

    Args:
        model: the embedded model gives `_CUTS`. Of another one each mode is a target: under ARKit's name if it is called so,
            else under its own name or its number. Weight 1 is a coefficient of 1: a whole blend shape, or one standard
            deviation.
        identity: number of leading identity modes that become targets too, `identity-1` and so on; weight 1 is one standard
            deviation.
    """
    modes = model.basis[model.identity_modes :]
    names = model.expression_names or tuple(f"expression-{k + 1}" for k in range(len(modes)))
    if names == EMBEDDED:
        found = [MorphTarget(name, _cut(model, name)) for name in _CUTS]
    else:
        found = [MorphTarget(arkit_name(name) or name, mode) for name, mode in zip(names, modes, strict=True)]
    found += [MorphTarget(f"identity-{k + 1}", mode) for k, mode in enumerate(model.basis[:identity])]
    return tuple(found)


def _cut(model: MorphableModel, name: str) -> Float32:
    cut = _CUTS[name]
    moved = np.zeros_like(model.mean)
    for mode, share in cut.modes.items():
        moved += np.float32(FULL * share) * model.basis[model.identity_modes + EMBEDDED.index(mode)]
    return moved if cut.where is None else moved * cut.where(model.mean)[:, None]
