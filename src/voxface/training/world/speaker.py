"""Speakers: anatomy and speaking habits, the parameters of a source–filter synthesiser."""

import math
from dataclasses import dataclass
from typing import Final, Literal, Self

import numpy as np

Sex = Literal["female", "male"]

REFERENCE_TRACT_CM: Final = 16.9
"""Vocal tract length of the adult male whose vowel formants are the reference, in cm."""

_SEXES: Final = ("female", "male")
# (mean, standard deviation) of each trait, by sex
F0_HZ: Final = {"female": (210.0, 25.0), "male": (120.0, 20.0)}
TRACT_CM: Final = {"female": (14.1, 0.6), "male": (16.9, 0.7)}
_RD: Final = {"female": (0.8, 0.16), "male": (0.6, 0.12)}
_BREATHINESS: Final = {"female": (0.4, 0.17), "male": (0.25, 0.15)}
_FORMANT_OFFSET: Final = (0.015, 0.02, 0.025, 0.03, 0.03)


@dataclass(frozen=True)
class Speaker:
    """One synthetic speaker.

    Attributes:
        sex: "female" or "male"; the voice depends only on the other fields.
        f0_hz: geometric mean of the fundamental frequency over voiced speech, Hz.
        f0_range_semitones: range of the intonation within a phrase, semitones.
        vocal_tract_length_cm: glottis to lips; every formant is proportional to its inverse.
        breathiness: strength of the aspiration noise during voicing, 0 (clear) to 1 (whispery).
        rd: shape of the glottal pulse (Fant 1995), 0.3 (pressed) to 2.2 (lax); it sets open quotient and spectral tilt
            together, because they are correlated in people.
        syllables_per_second: speaking rate within a phrase, pauses left out.
        nasality: velar leak in vowels, 0 (none) to 1 (strong).
        formant_offsets: relative deviation of F1 … F5 from uniform scaling by tract length.
        bandwidth_factor: multiplies every formant bandwidth.
    """

    sex: Sex
    f0_hz: float
    f0_range_semitones: float
    vocal_tract_length_cm: float
    breathiness: float = 0.3
    rd: float = 0.7
    syllables_per_second: float = 4.6
    nasality: float = 0.1
    formant_offsets: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    bandwidth_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.sex not in _SEXES:
            raise ValueError(f"sex must be 'female' or 'male', not {self.sex!r}")
        _require("f0_hz", self.f0_hz, 50.0, 500.0, "Hz")
        _require("f0_range_semitones", self.f0_range_semitones, 0.0, 24.0, "semitones")
        _require("vocal_tract_length_cm", self.vocal_tract_length_cm, 10.0, 22.0, "cm")
        _require("breathiness", self.breathiness, 0.0, 1.0)
        _require("rd", self.rd, 0.3, 2.2)
        _require("syllables_per_second", self.syllables_per_second, 1.0, 10.0, "syllables/s")
        _require("nasality", self.nasality, 0.0, 1.0)
        _require("bandwidth_factor", self.bandwidth_factor, 0.5, 2.0)
        if len(self.formant_offsets) != 5:
            raise ValueError(f"formant_offsets must hold 5 values (F1 … F5), not {len(self.formant_offsets)}")
        for number, offset in enumerate(self.formant_offsets, start=1):
            _require(f"formant_offsets of F{number}", offset, -0.2, 0.2)

    @property
    def formant_scale(self) -> float:
        """Ratio of the formants to those of the reference adult male tract."""
        return REFERENCE_TRACT_CM / self.vocal_tract_length_cm

    @classmethod
    def sample(cls, rng: np.random.Generator, sex: Sex) -> Self:
        """A random speaker of the given sex.

        Men: f0 120 ± 20 Hz, tract 16.9 ± 0.7 cm; women: f0 210 ± 25 Hz, tract 14.1 ± 0.6 cm; all traits are independent
        within a sex (pitch and tract length very nearly are) and clipped at ± 2.5 standard deviations.
        """
        if sex not in _SEXES:
            raise ValueError(f"sex must be 'female' or 'male', not {sex!r}")
        first, second, third, fourth, fifth = (_draw(rng, 0.0, sd) for sd in _FORMANT_OFFSET)
        return cls(
            sex=sex,
            f0_hz=_draw(rng, *F0_HZ[sex]),
            f0_range_semitones=_draw(rng, 7.0, 1.3),
            vocal_tract_length_cm=_draw(rng, *TRACT_CM[sex]),
            breathiness=min(max(_draw(rng, *_BREATHINESS[sex]), 0.0), 1.0),
            rd=min(max(_draw(rng, *_RD[sex]), 0.3), 2.2),
            syllables_per_second=_draw(rng, 4.6, 0.5),
            nasality=abs(_draw(rng, 0.1, 0.1)),
            formant_offsets=(first, second, third, fourth, fifth),
            bandwidth_factor=math.exp(_draw(rng, 0.0, 0.12)),
        )


def _draw(rng: np.random.Generator, mean: float, sd: float) -> float:
    return mean + sd * float(np.clip(rng.standard_normal(), -2.5, 2.5))


def _require(name: str, value: float, lowest: float, highest: float, unit: str = "") -> None:
    if not lowest <= value <= highest:  # NaN fails here too
        raise ValueError(f"{name} must lie between {lowest:g} and {highest:g}{' ' if unit else ''}{unit}, not {value}")
