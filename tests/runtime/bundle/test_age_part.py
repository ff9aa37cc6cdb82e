"""The part of a bundle that tells ages: what it says, what goes without it, and damaged ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.age import SIZE, entry, with_age
from voxface.cli import main
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.writer import write_zip
from voxface.runtime.errors import BundleError


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_part_survives_its_file(default_bundle: Bundle, tmp_path: Path) -> None:
    bundle = with_age(default_bundle).write(tmp_path / "aged.voxface")
    assert bundle.age == entry().weights
    assert "age" not in bundle.missing_parts
    untold = with_age(default_bundle, years=None).write(tmp_path / "untold.voxface")
    assert untold.age is not None
    assert untold.age.years is None


def test_info_says_what_is_told(default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for years, said in ((40.0, "an adult's age is told;"), (None, "an adult's age is not told, since the mean age")):
        path = tmp_path / f"{years}.voxface"
        with_age(default_bundle, years=years).write(path)
        assert run("bundle", "verify", path) == 0
        assert run("bundle", "info", path) == 0
        shown = capsys.readouterr().out
        assert "a child's voice is told from probability 0.5 on" in shown
        assert said in shown
    assert run("bundle", "info", "--json", path) == 0
    default_bundle.replacing(age=None).write(tmp_path / "without.voxface")
    assert run("bundle", "info", tmp_path / "without.voxface") == 0
    assert "without      no weights for ages" in capsys.readouterr().out


def _child(**changes: Any) -> Any:
    return replace(entry(), child=replace(entry().child, **changes))


def _years(**changes: Any) -> Any:
    years = entry().years
    assert years is not None
    return replace(entry(), years=replace(years, **changes))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (_child(weight=(0.0,) * (SIZE - 1)), "age: 63 weights of child, the embedding has 64 numbers"),
        (_years(weight=(0.0,) * 3), "age: 3 weights of years, the embedding has 64 numbers"),
        (_years(weight=()), "age: 0 weights of years"),
        (_child(weight=(2e6,) * SIZE), "age: weights of child are not finite, or beyond ±1,000,000"),
        (_child(bias=-1e300), "age: weights of child are not finite"),
        (_years(bias=1e7), "age: weights of years are not finite"),
        (_child(threshold=0.0), "threshold of a child's voice is 0.0, not within 0 to 1"),
        (_child(threshold=1.5), "threshold of a child's voice is 1.5"),
        (_years(spread=0.0), "spread of years is 0.0, not positive"),
        (_years(spread=99.0), "spread of years is 99.0, not positive, or more than 3"),
        (_child(weight=("a",) * SIZE), "age.child.weight"),
        (_child(bias=None), "age.child.bias is missing"),
        (_child(threshold=float("nan")), "age.child.threshold is nan, not a finite number"),
        (_years(spread=None), "age.years.spread is missing"),
    ],
)
def test_a_damaged_part_is_exit_code_6(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: Any, reason: str
) -> None:
    path = tmp_path / "damaged.voxface"
    bundle = default_bundle.replacing(age=part)
    write_zip(path, bundle.manifest, bundle.files)
    with pytest.raises(BundleError) as raised:
        Bundle.open(path)
    assert reason in str(raised.value)
    for words in (("bundle", "verify", path), ("run", SAMPLES[0], "--bundle", path, "--out", tmp_path / "out")):
        assert run(*words) == 6
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
