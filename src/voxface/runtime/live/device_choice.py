"""Which device is meant by a number, a name, a part of a name, or "NAME, HOST"."""

import re
from collections.abc import Callable
from typing import Final
from unicodedata import normalize

from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.live.device import Device

LONGEST: Final = 80  # characters of what was asked for that a message repeats
_NUMBER = re.compile(r"[+-]?[0-9]+")


def choose(devices: list[Device], wanted: str | None) -> Device:
    """Finds the device that `wanted` means; None: the default device.

    A number is PortAudio's, never a part of a name. A name is looked for as it is, then with the host API after a comma
    ("Microphone, Windows WASAPI"), then as a part of names, then as a part of a name with words of the host API; capitals
    count in the first way only. The first way that fits anything decides.

    Raises:
        ProviderError: no device fits, or there is none.
        UsageError: several devices fit.
    """
    if not devices:
        raise ProviderError("no microphone found; plug one in, or give --source FILE (`voxface devices` lists them)")
    if wanted is None:
        return next((d for d in devices if d.default), devices[0])
    fitting = next((found for way in _ways(wanted) if (found := [d for d in devices if way(d)])), [])
    if not fitting:
        raise ProviderError(f"no input device {_shown(wanted)}; there are: {listed(devices)}")
    if len(fitting) > 1:
        hosts = {d.host for d in fitting}
        cure = "give the number" if len(hosts) < len(fitting) else 'give the number, or "NAME, HOST"'
        raise UsageError(f"--device {_shown(wanted)} fits {listed(fitting)}; {cure}")
    return fitting[0]


def listed(devices: list[Device]) -> str:
    """Devices with their numbers and host APIs, for a message."""
    return ", ".join(f"{d.index} {d.name} ({d.host})" for d in devices)


def _shown(wanted: str) -> str:
    return repr(wanted if len(wanted) <= LONGEST else f"{wanted[: LONGEST - 1]}…")


def _ways(wanted: str) -> list[Callable[[Device], bool]]:
    """What a device must be like to be meant, from the strictest to the loosest."""

    def exact(device: Device) -> bool:
        return wanted in (device.name, device.stem)

    if _NUMBER.fullmatch(wanted):
        # As text, because int() refuses numbers of thousands of digits.
        number = wanted.removeprefix("+").lstrip("0") or "0"
        return [lambda d: str(d.index) == number, exact]
    plain = _plain(wanted)
    if not plain:
        return []
    name, _, host = (part.strip() for part in plain.rpartition(","))
    return [
        exact,
        lambda d: plain in (_plain(d.name), _plain(d.stem)),
        lambda d: plain in (_plain(d.label), _plain(f"{d.stem}, {d.host}")),
        lambda d: plain in _plain(d.name),
        lambda d: bool(name and host) and name in _plain(d.name) and set(host.split()) <= set(_plain(d.host).split()),
    ]


def _plain(text: str) -> str:
    """Text for comparing: no difference between capitals, nor between the ways in which Unicode writes a letter."""
    return normalize("NFC", normalize("NFC", text).casefold()).strip()
