"""All pictures of a person, one at a time: photographs, and frames of videos; each once."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.faces.picture_landmarks import read_picture
from voxface.training.own_data.listing import OwnPerson
from voxface.training.own_data.video_frames import frames, is_video


@dataclass(frozen=True)
class Picture:
    """A photograph, or a frame of a video.

    Attributes:
        file: what it is from.
        place: of the file among the photographs.
        at: where in a video, " at 3 s"; empty for a photograph.
        pixels: uint8 [H, W, 3], RGB.
    """

    file: Path
    place: int
    at: str
    pixels: NDArray[np.uint8]

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.file}{self.at}"


def pictures_of(person: OwnPerson, per_second: float) -> Iterator[Picture | LeftOut]:
    """The pictures in the order of the files, and those that cannot be read or are another one again.

    Args:
        per_second: frames of a video.
    """
    known: dict[bytes, str] = {}
    for place, file in enumerate(person.photographs):
        if is_video(file):
            yield from _of_video(file, place, per_second, known)
            continue
        try:
            with file.open("rb") as data:
                same = known.setdefault(hashlib.file_digest(data, "sha256").digest(), str(file))
        except OSError as error:
            yield LeftOut(str(file), f"cannot be read ({error.strerror or error})")
            continue
        if same != str(file):
            yield LeftOut(str(file), f"the same picture as {Path(same).name}")
            continue
        try:
            yield Picture(file, place, "", read_picture(file))
        except InputError as error:
            yield LeftOut(str(file), str(error).removeprefix(f"{file}: "))


def _of_video(file: Path, place: int, per_second: float, known: dict[bytes, str]) -> Iterator[Picture | LeftOut]:
    try:
        for seconds, pixels in frames(file, per_second):
            picture = Picture(file, place, f" at {seconds:.6g} s", pixels)
            digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
            same = known.setdefault(digest, picture.name)
            yield picture if same == picture.name else LeftOut(picture.name, f"the same picture as {Path(same).name}")
    except InputError as error:
        yield LeftOut(str(file), str(error).removeprefix(f"{file}: "))
