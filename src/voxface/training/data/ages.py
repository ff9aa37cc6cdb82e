"""Ages as tables of speakers give them, in years or as a decade."""

from typing import Final

DECADES: Final = {
    "teens": (13, 19),
    "twenties": (20, 29),
    "thirties": (30, 39),
    "fourties": (40, 49),
    "forties": (40, 49),
    "fifties": (50, 59),
    "sixties": (60, 69),
    "seventies": (70, 79),
    "eighties": (80, 89),
    "nineties": (90, 99),
}
"""Common Voice's words for ages, in years."""


def years(text: str | None) -> tuple[int, int] | None:
    """Youngest and oldest age of "23" or "twenties"; None of anything else."""
    said = (text or "").strip().lower()
    if said.isascii() and said.isdigit() and 0 < int(said) < 120:
        return int(said), int(said)
    return DECADES.get(said)
