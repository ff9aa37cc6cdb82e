"""What constraints.txt pins."""

import re
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent


def pinned_versions() -> dict[str, Version]:
    """Project -> the version that constraints.txt pins."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(pinned), "every line pins one version"
    return {canonicalize_name(match[1]): Version(match[2]) for match in pinned if match}
