"""PortAudio through sounddevice: what it lists and opens, on a stand-in; what is said where the real one does not start."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from voxface.runtime.errors import ProviderError
from voxface.runtime.live.device import Device, DeviceError
from voxface.runtime.live.portaudio import PortAudio


class Fake:
    """The module sounddevice with two host APIs."""

    class PortAudioError(Exception):
        """As the real one: its text asks PortAudio, which may not run."""

        def __str__(self) -> str:
            if len(self.args) > 2:
                raise Fake.PortAudioError("not initialized")
            return str(self.args[0])

    def __init__(self) -> None:
        self.default = SimpleNamespace(device=[-1, -1])
        self.hosts = [
            {"name": "ALSA", "devices": [0, 2], "default_input_device": 2},
            {"name": "JACK Audio Connection Kit", "devices": [1, 3], "default_input_device": -1},
        ]
        self.entries: dict[int, Any] = {
            0: self.entry("desk (hw:1,0)", 0, 1, 44_100.0),
            1: self.entry("system", 1, 2, 48_000.4),
            2: self.entry("麦克风", 0, 32, float("nan")),
            3: self.entry("loudspeaker", 1, 0, 48_000.0),
        }
        self.broken = False
        self.running = True
        self.streams: list[Any] = []
        self.refuses: Callable[[str], bool] = lambda at: False
        self._lib = SimpleNamespace(
            Pa_GetDeviceInfo=lambda index: SimpleNamespace(hostApi=1, maxInputChannels=4, defaultSampleRate=8000.0)
        )

    @staticmethod
    def entry(name: str, host: int, inputs: int, rate: float) -> dict[str, Any]:
        return {"name": name, "hostapi": host, "max_input_channels": inputs, "default_samplerate": rate}

    def query_hostapis(self) -> list[dict[str, Any]]:
        if self.broken:
            raise Fake.PortAudioError("Unanticipated host error", -9999, (0, -5, "Connection\nrefused"))
        return self.hosts

    def query_devices(self, index: int) -> Any:
        if isinstance(self.entries[index], Exception):
            raise self.entries[index]
        return self.entries[index]

    def _terminate(self) -> None:
        if not self.running:
            raise Fake.PortAudioError("Error terminating PortAudio: PortAudio not initialized")
        self.running = False

    def _initialize(self) -> None:
        if self.broken:
            raise Fake.PortAudioError("Error initializing PortAudio")
        self.running = True

    def InputStream(self, **options: Any) -> Any:
        if self.refuses("open"):
            raise Fake.PortAudioError("Error opening\nInputStream: Invalid sample rate")
        stream = SimpleNamespace(**options, active=True, closed=False)

        def start() -> None:
            if self.refuses("start"):
                raise Fake.PortAudioError("Error starting stream")

        stream.start = start
        stream.close = lambda ignore_errors: setattr(stream, "closed", True)
        self.streams.append(stream)
        return stream


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    monkeypatch.setitem(sys.modules, "sounddevice", made)  # type: ignore[arg-type]
    return made


def test_what_is_listed(fake: Fake) -> None:
    assert PortAudio().hosts() == ["ALSA", "JACK Audio Connection Kit"]
    assert PortAudio().devices() == [
        Device(0, "desk (hw:1,0)", "ALSA", 1, 44_100, False),
        Device(1, "system", "JACK Audio Connection Kit", 2, 48_000, False),
        Device(2, "麦克风", "ALSA", 32, 0, True),  # a rate that is no number
    ]
    fake.default.device[0] = 1
    assert [d.index for d in PortAudio().devices() if d.default] == [1]
    fake.default.device[0] = "麦克风"  # a program may have set a name, which is not ours to interpret
    assert [d.index for d in PortAudio().devices() if d.default] == [2]


def test_a_name_in_an_unknown_encoding_hides_no_device(fake: Fake) -> None:
    fake.entries[1] = UnicodeDecodeError("utf-8", b"Micr\xf3fono", 4, 5, "invalid continuation byte")
    assert PortAudio().devices()[1] == Device(1, "Micr\ufffdfono", "JACK Audio Connection Kit", 4, 8000, False)


def test_a_list_that_cannot_be_had_is_said_in_one_line(fake: Fake) -> None:
    fake.broken = True
    for ask in (PortAudio().devices, PortAudio().hosts):
        with pytest.raises(
            ProviderError, match=r"^PortAudio cannot list the devices: Unanticipated host error, .*refused"
        ):
            ask()


def test_a_search_that_failed_can_be_repeated(fake: Fake) -> None:
    backend = PortAudio()
    fake.broken = True
    with pytest.raises(Fake.PortAudioError):
        backend.rescan()
    assert not fake.running
    fake.broken = False
    backend.rescan()
    assert fake.running


def test_opening(fake: Fake) -> None:
    heard: list[tuple[Any, float, bool]] = []
    device = Device(1, "system", "JACK", 2, 48_000, False)
    handle = PortAudio().open(device, 48_000, 2, 480, lambda *block: heard.append(block))
    (stream,) = fake.streams
    assert (stream.device, stream.samplerate, stream.channels, stream.blocksize) == (1, 48_000, 2, 480)
    times = SimpleNamespace(currentTime=5.0, inputBufferAdcTime=4.9)
    stream.callback(np.zeros((480, 2), np.float32), 480, times, SimpleNamespace(input_overflow=1))
    no_times = SimpleNamespace(currentTime=5.0, inputBufferAdcTime=0.0)
    stream.callback(np.zeros((480, 2), np.float32), 480, no_times, SimpleNamespace(input_overflow=0))
    assert [(round(age, 3), overflow) for _, age, overflow in heard] == [(0.1, True), (0.01, False)]
    assert handle.active()
    handle.close()
    assert stream.closed
    del stream.active  # as where the host answers with an error
    assert not handle.active()


@pytest.mark.parametrize("where", ["open", "start"])
def test_what_does_not_open_is_closed_again(fake: Fake, where: str) -> None:
    fake.refuses = lambda at: at == where
    with pytest.raises(DeviceError, match=r"^Error (opening InputStream: Invalid sample rate|starting stream)$"):
        PortAudio().open(Device(1, "system", "JACK", 2, 48_000, False), 48_000, 2, 480, lambda *_: None)
    assert all(stream.closed for stream in fake.streams), "the next try needs the device free"


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ProviderError, match=r"^no microphone support; .*\bmic\b"):
        PortAudio()


REAL = sys.platform == "linux"


def said(folder: Path, code: str = "", **environment: str) -> str:
    """What a program says that loads PortAudio and catches our error; `code` is in the place of the package sounddevice."""
    if code:
        (folder / "sounddevice.py").write_text(code)
    program = """
