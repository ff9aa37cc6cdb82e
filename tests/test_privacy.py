"""Nothing leaves the machine: no command opens a connection or writes a file that was not asked for.

Each runs under strace with an empty home and without the variables by which programs know a CI, since ONNX Runtime's telemetry
keeps quiet there.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.commands import every_command
from tests.conftest import ROOT, SAMPLES
from tests.stand_ins.virtual_microphone import virtual_microphone
from tests.stand_ins.x_display import x_display
from tests.system_calls import Watched, watch
from voxface.cli.eval import SUITES
from voxface.runtime.telemetry import VARIABLE

STORED = Path(__file__).parent / "stored"
BUNDLE = STORED / "small.voxface"
Words = list[str | Path]

HEAD: Words = ["--faces", "{in}/head.npz", "--population", "{in}/population.npz"]
TRAIN: Words = ["--data", "{in}/pairs", "--steps", "2", "--batch", "4", "--accelerator", "cpu", "--out", "{out}/run"]
ENCODER: Words = ["--encoder", "{in}/encoder"]
CROP: Words = ["--set", "crop=64,96"]
WIDTHS: Words = ["--set", "channels=16,8,8,8,8"]
CRITIC: Words = ["--set", "critic=4,8,8,8,8"]
MESH: Words = ["train", "mesh", *TRAIN, *ENCODER, *CROP, "--set", "hidden=8", "--set", "bank=1"]
PEOPLE: Words = ["--pictures", "1", "--variants", "1", "--workers", "2", *HEAD]

# Command, and after a colon which way of it -> its words.
COMMANDS: dict[str, Words] = {
    "run": ["run", SAMPLES[0], "--out", "{out}/faces"],
    "live": ["live", "--source", SAMPLES[0], "--show", "none", "--json", "--record", "{out}/recording"],
    "run: openvino": ["run", SAMPLES[0], "--provider", "openvino", "--out", "{out}/faces"],
    "live: replay": ["live", "--replay", STORED / "recording", "--bundle", BUNDLE, "--show", "none", "--json"],
    "live: terminal": ["live", "--source", SAMPLES[0], "--show", "terminal", "--vad", "webrtc"],
    "serve": ["serve", "--port", "0", "--seconds", "1", "--json"],
    "load": ["load", "http://127.0.0.1:9", "--streams", "1", "--seconds", "1", "--audio", SAMPLES[0],
             "--plot", "{out}/load.svg"],
    "profile": ["profile", "--seconds", "1", "--json", "--save", "{out}/profile.json", "--trace", "{out}/trace.json"],
    "provenance": ["provenance", ROOT / "docs" / "demo.png", STORED / "recording" / "recording.json", "--json"],
    "doctor": ["doctor", "--json"],
    "bundle info": ["bundle", "info", "--json"],
    "bundle verify": ["bundle", "verify"],
    "bundle import": ["bundle", "import", "--face-model", "{in}/ict", "--modes", "3", "2", "--bundle", BUNDLE,
                      "--out", "{out}/ict.voxface"],
    "compare": ["compare", BUNDLE, "--against", BUNDLE, "--audio", SAMPLES[0].parent, "--json"],
    "calibrate": ["calibrate", BUNDLE, "--audio", SAMPLES[0].parent, "--precision", "fp16", "--out", "{out}/fp16.voxface"],
    "calibrate: objective": ["calibrate", BUNDLE, "--audio", SAMPLES[0].parent, "--objective", "latency", "--quick",
                             "--min-cosine", "0.9", "--min-psnr", "15", "--max-mm", "5", "--out", "{out}/fast.voxface"],
    "build": ["build", BUNDLE, "--flavour", "tensorrt-rtx", "--target", "sm89", "--out", "{out}/rtx.voxface"],
    "export": ["export", STORED / "networks", "--out", "{out}/again.voxface"],
    "export: triton": ["export", "--triton", "{out}/models", "--bundle", BUNDLE],
    "devices": ["devices", "--json"],
    "completion": ["completion", "zsh"],
    "data prepare": ["data", "prepare", "--speech", "{in}/speech", *PEOPLE, "--out", "{out}/pairs"],
    "data voices": ["data", "voices", "--speech", "{in}/voices", "--teacher", "{in}/teacher.pt", "--speeds", "1.0",
                    "--workers", "2", "--out", "{out}/voices"],
    "data synth": ["data", "synth", "--people", "2", "--seconds", "1.5", "--utterances", "1", *PEOPLE, "--out", "{out}/pairs"],
    "data synth: faces": ["data", "synth", "--count", "1", "--size", "64", *HEAD, "--out", "{out}/faces"],
    "data fit": ["data", "fit", "--landmarks", "{in}/marks.npz", *HEAD, "--out", "{out}/fitted.npz"],
    "train voice-encoder": ["train", "voice-encoder", *TRAIN, *CROP],
    "train voice-encoder: taught": ["train", "voice-encoder", "--data", "{in}/rendered", "--steps", "2", "--batch", "4",
                                    "--accelerator", "cpu", "--set", "crop=64,80", "--out", "{out}/run"],
    "train face-gan": ["train", "face-gan", *TRAIN, *ENCODER, *WIDTHS, *CRITIC, "--set", "length=64,96",
                       "--set", "judge.steps=2", "--set", "judge.batch=4"],
    "train mesh": MESH,
    "train portrait": ["train", "portrait", *TRAIN, *ENCODER, "--mesh", "{in}/mesh", *CROP, *WIDTHS, "--set", "portraits=12"],
    "train joint": ["train", "joint", *TRAIN, *ENCODER, "--expert", "{in}/expert", "--generator", "{in}/face", *CROP, *WIDTHS,
                    *CRITIC, "--set", "bank=1", "--set", "student_size=40"],
    "eval geometry": ["eval", "geometry", "--data", "{in}/pairs", "--bundle", BUNDLE, "--quick", "--out", "{out}/results"],
    "eval recordings": ["eval", "recordings", "--data", "{in}/pairs", "--out", "{out}/names.csv"],
    "eval preference": ["eval", "preference", "--ours", "{in}/pictures", "--theirs", "{in}/others", "--references",
                        "{in}/pictures", "--questions", "2", "--out", "{out}/survey"],
    "eval report": ["eval", "report", "{in}/results", "--out", "{out}/page.html"],
    "eval compare": ["eval", "compare", "{in}/results", "{in}/results", "--json"],
    "train expert": ["train", "expert", *TRAIN, "--set", "renders.pictures=12", "--set", "held=4", "--set", "size=40"],
}  # fmt: skip
# Suites differ in what they compute; all are run and written by the same functions, so one is watched.
OTHER_SUITES = {f"eval {suite}" for suite in (*SUITES, "all")} - {"eval geometry"}
MAY_FAIL = (
    "devices",
    "live: replay",
    "load",
)  # without a microphone; where another processor rounds otherwise; no server
NEEDS = {
    "run: openvino": ("openvino",),
    "serve": ("fastapi", "uvicorn"),
    "load": ("websockets",),
    "bundle import": ("torch", "onnx"),
    "compare": ("onnx",),
    "calibrate": ("onnx",),
    "build": ("onnx", "tensorrt_rtx"),
    "export": ("torch", "onnxscript"),
    "data": ("torch", "open3d"),
    "train": ("torch", "lightning_fabric", "open3d"),
    "eval": ("torch", "matplotlib"),
}
# Open3D imports urllib3 for its examples, which tries once whether ::1 can be bound, and connects to nothing.
DRAW = ("data prepare", "data synth", "data synth: faces", "train expert", "train portrait")
PROBE = re.compile(
    r"socket\(AF_INET6, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_IP\).*|bind\(\d+, \{[^}]*htons\(0\).*\"::1\".*"
)
# PulseAudio's library makes ~/.config/pulse, as for every program that looks for a microphone.
LISTEN = ("devices", "doctor")
# They talk to this machine alone.
SERVE = ("serve", "load")


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (make system-packages installs it)")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read."""
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    from tests.stand_ins.small_inputs import write_small_inputs

    return write_small_inputs(tmp_path_factory.mktemp("inputs"))


