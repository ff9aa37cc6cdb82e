"""Fits what tells age from a bundle's embeddings, children's voices and adults' years, and writes it into the bundle.

    python -m voxface.training.trainers.age --voices RENDERINGS [RENDERINGS …] [--bundle IN] --out OUT

RENDERINGS are folders of `voxface data voices`. A logistic regression tells children from adults: half of the weight of the
adults is on those of the sets that children are of, so that it does not learn the set and its microphone instead. A linear
regression of log age tells adults' years. Both are measured on speakers that they were not fitted to, beside constant ages and
beside the teacher's vectors with the same fits. Where the years do not beat the mean age, the bundle tells none.
"""

import hashlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import AgeEntry, ChildEntry, YearsEntry
from voxface.runtime.config.age import OLDEST, WIDEST, YOUNGEST, AgeWeights, ChildWeights, YearsWeights
from voxface.runtime.errors import InputError
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.measures.verification import auc
from voxface.training.trainers.age_fit import (
    Line,
    LogYears,
    coverage,
    fit_logistic,
    fit_years,
    log_loss,
    spread_that_covers,
)
from voxface.training.trainers.part_command import part_parser, write_part
from voxface.training.voices.age_clips import SECONDS, AgeClips, age_clips
from voxface.training.voices.renderings import Renderings

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
FOLDS: Final = 5
PENALTIES: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
REFUSED: Final = 0.01  # share of adults that may be told as children
COVERED: Final = 0.8  # share of ages that an interval holds
DIGITS: Final = 5  # of a weight in the bundle


@dataclass(frozen=True)
class AgeFit:
    """The fitted weights, what was measured, for the manifest's `metrics`, and a line for each set that was learnt from."""

    weights: AgeWeights
    metrics: dict[str, Any]
    trained_on: tuple[str, ...]


def fit(clips: AgeClips) -> AgeFit:
    """Fits and measures both parts.

    Raises:
        InputError: there are no children or no adults among the training voices, or no adults among those of the validation or
            test.
    """
    for kind, are in (("child", clips.child), ("adult", clips.adult)):
        for split in ("train", "validation", "test") if kind == "adult" else ("train",):
            if not (are & (clips.split == split)).any():
                raise InputError(f"no {kind} of known age among the {split} voices; give more voices")
    child, of_child = _fit_child(clips)
    years, of_years = _fit_years(clips)
    weights = AgeWeights(child, years if of_years["told"] else None)
    return AgeFit(weights, {"child": of_child, "years": of_years}, _provenance(clips))


# -- children --------------------------------------------------------------------------------------------------------------


def _fit_child(clips: AgeClips) -> tuple[ChildWeights, dict[str, Any]]:
    known = clips.child | clips.adult
    line, unseen = _child_line(clips, clips.embedding)
    scores = line(clips.embedding)
    threshold = _threshold(clips, scores)
    teacher, of_teacher = _child_line(clips, clips.teacher)
    metrics = {
        "threshold": threshold,
        "speakers": {split: _counts(clips, clips.split == split) for split in ("train", "validation", "test")},
        "validation": _child_numbers(clips, scores, threshold, clips.split == "validation"),
        "test": _child_numbers(clips, scores, threshold, clips.split == "test"),
        "folds": _child_numbers(clips, unseen, threshold, known),
        "folds_by_seconds": {
            f"{seconds}": _child_numbers(clips, unseen, threshold, known & _as_long(clips, seconds))
            for seconds in SECONDS
        },
        "teacher_folds": _child_numbers(clips, of_teacher, _threshold(clips, teacher(clips.teacher)), known),
        "unknown_age_refused": {
            str(corpus): _share(clips, _probability(scores) >= threshold, of)
            for corpus in np.unique(clips.corpus)
            if (of := (clips.corpus == corpus) & np.isnan(clips.oldest) & (clips.split == "test")).any()
        },
    }
    return ChildWeights(_rounded(line.weight), _short(line.bias), threshold), metrics


