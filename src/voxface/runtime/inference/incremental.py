"""Mode "incremental": estimates from a window that slides along a stream, without encoding the same frames again and again.

The exact way encodes the whole window each time. It gives a frame embedding every 32 frames, each computed from 63 frames, and
repeats a window shorter than the network's shortest input to that length. Since the windows of a stream begin at multiples of
32 frames (`FrameWindow`), most frame embeddings stand where they stood in the window before. Only their normalisation has
changed, slowly, with the statistics of the window.

So the network's input is cut into blocks of 32 frames; a frame embedding needs the two blocks that it lies between. Each
update encodes the frame embeddings that are not known: those with new sound, at the edges, at the seams between the copies of
a repeated window, and in the copies, which shift against the stride as the window grows. It also encodes those whose
statistics have drifted farthest since they were encoded, until the mean drift of the others is small enough.
"""

from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.normalisation import RunningNormalisation
from voxface.runtime.features.speech import Speech, check_speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.timing.stage_timer import StageTimer

# The drift, in standard deviations, that statistics may have since the frame embeddings in use were encoded, mean over these.
# The mean counts, since all errors from drift have one direction in the embedding. Chosen so that every estimate keeps a
# cosine of 0.995 to the exact one: on 40 training speakers the least was 0.9977. With 0.025 it was 0.9968, but there 1 of 2,740
# estimates of held-out speakers fell to 0.9944.
DRIFT_LIMIT: Final = 0.02
Places = NDArray[np.int64]


class IncrementalEncoder:
    """The voice encoder for the windows of one stream in turn; not thread-safe.

    Attributes:
        encoded: number of blocks of 32 frames that the engine encoded for the newest window.
    """

    def __init__(self, engine: Engine, shortest: int, how: str = "bands", *, drift_limit: float = DRIFT_LIMIT) -> None:
        """`engine` is the voice encoder, `shortest` its shortest input in frames, `how` its input is normalised.

        Args:
            drift_limit: see `DRIFT_LIMIT`; below 0 everything is encoded at each update, as in mode "exact".
        """
        self._engine, self._shortest, self._how, self._drift_limit = engine, shortest, how, drift_limit
        self._mels = int(engine.inputs["log_mel"].shape[1])
        self._width = int(engine.outputs["columns"].shape[1])
        self.encoded = 0
        self.restart()

    def restart(self) -> None:
        """Starts over for another voice, for which the statistics of the voice before are of no use."""
        self._statistics = RunningNormalisation(self._mels, self._how)
        self._forget(1024)

    def _forget(self, room: int) -> None:
        # The frame embedding at frame p of the stream is kept in row p modulo `room`: no two of one window share a row.
        self._places: Places = np.full(room, np.iinfo(np.int64).min)
        # The mean and deviation that each was encoded with.
        self._normals: Array = np.empty((room, 2, self._mels), np.float32)
        self._frame_embeddings: Array = np.empty((room, self._width), np.float32)

    def encode(self, window: FrameWindow) -> tuple[Array, Array]:
        """Embedding float32 [E] and frame embeddings float32 [E, C] of a window; C counts those of its repetitions too.

        Raises:
            FloatingPointError: the engine gave numbers that are not finite. After this or any exception of the engine, the
                known frame embeddings stay valid.
        """
        first, frames, final = window.first, window.frames, window.final
        count = len(frames)
        if count > len(self._places):
            self._forget(2 * count)
        total = max(count, self._shortest)
        starts = STRIDE * np.arange(-(-total // STRIDE))
        local = starts % count  # frame of the window; in each copy counted from its beginning
        # Frame embeddings that see no edge, no seam and no frame that may still change can be kept.
        lasting = (local >= STRIDE) & (local + STRIDE <= final) & (starts + STRIDE <= total)
        places = first + local
        lasting[0], places[0] = final >= STRIDE, ~first  # the left edge can be kept too, at a place of its own
        mean, deviation = self._statistics.measure(window)
        normal = np.stack([mean, deviation + np.finfo(np.float32).eps]).astype(np.float32)
        rows = places % len(self._places)
        known = lasting & (self._places[rows] == places)
        frame_embeddings = np.zeros((len(starts), self._width), np.float32)
        frame_embeddings[known] = self._frame_embeddings[rows[known]]
        drift = np.full(len(starts), np.inf)
        drift[known] = self._drift(rows[known], normal)

        wanted = self._choose(drift)
        chosen = np.flatnonzero(wanted)
        self.encoded = len(chosen)
        at = (STRIDE * chosen[:, None] + np.arange(STRIDE)).ravel()
        normalised = frames[at[at < total] % count]
        normalised -= normal[0]
        normalised /= normal[1]
        fresh = self._engine.run({"log_mel": np.ascontiguousarray(normalised.T[None])})["columns"][0].T
        if not np.isfinite(fresh).all():
            raise FloatingPointError("the voice encoder gave numbers that are not finite")
        wanted[1:] &= wanted[:-1]  # each needs the block before it too, except the first
        frame_embeddings[wanted] = fresh[wanted[chosen]]
        wanted &= lasting
        into = rows[wanted]
        self._places[into], self._normals[into], self._frame_embeddings[into] = (
            places[wanted],
            normal,
            frame_embeddings[wanted],
        )

        mean = np.add.reduce(frame_embeddings, 0, np.float64)
        return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32), np.ascontiguousarray(
            frame_embeddings.T
        )

    def _drift(self, rows: Places, normal: Array) -> Array:
        """Drift of the statistics, in standard deviations, since the frame embeddings in these rows were encoded."""
        moved = (self._normals[rows] - normal) / normal[1]
        drift: Array = np.sqrt(np.square(moved).sum(1).mean(1))
        return drift

    def _choose(self, drift: NDArray[np.float64]) -> NDArray[np.bool_]:
        """The blocks to encode: those of the frame embeddings that are unknown or have drifted too far."""
        least = np.argsort(drift)
        old = np.ones(len(drift), bool)
        old[least[np.cumsum(drift[least]) <= self._drift_limit * len(drift)]] = False
        old[:-1] |= old[1:]
        return old


@runtime_checkable
class Parts(Protocol):
    """An estimator that encodes and decodes in two steps: `voxface.runtime.inference.face_estimator.FaceEstimator`."""

    bundle: Bundle

    @property
    def encoder(self) -> Engine:
        """The voice encoder: normalised frames in, embedding and frame embeddings out."""
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
    """Estimates of the windows of one stream in turn; `Speech.window` says where each lies. Not thread-safe."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        front_end = parts.bundle.front_end
        self._encoder = IncrementalEncoder(parts.encoder, front_end.shortest, front_end.normalisation)

    def restart(self) -> None:
        """Starts over for another voice."""
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
        embedding, frame_embeddings = self._encoder.encode(speech.window)
        timer.lap("encoder")
        return self._parts.decode(
            speech, embedding, frame_embeddings, before=before, image_reuse_distance=image_reuse_distance, timer=timer
        )