def words_of(name: str, request: pytest.FixtureRequest, folder: Path) -> Words:
    """The words of a command, its modules being there."""
    for command, modules in NEEDS.items():
        if name.startswith(command):
            for module in modules:
                if find_spec(module) is None:  # not importing it, since what it does then is what is to be watched
                    pytest.skip(f"{module} comes with an extra of voxface")
    words = [str(word) for word in COMMANDS[name]]
    places = {"{out}": str(folder / "out")}
    if any("{in}" in word for word in words):
        places["{in}"] = str(request.getfixturevalue("inputs"))
    for mark, place in places.items():
        words = [word.replace(mark, place) for word in words]
    return ["-m", "voxface", *words]


def assert_private(watched: Watched, *, draws: bool = False, listens: bool = False) -> None:
    """Nothing written but what was asked for, and nothing asked of a network."""
    settings = watched.folder / "home" / ".config"
    found = {*map(Path, watched.strange_files()), *watched.home()}
    if listens:
        found = {path for path in found if path != settings and not path.is_relative_to(settings / "pulse")}
    assert sorted(found) == []
    asked = watched.network()
    assert [call for call in asked if not (draws and PROBE.fullmatch(call))] == []


def test_every_command_is_watched() -> None:
    """A new verb, action or training needs an entry in COMMANDS."""
    assert {name.split(":")[0] for name in COMMANDS} | OTHER_SUITES == {words for words, _ in every_command()}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_writes_what_was_asked_for_and_opens_no_connection(
    tmp_path: Path, name: str, request: pytest.FixtureRequest
) -> None:
    watched = watch(tmp_path, words_of(name, request, tmp_path), OMP_NUM_THREADS="1")
    assert watched.done.returncode == 0 or name in MAY_FAIL, watched.done.stderr
    if name in SERVE:
        assert watched.strange_files() == []
        assert watched.home() == []
        assert any("AF_INET" in call for call in watched.network()), "it listens, or looks for a server"
        assert watched.network_beyond_this_machine() == []
        assert watched.ports_open_to_others() == []
        return
    assert_private(watched, draws=name in DRAW, listens=name in LISTEN)


