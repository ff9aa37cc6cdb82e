"""Estimates in mode "incremental": what an estimate asks of a window, from what is known of the window before."""

from typing import Protocol, runtime_checkable

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.incremental_encoder import IncrementalEncoder
from voxface.runtime.inference.voice_to_face import check_speech
from voxface.runtime.timing.stage_timer import StageTimer


@runtime_checkable
class Parts(Protocol):
    """What makes a face in two steps: `voxface.runtime.inference.voice_to_face.VoiceToFace`."""

    bundle: Bundle

    @property
    def encoder(self) -> Engine:
        """Normalised frames to embedding and columns."""
        ...

    def decode(
        self,
        speech: Speech,
        embedding: Array,
        frame_embeddings: Array,
        *,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        timer: StageTimer | None = None,
    ) -> Estimate:
        """The face of an embedding."""
        ...


class IncrementalEstimator:
    """Estimates the windows of one stream in turn; `Speech.first_frame` says where each lies. Not thread-safe."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._encoder = IncrementalEncoder(parts.encoder, parts.bundle.front_end.shortest)

    def restart(self) -> None:
        """Another voice begins."""
        self._encoder.restart()

    def estimate(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer,
    ) -> Estimate:
        """The face of a window; `timer`, that of the update, counts the stages.

        Raises:
            NoSpeechError: there was no speech in it.
        """
        check_speech(speech)
        embedding, frame_embeddings = self._encoder.encode(speech.first_frame, speech.log_mel)
        timer.lap("encoder")
        return self._parts.decode(
            speech, embedding, frame_embeddings, before=before, image_reuse_distance=image_reuse_distance, timer=timer
        )
