"""Where the shared data is, and the small things many tests need."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.export_operators import read_operators_once
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.voice_to_face import VoiceToFace

ROOT = Path(__file__).parent.parent
# A shell ignores SIGINT for what runs in its background, and nohup SIGHUP; commands that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
SAMPLES = (ROOT / "examples" / "sample_female.flac", ROOT / "examples" / "sample_male.flac")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real speech, noise and conformance data."""
    folder = Path(os.environ.get("VOXFACE_SHARED", ROOT / ".." / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"shared data absent: {folder} (set VOXFACE_SHARED to where it is)")
    return folder


@pytest.fixture(scope="session")
def default_bundle() -> Bundle:
    """The bundle the wheel carries."""
    return Bundle.open()


@pytest.fixture(scope="session")
def voice_to_face(default_bundle: Bundle) -> VoiceToFace:
    """The default bundle, loaded on the CPU."""
    return VoiceToFace(default_bundle)


@pytest.fixture(scope="session")
def face_estimator(voice_to_face: VoiceToFace) -> FaceEstimator:
    """The networks of `voice_to_face`."""
    return voice_to_face.estimator


@pytest.fixture(scope="session", autouse=True)
def exporter() -> None:
    """Of PyTorch to ONNX, without what it does again for every network."""
    read_operators_once()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20191)


def speech_like(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    """A 120 Hz buzz in syllables: enough for a VAD, made in no time; int16 [n] at 16 kHz."""
    generator = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 25))
    loud = (np.sin(2 * np.pi * 0.7 * t) > -0.6) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    return (2500 * buzz * loud + 3 * generator.normal(size=len(t))).astype(np.int16)
