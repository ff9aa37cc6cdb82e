"""`VoiceToFace`, the class that programs begin with: a loaded bundle that makes faces of files, samples and live streams."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import index
from pathlib import Path
from threading import RLock
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.samples import LIMIT, check_rate, check_samples, scale_of_integers
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import MIN_CONFIDENCE, LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.engines.choice import ChosenEngine
from voxface.runtime.errors import InputError, NoPickleError, NoSpeechError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.timing.trace import Trace

if TYPE_CHECKING:  # a program that only reads files need not wait for these
    from voxface.runtime.live.async_stream import AsyncStream
    from voxface.runtime.live.events import Event
    from voxface.runtime.live.session import Detector, LiveSession
    from voxface.runtime.live.stream import Stream
    from voxface.runtime.live.stream_pool import StreamPool


class VoiceToFace:
    """A bundle loaded on a provider. A context manager that frees its engines.

    Front end and voice activity detector have the bundle's settings, as on the command line. Any thread may call any method,
    and several streams may be open; one estimate is made at a time, and the others wait.

        with voxface.VoiceToFace() as voice_to_face:
            estimate = voice_to_face.estimate(samples, 48_000)

    Attributes:
        estimator: the loaded networks.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str | None = None,
        provider: str = "cpu",
        *,
        threads: int | None = None,
        fused: bool | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Loads a bundle.

        Args:
            bundle: a bundle, opened or by its path; None: the default one.
            provider: one of `voxface.runtime.engines.providers.ALL_PROVIDERS`, such as "cpu", "openvino" or "cuda"; or "auto":
                what `voxface doctor --measure` found fastest for this bundle on this machine, "cpu" if it was not measured.
            threads: number of threads for inference on the CPU; None: as many as were measured best, one if none were measured.
            fused: whether a whole update runs as one graph, if the bundle has that graph; None: on GPUs only.
            trace: records the stages of estimates and live sessions, and the runs of the engines.

        Raises:
            BundleError: the bundle is missing or damaged, or the path leads to something else.
            ProviderError: the provider cannot be used on this machine.
            UsageError: there is no provider of that name.
        """
        self.estimator = FaceEstimator(bundle, provider, threads=threads, fused=fused, trace=trace)
        self._trace = trace
        self._lock = RLock()

    @property
    def bundle(self) -> Bundle:
        """The bundle in use."""
        return self.estimator.bundle

    @property
    def provider(self) -> str:
        """The provider really used."""
        return self.estimator.provider

    @property
    def choice(self) -> ChosenEngine:
        """The provider and the number of threads that are used, and why these."""
        return self.estimator.choice

    @property
    def morphable(self) -> MorphableModel:
        """The bundle's morphable model."""
        return self.estimator.morphable

    def warm_up(self) -> None:
        """Makes one face of noise, so that the first estimate is as fast as later ones."""
        with self._using():
            self.estimator.warm_up()

    def estimate(
        self,
        samples: NDArray[Any],
        sample_rate: int,
        *,
        channel: int | None = None,
        min_confidence: float = MIN_CONFIDENCE,
        any_age: bool = False,
    ) -> Estimate:
        """The face of a stretch of sound; `Estimate.start` and `end` count samples at 16 kHz.

        Args:
            samples: int16, or float32 in [-1, 1]; [n], or [n, channels].
            sample_rate: Hz, 4,000 to 768,000.
            channel: the channel to use, from 0; None: the mean of all, or the loudest where they cancel each other out.
            min_confidence: the confidence below which there is no face, 0 (none) to 1.
            any_age: whether a child's voice gets a face too, which is an adult's.

        Raises:
            NoSpeechError: there is no speech in it, as `voxface live` judges it, the confidence is too low, or it is a child's
                voice. Its `reason` says why, in the words of the live event `NoFace`.
            InputError: a sample is NaN or infinite, or float samples are beyond ±8, so not in [-1, 1].
            UsageError: an array of another type or shape, a sample rate out of range, no such channel, a confidence that cannot
                be, or this `VoiceToFace` was closed.
            BundleError: a network gave numbers that are not finite; on a GPU it is a ProviderError.
        """
        table, rate = check_samples(samples), check_rate(sample_rate)
        chosen = _channel(channel)
        if chosen is not None:
            if chosen >= table.shape[1]:
                raise UsageError(f"channel {chosen}, counted from 0: the samples have {table.shape[1]} channels")
            table = table[:, chosen : chosen + 1]
        return self.estimate_speech(
            self.listen(_at_16_khz(table, rate)), min_confidence=min_confidence, any_age=any_age
        )

    def estimate_file(
        self,
        path: Path | str,
        *,
        channel: int | None = None,
        min_confidence: float = MIN_CONFIDENCE,
        any_age: bool = False,
    ) -> tuple[Speech, Estimate]:
        """The speech in a sound file (WAV, FLAC, OGG, MP3; any rate, any channels) and its face.

        Where only parts of the sound are speech, beside music or noise, the speech returned and the face are of these parts.

        Args:
            channel: the channel to use, from 0; None: the mean of all.
            min_confidence: the confidence below which there is no face, 0 (none) to 1.
            any_age: whether a child's voice gets a face too, which is an adult's.

        Raises:
            InputError: the file cannot be used.
            NoSpeechError: there is no speech in it, the confidence is too low, or it is a child's voice, see `estimate`.
            UsageError: the file has no such channel, a confidence that cannot be, or this `VoiceToFace` was closed.
            BundleError: a network gave numbers that are not finite; on a GPU it is a ProviderError.
        """
        from voxface.runtime.audio.decode import read_blocks

        self.estimator.check_open()
        speech = self.listen(read_blocks(Path(path), _channel(channel)))
        try:
            with self._using():
                return self.estimator.face_of_sound(speech, min_confidence, any_age=any_age)
        except NoSpeechError as error:
            raise NoSpeechError(f"{path}: {error}", error.reason) from None

    def listen(self, blocks: Iterable[NDArray[np.int16]]) -> Speech:
        """What the bundle's VAD keeps of blocks int16 [n] at 16 kHz, with its features. It may be music or noise:
        `estimate_speech` judges that."""
        return self.estimator.listen(blocks)

    def estimate_speech(
        self, speech: Speech, *, min_confidence: float = MIN_CONFIDENCE, any_age: bool = False
    ) -> Estimate:
        """The face of what `listen` found, if it is speech.

        Args:
            min_confidence: the confidence below which there is no face, 0 (none) to 1.
            any_age: whether a child's voice gets a face too, which is an adult's.

        Raises:
            NoSpeechError, BundleError, ProviderError, UsageError: see `estimate`.
        """
        with self._using():
            return self.estimator.face_of_sound(speech, min_confidence, any_age=any_age)[1]

    def stream(self, config: LiveConfig | None = None, *, sample_rate: int = SAMPLE_RATE) -> "Stream":
        """Opens a live stream, which is fed blocks of samples and gives events.

        Args:
            config: when to estimate and how; None: as `voxface live` does without options.
            sample_rate: of the samples, Hz, 4,000 to 768,000.

        Raises:
            UsageError: the sample rate is out of range, or this `VoiceToFace` was closed.
        """
        from voxface.runtime.live.stream import Stream

        self.estimator.check_open()
        return Stream(self.live_session(config), sample_rate, using=self._using)

    def stream_async(
        self,
        config: LiveConfig | None = None,
        *,
        sample_rate: int = SAMPLE_RATE,
        waiting: int = 50,
        skip_when_behind: bool = False,
    ) -> "AsyncStream":
        """A live stream for asyncio, whose estimates are made on a thread of its own; `async with` opens it.

        Args:
            config, sample_rate: see `stream`.
            waiting: the largest number of blocks that are read ahead from a source.
            skip_when_behind: whether estimates may be skipped while more sound than `config.hop` waits.

        Raises:
            UsageError: `waiting` is less than 1. `async with` raises what `stream` raises.
        """
        from voxface.runtime.live.async_stream import AsyncStream

        opened = partial(self.stream, config, sample_rate=sample_rate)
        return AsyncStream(opened, waiting=waiting, skip_when_behind=skip_when_behind)

    def microphone(
        self, device: str | None = None, config: LiveConfig | None = None, *, seconds: float | None = None
    ) -> "Iterator[Event]":
        """The events of a microphone, as `voxface live` has them; leaving the loop closes it.

            for event in voice_to_face.microphone():
                if isinstance(event, voxface.FaceEstimated):
                    show(event.estimate.image)

        Sound is captured on a thread of its own, which waits for nobody; a device that is unplugged is waited for.

        Args:
            device: index, name or part of the name of an input device; None: the system's own choice.
            config: when to estimate and how; None: as `voxface live` does without options.
            seconds: how long to listen; None: until the loop is left.

        Raises:
            ProviderError: there is no such device, it does not open, or sounddevice is not installed.
            UsageError: several devices fit the name, or this `VoiceToFace` was closed.
        """
        from voxface.runtime.live.captured_events import captured_events
        from voxface.runtime.live.clock import SystemClock
        from voxface.runtime.live.microphone import Microphone, PortAudio

        clock = SystemClock()
        source = Microphone(clock, PortAudio(), device)
        self.estimator.warm_up()  # sound does not wait
        return captured_events(self.stream(config), source, clock, limit_s=seconds)

    def live_session(
        self,
        config: LiveConfig | None = None,
        *,
        detector: "Callable[[], Detector] | None" = None,
        start: int = 0,
        skips: frozenset[int] | None = None,
    ) -> "LiveSession":
        """The state machine of a live stream with the bundle's settings. It takes int16 at 16 kHz only; `stream` converts.

        Args:
            config: when to estimate and how.
            detector, start, skips: see `voxface.runtime.live.session.LiveSession`.

        Raises:
            UsageError: this `VoiceToFace` was closed.
        """
        from voxface.runtime.live.session import LiveSession

        self.estimator.check_open()
        return LiveSession(
            self.estimator,
            config,
            features=self.bundle.front_end,
            vad=self.bundle.vad,
            detector=detector,
            start=start,
            skips=skips,
            trace=self._trace,
        )

    def stream_pool(self, *, most: int = 8, skip_when_behind: bool = False) -> "StreamPool[Hashable]":
        """A pool of live streams on one thread, whose engine runs are put together where several are due.

        Its sessions come from `live_session`; its clock is `time.perf_counter_ns`.

        Args:
            most, skip_when_behind: see `voxface.runtime.live.stream_pool.StreamPool`.

        Raises:
            UsageError: `most` is less than 1, or this `VoiceToFace` was closed.
        """
        from voxface.runtime.live.stream_pool import StreamPool

        self.estimator.check_open()
        return StreamPool(perf_counter_ns, most=most, skip_when_behind=skip_when_behind, using=self._using)

    def close(self) -> None:
        """Frees the engines, after an estimate that is under way. Methods that need them raise UsageError from then on.
        Closing twice is no error."""
        with self._lock:
            self.estimator.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """A context in which no other thread uses the engines.

        Raises:
            UsageError: the engines were freed.
        """
        with self._lock:
            self.estimator.check_open()
            yield

    def __reduce__(self) -> NoReturn:
        raise NoPickleError(
            "a VoiceToFace holds engines, which cannot be pickled or copied; make one in each process, of the bundle's path"
        )

    def __enter__(self) -> Self:
        self.estimator.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _channel(channel: int | None) -> int | None:
    """A channel, counted from 0, or None.

    Raises:
        UsageError: no whole number, or less than 0.
    """
    if channel is None:
        return None
    if not isinstance(channel, SupportsIndex) or index(channel) < 0:
        raise UsageError(f"channel {channel!r}: give a whole number from 0 on, or None for the mean of all")
    return index(channel)


def _at_16_khz(table: NDArray[Any], rate: int) -> Iterator[NDArray[np.int16]]:
    """Samples int16 or float32 [n, channels], converted as in a live session to int16 [n] at 16 kHz.

    Raises:
        InputError: a sample is NaN or infinite, or float samples are far out of range.
    """
    from voxface.runtime.live.audio_input import Audio, AudioInput
    from voxface.runtime.live.block import Block

    if table.dtype != np.int16 and len(table):
        finite = np.isfinite(table).all(1)
        if not finite.all():
            at = int(np.argmin(finite))
            raise InputError(f"NaN or infinity at {at / rate:.3f} s (sample {at})")
        loudest = float(np.abs(table).max())
        if loudest > LIMIT:
            scale = scale_of_integers(loudest)
            cure = "" if scale is None else f": divide by {scale}" + (", or give int16" if scale == 32768 else "")
            raise InputError(f"float samples reach {loudest:g}, they must lie in [-1, 1]{cure}")
    audio_input = AudioInput()
    for item in audio_input.feed(Block(table, rate, 0, 0)) + audio_input.finish():
        if isinstance(item, Audio):
            yield item.samples
