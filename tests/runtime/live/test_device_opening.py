"""At which rates a device is tried, and what is said when it opens at none."""

import pytest

from voxface.runtime.errors import UsageError
from voxface.runtime.live.device import Callback, Device, DeviceError
from voxface.runtime.live.device_opening import check_rate, open_device, rates_to_try, why_closed

CARD = Device(5, "C-Media USB: Audio (hw:1,0)", "ALSA", 2, 44_100, True)


class Opened:
    def __init__(self) -> None:
        self.closed = False

    def active(self) -> bool:
        return not self.closed

    def close(self) -> None:
        self.closed = True


class Card:
    """A backend whose device takes some rates and numbers of channels."""

    def __init__(self, rates: set[int], channels: set[int] | None = None) -> None:
        self._rates, self._channels = rates, channels or {1, 2}
        self.tried: list[tuple[int, int]] = []
        self.handles: list[Opened] = []

    def devices(self) -> list[Device]:
        return [CARD]

    def rescan(self) -> None:
        raise AssertionError

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Opened:
        self.tried.append((rate, channels))
        assert block == max(1, rate // 100)
        if channels not in self._channels:
            raise DeviceError("Invalid number of channels [PaErrorCode -9998]")
        if rate not in self._rates:
            raise DeviceError(f"Invalid sample rate {rate}")
        self.handles.append(Opened())
        return self.handles[-1]


def no_callback(rate: int) -> Callback:
    return lambda samples, age, overflow: None


def test_the_order() -> None:
    assert rates_to_try(CARD)[:4] == (16_000, 44_100, 48_000, 32_000)
    assert rates_to_try(Device(0, "", "", 1, 22_050, False))[:4] == (16_000, 22_050, 48_000, 44_100)
    assert len(set(rates_to_try(CARD))) == len(rates_to_try(CARD))
    for strange in (0, -1, 3_999, 10_000_000):
        assert strange not in rates_to_try(Device(0, "", "", 1, strange, False))
    assert rates_to_try(CARD, 48_000) == (48_000,), "what was asked for, and no other"


@pytest.mark.parametrize("takes", [16_000, 44_100, 48_000, 32_000, 96_000, 192_000, 22_050, 11_025, 8_000])
def test_a_device_of_one_rate_opens(takes: int) -> None:
    for channels in ({1}, {2}):
        card = Card({takes}, channels)
        handle, rate = open_device(card, CARD, rates_to_try(CARD), no_callback)
        assert rate == takes
        assert handle is card.handles[0]
        assert card.tried[-1] == (takes, min(channels))


def test_the_best_of_several_rates() -> None:
    assert open_device(Card({8_000, 48_000}), CARD, rates_to_try(CARD), no_callback)[1] == 48_000
    assert open_device(Card({8_000, 16_000, 48_000}), CARD, rates_to_try(CARD), no_callback)[1] == 16_000


def test_the_reason_is_that_at_its_own_rate() -> None:
    with pytest.raises(DeviceError, match="Invalid sample rate 44100"):
        open_device(Card(set()), CARD, rates_to_try(CARD), no_callback)
    with pytest.raises(DeviceError, match="Invalid number of channels"):
        open_device(Card({16_000}, {7}), CARD, rates_to_try(CARD), no_callback)


def test_a_channel_is_never_left_out() -> None:
    card = Card({16_000}, {2})
    open_device(card, CARD, rates_to_try(CARD), no_callback, channel=1)
    assert card.tried == [(16_000, 2)]


def test_what_is_said_names_the_rate_that_helps() -> None:
    card = Card({32_000})
    said = why_closed(card, CARD, DeviceError("Invalid sample rate"), 48_000, None)
    assert said == (
        f"{CARD.name} does not open at 48000 Hz: Invalid sample rate; it opens at 32000 Hz: give --rate 32000, or no --rate"
    )
    assert card.handles[0].closed, "a rate that was only tried is let go"
    closed = Card(set())
    assert "--rate HZ" in why_closed(closed, CARD, DeviceError("Invalid sample rate"), None, None)
    said = why_closed(closed, CARD, DeviceError("Device unavailable"), 48_000, None)
    assert "tried at 48000 Hz as --rate says, and at the usual rates" in said


def test_a_rate_that_no_device_has() -> None:
    for rate in (None, 4_000, 768_000):
        check_rate(rate)
    for rate in (0, -48_000, 1, 3_999, 10**9):
        with pytest.raises(UsageError, match=f"--rate {rate}: 4000 to 768000"):
            check_rate(rate)
