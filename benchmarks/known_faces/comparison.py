"""Errors of all methods and seeds, summed up: gains over the cascade, the verdict, the table."""

import statistics
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.geometry.are_table import RATIOS, GeometryErrors, relative_gain
from voxface.training.evaluation.measures.intervals import bootstrap

CASCADE = "cascade"


SEX_HEARD = "mean face of the sex heard"


WANTED = 0.15


def summary(seeds: list[dict[str, GeometryErrors]]) -> dict[str, Any]:
    """Per method: mean and standard deviation over seeds of every error, and of the relative gain over the cascade; how many
    millimetres its mesh is nearer than the mean face of the sex heard, with the interval over the speakers of all seeds.
    """
    rows: dict[str, Any] = {}
    for name in seeds[0]:
        numbers = [errors[name].summary for errors in seeds]
        row: dict[str, Any] = {key: _spread([each[key] for each in numbers]) for key in numbers[0]}
        gains = [relative_gain(errors[name].mean_are(), errors[CASCADE].mean_are()) for errors in seeds]
        row["gain_over_cascade"] = _spread([gain.gain for gain in gains]) | {
            "intervals_over_speakers": [[gain.low, gain.high] for gain in gains]
        }
        nearer = np.concatenate([errors[SEX_HEARD].rms_mm - errors[name].rms_mm for errors in seeds])
        row["mm_below_sex_heard"] = _with_interval(nearer)
        rows[name] = row
    return rows


def verdict(methods: dict[str, Any]) -> dict[str, Any]:
    """A verdict for each trained method: whether it beats the cascade by `WANTED`, and the mean face of the sex heard."""
    trivial_are = methods[SEX_HEARD]["are"]["mean"]
    return {
        name: {
            "beats_cascade_by_15_percent": row["gain_over_cascade"]["mean"] >= WANTED,
            "beats_mean_face_of_the_sex": row["are"]["mean"] < trivial_are,
            "beats_it_in_mm": row["mm_below_sex_heard"]["low"] > 0,
        }
        for name, row in methods.items()
        if name.startswith(("supervised", "joint"))
    }


def table(methods: dict[str, Any]) -> str:
    """Markdown, a method a line: the ratios in Wu's order, their mean, the gain over the cascade, millimetres."""
    heads = ["method", *(f"{name}" for name in RATIOS), "mean ARE", "gain over cascade", "mesh, mm"]
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for name, row in methods.items():
        cells = [f"{row[f'are_{ratio}']['mean']:.4f} ± {row[f'are_{ratio}']['sd']:.4f}" for ratio in RATIOS]
        gain = row["gain_over_cascade"]
        lines.append(
            " | ".join(
                [
                    name,
                    *cells,
                    f"{row['are']['mean']:.4f} ± {row['are']['sd']:.4f}",
                    "–" if name == CASCADE else f"{100 * gain['mean']:+.1f} ± {100 * gain['sd']:.1f} %",
                    f"{row['rms_mm']['mean']:.2f} ± {row['rms_mm']['sd']:.2f}",
                ]
            )
        )
    return "\n".join(f"| {line} |" for line in lines)


def _with_interval(differences: NDArray[np.float64]) -> dict[str, float]:
    """Mean of one number a speaker, and its 95 % interval."""
    low, high = bootstrap(
        lambda drawn: float(differences[drawn].mean()), np.arange(len(differences)), rng=np.random.default_rng(0)
    )
    return {"mean": float(differences.mean()), "low": low, "high": high}


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
        "seeds": values,
    }
