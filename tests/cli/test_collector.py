"""The collector of circles rests while a command starts and once it has ended, and in between it is as it was."""

import gc
import subprocess
import sys

import pytest

from voxface.cli import main
from voxface.cli.collector_pause import CollectorPause
from voxface.runtime.errors import UsageError

ENDED = """
import atexit, gc, sys
atexit.register(lambda: print("at exit", gc.isenabled(), gc.get_freeze_count() > 0))
sys.argv = ["voxface", *sys.argv[1:]]
from voxface.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("failing", [False, True])
def test_a_pause_ends(failing: bool) -> None:
    assert gc.isenabled()
    try:
        with CollectorPause() as pause:
            assert not gc.isenabled()
            if failing:
                raise UsageError("x")
            pause.end()
            assert gc.isenabled()
    except UsageError:
        pass
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with CollectorPause() as pause:
            pause.end()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_command_in_a_program_leaves_the_collector_on(capsys: pytest.CaptureFixture[str]) -> None:
    frozen = gc.get_freeze_count()
    assert main(["run", "nothing-of-that-name.wav", "--out", "nowhere"]) != 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "frozen"), [(["run", "nothing.wav", "--out", "nowhere"], True), (["--version"], False)]
)
def test_a_run_that_ends_searches_for_no_circles_and_calls_its_exit_handlers(words: list[str], frozen: bool) -> None:
    ended = subprocess.run([sys.executable, "-c", ENDED, *words], capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines()[-1] == f"at exit {not frozen} {frozen}"
