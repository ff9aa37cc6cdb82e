"""Speaker verification, "are two recordings of one speaker?": scores of pairs, equal error rate (EER), area under the ROC."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


def rates(
    embeddings: NDArray[np.floating],
    persons: ArrayLike,
    speakers: ArrayLike,
    recordings: ArrayLike,
    *,
    block: int = 512,
) -> dict[str, float]:
    """EER and AUC of all pairs as in `trials`, in memory for `block` · N scores and those of the same persons.

    Of 21,850 recordings, Wen 2019's test, there are 240 million pairs, whose scores would take gigabytes.

    Returns:
        {"eer", "auc"}, equal to what `eer` and `auc` say of `trials`; {} without a pair of either kind.
    """
    rows = np.asarray(embeddings, np.float64)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    person, speaker, recording = (
        np.unique(np.asarray(of), return_inverse=True)[1] for of in (persons, speakers, recordings)
    )
    same = np.concatenate([np.empty(0), *_same(rows, person, recording, block)])
    if not len(same):
        return {}
    if np.isnan(same).any():
        raise ValueError("a score is not a number")
    # How many different scores are at most and below each distinct score of the same persons. Each block of them is sorted and
    # the few hundred thousand same scores are looked up in it, which is many times faster than the other way round.
    values, how_often = np.unique(same, return_counts=True)
    at_most, under = np.zeros((2, len(values)), np.int64)
    count = 0
    for different in _different(rows, speaker, block):
        if not len(different):
            continue
        different.sort()
        if np.isnan(different[-1]):
            raise ValueError("a score is not a number")
        place = np.searchsorted(different, values, "right")
        at_most += place
        tied = np.flatnonzero(
            different[np.maximum(place - 1, 0)] == values
        )  # as good as never, but for copies of a recording
        place[tied] = np.searchsorted(different, values[tied], "left")
        under += place
        count += len(different)
    if not count:
        return {}
    # Of the different scores, how many lie between two neighbouring same ones: with the upper one, and with the lower one.
    below, not_above = (np.diff(of, prepend=0, append=count) for of in (at_most, under))
    # Share of different scores that are at least value j, and that are above it; share of same scores below value j.
    accepted, beyond = (np.append(1 - np.cumsum(places)[:-1] / count, 0.0) for places in (not_above, below))
    refused = np.append(0, np.cumsum(how_often)) / len(same)
    higher = 1 - refused  # share of same scores that are not below value j
    auc = float(below @ higher + not_above @ higher) / (2 * count)
    after = int(np.argmax(refused >= accepted))
    if not after or refused[after] < beyond[after - 1]:  # they cross at a different score between two same ones
        return {"eer": float(refused[after]), "auc": auc}
    gap, next_gap = accepted[after - 1] - refused[after - 1], beyond[after - 1] - refused[after]
    share = gap / (gap - next_gap)
    return {"eer": float(refused[after - 1] + share * (refused[after] - refused[after - 1])), "auc": auc}


def _same(rows: Float64, person: NDArray[Any], recording: NDArray[Any], block: int) -> Iterator[Float64]:
    """Scores of two recordings of one person, of `block` rows with all later ones, block after block."""
    for begin, cosine in _blocks(rows, block):
        own = slice(begin, begin + block)
        alike = (person[own, None] == person[begin:]) & (recording[own, None] != recording[begin:])
        yield cosine[alike & _later(cosine)]


def _different(rows: Float64, speaker: NDArray[Any], block: int) -> Iterator[Float64]:
    """Scores of two speakers, likewise."""
    for begin, cosine in _blocks(rows, block):
        yield cosine[(speaker[begin : begin + block, None] != speaker[begin:]) & _later(cosine)]


def _blocks(rows: Float64, block: int) -> Iterator[tuple[int, Float64]]:
    """The first of `block` rows, and their cosines with themselves and all later rows; the same bits whenever it is asked."""
    for begin in range(0, len(rows), block):
        yield begin, rows[begin : begin + block] @ rows[begin:].T


def _later(cosine: Float64) -> NDArray[np.bool_]:
    """Where the second of two rows comes after the first."""
    return np.arange(cosine.shape[1]) > np.arange(len(cosine))[:, None]


def trials(
    embeddings: NDArray[np.floating], persons: ArrayLike, speakers: ArrayLike, recordings: ArrayLike
) -> tuple[Float64, Float64]:
    """Cosines of all pairs of embeddings of one person, and of all pairs of different speakers.

    Args:
        embeddings: [N, E], not zero.
        persons: labels [N].
        speakers: labels [N]. Pairs of two persons of one speaker (a voice and its copy at another speed) are left out,
            because they are neither the same nor different.
        recordings: labels [N]. Pairs of one recording are left out.

    Returns:
        (same float64 [n], different float64 [m]), each pair once.
    """
    rows = np.asarray(embeddings, np.float64)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    one, other = np.triu_indices(len(rows), 1)
    person, speaker, recording = (np.asarray(labels) for labels in (persons, speakers, recordings))
    cosine = (rows @ rows.T)[one, other]
    same = (person[one] == person[other]) & (recording[one] != recording[other])
    return cosine[same], cosine[speaker[one] != speaker[other]]


def auc(same: ArrayLike, different: ArrayLike) -> float:
    """Area under the ROC: probability that a score of `same` is above one of `different`; ties count half (Mann–Whitney).

    Raises:
        ValueError: there is no score of one kind, or a score is NaN.
    """
    high, low = _scores(same, different)
    ordered = np.sort(low)
    below, not_above = np.searchsorted(ordered, high, "left"), np.searchsorted(ordered, high, "right")
    return float((below + not_above).sum() / (2 * len(high) * len(low)))


def eer(same: ArrayLike, different: ArrayLike) -> float:
    """Equal error rate: at the threshold where the share of refused `same` equals that of accepted `different`.

    Both rates change in steps; where they cross within a step, they are interpolated linearly.

    Raises:
        ValueError: there is no score of one kind, or a score is NaN.
    """
    high, low = (np.sort(scores) for scores in _scores(same, different))
    thresholds = np.append(np.unique(np.concatenate([high, low])), np.inf)
    refused = np.searchsorted(high, thresholds, "left") / len(high)
    accepted = 1 - np.searchsorted(low, thresholds, "left") / len(low)
    after = int(np.argmax(refused >= accepted))  # at infinity at the latest; never first, where all are accepted
    gap, next_gap = (accepted - refused)[[after - 1, after]]
    share = gap / (gap - next_gap)
    return float(refused[after - 1] + share * (refused[after] - refused[after - 1]))


def _scores(same: ArrayLike, different: ArrayLike) -> tuple[Float64, Float64]:
    high, low = np.asarray(same, np.float64).ravel(), np.asarray(different, np.float64).ravel()
    if not len(high) or not len(low):
        raise ValueError(f"{len(high)} scores of the same and {len(low)} of different speakers; both are needed")
    if np.isnan(high).any() or np.isnan(low).any():
        raise ValueError("a score is not a number")
    return high, low
