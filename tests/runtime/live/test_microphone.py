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


def test_the_device_that_is_meant_is_opened() -> None:
    clock = VirtualClock()
    desk = Desk(clock, lambda _: [DESK, HEAD])
    for wanted in (None, "1", "head", "headset, alsa", "DESK"):
        assert Microphone(clock, desk, wanted).device is choose([DESK, HEAD], wanted)
    with pytest.raises(ProviderError, match="no input device '²'; there are: 0 desk microphone"):
        Microphone(clock, desk, "²")


class ByIndex(Desk):
    """Devices of one name: only the index says which of them plays."""

    def __init__(self, clock: VirtualClock, here: Callable[[float], list[Device]]) -> None:
        super().__init__(clock, here)
        self.numbers: list[tuple[int, int]] = []
        self.takes: Callable[[int], bool] = lambda rate: True

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Handle:
        if not self.takes(rate):
            raise DeviceError("Invalid sample rate [PaErrorCode -9997]")
        self.numbers.append((device.index, rate))
        handle = Handle()
        silence = np.zeros((block, channels), np.float32)

        def play() -> None:
            while handle.runs and (device.index, device.name) in [(d.index, d.name) for d in self.devices()]:
                self._clock.sleep(block / rate)
                callback(silence, block / rate, False)
            handle.runs = False

        self._clock.start(play, "device")
        return handle


def alsa(index: int, card: int, rate: int = 48_000) -> Device:
    return Device(index, f"USB PnP Sound Device: Audio (hw:{card},0)", "ALSA", 1, rate, False)


PULSE = Device(4, "pulse", "ALSA", 32, 44_100, True)


def watched(
    here: Callable[[float], list[Device]], seconds: float, device: str | None, **more: object
) -> tuple[list[int], list[str], Microphone]:
    """The numbers of the devices that were opened, and what was told."""
    clock = VirtualClock()
    desk, told = ByIndex(clock, here), list[str]()
    microphone, pipeline, _ = listen(desk, clock, seconds, device=device, tell=told.append, **more)
    assert pipeline.session.position <= seconds * 16_000 + 3200
    return [index for index, _ in desk.numbers], told, microphone


def test_a_card_that_gets_another_number_twice() -> None:
    def here(now: float) -> list[Device]:
        usb = alsa(0, 1) if now < 4 else alsa(1, 2) if 6 <= now < 10 else alsa(0, 7) if now >= 13 else None
        return [usb, PULSE] if usb else [PULSE]

    opened, told, microphone = watched(here, 18, "USB PnP")
    assert opened == [0, 1, 0]
    assert told == []
    assert microphone.losses == 2
    assert microphone.to_json()["name"] == "USB PnP Sound Device: Audio (hw:7,0)"


def test_the_twin_of_the_chosen_one_is_not_taken() -> None:
    for make in (lambda k: alsa(k, k), lambda k: Device(k, "USB", "Core Audio", 1, 48_000, False)):
        opened, told, _ = watched(lambda now, m=make: [m(2), m(3)] if now < 4 else [m(2)], 15, "3")  # type: ignore[misc]
        assert opened == [3]
        assert len(told) == 1
        assert "another one of this name is there: --device 2" in told[0]


def test_the_chosen_twin_comes_back_beside_the_other() -> None:
    def here(now: float) -> list[Device]:
        return [alsa(2, 1), alsa(3, 2)] if now < 4 else [alsa(2, 1)] if now < 9 else [alsa(2, 1), alsa(3, 3)]

    opened, told, _ = watched(here, 15, "3")
    assert opened == [3, 3]
    assert len(told) == 1  # the hint while it waited


def test_the_twin_goes_first_then_the_chosen_one() -> None:
    """Nothing tells which of the two it is that comes back: so that is said."""

    def here(now: float) -> list[Device]:
        if now < 2:
            return [alsa(2, 1), alsa(3, 2)]
        return [alsa(3, 2)] if now < 5 else [] if now < 8 else [alsa(2, 1)]

    opened, told, _ = watched(here, 14, "3")
    assert opened == [3, 2]
    assert len(told) == 1
    assert "may be that one" in told[0]


