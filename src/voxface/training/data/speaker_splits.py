"""The split of a speaker from the id alone, so that it is the same whichever folders are learnt from together."""

import hashlib
from typing import Final

from voxface.training.data.pairs import Split
from voxface.training.data.speech_corpus import HELD_OUT, VALIDATION

TEST_SHARE: Final = 0.12
VALIDATION_SHARE: Final = 0.05


def split_of(speaker: str) -> Split:
    """Split of a speaker, from the id alone: LibriSpeech's fixed ones, of others a share by hash."""
    digits = speaker.removeprefix("ls")  # LibriSpeech's ids as other sets write them
    if speaker in HELD_OUT or digits in HELD_OUT:
        return "test"
    if speaker in VALIDATION or digits in VALIDATION:
        return "validation"
    if speaker.isdigit():
        return "train"
    place = int(hashlib.sha1(f"heard{speaker}".encode()).hexdigest()[:8], 16) / 2**32
    return "test" if place < TEST_SHARE else "validation" if place < TEST_SHARE + VALIDATION_SHARE else "train"
