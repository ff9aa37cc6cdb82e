"""Microphones that stutter, go away and come back, on virtual time."""

from collections.abc import Callable

import numpy as np
import pytest
import soxr

from tests.stand_ins.live_session import Notebook, PlainEstimator, voice
from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.events import Lost, StreamEnded, StreamStarted
from voxface.runtime.live.microphone import Callback, Device, DeviceError, Microphone, choose
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_threaded
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.stop import Stop

DESK = Device(0, "desk microphone", "ALSA", 2, 48_000, True)
HEAD = Device(1, "headset", "ALSA", 1, 16_000, False)


class Handle:
    def __init__(self) -> None:
        self.runs = True

    def active(self) -> bool:
        return self.runs

    def close(self) -> None:
        self.runs = False


class Desk:
    """A backend whose device plays a voice over and over, on virtual time.

    Attributes:
        here: the devices at a time in seconds.
        skip: how many frames the device loses before the block at a time in seconds.
    """

    def __init__(self, clock: VirtualClock, here: Callable[[float], list[Device]]) -> None:
        self._clock, self.here = clock, here
        self.opened: list[tuple[str, int, int]] = []
        self.refuses: Callable[[int, int], bool] = lambda rate, channels: False
        self.stalls: dict[float, float] = {}

    def _now(self) -> float:
        return self._clock.now_ns() / 1e9

    def devices(self) -> list[Device]:
        return self.here(self._now())

    def rescan(self) -> None:
        pass

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Handle:
        if self.refuses(rate, channels) or rate not in (device.rate, 32_000):
            raise DeviceError("Invalid number of channels")
        self.opened.append((device.name, rate, channels))
        handle = Handle()
        sound = soxr.resample((voice() / 32768).astype(np.float32), 16_000, rate)

        def play() -> None:
            at = 0
            while handle.runs and device.name in [d.name for d in self.devices()]:
                for when in [when for when in self.stalls if self._now() >= when]:
                    self._clock.sleep(self.stalls.pop(when))  # and what came meanwhile is lost without a word
                self._clock.sleep(block / rate)
                part = np.take(sound, range(at, at + block), mode="wrap")
                callback(np.repeat(part[:, None], channels, 1), block / rate, False)
                at += block
            handle.runs = False

        self._clock.start(play, "device")
        return handle


def listen(desk: Desk, clock: VirtualClock, seconds: float, **more: object) -> tuple[Microphone, Pipeline, Notebook]:
    microphone = Microphone(clock, desk, **more)  # type: ignore[arg-type]
    notebook = Notebook()
    pipeline = Pipeline(LiveSession(PlainEstimator()), clock)
    pipeline.sink_workers.append(SinkWorker(notebook, clock, "thread", lambda _: None))
    run_threaded(microphone, pipeline, clock, Stop(), [], limit_s=seconds)
    return microphone, pipeline, notebook


def test_a_voice_at_the_microphone() -> None:
    clock = VirtualClock()
    microphone, pipeline, notebook = listen(Desk(clock, lambda _: [DESK]), clock, 10)
    assert pipeline.counters.to_json()["estimates"] > 40
    assert pipeline.session.position == pytest.approx(160_000, abs=3200)
    assert microphone.to_json()["device_losses"] == microphone.to_json()["frames_lost_by_the_clock"] == 0
    assert notebook.told[0].event == StreamStarted(0, "desk microphone", 48_000, 1)
    # A block of 10 ms, the VAD's frame, and what the resampler holds back at this rate.
    assert pipeline.stage_histograms.milliseconds()["capture"]["p99"] <= 60


def test_without_resampling_the_newest_sample_is_a_block_old() -> None:
    clock = VirtualClock()
    _, pipeline, _ = listen(Desk(clock, lambda _: [HEAD]), clock, 5)
    assert 0 <= pipeline.stage_histograms.milliseconds()["capture"]["p99"] <= 11


def test_a_device_that_goes_away_and_returns_with_another_rate() -> None:
    clock = VirtualClock()
    later = Device(3, "desk microphone", "ALSA", 1, 44_100, True)
    desk = Desk(clock, lambda now: [DESK] if now < 4 else [HEAD] if now < 9 else [HEAD, later])
    microphone, pipeline, notebook = listen(desk, clock, 15)
    assert desk.opened == [("desk microphone", 48_000, 1), ("desk microphone", 44_100, 1)]
    told = [t.event for t in notebook.told]
    (ended,) = [e for e in told if isinstance(e, StreamEnded)]
    assert ended.start == pytest.approx(4 * 16_000, abs=320)
    (away,) = [e for e in told if isinstance(e, Lost)]
    assert away.cause == "device away"
    assert 5 * 16_000 - 400 <= away.end - away.start <= 6.5 * 16_000
    assert microphone.losses == 1
    assert pipeline.session.position == pytest.approx(15 * 16_000, abs=4000)  # the index tells the time all the while
    assert pipeline.counters.to_json()["estimates"] > 60


def test_a_device_that_loses_sound_without_a_word() -> None:
    clock = VirtualClock()
    desk = Desk(clock, lambda _: [DESK])
    desk.stalls = {3.0: 0.4}
    microphone, pipeline, notebook = listen(desk, clock, 10)
    assert microphone.clock_losses == pytest.approx(0.4 * 48_000, abs=500)
    (lost,) = [t.event for t in notebook.told if isinstance(t.event, Lost)]
    assert lost.cause == "device overflow"
    assert pipeline.session.position == pytest.approx(160_000, abs=3200)


def test_a_device_that_opens_with_all_channels_only() -> None:
    clock = VirtualClock()
    desk = Desk(clock, lambda _: [DESK])
    desk.refuses = lambda rate, channels: channels < 2
    listen(desk, clock, 2)
    assert desk.opened == [("desk microphone", 48_000, 2)]


def test_rate_and_channel_are_chosen() -> None:
    clock = VirtualClock()
    desk = Desk(clock, lambda _: [DESK, HEAD])
    listen(desk, clock, 1, rate=32_000, channel=1, device="desk")
    assert desk.opened == [("desk microphone", 32_000, 2)]
    with pytest.raises(UsageError, match="has 1"):
        Microphone(clock, desk, "headset", channel=1)


def test_a_device_that_does_not_open() -> None:
    clock = VirtualClock()
    desk = Desk(clock, lambda _: [DESK])
    desk.refuses = lambda rate, channels: True
    with pytest.raises(ProviderError, match="desk microphone does not open: Invalid number of channels"):
        listen(desk, clock, 2)


def test_which_device_is_meant() -> None:
    devices = [DESK, HEAD, Device(2, "headset (loud)", "ALSA", 1, 16_000, False)]
    assert choose(devices, None) is DESK
    assert choose(devices, "1") is HEAD
    assert choose(devices, "headset") is HEAD
    assert choose(devices, "LOUD") is devices[2]
    with pytest.raises(UsageError, match="fits 1 headset, 2 headset"):
        choose(devices, "heads")
    for wanted in ("7", "radio"):
        with pytest.raises(ProviderError, match="no input device"):
            choose(devices, wanted)
    with pytest.raises(ProviderError, match="no microphone found"):
        choose([], None)
