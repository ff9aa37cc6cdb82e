"""The wheel carries every room, the default bundle and the command, and works where it is installed."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_is_whole_and_runs(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "--quiet", "-w", tmp_path],
        check=True,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("voxface-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "runtime/inference/face_estimator.py",
        "runtime/voice_to_face.py",
        "runtime/live/speaker_embedding.npz",
        "export/onnx_export.py",
        "training/data/speech_corpus.py",
        "calibration/__init__.py",
        "py.typed",
    ):
        assert f"voxface/{name}" in names
    for name in ("bundle.json", "encoder.onnx", "face.onnx", "mesh.onnx", "morphable.npz"):
        assert f"voxface/runtime/bundle/default/{name}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    # Installed alone, beside the libraries of this environment.
    venv.create(tmp_path / "venv", with_pip=False)
    place = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(place)
    libraries = [p for p in sys.path if p.endswith("site-packages")]
    speech = ROOT / "examples" / "sample_male.flac"
    code = "from voxface.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-c", code, "run", speech, "--out", tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(place), *libraries])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "sample_male" / "mesh.glb").stat().st_size > 100_000
