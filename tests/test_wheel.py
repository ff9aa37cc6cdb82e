"""Wheel, source distribution, editable install and a clone without symbolic links: each is whole and runs once installed.

Nothing is fetched: builds run without isolation and installs without an index, beside the libraries of this environment.
"""

import email
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.stand_ins.interpreters import PLACE, folder_of_wheels, interpreter, lacking
from voxface.runtime.version import __version__

ROOT = Path(__file__).parent.parent
SPEECH = ROOT / "examples" / "sample_male.flac"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
LOCK = ROOT / "requirements" / "demo.lock"
MINORS = (11, 12, 13)  # every Python 3 that the metadata promise
ALONE = {"PATH": os.defpath, "HOME": "/nonexistent", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
# What an installer and an index read of an installed copy.
READ = """
import json
from importlib.metadata import distribution
found = distribution("voxface-runtime")
print(json.dumps({
    "version": found.version, "python": found.metadata["Requires-Python"], "licence": found.metadata["License-Expression"],
    "kind": found.metadata["Description-Content-Type"], "programs": [e.name + "=" + e.value for e in found.entry_points],
    "files": all(place.locate().is_file() for place in found.files), "text": len(found.metadata.get_payload()),
}))
"""

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


def found_python(minor: int) -> str:
    """An interpreter; skips, and says which one is missing, if there is none."""
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} runs here, neither python3.{minor} of PATH nor one beside {sys.base_prefix}")
    return python


def clean(python: str, place: Path, *what: str | Path) -> Path:
    """A virtual environment of an interpreter, with nothing in it but what is installed from files; its folder of programs.

    Everything is started in `/`, without the variables of this process, so that neither this checkout nor a setting is seen.
    """
    check_alone([python, "-m", "venv", "--without-pip", place])
    programs = place / "bin"
    words = ("--quiet", "--no-compile", "--only-binary", ":all:", *what)
    check_alone([PIP[0], *PIP[1:], "--python", programs / "python", "install", *words])
    return programs


def check_alone(command: Sequence[str | Path]) -> str:
    """Runs a command in `/` with no variables but those of `ALONE`: what it wrote to standard output."""
    done = subprocess.run(command, cwd="/", env=ALONE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_pythons_that_are_tried_are_those_that_are_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">=3.{MINORS[0]},<3.{MINORS[-1] + 1}"
    named = [line for line in project["classifiers"] if line.startswith("Programming Language :: Python :: 3.")]
    assert named == [f"Programming Language :: Python :: 3.{minor}" for minor in MINORS]


@pytest.mark.parametrize("minor", MINORS)
def test_each_python_installs_and_reads_the_wheel(minor: int, wheel: Path, tmp_path: Path) -> None:
    """Metadata, every module, and the command line as far as it goes without a library."""
    programs = clean(found_python(minor), tmp_path / "venv", "--no-deps", wheel)
    told = json.loads(check_alone([programs / "python", "-c", READ]))
    assert told.pop("text") > 5_000  # the README
    assert told == {
        "version": __version__,
        "python": "<3.14,>=3.11",
        "licence": "Apache-2.0",
        "kind": "text/markdown",
        "programs": ["voxface=voxface.cli:main"],
        "files": True,
    }
    (house,) = (tmp_path / "venv").glob("lib/python3*/site-packages/voxface")
    check_alone([programs / "python", "-m", "compileall", "-q", house])
    assert check_alone([programs / "voxface", "--version"]) == f"voxface {__version__}\n"
    assert check_alone([programs / "python", "-m", "voxface", "--version"]) == f"voxface {__version__}\n"
    assert "voxface bundle import --face-model" in check_alone([programs / "voxface", "bundle", "import", "--help"])
    assert "complete -c voxface" in check_alone([programs / "voxface", "completion", "fish"])


@pytest.mark.parametrize("minor", MINORS)
def test_each_python_makes_a_face_in_a_clean_environment(minor: int, wheel: Path, tmp_path: Path) -> None:
    """With the locked libraries of the runtime for that Python, from a folder of wheels; nothing else is there."""
    python, folder = found_python(minor), folder_of_wheels()
    if folder is None:
        pytest.skip(
            f"wheels of numpy, onnxruntime and others for Python 3.{minor}: no folder in {PLACE} (docs/releasing.md)"
        )
    if missing := lacking(python, folder, LOCK):
        pytest.skip(f"wheels for Python 3.{minor} that {PLACE}={folder} lacks: {', '.join(missing)}")
    asked = f"voxface-runtime[cpu] @ {wheel.as_uri()}"
    programs = clean(python, tmp_path / "venv", "--find-links", folder, asked)
    check_alone([PIP[0], *PIP[1:], "--python", programs / "python", "check"])
    check_alone([programs / "voxface", "run", SPEECH, "--out", tmp_path / "out"])
    assert (tmp_path / "out" / "sample_male" / "mesh.glb").stat().st_size > 100_000
    assert json.loads(
        check_alone([programs / "voxface", "provenance", tmp_path / "out" / "sample_male" / "face.png", "--json"])
    )


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("numpy==2.4.6 \\\n    --hash=sha256:0\nsome_name==1.0 \\\npure-one==3\n")
    (tmp_path / "numpy-2.4.6-cp27-cp27m-win32.whl").touch()
    (tmp_path / "pure_one-3-py2.py3-none-any.whl").touch()
    assert lacking(sys.executable, tmp_path, lock) == ["numpy 2.4.6", "some_name 1.0"]
    assert interpreter(2) is None


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
