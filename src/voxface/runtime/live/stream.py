"""A live stream for programs: samples of any rate in, events out, on the thread that feeds it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from operator import index
from types import TracebackType
from typing import Any, Self, SupportsIndex

from numpy.typing import NDArray

from voxface.runtime.audio.samples import check_rate, check_samples
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import UsageError
from voxface.runtime.live.audio_input import Audio, AudioInput, Item
from voxface.runtime.live.block import Block
from voxface.runtime.live.events import Event, FaceEstimated, Lost, NoFaceReason
from voxface.runtime.live.session import LiveSession

Samples = NDArray[Any]  # int16, or float32 in [-1, 1]; [n] or [n, channels]


class Stream:
    """One stream of sound: feed blocks of any size, get the events they cause, those of `voxface live` on the same samples.

    The events do not depend on how the samples are split into blocks. A context manager that finishes the stream, unless an
    exception leaves it. `VoiceToFace.stream` opens one.

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
            using: entered while the session is fed; it keeps others from the engines meanwhile.
            source: what delivers the sound, for the event `StreamStarted`.

        Raises:
            UsageError: there is no such sample rate.
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
        """Samples heard so far, at 16 kHz, lost ones included."""
        return self._session.position

    @property
    def speaking(self) -> bool:
        """Whether a turn of speech is open; pauses up to the hangover belong to it."""
        return self._session.speaking

    @property
    def no_face(self) -> NoFaceReason | None:
        """Why there is no face now; None while there is one, or before anything is known."""
        return self._session.reason

    def feed(self, samples: Samples, *, lost: int = 0, behind: bool = False) -> list[Event]:
        """Hears a block and returns what happened, in order. It takes as long as the estimates that fall due in it.

        What is NaN, infinite or beyond ±8 becomes silence and an event `Rejected`. An engine that fails costs one estimate and
        gives an event `EngineFailed`. The array may be used again as soon as `feed` returns.

        Args:
            samples: int16, or float32 in [-1, 1]; [n] or [n, channels], whose mean is heard; n may be 0.
            lost: frames that are missing between the block before and this one: an event `Lost`, and no speech is joined
                across them.
            behind: whether more sound waits than `config.hop`: estimates may be left out then, each with an event `Skipped`.

        Raises:
            UsageError: an array of another type or shape or with other channels than before; `lost` is no whole number or
                negative; or a stream or `VoiceToFace` that has ended.
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

    def events(self, blocks: Iterable[Samples]) -> Iterator[Event]:
        """Feeds every block as its turn comes, then finishes the stream; yields what happens, in order.

        Raises:
            UsageError: see `feed`.
        """
        for samples in blocks:
            yield from self.feed(samples)
        yield from self.finish()

    def finish(self) -> list[Event]:
        """Ends the stream: what is held is heard, the last speech gets its estimate, what is open is closed. A stream that has
        ended has no more events.

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
        """Ends the stream where it is, without another estimate."""
        self._ended = True

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
        """The events of the session, the newest face among them kept."""
        self.face = next((event for event in reversed(events) if isinstance(event, FaceEstimated)), self.face)
        return events
