"""The locks hold what pyproject.toml asks for, in the versions that constraints.txt pins, with hashes and without places."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from release.lock import LOCKS, NEEDED_BY_TORCH
from release.locked import Locked, read_lock

from tests.conftest import ROOT
from tests.pinned_versions import pinned_versions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TESTED = pinned_versions()
OWN = PROJECT["project"]["name"]
# The environments that are promised; markers of a lock are read for each.
ENVIRONMENTS = [
    {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.5", "sys_platform": system, "platform_system": name,
     "platform_machine": machine, "implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": ""}
    for minor in (11, 12, 13)
    for system, name, machine in (("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64"),
                                  ("win32", "Windows", "AMD64"))
]  # fmt: skip


def locked(name: str) -> dict[str, Locked]:
    return {canonicalize_name(package.name): package for package in read_lock(ROOT / "requirements" / f"{name}.lock")}


def asked_for(name: str, environment: dict[str, str]) -> list[Requirement]:
    """What an environment of a lock has to hold, extras of this project within extras included."""
    project = PROJECT["project"]
    texts = [*PROJECT["build-system"]["requires"], *project["dependencies"]]
    left = list(LOCKS[name])
    while left:
        for text in project["optional-dependencies"][left.pop()]:
            requirement = Requirement(text)
            left += requirement.extras if requirement.name == OWN else []
            texts += [text] if requirement.name != OWN else []
    found = [Requirement(text) for text in texts]
    return [each for each in found if each.marker is None or each.marker.evaluate(environment)]


@pytest.mark.parametrize("name", LOCKS)
def test_it_holds_what_is_asked_for_everywhere(name: str) -> None:
    packages = locked(name)
    for environment in ENVIRONMENTS:
        here = {key: p for key, p in packages.items() if not p.marker or Marker(p.marker).evaluate(environment)}
        for requirement in asked_for(name, environment):
            key = canonicalize_name(requirement.name)
            if key == "torch":
                continue
            assert key in here, f"{requirement} for {environment['sys_platform']}: run make lock"
            assert requirement.specifier.contains(here[key].version), f"{requirement}: run make lock"
        if name == "test":
            assert set(NEEDED_BY_TORCH) <= here.keys()


@pytest.mark.parametrize("name", LOCKS)
def test_its_versions_are_those_that_were_tested(name: str) -> None:
    for key, package in locked(name).items():
        if key in TESTED:
            assert package.version == str(TESTED[key]), f"{key}: run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_no_place_is_named(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    packages = locked(name)
    assert "torch" not in packages
    assert all(package.hashes for package in packages.values())
    assert len(packages) == len(re.findall(r"^[\w.-]+==", text, re.M))
    assert not re.search(r"://|--index|--find-links|\+cpu|/", re.sub(r"^#.*$", "", text, flags=re.M))


def test_what_is_installed_beside_it_agrees() -> None:
    """Every locked package asks for versions that are locked too."""
    packages = locked("test")
    compared = 0
    for key, package in packages.items():
        try:
            installed = metadata.distribution(key)
        except metadata.PackageNotFoundError:
            continue
        if installed.version != package.version or key == "silero-vad":  # installed for one file in it
            continue
        for text in installed.requires or ():
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            other = canonicalize_name(requirement.name)
            if other != "torch":
                compared += 1
                assert other in packages, f"{key} asks for {other}"
                assert requirement.specifier.contains(packages[other].version, prereleases=True), (
                    f"{key}: {requirement}"
                )
    assert compared > 50 or sys.version_info[:2] != (3, 11)


def test_what_is_no_lock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("numpy==2.0\n")
    with pytest.raises(ValueError, match=r"not understood: 'numpy==2\.0'"):
        read_lock(path)
