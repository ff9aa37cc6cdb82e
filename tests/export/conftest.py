"""A copy of the default bundle to build in."""

import shutil
from pathlib import Path

import pytest

from voxface.runtime.bundle.bundle import DEFAULT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the default bundle to build in."""
    return Path(shutil.copytree(DEFAULT, tmp_path / "here" / "bundle"))
