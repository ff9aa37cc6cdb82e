"""The first day of a stranger is made of what the pages say."""

import pytest
from benchmarks.first_day import MADE, PATHS, ROOT, Command, first_program


@pytest.mark.parametrize("command", sorted({command for path in PATHS.values() for command in path}, key=str), ids=str)
def test_what_is_typed_stands_on_its_page(command: Command) -> None:
    page = ROOT / command.page if command.page == "README.md" else ROOT / "docs" / command.page
    assert command.line in page.read_text()


def test_every_path_is_known_by_what_it_makes() -> None:
    assert MADE.keys() == PATHS.keys()
    assert 'estimate_file("examples/sample_female.flac")' in first_program()
