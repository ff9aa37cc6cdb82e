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
    person, speaker, recording = (np.asarray(of) for of in (persons, speakers, recordings))
    same = np.concatenate([np.empty(0), *(scores for scores, _ in _blocks(rows, person, speaker, recording, block))])
    if not len(same):
        return {}
    if np.isnan(same).any():
        raise ValueError("a score is not a number")
    # Different scores are counted by their place among the distinct scores of the same persons: how many of these are below
    # them, and how many are not above.
    values, how_often = np.unique(same, return_counts=True)
    below, not_above = np.zeros((2, len(values) + 1), np.int64)
    for _, different in _blocks(rows, person, speaker, recording, block):
        if np.isnan(different).any():
            raise ValueError("a score is not a number")
        below += np.bincount(np.searchsorted(values, different, "left"), minlength=len(below))
        not_above += np.bincount(np.searchsorted(values, different, "right"), minlength=len(below))
    count = int(below.sum())
    if not count:
        return {}
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


def _blocks(
    rows: Float64, person: NDArray[Any], speaker: NDArray[Any], recording: NDArray[Any], block: int
) -> Iterator[tuple[Float64, Float64]]:
    """(same, different) scores of `block` rows with all later ones, block after block."""
    for begin in range(0, len(rows), block):
        own = slice(begin, begin + block)
        cosine = rows[own] @ rows[begin:].T
        later = np.arange(len(rows) - begin) > np.arange(len(cosine))[:, None]
        same = (person[own, None] == person[begin:]) & (recording[own, None] != recording[begin:]) & later
        yield cosine[same], cosine[(speaker[own, None] != speaker[begin:]) & later]


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
