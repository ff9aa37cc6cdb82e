"""voxface turns a live voice into a face image and a 3D face mesh, on the device.

    import voxface

    with voxface.VoiceToFace() as voice_to_face:
        speech, estimate = voice_to_face.estimate_file("clip.flac")
        estimate.image, estimate.vertices, estimate.measurements_mm

        with voice_to_face.stream(voxface.LiveConfig(), sample_rate=48_000) as stream:
            for event in stream.events(blocks):
                if isinstance(event, voxface.FaceEstimated):
                    event.estimate.image

`dir(voxface)` lists all names. Each is imported when it is first used, so that `import voxface` is fast.
"""

from typing import TYPE_CHECKING, Any

from voxface.runtime import telemetry as _telemetry
from voxface.runtime.version import __version__

if TYPE_CHECKING:
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.config.front_end import FrontEndConfig
    from voxface.runtime.config.live import LiveConfig
    from voxface.runtime.config.vad import VadConfig
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
    from voxface.runtime.inference.age import Age
    from voxface.runtime.inference.attributes import Attributes
    from voxface.runtime.inference.estimate import Estimate
    from voxface.runtime.inference.face_posterior import FacePosterior, Told
    from voxface.runtime.live.async_stream import AsyncStream
    from voxface.runtime.live.events import (
        EngineFailed,
        Event,
        FaceEstimated,
        Lost,
        NoFace,
        Rejected,
        Skipped,
        SpeakerChanged,
        StreamEnded,
        StreamStarted,
        VoiceEnded,
        VoiceStarted,
    )
    from voxface.runtime.live.stream import Stream
    from voxface.runtime.voice_to_face import VoiceToFace

_telemetry.switch_off()  # before anything of voxface imports ONNX Runtime

_MODULES = {
    "Age": "inference.age",
    "AsyncStream": "live.async_stream",
    "Attributes": "inference.attributes",
    "Bundle": "bundle.bundle",
    "BundleError": "errors",
    "EngineFailed": "live.events",
    "Estimate": "inference.estimate",
    "Event": "live.events",
    "FaceEstimated": "live.events",
    "FacePosterior": "inference.face_posterior",
    "FrontEnd": "features.front_end",
    "FrontEndConfig": "config.front_end",
    "InputError": "errors",
    "LiveConfig": "config.live",
    "Lost": "live.events",
    "MorphableModel": "face.morphable_model",
    "NoFace": "live.events",
    "NoSpeechError": "errors",
    "ProviderError": "errors",
    "Rejected": "live.events",
    "Skipped": "live.events",
    "SpeakerChanged": "live.events",
    "Speech": "features.speech",
    "Stream": "live.stream",
    "StreamEnded": "live.events",
    "StreamStarted": "live.events",
    "Told": "inference.face_posterior",
    "UsageError": "errors",
    "VadConfig": "config.vad",
    "VoiceEnded": "live.events",
    "VoiceStarted": "live.events",
    "VoiceToFace": "voice_to_face",
    "VoxfaceError": "errors",
}
__all__ = [
    "Age",
    "AsyncStream",
    "Attributes",
    "Bundle",
    "BundleError",
    "EngineFailed",
    "Estimate",
    "Event",
    "FaceEstimated",
    "FacePosterior",
    "FrontEnd",
    "FrontEndConfig",
    "InputError",
    "LiveConfig",
    "Lost",
    "MorphableModel",
    "NoFace",
    "NoSpeechError",
    "ProviderError",
    "Rejected",
    "Skipped",
    "SpeakerChanged",
    "Speech",
    "Stream",
    "StreamEnded",
    "StreamStarted",
    "Told",
    "UsageError",
    "VadConfig",
    "VoiceEnded",
    "VoiceStarted",
    "VoiceToFace",
    "VoxfaceError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'voxface' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"voxface.runtime.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