def _child_line(clips: AgeClips, x: Float64) -> tuple[Line, Float64]:
    """The calibrated logit of a child, fitted to the training voices, and logits float64 [N] of every clip by a fit without its
    fold of speakers, in which those of validation and test are as well."""
    known, train = clips.child | clips.adult, clips.split == "train"
    fold = _folds(clips)

    def unseen(rows: Bools, penalty: float) -> Float64:
        logits = np.zeros(len(x))
        for k in range(FOLDS):
            kept = rows & (fold != k)
            logits[fold == k] = _logit(clips, x, kept, penalty)(x[fold == k])
        return logits

    rows = known & train
    weight = _balance(clips, rows)
    found = {penalty: unseen(rows, penalty) for penalty in PENALTIES}
    penalty = min(PENALTIES, key=lambda p: log_loss(found[p][rows], clips.child[rows], weight[rows]))
    # What unseen speakers get is less certain than what the fitted ones do: slope and bias make it a probability.
    by = fit_logistic(found[penalty][rows][:, None], clips.child[rows], weight[rows], 0.0)
    raw = _logit(clips, x, rows, penalty)
    slope = float(by.weight[0])
    return Line(raw.weight * slope, raw.bias * slope + by.bias), by(unseen(known, penalty)[:, None])


def _logit(clips: AgeClips, x: Float64, rows: Bools, penalty: float) -> Line:
    weight = _balance(clips, rows)
    return fit_logistic(x[rows], clips.child[rows], weight[rows], penalty)


def _balance(clips: AgeClips, rows: Bools) -> Float64:
    """Weights float64 [N] of the rows: children together as much as adults, and half of the adults' on those of the children's
    sets, where there are any; every speaker of one of these as much as the next. They add up to the number of speakers."""
    weight = _per_speaker(clips, rows)
    total = weight.sum()
    child = rows & clips.child
    of_the_sets = np.isin(clips.corpus, np.unique(clips.corpus[child])) & rows & clips.adult
    groups = [group for group in (of_the_sets, rows & clips.adult & ~of_the_sets) if group.any()]
    shares = [(child, 0.5), *((group, 0.5 / len(groups)) for group in groups)]
    for group, share in shares:
        if group.any():
            weight[group] *= share * total / weight[group].sum()
    return weight


def _threshold(clips: AgeClips, scores: Float64) -> float:
    """The least probability, 0.5 or more, from which on no more than `REFUSED` of the validation's adults are refused in clips
    of any length: short ones alone, of which little is certain, would make it too low for long ones."""
    adults = clips.adult & (clips.split == "validation")
    lengths = [of for seconds in SECONDS if (of := adults & _as_long(clips, seconds)).any()]
    probability = _probability(scores)
    for threshold in np.arange(0.5, 1.0, 0.005).round(3).tolist():
        if all(_share(clips, probability >= threshold, of) <= REFUSED for of in lengths):
            return float(threshold)
    return 1.0


def _child_numbers(clips: AgeClips, logits: Float64, threshold: float, rows: Bools) -> dict[str, Any]:
    """How well children are told, of some of the clips; None where there are none to tell. AUCs are of all adults, and of those
    of the sets that children are of."""
    child, adult = rows & clips.child, rows & clips.adult
    same = adult & np.isin(clips.corpus, np.unique(clips.corpus[clips.child]))
    told = _probability(logits) >= threshold
    found: dict[str, Any] = {}
    for name, against in (("auc", adult), ("auc_same_sets", same)):
        enough = child.any() and against.any()
        found[name] = auc(logits[child], logits[against]) if enough else None
        found[f"{name}_interval"] = _auc_interval(clips, logits, child, against) if enough else None
    found["children_missed"] = _share(clips, ~told, child) if child.any() else None
    found["adults_refused"] = _share(clips, told, adult) if adult.any() else None
    found["adults_refused_same_sets"] = _share(clips, told, same) if same.any() else None
    return found


def _auc_interval(clips: AgeClips, logits: Float64, child: Bools, adult: Bools) -> list[float]:
    high, low = logits[child], logits[adult]
    rng = np.random.default_rng(0)
    speakers = clips.speaker[child], clips.speaker[adult]
    return list(bootstrap(lambda a, b: auc(high[a], low[b]), *speakers, rng=rng, rounds=300))


# -- adults ----------------------------------------------------------------------------------------------------------------


