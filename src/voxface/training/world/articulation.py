"""Articulation of phones: control tracks that drive the glottal source, the vocal tract and constriction noise."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.world.phones import NEUTRAL, Consonant, Frication, Vowel
from voxface.training.world.prosody import Phrase, PlacedPhone, intonation, place_phones, plan_phrases
from voxface.training.world.speaker import Speaker
from voxface.training.world.vocal_tract import TractShape

CONTROL_RATE: Final = 1000
"""Control frames per second."""

_HIGH_FORMANTS: Final = (3500.0, 4500.0)  # F4 and F5 of the reference male, Hz
_BANDWIDTHS: Final = (90.0, 75.0, 110.0, 140.0, 190.0)  # B1 holds what the opening and closing glottis takes from F1
_NASAL_POLE: Final = 270.0  # Klatt 1980, at the reference tract length
_NASAL_ZERO: Final = 450.0

# amplitude of voicing by manner, relative to a vowel
_VOICING: Final = {"stop": 0.1, "fricative": 0.35, "nasal": 0.6, "approximant": 0.75, "aspirate": 0.0}
_FULL_ASPIRATION: Final = 0.16  # noise of an open glottis, relative to the peak of a voiced pulse


@dataclass(frozen=True)
class ConstrictionNoise:
    """One stretch of frication or one burst.

    Attributes:
        start_s, end_s: seconds from the start of the utterance.
        rise_s, fall_s: lengths of the flanks, seconds.
        frication: level and spectrum, for the reference tract.
    """

    start_s: float
    end_s: float
    rise_s: float
    fall_s: float
    frication: Frication


@dataclass(frozen=True)
class ControlTracks:
    """Complete control data of an utterance; K control frames at `CONTROL_RATE`.

    Attributes:
        phrases: stretches of speech between pauses.
        phones: the phones in order.
        f0_hz: float64 [K], defined in pauses too; its geometric mean over voiced frames is the speaker's.
        voicing: float64 [K], amplitude of the glottal pulses, about 0 to 1.
        aspiration: float64 [K], amplitude of the noise of an open glottis, on the scale of `voicing`.
        rd: float64 [K], shape of the pulses (Fant 1995).
        tract: formants, bandwidths and nasal coupling.
        noises: frication and bursts.
    """

    phrases: tuple[Phrase, ...]
    phones: tuple[PlacedPhone, ...]
    f0_hz: NDArray[np.float64]
    voicing: NDArray[np.float64]
    aspiration: NDArray[np.float64]
    rd: NDArray[np.float64]
    tract: TractShape
    noises: tuple[ConstrictionNoise, ...]


def plan_articulation(speaker: Speaker, seconds: float, rng: np.random.Generator) -> ControlTracks:
    """Random connected pseudo-speech of a speaker: phrases, phones, intonation and articulatory movements."""
    frames = int(np.ceil(seconds * CONTROL_RATE)) + 1
    time_s = np.arange(frames) / CONTROL_RATE
    phrases = plan_phrases(seconds, rng)
    phones: list[PlacedPhone] = []
    semitones = np.zeros(frames)
    intensity = np.zeros(frames)
    for phrase in phrases:
        spoken = place_phones(phrase, speaker.syllables_per_second, rng)
        phones.extend(spoken)
        inside = _frames(phrase.start_s, phrase.end_s)
        semitones[inside] = speaker.f0_range_semitones * intonation(phrase, spoken, time_s[inside], rng)
        intensity[inside] = _intensity(phrase, spoken, time_s[inside], rng)
    intensity = _smooth(intensity, 0.05)

    voicing, aspiration, lax = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    formants = np.tile(np.array([*NEUTRAL, *_HIGH_FORMANTS]), (frames, 1))
    damping = np.ones((frames, 3))  # widening of the first three bandwidths
    nasality = np.full(frames, speaker.nasality)
    noises: list[ConstrictionNoise] = []
    for placed in phones:
        whole, phone = _frames(placed.start_s, placed.end_s), placed.phone
        if isinstance(phone, Vowel):
            voicing[whole] = 1.0
            _move(formants, placed, phone, rng)
            continue
        closed, released = _frames(placed.start_s, placed.release_s), _frames(placed.release_s, placed.end_s)
        formants[closed, :3] = _leaning(phone, placed)
        formants[released, :3] = _nearest_target(placed)
        voicing[closed] = _VOICING[phone.manner] if phone.voiced else 0.0
        match phone.manner:
            case "stop":
                lax[closed] = 1.0
                if not phone.voiced:
                    aspiration[released] = 0.8
                    damping[released] = (4.0, 1.5, 1.2)
            case "fricative":
                lax[closed] = 0.5
                damping[closed] = (2.5, 1.5, 1.3)
            case "nasal":
                nasality[closed] = 1.0
                damping[closed] = (1.0, 2.5, 2.0)
            case "aspirate":
                aspiration[closed] = 1.0
                damping[closed] = (4.0, 1.5, 1.2)
            case "approximant":
                pass
        noises.extend(_noises(placed, phone))

    # smoothing gives transitions and undershoot; F1 follows faster, because the jaw is quicker than the tongue body
    scale = speaker.formant_scale
    formants[:, 0] = _smooth(formants[:, 0], 0.075)
    for formant in (1, 2):
        formants[:, formant] = _smooth(formants[:, formant], 0.12)
    formants[:, 3] += 0.35 * (formants[:, 2] - NEUTRAL[2])  # the upper formants follow F3 in part
    formants[:, 4] += 0.2 * (formants[:, 2] - NEUTRAL[2])
    formants *= scale * (1 + np.array(speaker.formant_offsets))
    bandwidths = np.tile(np.array(_BANDWIDTHS) * speaker.bandwidth_factor, (frames, 1))
    bandwidths[:, 0] *= 1 + 0.6 * speaker.breathiness  # a glottis that does not close damps F1
    for formant in range(3):
        bandwidths[:, formant] *= _smooth(damping[:, formant], 0.02)
    pole = _NASAL_POLE * scale
    zero = pole + (_NASAL_ZERO * scale - pole) * _smooth(nasality, 0.08)

    voicing = _smooth(voicing, 0.03) * intensity
    f0_hz = _pitch(speaker.f0_hz, _smooth(semitones, 0.06), voicing, rng)
    ending = np.zeros(frames)
    for phrase in phrases:  # voices relax at the end of a phrase
        inside = _frames(phrase.start_s, phrase.end_s)
        ending[inside] = np.exp(-(phrase.end_s - time_s[inside]) / 0.25)
    rd = speaker.rd + 0.9 * _smooth(lax, 0.02) + 0.3 * ending
    return ControlTracks(
        phrases=phrases,
        phones=tuple(phones),
        f0_hz=f0_hz,
        voicing=voicing,
        aspiration=_FULL_ASPIRATION * _smooth(aspiration, 0.015) * intensity,
        rd=rd,
        tract=TractShape(float(CONTROL_RATE), formants, bandwidths, pole, zero, speaker.vocal_tract_length_cm),
        noises=tuple(noises),
    )


def _frames(start_s: float, end_s: float) -> slice:
    return slice(round(start_s * CONTROL_RATE), round(end_s * CONTROL_RATE))


def _move(formants: NDArray[np.float64], placed: PlacedPhone, vowel: Vowel, rng: np.random.Generator) -> None:
    """Writes a vowel's targets; a diphthong changes from the first to the second in its middle.

    Targets vary at random by 4 %, and those of unstressed vowels are moved towards the neutral tract.
    """
    middle = placed.start_s + 0.5 * (placed.end_s - placed.start_s)
    reduction = 0.0 if placed.stressed else 0.2
    variation = np.exp(0.04 * rng.standard_normal(3))
    for part, target in (
        (_frames(placed.start_s, middle), vowel.targets[0]),
        (_frames(middle, placed.end_s), vowel.targets[-1]),
    ):
        formants[part, :3] = ((1 - reduction) * np.array(target) + reduction * np.array(NEUTRAL)) * variation


def _nearest_target(placed: PlacedPhone) -> NDArray[np.float64]:
    return np.array(placed.nucleus.targets[-1 if placed.in_coda else 0])


def _leaning(phone: Consonant, placed: PlacedPhone) -> NDArray[np.float64]:
    """A consonant's locus, moved towards its vowel in F2 and F3 (locus equations, Sussman et al. 1991)."""
    locus, vowel = np.array(phone.locus), _nearest_target(placed)
    share = phone.coarticulation * np.array([1.0 if phone.manner == "aspirate" else 0.0, 1.0, 0.7])
    return np.asarray(locus + share * (vowel - locus))


