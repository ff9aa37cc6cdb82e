"""Names of a morphable model's expression modes, and those of ARKit's blend shapes, by which faces are animated."""

from typing import Final

# The expression modes of the embedded model, in their order. Its files do not say them up to version 0.4.1.
EMBEDDED: Final = (
    *("jaw-open", "jaw-forward", "lips-pucker", "lips-funnel", "smile"),
    *("frown", "brows-up", "brows-down", "lids-closed", "lids-wide"),
)
EMBEDDED_MODEL: Final = "voxface-embedded"
_ONE: Final = (
    *("browInnerUp", "cheekPuff", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthFunnel"),
    *(
        "mouthLeft",
        "mouthPucker",
        "mouthRight",
        "mouthRollLower",
        "mouthRollUpper",
        "mouthShrugLower",
        "mouthShrugUpper",
    ),
    "tongueOut",
)
_TWO_SIDED: Final = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp"),
    *(
        "eyeSquint",
        "eyeWide",
        "mouthDimple",
        "mouthFrown",
        "mouthLowerDown",
        "mouthPress",
        "mouthSmile",
        "mouthStretch",
    ),
    *("mouthUpperUp", "noseSneer"),
)
ARKIT: Final = frozenset((*_ONE, *(f"{name}{side}" for name in _TWO_SIDED for side in ("Left", "Right"))))
_SIDES: Final = {"_L": "Left", "_R": "Right"}
_LOWER: Final = {name.lower(): name for name in ARKIT}


def arkit_name(name: str) -> str | None:
    """ARKit's name of a blend shape that is called so, however its sides and words are written (`mouthSmile_L`,
    `Mouth_Smile_Left`); None: it has no such name."""
    whole = name[:-2] + _SIDES[name[-2:].upper()] if name[-2:].upper() in _SIDES else name
    return _LOWER.get("".join(letter for letter in whole if letter.isalnum()).lower())
