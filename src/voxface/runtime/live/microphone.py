"""A microphone: opened at a rate that it takes, watched, and opened again after it was away.

The callback does nothing but hand blocks over. PortAudio is behind `Backend`, so that tests can bring devices of their own.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.live.block import Block, Samples
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.device import Backend, Callback, Device, DeviceError, Handle
from voxface.runtime.live.device_choice import choose
from voxface.runtime.live.device_clock import DeviceClock
from voxface.runtime.live.device_opening import check_rate, open_device, rates_to_try, why_closed
from voxface.runtime.live.device_return import DeviceReturn
from voxface.runtime.live.portaudio import PortAudio
from voxface.runtime.live.stop import Stop

__all__ = ["Backend", "Callback", "Device", "DeviceError", "Handle", "Microphone", "PortAudio", "choose"]

SILENT_S: Final = 2.0  # a device that delivers no block for so long is gone
RETRY_S: Final = 1.0
POLL_S: Final = 0.1


class Microphone:
    """A source that uses one device until it is stopped; it waits for this device when the device goes away.

    Attributes:
        xruns: number of blocks that PortAudio marked as preceded by lost frames.
        losses: number of times the device went away.
        clock_losses: number of frames that the clock alone showed to be missing.
        drift_ppm: how much faster the device counts than the system, in parts per million; None while it is too early to say.
        device: the device that is or was open.
    """

    def __init__(
        self,
        clock: Clock,
        backend: Backend,
        device: str | None = None,
        *,
        rate: int | None = None,
        channel: int | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """Chooses `device`: an index, a name, part of a name, or "NAME, HOST" (None: the default one).

        Args:
            rate: the rate in Hz; None: 16 kHz if the device takes it, else its default rate, else a usual one.
            channel: the channel that will be used, from 0; enough channels are opened to have it.
            tell: takes what the user should know while it runs, a line each; None: it is logged.

        Raises:
            ProviderError: there is no such device, or none at all.
            UsageError: the device has no such channel, or several devices fit the name.
        """
        check_rate(rate)
        self._clock, self._backend, self._wanted_rate, self._channel = clock, backend, rate, channel
        self._tell = tell or logging.getLogger(__name__).warning
        self._stream = -1
        self._frames = 0
        self._heard_ns = 0
        self._device_clock: DeviceClock | None = None
        self._rate: int | None = None
        self.xruns = self.losses = self.clock_losses = 0
        self.drift_ppm: float | None = None
        self._listed = backend.devices()
        self.device = choose(self._listed, device)
        if channel is not None and channel >= self.device.channels:
            raise UsageError(f"--channel {channel + 1}: {self.device.name} has {self.device.channels}")

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers blocks until `stop`; waits for the device when it went away.

        Raises:
            ProviderError: the device does not open at first.
        """
        awaited: DeviceReturn | None = None
        refused = False
        while not stop():
            try:
                handle = self._open(deliver)
            except DeviceError as error:
                if awaited is None:
                    raise ProviderError(
                        why_closed(self._backend, self.device, error, self._wanted_rate, self._channel)
                    ) from error
                if not refused:
                    self._tell(f"{self.device.name} is there again and does not open: {error}; it is tried on")
                refused = True
                self._wait_for_return(awaited, stop)
                continue
            awaited, refused = None, False
            try:
                while not stop() and handle.active() and self._clock.now_ns() - self._heard_ns < SILENT_S * 1e9:
                    self._clock.sleep(POLL_S)
            finally:
                handle.close()
            if not stop():
                self.losses += 1
                now = self._clock.now_ns()
                empty = np.empty((0, 1), np.float32)
                deliver(Block(empty, 16_000, now, now, self._stream, self._frames, source=self.device.name, gone=True))
                awaited = DeviceReturn(self.device, self._listed)
                self._wait_for_return(awaited, stop)

    def to_json(self) -> dict[str, Any]:
        """The device and its counters as JSON."""
        return {
            "name": self.device.name,
            "host": self.device.host,
            "index": self.device.index,
            "rate": self._rate,
            "xruns": self.xruns,
            "device_losses": self.losses,
            "frames_lost_by_the_clock": self.clock_losses,
            "latest_block_ms": None if self._device_clock is None else 1000 * self._device_clock.latest_s,
            "drift_ppm": self.drift_ppm,
        }

    def _open(self, deliver: Callable[[Block], None]) -> Handle:
        self._heard_ns = self._clock.now_ns()
        stream = self._stream + 1
        clocks: dict[int, DeviceClock] = {}

        def receiver(rate: int) -> Callback:
            clocks[rate] = DeviceClock(rate)
            return self._receiver(deliver, stream, rate, clocks[rate])

        rates = rates_to_try(self.device, self._wanted_rate)
        handle, rate = open_device(self._backend, self.device, rates, receiver, channel=self._channel)
        self._stream, self._device_clock, self._rate = stream, clocks[rate], rate
        if rate < SAMPLE_RATE and self._wanted_rate is None:
            self._tell(f"{self.device.name} opens at {rate} Hz only; the voice above {rate // 2} Hz is missing")
        return handle

    def _receiver(
        self, deliver: Callable[[Block], None], stream: int, rate: int, device_clock: DeviceClock
    ) -> Callback:
        frames = 0

        def receive(samples: Samples, age: float, overflow: bool) -> None:
            nonlocal frames
            now = self._clock.now_ns()
            self._heard_ns = now
            self.xruns += overflow
            missing = device_clock.feed(len(samples), now)
            self.clock_losses += missing
            self.drift_ppm = device_clock.drift_ppm
            captured = now - round(age * 1e9) + len(samples) * 1_000_000_000 // rate
            block = Block(
                samples, rate, captured, now, stream, frames + missing,
                (("device overflow", missing),) if missing else (), self.device.name,
            )  # fmt: skip
            frames += missing + len(samples)
            self._frames = frames
            deliver(block)

        return receive

    def _wait_for_return(self, awaited: DeviceReturn, stop: Stop) -> None:
        """Waits until the device is there again."""
        while not stop():
            waited = 0.0
            while waited < RETRY_S and not stop():
                self._clock.sleep(POLL_S)
                waited += POLL_S
            if stop():
                return
            try:
                self._backend.rescan()
                listed = self._backend.devices()
            except Exception:  # PortAudio raises errors of its own while devices come and go
                continue
            found = awaited.feed(listed)
            if found is not None:
                self.device, self._listed = found, listed
                if awaited.doubt is not None:
                    self._tell(awaited.doubt)
                return
            if (hint := awaited.hint(listed)) is not None:
                self._tell(hint)
