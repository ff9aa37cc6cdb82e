"""The trained numbers of the speaker change detector: a small network, the weights of the evidence, and the threshold."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
FRAMES: Final = 5  # frames the network's first layer sees at once
TAPS: Final = (FRAMES, 3, 3, 1)  # rows of its input that each layer takes, but the last, which takes mean and spread
LARGEST: Final = 1e6  # of a weight, or of a number in a layer
CEPSTRA: Final = 12  # cepstra compared, 1 to 12


@dataclass(frozen=True, eq=False)
class SpeakerChangeWeights:
    """The trained detector: a logistic regression on the differences between two parts of a window, and a network.

    Attributes:
        encoder: weight of the disagreement of the voice encoder's frame embeddings.
        speaker_embedding: weight of the disagreement of the speaker embeddings.
        loudness: weight of the difference in loudness.
        cepstra: weights of the differences in cepstra 1 to 12.
        bias: the logit of parts that do not differ.
        threshold: evidence above it means another speaker.
        layers: the speaker embedding network: weight float32 [taps × in, out] and bias float32 [out] of five layers.
    """

    encoder: float
    speaker_embedding: float
    loudness: float
    cepstra: tuple[float, ...]
    bias: float
    threshold: float
    layers: Layers

    def __post_init__(self) -> None:
        numbers = (self.encoder, self.speaker_embedding, self.loudness, *self.cepstra, self.bias, self.threshold)
        if len(self.cepstra) != CEPSTRA:
            raise ValueError(f"{len(self.cepstra)} weights of cepstra, not {CEPSTRA}")
        check_weights(numbers)
        check_layers(self.layers)

    @cached_property
    def of_differences(self) -> NDArray[np.float64]:
        """The weights float64 [15] in the order of `voxface.runtime.live.speaker_change.Differences`."""
        return np.array((self.encoder, self.speaker_embedding, self.loudness, *self.cepstra))


def check_weights(numbers: Iterable[float]) -> None:
    """Raises ValueError unless these are finite and of a size that arithmetic can take."""
    if not all(-LARGEST < number < LARGEST for number in numbers):  # false for NaN
        raise ValueError(f"weights of the speaker change detector are not finite, or beyond ±{LARGEST:,.0f}")


def check_layers(layers: Layers) -> None:
    """Raises ValueError unless the layers fit each other as those of the speaker embedding network must."""
    if len(layers) != len(TAPS) + 1:
        raise ValueError(f"{len(layers)} layers, not {len(TAPS) + 1}")
    width: int | None = None  # numbers that the layer before gives; any count of mel bins for the first
    for index, (weight, bias) in enumerate(layers):
        taps = (*TAPS, 2)[index]
        if weight.ndim != 2 or bias.shape != weight.shape[1:] or not weight.size:
            raise ValueError(f"layer {index}: weight {list(weight.shape)} does not go with bias {list(bias.shape)}")
        rows = len(weight)
        if rows % taps or (width is not None and rows != taps * width):
            raise ValueError(f"layer {index} takes {rows} numbers, not {taps} × {width or 'the mel bins'}")
        if not all(-LARGEST < array.min() and array.max() < LARGEST for array in (weight, bias)):  # false for NaN
            raise ValueError(f"layer {index} holds NaN or infinity, or numbers beyond ±{LARGEST:,.0f}")
        width = weight.shape[1]
