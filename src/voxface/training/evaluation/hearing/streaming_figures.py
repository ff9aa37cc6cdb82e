"""Figures of the suite `streaming`."""

from collections.abc import Mapping, Sequence

import numpy as np

from voxface.training.evaluation import figures
from voxface.training.evaluation.result import Measured


def by_seconds(
    title: str, curves: Mapping[str, Mapping[int, Measured]], trivial: Mapping[str, tuple[str, float]]
) -> bytes:
    """A panel a quantity, each with its 95 % interval.

    Args:
        curves: label of the axis with its unit -> number by seconds.
        trivial: label of the axis -> what the trivial answer is called, and its number.
    """
    figure, panels = figures.panels(f"{title}, by seconds of voice heard", len(curves), (8.6, 3.0))
    for axes, (label, numbers) in zip(panels, curves.items(), strict=True):
        x, values = list(numbers), list(numbers.values())
        low, high = ([value.value if side is None else side for value, side in zip(values, sides, strict=True)]
                     for sides in ([v.low for v in values], [v.high for v in values]))  # fmt: skip
        axes.plot(x, [value.value for value in values], color=figures.COLOURS[0], marker="o", markersize=4)
        axes.fill_between(x, low, high, color=figures.COLOURS[0], alpha=0.2, linewidth=0)
        if label in trivial:
            name, number = trivial[label]
            axes.axhline(number, color=figures.INK, linestyle=":", label=name)
            axes.legend(fontsize=7, frameon=False, loc="lower left")
        axes.set_xlabel("voice heard (s)", fontsize=9)
        axes.set_ylabel(label, fontsize=9)
        axes.set_xticks(x)
        axes.set_ylim(0, 1 if label == "confidence" else 1.1 * max(*high, trivial.get(label, ("", 0.0))[1]))
    return figures.png(figure)


def calibration(
    title: str,
    coverage: Mapping[int, Mapping[int, Measured]],
    sex: Sequence[tuple[float, Measured]],
) -> bytes:
    """Left: how much of people's own faces lies in regions of their posterior. Right: how often the likelier sex is right.

    Args:
        coverage: by seconds, the share by region in per cent.
        sex: mean probability of the likelier sex in each bin of them, and how often it was right.
    """
    figure, (left, right) = figures.panels(f"{title}: calibration", 2, (7.2, 3.6))
    for colour, (seconds, shares) in zip(figures.COLOURS, coverage.items(), strict=False):
        y = [100 * number.value for number in shares.values()]
        left.plot(list(shares), y, color=colour, marker="o", markersize=4, label=f"{seconds} s")
    left.plot([0, 100], [0, 100], color=figures.INK, linestyle=":", label="calibrated")
    left.set_xlabel("central region of the posterior (%)", fontsize=9)
    left.set_ylabel("measurements of own faces in it (%)", fontsize=9)
    left.set_xlim(40, 100)
    left.set_ylim(40, 100)
    x, y = [100 * at for at, _ in sex], [100 * number.value for _, number in sex]
    low = [100 * (number.value if number.low is None else number.low) for _, number in sex]
    high = [100 * (number.value if number.high is None else number.high) for _, number in sex]
    bars = [np.maximum(0, np.subtract(y, low)), np.maximum(0, np.subtract(high, y))]
    right.errorbar(x, y, bars, color=figures.COLOURS[0], marker="o", markersize=4, capsize=3, label="all seconds")
    right.plot([50, 100], [50, 100], color=figures.INK, linestyle=":", label="calibrated")
    right.set_xlabel("probability of the likelier sex (%)", fontsize=9)
    right.set_ylabel("how often it is right (%)", fontsize=9)
    right.set_xlim(48, 102)
    right.set_ylim(0, 102)
    for axes in (left, right):
        axes.legend(fontsize=7, edgecolor="none", framealpha=0.9, loc="lower right")
    return figures.png(figure)


def latency(curves: Mapping[str, Mapping[int, tuple[float, float]]]) -> bytes:
    """Time of an update against how far its mesh is from the final one; points are seconds heard."""
    figure, axes = figures.axes(
        "Latency beside accuracy", "time of an update, median (ms)", "distance to the final mesh (mm RMS)"
    )
    for colour, (method, points) in zip(figures.COLOURS, curves.items(), strict=False):
        x, y = zip(*points.values(), strict=True)
        axes.plot(x, y, color=colour, marker="o", markersize=4, label=method)
        for seconds, (ms, mm) in points.items():
            axes.annotate(
                f"{seconds} s", (ms, mm), xytext=(4, 4), textcoords="offset points", fontsize=8, color=figures.INK
            )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend(fontsize=8, frameon=False)
    return figures.png(figure)
