"""Pictures of the pages that show faces say that these are synthetic, as every file does that voxface writes."""

from pathlib import Path

import pytest

from voxface.runtime.provenance.finding import find_marks

DOCS = Path(__file__).parent.parent / "docs"
PICTURES = sorted(file for file in DOCS.rglob("*") if file.suffix in (".png", ".gif"))


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_it_says_that_it_is_synthetic(picture: Path) -> None:
    assert find_marks(picture).synthetic


def test_there_are_pictures() -> None:
    assert {picture.suffix for picture in PICTURES} == {".png", ".gif"}
