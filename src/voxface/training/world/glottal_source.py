"""The voice source: a train of Liljencrants–Fant (LF) glottal pulses with jitter and shimmer.

The signal is the *derivative* of the glottal flow, which includes the +6 dB/octave of radiation at the lips.
Sources: Fant, Liljencrants & Lin 1985 (the model); Fant 1995 (the single shape parameter Rd).
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

RD_LOWEST: Final = 0.3
RD_HIGHEST: Final = 2.6

_SHAPES: Final = 47  # shapes of the table, evenly spaced in Rd
_PHASES: Final = 4096  # points per cycle
_OVERSAMPLING: Final = 4  # the discontinuity at closure has energy far above Nyquist and would alias


@dataclass(frozen=True)
class GlottalSource:
    """Source signals, one value per sample.

    Attributes:
        flow_derivative: float64 [N], −1 at the instant of strongest excitation of a cycle without shimmer.
        opening: float64 [N], 0 (glottis closed) to 1 (widest open); aspiration noise follows it.
    """

    flow_derivative: NDArray[np.float64]
    opening: NDArray[np.float64]


def open_quotient(rd: float) -> float:
    """Share of the cycle from opening to the instant of strongest excitation, for a pulse of shape `rd`."""
    _, rk, rg = _ratios(np.array([rd]))
    return float((1 + rk[0]) / (2 * rg[0]))


def glottal_source(
    f0_hz: NDArray[np.float64],
    rd: NDArray[np.float64],
    *,
    jitter: float,
    shimmer: float,
    rng: np.random.Generator,
    sample_rate: int,
) -> GlottalSource:
    """A train of glottal pulses.

    Args:
        f0_hz: float64 [N], fundamental frequency at every sample.
        rd: float64 [N], pulse shape at every sample, kept within `RD_LOWEST` … `RD_HIGHEST`.
        jitter: standard deviation of the period, relative to the period.
        shimmer: standard deviation of the amplitude of a cycle, relative to the amplitude.
        rng: source of jitter and shimmer.
        sample_rate: Hz.
    """
    count = len(f0_hz)
    padded = _fast_length(count + 64)  # room for the decimation filter to ring without wrapping round
    fine = np.arange(padded * _OVERSAMPLING) / _OVERSAMPLING
    cycles = np.concatenate([[0.0], np.cumsum(np.pad(f0_hz, (0, padded - count), mode="edge")) / sample_rate])
    position = np.interp(fine, np.arange(padded + 1), cycles)

    closures = np.arange(int(position[-1]) + 3)
    moved = closures + np.clip(jitter / np.sqrt(2) * rng.standard_normal(len(closures)), -0.1, 0.1)
    position = np.maximum(np.interp(position, moved, closures), 0.0)
    cycle = position.astype(np.int64)
    amplitude = 1 + np.clip(shimmer * rng.standard_normal(len(closures)), -0.4, 0.4)
    starts = np.interp(closures, cycles, np.arange(padded + 1))  # the shape is constant within a cycle
    shape = np.interp(starts, np.arange(count), rd)

    table = _pulse_table()
    row = (np.clip(shape, RD_LOWEST, RD_HIGHEST) - RD_LOWEST) / (RD_HIGHEST - RD_LOWEST) * (_SHAPES - 1)
    lower = np.minimum(row.astype(np.int64), _SHAPES - 2)
    part = (row - lower)[cycle]
    column = np.minimum(((position - cycle) * _PHASES).astype(np.int64), _PHASES - 1)
    lower = lower[cycle]
    pulses = ((1 - part) * table[lower, column] + part * table[lower + 1, column]) * amplitude[cycle]

    at_rate = position[::_OVERSAMPLING][:count]
    phase = at_rate - np.floor(at_rate)
    opened = np.array([open_quotient(value) for value in np.linspace(RD_LOWEST, RD_HIGHEST, _SHAPES)])
    quotient = np.interp(row, np.arange(_SHAPES), opened)[at_rate.astype(np.int64)]
    opening = np.where(phase < quotient, np.sin(np.pi * np.minimum(phase / quotient, 1.0)) ** 2, 0.0)
    return GlottalSource(_decimate(pulses, padded)[:count], opening)


def _ratios(rd: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Ra, Rk and Rg as predicted from Rd (Fant 1995)."""
    ra = (-1 + 4.8 * rd) / 100
    rk = (22.4 + 11.8 * rd) / 100
    rg = rk / (4 * (0.11 * rd / (0.5 + 1.2 * rk) - ra))
    return ra, rk, rg


@cache
def _pulse_table() -> NDArray[np.float64]:
    """One cycle of flow derivative per shape, [shapes, phases], with time in cycles and the excitation at −1."""
    ta, rk, rg = _ratios(np.linspace(RD_LOWEST, RD_HIGHEST, _SHAPES))
    omega = 2 * np.pi * rg
    te = (1 + rk) / (2 * rg)
    rest = 1 - te
    epsilon = 1 / ta
    for _ in range(100):  # epsilon · ta = 1 − exp(−epsilon · rest), by fixed point
        epsilon = (1 - np.exp(-epsilon * rest)) / ta
    return_area = -((1 - np.exp(-epsilon * rest)) / epsilon - rest * np.exp(-epsilon * rest)) / (epsilon * ta)

    def open_area(alpha: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = -1 / np.sin(omega * te)  # with exp(−alpha · te) taken into the integral
        integral = alpha * np.sin(omega * te) - omega * np.cos(omega * te) + omega * np.exp(-alpha * te)
        return np.asarray(scale * integral / (alpha**2 + omega**2))

    # the flow returns to its start: the growth rate alpha makes both areas cancel
    low, high = np.full(_SHAPES, -20.0), np.full(_SHAPES, 200.0)
    for _ in range(80):
        middle = (low + high) / 2
        too_slow = open_area(middle) + return_area > 0
        low, high = np.where(too_slow, middle, low), np.where(too_slow, high, middle)
    alpha = ((low + high) / 2)[:, None]

    phase = (np.arange(_PHASES) + 0.5) / _PHASES
    te, omega, epsilon, ta, rest = (value[:, None] for value in (te, omega, epsilon, ta, rest))
    opening = -np.exp(alpha * (np.minimum(phase, te) - te)) * np.sin(omega * phase) / np.sin(omega * te)
    returning = -(np.exp(-epsilon * np.maximum(phase - te, 0)) - np.exp(-epsilon * rest)) / (epsilon * ta)
    return np.where(phase <= te, opening, returning)


def _decimate(pulses: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(pulses)[: count // 2 + 1]
    bins = len(spectrum)
    edge = bins // 20
    spectrum[-edge:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, edge + 1) / edge)
    return np.fft.irfft(spectrum, count) / _OVERSAMPLING


def _fast_length(count: int) -> int:
    """The smallest length of the form 2^a · {1, 1.25, 1.5} · 8 that holds `count`, for a fast FFT."""
    power = 8
    while power * 2 < count:
        power *= 2
    return next(length for length in (power, power * 5 // 4, power * 3 // 2, power * 2) if length >= count)
