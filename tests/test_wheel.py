"""Wheel, source distribution, editable install and a clone without symbolic links: each is whole and runs once installed.

Nothing is fetched: builds run without isolation and installs without an index, beside the libraries of this environment.
"""

import email
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from voxface.runtime.version import __version__

ROOT = Path(__file__).parent.parent
SPEECH = ROOT / "examples" / "sample_male.flac"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")

pytestmark = pytest.mark.slow


def files_of(house: Path) -> set[str]:
    """Every module and data file below `src/voxface`, relative to `src`."""
    return {
        file.relative_to(house.parent).as_posix()
        for file in house.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def check_call(command: Sequence[str | Path], cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Runs a command to its end: what it wrote to standard output; AssertionError with all it said if it fails."""
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what packages are built from, so that builds leave nothing in the tree, and no old build is taken up."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libraries of this environment without voxface, so that only what a test installs can be imported."""
    folder = tmp_path_factory.mktemp("libraries")
    for place in [Path(p) for p in sys.path if p.endswith("site-packages")]:
        for entry in place.iterdir():
            if "voxface" not in entry.name and entry.suffix != ".pth" and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


def build_wheel(source: Path, out: Path) -> Path:
    check_call([*PIP, "wheel", source, "--no-deps", "--no-build-isolation", "--quiet", "-w", out], out)
    (wheel,) = out.glob("voxface_runtime-*.whl")
    return wheel


def install(libraries: Path, place: Path, *what: str | Path) -> Path:
    """A virtual environment at `place` with voxface in it; returns its folder of programs."""
    venv.create(place, with_pip=False)
    programs = place / "bin"
    words = ("install", "--quiet", "--no-index", "--no-build-isolation", *what)
    check_call([programs / "python", *PIP[1:], *words], place, {"PYTHONPATH": str(libraries)})
    return programs


def check_run(programs: Path, libraries: Path, out: Path) -> None:
    """Asserts that the installed command makes a face and a mesh of a voice."""
    check_call([programs / "voxface", "run", SPEECH, "--out", out], programs.parent, {"PYTHONPATH": str(libraries)})
    assert (out / "sample_male" / "mesh.glb").stat().st_size > 100_000


def advice(programs: Path, libraries: Path, *extras: str) -> list[str]:
    """The words of the command that this copy gives for extras."""
    code = f"from voxface.runtime.install_advice import how_to_install; print(how_to_install(*{extras}))"
    said = check_call([programs / "python", "-c", code], programs.parent, {"PYTHONPATH": str(libraries)})
    return shlex.split(said)


def test_the_archives_are_what_an_index_takes(tree: Path, tmp_path: Path) -> None:
    """As `make dist` builds and checks them; no name, version or requirement is stated twice."""
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    check_call([sys.executable, "-m", "release.build", "--out", tmp_path], tmp_path, environment)
    archives = sorted(tmp_path.iterdir())
    assert [path.name for path in archives] == [
        f"voxface_runtime-{__version__}-py3-none-any.whl",
        f"voxface_runtime-{__version__}.tar.gz",
    ]
    said = check_call([sys.executable, "-m", "twine", "--no-color", "check", "--strict", *archives], tmp_path)
    assert said.count("PASSED") == 2
    inside = zipfile.ZipFile(archives[0])
    text = inside.read(f"voxface_runtime-{__version__}.dist-info/METADATA").decode()
    metadata = email.message_from_string(text)
    assert (metadata["Name"], metadata["Version"]) == ("voxface-runtime", __version__)
    assert not [line for line in metadata.get_all("Requires-Dist", []) if line.startswith("voxface[")]
    assert "Requires-Python: <3.14,>=3.11" in text


def test_the_wheel_is_whole_and_runs(wheel: Path, libraries: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "runtime/inference/face_estimator.py",
        "runtime/voice_to_face.py",
        "export/onnx_export.py",
        "training/data/speech_corpus.py",
        "calibration/__init__.py",
        "py.typed",
    ):
        assert f"voxface/{name}" in names
    for name in ("bundle.json", "encoder.onnx", "face.onnx", "mesh.onnx", "morphable.npz", "speaker_embedding.npz"):
        assert f"voxface/runtime/bundle/default/{name}" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    assert {name for name in names if ".dist-info/" not in name} == files_of(ROOT / "src" / "voxface")
    programs = install(libraries, tmp_path / "venv", "--no-deps", wheel)
    check_run(programs, libraries, tmp_path / "out")
    said = advice(programs, libraries, "mic", "viewer")
    assert said == ["pip", "install", f"voxface-runtime[mic,viewer] @ {wheel.as_uri()}"]
    words = [*PIP[1:], *said[1:], "--quiet", "--no-index", "--no-deps", "--force-reinstall"]
    check_call([programs / "python", *words], tmp_path, {"PYTHONPATH": str(libraries)})  # pip takes it
    check_run(programs, libraries, tmp_path / "again")


def test_the_source_distribution_is_whole_and_makes_the_same_wheel(tree: Path, wheel: Path, tmp_path: Path) -> None:
    code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    check_call([sys.executable, "-c", code, tmp_path], tree)
    (archive,) = tmp_path.glob("voxface_runtime-*.tar.gz")
    with tarfile.open(archive) as inside:
        names = {name.partition("/src/")[2] for name in inside.getnames() if "/src/voxface/" in name}
        folders = {entry.name.partition("/src/")[2] for entry in inside if entry.isdir()}
    assert names - folders == files_of(ROOT / "src" / "voxface")
    (tmp_path / "wheel").mkdir()
    again = zipfile.ZipFile(build_wheel(archive, tmp_path / "wheel"))
    first = zipfile.ZipFile(wheel)
    contents = {name: first.read(name) for name in first.namelist() if not name.endswith("/RECORD")}
    assert {name: again.read(name) for name in again.namelist() if not name.endswith("/RECORD")} == contents


def test_an_editable_install_has_every_module_and_runs(tree: Path, libraries: Path, tmp_path: Path) -> None:
    programs = install(libraries, tmp_path / "venv", "--no-deps", "--editable", tree)
    modules = [name for name in files_of(ROOT / "src" / "voxface") if name.endswith(".py")]
    code = """
import sys
from importlib.util import find_spec
for name in sys.argv[1:]:
    print(find_spec(name).origin)
"""
    dotted = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules]
    found = check_call(
        [programs / "python", "-c", code, *dotted], tmp_path, {"PYTHONPATH": str(libraries)}
    ).splitlines()
    assert [Path(line) for line in found] == [tree / "src" / name for name in modules]
    check_run(programs, libraries, tmp_path / "out")
    assert advice(programs, libraries, "mic") == ["pip", "install", "-e", f"{tree}[mic]"]


def test_a_clone_without_symbolic_links_installs_and_runs(libraries: Path, tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip(f"{ROOT} is no git repository, so it cannot be cloned")
    clone = tmp_path / "clone"
    check_call(["git", "clone", "--quiet", "-c", "core.symlinks=false", ROOT, clone], tmp_path)
    for name in ("runtime", "calibration", "export", "training"):
        assert (clone / name).is_file()
        assert not (clone / name).is_symlink()  # Git for Windows writes links as files that hold their target
    programs = install(libraries, tmp_path / "venv", f"{clone}[cpu]")
    code = "import voxface; print(voxface.__file__)"
    where = Path(check_call([programs / "python", "-c", code], tmp_path, {"PYTHONPATH": str(libraries)}).strip())
    assert where.is_relative_to(tmp_path / "venv")
    assert files_of(where.parent) == files_of(clone / "src" / "voxface")
    check_run(programs, libraries, tmp_path / "out")
    said = advice(programs, libraries, "mic")
    assert said == ["pip", "install", "-c", str(clone / "constraints.txt"), f"{clone}[mic]"]
