"""Synthetic music: known instruments, scales and rhythms, a clip from a seed.

It is no recording of anybody's music. Ten styles take turns; each clip draws its key, tempo, timbre, tuning, room and level.
None of the voices has formants that move: what sings here sings one vowel.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE

Float64 = NDArray[np.float64]

_SCALES: Final = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
_CHORDS: Final = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 7, 10), (0, 5, 7))


def music(seed: int, seconds: float = 6.0) -> NDArray[np.int16]:
    """A clip int16 [n] at 16 kHz; its style is `STYLES[seed % 10]`."""
    rng = np.random.default_rng([seed, 440])
    count = int(seconds * SAMPLE_RATE)
    sound = _STYLES[seed % len(_STYLES)](rng, count)
    if rng.random() < 0.5:
        sound = _room(sound, rng)
    level = rng.uniform(-30, -12)  # dB of full scale
    sound *= 32768 * 10 ** (level / 20) / (np.sqrt((sound**2).mean()) + 1e-12)
    return np.clip(np.rint(sound + rng.normal(0, rng.uniform(0.3, 3), count)), -32768, 32767).astype(np.int16)


# -- notes -----------------------------------------------------------------------------------------------------------------


def _hertz(pitch: float) -> float:
    return float(440 * 2 ** ((pitch - 69) / 12))


def _envelope(count: int, attack: float, decay: float, sustain: float, release: float) -> Float64:
    """Attack, decay, sustain, release, in seconds and a share of the peak; float64 [count]."""
    t = np.arange(count) / SAMPLE_RATE
    end = count / SAMPLE_RATE
    rise = np.minimum(1, t / max(attack, 1e-3))
    fall = sustain + (1 - sustain) * np.exp(-np.maximum(0, t - attack) / max(decay, 1e-3))
    return rise * fall * np.clip((end - t) / max(release, 1e-3), 0, 1)


def _tone(hertz: float | Float64, weights: Float64, stretch: float = 0.0) -> Float64:
    """Harmonics of a pitch float64 [n] (or one number a clip), `weights` [n] or [H] each, as a string that is stiff."""
    pitch = np.asarray(hertz, np.float64)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    out = np.zeros(len(phase))
    for k, weight in enumerate(weights, 1):
        factor = k * np.sqrt(1 + stretch * k * k)
        out += weight * np.sin(factor * phase) * (pitch * factor < 0.45 * SAMPLE_RATE)
    return out


def _vibrato(pitch: float, count: int, rng: np.random.Generator, depth: float = 0.4) -> Float64:
    """Hertz float64 [count] about a pitch: 4.5 to 7 Hz, up to `depth` semitones, coming in after the attack."""
    t = np.arange(count) / SAMPLE_RATE
    swing = depth * rng.uniform(0.3, 1) * np.sin(2 * np.pi * rng.uniform(4.5, 7) * t + rng.uniform(0, 6))
    bend = pitch + swing * np.minimum(1, t / 0.3) - rng.uniform(0, 1) * np.exp(-t / 0.04)
    out: Float64 = 440 * 2 ** ((bend - 69) / 12)
    return out


class _Instrument:
    """A timbre drawn once a clip: how its harmonics fall off, its body, its envelope."""

    def __init__(self, rng: np.random.Generator, kind: str) -> None:
        self._rng = rng
        order = np.arange(1, 25)
        self._stretch = 0.0
        self._swing = 0.0
        if kind == "struck":  # piano, guitar, bells
            self._weights = order ** -rng.uniform(0.8, 2.0) * np.abs(np.sin(np.pi * order * rng.uniform(0.1, 0.45)))
            self._shape = (0.004, rng.uniform(0.15, 1.2), 0.0, 0.05)
            self._stretch = rng.choice([0, 3e-4, 2e-3])
        elif kind == "bowed":
            self._weights = order ** -rng.uniform(0.6, 1.3) * (1 + 0.8 * np.sin(order * rng.uniform(0.5, 2)))
            self._shape = (rng.uniform(0.05, 0.2), 0.3, 0.8, 0.1)
            self._swing = 0.4
        elif kind == "blown":
            odd = np.where(order % 2, 1.0, rng.uniform(0.05, 0.8))
            self._weights = odd * order ** -rng.uniform(1, 2.5)
            self._shape = (rng.uniform(0.02, 0.08), 0.2, 0.9, 0.06)
            self._swing = 0.25
        else:  # organ, synthesiser
            self._weights = rng.random(24) * (order <= rng.integers(3, 24)) * order ** -rng.uniform(0, 1.2)
            self._weights[0] = 1
            self._shape = (rng.uniform(0.005, 0.1), 0.3, rng.uniform(0.4, 1), 0.03)

    def note(self, pitch: float, count: int) -> Float64:
        """A note of `count` samples."""
        hertz = _vibrato(pitch, count, self._rng, self._swing) if self._swing else np.full(count, _hertz(pitch))
        return _tone(hertz, self._weights, self._stretch) * _envelope(count, *self._shape)


def _add(out: Float64, at: int, sound: Float64, loud: float = 1.0) -> None:
    end = min(len(out), at + len(sound))
    if end > at:
        out[at:end] += loud * sound[: end - at]


def _room(sound: Float64, rng: np.random.Generator) -> Float64:
    """Exponentially falling noise as a room's response."""
    length = int(rng.uniform(0.1, 0.6) * SAMPLE_RATE)
    response = rng.normal(size=length) * np.exp(-6 * np.arange(length) / length) * 0.06
    response[0] = 1
    size = 1 << (len(sound) + length).bit_length()
    wet: Float64 = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]
    return wet


