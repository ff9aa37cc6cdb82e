"""What separates the columns of a table: spreadsheets write semicolons where the decimal point is a comma, databases tabs."""

from typing import Final

_OTHERS: Final = ("\t", ";")


def separator(text: str) -> str:
    """The separator of a table, from its first line: a tab or a semicolon where it has these, and as many as commas; else a
    comma."""
    line = text.partition("\n")[0]
    return next((each for each in _OTHERS if 0 < line.count(each) >= line.count(",")), ",")
