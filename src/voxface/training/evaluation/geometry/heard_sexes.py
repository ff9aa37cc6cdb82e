"""The sexes that a linear classifier hears in recordings, and the training recordings that baselines learn from."""

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs, Split
from voxface.training.evaluation.baselines.mean_faces import LinearSexClassifier
from voxface.training.evaluation.recordings import recordings_of
from voxface.training.evaluation.subject import BundleSubject


def fitted_on(pairs: Pairs, split: Split, most: int, *, faces: bool = True) -> NDArray[np.int32]:
    """Clean utterances of people of a split, with `faces` of those whose face is known; at most so many, drawn."""
    people = pairs.split(split)
    if faces:
        people = people[np.isfinite(pairs.coefficients[people]).all(1)]
    found = recordings_of(pairs, people)
    if len(found) <= most:
        return found
    return np.sort(np.random.default_rng(31).choice(found, most, replace=False))


def sexes_heard(
    pairs: Pairs, voices: BundleSubject, utterances: NDArray[np.int32], fit: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Sexes int64 [U], 0 female, 1 male, that are heard in utterances int32 [U] by what was learnt from others `fit`."""
    learnt = LinearSexClassifier.fit(voices.embeddings(fit), pairs.sexes[pairs.utterance_person[fit]])
    return learnt(voices.embeddings(utterances))
