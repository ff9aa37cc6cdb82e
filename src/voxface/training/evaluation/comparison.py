"""Which differences between two results are significant: paired over the people that both have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from voxface.runtime.errors import InputError
from voxface.training.evaluation.measures.significance import Difference, paired_difference

LEVEL: Final = 0.05


@dataclass(frozen=True)
class Compared:
    """One metric of both results.

    Attributes:
        suite, metric: which.
        better: "higher", "lower" or "neither".
        a, b: means over the people that both have.
        difference: a − b, with its interval over people and its p-value.
    """

    suite: str
    metric: str
    better: str
    a: float
    b: float
    difference: Difference

    def significant(self, tests: int) -> bool:
        """Whether it is, when so many metrics are tested at once (Bonferroni)."""
        return self.difference.p_value * tests < LEVEL

    def winner(self, tests: int) -> str:
        """The better result, "a" or "b"; "" where the difference is not significant, or no side is better."""
        if not self.significant(tests) or self.better == "neither":
            return ""
        return "a" if (self.difference.value > 0) == (self.better == "higher") else "b"


@dataclass(frozen=True)
class Comparison:
    """Two results compared; `left_out` are (suite, metric, why)."""

    compared: tuple[Compared, ...]
    left_out: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON: "differences" and "left_out"."""
        tests = len(self.compared)
        return {
            "differences": [
                {
                    "suite": one.suite,
                    "metric": one.metric,
                    "better": one.better,
                    "a": one.a,
                    "b": one.b,
                    **one.difference.to_json(),
                    "significant": one.significant(tests),
                }
                for one in self.compared
            ],
            "left_out": [{"suite": suite, "metric": metric, "why": why} for suite, metric, why in self.left_out],
        }

    def text(self) -> str:
        """A line a metric, for a terminal."""
        tests = len(self.compared)
        lines = [f"{'suite':<12} {'metric':<36} {'A':>9} {'B':>9} {'A − B':>9}  {'95 % interval':<22} {'p':>7}  better"]
        for one in self.compared:
            d = one.difference
            lines.append(
                f"{one.suite:<12} {one.metric:<36} {one.a:>9.4g} {one.b:>9.4g} {d.value:>9.3g}  "
                f"{f'{d.low:.3g} to {d.high:.3g}':<22} {d.p_value:>7.2g}  {one.winner(tests).upper() or '–'}"
            )
        lines.append(f"Paired over people; better: significant at {LEVEL:.0%} over all {tests} metrics (Bonferroni).")
        lines += [f"left out: {suite}, {metric}: {why}" for suite, metric, why in self.left_out]
        return "\n".join(lines)


def _measured_on(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Data and split; recordings and public lists, which are no pairs, are told by a fact."""
    return document.get("data"), document.get("split"), document["facts"].get("data_sha256")


def compare(a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]) -> Comparison:
    """Compares what two evaluations say of each person, see `run.read_results`.

    Raises:
        InputError: there is nothing that both measured on the same people.
    """
    compared, left_out = [], []
    for suite in [*a, *(name for name in b if name not in a)]:
        if suite not in a or suite not in b:
            left_out.append((suite, "all", f"only {'A' if suite in a else 'B'} has it"))
            continue
        here, there = a[suite]["per_person"], b[suite]["per_person"]
        if suite == "preference":
            left_out.append((suite, "all", "its people are who answered, numbered anew in each survey"))
            continue
        if _measured_on(a[suite]) != _measured_on(b[suite]):
            left_out.append((suite, "all", "measured on other data or another split"))
            continue
        for metric in [*here, *(name for name in there if name not in here)]:
            mine, other = (of.get(metric, {}).get("values", {}) for of in (here, there))
            people = sorted(mine.keys() & other.keys())
            if len(people) < 2:
                left_out.append((suite, metric, f"{len(people)} people have both"))
                continue
            x, y = (np.array([of[name] for name in people], np.float64) for of in (mine, other))
            difference = paired_difference(x, y)
            compared.append(
                Compared(suite, metric, here[metric]["better"], float(x.mean()), float(y.mean()), difference)
            )
    if not compared:
        why = "; ".join(f"{suite}, {metric}: {said}" for suite, metric, said in left_out[:3])
        raise InputError(f"nothing to compare ({why or 'no metric has numbers of people'})")
    return Comparison(tuple(compared), tuple(left_out))