# -- parts -----------------------------------------------------------------------------------------------------------------


def _key(rng: np.random.Generator) -> tuple[int, tuple[int, ...], int]:
    """Root in semitones above C, scale, samples a beat (60 to 180 beats a minute)."""
    return int(rng.integers(12)), _SCALES[int(rng.integers(len(_SCALES)))], int(SAMPLE_RATE * 60 / rng.uniform(60, 180))


def _melody(rng: np.random.Generator, count: int, kind: str, low: int, high: int, legato: float = 1.0) -> Float64:
    """A walk over a scale between two MIDI pitches, in eighths, quarters and halves, with rests."""
    root, scale, beat = _key(rng)
    ladder = [p for p in range(low, high) if (p - root) % 12 in scale]
    player, out = _Instrument(rng, kind), np.zeros(count)
    at, place = 0, int(rng.integers(len(ladder)))
    while at < count:
        length = int(beat * rng.choice([0.5, 0.5, 1, 1, 2]))
        place = int(np.clip(place + rng.integers(-3, 4), 0, len(ladder) - 1))
        if rng.random() > 0.12:
            _add(out, at, player.note(ladder[place], max(800, int(legato * length))), rng.uniform(0.5, 1))
        at += length
    return out


def _harmony(rng: np.random.Generator, count: int, kind: str, strum: float = 0.0) -> Float64:
    """A chord every two or four beats."""
    root, scale, beat = _key(rng)
    player, out, at = _Instrument(rng, kind), np.zeros(count), 0
    while at < count:
        length = int(beat * rng.choice([1, 2, 4]))
        base = 48 + root + int(rng.choice(scale))
        for k, step in enumerate(_CHORDS[int(rng.integers(len(_CHORDS)))]):
            _add(out, at + int(strum * k * SAMPLE_RATE), player.note(base + step, length), 0.5)
        at += length
    return out


