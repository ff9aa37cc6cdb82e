"""Settings by name, as `voxface train --set` gives them: read as their annotations say, or refused with what there is."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from voxface.cli.overrides import override
from voxface.runtime.errors import UsageError


@dataclass(frozen=True)
class Inner:
    keep: int = 2
    label: str = "a"


@dataclass(frozen=True)
class Settings:
    """One field of each kind that trainers have."""

    run: Inner = field(default_factory=Inner)
    steps: int = 10
    rate: float = 1e-3
    fast: bool = False
    mode: Literal["slow", "quick"] = "slow"
    widths: tuple[int, ...] = (1, 2)
    crop: tuple[int, int] = (300, 800)
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.crop[0] > self.crop[1]:
            raise UsageError("crop: shortest first")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", "50_000", 50_000),
        ("rate", "2e-4", 2e-4),
        ("rate", "3", 3.0),
        ("fast", "yes", True),
        ("fast", "False", False),
        ("mode", "quick", "quick"),
        ("widths", "8,16, 32", (8, 16, 32)),
        ("widths", "(8,)", (8,)),
        ("crop", "[100, 200]", (100, 200)),
        ("clip", "0.5", 0.5),
        ("clip", "none", None),
    ],
)
def test_a_setting_is_read_as_its_annotation_says(name: str, text: str, value: Any) -> None:
    changed = getattr(override(Settings(clip=1.0), {name: text}), name)
    assert changed == value
    assert type(changed) is type(value)


def test_settings_within_settings_and_all_at_once() -> None:
    changed = override(Settings(), {"run.keep": "5", "crop": "900,1000", "steps": "3"})
    assert changed == Settings(run=Inner(5), crop=(900, 1000), steps=3)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("stepps", "3", "did you mean steps?"),
        ("keep", "3", "did you mean run.keep?"),
        ("xyz", "3", "There are run.keep, run.label, steps, rate"),
        ("run", "3", "no such setting"),
        ("steps", "3.5", "'3.5' is not a whole number"),
        ("steps", "", "'' is not a whole number"),
        ("rate", "nan", "not a finite number"),
        ("fast", "2", "not true or false"),
        ("mode", "fast", "not one of slow, quick"),
        ("widths", "1,x", "not a whole number"),
        ("crop", "1,2,3", "not 2 values"),
        ("clip", "x", "not a finite number or none"),
        ("crop", "5,4", "shortest first"),
    ],
)
def test_settings_that_cannot_be(name: str, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(reason)):
        override(Settings(), {name: text})
