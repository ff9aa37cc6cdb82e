"""One person's files: speech as log-mel frames, photographs as aligned pictures, and the faces that are known of the person."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.faces.prior import Prior
from voxface.training.own_data.config import OwnDataConfig
from voxface.training.own_data.listing import OwnPerson
from voxface.training.own_data.person_faces import PersonFaces
from voxface.training.own_data.photograph_faces import aligned_pictures, faces_in_photographs
from voxface.training.own_data.photographs import ALIGNED
from voxface.training.own_data.recordings import hear
from voxface.training.own_data.voxceleb_3d import known_faces


@dataclass(frozen=True)
class PreparedPerson:
    """What came of a person's files.

    Attributes:
        frames: log-mel float16 [T, 64] of each recording that can be used.
        sessions: for each, the number of its session.
        recordings: for each, its place among the person's recordings.
        pictures: uint8 [K, size, size, 3], aligned.
        photographs: for each, the place of its file among the person's photographs.
        faces: known of the person.
        rejected: files that cannot be used, with the reason.
    """

    frames: list[NDArray[np.float16]]
    sessions: list[int]
    recordings: list[int]
    pictures: NDArray[np.uint8]
    photographs: list[int]
    faces: PersonFaces
    rejected: list[LeftOut] = field(default_factory=list)


def prepare_person(person: OwnPerson, config: OwnDataConfig, model: MorphableModel, prior: Prior) -> PreparedPerson:
    """Reads, checks and fits all files of a person; faces that others have fitted go before those of photographs."""
    frames, sessions, recordings, rejected = hear(person)
    pictures = np.empty((0, config.size, config.size, 3), np.uint8)
    photographs: list[int] = []
    faces = PersonFaces.none(model.modes)
    if config.detector is not None and person.photographs:
        if config.detector.what == ALIGNED:
            pictures, photographs, unread = aligned_pictures(person, config)
        else:
            pictures, photographs, faces, unread = faces_in_photographs(person, config, model, prior)
        rejected += unread
    if person.fits:
        faces, unread = known_faces(person.fits, config.whitening, model)
        rejected += unread
    return PreparedPerson(frames, sessions, recordings, pictures, photographs, faces, rejected)
