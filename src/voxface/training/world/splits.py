"""Splits into training, validation and test speakers, which follow from their ids and never from chance."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from voxface.training.data.pairs import Split
from voxface.training.data.speaker_splits import split_of
from voxface.training.data.speech_corpus import HELD_OUT, LIBRISPEECH, VALIDATION, Corpus

# Splits of twenty pairs of synthetic people (a woman and a man): 12 train, 3 validation, 5 test, evenly mixed.
_TURNS: Final[tuple[Split, ...]] = tuple(
    {"t": "train", "v": "validation", "e": "test"}[letter]  # type: ignore[misc]
    for letter in "tetvtetttevttettvett"
)


def split_by_turn(person: int) -> Split:
    """Split of synthetic person number `person`, a woman and a man in turns: 60 % train, 15 % validation, 25 % test."""
    return _TURNS[person // 2 % len(_TURNS)]


def rank(word: str, speaker: str) -> str:
    """Sort key of a speaker: the SHA-1 of a word and the speaker's id."""
    return hashlib.sha1((word + speaker).encode()).hexdigest()


def first_by_hash(word: str, sexes: Mapping[str, str], count: int) -> frozenset[str]:
    """The first `count` women and `count` men by `rank` (fewer if there are fewer); `sexes` maps speakers to "F" or "M"."""
    return frozenset(
        speaker
        for sex in "FM"
        for speaker in sorted((s for s, of in sexes.items() if of == sex), key=lambda s: rank(word, s))[:count]
    )


def shares_by_hash(sexes: Mapping[str, str], validation: float = 0.15, test: float = 0.25) -> dict[str, Split]:
    """Splits of the speakers of a corpus that defines none.

    Of each sex, the first share by `rank("test", …)` is for test, the first of the rest by `rank("validation", …)` for
    validation. Both get at least one speaker if the sex has three or more.
    """
    splits: dict[str, Split] = dict.fromkeys(sexes, "train")
    for sex in "FM":
        own = [speaker for speaker, of in sexes.items() if of == sex]
        if len(own) < 3:
            continue
        left: Sequence[str] = own
        parts: tuple[tuple[Split, float], ...] = (("test", test), ("validation", validation))
        for split, share in parts:
            ranked = sorted((rank(split, speaker), speaker) for speaker in left)
            chosen = [speaker for _, speaker in ranked[: max(1, round(share * len(own)))]]
            splits.update(dict.fromkeys(chosen, split))
            left = [speaker for speaker in left if speaker not in chosen]
    return splits


def corpus_splits(corpus: Corpus) -> dict[str, Split]:
    """The split of every speaker: fixed for LibriSpeech (`HELD_OUT`, `VALIDATION`), by the id alone (`split_of`) in tables of
    several sets, as a voice encoder is distilled on, from `shares_by_hash` for others."""
    if corpus.sets:
        return {speaker: split_of(speaker) for speaker in corpus.sexes}
    if corpus.name != LIBRISPEECH:
        return shares_by_hash(corpus.sexes)
    return {
        speaker: "test" if speaker in HELD_OUT else "validation" if speaker in VALIDATION else "train"
        for speaker in corpus.sexes
    }
