"""Association of voices and faces by today's protocols: matching 1:2 and 1:N both ways, verification, retrieval, by strata.

Two ways in: `--embeddings FILE --lists DIR` scores the vectors of any system on the public lists of trials, so that figures
compare with published ones; `--data PAIRS` scores a bundle's made faces, or another method's, on the people of a split.
"""

from dataclasses import replace

from voxface.runtime.errors import UsageError
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.association_lists import of_lists
from voxface.training.evaluation.matching.association_pairs import of_pairs
from voxface.training.evaluation.result import SuiteResult


def run(inputs: Inputs) -> SuiteResult:
    """Scores lists, people of pairs, or both.

    Raises:
        UsageError: neither was given, or one of --embeddings and --lists without the other.
    """
    if (inputs.embeddings is None) != (inputs.lists is None):
        raise UsageError(
            "--embeddings, --lists: give both: vectors of voices and faces, and the public lists of trials"
        )
    found = []
    if inputs.embeddings is not None and inputs.lists is not None:
        found.append(of_lists(inputs, inputs.lists, inputs.embeddings))
    if inputs.given_pairs is not None:
        found.append(of_pairs(inputs))
    if not found:
        raise UsageError(
            "association needs --data, a folder of pairs, or --embeddings with --lists, vectors of voices and faces and the "
            "public lists of trials"
        )
    return found[0] if len(found) == 1 else _both(*found)


def _both(lists: SuiteResult, people: SuiteResult) -> SuiteResult:
    """Two results in one; names of what is of people of pairs begin so."""
    tables = tuple(replace(table, name=f"people-{table.name}") for table in people.tables)
    return SuiteResult(
        "association",
        lists.tables + tables,
        {
            **lists.figures,
            **{name.replace("association", "association-people"): png for name, png in people.figures.items()},
        },
        {**lists.per_person, **{f"people: {name}": of for name, of in people.per_person.items()}},
        {**lists.facts, "people": people.facts},
        lists.statements + people.statements,
        lists.missing + people.missing,
    )
