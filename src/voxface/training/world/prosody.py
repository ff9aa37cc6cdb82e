"""Prosody: phrases and pauses, durations of phones, and intonation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.world.phones import Consonant, Vowel, draw_syllable


@dataclass(frozen=True)
class Phrase:
    """A stretch of speech between pauses, in seconds from the start of the utterance."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class PlacedPhone:
    """A phone with its place in time.

    Attributes:
        phone: the vowel or consonant.
        nucleus: vowel of its syllable, with which a consonant is coarticulated.
        start_s, end_s: seconds from the start of the utterance; `end_s` is the start of the next phone.
        release_s: end of a stop's closure and start of its burst and aspiration; `end_s` for other phones.
        stressed: whether its syllable is stressed.
        in_coda: whether it is a consonant after its vowel.
    """

    phone: Vowel | Consonant
    nucleus: Vowel
    start_s: float
    end_s: float
    release_s: float
    stressed: bool
    in_coda: bool


def plan_phrases(seconds: float, rng: np.random.Generator) -> tuple[Phrase, ...]:
    """Fills `seconds` with phrases of about 1 to 2.8 s and pauses of 0.2 to 0.5 s; short silences at both ends."""
    edge = min(0.12, 0.08 * seconds)
    phrases: list[Phrase] = []
    start, end = edge, seconds - edge
    while True:
        length, pause = rng.uniform(1.2, 2.6), rng.uniform(0.2, 0.5)
        left = end - start
        if left - length - pause < 0.9:  # the rest would be too short for another phrase
            if left <= 2.8:
                return (*phrases, Phrase(start, end))
            length = (left - pause) / 2
        phrases.append(Phrase(start, start + length))
        start += length + pause


def place_phones(phrase: Phrase, syllables_per_second: float, rng: np.random.Generator) -> tuple[PlacedPhone, ...]:
    """Fills a phrase with random syllables, stretched to end with it; the last syllable is lengthened."""
    count = max(1, round((phrase.end_s - phrase.start_s) * syllables_per_second))
    syllables = [draw_syllable(rng, stressed=rng.random() < 0.45) for _ in range(count)]
    drafts: list[tuple[Vowel | Consonant, Vowel, float, float, bool, bool]] = []
    for index, syllable in enumerate(syllables):
        slowing = 1.5 if index == count - 1 else 1.0
        for phone in (syllable.onset, syllable.nucleus, syllable.coda):
            if phone is None:
                continue
            spread = slowing * float(np.exp(0.12 * rng.standard_normal()))
            in_coda = phone is syllable.coda
            if isinstance(phone, Vowel):
                duration, aspiration = phone.duration_s * (1.25 if syllable.stressed else 0.8), 0.0
            else:
                duration = phone.duration_s * (0.85 if in_coda else 1.0)
                aspiration = phone.aspiration_s * (1.15 if syllable.stressed else 0.7) * (0.5 if in_coda else 1.0)
            drafts.append((phone, syllable.nucleus, duration * spread, aspiration, syllable.stressed, in_coda))
    stretch = (phrase.end_s - phrase.start_s) / sum(
        duration + aspiration for _, _, duration, aspiration, _, _ in drafts
    )
    placed: list[PlacedPhone] = []
    time = phrase.start_s
    for phone, nucleus, duration, aspiration, stressed, in_coda in drafts:
        release = time + duration * stretch
        end = release + aspiration * stretch
        placed.append(PlacedPhone(phone, nucleus, time, end, release, stressed, in_coda))
        time = end
    return tuple(placed)


def intonation(
    phrase: Phrase, phones: Sequence[PlacedPhone], time_s: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Pitch float64 at `time_s` as a share of the speaker's range, about −0.7 … 0.7.

    Declination, accents, and a final fall or rise: phrase and accent commands superposed in the manner of Fujisaki
    1983, with plain smooth bumps as the responses.
    """
    progress = (time_s - phrase.start_s) / (phrase.end_s - phrase.start_s)
    pitch = 0.28 - 0.56 * np.clip(progress, 0.0, 1.0)
    for placed in phones:
        if isinstance(placed.phone, Vowel) and placed.stressed:
            height, width = rng.uniform(0.2, 0.5), rng.uniform(0.1, 0.17)
            peak = placed.start_s + 0.6 * (placed.end_s - placed.start_s)
            pitch += height * np.exp(-0.5 * ((time_s - peak) / width) ** 2)
    final = 0.3 if rng.random() < 0.25 else -0.25
    pitch += final / (1 + np.exp(-(time_s - (phrase.end_s - 0.16)) / 0.05))
    return pitch
