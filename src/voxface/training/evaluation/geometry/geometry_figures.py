"""Figures of the geometry suite: ratio errors of each method, and errors of measurements within a sex."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.figures import COLOURS, INK, axes, png
from voxface.training.evaluation.geometry.geometry_methods import TRUE_SEX
from voxface.training.evaluation.geometry.geometry_tables import SHORT, Scored
from voxface.training.evaluation.geometry.measurement_errors import mean_error

BARS: Final = COLOURS[:-1]  # without black, on which an interval cannot be seen
_LONGEST: Final = 44  # letters of a method in a legend


def ratio_figure(scored: Sequence[Scored]) -> bytes:
    """Mean ARE of each ratio and over all, a bar a method, with intervals over speakers."""
    names = list(scored[0].scores.are["anatomical"])
    labels = [*(f"{name}\n({SHORT[name]})" if name in SHORT else name for name in names), "mean"]
    figure, one = axes(
        "Absolute ratio errors of predicted faces (Wu 2022, Table 1)", "", "absolute ratio error (ARE)", (7.2, 4.2)
    )
    width = 0.84 / len(scored)
    for k, method in enumerate(scored):
        of = method.scores.are["anatomical"]
        errors = [mean_error(method.mean(e)) for e in (*of.values(), method.scores.mean_are())]
        values = np.array([e.value for e in errors])
        spread = np.array([(e.value - (e.low or 0), (e.high or 0) - e.value) for e in errors]).T
        one.bar(
            np.arange(len(labels)) - 0.42 + (k + 0.5) * width,
            values,
            width,
            yerr=np.maximum(spread, 0),
            color=BARS[k % len(BARS)],
            hatch="//" if k >= len(BARS) else None,
            edgecolor="white",
            linewidth=0.4,
            error_kw={"elinewidth": 0.7, "ecolor": INK},
            label=_short(method.method.name),
        )
    one.set_xticks(range(len(labels)), labels, fontsize=8)
    one.grid(visible=False, axis="x")
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return png(figure)


def within_sex_figure(scored: Sequence[Scored]) -> bytes:
    """Errors within a sex of each measurement: what is evaluated, and baselines, beside one face for each sex."""
    shown = [one for one in scored if one.method.kind in ("ours", "baseline") or one.method.name == TRUE_SEX]
    names = list(scored[0].measures)
    base = next((one for one in scored if one.method.name == TRUE_SEX), scored[0])

    def errors(one: Scored) -> NDArray[np.float64]:
        return np.array([one.measures[name].within_sex.errors.mean() for name in names])

    order = np.argsort(errors(base))
    figure, one = axes(
        "Errors of measurements once the sex is known",
        "mean error of deviations from the sex's mean (mm)",
        "",
        (7.2, 1.6 + 0.24 * len(names)),
    )
    marks = "osD^vP*X"
    for k, method in enumerate(shown):
        limit = method.method.name == TRUE_SEX
        one.plot(
            errors(method)[order],
            np.arange(len(names)) + (0 if limit else 0.16 * ((k % 3) - 1)),
            "|" if limit else marks[k % len(marks)],
            color=INK if limit else COLOURS[k % len(COLOURS)],
            markersize=13 if limit else 5,
            markeredgewidth=2 if limit else 0.5,
            label="one face for each sex (no deviations)" if limit else _short(method.method.name),
        )
    one.set_yticks(range(len(names)), [names[k].replace("_", " ") for k in order], fontsize=8)
    one.set_xlim(left=0)
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return png(figure)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 2]} …"