def _noises(placed: PlacedPhone, phone: Consonant) -> list[ConstrictionNoise]:
    if phone.frication is None:
        return []
    if phone.manner == "fricative":
        flank = 0.35 * (placed.end_s - placed.start_s)
        return [ConstrictionNoise(placed.start_s - 0.01, placed.end_s + 0.01, flank, flank, phone.frication)]
    level = phone.frication.level_db - (6.0 if placed.in_coda else 0.0)
    length = 0.022 if phone.voiced else 0.032
    burst = Frication(level, phone.frication.peaks)
    return [ConstrictionNoise(placed.release_s, placed.release_s + length, 0.001, length - 0.003, burst)]


def _intensity(
    phrase: Phrase, phones: tuple[PlacedPhone, ...], time_s: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Amplitude float64 over a phrase: a decline of 6 dB, 5 dB of stress, and a fade over the last 130 ms."""
    level_db = -6.0 * (time_s - phrase.start_s) / (phrase.end_s - phrase.start_s) + rng.normal(0.0, 1.5)
    for placed in phones:
        emphasis = (5.0 if placed.stressed else 0.0) + rng.normal(0.0, 1.5)
        level_db[(time_s >= placed.start_s) & (time_s < placed.end_s)] += emphasis
    fade = np.clip((phrase.end_s - time_s) / 0.13, 0.0, 1.0)
    return np.asarray(10 ** (level_db / 20) * fade)


def _pitch(
    mean_hz: float, semitones: NDArray[np.float64], voicing: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Fundamental frequency in Hz around the speaker's mean, with a slow random fluctuation (about 5 Hz, 0.2 semitones)."""
    unsteady = _smooth(rng.standard_normal(len(semitones)), 0.12)
    semitones = semitones + 0.2 * unsteady / max(float(unsteady.std()), 1e-9)
    voiced = voicing > 0.2
    if voiced.any():
        semitones = semitones - semitones[voiced].mean()
    return np.asarray(mean_hz * 2 ** (semitones / 12))


def _smooth(track: NDArray[np.float64], width_s: float) -> NDArray[np.float64]:
    """Moving average under a Hann window `width_s` seconds wide, with the end values held."""
    half = max(1, round(width_s * CONTROL_RATE / 2))
    window = np.hanning(2 * half + 3)[1:-1]
    return np.convolve(np.pad(track, half, mode="edge"), window / window.sum(), mode="valid")
