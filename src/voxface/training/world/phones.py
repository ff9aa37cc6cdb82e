"""Phones of the pseudo-language: formant targets of an adult male, noise spectra, and relative frequencies.

Vowel formants: Peterson & Barney 1952, Table II (men). Consonant targets: after Klatt 1980, with F2 of
the stops moved to the loci of Delattre, Liberman & Cooper 1955. Frication: coarse shapes after Stevens 1998,
*Acoustic Phonetics*; levels set by eye against spectrograms of read speech.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

Formants = tuple[float, float, float]
Manner = Literal["stop", "fricative", "nasal", "approximant", "aspirate"]


@dataclass(frozen=True)
class SpectralPeak:
    """One broad peak of a noise spectrum; Gaussian in frequency, Hz, with a gain in dB relative to the other peaks."""

    centre_hz: float
    width_hz: float
    gain_db: float = 0.0


@dataclass(frozen=True)
class Frication:
    """Noise made at a constriction: level relative to full voicing (dB), and spectrum at the lips."""

    level_db: float
    peaks: tuple[SpectralPeak, ...]


@dataclass(frozen=True)
class Vowel:
    """A vowel: one target of F1 … F3 in Hz, or two for a diphthong; `weight` is its relative frequency."""

    symbol: str
    targets: tuple[Formants, ...]
    duration_s: float
    weight: float


@dataclass(frozen=True)
class Consonant:
    """A consonant.

    Attributes:
        locus: target F1 … F3 of the tract, Hz.
        coarticulation: share of the neighbouring vowel in F2 and F3, 0 (none) to 1 (all).
        duration_s: length of closure, constriction or glide, without the aspiration.
        aspiration_s: time from release to the onset of voicing.
        onset_weight, coda_weight: relative frequency before and after the vowel.
    """

    symbol: str
    manner: Manner
    voiced: bool
    locus: Formants
    coarticulation: float
    duration_s: float
    onset_weight: float
    coda_weight: float
    aspiration_s: float = 0.0
    frication: Frication | None = None


_IY, _IH, _EH, _AE = (270.0, 2290.0, 3010.0), (390.0, 1990.0, 2550.0), (530.0, 1840.0, 2480.0), (660.0, 1720.0, 2410.0)
_AH, _AA, _AO = (640.0, 1190.0, 2390.0), (730.0, 1090.0, 2440.0), (570.0, 840.0, 2410.0)
_UH, _UW, _ER = (440.0, 1020.0, 2240.0), (300.0, 870.0, 2240.0), (490.0, 1350.0, 1690.0)

NEUTRAL: Final[Formants] = (500.0, 1500.0, 2500.0)
"""F1 … F3 of a tract at rest, Hz."""

VOWELS: Final = (
    Vowel("i", (_IY,), 0.105, 9),
    Vowel("ɪ", (_IH,), 0.075, 11),
    Vowel("ɛ", (_EH,), 0.085, 9),
    Vowel("æ", (_AE,), 0.12, 8),
    Vowel("ʌ", (_AH,), 0.08, 10),
    Vowel("ɑ", (_AA,), 0.12, 8),
    Vowel("ɔ", (_AO,), 0.115, 5),
    Vowel("ʊ", (_UH,), 0.075, 4),
    Vowel("u", (_UW,), 0.105, 6),
    Vowel("ɝ", (_ER,), 0.11, 4),
    Vowel("aɪ", (_AA, _IH), 0.15, 6),
    Vowel("eɪ", (_EH, _IY), 0.13, 6),
    Vowel("aʊ", (_AE, _UH), 0.15, 3),
    Vowel("oʊ", (_AO, _UH), 0.13, 5),
)

_LABIAL_BURST = (SpectralPeak(700.0, 700.0), SpectralPeak(3000.0, 2500.0, -10.0))
_ALVEOLAR_BURST = (SpectralPeak(4200.0, 1100.0), SpectralPeak(6500.0, 1200.0, -4.0))
_VELAR_BURST = (SpectralPeak(1900.0, 350.0), SpectralPeak(4200.0, 700.0, -10.0))
_SIBILANT = (SpectralPeak(5300.0, 800.0), SpectralPeak(7000.0, 1000.0, -3.0), SpectralPeak(4000.0, 500.0, -9.0))
_HUSHING = (SpectralPeak(2800.0, 450.0), SpectralPeak(4000.0, 600.0, -3.0), SpectralPeak(5500.0, 1000.0, -9.0))
_LABIODENTAL = (SpectralPeak(6500.0, 2200.0), SpectralPeak(2500.0, 2000.0, -8.0))
_DENTAL = (SpectralPeak(6000.0, 1800.0), SpectralPeak(2500.0, 1500.0, -9.0))

CONSONANTS: Final = (
    Consonant("p", "stop", False, (250.0, 1000.0, 2150.0), 0.6, 0.075, 4, 2, 0.035, Frication(-15, _LABIAL_BURST)),
    Consonant("t", "stop", False, (250.0, 1700.0, 2650.0), 0.35, 0.065, 9, 9, 0.045, Frication(-9, _ALVEOLAR_BURST)),
    Consonant("k", "stop", False, (250.0, 1900.0, 2500.0), 0.65, 0.065, 6, 4, 0.055, Frication(-9, _VELAR_BURST)),
    Consonant("b", "stop", True, (220.0, 950.0, 2150.0), 0.6, 0.065, 5, 1, 0.005, Frication(-17, _LABIAL_BURST)),
    Consonant("d", "stop", True, (220.0, 1700.0, 2650.0), 0.35, 0.055, 7, 5, 0.008, Frication(-12, _ALVEOLAR_BURST)),
    Consonant("ɡ", "stop", True, (220.0, 1900.0, 2500.0), 0.65, 0.06, 4, 1, 0.015, Frication(-12, _VELAR_BURST)),
    Consonant("f", "fricative", False, (340.0, 1100.0, 2080.0), 0.5, 0.1, 3, 1, 0.0, Frication(-23, _LABIODENTAL)),
    Consonant("θ", "fricative", False, (320.0, 1290.0, 2540.0), 0.4, 0.09, 1, 1, 0.0, Frication(-26, _DENTAL)),
    Consonant("s", "fricative", False, (320.0, 1390.0, 2530.0), 0.3, 0.11, 7, 6, 0.0, Frication(-10, _SIBILANT)),
    Consonant("ʃ", "fricative", False, (300.0, 1840.0, 2750.0), 0.3, 0.11, 2, 1, 0.0, Frication(-9, _HUSHING)),
    Consonant("v", "fricative", True, (220.0, 1100.0, 2080.0), 0.5, 0.065, 3, 3, 0.0, Frication(-31, _LABIODENTAL)),
    Consonant("ð", "fricative", True, (270.0, 1290.0, 2540.0), 0.4, 0.05, 6, 0, 0.0, Frication(-34, _DENTAL)),
    Consonant("z", "fricative", True, (240.0, 1390.0, 2530.0), 0.3, 0.08, 2, 5, 0.0, Frication(-16, _SIBILANT)),
    Consonant("m", "nasal", True, (300.0, 1100.0, 2130.0), 0.45, 0.075, 6, 5),
    Consonant("n", "nasal", True, (300.0, 1500.0, 2470.0), 0.3, 0.065, 8, 12),
    Consonant("ŋ", "nasal", True, (300.0, 1900.0, 2600.0), 0.5, 0.075, 0, 3),
    Consonant("l", "approximant", True, (310.0, 1050.0, 2880.0), 0.25, 0.065, 6, 6),
    Consonant("ɹ", "approximant", True, (310.0, 1060.0, 1380.0), 0.2, 0.07, 6, 5),
    Consonant("w", "approximant", True, (290.0, 610.0, 2150.0), 0.15, 0.07, 5, 0),
    Consonant("j", "approximant", True, (260.0, 2070.0, 3020.0), 0.15, 0.065, 2, 0),
    Consonant("h", "aspirate", False, (450.0, 1500.0, 2500.0), 1.0, 0.065, 4, 0),
)

_ONSET_PROBABILITY: Final = 0.9
_CODA_PROBABILITY: Final = 0.35
_VOWEL_SHARES: Final = [vowel.weight for vowel in VOWELS]
_ONSET_SHARES: Final = [consonant.onset_weight for consonant in CONSONANTS]
_CODA_SHARES: Final = [consonant.coda_weight for consonant in CONSONANTS]


@dataclass(frozen=True)
class Syllable:
    """A syllable of the shape (C)V(C)."""

    onset: Consonant | None
    nucleus: Vowel
    coda: Consonant | None
    stressed: bool


def draw_syllable(rng: np.random.Generator, stressed: bool) -> Syllable:
    """A random (C)V(C) syllable; phones occur with probabilities proportional to their weights."""
    with_onset, with_coda = rng.random() < _ONSET_PROBABILITY, rng.random() < _CODA_PROBABILITY
    onset = CONSONANTS[_draw(rng, _ONSET_SHARES)]
    nucleus = VOWELS[_draw(rng, _VOWEL_SHARES)]
    coda = CONSONANTS[_draw(rng, _CODA_SHARES)]
    return Syllable(onset if with_onset else None, nucleus, coda if with_coda else None, stressed)


def _draw(rng: np.random.Generator, shares: list[float]) -> int:
    return int(np.searchsorted(np.cumsum(shares), rng.random() * sum(shares), side="right"))
