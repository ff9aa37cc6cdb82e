"""All people of two folders as a folder of pairs: checked, trimmed to speech, aligned, fitted, and split by person."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.fits import NO_PICTURE, Fits
from voxface.training.data.pairs import Pairs, Person, Split, rows_of
from voxface.training.data.pairs_folder import REJECTED, PairsWriter
from voxface.training.data.parallel_map import ONE_PROCESS, Engine, Stage, silent
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.faces.prior import Prior
from voxface.training.own_data.config import OwnDataConfig
from voxface.training.own_data.kept_people import key_of, read_person, write_person
from voxface.training.own_data.listing import OwnPeople, OwnPerson
from voxface.training.own_data.person import PreparedPerson, prepare_person
from voxface.training.own_data.person_faces import PersonFaces
from voxface.training.own_data.shared_files import SharedFiles
from voxface.training.own_data.video_frames import require_ffmpeg
from voxface.training.own_data.voxceleb_3d import require_model


@dataclass(frozen=True)
class Shared:
    """What the processes that prepare people share."""

    config: OwnDataConfig
    model: MorphableModel
    prior: Prior
    settings: str
    work: Path


def prepare_people(
    found: OwnPeople,
    splits: Mapping[str, Split],
    config: OwnDataConfig,
    model: MorphableModel,
    prior: Prior,
    folder: Path,
    work: Path,
    *,
    name: str,
    engine: Engine = ONE_PROCESS,
    stage: Stage = silent,
) -> tuple[Pairs, tuple[LeftOut, ...]]:
    """Prepares the people; the result does not depend on `engine`, nor on how often the run was killed before.

    Args:
        splits: of each person, by name.
        folder: the folder of pairs to write, empty or not there yet.
        work: a folder for results of people who are done, which all processes reach under this name; they are taken from
            there if they are of the same files and settings. The caller removes it in the end.
        name: of the data, for model cards.
        engine: what does the work.
        stage: called at the start with its name and number of steps.

    Returns:
        The pairs, and the files that cannot be used, which are also listed in `rejected.csv`.

    Raises:
        InputError: nobody's speech can be used, a result cannot be kept, or the expert cannot be used.
        UsageError: faces of the expert, or that others have fitted, are of another morphable model.
        ProviderError: there are videos and no ffmpeg.
        OSError: the folder cannot be written.
    """
    if config.detector is not None:
        require_ffmpeg(file for person in found.people for file in person.photographs)
    if config.expert is not None:
        config.expert.check(model)
    if any(person.fits for person in found.people):
        require_model(model)
    arrays = (model.mean, model.basis, model.landmarks, prior.mean, prior.covariance)
    used = hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()
    settings = json.dumps([asdict(config), used], default=str)
    shared = Shared(config, model, prior, settings, work)
    step = stage("people", len(found.people))
    rejected: list[LeftOut] = []
    known = SharedFiles()
    people: list[Person] = []
    coefficients, references, sessions = [], {}, 0
    with PairsWriter(folder) as writer:
        for person, key in zip(found.people, engine(do_person, shared, found.people), strict=True):
            step(person.name)
            prepared = _result(work, key, person)
            rest, shared_files = known.leave_out(person, prepared)
            if shared_files:  # faces are fitted together, so those of the rest are other ones
                prepared = _result(work, do_person(shared, rest), person)
            rejected += prepared.rejected + shared_files
            if not prepared.frames:
                rejected.append(LeftOut(person.name, "no recording of this person can be used"))
                continue
            number = len(people)
            people.append(Person(person.name, person.name, person.sex, splits[person.name]))
            coefficients.append(prepared.faces.coefficients)
            writer.add_fits(_fits(prepared.faces, number, writer.pictures))
            for session, frames in zip(prepared.sessions, prepared.frames, strict=True):
                writer.add_utterance(number, sessions + session, frames, clean=True)
            sessions += 1 + max(prepared.sessions)
            if len(prepared.pictures):
                writer.add_pictures(number, prepared.pictures)
            if prepared.faces.reference or len(prepared.pictures):
                references[person.name] = prepared.faces.reference
        rejected += found.left_out
        if not people:
            first = f"; {rejected[0].file}: {rejected[0].reason}" if rejected else ""
            raise InputError(f"{name}: nobody's speech can be used{first}")
        (folder / REJECTED).write_text(_as_csv(rejected), "utf-8", "backslashreplace")  # names may be no text
        faces = np.stack(coefficients)
        writer.finish(
            kind="own",
            about=_about(name, config, model, references, rejected, any(each.fits for each in found.people)),
            people=rows_of(people),
            coefficients=faces,
            expected=np.full_like(faces, np.nan),
            cues=np.full((len(people), 2), np.nan, np.float32),
            morphable=model,
        )
    return Pairs.load(folder, verify=False), tuple(rejected)


def do_person(shared: Shared, person: OwnPerson) -> str:
    """Prepares a person, unless that is done; returns the key of the result."""
    key = key_of(person, shared.settings)
    if read_person(shared.work, key) is None:
        write_person(shared.work, key, prepare_person(person, shared.config, shared.model, shared.prior))
    return key


def _result(work: Path, key: str, person: OwnPerson) -> PreparedPerson:
    """What was kept of a person.

    Raises:
        InputError: it is not there any more.
    """
    prepared = read_person(work, key)
    if prepared is None:
        raise InputError(f"{work}: the result of {person.name} is gone or damaged; start again")
    return prepared


def _fits(faces: PersonFaces, person: int, first: int) -> Fits:
    """The fits of a person whose first picture is the row `first`."""
    rows = np.where(faces.pictures == NO_PICTURE, NO_PICTURE, faces.pictures + first).astype(np.int32)
    return Fits(faces.fits, faces.variance, np.full(len(rows), person, np.int32), rows)


def _about(
    name: str,
    config: OwnDataConfig,
    model: MorphableModel,
    references: dict[str, str],
    rejected: Sequence[LeftOut],
    fitted: bool,
) -> dict[str, Any]:
    return {
        "name": name,
        "about": "people's own recordings and photographs; " + _source_of_faces(config, fitted),
        "config": json.loads(json.dumps(asdict(config), default=str)),
        "references": references,
        "rejected": len(rejected),
        "morphable_model": {"name": model.name, "version": model.version, "licence": model.licence},
    }


def _source_of_faces(config: OwnDataConfig, fitted: bool) -> str:
    if fitted:
        return "faces are as others have fitted them (Voxceleb-3D)"
    if config.expert is not None:
        return (
            f"faces are read by a published expert ({config.expert.checkpoint.name}), whose weights and morphable model have "
            "licences of their own"
        )
    return "faces are fitted to landmarks, which hardly tell their shape"


def _as_csv(rejected: Sequence[LeftOut]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "exit_code", "reason"])
    writer.writerows([left.file, left.exit_code, left.reason] for left in rejected)
    return out.getvalue()
