"""How far a command is: bars with the time left where somebody watches, a line a minute where nobody does, none with JSON."""

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.cli import hearing_progress
from voxface.cli.hearing_progress import HearingProgress
from voxface.cli.output import Documents, Progress
from voxface.cli.terminal_line import cut, draws_over, width_of
from voxface.runtime.audio.decode import read_blocks


class Watched(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(autouse=True)
def _asked_for_no_json() -> Iterator[None]:
    yield
    Documents.asked = False


def test_steps_tell_the_time_left(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Watched())
    progress = Progress(10, "voices")
    clock.now += 30
    progress.step("a.wav")
    assert "1/10 4 min left, a.wav" in screen.getvalue()  # nine more of half a minute
    for name in "bcdefghij":
        clock.now += 1
        progress.step(name)
    assert "10/10 j\033[K" in screen.getvalue()
    assert "left" not in screen.getvalue().split("\r")[-1]
    progress.close()
    assert screen.getvalue().endswith("\r\033[K")


def test_one_step_shows_nothing_until_it_has_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Watched())
    progress = Progress(1, "geometry")
    progress.step("a.wav")
    progress.close()
    assert screen.getvalue() == ""
    progress.phase(3, 8, "hearing voices")  # as `voxface eval` does
    assert "hearing voices " in screen.getvalue()
    assert "3/8" in screen.getvalue()
    progress.close()
    assert screen.getvalue().endswith("\r\033[K")


def test_a_line_a_minute_where_nobody_watches(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(600, "voices")
    for at in range(600):
        clock.now += 1
        progress.step(f"{at}.wav")
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "voices: 60 of 600 9 min left, 59.wav"
    assert len(lines) == 10
    assert not any("\033" in line or "\r" in line for line in lines)


def test_names_in_lines_move_no_cursor(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(3, "voices")
    clock.now += 100
    progress.step("\033[2Jtwo\nlines")
    assert capsys.readouterr().err.count("\n") == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.text(max_size=60), st.text(max_size=60), st.integers(2, 10**6))
def test_a_bar_is_one_line_of_letters_whatever_names_and_width(columns: int, what: str, label: str, total: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", screen := Watched())
        patch.setattr(Watched, "fileno", lambda _: 2)
        patch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((columns, 24)))
        Progress(total, what).at(1, total, label)
    shown = screen.getvalue()
    assert shown.startswith("\r")
    assert shown.endswith("\033[K")
    line = shown[1:-3]
    assert line == "" or line.isprintable()
    assert width_of(line) < columns
    count = f"1/{total}"
    assert count in line or len(count) + 1 >= columns  # how far it is, before anything else


def test_a_bar_uses_the_width_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Watched())
    monkeypatch.setattr(Watched, "fileno", lambda _: 2, raising=False)
    for columns, shown in ((80, f"voices {'█' * 12}{'·' * 12} 5/10 x"), (19, "voices ██·· 5/10 x"), (10, "voic 5/10")):
        monkeypatch.setattr(os, "get_terminal_size", lambda _, wide=columns: os.terminal_size((wide, 24)))
        Progress(10, "voices").at(5, 10, "x")
        assert screen.getvalue().split("\r")[-1] == f"{shown}\033[K"


def test_a_dumb_terminal_gets_no_codes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Watched())
    assert draws_over(screen)
    monkeypatch.setenv("TERM", "dumb")
    assert not draws_over(screen)
    progress = Progress(3, "voices")
    clock.now += 100
    progress.step("one.wav")
    progress.close()
    assert screen.getvalue() == "voices: 1 of 3 3 min left, one.wav\n"


def test_a_text_is_cut_between_letters() -> None:
    assert cut("声の顔", 5) == "声の"
    assert cut("abc", 3) == "abc"
    assert cut("abc", -1) == ""


def test_nothing_with_json(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    Documents.asked = True
    progress = Progress(3, "voices")
    clock.now += 100
    progress.step()
    assert capsys.readouterr().err == ""


def test_json_is_known_to_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bundle", "verify", "--json") == 0
    assert Documents.asked
    json.loads(capsys.readouterr().out)
    assert run("bundle", "verify") == 0
    assert not Documents.asked


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_reading_tells_how_far_it_is(tmp_path: Path, kind: str) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 22_050 * 21).astype(np.float32)
    soundfile.write(tmp_path / "sound", sound, 22_050, format=kind)
    told: list[tuple[float, float]] = []
    samples = sum(len(block) for block in read_blocks(tmp_path / "sound", heard=lambda *how_far: told.append(how_far)))
    assert samples == pytest.approx(21 * 16_000, abs=2)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (pytest.approx(21, abs=0.1), pytest.approx(21, abs=0.1))


def test_a_flac_of_unknown_length_tells_only_how_far_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(160_000, np.float32), 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[8 + 13] &= 0xF0  # the 36 bits of STREAMINFO that count samples; 0: not known
    data[8 + 14 : 8 + 18] = bytes(4)
    (tmp_path / "b.flac").write_bytes(data)
    told: list[tuple[float, float]] = []
    list(read_blocks(tmp_path / "b.flac", heard=lambda *how_far: told.append(how_far)))
    assert told[-1] == (10.0, 0.0)


def test_only_the_file_that_is_waited_for_has_the_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Watched())
    hearing = HearingProgress()
    one, other = hearing.of(Path("one.wav")), hearing.of(Path("two.wav"))
    hearing.listen_to(Path("one.wav"))
    other(600, 3600)
    one(10, 60)  # short
    one(10, 0)  # of unknown length
    assert screen.getvalue() == ""
    one(0, 3600)
    clock.now += 2
    one(600, 3600)
    clock.now += 0.1
    one(620, 3600)  # too soon to be read
    assert "hearing one.wav, s " in screen.getvalue()
    assert "600/3600 10 s left, 300/s" in screen.getvalue()
    assert "620" not in screen.getvalue()
    hearing.close()
    assert screen.getvalue().endswith("\r\033[K")
    one(700, 3600)
    assert "700" not in screen.getvalue()


@pytest.mark.parametrize("words", [("run", SAMPLES[0], "--out", "{out}"), ("live", "--source", SAMPLES[0])])
def test_a_long_file_is_heard_with_a_bar(
    words: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing_progress, "LONG_S", 1.0)
    monkeypatch.setattr(sys, "stderr", screen := Watched())
    assert run(*(tmp_path if word == "{out}" else word for word in words)) == 0
    assert f"hearing {SAMPLES[0].name}, s " in screen.getvalue()
    assert "/8" in screen.getvalue()
    assert screen.getvalue().endswith("\r\033[K")
