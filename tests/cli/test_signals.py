"""A terminal that is closed: the work so far is kept, and the exit code says so. Under nohup it goes on. And a signal to a main
thread that is inside a library and does not come back."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tests.conftest import SAMPLES
from voxface.cli import main, signals
from voxface.cli.signals import stopping_on_signals
from voxface.runtime.live.stop import Stop

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
    with signals._ending_when_stuck(Event(), end):
        pipe = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(pipe)
        os.write(pipe, bytes([signal.SIGTERM]))
        assert told.wait(10)
    assert ended == [128 + signal.SIGTERM]
    assert signal.set_wakeup_fd(-1) == -1


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
