"""Results of people who are done, one file each: a preparation that was killed goes on where it was.

A file's name and key follow from the person's files (paths, sizes, times) and the settings, so what has changed is done again.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from voxface.runtime.errors import InputError
from voxface.training.data.kept_arrays import read_kept, write_kept
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.own_data.listing import OwnPerson
from voxface.training.own_data.person import PreparedPerson
from voxface.training.own_data.person_faces import PersonFaces

_ARRAYS = (
    *("frames", "lengths", "sessions", "recordings", "pictures", "photographs"),
    *("coefficients", "fits", "variance", "fit_pictures", "said"),
)


def key_of(person: OwnPerson, settings: str) -> str:
    """SHA-256 of all that a person's result follows from.

    Raises:
        InputError: a file is gone.
    """
    files = [path for _, path in person.recordings] + [*person.photographs, *person.fits]
    try:
        stats = [(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files]
    except OSError as error:
        said = f"{error.filename}: was there at the start and cannot be read any more ({error.strerror or error})"
        raise InputError(f"{said}; start again when it is there") from error
    sessions = [session for session, _ in person.recordings]
    return hashlib.sha256(json.dumps([settings, person.name, sessions, stats]).encode()).hexdigest()


def write_person(folder: Path, key: str, prepared: PreparedPerson) -> None:
    """Keeps a result, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    said = {"reference": prepared.faces.reference, "rejected": [asdict(left) for left in prepared.rejected]}
    arrays: dict[str, Any] = {
        "frames": np.concatenate([np.empty((0, 64), np.float16), *prepared.frames]),
        "lengths": np.array([len(frames) for frames in prepared.frames], np.int64),
        "sessions": np.array(prepared.sessions, np.int64),
        "recordings": np.array(prepared.recordings, np.int64),
        "pictures": prepared.pictures,
        "photographs": np.array(prepared.photographs, np.int64),
        "coefficients": prepared.faces.coefficients,
        "fits": prepared.faces.fits,
        "variance": prepared.faces.variance,
        "fit_pictures": prepared.faces.pictures,
        "said": np.frombuffer(json.dumps(said).encode(), np.uint8),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_kept(folder / f"{key}.npz", key, arrays)


def read_person(folder: Path, key: str) -> PreparedPerson | None:
    """The result of this key, or None where there is none, or a damaged one."""
    arrays = read_kept(folder / f"{key}.npz", key, _ARRAYS)
    if arrays is None:
        return None
    said = json.loads(arrays["said"].tobytes())
    ends = np.cumsum(arrays["lengths"])
    return PreparedPerson(
        np.split(arrays["frames"], ends[:-1]) if len(ends) else [],
        arrays["sessions"].tolist(),
        arrays["recordings"].tolist(),
        arrays["pictures"],
        arrays["photographs"].tolist(),
        PersonFaces(
            arrays["coefficients"], said["reference"], arrays["fits"], arrays["variance"], arrays["fit_pictures"]
        ),
        [LeftOut(**left) for left in said["rejected"]],
    )
