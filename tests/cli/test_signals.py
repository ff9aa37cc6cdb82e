"""A terminal that is closed: the work so far is kept, and the exit code says so. Under nohup it goes on. And a signal to a main
thread that is inside a library and does not come back."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from tests.conftest import SAMPLES
from voxface.cli import main, signals
from voxface.cli.signals import Unheard, stopping_on_signals
from voxface.runtime.live.stop import Stop

COMPUTED_S = 2.0  # processor time after which a command is past its beginning, which takes it less than one
VOXFACE = [sys.executable, "-m", "voxface"]


def closed_terminal(words: list[object], until: Callable[[bytes], bool]) -> int:
    """Runs a command in a terminal of its own, closes it when `until` is true of what was shown, and gives the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*VOXFACE, *map(str, words)])
    shown = b""
    while not until(shown):
        shown += os.read(terminal, 65_536)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def test_run_keeps_the_faces_that_it_has_made(tmp_path: Path) -> None:
    words = ["run", *[SAMPLES[0]] * 500, "--out", tmp_path / "o"]
    assert closed_terminal(words, lambda shown: b" 2/500" in shown) == 129
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert 2 <= len(report["clips"]) < 500
    assert all(Path(clip["mesh"]).is_file() for clip in report["clips"])


def test_live_closes_its_recording(tmp_path: Path) -> None:
    words = ["live", "--source", SAMPLES[0], "--realtime", "--show", "terminal", "--record", tmp_path / "r"]
    assert closed_terminal(words, lambda _: (tmp_path / "r" / "vertices.npy").exists()) == 129
    assert json.loads((tmp_path / "r" / "recording.json").read_text())["complete"] is True
    assert subprocess.run([*VOXFACE, "live", "--replay", tmp_path / "r"], check=False).returncode == 0


def test_profile_writes_its_trace(tmp_path: Path) -> None:
    words = ["profile", "--seconds", 600, "--window", 1, "--trace", tmp_path / "t.json", "--save", tmp_path / "p.json"]
    assert closed_terminal(words, lambda shown: b" 3/6000" in shown) == 129
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert not (tmp_path / "p.json").exists()


@pytest.mark.train
def test_train_saves_a_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch comes with voxface[train]")
    pytest.importorskip("lightning_fabric", reason="lightning-fabric comes with voxface[train]")
    from tests.stand_ins.small_pairs import small_pairs

    small_pairs().save(tmp_path / "pairs")
    words = ["train", "voice-encoder", "--data", tmp_path / "pairs", "--out", tmp_path / "run", "--steps", 100_000]
    words += ["--batch", 4, "--accelerator", "cpu", "--set", "crop=64,96", "--checkpoint-every", 1_000_000]
    assert closed_terminal(words, lambda shown: b" 3/100000" in shown) == 129
    (saved,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert int(saved.name.removeprefix("step-")) >= 3


def test_under_nohup_it_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = Stop()
        with stopping_on_signals(stop):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert stop.reason is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_the_second_is_as_it_was(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda given, _: heard.append(given))
    try:
        stop = Stop()
        with stopping_on_signals(stop):
            os.kill(os.getpid(), number)
            assert (stop.reason, heard) == (number.name, [])
            os.kill(os.getpid(), number)
            assert heard == [number]
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_not_handled_in_time_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No handler of Python runs while the signal waits at the C level: the write into the pipe is all there is."""
    ended: list[int] = []
    told = Event()

    def end(code: int) -> None:
        ended.append(code)
        told.set()

    monkeypatch.setattr(signals, "GRACE_S", 0.0)
    with signals._ending_when_stuck(signals.Unheard(), end):
        pipe = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(pipe)
        os.write(pipe, bytes([signal.SIGTERM]))
        assert told.wait(10)
    assert set(ended) == {128 + signal.SIGTERM}
    assert signal.set_wakeup_fd(-1) == -1


def test_when_signals_that_no_handler_hears_end_the_process() -> None:
    unheard = Unheard()
    assert unheard.exit_code(1e9) is None
    unheard.told(signal.SIGTERM, 5.0)
    assert [unheard.exit_code(now) for now in (5.0, 14.9, 15.0)] == [None, None, 143]
    unheard.told(signal.SIGINT, 6.0)
    assert [unheard.exit_code(now) for now in (6.1, 6.25)] == [None, 130]
    unheard.heard(6.1)
    assert unheard.exit_code(1e9) is None
    unheard.told(signal.SIGINT, 8.0)  # heard once before, and now it is not
    assert [unheard.exit_code(now) for now in (8.1, 8.25)] == [None, 130]


def test_a_handler_that_ran_before_the_signal_was_told_of() -> None:
    unheard = Unheard()
    for now in (5.0, 7.0):
        unheard.heard(now)
        unheard.told(signal.SIGINT, now + 0.01)
    assert unheard.exit_code(1e9) is None


LATER = ["long", "loud"]


@pytest.fixture(scope="module")
def later_endless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles whose encoder passes the trial and never ends on more than 200 frames, or on features above 2.5: on speech."""
    folder = tmp_path_factory.mktemp("endless")
    return {name: endless_when(name, folder / name) for name in LATER}


def endless_when(what: str, path: Path) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[export]")
    from tests.stand_ins.small_bundle import signature, small_bundle

    helper, numbers = onnx.helper, onnx.numpy_helper
    honest = small_bundle(path.with_name(f"honest_{what}"))
    model = onnx.load_model_from_string(honest.graph("encoder"))
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node("Identity", ["v_in"], ["v_out"])],
        "body",
        [value("i", 7, []), value("go_in", 9, []), value("v_in", 1, None)],
        [value("go_out", 9, []), value("v_out", 1, None)],
    )
    (name,) = {name for node in model.graph.node for name in node.output if name == "embedding"}
    for node in model.graph.node:
        node.output[:] = ["before" if written == name else written for written in node.output]
    most = np.array(200) if what == "long" else np.array(2.5, np.float32)
    constants = {"most": most, "many": np.array(1 << 62), "one": np.array(1), "at": np.array(2)}
    model.graph.initializer.extend(numbers.from_array(array, each) for each, array in constants.items())
    model.graph.initializer.append(numbers.from_array(np.array(True), "go"))
    model.graph.node.extend(
        [
            helper.make_node("Shape", ["log_mel"], ["shape"]),
            helper.make_node("Gather", ["shape", "at"], ["long"]),
            helper.make_node("ReduceMax", ["log_mel"], ["loud"], keepdims=0),
            helper.make_node("Greater", [what, "most"], ["hang"]),
            helper.make_node("Where", ["hang", "many", "one"], ["times"]),
            helper.make_node("Loop", ["times", "go", "before"], [name], body=body),
        ]
    )
    data, entry = model.SerializeToString(), honest.manifest.graphs["encoder"]
    entry = type(entry).from_json({"file": entry.file, **signature(data)})
    honest.replacing(files={entry.file: data}, graphs={"encoder": entry}).write(path)
    return path


