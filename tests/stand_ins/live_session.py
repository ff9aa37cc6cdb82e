"""Stand-ins for what a live session works with, and sounds to feed it."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from tests.stand_ins.sphere import sphere
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.attributes import Attributes
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.picture import Picture
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.block import Block
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.events import Event
from voxface.runtime.live.sink_worker import SinkEvent
from voxface.runtime.live.sinks.json_lines import event_json
from voxface.runtime.live.stop import Stop
from voxface.runtime.timing.stage_timer import StageTimer

Samples = NDArray[np.int16]
SPHERE = sphere()


class PlainEstimator:
    """Makes something of a window at once: numbers that depend on every frame of it."""

    speech_modulation = Bundle.open().speech_modulation
    speaker_change = Bundle.open().speaker_change

    def __init__(self, clock: Clock | None = None, seconds: float = 0.0) -> None:
        self.calls = 0
        self.fails: Callable[[int], bool] = lambda _: False
        self.stalls: dict[int, float] = {}
        self._clock, self._seconds = clock, seconds

    def estimate(
        self,
        speech: Speech,
        before: Estimate | None = None,
        image_reuse_distance: float = 0.0,
        *,
        timer: StageTimer | None = None,
    ) -> Estimate:
        self.calls += 1
        if self._clock:
            self._clock.sleep(self.stalls.get(self.calls, self._seconds))
        if self.fails(self.calls):
            raise RuntimeError("no more memory on the device")
        embedding = speech.log_mel.mean(0)
        embedding = (embedding / np.linalg.norm(embedding)).astype(np.float32)
        for stage in ("encoder", "face", "mesh") if timer else ():
            timer.lap(stage)
        return Estimate(
            start=speech.segments[0][0],
            end=speech.segments[-1][1],
            voiced_seconds=speech.voiced_seconds,
            frames=len(speech.log_mel),
            embedding=embedding,
            frame_embeddings=np.ones((64, max(1, len(speech.log_mel) // 32)), np.float32),
            picture=Picture.of_pixels(np.full((64, 64, 3), int(abs(embedding[0]) * 200), np.uint8)),
            image_embedding=embedding,
            coefficients=embedding[:2] * 100,
            model=SPHERE,
            confidence=0.5,
            attributes=Attributes({"female": 0.5, "male": 0.5}, "regular", {}),
            stages_ns={},
        )


class Notebook:
    """A sink that remembers, and can be made slow or broken."""

    name = "notebook"
    wants_audio = True

    def __init__(self, clock: Clock | None = None, *, keeps_all: bool = True, slow_s: float = 0.0) -> None:
        self.keeps_all = keeps_all
        self.heard: list[Audio] = []
        self.told: list[SinkEvent] = []
        self.closed = 0
        self.breaks = False
        self._clock, self._slow = clock, slow_s

    def audio(self, audio: Audio) -> None:
        self.heard.append(audio)

    def event(self, told: SinkEvent) -> None:
        if self.breaks:
            raise OSError(28, "No space left on device")
        if self._clock and self._slow:
            self._clock.sleep(self._slow)
        self.told.append(told)

    def close(self) -> None:
        self.closed += 1

    def lines(self) -> list[dict[str, object]]:
        return [event_json(told.event) for told in self.told]


class Blocks:
    """A source of blocks made beforehand; with a clock each comes when its last sample is due, or later by `late`."""

    def __init__(self, blocks: list[Block], clock: Clock | None = None) -> None:
        self._blocks, self._clock = blocks, clock

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        for block in self._blocks:
            if stop():
                return
            if self._clock:
                self._clock.sleep((block.captured_ns - self._clock.now_ns()) / 1e9)
            deliver(block)


def cut(samples: NDArray[np.generic], rate: int = SAMPLE_RATE, block_s: float = 0.02, **more: object) -> list[Block]:
    """Samples [n] or [n, channels] as blocks that are due one after another."""
    table = samples[:, None] if samples.ndim == 1 else samples
    size = round(block_s * rate)
    began = int(more.pop("began_ns", 0))  # type: ignore[call-overload]
    blocks = []
    for at in range(0, len(table), size):
        part = table[at : at + size]
        due = began + (at + len(part)) * 1_000_000_000 // rate
        blocks.append(Block(part, rate, due, due, first=at, **more))  # type: ignore[arg-type]
    return blocks


def lines(events: list[Event]) -> list[dict[str, object]]:
    return [event_json(event) for event in events]


@lru_cache
def voice(which: int = 0) -> Samples:
    """A synthesised voice of 8 s, int16 at 16 kHz; 0 female, 1 male."""
    return np.concatenate(list(read_blocks(SAMPLES[which])))


def noise(seconds: float, level: float, seed: int = 0) -> Samples:
    """White noise of a standard deviation."""
    count = round(seconds * SAMPLE_RATE)
    return np.clip(np.random.default_rng(seed).normal(0, level, count), -32768, 32767).astype(np.int16)


def nothing(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)
