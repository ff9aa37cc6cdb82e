"""Formats of cells that several tables use."""


def percent(value: float) -> str:
    """A share, as "12.3 %"."""
    return f"{100 * value:.1f} %"
