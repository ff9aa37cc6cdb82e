"""What stands in the cells of several tables."""


def percent(value: float) -> str:
    """A share, as "12.3 %"."""
    return f"{100 * value:.1f} %"
