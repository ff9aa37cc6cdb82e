"""A microphone through PortAudio: opened at a rate that it takes, watched, and opened again after it was away.

The callback does nothing but hand blocks over. PortAudio is behind `Backend`, so that tests can bring devices of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Protocol

import numpy as np

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.live.block import Block, Samples
from voxface.runtime.live.clock import Clock
from voxface.runtime.live.device_clock import DeviceClock
from voxface.runtime.live.stop import Stop

BLOCK_S: Final = 0.01
SILENT_S: Final = 2.0  # a device that delivers no block for so long is gone
RETRY_S: Final = 1.0
POLL_S: Final = 0.1


@dataclass(frozen=True)
class Device:
    """An input device.

    Attributes:
        index: PortAudio's number of the device; it changes when devices come and go.
        name: name of the device.
        host: the system interface that offers it (ALSA, Core Audio, WASAPI, …).
        channels: number of input channels.
        rate: default rate in Hz.
        default: whether it is used when no device is named.
    """

    index: int
    name: str
    host: str
    channels: int
    rate: int
    default: bool


class DeviceError(Exception):
    """A device could not be opened; the message is PortAudio's."""


# Takes a block float32 [n, channels], the age of its first frame in seconds, and whether frames were lost before it.
Callback = Callable[[Samples, float, bool], None]


class Handle(Protocol):
    """An open device."""

    def active(self) -> bool:
        """Whether the device still delivers."""
        ...

    def close(self) -> None:
        """Closes the device."""
        ...


class Backend(Protocol):
    """Finds and opens devices: PortAudio, or a stand-in for tests."""

    def devices(self) -> list[Device]:
        """The input devices that are there now."""
        ...

    def rescan(self) -> None:
        """Searches for devices again; none may be open."""
        ...

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Handle:
        """Opens a device, which calls `callback` with each block of `block` frames.

        Raises:
            DeviceError: it does not open at this rate with this number of channels.
        """
        ...


class PortAudio:
    """PortAudio through the package sounddevice."""

    def __init__(self) -> None:
        """Loads the library.

        Raises:
            ProviderError: the package or the library is missing.
        """
        try:
            import sounddevice
        except ImportError as error:
            raise ProviderError("no microphone support; pip install 'voxface[mic]'") from error
        except OSError as error:
            raise ProviderError(
                f"PortAudio cannot be loaded ({error}); install it, on Debian: apt-get install libportaudio2"
            ) from error
        self._sd: Any = sounddevice

    def devices(self) -> list[Device]:
        """The input devices that are there now."""
        hosts = self._sd.query_hostapis()
        chosen = self._sd.default.device[0]
        chosen = chosen if chosen is not None and chosen >= 0 else next(
            (host["default_input_device"] for host in hosts if host["default_input_device"] >= 0), -1
        )  # fmt: skip
        return [
            Device(
                index,
                str(found["name"]),
                str(hosts[found["hostapi"]]["name"]),
                int(found["max_input_channels"]),
                round(found["default_samplerate"]),
                index == chosen,
            )
            for index, found in enumerate(self._sd.query_devices())
            if found["max_input_channels"] > 0
        ]

    def rescan(self) -> None:
        """Restarts PortAudio, which lists devices only when it starts."""
        self._sd._terminate()
        self._sd._initialize()

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Handle:
        """Opens a device and starts it; see `Backend.open`."""

        def called(samples: Samples, frames: int, times: Any, status: Any) -> None:
            age = times.currentTime - times.inputBufferAdcTime
            # Some hosts give no time of the converter, or a wrong one: then the block counts as just filled.
            age = age if frames / rate <= age < 5 and times.inputBufferAdcTime > 0 else frames / rate
            callback(samples.copy(), age, bool(status.input_overflow))

        try:
            stream = self._sd.InputStream(
                device=device.index, samplerate=rate, channels=channels, dtype="float32", blocksize=block,
                latency="low", callback=called,
            )  # fmt: skip
            stream.start()
        except (self._sd.PortAudioError, ValueError) as error:
            raise DeviceError(str(error).strip()) from error
        return _Stream(stream)


class _Stream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def active(self) -> bool:
        return bool(self._stream.active)

    def close(self) -> None:
        self._stream.close(ignore_errors=True)


