"""A live stream for programs: samples of any rate in, events out, on the thread that feeds it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from operator import index
from types import TracebackType
from typing import Any, NoReturn, Self, SupportsIndex

from numpy.typing import NDArray

from voxface.runtime.audio.samples import check_rate, check_samples
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import NoFaceReason, NoPickleError, UsageError
from voxface.runtime.live.audio_input import Audio, AudioInput, Item
from voxface.runtime.live.block import Block
from voxface.runtime.live.events import Event, FaceEstimated, Lost
from voxface.runtime.live.session import LiveSession

Samples = NDArray[Any]  # int16, or float32 in [-1, 1]; [n] or [n, channels]


class Stream:
    """One stream of sound: it takes blocks of any size and returns the events that `voxface live` gives for these samples.

    The events do not depend on how the samples are split into blocks. As a context manager it finishes the stream on leaving,
    or ends it without another estimate after an exception. `VoiceToFace.stream` opens one.

        with voice_to_face.stream(sample_rate=48_000) as stream:
            for samples in blocks:
                for event in stream.feed(samples):
                    ...
            rest = stream.finish()

    Attributes:
        sample_rate: of the samples, in Hz.
        face: the newest face; None before the first.
    """

    def __init__(
        self,
        session: LiveSession,
        sample_rate: int = SAMPLE_RATE,
        *,
        using: Callable[[], AbstractContextManager[object]] = nullcontext,
        source: str = "program",
    ) -> None:
        """Begins a stream.

        Args:
            session: a new one, which no other stream feeds.
            sample_rate: Hz, 4,000 to 768,000.
            using: makes a context that is entered while the session is fed, so that no other thread uses the engines meanwhile.
            source: name of what delivers the sound, for the event `StreamStarted`.

        Raises:
            UsageError: the sample rate is out of range.
        """
        self.sample_rate = check_rate(sample_rate)
        self.face: FaceEstimated | None = None
        self._session, self._using, self._source = session, using, source
        self._audio_input = AudioInput(start=session.position)
        self._frames = 0  # fed or lost, at `sample_rate`
        self._channels: int | None = None
        self._ended = False

    @property
    def config(self) -> LiveConfig:
        """The settings."""
        return self._session.config

    @property
    def position(self) -> int:
        """Number of samples at 16 kHz that the session got so far, lost ones included."""
        return self._session.position

    @property
    def speaking(self) -> bool:
        """Whether a turn of speech is open; pauses up to the hangover belong to it."""
        return self._session.speaking

    @property
    def no_face(self) -> NoFaceReason | None:
        """The reason why there is no face now; None while there is one, or before anything is known."""
        return self._session.reason

    def feed(self, samples: Samples, *, lost: int = 0, behind: bool = False) -> list[Event]:
        """Takes a block and returns its events, in order, after the estimates that are due in it.

        Samples that are NaN, infinite or beyond ±8 become zeros and an event `Rejected`. If an engine fails, that estimate is
        lost and there is an event `EngineFailed`. The array may be used again as soon as `feed` returns.

        Args:
            samples: int16, or float32 in [-1, 1]; [n], or [n, channels], of which the mean is used; n may be 0.
            lost: number of frames missing between the block before and this one. They give an event `Lost`, and speech is not
                joined across them.
            behind: whether more sound than `config.hop` waits; estimates may then be skipped, each with an event `Skipped`.

        Raises:
            UsageError: an array of another type or shape, or with another number of channels than before; `lost` is negative or
                no whole number; the stream has ended; or its `VoiceToFace` was closed.
        """
        table = check_samples(samples)
        if self._ended:
            raise UsageError("the stream has ended; open another to go on")
        if self._channels not in (None, table.shape[1]):
            raise UsageError(f"the stream has {self._channels} channels, this block {table.shape[1]}")
        if not isinstance(lost, SupportsIndex) or index(lost) < 0:
            raise UsageError(f"{lost!r} frames cannot be lost; give a whole number, at least 0")
        with self._using():
            self._channels = table.shape[1]
            first = self._frames + index(lost)
            self._frames = first + len(table)
            items = self._audio_input.feed(Block(table, self.sample_rate, 0, 0, first=first, source=self._source))
            return self._hear(items, behind)

    def hear(self, block: Block, *, behind: bool = False) -> list[Event]:
        """As `feed`, for a block as a device delivers it, with its rate, its times, and what was lost before it.

        Raises:
            UsageError: the stream has ended, or its `VoiceToFace` was closed.
        """
        if self._ended:
            raise UsageError("the stream has ended; open another to go on")
        with self._using():
            return self._hear(self._audio_input.feed(block), behind)

    def events(self, blocks: Iterable[Samples]) -> Iterator[Event]:
        """Feeds one block after the other, then finishes the stream; yields the events in order.

        Raises:
            UsageError: see `feed`.
        """
        for samples in blocks:
            yield from self.feed(samples)
        yield from self.finish()

    def finish(self) -> list[Event]:
        """Ends the stream and returns its last events: the resampler's last samples are used, the last speech gets its
        estimate, and an open turn of speech ends. There are none if the stream has ended before.

        Raises:
            UsageError: its `VoiceToFace` was closed.
        """
        if self._ended:
            return []
        with self._using():
            self._ended = True
            events = self._hear(self._audio_input.finish(), False)
            return events + self._kept(self._session.finish())

    def close(self) -> None:
        """Ends the stream at once, without another estimate."""
        self._ended = True

    def __reduce__(self) -> NoReturn:
        raise NoPickleError(
            "a Stream belongs to the engines of its process and cannot be pickled or copied; send its events instead"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.close()

    def _hear(self, items: list[Item], behind: bool) -> list[Event]:
        events: list[Event] = []
        for item in items:
            if isinstance(item, Audio):
                events += self._kept(self._session.feed(item.samples, behind=behind))
                continue
            events.append(item)
            if isinstance(item, Lost):
                events += self._kept(self._session.lose(item.end))
        return events

    def _kept(self, events: list[Event]) -> list[Event]:
        """The events of the session; the newest face among them becomes `face`."""
        self.face = next((event for event in reversed(events) if isinstance(event, FaceEstimated)), self.face)
        return events
