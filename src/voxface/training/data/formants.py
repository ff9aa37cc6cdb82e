"""Formants moved without the pitch: another vocal tract on the same larynx, which is another speaker.

Speed alone gives few new voices: those of larger and smaller people, pitch and formants along one line. Here the spectral
envelope of each short piece is stretched along the frequencies and the harmonics stay where they are. What that leaves of
traces does no harm where a teacher is asked anew about the sound: it hears them too.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SIZE: Final = 512  # samples of a piece, 32 ms
_HOP: Final = 128
# Quefrencies (samples) that make the envelope: all of the first number, fewer and fewer up to the second, which is the period
# of a voice of 330 Hz. With half as many, narrow formants hardly move.
_SMOOTH: Final = (32, 48)
_MOST: Final = np.log(10.0) * 18 / 20  # largest gain or loss, 18 dB


def move_formants(samples: NDArray[np.int16], factor: float) -> NDArray[np.int16]:
    """Speech int16 [n] at 16 kHz with every formant at `factor` times its frequency, its pitch and length unchanged.

    The envelope is the spectrum smoothed by its cepstrum (Oppenheim & Schafer 1968).

    Args:
        factor: above 1 for a shorter vocal tract.
    """
    if factor == 1.0 or not len(samples):
        return samples
    window = np.sqrt(np.hanning(_SIZE + 1)[:-1])
    padded = np.pad(samples.astype(np.float64), (_SIZE - _HOP, _SIZE - _HOP + -len(samples) % _HOP))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::_HOP]
    spectra = np.fft.rfft(pieces * window)
    loudness = np.log(np.abs(spectra) + 1.0)  # 1 of 32,768, so that silence has no envelope
    lifter = np.zeros(_SIZE // 2 + 1)
    lifter[: _SMOOTH[0]] = 1
    lifter[slice(*_SMOOTH)] = np.cos(np.linspace(0, np.pi / 2, _SMOOTH[1] - _SMOOTH[0])) ** 2
    cepstrum = np.fft.irfft(loudness)
    envelope = np.fft.rfft(cepstrum * np.concatenate([lifter, lifter[-2:0:-1]])).real
    bins = np.arange(_SIZE // 2 + 1)
    source = np.minimum(bins / factor, bins[-1])
    low = np.minimum(source.astype(np.int64), len(bins) - 2)
    part = source - low
    moved = envelope[:, low] * (1 - part) + envelope[:, low + 1] * part
    spectra *= np.exp(np.clip(moved - envelope, -_MOST, _MOST))
    shares = np.fft.irfft(spectra) * (window * (2 * _HOP / _SIZE))
    out = np.zeros(len(padded))
    for k in range(_SIZE // _HOP):  # pieces that do not overlap, one set after another
        own = shares[k :: _SIZE // _HOP]
        begin = k * _HOP
        out[begin : begin + own.size] += own.ravel()
    kept = out[_SIZE - _HOP : _SIZE - _HOP + len(samples)]
    return np.clip(np.rint(kept), -32768, 32767).astype(np.int16)
