"""A few cases of each kind; `make fuzz` runs thousands."""

import os
from pathlib import Path

import pytest

from tests.fuzz.commands import Commands
from tests.fuzz.kinds import NAMES, kind

SEED = int(os.environ.get("VOXFACE_FUZZ_SEED", "2019"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_hostile_input_ends_in_one_line_and_the_right_exit_code(name: str, tmp_path: Path) -> None:
    fuzzer = kind(name)
    for module in fuzzer.NEEDS:
        pytest.importorskip(module)
    print(f"{name}: {fuzzer.QUICK} cases, seed {SEED}")
    assert fuzzer.fuzz(fuzzer.QUICK, SEED, tmp_path) == []


def test_the_harness_sees_what_it_looks_for(tmp_path: Path) -> None:
    with Commands(tmp_path) as commands:
        good = commands.run("bundle", "info", "--json")
        assert good.problems(most_mb=500, json_document=True) == []
        assert good.problems(most_mb=1) == [f"{good.peak_mb:.0f} MB of memory, more than 1"]
        wrong = commands.run("bundle", "info", tmp_path / "nowhere")
        assert wrong.exit_code == 6
        assert wrong.problems(most_mb=500, codes=(0,)) == ["exit code 6"]
        slow = commands.run("profile", "--seconds", "60", seconds=0.2)
        assert slow.hung
        assert slow.problems(most_mb=500) == ["does not end within 0 s"]
        killed = commands.run("profile", "--seconds", "60", kill_after=0.2)
        assert killed.signal == 9
        assert not killed.hung