def _drums(rng: np.random.Generator, count: int) -> Float64:
    """Bass drum, snare and hi-hat over a pattern of sixteen steps."""
    beat = int(SAMPLE_RATE * 60 / rng.uniform(70, 170))
    step, out = beat // 4, np.zeros(count)
    t = np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
    bass = np.sin(2 * np.pi * (50 * t + 8 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / rng.uniform(0.08, 0.2))
    rattle = rng.normal(size=len(t))
    snare = (0.6 * rattle + np.sin(2 * np.pi * 190 * t)) * np.exp(-t / rng.uniform(0.05, 0.15))
    hat = np.diff(rng.normal(size=len(t) + 1)) * np.exp(-t / rng.uniform(0.02, 0.08))
    pattern = rng.random((3, 16)) < np.array([[0.15], [0.1], [0.5]])
    pattern[0, [0, 8]], pattern[1, [4, 12]] = True, True
    for k, at in enumerate(range(0, count, step)):
        for drum, hits, loud in ((bass, pattern[0], 1.0), (snare, pattern[1], 0.7), (hat, pattern[2], 0.3)):
            if hits[k % 16]:
                _add(out, at, drum, loud * rng.uniform(0.7, 1))
    return out


# -- styles ----------------------------------------------------------------------------------------------------------------


def _piano(rng: np.random.Generator, count: int) -> Float64:
    return _melody(rng, count, "struck", 60, 84, 2.0) + 0.6 * _harmony(rng, count, "struck")


def _strings(rng: np.random.Generator, count: int) -> Float64:
    return _harmony(rng, count, "bowed") + 0.7 * _harmony(rng, count, "bowed")


def _fiddle(rng: np.random.Generator, count: int) -> Float64:
    return _melody(rng, count, "bowed", 55, 88)


def _flute(rng: np.random.Generator, count: int) -> Float64:
    breath = 0.02 * rng.normal(size=count)
    return _melody(rng, count, "blown", 60, 90) + breath


def _drum_solo(rng: np.random.Generator, count: int) -> Float64:
    return _drums(rng, count)


def _band(rng: np.random.Generator, count: int) -> Float64:
    low = _melody(rng, count, "plain", 28, 45)
    return _drums(rng, count) + 0.5 * low + 0.4 * _harmony(rng, count, "struck", 0.02) + 0.4 * _lead(rng, count)


def _lead(rng: np.random.Generator, count: int) -> Float64:
    return _melody(rng, count, str(rng.choice(["plain", "blown", "bowed"])), 57, 84)


def _arpeggio(rng: np.random.Generator, count: int) -> Float64:
    root, _, beat = _key(rng)
    player, out = _Instrument(rng, "plain"), np.zeros(count)
    chord = _CHORDS[int(rng.integers(len(_CHORDS)))]
    step = beat // int(rng.choice([2, 3, 4]))
    for k, at in enumerate(range(0, count, step)):
        octave, place = divmod(k % (2 * len(chord)), len(chord))
        _add(out, at, player.note(48 + root + chord[place] + 12 * octave, step))
    return out


def _guitar(rng: np.random.Generator, count: int) -> Float64:
    return _harmony(rng, count, "struck", 0.025) + 0.5 * _melody(rng, count, "struck", 52, 76, 1.5)


def _singer(rng: np.random.Generator, count: int) -> Float64:
    """One sung vowel: a source rich in harmonics, vibrato, gliding from note to note, without words."""
    root, scale, beat = _key(rng)
    ladder = [p for p in range(45, 76) if (p - root) % 12 in scale]
    place, pitch = int(rng.integers(3, len(ladder) - 3)), np.zeros(count)
    at = 0
    while at < count:
        length = int(beat * rng.choice([0.5, 1, 1, 2]))
        place = int(np.clip(place + rng.integers(-2, 3), 0, len(ladder) - 1))
        pitch[at : at + length] = ladder[place]
        at += length
    glide = int(0.06 * SAMPLE_RATE)
    pitch = np.convolve(np.pad(pitch, (glide, 0), "edge"), np.ones(glide) / glide, "valid")[:count]
    t = np.arange(count) / SAMPLE_RATE
    pitch = pitch + rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(5, 6.5) * t)
    swell = 0.75 + 0.25 * np.sin(2 * np.pi * rng.uniform(0.2, 0.8) * t)
    return (
        _tone(440 * 2 ** ((pitch - 69) / 12), np.asarray(np.arange(1, 40) ** -rng.uniform(0.8, 1.8), np.float64))
        * swell
    )


def _orchestra(rng: np.random.Generator, count: int) -> Float64:
    return _strings(rng, count) + 0.6 * _melody(rng, count, "blown", 55, 80) + 0.3 * _drums(rng, count)


_STYLES: Final[tuple[Callable[[np.random.Generator, int], Float64], ...]] = (
    _piano,
    _strings,
    _fiddle,
    _flute,
    _drum_solo,
    _band,
    _arpeggio,
    _guitar,
    _singer,
    _orchestra,
)
STYLES: Final = tuple(style.__name__.removeprefix("_") for style in _STYLES)
