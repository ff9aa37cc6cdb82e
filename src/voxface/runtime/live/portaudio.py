"""PortAudio through the package sounddevice, as the `Backend` of devices."""

import math
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Final

from voxface.runtime.errors import ProviderError
from voxface.runtime.install_advice import how_to_install
from voxface.runtime.live.block import Samples
from voxface.runtime.live.device import Callback, Device, DeviceError, Handle

START_S: Final = 20  # it starts within a fraction of a second
BRINGS_LIBRARY: Final = ("win32", "darwin")  # where the package sounddevice has its own


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
            raise DeviceError(_said(error)) from error
        return _Stream(stream)

    def _asked(self, what: Any, *more: Any) -> Any:
        try:
            return what(*more)
        except self._sd.PortAudioError as error:
            raise ProviderError(f"PortAudio cannot list the devices: {_said(error)}") from error

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
        try:
            return bool(self._stream.active)
        except Exception:  # some hosts answer with an error once the device has gone
            return False

    def close(self) -> None:
        self._stream.close(ignore_errors=True)


def _load() -> Any:
    """The package sounddevice; its import loads the library and starts it."""
    if sys.platform not in BRINGS_LIBRARY and "sounddevice" not in sys.modules and find_spec("sounddevice"):
        _try_apart()
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
            f"PortAudio does not start ({_said(error)}); is the sound system running, and the library a whole one?"
        ) from error
    return sounddevice


def _try_apart() -> None:
    """Starts the system's PortAudio in a process of its own: without ALSA's configuration, say, it ends its process.

    Raises:
        ProviderError: it ended that process, or hangs.
    """
    command = [sys.executable, "-c", "import sounddevice"]
    try:
        done = subprocess.run(
            command, env=_search_path(), stdin=subprocess.DEVNULL, capture_output=True, timeout=START_S, check=False,
            start_new_session=True,  # an interrupt from the terminal is for this process
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ProviderError(f"PortAudio does not start within {START_S} s; is the sound system hanging?") from error
    except OSError:  # no process can be started, which does not mean that the library fails
        return
    if done.returncode < 0:
        raise ProviderError(
            f"PortAudio does not start: it ends its process by {_name_of(-done.returncode)}; are ALSA's configuration "
            "(on Debian: apt-get install libasound2-data) and the library whole (libportaudio2)?"
        )


def _said(error: Exception) -> str:
    """What an error says, in one line. Those of sounddevice ask PortAudio for it, which fails where that did not start."""
    try:
        text = str(error)
    except Exception:
        text = ", ".join(str(part) for part in error.args)
    return " ".join(text.split()) or type(error).__name__


def _search_path() -> dict[str, str]:
    """An environment in which the same modules are found as here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