def in_the_loop(words: list[object], *numbers: int, between_s: float = 0.4) -> tuple[int, float, str, str]:
    """Runs a command, sends signals when it has computed for a while, and gives exit code, seconds, and outputs."""
    process = subprocess.Popen([*VOXFACE, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        ticks, used = os.sysconf("SC_CLK_TCK"), 0.0
        while used < COMPUTED_S:
            time.sleep(0.1)
            used = sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().rsplit(")")[1].split()[11:13])) / ticks
            assert process.poll() is None
        began = time.monotonic()
        for index, number in enumerate(numbers):
            time.sleep(between_s if index else 0)  # the operating system makes one of two signals that come together
            process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, time.monotonic() - began, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_though_a_graph_does_not(
    number: signal.Signals, later_endless: dict[str, Path], tmp_path: Path
) -> None:
    words = ["run", SAMPLES[0], SAMPLES[0], "--bundle", later_endless["long"], "--out", tmp_path / "o", "--json"]
    code, seconds, out, err = in_the_loop(words, number)
    assert code == 128 + number
    assert seconds < 6
    document = json.loads(out)
    assert (document["clips"], document["errors"]) == ([], [])
    assert err.splitlines()[-1] == f"voxface: error: ended by {number.name} after 0 of 2 files"
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once_what_hangs(
    number: signal.Signals, later_endless: dict[str, Path], tmp_path: Path
) -> None:
    words = ["run", SAMPLES[0], "--bundle", later_endless["loud"], "--out", tmp_path / "o"]
    code, seconds, out, err = in_the_loop(words, number, number, between_s=0.2)
    assert (code, out) == (128 + number, "")
    assert "ended by" not in err  # by the first one, a second later
    assert seconds < 6
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize(
    "more", [["--source", SAMPLES[0]], ["--source", SAMPLES[0], "--realtime"]], ids=["inline", "threads"]
)
def test_live_ends_though_a_graph_does_not(more: list[object], later_endless: dict[str, Path], tmp_path: Path) -> None:
    words = ["live", *more, "--bundle", later_endless["loud"], "--json", "--record", tmp_path / "r"]
    code, seconds, out, _ = in_the_loop(words, signal.SIGINT)
    assert code == 0
    assert seconds < 8
    assert json.loads(out)["ended"] == "SIGINT"
    assert json.loads((tmp_path / "r" / "recording.json").read_text())["complete"] is True


@pytest.mark.parametrize(
    ("verb", "when"),
    [("live", "long"), ("profile", "long"), ("profile", "loud"), ("compare", "loud")],
)
def test_others_say_that_they_were_interrupted(
    verb: str, when: str, later_endless: dict[str, Path], tmp_path: Path
) -> None:
    bundle = later_endless[when]
    words = {
        "live": ["live", "--bundle", bundle, "--source", SAMPLES[0]],
        "profile": ["profile", "--bundle", bundle, "--source", SAMPLES[0], "--trace", tmp_path / "t.json"],
        "compare": ["compare", bundle, "--providers", "cpu", "cpu", "--audio", SAMPLES[0].parent],
    }[verb]
    code, seconds, out, err = in_the_loop([*words, "--json"], signal.SIGINT)
    assert code == 130
    assert seconds < 6
    assert err.splitlines()[-1] == "voxface: interrupted"
    assert [error["exit_code"] for error in json.loads(out)["errors"]] == [130]
    assert not list(tmp_path.iterdir())


def test_a_signal_that_is_handled_asks_for_the_end() -> None:
    stop = Stop()
    with stopping_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
    assert stop.reason == "SIGTERM"


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        ('ImportError("initialization failed") from KeyboardInterrupt()', 130, "voxface: interrupted\n"),
        (
            'ImportError("libx.so: no such file")',
            5,
            "voxface: error: ONNX Runtime does not load (libx.so: no such file); ",
        ),
    ],
)
def test_ctrl_c_while_a_library_loads_is_no_missing_library(raised: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text(f"raise {raised}\n")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    words = ["run", SAMPLES[0], "--out", tmp_path / "o", "--json"]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([*VOXFACE, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert [error["exit_code"] for error in json.loads(done.stdout)["errors"]] == [code]


def test_ctrl_c_before_the_verb_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("voxface.cli._command", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "voxface: interrupted\n"
