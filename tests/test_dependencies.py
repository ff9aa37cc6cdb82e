"""Dependencies: each has an upper bound, each was tested in the version that constraints.txt pins, and the two agree."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging", reason="packaging comes with pytest")

from packaging.requirements import Requirement  # noqa: E402
from packaging.utils import canonicalize_name  # noqa: E402
from packaging.version import Version  # noqa: E402

from tests.pinned_versions import pinned_versions  # noqa: E402

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirements() -> list[tuple[str, Requirement]]:
    """Where it stands -> every requirement on another project."""
    places = {"build-system": PROJECT["build-system"]["requires"], "dependencies": PROJECT["project"]["dependencies"]}
    places |= PROJECT["project"]["optional-dependencies"]
    found = [(place, Requirement(text)) for place, texts in places.items() for text in texts]
    return [(place, requirement) for place, requirement in found if requirement.name != PROJECT["project"]["name"]]


TESTED = pinned_versions()
REQUIREMENTS = requirements()


@pytest.mark.parametrize(("place", "requirement"), REQUIREMENTS, ids=str)
def test_each_has_an_upper_bound_right_above_what_was_tested(place: str, requirement: Requirement) -> None:
    bounds = [Version(part.version) for part in requirement.specifier if part.operator == "<"]
    assert len(bounds) == 1, f"{place}: {requirement} has no upper bound"
    version = TESTED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"{place}: {requirement} excludes the tested {version}"
    next_major, next_minor = Version(f"{version.major + 1}"), Version(f"{version.major}.{version.minor + 1}")
    assert bounds[0] in (next_major, next_minor), f"{place}: {requirement} allows more than was tested, {version}"
    if version.major == 0:
        assert bounds[0] == next_minor, f"{place}: {requirement}; below 1.0 a minor version may change anything"


def test_a_project_has_one_range_wherever_it_is_required() -> None:
    ranges: dict[str, set[str]] = {}
    for _, requirement in REQUIREMENTS:
        ranges.setdefault(canonicalize_name(requirement.name), set()).add(str(requirement.specifier))
    assert {name: found for name, found in ranges.items() if len(found) > 1} == {}


def test_the_version_that_collected_telemetry_unasked_is_excluded() -> None:
    for _, requirement in REQUIREMENTS:
        if requirement.name.startswith("onnxruntime"):
            assert not requirement.specifier.contains("1.29.0")


def test_what_is_installed_is_what_was_tested() -> None:
    """So that a change of what is tested is written down."""
    compared = 0
    for name, version in TESTED.items():
        try:
            found = Version(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
        compared += 1
        assert found.public == version.public, f"{name} {found} is installed, constraints.txt has {version}"
    assert compared > 5
