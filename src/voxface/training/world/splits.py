"""Who is learnt from and who is kept aside, decided by who they are and never by chance."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from voxface.training.data.pairs import Split
from voxface.training.data.speech_corpus import HELD_OUT, LIBRISPEECH, VALIDATION, Corpus

# Twenty couples of synthetic people: 12 are learnt from, 3 validate, 5 test, evenly mixed.
_TURNS: Final[tuple[Split, ...]] = tuple(
    {"t": "train", "v": "validation", "e": "test"}[letter]  # type: ignore[misc]
    for letter in "tetvtetttevttettvett"
)


def turn(person: int) -> Split:
    """Split of synthetic person number `person`, a woman and a man in turns: 60 % train, 15 % validation, 25 % test."""
    return _TURNS[person // 2 % len(_TURNS)]


def rank(word: str, speaker: str) -> str:
    """What speakers are put in order by: the SHA-1 of a word and their id."""
    return hashlib.sha1((word + speaker).encode()).hexdigest()


def first_by_hash(word: str, sexes: Mapping[str, str], count: int) -> frozenset[str]:
    """`count` women and `count` men (fewer where there are fewer), the first by `rank`; `sexes`: speaker -> "F" or "M"."""
    return frozenset(
        speaker
        for sex in "FM"
        for speaker in sorted((s for s, of in sexes.items() if of == sex), key=lambda s: rank(word, s))[:count]
    )


def shares_by_hash(sexes: Mapping[str, str], validation: float = 0.15, test: float = 0.25) -> dict[str, Split]:
    """A split for each speaker of a corpus without one of its own: of each sex the first by `rank("test", …)` test, the
    first of the rest by `rank("validation", …)` validate. Each gets at least one where a sex has three speakers or more."""
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
    """The split of every speaker: LibriSpeech's are fixed (`HELD_OUT` test, `VALIDATION` validate), others' follow
    `shares_by_hash`."""
    if corpus.name != LIBRISPEECH:
        return shares_by_hash(corpus.sexes)
    return {
        speaker: "test" if speaker in HELD_OUT else "validation" if speaker in VALIDATION else "train"
        for speaker in corpus.sexes
    }