def _fit_years(clips: AgeClips) -> tuple[YearsWeights, dict[str, Any]]:
    made, teacher = (_years_line(clips, x) for x in (clips.embedding, clips.teacher))
    train, validation = (clips.adult & (clips.split == split) for split in ("train", "validation"))
    weight = _per_speaker(clips, train)[train]
    none = np.zeros((len(clips.seconds), 1))
    constants = {
        "mean_age": float(np.average(clips.middle[train], weights=weight)),
        "median_age": _median(clips.middle[train], weight),
        "without_voice": float(_years(_years_line(clips, none).mean(none[:1]))[0]),
    }
    said = {
        "age": _years(made.mean(clips.embedding)),
        "teacher": _years(teacher.mean(clips.teacher)),
        **{name: np.full(len(clips.seconds), value) for name, value in constants.items()},
    }
    spread = spread_that_covers(
        COVERED,
        said["age"][validation],
        clips.youngest[validation],
        clips.oldest[validation],
        _per_speaker(clips, validation)[validation],
        WIDEST,
    )
    metrics: dict[str, Any] = {
        split: _years_numbers(clips, said, spread, clips.adult & (clips.split == split))
        for split in ("validation", "test")
    }
    metrics["test_by_seconds"] = {
        f"{seconds}": _errors(clips, said, clips.adult & (clips.split == "test") & _as_long(clips, seconds))
        for seconds in SECONDS
    }
    told = all(metrics["test"]["gain_interval"][name][0] > 0 for name in ("mean_age", "without_voice"))
    years = YearsWeights(_rounded(made.mean.weight), _short(made.mean.bias), _short(spread))
    return years, {"told": told, "constants": constants, "interval_share": COVERED, **metrics}


def _years_line(clips: AgeClips, x: Float64) -> LogYears:
    """The fit of x, float64 [N, E], to the training's adults, with the penalty under which the validation's are likeliest."""
    train, validation = (clips.adult & (clips.split == split) for split in ("train", "validation"))

    def rows(chosen: Bools) -> tuple[Float64, Float64, Float64, Float64]:
        return x[chosen], clips.youngest[chosen], clips.oldest[chosen], _per_speaker(clips, chosen)[chosen]

    found = [fit_years(*rows(train), penalty) for penalty in PENALTIES]
    return max(found, key=lambda each: each.log_likelihood(*rows(validation)))


def _years_numbers(clips: AgeClips, said: dict[str, Float64], spread: float, rows: Bools) -> dict[str, Any]:
    weight = _per_speaker(clips, rows)[rows]
    off = {name: np.abs(years - clips.middle)[rows] for name, years in said.items()}
    speakers = clips.speaker[rows]

    def interval(values: Float64) -> list[float]:
        rng = np.random.default_rng(0)
        return list(bootstrap(lambda drawn: float(np.average(values[drawn], weights=weight[drawn])), speakers, rng=rng))

    gains = {name: off[name] - off["age"] for name in said if name != "age"}
    return {
        "speakers": len(np.unique(speakers)),
        "error": _errors(clips, said, rows),
        "error_interval": {name: interval(values) for name, values in off.items()},
        "gain": {name: float(np.average(values, weights=weight)) for name, values in gains.items()},
        "gain_interval": {name: interval(values) for name, values in gains.items()},
        "covered": coverage(said["age"][rows], spread, clips.youngest[rows], clips.oldest[rows], weight),
    }


def _errors(clips: AgeClips, said: dict[str, Float64], rows: Bools) -> dict[str, float]:
    """Mean absolute error in years, from the middle of the ages that a speaker may have."""
    if not rows.any():
        return {}
    weight = _per_speaker(clips, rows)[rows]
    return {name: float(np.average(np.abs(years - clips.middle)[rows], weights=weight)) for name, years in said.items()}


def _years(log_years: Float64) -> Float64:
    """As the runtime tells them."""
    return np.exp(np.clip(log_years, math.log(YOUNGEST), math.log(OLDEST)))


# -- both ------------------------------------------------------------------------------------------------------------------


def _probability(logits: Float64) -> Float64:
    return 1 / (1 + np.exp(-np.clip(logits, -50, 50)))


def _per_speaker(clips: AgeClips, rows: Bools) -> Float64:
    """Weights float64 [N]: 1 for each speaker, divided among the clips that are `rows`; 0 of the others."""
    weight = np.zeros(len(rows))
    _, which, counts = np.unique(clips.speaker[rows], return_inverse=True, return_counts=True)
    weight[rows] = 1 / counts[which]
    return weight


def _share(clips: AgeClips, which: Bools, rows: Bools) -> float:
    """Mean over speakers of the share of their clips among `rows` that are in `which`."""
    return float(np.average(which[rows], weights=_per_speaker(clips, rows)[rows]))