@pytest.mark.slow
@pytest.mark.train
def test_processes_of_a_training_talk_on_this_machine_alone(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """They were asked for, so they may talk, but no port is open to others and no name server is asked."""
    words = words_of("train mesh", request, tmp_path)
    watched = watch(tmp_path, [*words, "--devices", "2"], OMP_NUM_THREADS="1")
    assert watched.done.returncode == 0, watched.done.stderr
    assert watched.strange_files() == []
    assert watched.home() == []
    assert any("AF_INET" in call for call in watched.network()), "they talk"
    assert watched.network_beyond_this_machine() == []
    assert watched.ports_open_to_others() == []
    left = [*(tmp_path / "tmp").rglob("*")]
    # An empty folder that torch makes for its compiler when it is imported.
    assert [path for path in left if not path.name.startswith("torchinductor_")] == [], "where they met is gone"


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a name short enough for the sockets of Ray."""
    folder = Path(tempfile.mkdtemp(prefix="vf-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.train
def test_ray_talks_on_this_machine_alone(short_folder: Path, request: pytest.FixtureRequest) -> None:
    """Left to itself it asks 169.254.169.254, a cloud's address of metadata, and keeps a token at home."""
    pytest.importorskip("ray", reason="ray comes with voxface[ray]")
    words = words_of("data synth", request, short_folder)
    watched = watch(short_folder, [*words, "--engine", "ray"], OMP_NUM_THREADS="1")
    assert watched.done.returncode == 0, watched.done.stderr
    assert watched.strange_files() == []
    assert watched.home() == []
    assert any("AF_INET" in call for call in watched.network()), "its processes talk"
    assert watched.network_beyond_this_machine() == []
    assert watched.ports_open_to_others() == []
    assert list((short_folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_replicas_talk_on_this_machine_alone(short_folder: Path) -> None:
    """Replicas of Ray Serve would open a port to everybody."""
    pytest.importorskip("ray.serve", reason="Ray Serve comes with voxface[serve-ray]")
    words = ["-m", "voxface", *COMMANDS["serve"], "--ray", "--replicas", "1", "--live-replicas", "1"]
    watched = watch(short_folder, words, OMP_NUM_THREADS="1")
    assert watched.done.returncode == 0, watched.done.stderr
    assert watched.strange_files() == []
    assert watched.home() == []
    assert any("AF_INET" in call for call in watched.network()), "its processes talk"
    assert watched.network_beyond_this_machine() == []
    assert watched.ports_open_to_others() == []
    assert list((short_folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_run_of_many_seconds_asks_for_no_host(tmp_path: Path) -> None:
    """ONNX Runtime looks up its collector after about ten seconds."""
    watched = watch(tmp_path, ["-m", "voxface", "profile", "--seconds", "14", "--json"])
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched)


MICROPHONE = {
    "live": ["live", "--show", "none", "--seconds", "1.5", "--json", "--record", "recording"],
    "devices": ["devices", "--try", "--seconds", "0.3", "--json"],
    "profile": ["profile", "--mic", "--seconds", "1.5", "--json"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MICROPHONE)
def test_a_microphone(tmp_path: Path, name: str) -> None:
    """A sound server is reached by a file of this machine; what it keeps in its own settings is its own business."""
    with virtual_microphone() as speaker:
        player = speaker.play(SAMPLES[0])
        server = {key: speaker.environment[key] for key in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
        watched = watch(tmp_path, ["-m", "voxface", *MICROPHONE[name]], **server)
        player.terminate()
        player.wait(20)
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched)


@pytest.fixture
def display() -> Iterator[str]:
    """A screen in memory."""
    with x_display() as name:
        yield name


@pytest.mark.slow
def test_a_window(tmp_path: Path, display: str) -> None:
    """The graphics driver would keep its shaders in the user's cache folder, which it finds without HOME."""
    pytest.importorskip("open3d")
    words = ["live", "--source", SAMPLES[0], "--realtime", "--seconds", "2", "--show", "window", "--json"]
    watched = watch(tmp_path, ["-m", "voxface", *words], DISPLAY=display)
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched, draws=True)


# -- whoever imports ONNX Runtime first -------------------------------------------------------------------------------------

SESSION = "import voxface\nwith voxface.VoiceToFace() as face:\n    face.warm_up()\n"
CHILD = """
from voxface.runtime.engines.opening import open_engine

def work(data):
    with open_engine(data, "cpu", threads=1) as engine:
        return engine.provider
"""
PROCESSES = """
import multiprocessing, pathlib, sys
sys.path.insert(0, "{here}")
import child

if __name__ == "__main__":
    data = [pathlib.Path("{here}/face.onnx").read_bytes()]
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        assert pool.map(child.work, data * 2) == ["cpu"] * 2
"""
SUBPROCESS = """
import subprocess, sys, voxface
code = "import onnxruntime; onnxruntime.InferenceSession('{here}/face.onnx', providers=['CPUExecutionProvider'])"
subprocess.run([sys.executable, "-c", code], check=True)
"""
ASYNC = """
import asyncio, numpy as np, voxface

async def main():
    with voxface.VoiceToFace() as face:
        async with face.stream_async(voxface.LiveConfig(), sample_rate=16_000) as stream:
            await stream.feed(np.zeros(16_000, np.int16))

asyncio.run(main())
"""
OPENVINO = """
from voxface.runtime.engines.opening import open_engine
with open_engine(open('{here}/face.onnx', 'rb').read(), 'openvino', threads=1) as engine:
    engine.warm_up()
import openvino
openvino.convert_model('{here}/face.onnx')
"""
PROGRAMS = {
    "import voxface": SESSION + "import onnxruntime\n",
    "a module below": "from voxface.runtime.engines.opening import open_engine\n"
    "open_engine(open('{here}/face.onnx', 'rb').read(), 'cpu', threads=1)\n",
    "a name of another module": "from voxface.runtime.audio.vad import *\nimport onnxruntime\n"
    "onnxruntime.InferenceSession('{here}/face.onnx', providers=['CPUExecutionProvider'])\n",
    "a spawned process": PROCESSES.replace("{method}", "spawn"),
    "a forked process": PROCESSES.replace("{method}", "fork"),
    "a process of a server": PROCESSES.replace("{method}", "forkserver"),
    "another program": SUBPROCESS,
    "asyncio": ASYNC,
    "OpenVINO": OPENVINO,
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder for programs, with a graph."""
    import zipfile

    folder = tmp_path / "out"
    folder.mkdir()
    with zipfile.ZipFile(BUNDLE) as bundle:
        (folder / "face.onnx").write_bytes(bundle.read("face.onnx"))
    (folder / "child.py").write_text(CHILD)
    return folder


@pytest.fixture
def short(here: Path) -> Iterator[Path]:
    """A link to the folder of the test: a server's socket lies in the folder for temporary files, and its path is limited."""
    with tempfile.TemporaryDirectory(prefix="v") as place:
        link = Path(place) / "t"
        link.symlink_to(here.parent)
        yield link


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_collects_nothing(short: Path, here: Path, name: str) -> None:
    if name == "OpenVINO" and find_spec("openvino") is None:
        pytest.skip("openvino comes with voxface[openvino]")
    (here / "program.py").write_text(PROGRAMS[name].replace("{here}", str(here)))
    watched = watch(short, ["-W", "error::RuntimeWarning", here / "program.py"])
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched)


def test_a_measurement_of_engines_is_kept_where_the_cache_is(tmp_path: Path) -> None:
    """It is written because it was asked for, and to no other place."""
    words = ["-m", "voxface", "doctor", "--measure", "--json", "--bundle", BUNDLE]
    watched = watch(tmp_path, words, OMP_NUM_THREADS="1", XDG_CACHE_HOME=str(tmp_path / "out" / "cache"))
    assert watched.done.returncode == 0, watched.done.stderr
    (file,) = (tmp_path / "out").rglob("*.json")
    assert json.loads(watched.done.stdout)["engine_times"]["file"] == str(file)
    assert_private(watched, listens=True)


@pytest.mark.parametrize("given", [{}, {VARIABLE: ""}], ids=["unset", "empty"])
def test_a_program_that_imports_voxface_first_collects_nothing(tmp_path: Path, given: dict[str, str]) -> None:
    watched = watch(tmp_path, ["-W", "error", "-c", SESSION + "import onnxruntime\n"], **given)
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched)


@pytest.mark.parametrize("number", [1, 3, 4, 7])
def test_an_example(tmp_path: Path, number: int) -> None:
    (program,) = (ROOT / "examples").glob(f"{number:02d}_*.py")
    watched = watch(tmp_path, [program])
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched)


def test_the_installed_command(tmp_path: Path) -> None:
    """What pip writes for the entry point, whose name this is."""
    script = tmp_path / "voxface"
    script.write_text("import sys\nfrom voxface.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    assert 'voxface = "voxface.cli:main"' in (ROOT / "pyproject.toml").read_text()
    watched = watch(tmp_path, [script, "bundle", "verify", BUNDLE])
    assert watched.done.returncode == 0, watched.done.stderr
    assert_private(watched)


@pytest.mark.parametrize("use", ["engine", "node"])
def test_a_program_that_imports_onnxruntime_first_is_warned(tmp_path: Path, here: Path, use: str) -> None:
    code = SESSION
    if use == "node":
        pytest.importorskip("onnx")
        code = (
            "import numpy as np, onnx\nfrom voxface.onnx_graph.node_runner import NodeRunner\n"
            "node = onnx.helper.make_node('Relu', ['x'], ['y'])\nNodeRunner(18).run(node, [np.zeros(3, np.float32)])\n"
        )
    watched = watch(tmp_path, ["-c", "import onnxruntime\n" + code])
    assert watched.done.returncode == 0, watched.done.stderr
    assert watched.done.stderr.count("ONNX Runtime was imported before voxface") == 1
    assert f"{VARIABLE}=1" in watched.done.stderr


# -- what this file looks for is there when telemetry is on: a test that cannot fail shows nothing -----------------------------


def test_an_explicit_setting_of_the_user_stays_and_is_told(tmp_path: Path) -> None:
    watched = watch(tmp_path, ["-c", SESSION], **{VARIABLE: "0"})
    assert "may leave ONNX Runtime's telemetry on" in watched.done.stderr
    assert any("onnxruntime" in path for path in watched.strange_files())
    assert watched.home()


@pytest.mark.parametrize(
    "code",
    [
        "open('../elsewhere', 'w')",
        "import os; open(os.path.abspath('../elsewhere'), 'a')",
        "import os; os.mkdir('../elsewhere')",
        "import os; open('a', 'w'); os.rename('a', '../elsewhere')",
        "import os; open('a', 'w'); os.link('a', '../elsewhere')",
        "import os; os.symlink('a', '../elsewhere')",
        "import pathlib; (pathlib.Path.home() / 'x').touch()",
        "import subprocess; subprocess.run(['touch', '../elsewhere'])",
    ],
)
def test_a_stray_file_is_seen(tmp_path: Path, code: str) -> None:
    watched = watch(tmp_path, ["-S", "-c", code])
    assert watched.done.returncode == 0, watched.done.stderr
    assert len(watched.strange_files()) == 1


@pytest.mark.parametrize(
    ("code", "beyond", "listens"),
    [
        ("s = socket.socket(); s.settimeout(0.1); s.connect_ex(('203.0.113.1', 80))", True, False),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('203.0.113.1', 53))", True, False),
        ("s = socket.socket(); s.connect_ex(('127.0.0.1', 9))", False, False),
        ("s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()", False, False),
        ("s = socket.socket(); s.bind(('', 0)); s.listen()", False, True),
    ],
)
def test_a_connection_is_seen(tmp_path: Path, code: str, beyond: bool, listens: bool) -> None:
    watched = watch(tmp_path, ["-S", "-c", f"import socket\n{code}\n"])
    assert watched.network()
    assert bool(watched.network_beyond_this_machine()) == beyond
    assert bool(watched.ports_open_to_others()) == listens
