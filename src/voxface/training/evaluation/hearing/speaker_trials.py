"""Trials of speaker verification: pieces of recordings, each against every other, and their rates over speakers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.speech_corpus import LeftOut, voiced_audio
from voxface.training.evaluation.measures import verification
from voxface.training.evaluation.measures.verification_intervals import ROUNDS, Rates, SortedTrials, rates_by_person
from voxface.training.evaluation.result import Measured
from voxface.training.voices.listing import Voice

LEAST: Final = 16_000  # samples of speech in a piece
_MOST_PIECES: Final = 3_000  # of whose pairs all scores are held, for intervals


@dataclass(frozen=True)
class Piece:
    """Speech of one speaker: a recording, or half of one.

    Attributes:
        voice: the recording.
        samples: its speech, int16 [n] at 16 kHz, pauses left out.
    """

    voice: Voice
    samples: NDArray[np.int16]


def read_speech(
    voices: Sequence[Voice], done: Callable[[int, int], None] = lambda _done, _total: None
) -> tuple[list[Piece], list[LeftOut]]:
    """The speech of recordings that hold a second of it or more, and what is left out."""
    found, left_out = [], []
    for number, voice in enumerate(voices):
        try:
            samples = voiced_audio(voice.path)
        except InputError as error:
            left_out.append(LeftOut(voice.path.name, str(error)))
            continue
        if len(samples) >= LEAST:
            found.append(Piece(voice, samples))
        else:
            left_out.append(
                LeftOut(voice.path.name, f"{len(samples) / 16_000:.1f} s of speech; one at least is needed")
            )
        done(number + 1, len(voices))
    return found, left_out


def halved(recordings: Sequence[Piece]) -> list[Piece]:
    """The recordings, those of speakers who have no other in two halves, so that everybody can be compared with themselves."""
    count = Counter(piece.voice.speaker for piece in recordings)
    found = []
    for piece in recordings:
        if count[piece.voice.speaker] > 1:
            found.append(piece)
        else:
            middle = len(piece.samples) // 2
            found += [Piece(piece.voice, piece.samples[:middle]), Piece(piece.voice, piece.samples[middle:])]
    return found


def pair_rates(
    embeddings: NDArray[np.floating[Any]], speakers: Sequence[str], *, seed: int = 0, rounds: int = ROUNDS
) -> Rates:
    """EER and AUC of all pairs of pieces, with intervals by bootstrap over speakers; of more than 3,000 pieces without.

    Args:
        embeddings: [N, E], not zero.
        speakers: labels [N].

    Raises:
        ValueError: no speaker has two pieces, or there is one speaker only.
    """
    _, speaker = np.unique(np.asarray(speakers), return_inverse=True)
    if len(speaker) > _MOST_PIECES:
        found = verification.rates(embeddings, speaker, speaker, np.arange(len(speaker)))
        if not found:
            raise ValueError("trials of the same and of different people are needed")
        people = int(speaker.max()) + 1
        return Rates(Measured(found["eer"], people=people), Measured(found["auc"], people=people))
    one, other = np.triu_indices(len(speaker), 1)
    trials = SortedTrials.of(cosines(embeddings)[one, other], speaker[one] == speaker[other])
    return rates_by_person(trials, speaker[one], speaker[other], seed=seed, rounds=rounds)


def auc_by_speaker(embeddings: NDArray[np.floating[Any]], speakers: Sequence[str]) -> dict[str, float]:
    """For each speaker with two pieces: area under the ROC of the pairs that one of their pieces is in."""
    labels, score = np.asarray(speakers), cosines(embeddings)
    found = {}
    for name in dict.fromkeys(speakers):
        own = labels == name
        same = score[np.ix_(own, own)][np.triu_indices(int(own.sum()), 1)]
        different = score[np.ix_(own, ~own)].ravel()
        if len(same) and len(different):
            found[name] = verification.auc(same, different)
    return found


def cosines(embeddings: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Cosines of all rows with all rows, float64 [N, N]."""
    rows = np.asarray(embeddings, np.float64)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    product: NDArray[np.float64] = rows @ rows.T
    return product
