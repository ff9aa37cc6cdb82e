"""The events of a device for whoever iterates over them, on virtual time."""

import numpy as np
import pytest

from tests.stand_ins.live_session import Blocks, PlainEstimator, cut, lines, noise, nothing, voice
from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.live.block import Block
from voxface.runtime.live.captured_events import captured_events
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.events import Event, FaceEstimated, Lost, Skipped, VoiceEnded
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.stop import Stop
from voxface.runtime.live.stream import Stream

TALK = np.concatenate([nothing(0.5), voice(), noise(1, 8), voice(1), nothing(1)])


def stream(estimator: PlainEstimator | None = None) -> Stream:
    return Stream(LiveSession(estimator or PlainEstimator()))


def test_they_are_those_of_the_same_sound_fed_by_hand() -> None:
    clock = VirtualClock()
    captured = list(captured_events(stream(), Blocks(cut(TALK), clock), clock))
    by_hand = stream()
    expected = [event for block in cut(TALK) for event in by_hand.hear(block)] + by_hand.finish()
    assert lines(captured) == lines(expected)
    assert sum(isinstance(event, FaceEstimated) for event in captured) > 10


class Endless:
    """A device that speaks until it is stopped."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock, self.closed = clock, False

    def run(self, deliver: "object", stop: Stop) -> None:
        first, sound = 0, np.tile(voice(), 20)
        while not stop():
            self._clock.sleep(0.02)
            now = self._clock.now_ns()
            samples = np.take(sound, range(first, first + 320), mode="wrap")[:, None]
            deliver(Block(samples, 16_000, now, now, first=first))  # type: ignore[operator]
            first += 320
        self.closed = True


def test_leaving_the_loop_closes_the_device_and_ends_the_stream() -> None:
    clock = VirtualClock()
    device, heard = Endless(clock), stream()
    for event in (events := captured_events(heard, device, clock)):
        if isinstance(event, FaceEstimated):
            break
    events.close()
    assert device.closed
    with pytest.raises(UsageError, match="the stream has ended"):
        heard.feed(np.zeros(10, np.int16))


def test_capture_waits_for_nobody_and_what_is_dropped_is_told() -> None:
    """Whoever iterates takes 5 s for the first face; only the newest 2 s have waited."""
    clock = VirtualClock()
    told: list[Event] = []
    events = captured_events(stream(), Endless(clock), clock, queue_s=2.0)
    waited = False
    for event in events:
        told.append(event)
        if isinstance(event, FaceEstimated) and not waited:
            waited = True
            clock.sleep(5.0)
        if sum(isinstance(each, FaceEstimated) for each in told) == 5:
            break
    events.close()
    (lost,) = [event for event in told if isinstance(event, Lost)]
    assert lost.cause == "queue full"
    assert (lost.end - lost.start) / 16_000 == pytest.approx(3.0, abs=0.1)
    assert any(isinstance(event, Skipped) for event in told), "while sound waits, estimates are left out"


def test_it_ends_in_time_whether_or_not_anything_is_heard() -> None:
    clock = VirtualClock()
    events = list(captured_events(stream(), Endless(clock), clock, limit_s=3.0))
    assert clock.now_ns() / 1e9 == pytest.approx(3.0, abs=0.2)
    assert isinstance(events[-1], VoiceEnded), "what was open is closed"

    class Mute:
        def run(self, deliver: object, stop: Stop) -> None:
            while not stop():
                clock.sleep(0.1)

    before = clock.now_ns()
    assert list(captured_events(stream(), Mute(), clock, limit_s=2.0)) == []
    assert (clock.now_ns() - before) / 1e9 == pytest.approx(2.0, abs=0.2)


class Broken:
    """A device that breaks after a second."""

    def __init__(self, clock: VirtualClock) -> None:
        self._inner = Blocks(cut(voice()[:16_000]), clock)

    def run(self, deliver: "object", stop: Stop) -> None:
        self._inner.run(deliver, stop)  # type: ignore[arg-type]
        raise ProviderError("the device is on fire")


def test_a_device_that_breaks_is_told_after_what_was_heard() -> None:
    clock, told = VirtualClock(), list[Event]()
    events = captured_events(stream(), Broken(clock), clock)

    def listen() -> None:
        for event in events:
            told.append(event)

    with pytest.raises(ProviderError, match="the device is on fire"):
        listen()
    assert told
