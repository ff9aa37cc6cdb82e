"""What the suite `association` finds, as it comes together: the protocols that lists and people of pairs share."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching import association_tables as tables
from voxface.training.evaluation.matching.association_space import CANDIDATES, Found, Groups, Space, one_of, search
from voxface.training.evaluation.matching.public_list_scores import DIRECTIONS
from voxface.training.evaluation.matching.public_lists import Direction
from voxface.training.evaluation.result import Kind, Measured, PerPerson, SuiteResult, Table

TRIALS: Final = 200_000
FEWEST: Final = 10  # people whose trials make a number of 1:N
NOTE: Final = "95 % intervals are over people."
_QUICK_TRIALS: Final = 20_000
System = tuple[str, Kind, Space]
"""Method, its kind, and its vectors; what is evaluated comes first."""


class Findings:
    """Tables, figures and the rest of a result.

    Attributes:
        tables, figures, per_person, statements: see `SuiteResult`.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self.tables: list[Table] = []
        self.figures: dict[str, bytes] = {}
        self.per_person: dict[str, PerPerson] = {}
        self.statements: list[str] = []

    def result(self, facts: Mapping[str, Any], missing: Sequence[str]) -> SuiteResult:
        """What was found, as a result."""
        found = tuple(self.tables), self.figures, self.per_person, facts, tuple(self.statements), tuple(missing)
        return SuiteResult("association", *found)

    def say_order(self, accuracy: Mapping[tuple[Direction, str], float]) -> None:
        """Says whether matching among people of the same sex lies below that among anybody, as in Wen 2019, Table 3."""
        for direction in DIRECTIONS:
            if (direction, "") in accuracy and (direction, "G") in accuracy:
                anybody, alike = accuracy[direction, ""], accuracy[direction, "G"]
                holds = "lies below" if alike < anybody else "does not lie below"
                self.statements.append(
                    f"{tables.WORDS[direction]}: matching among people of the same sex ({alike:.1%}) {holds} that among "
                    f"anybody ({anybody:.1%}); in Wen et al. 2019, Table 3, it lies below."
                )

    def retrieval(
        self,
        name: str,
        systems: Sequence[System],
        strata: Mapping[str, Groups | None],
        *,
        published: bool,
        tag: str = "",
    ) -> None:
        """Adds the tables of retrieval, one a stratum.

        Args:
            name: of the items.
            published: whether published figures are comparable.
            tag: of the tables' names, where there are several galleries.
        """
        done, count = self._inputs.phase("retrieval"), 0
        results: dict[str, list[tuple[str, Kind, dict[Direction, Found]]]] = {}
        for alike, groups in strata.items():
            for method, kind, space in systems:
                found = {
                    d: one for d in DIRECTIONS if (one := search(space, d, groups, seed=self._inputs.seed)) is not None
                }
                if found:
                    results.setdefault(alike, []).append((method, kind, found))
                count += 1
                done(count, len(systems) * len(strata))
        by_sex = results["G"][0][2] if "G" in results else {}
        for alike, rows_of in results.items():
            first = rows_of[0][2]
            rows: list[tuple[str, Kind, Mapping[Direction, tables.Cells]]] = [
                (method, kind, {d: tables.found_cells(one) for d, one in found.items()})
                for method, kind, found in rows_of
            ]
            rows.append((tables.CHANCE, "trivial", {d: tables.chance_cells(one) for d, one in first.items()}))
            if not alike and by_sex:
                # People of the same sex come first, in random order: as good as a random order of these alone.
                rows.append((tables.SEX, "trivial", {d: tables.chance_cells(one) for d, one in by_sex.items()}))
            size = ", ".join(f"{tables.WORDS[d]} {one.gallery:.0f}" for d, one in first.items())
            among = f"people of the {tables.stratum(alike)}" if alike else "anybody"
            self.tables.append(
                tables.retrieval_table(
                    f"retrieval-{alike.lower() or 'u'}{tag}",
                    f"Retrieval among {among}, {name}",
                    rows,
                    f"Items of a gallery, on average: {size}. {NOTE}",
                    compared=published and not alike,
                )
            )
            for direction, one in first.items():
                words = f"{tables.WORDS[direction]}, {tables.stratum(alike)}{tag}"
                self.per_person[f"retrieval mAP, {words}"] = PerPerson("higher", one.by_person)

    def n_way(self, name: str, systems: Sequence[System], strata: Mapping[str, Groups | None]) -> None:
        """Adds the tables and the figure of 1:N matching by drawn trials; the figure is of the first system.

        Args:
            name: of what trials are drawn from.
        """
        trials = self._inputs.fewer(TRIALS, _QUICK_TRIALS)
        done, count = self._inputs.phase("drawn trials"), 0
        curves: dict[Direction, dict[str, dict[int, Measured]]] = {}
        for direction in DIRECTIONS:
            rows: list[tuple[str, Kind, Mapping[int, Measured]]] = []
            for number, (method, kind, space) in enumerate(systems):
                for alike, groups in strata.items():
                    cells = {}
                    for candidates in CANDIDATES:
                        shares = one_of(space, direction, candidates, groups, trials=trials, seed=self._inputs.seed)
                        if shares is not None and len(shares.by_person) >= FEWEST:
                            cells[candidates] = tables.measured(shares.share(seed=self._inputs.seed))
                        count += 1
                        done(count, 2 * len(systems) * len(strata) * len(CANDIDATES))
                    if cells:
                        rows.append((f"{method}, {tables.stratum(alike)}", kind, cells))
                        if not number:
                            curves.setdefault(direction, {})[tables.stratum(alike)] = cells
            if rows:
                title = f"1:N matching, {tables.WORDS[direction]}, trials drawn from {name}"
                note = (
                    f"{trials} trials a number; none where fewer than {FEWEST} people have enough others alike. {NOTE}"
                )
                self.tables.append(tables.n_way_table(f"n-way-{direction}", title, rows, note))
        if curves:
            self.figures["association-n-way.png"] = tables.n_way_figure(f"{systems[0][0]}: the right one of N", curves)


def strata_of(traits: Mapping[str, list[str]]) -> dict[str, Groups | None]:
    """Anybody, and people alike in each trait and in all of them, by letters.

    Args:
        traits: letter -> value of each person, "" where it is not known; a trait of which nobody's is known is left out.
    """
    known = {letter: values for letter, values in traits.items() if any(values)}
    found: dict[str, Groups | None] = {"": None}
    for letters in [*known, "".join(known)]:
        rows = list(zip(*(known[letter] for letter in letters), strict=True))
        labels: dict[int, Hashable] = {place: row for place, row in enumerate(rows) if all(row)}
        if letters and labels:
            found[letters] = labels
    return found
