"""The version of this package, which `pyproject.toml` states as well."""

from typing import Final

__version__: Final = "0.1.0"
