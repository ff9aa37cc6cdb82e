"""PortAudio through the package sounddevice, as the `Backend` of devices."""

import math
from contextlib import suppress
from typing import Any

from voxface.runtime.errors import ProviderError
from voxface.runtime.install_advice import how_to_install
from voxface.runtime.live.block import Samples
from voxface.runtime.live.device import Callback, Device, DeviceError, Handle


class PortAudio:
    """The devices of this system."""

    def __init__(self) -> None:
        """Loads the library, which searches for devices.

        Raises:
            ProviderError: the package or the library is missing, or does not load.
        """
        self._sd = _load()

    def hosts(self) -> list[str]:
        """The host APIs that this PortAudio was built with and that are here."""
        return [str(host["name"]) for host in self._asked(self._sd.query_hostapis)]

    def devices(self) -> list[Device]:
        """The input devices that are there now.

        Raises:
            ProviderError: PortAudio cannot list them.
        """
        hosts = self._asked(self._sd.query_hostapis)
        chosen = self._sd.default.device[0]
        if not isinstance(chosen, int) or chosen < 0:
            defaults = (host["default_input_device"] for host in hosts)
            chosen = next((index for index in defaults if index >= 0), -1)
        found = []
        for index in sorted(index for host in hosts for index in host["devices"]):
            entry = self._asked(self._entry, index)
            rate = entry["default_samplerate"]
            if entry["max_input_channels"] > 0:
                found.append(
                    Device(
                        index,
                        str(entry["name"]),
                        str(hosts[entry["hostapi"]]["name"]),
                        int(entry["max_input_channels"]),
                        round(rate) if math.isfinite(rate) else 0,
                        index == chosen,
                    )
                )
        return found

    def rescan(self) -> None:
        """Restarts PortAudio, which lists devices only when it starts."""
        with suppress(self._sd.PortAudioError):  # it did not start the last time
            self._sd._terminate()
        self._sd._initialize()

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Handle:
        """Opens a device and starts it; see `voxface.runtime.live.device.Backend.open`."""

        def called(samples: Samples, frames: int, times: Any, status: Any) -> None:
            age = times.currentTime - times.inputBufferAdcTime
            # Some hosts give no time of the converter, or a wrong one: then the block counts as just filled.
            age = age if frames / rate <= age < 5 and times.inputBufferAdcTime > 0 else frames / rate
            callback(samples.copy(), age, bool(status.input_overflow))

        stream = None
        try:
            stream = self._sd.InputStream(
                device=device.index, samplerate=rate, channels=channels, dtype="float32", blocksize=block,
                latency="low", callback=called,
            )  # fmt: skip
            stream.start()
        except (self._sd.PortAudioError, ValueError) as error:
            if stream is not None:  # it opened and did not start: the next try needs it free
                stream.close(ignore_errors=True)
            raise DeviceError(" ".join(str(error).split())) from error
        return _Stream(stream)

    def _asked(self, what: Any, *more: Any) -> Any:
        try:
            return what(*more)
        except self._sd.PortAudioError as error:
            raise ProviderError(f"PortAudio cannot list the devices: {' '.join(str(error).split())}") from error

    def _entry(self, index: int) -> Any:
        try:
            return self._sd.query_devices(index)
        except UnicodeDecodeError as error:  # a name in an unknown encoding; the device works all the same
            raw = self._sd._lib.Pa_GetDeviceInfo(index)
            return {
                "name": bytes(error.object).decode("utf-8", "replace"),
                "hostapi": raw.hostApi,
                "max_input_channels": raw.maxInputChannels,
                "default_samplerate": raw.defaultSampleRate,
            }


class _Stream:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def active(self) -> bool:
        return bool(self._stream.active)

    def close(self) -> None:
        self._stream.close(ignore_errors=True)


def _load() -> Any:
    """The package sounddevice; its import loads the library and starts it."""
    try:
        import sounddevice
    except ModuleNotFoundError as error:
        if error.name != "sounddevice":
            raise ProviderError(f"the package sounddevice does not load ({error}); {how_to_install('mic')}") from error
        raise ProviderError(f"no microphone support; {how_to_install('mic')}") from error
    except OSError as error:
        raise ProviderError(
            f"PortAudio cannot be loaded ({error}); install it, on Debian: apt-get install libportaudio2"
        ) from error
    except Exception as error:  # PortAudio's own classes, an old library without a symbol, cffi
        raise ProviderError(
            f"PortAudio does not start ({' '.join(str(error).split()) or type(error).__name__}); "
            "is the sound system running, and the library a whole one?"
        ) from error
    return sounddevice
