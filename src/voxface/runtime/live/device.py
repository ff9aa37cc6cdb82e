"""An input device: what tells it from others, and the interface of what finds and opens devices.

PortAudio gives no identifier, only numbers that change and names. ALSA's names end in the number of the card, "(hw:1,0)", and
a card that comes back gets another; so the same device is one with the same name before that number, by the same host API.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from voxface.runtime.live.block import Samples

ALSA: Final = "ALSA"
_HW = re.compile(r" \((?:plug)?hw:(\d+),(\d+)\)$")


@dataclass(frozen=True)
class Device:
    """An input device.

    Attributes:
        index: PortAudio's number of the device; it changes when devices come and go.
        name: name of the device.
        host: the host API that offers it (ALSA, Core Audio, Windows WASAPI, …).
        channels: number of input channels.
        rate: default rate in Hz; 0 where the host gives none.
        default: whether it is used when no device is named.
    """

    index: int
    name: str
    host: str
    channels: int
    rate: int
    default: bool

    @property
    def stem(self) -> str:
        """The name without ALSA's "(hw:CARD,PCM)"."""
        return _HW.sub("", self.name) if self.host == ALSA else self.name

    @property
    def hw(self) -> tuple[int, int] | None:
        """ALSA's numbers of the card and of the PCM device on it; None where the name has none."""
        found = _HW.search(self.name) if self.host == ALSA else None
        return None if found is None else (int(found[1]), int(found[2]))

    @property
    def label(self) -> str:
        """Name and host API, as `--device` takes them."""
        return f"{self.name}, {self.host}"

    def same(self, other: "Device") -> bool:
        """Whether it has the other's name and host API; two devices of one model have that too."""
        return (self.stem, self.host) == (other.stem, other.host)


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
