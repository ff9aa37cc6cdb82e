"""Which device a number, a name or a part of one means."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.live.device import Device
from voxface.runtime.live.device_choice import choose

DESK = Device(0, "desk microphone", "ALSA", 2, 48_000, True)
HEAD = Device(1, "headset", "ALSA", 1, 16_000, False)
LOUD = Device(2, "headset (loud)", "ALSA", 1, 16_000, False)
HOSTS = ("MME", "Windows DirectSound", "Windows WASAPI", "Windows WDM-KS")
WINDOWS = [Device(1 + 4 * k, "Mikrofon (USB Audio Device)", host, 1, 44_100, k == 0) for k, host in enumerate(HOSTS)]
USB = Device(3, "USB PnP Sound Device: Audio (hw:1,0)", "ALSA", 1, 48_000, False)


def test_one_of_a_desk() -> None:
    devices = [DESK, HEAD, LOUD]
    assert choose(devices, None) is DESK
    assert choose([HEAD, LOUD], None) is HEAD
    assert choose(devices, "1") is choose(devices, "01") is HEAD
    assert choose(devices, "headset") is HEAD
    assert choose(devices, "LOUD") is LOUD
    with pytest.raises(UsageError, match=r"fits 1 headset \(ALSA\), 2 headset \(loud\) \(ALSA\); give the number$"):
        choose(devices, "heads")
    with pytest.raises(ProviderError, match="no microphone found"):
        choose([], None)


@pytest.mark.parametrize(
    "wanted",
    [
        "7",
        "radio",
        "²",
        "３",
        "-1",
        "+7",
        "9" * 5000,
        "",
        "  ",
        ",",
        ", ALSA",
        "desk,",
        "desk, a",
        "desk, alsa mme",
        "\0",
        "١",
    ],
)
def test_what_no_device_is_called(wanted: str) -> None:
    with pytest.raises(ProviderError) as told:
        choose([DESK, HEAD, LOUD], wanted)
    shown = wanted if len(wanted) < 80 else wanted[:79] + "…"
    assert str(told.value).startswith(
        f"no input device {shown!r}; there are: 0 desk microphone (ALSA), 1 headset (ALSA)"
    )


def test_one_microphone_by_four_hosts() -> None:
    for way in ("USB Audio", "Mikrofon (USB Audio Device)"):
        with pytest.raises(UsageError) as told:
            choose(WINDOWS, way)
        for device in WINDOWS:
            assert f"{device.index} {device.name} ({device.host})" in str(told.value)
        assert '"NAME, HOST"' in str(told.value)
    for device in WINDOWS:
        for way in (device.label, device.label.upper(), f"usb audio, {device.host.split()[-1]}", str(device.index)):
            assert choose(WINDOWS, way) is device, way
    with pytest.raises(ProviderError):
        choose(WINDOWS, "Mikrofon (USB Audio Device), ALSA")


def test_twins_by_one_host_have_their_numbers_only() -> None:
    twins = [Device(2, "USB", "Core Audio", 1, 48_000, True), Device(5, "USB", "Core Audio", 1, 48_000, False)]
    for way in ("USB", "usb", "USB, Core Audio"):
        with pytest.raises(UsageError, match=r"fits 2 USB \(Core Audio\), 5 USB \(Core Audio\); give the number$"):
            choose(twins, way)
    assert choose(twins, "5") is twins[1]


def test_a_name_of_alsa_with_and_without_the_number_of_the_card() -> None:
    for way in (USB.name, "USB PnP Sound Device: Audio", "hw:1,0", "pnp", f"{USB.stem}, ALSA", f"{USB.name}, alsa"):
        assert choose([DESK, USB, HEAD], way) is USB


def test_names_with_commas_digits_and_other_scripts() -> None:
    devices = [
        Device(0, "Микрофон (Realtek, Inc.)", "MME", 1, 44_100, True),
        Device(1, "麦克风", "MME", 1, 44_100, False),
        Device(2, "Cafe\u0301 9000", "MME", 1, 44_100, False),
        Device(3, "9000", "MME", 1, 44_100, False),
    ]
    assert choose(devices, "микрофон (realtek, inc.)") is devices[0]
    assert choose(devices, "realtek, inc") is devices[0]
    assert choose(devices, "Микрофон, mme") is devices[0]
    assert choose(devices, "麦") is devices[1]
    assert choose(devices, "CAFÉ") is devices[2]
    assert choose(devices, "9000") is devices[3], "a number is never a part of a name"
    with pytest.raises(ProviderError):
        choose(devices, "900")


@given(wanted=st.text(max_size=12), names=st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_any_text_chooses_or_is_refused(wanted: str, names: list[str]) -> None:
    devices = [Device(k, name, "MME" if k % 2 else "ALSA", 1, 44_100, False) for k, name in enumerate(names)]
    with suppress(ProviderError, UsageError):  # anything else is a bug
        assert choose(devices, wanted) in devices
    for device in devices:
        assert choose(devices, str(device.index)) is device
