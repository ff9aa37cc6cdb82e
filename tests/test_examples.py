"""The examples run, each as a program of its own, and say what they promise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.conftest import SAMPLES
from tests.stand_ins.virtual_microphone import missing, virtual_microphone
from voxface.runtime.errors import InputError, NoSpeechError, ProviderError, UsageError

EXAMPLES = Path(__file__).parent.parent / "examples"
SAVED = {"face.png", "mesh.glb", "mesh.ply", "mesh.obj", "mesh.png", "estimate.json"}
NUMBERED = (
    "01_file",
    "02_microphone",
    "03_own_audio_source",
    "04_asyncio",
    "05_batch_of_files",
    "06_export",
    "07_profile",
)


def example(number: int, *arguments: str | Path, exit_code: int = 0, environment: dict[str, str] | None = None) -> str:
    """What an example prints; on standard error where it is to fail."""
    name = NUMBERED[number - 1]
    assert name.startswith(f"{number:02d}_")
    command = [sys.executable, EXAMPLES / f"{name}.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if exit_code else done.stdout


def test_every_example_is_tested_and_says_how_to_run_it() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {f"{name}.py" for name in NUMBERED}
    for name in NUMBERED:
        assert f"    python examples/{name}.py" in (EXAMPLES / f"{name}.py").read_text()


def test_the_page_of_the_examples_names_each() -> None:
    linked = set(re.findall(r"\]\(([^)#:]+)\)", (EXAMPLES / "README.md").read_text()))
    there = {path for kind in ("*.py", "*.mjs", "*.ipynb") for path in EXAMPLES.rglob(kind)}
    assert linked == {path.relative_to(EXAMPLES).as_posix() for path in there}


def test_a_file(tmp_path: Path) -> None:
    said = example(1, SAMPLES[0], "--out", tmp_path / "face")
    assert re.search(r"face_width +1\d\d\.\d mm", said)
    assert {path.name for path in (tmp_path / "face").iterdir()} == SAVED
    assert str(tmp_path / "face" / "mesh.glb") in said
    soundfile.write(tmp_path / "silence.wav", [0.0] * 32_000, 16_000)
    assert "no speech found" in example(1, tmp_path / "silence.wav", exit_code=NoSpeechError.exit_code)
    assert "no such file" in example(1, tmp_path / "none.wav", exit_code=InputError.exit_code)


def test_a_microphone_by_way_of_a_file(tmp_path: Path) -> None:
    samples, rate = soundfile.read(SAMPLES[1], dtype="int16")
    soundfile.write(tmp_path / "short.wav", samples[: 3 * rate], rate)
    said = example(2, "--source", tmp_path / "short.wav")
    assert "VoiceStarted(start=" in said
    assert said.count("face: female") > 3
    assert "cannot be read" in example(2, "--source", tmp_path / "none.wav", exit_code=InputError.exit_code)


def test_without_a_microphone_it_says_so(tmp_path: Path) -> None:
    """No sound server, no card: whether PortAudio is missing or finds nothing."""
    nothing = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(tmp_path),
        "PULSE_SERVER": "unix:/nonexistent",
        "ALSA_CONFIG_PATH": "",
    }
    said = example(2, "--seconds", "1", exit_code=ProviderError.exit_code, environment=nothing)
    assert said.startswith("no microphone")


@pytest.mark.skipif(missing() is not None, reason=missing() or "")
def test_a_microphone() -> None:
    with virtual_microphone() as speaker:
        command = [sys.executable, EXAMPLES / "02_microphone.py", "--seconds", "9"]
        hearing = subprocess.Popen(command, env=speaker.environment, stdout=subprocess.PIPE, text=True)
        assert hearing.stdout is not None
        first = hearing.stdout.readline()  # the device is open
        assert "StreamStarted" in first
        player = speaker.play(SAMPLES[0])
        said, _ = hearing.communicate(timeout=60)
        player.wait(20)
    assert hearing.returncode == 0
    assert said.count("face: female") > 5


def test_own_audio() -> None:
    said = example(3)
    assert re.search(r"first face after 1\.\d\d s of speech", said)
    assert int(re.findall(r"(\d+) faces;", said)[0]) > 20


def test_asyncio() -> None:
    said = example(4)
    assert "VoiceStarted(start=" in said
    assert re.search(r"the last face is of [5-8]\.\d s of speech", said)
    assert int(re.findall(r"served (\d+) times", said)[0]) > 50, "a blocked loop serves nobody"


def test_a_batch(tmp_path: Path) -> None:
    said = example(5, "--out", tmp_path)
    for sample in SAMPLES:
        assert re.search(rf"{sample.name}: face width 1\d\d\.\d mm", said)
        assert {path.name for path in (tmp_path / sample.stem).iterdir()} == SAVED
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "a.wav").write_text("no sound")
    (folder / "b.flac").write_bytes(SAMPLES[0].read_bytes())
    said = example(5, folder, "--out", tmp_path / "out", "--processes", "1", exit_code=InputError.exit_code)
    assert "not a sound file" in said
    assert (tmp_path / "out" / "b").is_dir(), "one bad file ends nothing"


@pytest.mark.train
@pytest.mark.slow
def test_export(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    pytest.importorskip("onnxscript", reason="onnxscript comes with voxface[train]")
    said = example(6, "--out", tmp_path / "mine.voxface")
    assert "embedding      differs from PyTorch by" in said
    assert "mine.voxface: picture (64, 64, 3), mesh of" in said
    assert (tmp_path / "mine.voxface").is_file()
    said = example(6, "--out", tmp_path / "mine.voxface", exit_code=UsageError.exit_code)
    assert "mine.voxface: is there already" in said


def test_profile() -> None:
    said = example(7, "--mode", "incremental")
    assert re.search(r"encoder +median +\d+\.\d\d ms, 95th percentile +\d+\.\d\d ms", said)
    assert int(re.findall(r"(\d+) updates of", said)[0]) > 50


@pytest.mark.train
def test_own_voice(tmp_path: Path) -> None:
    """From people who are made here to a bundle that runs."""
    pytest.importorskip("open3d")
    script = EXAMPLES / "own_voice" / "own_voice.py"
    assert "    python examples/own_voice/own_voice.py" in script.read_text()
    done = subprocess.run(
        [sys.executable, script, tmp_path / "data", "--quick"], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "12 people (6 female, 6 male" in done.stdout
    assert "36 utterances, 24 pictures" in done.stdout
    assert (tmp_path / "data" / "mine.voxface").is_file()
    assert (tmp_path / "data" / "faces" / "report.html").is_file()
    assert not list((tmp_path / "data").glob(".*"))