from voxface.runtime.errors import ProviderError
from voxface.runtime.live.portaudio import PortAudio
try:
    print("listed", len(PortAudio().hosts()))
except ProviderError as error:
    print(error)
"""
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return done.stdout.rstrip()


@pytest.mark.skipif(not REAL, reason="elsewhere the package brings its library")
@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import os; os.abort()", "PortAudio does not start: it ends its process by SIGABRT; are ALSA's configuration"),
        (
            "raise OSError('PortAudio library not found')",
            "PortAudio cannot be loaded (PortAudio library not found); install it",
        ),
        (
            "class E(Exception): pass\nraise E('Error\\n initializing')",
            "PortAudio does not start (Error initializing); is",
        ),
        (
            "class E(Exception):\n  __str__ = None\nraise E('Error', -9999)",
            "PortAudio does not start (Error, -9999); is",
        ),
        ("import _no_such_thing", "the package sounddevice does not load (No module named '_no_such_thing'); "),
        (
            "raise AttributeError('undefined symbol: Pa_Initialize')",
            "PortAudio does not start (undefined symbol: Pa_Init",
        ),
    ],
)
def test_a_library_that_does_not_start(tmp_path: Path, code: str, wanted: str) -> None:
    assert said(tmp_path, code).startswith(wanted)


@pytest.mark.skipif(not REAL, reason="elsewhere the package brings its library")
def test_a_library_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import voxface.runtime.live.portaudio as p\np.START_S = 1\n")
    assert said(tmp_path, "import time\ntime.sleep(60)\n") == (
        "PortAudio does not start within 1 s; is the sound system hanging?"
    )


@pytest.mark.skipif(not REAL, reason="elsewhere the package brings its library")
def test_the_real_library_without_alsa_and_with_damage(tmp_path: Path) -> None:
    pytest.importorskip("_sounddevice", reason="sounddevice comes with voxface[mic]")
    for size in (0, 3000):  # an empty file, and one that was cut while it was copied: its process ends by a signal
        (tmp_path / "libportaudio.so.2").write_bytes(Path("/bin/ls").read_bytes()[:size])
        assert said(tmp_path, LD_LIBRARY_PATH=str(tmp_path)).startswith("PortAudio ")
    (tmp_path / "libportaudio.so.2").unlink()
    assert "listed" in said(tmp_path) or said(tmp_path).startswith("PortAudio cannot be loaded")
    assert said(tmp_path, ALSA_CONFIG_PATH=str(tmp_path / "none")).startswith(("PortAudio ", "listed"))
