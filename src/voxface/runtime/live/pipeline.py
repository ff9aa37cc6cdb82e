"""The work of the inference thread on each block: audio input, session, counters, and handing events on to the sinks."""

from typing import Final

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import ProviderError
from voxface.runtime.live.audio_input import Audio, AudioInput, Item
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.counters import Counters
from voxface.runtime.live.events import EngineFailed, Event, FaceEstimated, Lost
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkEvent, SinkWorker
from voxface.runtime.timing.histogram import StageHistograms
from voxface.runtime.timing.stage_timer import StageTimer

# Where the time of an estimate goes, from the converter (ADC) to the sinks. The stages from "intake" to "watch" follow one
# another without a gap.
STAGES: Final = (
    "capture", "queue", "intake", "vad", "features", "gate", "encoder", "face", "mesh", "attributes", "watch", "sink",
    "total",
)  # fmt: skip
# Spans of a trace round the stages of one block: of a block that made a face, and of one that made none.
UPDATE: Final = "update"
QUIET: Final = "block"
MOST_FAILURES: Final = 20  # failures of the engine in a row: two seconds of speech


class Pipeline:
    """Feeds blocks to a live session and hands its events on to sinks; not thread-safe.

    Attributes:
        session: the live session.
        sink_workers: the sinks with the threads that they run on.
        counters: counters of the run.
        stage_histograms: histograms of the time of each of `STAGES`, over all estimates.
        last: the newest face; None before the first.
        last_latency_ns: nanoseconds of the stages of the newest face.
        first_face: absolute sample at which the first face was made.
        begun: absolute sample at which the run began.
    """

    def __init__(
        self,
        session: LiveSession,
        clock: Clock,
        sink_workers: list[SinkWorker] | None = None,
        channel: int | None = None,
    ) -> None:
        self.session = session
        self.sink_workers = sink_workers if sink_workers is not None else []
        self.counters = Counters()
        self.stage_histograms = StageHistograms(STAGES)
        self.last: FaceEstimated | None = None
        self.last_latency_ns: dict[str, int] | None = None
        self.first_face: int | None = None
        self.begun = session.position
        self._clock = clock
        self._timer = StageTimer(session.trace)
        self._audio_input = AudioInput(channel, session.position)
        self._failures = 0

    @property
    def heard_s(self) -> float:
        """Length of the stream so far in seconds, lost samples included."""
        return (self.session.position - self.begun) / SAMPLE_RATE

    def feed(self, block: Block, *, behind: bool = False) -> None:
        """Processes a block; `behind`: newer sound is already waiting, so estimates may be left out.

        Raises:
            ProviderError: the engine failed too often in a row.
            UsageError: the block has no such channel.
        """
        taken = self._clock.now_ns()
        estimates = self.counters.estimates
        began = self._timer.begin()
        if not block.frames:
            self.counters.edges["empty_blocks"] += 1
        items = self._audio_input.feed(block)
        self._timer.lap("intake")
        self.feed_items(items, behind, block, taken)
        self._timer.close(UPDATE if self.counters.estimates > estimates else QUIET, began)

    def feed_items(self, items: list[Item], behind: bool = False, block: Block | None = None, taken: int = 0) -> None:
        """Processes the items that an audio input made of a block.

        Args:
            behind: newer sound is already waiting, so estimates may be left out.
            block: the block, for the latency of its faces; None: the items come from elsewhere.
            taken: when the block was taken out of the queue, nanoseconds of the clock.
        """
        self._timer.begin()
        for item in items:
            if isinstance(item, Audio):
                for sink_worker in self.sink_workers:
                    sink_worker.offer(item)
                self._timer.lap_uncounted("tell")
                self._hand_on(self.session.feed(item.samples, behind=behind, timer=self._timer), block, taken)
                continue
            self._hand_on([item], None, taken)
            if isinstance(item, Lost):
                self._hand_on(self.session.lose(item.end, timer=self._timer), None, taken)

    def finish(self) -> None:
        """Ends the stream: processes the samples that are still held, and makes the last estimate."""
        self.feed_items(self._audio_input.finish())
        self._hand_on(self.session.finish(timer=self._timer), None, 0)

    def _hand_on(self, events: list[Event], block: Block | None, taken: int) -> None:
        done = self._clock.now_ns()
        for event in events:
            self.counters.count(event)
            latency = None
            if isinstance(event, FaceEstimated):
                latency = self._latency(event, block, taken, done)
                self.stage_histograms.add(latency)
                self.last, self.last_latency_ns = event, latency
                self.first_face = event.position if self.first_face is None else self.first_face
                self._failures = 0
            sink_event = SinkEvent(event, self.session.position, latency, done)
            for sink_worker in self.sink_workers:
                sink_worker.offer(sink_event)
            if isinstance(event, EngineFailed):
                self._failures += 1
                if self._failures >= MOST_FAILURES:
                    raise ProviderError(f"inference failed {self._failures} times in a row, last: {event.message}")
        self._timer.lap_uncounted("tell")  # a part of the block, but not of an estimate

    def _latency(self, event: FaceEstimated, block: Block | None, taken: int, done: int) -> dict[str, int]:
        stages = dict(event.estimate.stages_ns)
        if block is None or not block.captured_ns:
            return {**stages, "total": sum(stages.values())}
        # When the newest sample of the estimate was at the converter.
        newest = self._audio_input.captured_ns(event.position)
        return {
            "capture": max(0, block.arrived_ns - newest),
            "queue": max(0, taken - block.arrived_ns),
            **stages,
            "total": done - newest,
        }
