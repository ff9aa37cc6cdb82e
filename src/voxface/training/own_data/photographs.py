"""One photograph: the largest face's landmarks, found by the detector that a worker process opens once."""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.faces.fitting import Contour
from voxface.training.faces.landmark_detectors import LandmarkDetector, open_detector
from voxface.training.faces.landmark_files import read_landmarks, unusable
from voxface.training.own_data.pictures import Picture

BESIDE: Final = "pts"
ALIGNED: Final = "aligned"


@dataclass(frozen=True)
class DetectorChoice:
    """What finds landmarks: a detector, see `open_detector`, "pts": a file beside each picture, `0001.pts` of `0001.jpg`, or
    "aligned": nothing, since the pictures are aligned faces already, as in the data of Wen 2019's authors.

    Small enough to be sent to every worker.
    """

    what: str
    faces: Path | None = None
    crops: bool = False

    @property
    def contour(self) -> Contour:
        """Place of its jaw-line landmarks."""
        return "silhouette" if self.what in (BESIDE, ALIGNED) else _opened(self).contour

    def find(self, file: Path, picture: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Landmarks float32 [68, 2] of the largest face of a picture uint8 [H, W, 3], or None.

        Raises:
            InputError: the file beside it is missing or holds something else.
        """
        if self.what != BESIDE:
            return _opened(self).detect(picture)
        beside = file.with_suffix(".pts")
        if not os.path.lexists(beside):  # of a link that leads nowhere the reader says so
            raise InputError(
                f"{beside.name} with its landmarks is not there; put it beside the picture, take the picture away, or choose a "
                "--detector that finds them"
            )
        table = read_landmarks(beside)
        if not len(table.landmarks):
            raise InputError(table.skipped[0].message)
        landmarks: NDArray[np.float32] = table.landmarks[0].astype(np.float32)
        return landmarks


@cache
def _opened(choice: DetectorChoice) -> LandmarkDetector:
    return open_detector(choice.what, choice.faces, crops=choice.crops)


@dataclass(frozen=True)
class Seen:
    """A picture with a face.

    Attributes:
        name: of the picture, for messages.
        place: of its file among the photographs.
        picture: uint8 [H, W, 3].
        landmarks: float32 [68, 2], px.
    """

    name: str
    place: int
    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def look_at(picture: Picture, detector: DetectorChoice) -> Seen | LeftOut:
    """The face in a picture, or why there is none."""
    if picture.at and detector.what == BESIDE:
        return LeftOut(picture.name, "no .pts file can lie beside a frame of a video")
    try:
        landmarks = detector.find(picture.file, picture.pixels)
    except InputError as error:
        return LeftOut(picture.name, str(error).removeprefix(f"{picture.file}: "))
    problem = "no face found" if landmarks is None else unusable(landmarks.astype(np.float64))
    if landmarks is None or problem is not None:
        return LeftOut(picture.name, str(problem))
    return Seen(picture.name, picture.place, picture.pixels, landmarks)