def _as_long(clips: AgeClips, seconds: float) -> Bools:
    """The clips of this length, and shorter ones among the shortest."""
    return clips.seconds <= seconds if seconds == SECONDS[0] else clips.seconds == seconds


def _counts(clips: AgeClips, rows: Bools) -> dict[str, int]:
    return {
        name: len(np.unique(clips.speaker[rows & are]))
        for name, are in (("children", clips.child), ("adults", clips.adult))
    }


def _folds(clips: AgeClips) -> NDArray[np.int64]:
    names, which = np.unique(clips.speaker, return_inverse=True)
    folds = [int(hashlib.sha1(f"age{name}".encode()).hexdigest(), 16) % FOLDS for name in names]
    return np.array(folds, np.int64)[which]


def _median(values: Float64, weight: Float64) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _rounded(numbers: Float64) -> tuple[float, ...]:
    return tuple(map(_short, numbers.tolist()))


def _provenance(clips: AgeClips) -> tuple[str, ...]:
    learnt = (clips.child | clips.adult) & (clips.split == "train")
    return tuple(
        f"{corpus}: {counts['children']} children and {counts['adults']} adults of known age"
        for corpus in np.unique(clips.corpus[learnt])
        for counts in [_counts(clips, learnt & (clips.corpus == corpus))]
    )


def train(face_estimator: FaceEstimator, rendered: Sequence[Renderings]) -> AgeFit:
    """Fits age to the voice encoder of `face_estimator`.

    Args:
        rendered: voices, with vectors of one teacher.

    Raises:
        InputError: see `fit`; or the folders are of different teachers.
    """
    teachers = sorted({str(voices.about["teacher"]) for voices in rendered})
    if len(teachers) > 1:
        raise InputError(f"the voices were rendered with different teachers: {', '.join(teachers)}")
    shortest = face_estimator.bundle.front_end.shortest

    def encode(frames: NDArray[np.float32]) -> NDArray[np.float32]:
        found = face_estimator.encoder.run({"log_mel": network_input(frames, shortest)})["embedding"][0]
        return np.array(found)  # an engine may use its output again

    return fit(age_clips(rendered, encode))


def with_age(bundle: Bundle, made: AgeFit) -> Bundle:
    """The bundle, in memory, with these weights, which were fitted to its voice encoder."""
    child, years = made.weights.child, made.weights.years
    entry = AgeEntry(
        child=ChildEntry(weight=child.weight, bias=child.bias, threshold=child.threshold),
        years=None if years is None else YearsEntry(weight=years.weight, bias=years.bias, spread=years.spread),
        encoder_sha256=bundle.graph_digests()["encoder"],
        trained_on=made.trained_on,
    )
    return bundle.replacing(age=entry, metrics={**(bundle.manifest.metrics or {}), "age": made.metrics})


def in_words(metrics: dict[str, Any]) -> str:
    """What was measured, in one line."""
    child, years = metrics["child"], metrics["years"]
    error, gain = years["test"]["error"], years["test"]["gain_interval"]["mean_age"]
    return (
        f"children: AUC {child['folds']['auc']:.3f}, {child['folds']['auc_same_sets'] or math.nan:.3f} among the same sets, "
        f"{child['folds']['children_missed']:.0%} missed, {child['folds']['adults_refused']:.1%} of adults refused from "
        f"{child['threshold']:g} on; adults: {error['age']:.1f} years off, the mean age {error['mean_age']:.1f} (gain "
        f"{gain[0]:.2f} to {gain[1]:.2f}), the teacher {error['teacher']:.1f}; an age is "
        f"{'told' if years['told'] else 'not told'}"
    )


def main() -> int:
    """The command line."""
    parser = part_parser("age", __doc__)
    parser.add_argument("--voices", type=Path, nargs="+", required=True, help="folders of `voxface data voices`")
    options = parser.parse_args()

    def made(bundle: Bundle) -> tuple[Bundle, str]:
        with FaceEstimator(bundle, threads=1) as face_estimator:
            found = train(face_estimator, [Renderings.load(folder) for folder in options.voices])
        return with_age(bundle, found), in_words(found.metrics)

    return write_part(options, made)


if __name__ == "__main__":
    sys.exit(main())
