"""Tables and figures of the suite `association`, the same for public lists and for people of pairs."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from voxface.training.evaluation import figures
from voxface.training.evaluation.matching import association_published as published
from voxface.training.evaluation.matching.association import Share
from voxface.training.evaluation.matching.association_space import METRICS, Found
from voxface.training.evaluation.matching.public_lists import Direction
from voxface.training.evaluation.measures.verification_intervals import Rates, SortedTrials
from voxface.training.evaluation.result import Column, Kind, Measured, Row, Table

WORDS: Final = {"v2f": "voice → face", "f2v": "face → voice"}
_TRAITS: Final = {"G": "sex", "N": "nationality", "L": "language", "A": "age"}
CHANCE: Final = "chance"
SEX: Final = "the sex alone, known exactly"
Cells = Mapping[str, Measured]


def stratum(alike: str) -> str:
    """The letters of a stratum in words: "anybody", "same sex and nationality"."""
    traits = [_TRAITS[letter] for letter in alike]
    if not traits:
        return "anybody"
    return f"same {traits[0]}" if len(traits) == 1 else f"same {', '.join(traits[:-1])} and {traits[-1]}"


def measured(share: Share) -> Measured:
    """A share with its interval, as a table's number."""
    return Measured(share.value, share.low, share.high, trials=share.trials, people=share.people)


def matching_table(
    name: str, title: str, rows: Sequence[tuple[str, Kind, Mapping[tuple[Direction, str], Measured]]], note: str
) -> Table:
    """1:2 matching: a column for each direction and stratum that some row has, with the published figures.

    Args:
        rows: method, kind, and its numbers by direction and stratum.
    """
    cells = list(dict.fromkeys(cell for _, _, values in rows for cell in values))
    heads = {cell: f"{WORDS[cell[0]]}, {stratum(cell[1])}" for cell in sorted(cells, key=lambda cell: cell[0] != "v2f")}
    made = [
        Row(method, kind, {heads[cell]: number for cell, number in values.items()}) for method, kind, values in rows
    ]
    for source, figures_of in published.MATCHING.items():
        known = {heads["v2f", alike]: Measured(value) for alike, value in figures_of.items() if ("v2f", alike) in heads}
        if known:
            made.append(Row(source, "published", known))
    return Table(
        name, title, tuple(Column(head, "%") for head in heads.values()), tuple(made), f"{note} {published.ON}"
    )


def verification_table(
    name: str, title: str, rows: Sequence[tuple[str, Kind, Mapping[str, Rates]]], note: str
) -> Table:
    """Verification: EER and AUC by what is compared, with the published figures.

    Args:
        rows: method, kind, and its rates by the words of the stratum, see `stratum`.
    """
    strata = list(dict.fromkeys(words for _, _, values in rows for words in values))
    columns = [
        Column(f"{what}, {words}", "%", "lower" if what == "EER" else "higher")
        for words in strata
        for what in ("AUC", "EER")
    ]
    made = []
    for method, kind, values in rows:
        found = {f"AUC, {words}": rates.auc for words, rates in values.items()}
        made.append(Row(method, kind, found | {f"EER, {words}": rates.eer for words, rates in values.items()}))
    for source, figures_of in published.AUC.items():
        known = {f"AUC, {stratum(a)}": Measured(value) for a, value in figures_of.items() if stratum(a) in strata}
        if known:
            made.append(Row(source, "published", known))
    return Table(name, title, tuple(columns), tuple(made), f"{note} {published.ON}")


def chance_rates() -> Rates:
    """What guessing gives in verification."""
    return Rates(Measured(0.5), Measured(0.5))


def retrieval_table(
    name: str, title: str, rows: Sequence[tuple[str, Kind, Mapping[Direction, Cells]]], note: str, *, compared: bool
) -> Table:
    """Retrieval of one stratum, both ways.

    Args:
        compared: whether published figures stand beside, which are of all people together.
    """
    directions: tuple[Direction, ...] = ("v2f", "f2v")
    columns = [Column(f"{WORDS[d]} {metric}", "%", digits=2) for d in directions for metric in METRICS]
    made = [
        Row(
            method,
            kind,
            {f"{WORDS[d]} {metric}": number for d, cells in values.items() for metric, number in cells.items()},
        )
        for method, kind, values in rows
    ]
    if compared:
        made += [
            Row(source, "published", {f"{WORDS['v2f']} mAP": Measured(value)})
            for source, value in published.MEAN_PRECISION.items()
        ]
    return Table(name, title, tuple(columns), tuple(made), f"{note} {published.ON}" if compared else note)


def found_cells(found: Found) -> Cells:
    """The numbers of a search."""
    return {metric: measured(share) for metric, share in found.shares.items()}


def chance_cells(found: Found) -> Cells:
    """What galleries in random order give."""
    return {metric: Measured(value) for metric, value in found.chance.items()}


def n_way_table(name: str, title: str, rows: Sequence[tuple[str, Kind, Mapping[int, Measured]]], note: str) -> Table:
    """The right one of N chosen, by N."""
    counts = sorted({count for _, _, values in rows for count in values})
    made = [Row(method, kind, {f"1 of {n}": number for n, number in values.items()}) for method, kind, values in rows]
    made.append(Row(CHANCE, "trivial", {f"1 of {n}": Measured(1 / n) for n in counts}))
    return Table(name, title, tuple(Column(f"1 of {n}", "%") for n in counts), tuple(made), note)


def n_way_figure(title: str, curves: Mapping[Direction, Mapping[str, Mapping[int, Measured]]]) -> bytes:
    """Accuracy against the number of candidates, a panel for each direction; the bars are the 95 % intervals."""
    figure, panels = figures.panels(title, len(curves), (7.2, 3.4))
    for axes, (direction, strata) in zip(panels, curves.items(), strict=True):
        counts = sorted({n for values in strata.values() for n in values})
        for k, (colour, (words, values)) in enumerate(zip(figures.COLOURS, strata.items(), strict=False)):
            shown = sorted(values.items())
            y = [100 * number.value for _, number in shown]
            low = [100 * (number.value if number.low is None else number.low) for _, number in shown]
            high = [100 * (number.value if number.high is None else number.high) for _, number in shown]
            bars = [np.maximum(0, np.subtract(y, low)), np.maximum(0, np.subtract(high, y))]
            # Beside each other, so that no bar hides another.
            x = [n + 0.1 * (k - (len(strata) - 1) / 2) for n, _ in shown]
            axes.errorbar(x, y, bars, color=colour, marker="o", markersize=4, capsize=3, label=words)
        axes.plot(counts, [100 / n for n in counts], color=figures.INK, linestyle=":", label=CHANCE)
        axes.set_title(WORDS[direction], fontsize=9, color=figures.INK)
        axes.set_xlabel("candidates")
        axes.set_xticks(counts)
        axes.set_ylim(0, 100)
        axes.legend(fontsize=7, frameon=False)
    panels[0].set_ylabel("right one chosen (%)")
    return figures.png(figure)


def roc_figure(title: str, curves: Mapping[str, SortedTrials]) -> bytes:
    """Receiver operating characteristics of verification."""
    figure, axes = figures.axes(title, "different people accepted (%)", "the same person accepted (%)", (4.4, 4.0))
    for colour, (words, trials) in zip(figures.COLOURS, curves.items(), strict=False):
        accepted, right = trials.roc()
        axes.plot(100 * accepted, 100 * right, color=colour, label=words)
    axes.plot([0, 100], [0, 100], color=figures.INK, linestyle=":", label=CHANCE)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    return figures.png(figure)