class Microphone:
    """A source that uses one device until it is stopped; it waits for a device of this name when the device goes away.

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
    ) -> None:
        """Chooses `device`, an index or part of a name (None: the default one).

        Args:
            rate: the rate in Hz; None: 16 kHz if the device takes it, else its default rate.
            channel: the channel that will be used, from 0; enough channels are opened to have it.

        Raises:
            ProviderError: there is no such device, or none at all.
            UsageError: the device has no such channel, or several devices fit the name.
        """
        self._clock, self._backend, self._wanted_rate, self._channel = clock, backend, rate, channel
        self._stream = -1
        self._frames = 0
        self._heard_ns = 0
        self._device_clock: DeviceClock | None = None
        self.xruns = self.losses = self.clock_losses = 0
        self.drift_ppm: float | None = None
        self.device = choose(backend.devices(), device)
        if channel is not None and channel >= self.device.channels:
            raise UsageError(f"--channel {channel + 1}: {self.device.name} has {self.device.channels}")

    def run(self, deliver: Callable[[Block], None], stop: Stop) -> None:
        """Delivers blocks until `stop`; waits for the device when it went away.

        Raises:
            ProviderError: the device does not open at first.
        """
        while not stop():
            try:
                handle = self._open(deliver)
            except DeviceError as error:
                if self._stream < 0:
                    raise ProviderError(
                        f"{self.device.name} does not open: {error}; `voxface devices --try` says which do"
                    ) from error
                self._wait_for_return(stop)
                continue
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
                self._wait_for_return(stop)

    def to_json(self) -> dict[str, Any]:
        """The device and its counters as JSON."""
        return {
            "name": self.device.name,
            "xruns": self.xruns,
            "device_losses": self.losses,
            "frames_lost_by_the_clock": self.clock_losses,
            "latest_block_ms": None if self._device_clock is None else 1000 * self._device_clock.latest_s,
            "drift_ppm": self.drift_ppm,
        }

    def _open(self, deliver: Callable[[Block], None]) -> Handle:
        device = self.device
        self._heard_ns = self._clock.now_ns()
        error: DeviceError | None = None
        # 16 kHz comes first: it needs no resampling, which would delay the sound. Some devices open only at their own rate,
        # and some only with all their channels.
        rates = (self._wanted_rate,) if self._wanted_rate else dict.fromkeys((SAMPLE_RATE, device.rate))
        least = 1 if self._channel is None else self._channel + 1
        for rate, channels in product(rates, dict.fromkeys((least, device.channels))):
            device_clock = DeviceClock(rate)
            stream = self._stream + 1
            try:
                handle = self._backend.open(
                    device,
                    rate,
                    channels,
                    max(1, round(BLOCK_S * rate)),
                    self._receiver(deliver, stream, rate, device_clock),
                )
            except DeviceError as failed:
                error = error or failed
                continue
            self._stream, self._device_clock = stream, device_clock
            return handle
        raise error or DeviceError("no channel")

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

    def _wait_for_return(self, stop: Stop) -> None:
        """Waits until a device of the same name is there again."""
        while not stop():
            waited = 0.0
            while waited < RETRY_S and not stop():
                self._clock.sleep(POLL_S)
                waited += POLL_S
            if stop():
                return
            try:
                self._backend.rescan()
                found = [d for d in self._backend.devices() if d.name == self.device.name]
            except Exception:  # PortAudio raises errors of its own while devices come and go
                continue
            if found:
                self.device = found[0]
                return


def choose(devices: list[Device], wanted: str | None) -> Device:
    """Finds the device with an index or a part of a name; None: the default device.

    Raises:
        ProviderError: no device fits.
        UsageError: several devices fit.
    """
    if not devices:
        raise ProviderError("no microphone found; plug one in, or give --source FILE (`voxface devices` lists them)")
    if wanted is None:
        return next((d for d in devices if d.default), devices[0])
    if wanted.isdigit():
        fitting = [d for d in devices if d.index == int(wanted)]
    else:
        fitting = [d for d in devices if d.name == wanted] or [d for d in devices if wanted.lower() in d.name.lower()]
    if not fitting:
        raise ProviderError(
            f"no input device {wanted!r}; there are: {', '.join(f'{d.index} {d.name}' for d in devices)}"
        )
    if len(fitting) > 1:
        raise UsageError(
            f"--device {wanted!r} fits {', '.join(f'{d.index} {d.name}' for d in fitting)}; give the number"
        )
    return fitting[0]