def test_a_host_that_vanishes_is_waited_for() -> None:
    mme = Device(1, "Mikrofon (USB Audio Device)", "MME", 1, 44_100, True)
    wasapi = Device(9, "Mikrofon (USB Audio Device)", "Windows WASAPI", 1, 48_000, False)
    moved = Device(6, wasapi.name, wasapi.host, 1, 48_000, False)
    opened, told, microphone = watched(
        lambda now: [mme, wasapi] if now < 4 else [mme] if now < 12 else [mme, moved], 20, "USB Audio, WASAPI"
    )
    assert opened == [9, 6]
    assert told == [
        "waiting for Mikrofon (USB Audio Device) (Windows WASAPI); it is there by MME: --device 1 would use that"
    ]
    assert microphone.to_json()["host"] == "Windows WASAPI"


def test_another_default_device_changes_nothing() -> None:
    head = Device(0, "headset", "ALSA", 1, 48_000, True)
    desk = Device(1, "desk", "ALSA", 1, 48_000, False)
    instead = Device(0, "desk", "ALSA", 1, 48_000, True)
    later = Device(1, "headset", "ALSA", 1, 48_000, False)
    opened, told, _ = watched(
        lambda now: [head, desk] if now < 4 else [instead] if now < 8 else [instead, later], 13, None
    )
    assert opened == [0, 1]
    assert told == []


def test_a_list_that_shrinks_moves_the_numbers() -> None:
    """Before the chosen one three others are unplugged with it, by one hub."""
    others = [Device(k, f"hub {k}", "ALSA", 1, 48_000, False) for k in range(3)]
    chosen, alone = (Device(k, "hub 9", "ALSA", 1, 48_000, False) for k in (3, 0))
    opened, _, _ = watched(lambda now: [*others, chosen] if now < 4 else [] if now < 7 else [alone], 12, "hub 9")
    assert opened == [3, 0]


def test_a_device_that_is_there_again_and_does_not_open_yet_is_tried_on() -> None:
    clock = VirtualClock()
    desk, told = ByIndex(clock, lambda now: [PULSE] if 4 <= now < 6 else [alsa(0, 1), PULSE]), list[str]()
    desk.takes = lambda rate: not 6 <= clock.now_ns() / 1e9 < 10
    microphone, _, _ = listen(desk, clock, 16, device="USB", tell=told.append)
    assert [index for index, _ in desk.numbers] == [0, 0]
    assert microphone.losses == 1
    assert told == [
        f"{alsa(0, 1).name} is there again and does not open: Invalid sample rate [PaErrorCode -9997]; it is tried on"
    ]


def test_a_search_that_fails_is_repeated() -> None:
    clock = VirtualClock()
    desk = ByIndex(clock, lambda now: [PULSE] if 4 <= now < 6 else [alsa(0, 1), PULSE])
    failures = iter(range(3))

    def rescan() -> None:
        for _ in failures:
            raise RuntimeError("PortAudio not initialized")

    desk.rescan = rescan  # type: ignore[method-assign]
    listen(desk, clock, 16, device="USB")
    assert [index for index, _ in desk.numbers] == [0, 0]


@pytest.mark.parametrize("takes", [48_000, 32_000, 96_000, 8_000])
def test_a_default_rate_that_the_device_does_not_take(takes: int) -> None:
    clock = VirtualClock()
    desk = ByIndex(clock, lambda _: [alsa(5, 1, rate=44_100)])
    desk.takes = lambda rate: rate == takes
    told: list[str] = []
    microphone, pipeline, _ = listen(desk, clock, 2, tell=told.append)
    assert desk.numbers == [(5, takes)]
    assert told == (
        [f"{alsa(5, 1).name} opens at 8000 Hz only; the voice above 4000 Hz is missing"] if takes == 8000 else []
    )
    assert microphone.to_json()["rate"] == takes
    assert pipeline.session.position == pytest.approx(32_000, abs=1600)
    with pytest.raises(ProviderError, match=f"does not open at 12345 Hz.*give --rate {takes}"):
        listen(desk, VirtualClock(), 2, rate=12_345)


def test_a_rate_that_no_device_has() -> None:
    with pytest.raises(UsageError, match="--rate 0: 4000 to 768000"):
        Microphone(VirtualClock(), Desk(VirtualClock(), lambda _: [DESK]), rate=0)
