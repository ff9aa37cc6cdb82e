"""Speaker verification, "are two recordings of one speaker?": scores of pairs, equal error rate (EER), area under the ROC."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]


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
