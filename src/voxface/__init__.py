"""voxface turns a live voice into a face image and a 3D face mesh, on the edge.

    import voxface

    with voxface.VoiceToFace() as face:
        speech, estimate = face.estimate_file("clip.flac")
    estimate.image, estimate.vertices, estimate.measurements_mm

Names are imported when first used, so that `import voxface` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.errors import (
        BundleError,
        InputError,
        NoSpeechError,
        ProviderError,
        UsageError,
        VoxfaceError,
    )
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.runtime.features.front_end import FrontEnd
    from voxface.runtime.features.speech import Speech
    from voxface.runtime.inference.estimate import Estimate
    from voxface.runtime.inference.voice_to_face import VoiceToFace

__version__ = "0.1.0"
_ROOMS = {
    "Bundle": "bundle.bundle",
    "BundleError": "errors",
    "Estimate": "inference.estimate",
    "FrontEnd": "features.front_end",
    "InputError": "errors",
    "MorphableModel": "face.morphable_model",
    "NoSpeechError": "errors",
    "ProviderError": "errors",
    "Speech": "features.front_end",
    "UsageError": "errors",
    "VoiceToFace": "inference.voice_to_face",
    "VoxfaceError": "errors",
}
__all__ = [
    "Bundle",
    "BundleError",
    "Estimate",
    "FrontEnd",
    "InputError",
    "MorphableModel",
    "NoSpeechError",
    "ProviderError",
    "Speech",
    "UsageError",
    "VoiceToFace",
    "VoxfaceError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'voxface' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"voxface.runtime.{_ROOMS[name]}"), name)
