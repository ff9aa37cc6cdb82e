"""What is logged and shown on standard error."""

import logging
import sys
from collections.abc import Iterator

import pytest

from tests.command_line import run
from tests.stand_ins.live_session import PlainEstimator, cut, voice
from voxface.cli.logs import LEVELS, show_logs
from voxface.cli.output import tell
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.live.clock import VirtualClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import Sink, SinkEvent, SinkWorker, cause_of


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Other tests log as a library does."""
    logger = logging.getLogger("voxface")
    kept = logger.level, logger.propagate, logger.handlers
    logger.level, logger.propagate, logger.handlers = logging.NOTSET, True, []  # commands of other tests show logs
    yield
    logger.level, logger.propagate, logger.handlers = kept


class Broken:
    """A sink that fails at its first event, and again when it is closed."""

    name = "broken"
    keeps_all = True
    wants_audio = False

    def __init__(self, error: Exception) -> None:
        self.error = error

    def audio(self, audio: object) -> None:
        raise AssertionError

    def event(self, sink_event: SinkEvent) -> None:
        raise self.error

    def close(self) -> None:
        raise RuntimeError("closed while\nopening")


def heard_by(sink: Sink) -> None:
    pipeline = Pipeline(LiveSession(PlainEstimator()), VirtualClock())
    pipeline.sink_workers.append(SinkWorker(sink, VirtualClock(), "here", lambda _: None))
    for block in cut(voice()[:16_000]):
        pipeline.feed(block)


def test_a_program_gets_the_cause_and_the_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "voxface")
    heard_by(Broken(KeyError("colour")))
    logged = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert logged == [
        ("WARNING", "the sink broken ended, the rest goes on (KeyError: 'colour')"),
        ("DEBUG", "the sink broken: traceback"),
        ("WARNING", "the sink broken did not close (RuntimeError: closed while opening)"),
        ("DEBUG", "the sink broken: traceback"),
    ]
    assert {record.name for record in caplog.records} == {"voxface.runtime.live.sink_worker"}
    assert [record.exc_info is not None for record in caplog.records] == [False, True, False, True]
    assert not logging.getLogger("voxface").handlers, "what is shown is the program's business"


def test_a_reader_that_goes_away_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "voxface")
    heard_by(Broken(BrokenPipeError(32, "Broken pipe")))
    assert caplog.records[0].levelname == "INFO"


@pytest.mark.parametrize(
    ("level", "lines", "traces"), [("", 2, 0), ("warning", 2, 0), ("ERROR", 0, 0), (" info ", 2, 0), ("debug", 4, 3)]
)
def test_levels_of_the_command_line(
    level: str, lines: int, traces: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOXFACE_LOG", level)
    show_logs()
    show_logs()  # installs no second handler
    heard_by(Broken(ValueError("no such colour")))
    shown = capsys.readouterr().err
    assert shown.count("\nvoxface: ") + shown.startswith("voxface: ") == lines
    assert shown.count("Traceback") == traces


def test_a_level_that_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VOXFACE_LOG", "loud")
    with pytest.raises(UsageError, match=f"VOXFACE_LOG=loud: one of {', '.join(LEVELS)}"):
        show_logs()
    assert run("bundle", "info") == 2
    assert capsys.readouterr().err == "voxface: error: VOXFACE_LOG=loud: one of debug, info, warning, error\n"


def test_an_error_of_a_command_has_its_place_with_level_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bundle", "info", "nowhere.voxface") == 6
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("VOXFACE_LOG", "debug")
    assert run("bundle", "info", "nowhere.voxface") == 6
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("voxface: error: nowhere.voxface: ")
    assert error[1:3] == ["voxface: debug: traceback", "Traceback (most recent call last):"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(28, "No space left on device", "a.npy"), "a.npy: No space left on device"),
        (InputError("a.wav: is empty"), "a.wav: is empty"),
        (OSError("odd"), "OSError: odd"),
        (KeyError("x"), "KeyError: 'x'"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_a_cause_in_one_line(error: Exception, said: str) -> None:
    assert cause_of(error) == said


def test_a_message_that_cannot_be_shown_ends_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        for _ in range(3):
            tell("a line\n")
