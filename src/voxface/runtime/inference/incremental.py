"""Mode "incremental": estimates from a window that slides along a stream, without encoding the same frames again and again.

The exact way encodes the whole window each time. It gives a frame embedding every 32 frames, each computed from 63 frames, and
repeats a window shorter than the network's shortest input to that length. Since the windows of a stream begin at multiples of
32 frames (`FrameWindow`), most frame embeddings stand where they stood in the window before. Only their normalisation has
changed, slowly, with the statistics of the window.

So the network's input is cut into blocks of 32 frames; a frame embedding needs the two blocks that it lies between. Each
update encodes the frame embeddings that are not known: those with new sound, at the edges, and at the seams between the copies
of a repeated window. The copies themselves shift against the stride as the window grows. The last of them are interpolated
between the frame embeddings that the window itself has there; the others, and those of a short window, are encoded again. It
also encodes those whose statistics have drifted farthest since they were encoded, until the mean drift of the others is small
enough.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.engines.steps import EngineRun, Steps, finished
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.normalisation import RunningNormalisation
from voxface.runtime.features.speech import Speech, check_speech
from voxface.runtime.inference.encoder_blocks import EncoderBlocks, encoder_blocks
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.timing.stage_timer import StageTimer


class Approximation(NamedTuple):
    """What an encoder leaves out that is normalised in one way.

    Attributes:
        drift_limit: the drift, in standard deviations or in units of the level, that statistics may have since the frame
            embeddings in use were encoded, mean over these. The mean counts, since all errors from drift have one direction in
            the embedding.
        interpolated_from: frames of a window from which on copies are interpolated; None: never. Each frame embedding that is
            interpolated is off in a direction of its own, which counts the less the longer the window is.
    """

    drift_limit: float
    interpolated_from: int | None


# Chosen so that every estimate keeps a cosine of 0.995 to the exact one. "level": of 605 estimates of validation speakers with
# windows of 8 s the least was 0.9965. Interpolated from 400 frames on, those of shorter windows were not below 0.9969 there,
# but of held-out speakers 2 of 660 fell to 0.9942. "bands": on 40 training speakers the least was 0.9977; with 0.025 it was
# 0.9968, but there 1 of 2,740 estimates of held-out speakers fell to 0.9944. There copies interpolated in windows from 768
# frames on would save 1.4 of 12.5 blocks, but bring the least down to 0.9953.
APPROXIMATIONS: Final[Mapping[str, Approximation]] = MappingProxyType(
    {"bands": Approximation(0.02, None), "level": Approximation(0.05, 768)}
)
# The most that are interpolated: a window of 8 s has five that lie within its copy.
INTERPOLATED: Final = 5


class IncrementalEncoder:
    """The voice encoder for the windows of one stream in turn; not thread-safe.

    Attributes:
        encoded: number of blocks of 32 frames that the engine encoded for the newest window.
    """

    def __init__(
        self,
        engine: Engine,
        shortest: int,
        how: str = "bands",
        *,
        drift_limit: float | None = None,
        interpolated: int = INTERPOLATED,
    ) -> None:
        """`engine` is the voice encoder, `shortest` its shortest input in frames, `how` its input is normalised.

        Args:
            drift_limit: see `Approximation`; None: that of `how`. Below 0 everything is encoded at each update, as in mode
                "exact".
            interpolated: the most frame embeddings of a repetition that are interpolated; 0: all are encoded.
        """
        self._engine, self._shortest, self._how = engine, shortest, how
        approximation = APPROXIMATIONS[how]
        self._drift_limit = approximation.drift_limit if drift_limit is None else drift_limit
        self._interpolated_from = approximation.interpolated_from if self._drift_limit >= 0 else None
        self._interpolated = interpolated
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
        self._places: list[int | None] = [None] * room
        # The statistics that each was encoded with.
        self._normals: Array = np.empty((room, 2, 1 if self._how == "level" else self._mels), np.float32)
        self._frame_embeddings: Array = np.empty((room, self._width), np.float32)

    def encode(self, window: FrameWindow) -> tuple[Array, Array]:
        """Embedding float32 [E] and frame embeddings float32 [E, C] of a window; C counts those of its repetitions too.

        Raises:
            FloatingPointError: the engine gave numbers that are not finite. After this or any exception of the engine, the
                known frame embeddings stay valid.
        """
        return finished(self.encode_steps(window))

    def encode_steps(self, window: FrameWindow, timer: StageTimer | None = None) -> Steps[tuple[Array, Array]]:
        """The same in steps; `timer` counts the stage "encoder" where the run is one of several."""
        first, frames, final = window.first, window.frames, window.final
        count = len(frames)
        if count > len(self._places):
            self._forget(2 * count)
        room = len(self._places)
        is_long = self._interpolated_from is not None and count >= self._interpolated_from
        blocks = encoder_blocks(count, max(count, self._shortest), final, self._interpolated if is_long else 0)
        # The left edge can be kept too, at a place of its own.
        places = [~first, *(first + local for local in blocks.place[1:])]
        rows = [place % room for place in places]
        normal = np.array(self._statistics.measure(window), np.float32).reshape(2, -1)
        normal[1] += np.finfo(np.float32).eps
        known = [i for i, row in enumerate(rows) if blocks.lasting[i] and self._places[row] == places[i]]
        drift = [math.inf] * len(rows)
        if known:
            for i, far in zip(known, self._drift([rows[i] for i in known], normal), strict=True):
                drift[i] = far

        wanted = self._choose(drift, blocks)
        chosen = [b for b, is_wanted in enumerate(wanted) if is_wanted]
        self.encoded = len(chosen)
        run = EngineRun("encoder", self._engine, {"log_mel": self._input(frames, blocks, chosen, normal)})
        if timer is not None:
            timer.lap("encoder")
        found = (yield run)["columns"][0]
        if timer is not None:
            run.counted(timer, "encoder")
        if not math.isfinite(found.sum()) and not np.isfinite(found).all():
            raise FloatingPointError("the voice encoder gave numbers that are not finite")
        at_block = {b: at for at, b in enumerate(chosen) if b == 0 or wanted[b - 1]}
        into = [i for i, b in enumerate(blocks.block) if b in at_block]
        fresh = found.T[[at_block[blocks.block[i]] for i in into]]
        frame_embeddings = self._frame_embeddings[rows]  # of those that are not known, anything
        frame_embeddings[into] = fresh
        kept = [at for at, i in enumerate(into) if blocks.lasting[i]]
        if kept:
            kept_rows = [rows[into[at]] for at in kept]
            self._normals[kept_rows], self._frame_embeddings[kept_rows] = normal, fresh[kept]
            for at, row in zip(kept, kept_rows, strict=True):
                self._places[row] = places[into[at]]

        if blocks.weights is not None:
            frame_embeddings = blocks.weights @ frame_embeddings
        mean = np.add.reduce(frame_embeddings, 0, np.float64)
        length = max(math.sqrt(mean @ mean), 1e-12)
        return (mean / length).astype(np.float32), np.ascontiguousarray(frame_embeddings.T)

    def _input(self, frames: Array, blocks: EncoderBlocks, chosen: list[int], normal: Array) -> Array:
        """Some blocks of a window, normalised: float32 [1, mels, T]."""
        at = blocks.frames.take(chosen, 0).ravel()
        if blocks.lacking and chosen[-1] == blocks.total - 1:
            at = at[: -blocks.lacking]
        normalised = np.empty((1, frames.shape[1], len(at)), np.float32)
        np.subtract(frames.take(at, 0).T, normal[0, :, None], out=normalised[0])
        normalised /= normal[1, :, None]
        return normalised

    def _drift(self, rows: list[int], normal: Array) -> list[float]:
        """Drift of the statistics, in standard deviations, since the frame embeddings in these rows were encoded."""
        moved = (self._normals[rows] - normal) / normal[1]
        squares: list[float] = np.einsum("ksw,ksw->k", moved, moved).tolist()
        return [math.sqrt(square / normal.shape[1]) for square in squares]

    def _choose(self, drift: list[float], blocks: EncoderBlocks) -> list[bool]:
        """The blocks to encode, of all: those of the frame embeddings that are unknown or have drifted too far."""
        wanted = [False] * blocks.total
        nearest = sorted(range(len(drift)), key=drift.__getitem__)
        left, kept = self._drift_limit * blocks.total, 0
        for i in nearest:
            left -= drift[i] * blocks.share[i]
            if left < 0:
                break
            kept += 1
        for i in nearest[kept:]:
            b = blocks.block[i]
            wanted[b] = wanted[max(0, b - 1)] = True
        if blocks.weights is not None and sum(wanted) % 2 == 0:
            # An odd number, so that inputs have fewer shapes and those of several streams make a batch more often: three is
            # the seam alone, five a new frame embedding and the left edge too. The spare block is for what has drifted most.
            for i in reversed(nearest[:kept]):
                b = blocks.block[i]
                if wanted[b] != wanted[max(0, b - 1)]:
                    wanted[b] = wanted[b - 1] = True
                    break
        return wanted


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


@runtime_checkable
class StepwiseParts(Protocol):
    """Parts that decode in steps, as well as at once."""

    def decode_steps(
        self,
        speech: Speech,
        embedding: Array,
        frame_embeddings: Array,
        *,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        timer: StageTimer | None = None,
    ) -> Steps[Estimate]:
        """The face of an embedding."""
        ...


class IncrementalEstimator:
    """Estimates of the windows of one stream in turn; `Speech.window` says where each lies. Not thread-safe."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stepwise = parts if isinstance(parts, StepwiseParts) else None
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

    def estimate_steps(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer,
    ) -> Steps[Estimate]:
        """The same in steps. Parts that do not decode in steps run their engines themselves."""
        check_speech(speech)
        embedding, frame_embeddings = yield from self._encoder.encode_steps(speech.window, timer)
        timer.lap("encoder")
        if self._stepwise is not None:
            return (
                yield from self._stepwise.decode_steps(
                    speech,
                    embedding,
                    frame_embeddings,
                    before=before,
                    image_reuse_distance=image_reuse_distance,
                    timer=timer,
                )
            )
        return self._parts.decode(
            speech, embedding, frame_embeddings, before=before, image_reuse_distance=image_reuse_distance, timer=timer
        )
