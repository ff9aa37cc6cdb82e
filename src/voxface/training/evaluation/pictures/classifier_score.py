"""Classifier score of pictures: the Inception score (Salimans et al. 2016, §4) with a classifier of faces in Inception's place.

With VGGFace2's ResNet-50, it is the VGGFace score of SF2F (Bai et al. 2022). It is exp of the mean Kullback-Leibler divergence
of each picture's classes from the mean over pictures: high where each picture is clearly somebody, and many different ones. It
asks for nobody's likeness, so a method may score high with faces that have nothing to do with the voices.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
SPLITS: Final = 5  # as SF2F's published code


def classifier_score(probabilities: Float64, *, splits: int = SPLITS, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of the score over splits of the pictures; 1 is the least, the number of classes the most.

    Args:
        probabilities: float64 [N, C], of each class for each picture; rows sum to 1.
        splits: parts that the pictures, in random order, are cut into.

    Raises:
        ValueError: fewer pictures than splits, or rows that are no probabilities.
    """
    if len(probabilities) < splits:
        raise ValueError(f"{len(probabilities)} pictures cannot be cut into {splits} parts")
    if (probabilities < 0).any() or not np.allclose(probabilities.sum(1), 1, atol=1e-4):
        raise ValueError("rows are no probabilities")
    order = np.random.default_rng([seed, 47]).permutation(len(probabilities))
    scores = []
    for part in np.array_split(probabilities[order], splits):
        mean = part.mean(0)
        log = np.log(np.where(part > 0, part, 1)) - np.log(np.where(mean > 0, mean, 1))
        scores.append(float(np.exp((part * log).sum(1).mean())))
    return float(np.mean(scores)), float(np.std(scores))


def softmax(logits: Float64) -> Float64:
    """Probabilities float64 [N, C] of logits."""
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True), np.float64)
