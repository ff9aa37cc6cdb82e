"""Energy counters of the system, as files of a test."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.profile.energy import EnergyMeter

LARGEST = 262_143_328_850


def counter(folder: Path, name: str, value: int, zone: str = "intel-rapl:0") -> Path:
    place = folder / zone
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text(f"{LARGEST}\n")
    (place / "energy_uj").write_text(f"{value}\n")
    return place / "energy_uj"


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    first = counter(tmp_path, "package-0", 5_000_000)
    second = counter(tmp_path, "package-1", 0, "intel-rapl:1")
    part = counter(tmp_path, "core", 0, "intel-rapl:0:0")
    meter = EnergyMeter(tmp_path)
    first.write_text("7500000\n")
    second.write_text("1000000\n")
    part.write_text("9000000\n")
    assert meter.joules() == 3.5


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, LARGEST - 1), steps=st.lists(st.integers(0, LARGEST - 1), max_size=6))
def test_a_counter_that_starts_again(tmp_path_factory: pytest.TempPathFactory, start: int, steps: list[int]) -> None:
    folder = tmp_path_factory.mktemp("powercap")
    file = counter(folder, "package-0", start)
    meter, now = EnergyMeter(folder), start
    for step in steps:
        now = (now + step) % LARGEST
        file.write_text(str(now))
        meter.look()
    assert meter.joules() == pytest.approx(sum(steps) / 1e6)


def test_what_cannot_be_read_is_absent(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path).joules() is None
    file = counter(tmp_path, "package-0", 0)
    meter = EnergyMeter(tmp_path)
    file.unlink()
    assert meter.joules() is None
    file.write_text("12\n")
    assert meter.joules() is None, "what was used meanwhile is not known"


@pytest.mark.parametrize("text", ["", "many", "1.5"])
def test_an_odd_counter_is_absent(tmp_path: Path, text: str) -> None:
    counter(tmp_path, "package-0", 0).write_text(text)
    assert EnergyMeter(tmp_path).joules() is None
