"""The networks of a bundle, run one after another: speech in, estimate out.

Programs use `voxface.VoiceToFace` (`voxface.runtime.voice_to_face`), which takes samples, files and streams.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import FacePosteriorFile
from voxface.runtime.bundle.manifest import FUSED, GRAPHS
from voxface.runtime.config.age import AgeWeights
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.config.live import MIN_CONFIDENCE
from voxface.runtime.config.speaker_change import SpeakerChangeWeights
from voxface.runtime.config.speech_modulation import SpeechModulationWeights
from voxface.runtime.engines.choice import AUTO, choose
from voxface.runtime.engines.contract import LARGEST_NUMBER
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.engines.providers import ON_CPU
from voxface.runtime.engines.steps import EngineRun, Steps, finished
from voxface.runtime.engines.traced import TracedEngine
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import BundleError, NoPickleError, NoSpeechError, ProviderError, UsageError
from voxface.runtime.features.front_end import listen
from voxface.runtime.features.log_mel import FrameWindow, log_mel
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.features.speech import Speech, check_speech
from voxface.runtime.features.speech_gate import speech_in
from voxface.runtime.inference.age import hear_age
from voxface.runtime.inference.attributes import attributes_of
from voxface.runtime.inference.confidence import check_min_confidence, confidence
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.picture import Picture
from voxface.runtime.provenance.mark import Mark
from voxface.runtime.timing.stage_timer import StageTimer
from voxface.runtime.timing.trace import Trace

CONTEXT = (
    2  # frame embeddings encoded beside a piece on either side, because the receptive field (63 frames) reaches there
)
PIECE = 192  # frame embeddings encoded at once: about a minute of speech, so that memory does not grow with the clip


class FaceEstimator:
    """The networks of a bundle on a provider. Not thread-safe; a context manager that frees its engines.

    Attributes:
        bundle: the bundle in use.
        provider: the provider really used.
        choice: the provider and the number of threads, and why these.
        morphable: the bundle's morphable model.
        speech_modulation: the weights that tell speech from music and noise; None: confidence does not count that.
        speaker_change: the weights of the speaker change detector; None: no change of speaker is looked for.
        face_posterior: the distribution of faces given a voice, not read yet; None: it is not known.
        age: the weights that tell age; None: no age is told, and every voice gets a face.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str | None = None,
        provider: str = "cpu",
        *,
        threads: int | None = None,
        fused: bool | None = None,
        trace: Trace | None = None,
        wrap: Callable[[str, Engine], Engine] | None = None,
        engines: Mapping[str, Engine] | None = None,
    ) -> None:
        """Loads a bundle on a provider.

        Args:
            bundle: an opened bundle or its path; None: the default one.
            provider, threads: see `voxface.runtime.engines.choice.choose`.
            fused: whether to run a whole update as one graph, if the bundle has that graph; None: on GPUs only, since on a
                CPU it gains nothing.
            trace: records stages and engine runs.
            wrap: puts something around the engine of each graph, by its name, such as what runs it for several voices at once.
            engines: what runs "encoder", "face" and "mesh", such as a server elsewhere, in place of engines that are opened
                here; `provider`, `threads` and `fused` say nothing then.

        Raises:
            BundleError, ProviderError, UsageError: see `Bundle.open` and `open_graphs`.
        """
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        self.choice = choose(self.bundle, provider, threads)
        if engines is not None:
            opened = {name: engines[name] for name in GRAPHS}
        else:
            fused = (self.choice.provider not in ON_CPU if fused is None else fused) and self.bundle.fused
            names = (*GRAPHS, FUSED) if fused else GRAPHS
            try:
                opened = open_graphs(self.bundle, names, self.choice.provider, threads=self.choice.threads)
            except ProviderError as error:
                if provider != AUTO:
                    raise
                raise ProviderError(f"{error}; {AUTO} chose it, `voxface doctor --measure` chooses anew") from error
        with ExitStack() as held:  # freed when what follows fails
            for name, engine in opened.items():
                held.enter_context(engine)
                opened[name] = engine if wrap is None else wrap(name, engine)
                if trace is not None:
                    opened[name] = TracedEngine(opened[name], name, trace)
            self._encoder, self._face, self._mesh = (opened[name] for name in GRAPHS)
            self._fused = opened.get(FUSED)
            self.morphable = self.bundle.morphable
            self.speech_modulation: SpeechModulationWeights | None = self.bundle.speech_modulation
            self.speaker_change: SpeakerChangeWeights | None = self.bundle.speaker_change
            self.face_posterior: FacePosteriorFile | None = self.bundle.face_posterior
            self.mark: Mark = self.bundle.mark
            self.age: AgeWeights | None = self.bundle.age
            self._engines = held.pop_all()
        self._closed = False
        self._trace = trace
        self.provider = self._encoder.provider
        self._sex_slope = self.bundle.sex_slope

    def warm_up(self) -> None:
        """Runs every graph once and makes one face of noise, so that the first estimate is as fast as later ones."""
        self.check_open()
        front_end = self.bundle.front_end
        self._encoder.warm_up({"T": front_end.shortest})
        self._face.warm_up()
        self._mesh.warm_up()
        noise = np.random.default_rng(0).integers(-3000, 3000, 2 * front_end.sample_rate).astype(np.int16)
        speech = replace(self.listen([noise]), segments=[(0, len(noise))], voiced_samples=len(noise), periodic=1.0)
        features = log_mel(noise, front_end)
        estimate = self.estimate(replace(speech, window=FrameWindow.whole(features)))
        _ = estimate.image, estimate.vertices, estimate.measurements_mm

    def listen(self, blocks: Iterable[NDArray[np.int16]]) -> Speech:
        """Feeds int16 blocks at 16 kHz through the bundle's front end."""
        return listen(blocks, self.bundle.front_end, self.bundle.vad)

    def face_of_sound(
        self, speech: Speech, min_confidence: float = MIN_CONFIDENCE, *, any_age: bool = False
    ) -> tuple[Speech, Estimate]:
        """The face of a whole sound, if it passes the speech gate of a live session, the confidence suffices, and the voice is
        not a child's.

        Args:
            speech: what `listen` found in the sound.
            min_confidence: the least confidence, 0 to 1.
            any_age: whether a child's voice gets a face too, which is an adult's.

        Returns:
            What of it is speech, which the face is made of (see `speech_in`), and the face.

        Raises:
            NoSpeechError: there is no speech in it, the confidence is too low, or the voice is a child's; `reason` says
                which.
            UsageError: `min_confidence` is not within 0 to 1; or the engines were freed by `close`.
            BundleError: a network gave numbers that are not finite; on a GPU it is a ProviderError.
        """
        check_min_confidence(min_confidence)
        heard = speech_in(speech, self.speech_modulation)
        estimate = self.estimate(heard)
        if estimate.confidence < min_confidence:
            raise NoSpeechError(
                f"no face of {heard.voiced_seconds:.2f} s of speech (confidence: {estimate.confidence:.2f}, at least "
                f"{min_confidence:g} is asked for)",
                "confidence",
            )
        attributes = estimate.attributes
        if attributes.is_child and not any_age:
            raise NoSpeechError(
                f"no face of a child's voice (probability: {attributes.child:.2f}), since the faces are of adults; --any-age "
                "(any_age in a program) makes one",
                "child",
            )
        return heard, estimate

    def estimate(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer | None = None,
    ) -> Estimate:
        """The face of what a front end heard, whether or not it is speech: `face_of_sound` and live sessions judge that first.

        Args:
            before, image_reuse_distance: see `decode`.
            timer: the timer of the update, from a caller that has further stages: the stages are added to it, and
                `stages_ns` of the estimate is empty. None: `stages_ns` has these stages and those of the front end.

        Raises:
            NoSpeechError: there was no speech in it, or only noise that a VAD takes for speech.
            BundleError: a network gave numbers that are not finite; on a GPU it is a ProviderError.
            UsageError: the engines were freed by `close`.
        """
        if timer is not None:
            return self._estimate(speech, before, image_reuse_distance, timer)
        timer = StageTimer(self._trace)
        for stage, ns in speech.front_end_ns.items():
            timer.add(stage, ns)
        estimate = self._estimate(speech, before, image_reuse_distance, timer)
        return estimate.with_stages(timer.drain())

    def _estimate(
        self, speech: Speech, before: Estimate | None, image_reuse_distance: float, timer: StageTimer
    ) -> Estimate:
        return finished(self.estimate_steps(speech, before, image_reuse_distance, timer=timer))

    def estimate_steps(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer,
    ) -> Steps[Estimate]:
        """The same in steps, for several voices at once; see `voxface.runtime.engines.packing`."""
        found = yield from self._encoded_steps(speech, timer)
        if isinstance(found, Estimate):
            return found
        return (
            yield from self.decode_steps(
                speech, *found, before=before, image_reuse_distance=image_reuse_distance, timer=timer
            )
        )

    def _encoded_steps(self, speech: Speech, timer: StageTimer) -> Steps[Estimate | tuple[Array, Array]]:
        """Embedding and frame embeddings of speech; or the face at once, where one graph makes all of it."""
        self.check_open()
        check_speech(speech)
        features = self._input(speech)
        timer.lap("features")
        if self._fused is not None and _frame_embeddings(features) <= PIECE + 2 * CONTEXT:
            run = EngineRun(FUSED, self._fused, {"log_mel": features})
            outputs = yield run
            run.counted(timer, "encoder")
            out = {name: values[0] for name, values in outputs.items()}
            timer.lap("encoder")
            embedding = self._numbers("encoder", out["embedding"])
            picture = self._picture(out["image"])
            timer.lap("face")
            timer.add("mesh", 0)  # the one graph's time is the encoder's
            return self._face_of(speech, embedding, out["columns"], picture, embedding, out["coefficients"], timer)
        embedding, frame_embeddings = yield from self._encode_steps(features, timer)
        self._numbers("encoder", embedding)
        timer.lap("encoder")
        return embedding, frame_embeddings

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
        """The face of an embedding; its `stages_ns` is empty.

        Args:
            speech: the speech that was encoded.
            embedding: float32 [E].
            frame_embeddings: float32 [E, C], whose mean the embedding is.
            before: an earlier estimate of the same voice, whose image may be reused.
            image_reuse_distance: the distance, between `embedding` and the embedding that the earlier image was made from,
                up to which that image is reused. The mesh, which costs little, is always new.
            timer: the stages "face", "mesh" and "attributes" are added to it; None: they are not measured.
        """
        return finished(
            self.decode_steps(
                speech,
                embedding,
                frame_embeddings,
                before=before,
                image_reuse_distance=image_reuse_distance,
                timer=timer,
            )
        )

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
        """The same in steps, for several voices at once; see `voxface.runtime.engines.packing`."""
        self.check_open()
        timer = timer or StageTimer(self._trace)
        if before is not None and _distance(embedding, before.image_embedding) <= image_reuse_distance:
            picture, image_embedding = before.picture, before.image_embedding
        else:
            run = EngineRun("face", self._face, {"embedding": embedding[None]})
            outputs = yield run
            run.counted(timer, "face")
            picture = self._picture(outputs["image"][0])
            image_embedding = embedding
        timer.lap("face")
        run = EngineRun("mesh", self._mesh, {"embedding": embedding[None]})
        outputs = yield run
        run.counted(timer, "mesh")
        coefficients = outputs["coefficients"][0]
        timer.lap("mesh")
        return self._face_of(speech, embedding, frame_embeddings, picture, image_embedding, coefficients, timer)

    def _face_of(
        self,
        speech: Speech,
        embedding: Array,
        frame_embeddings: Array,
        picture: Picture,
        image_embedding: Array,
        coefficients: Array,
        timer: StageTimer,
    ) -> Estimate:
        """The estimate, with attributes and confidence computed from the outputs of the networks."""
        self._numbers("mesh", coefficients)
        own = _own(frame_embeddings, len(speech.log_mel))
        flat = own.ravel()
        # The first is quick and true of any voice encoder; NaN is not less than anything.
        if not flat @ flat < LARGEST_NUMBER and not float(np.abs(own).max(initial=0.0)) < LARGEST_NUMBER:
            raise self._overflow("encoder")
        heard = None if self.age is None else hear_age(self.age, embedding)
        place, squares = self.morphable.place_among_types(coefficients)
        attributes = attributes_of(self.morphable, squares, self._sex_slope, heard)
        weights = self.speech_modulation
        modulation = 1.0 if weights is None else speech.speech_modulation(weights)
        sure = confidence(modulation, own, speech.voiced_seconds)
        timer.lap("attributes")
        return Estimate(
            start=speech.segments[0][0],
            end=speech.segments[-1][1],
            voiced_seconds=speech.voiced_seconds,
            frames=len(speech.log_mel),
            embedding=embedding,
            frame_embeddings=own,
            picture=picture,
            image_embedding=image_embedding,
            coefficients=coefficients,
            model=self.morphable,
            confidence=sure,
            attributes=attributes,
            stages_ns={},
            posterior_file=self.face_posterior,
            mark=self.mark,
        ).with_place(place)

    @property
    def encoder(self) -> Engine:
        """The voice encoder: normalised log-mel [B, mels, T] to `embedding` [B, E] and, as `columns`, frame embeddings
        [B, E, C]."""
        return self._encoder

    def frame_embeddings(self, speech: Speech) -> Array:
        """The frame embeddings float32 [E, C] of speech, without a face: for code that only compares voices."""
        self.check_open()
        frame_embeddings = self._encode(self._input(speech))[1]
        return _own(frame_embeddings, len(speech.log_mel))

    def _input(self, speech: Speech) -> Array:
        front_end = self.bundle.front_end
        return network_input(speech.log_mel, front_end.shortest, front_end.normalisation)

    def _encode(self, features: Array) -> tuple[Array, Array]:
        return finished(self._encode_steps(features))

    def _encode_steps(self, features: Array, timer: StageTimer | None = None) -> Steps[tuple[Array, Array]]:
        """Embedding [E] and frame embeddings [E, C] of network input [1, mels, T].

        Long input is encoded in pieces that overlap by the receptive field, so the frame embeddings are those of the whole.
        """
        total = _frame_embeddings(features)
        if total <= PIECE + 2 * CONTEXT:
            run = EngineRun("encoder", self._encoder, {"log_mel": features})
            out = yield run
            if timer is not None:
                run.counted(timer, "encoder")
            return out["embedding"][0], out["columns"][0]
        frame_embeddings = []
        for first in range(0, total, PIECE):
            last = min(total, first + PIECE)
            before, after = max(0, first - CONTEXT), min(total, last + CONTEXT)
            piece = np.ascontiguousarray(features[:, :, before * STRIDE : after * STRIDE])
            run = EngineRun("encoder", self._encoder, {"log_mel": piece})
            out = yield run
            if timer is not None:
                run.counted(timer, "encoder")
            frame_embeddings.append(out["columns"][0][:, first - before : last - before])
        joined = np.concatenate(frame_embeddings, 1)
        mean = joined.mean(1, dtype=np.float64)
        return (mean / np.linalg.norm(mean)).astype(np.float32), joined

    def _numbers(self, network: str, found: Array) -> Array:
        """The output of a network, checked to be finite, because FP16 overflows without an error, and so small that arithmetic
        in FP32 does not overflow after it.

        Raises:
            BundleError: a number is NaN, infinite or beyond `LARGEST_NUMBER`; on a GPU it is a ProviderError.
        """
        numbers = found.tolist()
        # The first is quick and true of any network; NaN is not less than anything.
        if not sum(map(abs, numbers)) < LARGEST_NUMBER and not all(abs(number) < LARGEST_NUMBER for number in numbers):
            raise self._overflow(network)
        return found

    def _picture(self, image: Array) -> Picture:
        try:
            return Picture(image)
        except FloatingPointError:
            raise self._overflow("face") from None

    def _overflow(self, network: str) -> ProviderError | BundleError:
        said = (
            f"{self.bundle.name}: the {network} network gave numbers that are not finite, or beyond ±{LARGEST_NUMBER:,.0f}, on "
            f"{self.provider}"
        )
        if self.provider in ("cpu", "openvino"):  # which compute in FP32, unless the graph itself says otherwise
            return BundleError(f"{said}; use another bundle")
        return ProviderError(
            f"{said}; use a bundle in FP32 or --provider cpu (`voxface compare` finds the engine that does so)"
        )

    def check_open(self) -> None:
        """Raises UsageError after `close`."""
        if self._closed:
            raise UsageError(f"{self.bundle.name}: its engines were closed; open the bundle again to go on")

    def close(self) -> None:
        """Frees the engines; methods that need them raise UsageError from then on. Closing twice is no error."""
        self._closed = True
        self._engines.close()

    def __reduce__(self) -> NoReturn:
        raise NoPickleError(
            "a FaceEstimator holds engines, which cannot be pickled or copied; make one in each process, of the bundle's path"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _frame_embeddings(features: Array) -> int:
    """The number of frame embeddings that network input [1, mels, T] gives."""
    return -(-int(features.shape[2]) // STRIDE)


def _distance(one: Array, other: Array) -> float:
    return math.dist(one.tolist(), other.tolist())


def _own(frame_embeddings: Array, frames: int) -> Array:
    """The frame embeddings of a clip without those of its repetitions: short clips are tiled to the shortest input."""
    return frame_embeddings[:, : max(1, min(frame_embeddings.shape[1], frames // STRIDE))]
