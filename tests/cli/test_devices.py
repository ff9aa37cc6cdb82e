"""`voxface devices` with devices that are not there."""

import json

import numpy as np
import pytest

from tests.command_line import run
from voxface.cli.devices import problem
from voxface.runtime.live.device import Callback, Device, DeviceError

HOSTS = ("MME", "Windows WASAPI")
TWO = [Device(3 * k + 1, "Mikrofon (USB Audio Device)", host, k + 1, 44_100, k == 0) for k, host in enumerate(HOSTS)]


class Handle:
    def active(self) -> bool:
        return True

    def close(self) -> None:
        pass


class Desk:
    """The microphone takes 32 kHz by WASAPI, and nothing by MME."""

    opened: list[tuple[int, int, int]]
    found = TWO

    def __init__(self) -> None:
        Desk.opened = []

    def hosts(self) -> list[str]:
        return [*HOSTS, "Windows WDM-KS"]

    def devices(self) -> list[Device]:
        return self.found

    def rescan(self) -> None:
        raise AssertionError

    def open(self, device: Device, rate: int, channels: int, block: int, callback: Callback) -> Handle:
        if device.host == "MME" or rate != 32_000:
            raise DeviceError(f"Invalid sample rate {rate}")
        self.opened.append((device.index, rate, channels))
        callback(np.full((block, channels), 0.1, np.float32), 0.01, False)
        return Handle()


@pytest.fixture(autouse=True)
def desk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxface.runtime.live.portaudio.PortAudio", Desk)
    monkeypatch.setattr("voxface.runtime.live.microphone.PortAudio", Desk)


def test_the_hosts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("devices") == 0
    out = capsys.readouterr().out
    assert "*   1  Mikrofon (USB Audio Device)  (MME, 1 channel, 44100 Hz)\n" in out
    assert "    4  Mikrofon (USB Audio Device)  (Windows WASAPI, 2 channels, 44100 Hz)\n" in out
    assert "MME, Windows WASAPI, Windows WDM-KS" in out
    assert '"NAME, HOST"' in out
    assert run("devices", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["hosts"] == [*HOSTS, "Windows WDM-KS"]
    assert set(document["devices"][0]) == {"index", "name", "host", "channels", "rate", "default"}


def test_trying_tries_the_rates_of_live(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("devices", "--try", "--seconds", "0.05", "--json") == 0
    mme, wasapi = (row["heard"] for row in json.loads(capsys.readouterr().out)["devices"])
    assert mme == {"opens": False, "why": "Invalid sample rate 44100"}
    assert (wasapi["opens"], wasapi["rate"], wasapi["samples"]) == (True, 32_000, 320)
    assert Desk.opened == [(4, 32_000, 1)]
    assert run("devices", "--try", "--seconds", "0.05") == 0
    assert "opened at 32000 Hz" in capsys.readouterr().out


def test_live_says_the_hosts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("live", "--device", "usb", "--show", "none") == 2
    assert "fits 1 Mikrofon (USB Audio Device) (MME), 4 Mikrofon (USB Audio Device) (Windows WASAPI); give the" in (
        capsys.readouterr().err
    )
    assert run("live", "--device", "²", "--show", "none") == 5
    assert "no input device '²'" in capsys.readouterr().err
    assert run("live", "--device", "usb, mme", "--show", "none") == 5
    assert "does not open: Invalid sample rate 44100 (tried at 16000, 44100, 48000, 32000" in capsys.readouterr().err
    assert run("live", "--device", "usb, wasapi", "--rate", "96000", "--show", "none") == 5
    assert "it opens at 32000 Hz: give --rate 32000, or no --rate" in capsys.readouterr().err
    assert run("live", "--rate", "0", "--show", "none") == 2


def test_no_device(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Desk, "found", [])
    assert run("devices", "--json") == 5
    assert json.loads(capsys.readouterr().out)["devices"] == []


def test_what_is_wrong_with_the_sound_of_a_device() -> None:
    assert "delivers nothing" in (problem(0, 0.0, 0.0) or "")
    assert "all samples are zero" in (problem(10, 1.0, 0.0) or "")
    assert "clips" in (problem(10, 0.0, 0.1) or "")
    assert problem(10, 0.5, 0.01) is None
