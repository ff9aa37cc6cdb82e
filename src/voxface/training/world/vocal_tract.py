"""The vocal tract: a cascade of five moving formants, fixed upper resonances and a nasal pole–zero pair.

A per-sample recursion would be slow in numpy. Instead, short overlapping blocks of the source are filtered in the frequency
domain with the digital resonators (Klatt 1980) of their instant. Windows that sum to one cross-fade from each filter to
the next.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SPEED_OF_SOUND_CM_S: Final = 35_300.0
"""Speed of sound in the warm, moist air of the tract, cm/s."""

_HOPS_PER_TRANSFORM: Final = 16  # 2 hops of source and 14 (about 56 ms) in which the resonances die out
_HIGHEST: Final = 0.475  # share of the sample rate; a pole nearer to Nyquist would interact with its mirror image
_BLOCKS_AT_ONCE: Final = 256  # bounds the memory for any length of speech


@dataclass(frozen=True)
class TractShape:
    """Shape of the tract over time; K frames of equal length.

    Attributes:
        frame_rate: frames per second.
        formants_hz: float64 [K, 5].
        bandwidths_hz: float64 [K, 5].
        nasal_pole_hz: resonance of the nasal cavity.
        nasal_zero_hz: float64 [K], equal to the pole while the velum is closed, so that both cancel.
        length_cm: length from glottis to lips, which determines the resonances above the fifth.
    """

    frame_rate: float
    formants_hz: NDArray[np.float64]
    bandwidths_hz: NDArray[np.float64]
    nasal_pole_hz: float
    nasal_zero_hz: NDArray[np.float64]
    length_cm: float


def filter_source(source: NDArray[np.float64], shape: TractShape, sample_rate: int) -> NDArray[np.float64]:
    """Filters a source, float64 [N], through the moving tract; returns float64 [N]."""
    hop = 1 << round(np.log2(sample_rate * 0.004))
    size = _HOPS_PER_TRANSFORM * hop
    count = len(source) // hop + 2
    padded = np.zeros((count + 1) * hop)
    padded[hop : hop + len(source)] = source
    window = np.hanning(2 * hop + 1)[:-1]
    delay = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)  # z⁻¹ on the unit circle
    fixed = _fixed_resonances(shape, delay, sample_rate)
    frame = np.minimum(np.arange(count) * (hop / sample_rate * shape.frame_rate), len(shape.formants_hz) - 1.0)
    frame = frame.round().astype(np.int64)

    out = np.zeros((count + _HOPS_PER_TRANSFORM, hop))
    for first in range(0, count, _BLOCKS_AT_ONCE):
        last = min(first + _BLOCKS_AT_ONCE, count)
        blocks = np.stack([padded[first * hop : last * hop], padded[(first + 1) * hop : (last + 1) * hop]])
        blocks = blocks.reshape(2, last - first, hop).transpose(1, 0, 2).reshape(last - first, 2 * hop) * window
        response = fixed / _moving_denominator(shape, frame[first:last], delay, sample_rate)
        filtered = np.fft.irfft(np.fft.rfft(blocks, size) * response, size)
        for part in range(_HOPS_PER_TRANSFORM):
            out[first + part : last + part] += filtered[:, part * hop : (part + 1) * hop]
    return out.reshape(-1)[hop : hop + len(source)]


def _moving_denominator(
    shape: TractShape, frame: NDArray[np.int64], delay: NDArray[np.complex128], sample_rate: int
) -> NDArray[np.complex128]:
    """Product of the formants' inverse responses, divided by the nasal zero's; [frames, bins]."""
    product: NDArray[np.complex128] = 1 / _inverse_resonator(shape.nasal_zero_hz[frame], 100.0, delay, sample_rate)
    for formant in range(shape.formants_hz.shape[1]):
        centre = np.minimum(shape.formants_hz[frame, formant], _HIGHEST * sample_rate)
        bandwidth = shape.bandwidths_hz[frame, formant]
        product *= _inverse_resonator(centre, bandwidth, delay, sample_rate)
    return product


def _fixed_resonances(shape: TractShape, delay: NDArray[np.complex128], sample_rate: int) -> NDArray[np.complex128]:
    """The nasal pole and the resonances of a uniform tube above the fifth, up to the Nyquist frequency; [bins].

    Without the upper resonances, the envelope between the fifth formant and Nyquist would fall too steeply.
    """
    response: NDArray[np.complex128] = (
        1 / _inverse_resonator(np.array([shape.nasal_pole_hz]), 100.0, delay, sample_rate)[0]
    )
    number = 6
    while (centre := (2 * number - 1) * SPEED_OF_SOUND_CM_S / (4 * shape.length_cm)) < _HIGHEST * sample_rate:
        response = response / _inverse_resonator(np.array([centre]), 0.08 * centre, delay, sample_rate)[0]
        number += 1
    return response


def _inverse_resonator(
    centre_hz: NDArray[np.float64],
    bandwidth_hz: NDArray[np.float64] | float,
    delay: NDArray[np.complex128],
    sample_rate: int,
) -> NDArray[np.complex128]:
    """(1 − b z⁻¹ − c z⁻²) / (1 − b − c): inverse of a digital resonator with unit gain at 0 Hz; [frames, bins]."""
    radius = np.exp(-np.pi * np.asarray(bandwidth_hz) / sample_rate)
    b = 2 * radius * np.cos(2 * np.pi * centre_hz / sample_rate)
    c = -(radius**2)
    gain = 1 - b - c
    inverse = -(b / gain)[:, None] * delay - (c / gain * np.ones_like(b))[:, None] * delay**2
    inverse += (1 / gain)[:, None]
    return np.asarray(inverse)
