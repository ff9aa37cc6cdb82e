"""Opening a device: which rates and numbers of channels are tried, in which order, and what is said if none opens."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import UsageError
from voxface.runtime.live.device import Backend, Callback, Device, DeviceError, Handle

BLOCK_S: Final = 0.01
LOWEST_RATE, HIGHEST_RATE = 4_000, 768_000
# The best for a voice come first; below 16 kHz a part of it is missing.
USUAL_RATES: Final = (48_000, 44_100, 32_000, 96_000, 24_000, 22_050, 88_200, 192_000, 176_400, 12_000, 11_025, 8_000)


def check_rate(rate: int | None) -> None:
    """Refuses a rate that no device has.

    Raises:
        UsageError: it is out of range.
    """
    if rate is not None and not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UsageError(f"--rate {rate}: {LOWEST_RATE} to {HIGHEST_RATE}")


def rates_to_try(device: Device, asked: int | None = None) -> tuple[int, ...]:
    """The rates in Hz at which a device is tried, in order: the one that was asked for and no other, else all.

    16 kHz comes first because it needs no resampling, which would delay the sound; then the device's default rate. Hosts
    report default rates that their devices do not take, so the usual ones follow.
    """
    if asked is not None:
        return (asked,)
    default = (device.rate,) if LOWEST_RATE <= device.rate <= HIGHEST_RATE else ()
    return tuple(dict.fromkeys((SAMPLE_RATE, *default, *USUAL_RATES)))


def open_device(
    backend: Backend,
    device: Device,
    rates: Iterable[int],
    callback: Callable[[int], Callback],
    *,
    channel: int | None = None,
) -> tuple[Handle, int]:
    """Opens a device at the first rate that it takes; some open only with all their channels.

    Args:
        rates: in Hz, in the order of trying.
        callback: makes, for a rate, the function that takes the blocks of 10 ms.
        channel: the channel that will be used, from 0; enough channels are opened to have it.

    Returns:
        The open device and its rate.

    Raises:
        DeviceError: it opens at none of the rates; the reason is that at its default rate, if that was tried.
    """
    why: dict[int, str] = {}
    least = 1 if channel is None else channel + 1
    for rate, channels in product(rates, dict.fromkeys((least, device.channels))):
        try:
            return backend.open(device, rate, channels, max(1, round(BLOCK_S * rate)), callback(rate)), rate
        except DeviceError as error:
            why.setdefault(rate, str(error))
    raise DeviceError(why.get(device.rate) or next(iter(why.values()), "no rate to try"))


def why_closed(backend: Backend, device: Device, error: DeviceError, asked: int | None, channel: int | None) -> str:
    """The message for a device that does not open: at which rates that is so, and at which it would."""
    if asked is None:
        return (
            f"{device.name} does not open: {error} (tried at {', '.join(map(str, rates_to_try(device)))} Hz); "
            "if it has another rate give --rate HZ, else another --device (`voxface devices --try` says which open)"
        )
    others = [rate for rate in rates_to_try(device) if rate != asked]
    try:
        handle, rate = open_device(backend, device, others, lambda _: lambda *_: None, channel=channel)
    except DeviceError:
        return (
            f"{device.name} does not open: {error} (tried at {asked} Hz as --rate says, and at the usual rates); "
            "`voxface devices --try` says which devices open"
        )
    handle.close()
    return (
        f"{device.name} does not open at {asked} Hz: {error}; it opens at {rate} Hz: give --rate {rate}, or no --rate"
    )
