"""The table of a stranger's first day."""

from collections.abc import Callable
from typing import Final

from benchmarks.record import load


def first_day() -> str:
    """What it takes from a clone to each of five first results."""
    document = load("first_day")
    lines = ["| from a clone to | commands | pages | installing, s | running, s |", "|---|---|---|---|---|"]
    for name, path in document["measured"]["paths"].items():
        seconds = path["seconds"]
        lines.append(
            f"| {name} | {path['commands']} | {path['pages']} | {seconds['installing']:.0f} | {seconds['running']:.0f} |"
        )
    machine = document["machine"]
    lines += [
        "",
        f"Each in a clone and an environment of its own, as a user without rights or a home, without a network after what "
        f"installs; {machine['cores']} cores of {machine['cpu']}, the packages' index at hand (`{document['command']}`).",
    ]
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {"first-day": first_day}
"""Name in the pages -> table."""
