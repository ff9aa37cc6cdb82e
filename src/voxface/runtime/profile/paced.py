"""Updates at a fixed rate: each update has a moment at which it is due, however long the updates before it took.

An update that begins late because others took long is late for its user. So response times count from the moment at which the
update was due, and a stall is charged to every update that had to wait. Otherwise a stall would count only once, which is
known as coordinated omission. Service times count from the beginning of the work. No update is left out, unlike in a live run
under load.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.counters import Counters
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.timing.histogram import Histogram

MOST_ROUNDS = 6  # the most sound fed to fill the window, in window lengths


class Loop:
    """A sound repeated without end, in blocks.

    Attributes:
        size: samples of a block.
        length: samples of the sound.
        source: name of the sound, for display.
    """

    def __init__(self, samples: NDArray[np.int16], size: int, source: str) -> None:
        """Takes the sound, int16 [n] at 16 kHz, n > 0."""
        self.size = size
        self.source = source
        self._samples = np.tile(samples, -(-size // len(samples)) + 1)  # long enough that each block is one slice
        self.length = len(samples)
        self._next = 0

    def block(self, due_ns: int, now_ns: int) -> Block:
        """The next block."""
        at = self._next % self.length
        samples = self._samples[at : at + self.size, None]
        block = Block(samples, SAMPLE_RATE, due_ns, now_ns, first=self._next, source=self.source)
        self._next += self.size
        return block


@dataclass
class Paced:
    """The measurements of a paced run.

    Attributes:
        period_ns: time from block to block.
        blocks: number of blocks fed.
        response: the time of each update from the moment it was due to its end.
        late_ns: how late blocks began, on average over each quarter of the run that was reached.
        wall_ns, cpu_ns: time of the run, and CPU time of all threads of the process.
        idle_wall_ns, idle_cpu_ns: the same for the time spent waiting for the next block.
        busy_ns: time spent working.
    """

    period_ns: int
    blocks: int
    response: Histogram = field(default_factory=Histogram)
    late_ns: list[float] = field(default_factory=list)
    wall_ns: int = 0
    cpu_ns: int = 0
    idle_wall_ns: int = 0
    idle_cpu_ns: int = 0
    busy_ns: int = 0


def lead_in(
    pipeline: Pipeline,
    loop: Loop,
    *,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[], None] = lambda: None,
) -> float:
    """Feeds sound without waiting until the window is full, so that the updates to be measured are alike; resets the counters.

    Returns:
        Seconds of speech in the window.

    Raises:
        NoSpeechError: the sound gave no face.
    """
    wanted = (pipeline.session.config.window - 2 * pipeline.session.config.hop) / SAMPLE_RATE
    fed, most = 0, max(MOST_ROUNDS * pipeline.session.config.window, loop.length)
    while (pipeline.last is None or pipeline.last.estimate.voiced_seconds < wanted) and fed < most:
        if stop():
            break
        pipeline.feed(loop.block(0, 0))
        fed += loop.size
        watch()
    if pipeline.last is None:
        why = pipeline.session.reason or "no speech found"
        said = "all samples are zero" if why == "all-zero microphone" else why
        heard = min(fed, loop.length) / SAMPLE_RATE
        raise NoSpeechError(
            f"{loop.source}: no face to measure in the {heard:.1f} s heard of it ({said}); give a source with speech, or more "
            "--seconds"
        )
    pipeline.counters = Counters()
    return pipeline.last.estimate.voiced_seconds


def run_paced(
    pipeline: Pipeline,
    loop: Loop,
    clock: Clock,
    blocks: int,
    *,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[], None] = lambda: None,
    cpu_ns: Callable[[], int] = time.process_time_ns,
) -> Paced:
    """Feeds `blocks` blocks, each when its last sample is due.

    Args:
        stop: asked before each block whether to end.
        watch: called after each block, in the time before the next one is due.
    """
    period = loop.size * 1_000_000_000 // SAMPLE_RATE
    found = Paced(period, 0)
    late = [Histogram() for _ in range(4)]
    began, busy_before = clock.now_ns(), cpu_ns()
    for number in range(blocks):
        if stop():
            break
        due = began + (number + 1) * period
        slept, idle = clock.now_ns(), cpu_ns()
        if slept < due:
            clock.sleep((due - slept) / 1e9)
            found.idle_cpu_ns += cpu_ns() - idle
            found.idle_wall_ns += clock.now_ns() - slept
        starts = clock.now_ns()
        estimates = pipeline.counters.estimates
        pipeline.feed(loop.block(due, starts))
        done = clock.now_ns()
        if pipeline.counters.estimates > estimates:
            found.response.add(done - due)
        found.busy_ns += done - starts
        late[4 * number // blocks].add(starts - due)
        found.blocks += 1
        watch()
    found.wall_ns, found.cpu_ns = clock.now_ns() - began, cpu_ns() - busy_before
    found.late_ns = [quarter.mean_ns for quarter in late if quarter.count]
    return found
