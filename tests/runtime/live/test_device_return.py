"""Which device is the one that went away: pure lists, without a clock."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.live.device import Device
from voxface.runtime.live.device_return import HINT_AFTER, DeviceReturn

PULSE = Device(9, "pulse", "ALSA", 32, 44_100, True)


def usb(index: int, card: int, pcm: int = 0) -> Device:
    return Device(index, f"USB PnP: Audio (hw:{card},{pcm})", "ALSA", 1, 48_000, False)


def mac(index: int) -> Device:
    return Device(index, "USB PnP", "Core Audio", 1, 48_000, False)


def test_what_a_name_says() -> None:
    assert usb(0, 12, 3).stem == "USB PnP: Audio"
    assert usb(0, 12, 3).hw == (12, 3)
    assert Device(0, "USB (plughw:1,0)", "ALSA", 1, 1, False).stem == "USB"
    for name, host in (
        ("Mikrofon (USB Audio Device)", "MME"),
        ("C-Media (hw:1,0)", "JACK Audio Connection Kit"),  # not one of ALSA's names
        ("USB (hw:1)", "ALSA"),
        ("USB (hw:1,0) left", "ALSA"),
        ("(hw:1,0)", "ALSA"),
        ("pulse", "ALSA"),
    ):
        assert Device(0, name, host, 1, 1, False).stem == name


def test_another_number_after_it_was_away() -> None:
    one = DeviceReturn(usb(0, 1), [usb(0, 1), PULSE])
    assert one.feed([PULSE]) is None
    assert one.feed([usb(3, 2), PULSE]) == usb(3, 2)
    assert one.doubt is None


def test_another_number_at_once_is_told() -> None:
    one = DeviceReturn(usb(0, 1), [usb(0, 1), PULSE])
    assert one.feed([usb(0, 4)]) == usb(0, 4)
    assert one.doubt is not None
    assert "may be another one" in one.doubt


def test_a_twin_that_stays_is_never_taken() -> None:
    for make in (lambda k: usb(k, k), mac):
        one = DeviceReturn(make(3), [make(2), make(3)])
        hints = []
        for _ in range(50):
            assert one.feed([make(2)]) is None
            hints.append(one.hint([make(2)]))
        said = [hint for hint in hints if hint]
        assert len(said) == 1
        assert "--device 2" in said[0]


def test_a_twin_that_stays_tells_which_one_came_back() -> None:
    one = DeviceReturn(usb(3, 2), [usb(2, 1), usb(3, 2)])
    assert one.feed([usb(2, 1)]) is None
    assert one.feed([usb(2, 1), usb(3, 5)]) == usb(3, 5)
    assert one.doubt is None
    one = DeviceReturn(usb(2, 1), [usb(2, 1), usb(3, 2)])  # and the other way round
    assert one.feed([usb(2, 2)]) is None
    assert one.feed([usb(2, 2), usb(3, 3)]) == usb(3, 3)
    assert one.doubt is None


def test_where_twins_have_one_name_the_place_is_taken_and_told() -> None:
    one = DeviceReturn(mac(3), [mac(2), mac(3)])
    assert one.feed([mac(2)]) is None
    assert one.feed([mac(2), mac(4)]) == mac(4)
    assert one.doubt is not None
    assert "its place in the list" in one.doubt
    gone_and_back = DeviceReturn(mac(2), [mac(2), mac(3)])
    assert gone_and_back.feed([mac(2), mac(3)]) == mac(2), "a glitch: nothing was away"
    assert gone_and_back.doubt is None


@pytest.mark.parametrize("make", [lambda k: usb(k, k), mac], ids=["ALSA", "Core Audio"])
def test_both_twins_away_and_one_back_is_told(make: object) -> None:
    one = DeviceReturn(make(3), [make(2), make(3)])  # type: ignore[operator]
    assert one.feed([]) is None
    assert one.feed([make(2)]) == make(2)  # type: ignore[operator]
    assert one.doubt is not None
    assert "may be that one" in one.doubt


def test_two_pcm_devices_of_one_card_keep_their_own_number() -> None:
    one = DeviceReturn(usb(1, 1, 1), [usb(0, 1, 0), usb(1, 1, 1)])
    assert one.feed([]) is None
    assert one.feed([usb(0, 2, 0)]) is None, "the other part of the card came first"
    assert one.feed([usb(0, 2, 0), usb(1, 2, 1)]) == usb(1, 2, 1)
    assert one.doubt is None


def test_another_host_is_another_device() -> None:
    wasapi, mme = (Device(k, "Mikrofon (USB)", host, 1, 48_000, False) for k, host in ((9, "WASAPI"), (1, "MME")))
    one = DeviceReturn(wasapi, [mme, wasapi])
    said = [one.hint([mme]) for _ in range(HINT_AFTER + 2) if one.feed([mme]) is None]
    assert [hint for hint in said if hint] == [
        "waiting for Mikrofon (USB) (WASAPI); it is there by MME: --device 1 would use that"
    ]
    assert one.feed([mme, wasapi]) == wasapi
    assert one.doubt is None


@given(
    twins=st.integers(1, 3),
    lists=st.lists(st.lists(st.integers(0, 5), unique=True, max_size=4), min_size=1, max_size=8),
    alsa=st.booleans(),
)
def test_only_a_device_of_the_name_and_never_one_that_stayed(twins: int, lists: list[list[int]], alsa: bool) -> None:
    make = (lambda k: usb(k, k)) if alsa else mac
    there = [make(k) for k in range(twins)]
    one = DeviceReturn(there[-1], [*there, PULSE])
    stayed = set(there[:-1])
    for numbers in lists:
        here = [make(k) for k in sorted(numbers)]
        stayed &= set(here)
        found = one.feed([*here, PULSE])
        if found is not None:
            assert found in here
            assert one.doubt is not None or found not in stayed or not alsa
            break
        assert not here or twins > 1


class Bus:
    """Microphones of one model on a bus, which knows what lists do not tell: which is which.

    As Linux does, a card gets the lowest number that is free, and one that is unplugged while it is open holds its number
    until it is closed. Other systems give no number; their newest device is the last of the list.
    """

    def __init__(self, microphones: int, alsa: bool) -> None:
        self._alsa = alsa
        self.card: dict[int, int] = {}  # microphone -> its number, in the order of plugging
        for microphone in range(microphones):
            self._plug(microphone, held=None)

    def _plug(self, microphone: int, held: int | None) -> None:
        taken = {*self.card.values(), held}
        self.card[microphone] = next(n for n in range(99) if n not in taken)

    def change(self, microphone: int, held: int | None = None) -> None:
        if microphone in self.card:
            del self.card[microphone]
        else:
            self._plug(microphone, held)

    def listed(self) -> dict[Device, int]:
        """The devices as PortAudio lists them, and which microphone each is."""
        order = sorted(self.card, key=self.card.__getitem__) if self._alsa else list(self.card)
        return {
            usb(place, self.card[microphone]) if self._alsa else mac(place): microphone
            for place, microphone in enumerate(order)
        }


@settings(max_examples=400)
@given(
    microphones=st.integers(1, 4),
    chosen=st.integers(0, 3),
    before=st.lists(st.integers(0, 3), max_size=3),
    after=st.lists(st.integers(0, 3) | st.none(), max_size=12),
    alsa=st.booleans(),
)
def test_another_microphone_is_never_taken_without_a_word(
    microphones: int, chosen: int, before: list[int], after: list[int | None], alsa: bool
) -> None:
    """One is plugged or unplugged between two lists, or none is; some also while the device was open, unseen."""
    chosen %= microphones
    bus = Bus(microphones, alsa)
    there = bus.listed()
    device = next(d for d, microphone in there.items() if microphone == chosen)
    one = DeviceReturn(device, [*there, PULSE])
    held = bus.card[chosen]
    for other in before:
        if other < microphones and other != chosen:
            bus.change(other, held)
    bus.change(chosen)  # it goes away

    def taken() -> int | None:
        listed = bus.listed()
        found = one.feed([*listed, PULSE])
        assert found is None or one.doubt is not None or listed[found] == chosen
        return None if found is None else listed[found]

    if taken() is None:
        for other in after:
            if other is not None and other < microphones:
                bus.change(other)
            if taken() is not None:
                return
        for other in range(microphones):  # once all are there again it does not wait any longer
            if other not in bus.card:
                bus.change(other)
                found = taken()
                if found is not None:
                    return
        raise AssertionError("all are there, and it waits")
