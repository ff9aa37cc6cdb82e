"""The voice encoder on a window that slides along a stream: what it made of the same frames before is not made again.

The exact way (`VoiceToFace.estimate`) encodes the whole window each time: a column every 32 frames, each made of 63
of them, and a window shorter than the network's shortest input is tiled to it. A live window begins at every 32nd frame of
a voice only (`SpeechWindow`), so that most columns of a window stand where they stood in the window before.
What has changed there is how frames are normalised, with the statistics of the window, and that slowly.

So the network's input is cut into blocks of 32 frames; a column needs the two blocks it stands between. Each update encodes
the columns that it does not know: those with new sound, at the edges, at the seams between the copies of a tiled window, and
in copies, which shift against the stride as the window grows; and those that were encoded with the statistics that have
moved farthest since, as long as the others' have moved too far in the mean.
"""

from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.features.frame_window import FrameWindow
from voxface.runtime.features.normalisation import RunningNormalisation
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.voice_to_face import check_speech
from voxface.runtime.timing.stage_timer import StageTimer

# Standard deviations that statistics may have moved since the columns in use were encoded, mean over these: what they add to
# the embedding has one direction, so it is the mean that counts. Chosen so that every estimate keeps a cosine of 0.995 to the
# exact one: on 40 training speakers the least was 0.9977, and 0.9968 with 0.025, but with that 1 of 2,740 estimates of held-out
# speakers fell to 0.9944.
MOVED: Final = 0.02
Places = NDArray[np.int64]


class IncrementalEncoder:
    """Encodes the windows of one stream in turn; not thread-safe.

    Attributes:
        encoded: blocks of 32 frames that went through the engine for the newest window.
    """

    def __init__(self, engine: Engine, shortest: int, *, moved: float = MOVED) -> None:
        """`engine` is the voice encoder, `shortest` its shortest input in frames.

        Args:
            moved: standard deviations that statistics may have moved since the columns in use were encoded, in the mean;
                below 0 everything is encoded at each update, as the exact way does.
        """
        self._engine, self._shortest, self._moved = engine, shortest, moved
        self._mels = int(engine.inputs["log_mel"].shape[1])
        self._width = int(engine.outputs["columns"].shape[1])
        self.encoded = 0
        self.restart()

    def restart(self) -> None:
        """Another voice: what was encoded with the statistics of the one before is of no use."""
        self._statistics = RunningNormalisation(self._mels)
        self._forget(1024)

    def _forget(self, room: int) -> None:
        # A column at frame p of the stream is remembered in row p modulo their number: no two of one window share a row.
        self._places: Places = np.full(room, np.iinfo(np.int64).min)
        self._normals: Array = np.empty(
            (room, 2, self._mels), np.float32
        )  # mean and deviation that each was encoded with
        self._frame_embeddings: Array = np.empty((room, self._width), np.float32)

    def encode(self, window: FrameWindow) -> tuple[Array, Array]:
        """Embedding float32 [E] and frame embeddings float32 [E, C] of a window; C is that of the whole, tiled input.

        Raises:
            FloatingPointError: the engine gave what is no number. After this or any exception of the engine, what is
                remembered is right as before.
        """
        first, frames, final = window.first, window.frames, window.final
        count = len(frames)
        if count > len(self._places):
            self._forget(2 * count)
        total = max(count, self._shortest)
        starts = STRIDE * np.arange(-(-total // STRIDE))
        local = starts % count  # in the window; beyond the first copy again from its beginning
        # Columns that see neither an edge nor a seam nor a frame that may still change: these can be remembered.
        lasting = (local >= STRIDE) & (local + STRIDE <= final) & (starts + STRIDE <= total)
        places = first + local
        lasting[0], places[0] = final >= STRIDE, ~first  # so can the left edge, which is no column of another window
        mean, deviation = self._statistics.measure(window)
        normal = np.stack([mean, deviation + np.finfo(np.float32).eps]).astype(np.float32)
        rows = places % len(self._places)
        known = lasting & (self._places[rows] == places)
        frame_embeddings = np.zeros((len(starts), self._width), np.float32)
        frame_embeddings[known] = self._frame_embeddings[rows[known]]
        age = np.full(len(starts), np.inf)
        age[known] = self._age(rows[known], normal)

        wanted = self._choose(age)
        chosen = np.flatnonzero(wanted)
        self.encoded = len(chosen)
        at = (STRIDE * chosen[:, None] + np.arange(STRIDE)).ravel()
        ready = frames[at[at < total] % count]
        ready -= normal[0]
        ready /= normal[1]
        fresh = self._engine.run({"log_mel": np.ascontiguousarray(ready.T[None])})["columns"][0].T
        if not np.isfinite(fresh).all():
            raise FloatingPointError("the voice encoder gave numbers that are not finite")
        wanted[1:] &= wanted[:-1]  # the block before it is there too, or it is the first
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

    def _age(self, rows: Places, normal: Array) -> Array:
        """How far, in standard deviations, the statistics have moved since the columns in these rows were encoded."""
        moved = (self._normals[rows] - normal) / normal[1]
        age: Array = np.sqrt(np.square(moved).sum(1).mean(1))
        return age

    def _choose(self, age: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which blocks to encode: those that the columns need which are not kept, for being unknown or too old."""
        youngest = np.argsort(age)
        old = np.ones(len(age), bool)
        old[youngest[np.cumsum(age[youngest]) <= self._moved * len(age)]] = False
        old[:-1] |= old[1:]
        return old


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
    """Estimates the windows of one stream in turn; `Speech.window` says where each lies. Not thread-safe."""

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
        embedding, frame_embeddings = self._encoder.encode(speech.window)
        timer.lap("encoder")
        return self._parts.decode(
            speech, embedding, frame_embeddings, before=before, image_reuse_distance=image_reuse_distance, timer=timer
        )
