"""The page of results of `voxface eval`."""

from collections.abc import Callable
from functools import partial
from typing import Final

from benchmarks.record import load
from voxface.training.evaluation.result import SuiteResult

WORLDS: Final = {
    "paired": ("Real voices, drawn faces", "The faces are drawn from the population of the embedded head given what a voice is "
               "known to tell, so the pictures and meshes are **synthetic**, and nobody's own."),
    "synthetic": ("Synthetic voices and faces", "Both voices and faces are **synthetic**, made from one anatomy, so that the "
                  "truth is known."),
    "lists": ("Public lists of trials", "The lists are real; the sound and pictures they name are not at hand."),
}  # fmt: skip


def results(world: str) -> str:
    """Every table of every suite in a world."""
    title, said = WORLDS[world]
    parts = [f"## {title}\n\n{said}\n"]
    for document in load("evaluation")["measured"][world].values():
        result = SuiteResult.from_json({**document, "per_person": {}, "figures": []})
        subject = document.get("subject")
        of = f" of `{subject['name']}`" if subject else ""
        parts.append(f"### {result.suite}{of}\n\n`{document['command']}`\n")
        parts += [table.markdown() for table in result.tables]
        parts += [f"* {sentence}" for sentence in result.statements]
        if result.missing:
            parts.append("\nNot computed:\n\n" + "\n".join(f"* {sentence}" for sentence in result.missing))
        parts.append("")
    return "\n".join(parts).rstrip()


TABLES: Final[dict[str, Callable[[], str]]] = {
    "evaluation": partial(results, "paired"),
    "evaluation-synthetic": partial(results, "synthetic"),
}
"""Name in the pages -> table."""
