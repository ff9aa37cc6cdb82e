"""Pictures or meshes that another method made of the recordings of some data, scored as a bundle's are."""

from pathlib import Path
from typing import Self

from voxface.training.data.pairs import Pairs


class Predictions:
    """To be written."""

    @classmethod
    def read(cls, folder: Path, pairs: Pairs, method: str | None) -> Self:
        """To be written."""
        raise NotImplementedError
