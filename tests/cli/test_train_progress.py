"""What a training shows of how far it is: a bar with a rate, phases of their own, lines where nobody watches."""

import io
import sys
import time

import pytest

from voxface.cli.output import Progress


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_bar_with_a_rate_where_somebody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = Progress(1000, "mesh")
    progress.say("embeddings of 16 crops")
    progress.at(501, 1000)  # goes on from step 500
    now[0] += 10
    progress.say("step 540: loss 0.5")
    progress.at(551, 1000)
    progress.close()
    printed = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "embeddings of 16 crops\n" in printed
    assert "551/1000 90 s left, 5/s loss 0.5" in printed
    assert printed.count("\n") == 1, "a step's line goes into the bar"
    assert printed.endswith("\r\033[K")


def test_a_phase_has_its_own_name_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, terminal = [0.0], Terminal()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress(1000, "mesh")

    def shown(seconds: float, done: int, total: int, *phase: str) -> str:
        now[0] += seconds
        progress.phase(done, total, *phase)
        return terminal.getvalue().split("\r")[-1]

    shown(0, 0, 3000, "encoding voices")
    assert shown(4, 20, 3000, "encoding voices").startswith("encoding voices ")
    assert "20/3000 10 min left, 5/s" in terminal.getvalue()
    first = shown(2, 500, 1000)
    assert first.startswith("mesh ")
    assert "left" not in first  # the rate of another phase says nothing of this one
    assert "33 min left" in shown(4, 501, 1000)
    assert " h left" in shown(99_999, 502, 1000)


def test_lines_where_nobody_does(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(1000, "mesh")
    progress.at(1, 1000)
    progress.say("step 0: loss 0.5")
    progress.close()
    assert capsys.readouterr().err == "step 0: loss 0.5\n"
