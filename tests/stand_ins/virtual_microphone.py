"""A microphone without hardware: PulseAudio with a silent loudspeaker whose monitor is the default source.

with virtual_microphone() as speaker:   # speaker.play(path) is heard by whatever records meanwhile
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SINK = "module-null-sink sink_name=vspk format=s16le rate=16000 channels=1 norewinds=1"


@dataclass(frozen=True)
class Speaker:
    """What plays into the microphone.

    Attributes:
        environment: for processes that are to hear it.
    """

    environment: dict[str, str]

    def play(self, path: Path) -> "subprocess.Popen[bytes]":
        """Begins to play a sound file."""
        return subprocess.Popen(["paplay", str(path)], env=self.environment)


def missing() -> str | None:
    """What a virtual microphone lacks here."""
    for tool in ("pulseaudio", "paplay"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (make system-packages)"
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        return f"sounddevice does not load: {error}"
    return None


@contextmanager
def virtual_microphone() -> Iterator[Speaker]:
    """Runs a sound server of its own; skips the test where that cannot be."""
    if (why := missing()) is not None:
        pytest.skip(why)
    with tempfile.TemporaryDirectory() as run, tempfile.TemporaryDirectory() as settings:
        environment = {**os.environ, "XDG_RUNTIME_DIR": run, "XDG_CONFIG_HOME": settings, "PULSE_SERVER": ""}
        del environment["PULSE_SERVER"]
        server = subprocess.Popen(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-target=stderr",
                "-L", "module-native-protocol-unix auth-anonymous=1", "-L", SINK,
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            for _ in range(100):
                asked = subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False)
                if asked.returncode == 0:
                    break
                if server.poll() is not None:
                    pytest.skip("pulseaudio does not run here")
                time.sleep(0.05)
            yield Speaker(environment)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(10)
