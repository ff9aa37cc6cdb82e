"""Forty hours of a live session in about ten minutes: memory, indices, times and drift, on virtual time.

    python -m benchmarks.live_soak [--hours 40] [--start N] [--hop-ms 1000] [--record]

Two synthesised voices, silence and noise take turns every few minutes. A stand-in replaces the networks; everything else is as
in a live run: device clock, queue, audio input, session, counters, sinks. The device runs 80 parts in a million too fast.
Memory is measured after a quarter of the time, when every kind of sound has occurred, and at the end.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.attributes import Attributes
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.picture import Picture
from voxface.runtime.live.block import Block, BlockQueue
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.device_clock import DeviceClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkEvent, SinkWorker
from voxface.runtime.timing.stage_timer import StageTimer

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
DRIFT_PPM: Final = 80.0
BLOCK: Final = SAMPLE_RATE // 10


class StandIn:
    """An estimator without networks. Its frame embeddings are mean spectra, so that changes of speaker are found."""

    def __init__(self) -> None:
        bundle = Bundle.open()
        self.model = bundle.morphable
        self.speech_modulation, self.speaker_change = bundle.speech_modulation, bundle.speaker_change
        self.coefficients = np.zeros(self.model.modes, np.float32)

    def estimate(
        self, speech: Speech, before: Estimate | None = None, image_reuse_distance: float = 0.0, *, timer: StageTimer
    ) -> Estimate:
        """An estimate with one fixed face."""
        shapes = speech.log_mel - speech.log_mel.mean(1, keepdims=True)
        parts = np.array_split(shapes, max(1, len(shapes) // 32))
        frame_embeddings = np.stack([part.mean(0) for part in parts], 1)
        embedding = frame_embeddings[:, 0]
        return Estimate(
            start=speech.segments[0][0], end=speech.segments[-1][1], voiced_seconds=speech.voiced_seconds,
            frames=len(speech.log_mel), embedding=embedding, frame_embeddings=frame_embeddings,
            picture=Picture.of_pixels(np.zeros((64, 64, 3), np.uint8)), image_embedding=embedding,
            coefficients=self.coefficients, model=self.model, confidence=0.5,
            attributes=Attributes({"female": 0.5, "male": 0.5}, "unknown", {}),
            stages_ns={},
        )  # fmt: skip


class Last:
    """A sink that keeps the newest event and the position of the last sample."""

    name, keeps_all, wants_audio = "last", False, True

    def __init__(self) -> None:
        self.end = 0
        self.told: SinkEvent | None = None
        self.gaps = 0

    def audio(self, audio: Any) -> None:
        """A check that the sound follows what came before."""
        self.gaps += self.end not in (0, audio.start)
        self.end = audio.start + len(audio.samples)

    def event(self, told: SinkEvent) -> None:
        """The newest event, kept."""
        self.told = told

    def close(self) -> None:
        """An end without anything to free."""


def day(seconds: float) -> Iterator[np.ndarray]:
    """Blocks of a tenth of a second: voice, silence, other voice, noise, in turns of 40 s to 4 min, less in short days."""
    rng = np.random.default_rng(40)
    voices = [np.concatenate(list(read_blocks(EXAMPLES / f"sample_{sex}.flac"))) for sex in ("female", "male")]
    hiss = rng.normal(0, 1, 8 * SAMPLE_RATE)
    sounds = [voices[0], (4 * hiss).astype(np.int16), voices[1], (2500 * hiss).astype(np.int16)]
    left, turn = seconds, 0
    while left > 0:
        lasts = min(left, float(rng.uniform(40, 240)) * min(1.0, seconds / (4 * 3600)))
        sound = sounds[turn % len(sounds)]
        for block in range(round(lasts * 10)):
            at = block * BLOCK % (len(sound) // BLOCK * BLOCK)
            yield sound[at : at + BLOCK]
        left, turn = left - lasts, turn + 1


def resident_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def soak(
    hours: float, start: int = 0, hop: int = SAMPLE_RATE // 10, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Runs and measures."""
    clock = VirtualClock()
    session = LiveSession(StandIn(), LiveConfig(hop=hop), start=start)
    pipeline, last = Pipeline(session, clock), Last()
    pipeline.sink_workers.append(SinkWorker(last, clock, "here", lambda _: None))
    queue, device = BlockQueue(clock), DeviceClock(SAMPLE_RATE)
    rng = np.random.default_rng(1)
    began, samples, missing = time.perf_counter(), 0, 0
    early: float | None = None
    for number, block in enumerate(day(hours * 3600)):
        samples += len(block)
        due = samples / SAMPLE_RATE / (1 + DRIFT_PPM * 1e-6)
        clock.sleep(due + float(rng.exponential(0.004)) - clock.now_ns() / 1e9)
        now = clock.now_ns()
        missing += device.feed(len(block), now)
        queue.put(Block(block[:, None], SAMPLE_RATE, round(due * 1e9), now, first=samples - len(block)))
        taken = queue.get()
        assert taken is not None
        pipeline.feed(taken)
        if early is None and number > hours * 9000:
            early = resident_mb()
        if number % 360_000 == 0 and number:
            say(f"{number / 36_000:.0f} h, {resident_mb():.1f} MB, {time.perf_counter() - began:.0f} s")
    pipeline.finish()
    return {
        "hours": hours,
        "start": start,
        "samples": samples,
        "index_error": session.position - start - samples,
        "sink_index_error": last.end - start - samples,
        "gaps": last.gaps,
        "missing_frames": missing,
        "memory_after_a_quarter_mb": early,
        "memory_at_the_end_mb": resident_mb(),
        "memory_growth_mb": resident_mb() - (early or 0.0),
        "drift_ppm": {"true": DRIFT_PPM, "measured": device.drift_ppm},
        "took_s": time.perf_counter() - began,
        "counters": pipeline.counters.to_json(),
    }


def main() -> None:
    """Runs, and records it where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=40)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--hop-ms", type=int, default=1000, help="between estimates; most of the time goes to them")
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/live_soak.json")
    options = parser.parse_args()
    measured = soak(options.hours, options.start, options.hop_ms * SAMPLE_RATE // 1000)
    if options.record:
        words = f"--hours {options.hours:g} --start {options.start} --hop-ms {options.hop_ms}"
        record("live_soak", f"python -m benchmarks.live_soak {words} --record", measured)
    else:
        print(measured)


if __name__ == "__main__":
    main()
