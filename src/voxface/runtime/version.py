"""The version of this package, stated here alone: `pyproject.toml` reads it."""

from typing import Final

__version__: Final = "0.3.0"
