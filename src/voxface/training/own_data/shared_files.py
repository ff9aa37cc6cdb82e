"""Recordings and pictures that several people have: one voice or face cannot be two people's, so only the first keeps them."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.speech_corpus import LeftOut
from voxface.training.own_data.listing import OwnPerson
from voxface.training.own_data.person import PreparedPerson

_DIGEST_BYTES = 16  # there may be hundreds of thousands


class SharedFiles:
    """Remembers what each recording and picture came to, and whose it is; people are shown to it one after another."""

    def __init__(self) -> None:
        self._owners: dict[bytes, str] = {}

    def leave_out(self, person: OwnPerson, prepared: PreparedPerson) -> tuple[OwnPerson, list[LeftOut]]:
        """The person without the files that somebody before has too, and these files.

        Of a video one picture is enough: the others of it are of the same person.
        """
        speech = self._shared(person.name, prepared.frames, prepared.recordings)
        seen = self._shared(person.name, prepared.pictures, prepared.photographs)
        left = [
            *(_left(person.recordings[k][1], "speech", "recording", owner) for k, owner in speech.items()),
            *(_left(person.photographs[k], "face", "photograph", owner) for k, owner in seen.items()),
        ]
        if not left:
            return person, left
        rest = replace(
            person,
            recordings=tuple(file for k, file in enumerate(person.recordings) if k not in speech),
            photographs=tuple(file for k, file in enumerate(person.photographs) if k not in seen),
        )
        return rest, left

    def _shared(self, name: str, arrays: Iterable[NDArray[np.generic]], files: Iterable[int]) -> dict[int, str]:
        """Numbers of files whose array somebody else had, and who."""
        shared = {}
        for array, file in zip(arrays, files, strict=True):
            digest = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).digest()[:_DIGEST_BYTES]
            if (owner := self._owners.setdefault(digest, name)) != name:
                shared[file] = owner
        return shared


def _left(file: object, what: str, kind: str, owner: str) -> LeftOut:
    return LeftOut(str(file), f"the same {what} as in a {kind} of {owner}, who keeps it; it can be of one person only")
