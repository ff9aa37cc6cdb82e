"""`voxface data prepare` and `voxface data synth --people`: worlds of voices and faces to train in."""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voxface.cli.data.engines import engine_asked
from voxface.cli.data.left_out import complain_of
from voxface.cli.data.model import check_out, model_and_population
from voxface.cli.data.stages import StageProgress
from voxface.cli.output import print_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from voxface.training.data.pairs import Pairs
    from voxface.training.data.speech_corpus import LeftOut


PAIRS: Final = "folder of pairs"


def prepare(options: argparse.Namespace) -> int:
    """Pairs real voices with drawn faces; recordings that cannot be used are reported and left out."""
    check_out(options, PAIRS, _is_pairs)
    _check_apart(options)
    if options.voices is not None:
        return prepare_own(options)
    from voxface.training.data.sounds import read_sounds
    from voxface.training.data.speech_corpus import LeftOut, corpus
    from voxface.training.world.paired import PairedConfig, paired_world
    from voxface.training.world.pictures import PictureConfig

    config = PairedConfig(
        seed=options.seed,
        pictures=PictureConfig(**_given(each=options.pictures, size=options.size)),
        **_given(variants=options.variants, speeds=None if options.speeds is None else tuple(options.speeds)),
    )
    corpora = [corpus(folder) for folder in options.speech]
    model, population = model_and_population(options)
    silent: list[LeftOut] = []
    noises: list[NDArray[np.int16]] = []
    rooms: list[NDArray[np.int16]] = []
    if options.noise is not None:
        noises, lost = read_sounds(options.noise)
        silent += lost
    if options.rooms is not None:
        rooms, lost = read_sounds(options.rooms)
        silent += lost
    with engine_asked(options) as engine, _written(options) as folder, StageProgress() as stages:
        pairs, left_out = paired_world(
            corpora, config, model, population, folder, noises, rooms, engine=engine, stage=stages
        )
    return _tell(options, pairs, (*left_out, *silent), unlabelled=sum(found.unlabelled for found in corpora))


OWN: Final = (
    "photos", "people", "splits", "detector", "face_detector", "crops", "frames", "expert", "whitening", "fits",
)  # fmt: skip
MOST_FRAMES: Final = 60.0
DRAWN: Final = ("noise", "rooms", "pictures", "variants", "speeds")


def _check_apart(options: argparse.Namespace) -> None:
    """Raises UsageError for an option of own data without any, or one of drawn faces with own data."""
    from voxface.runtime.errors import UsageError

    own = options.voices is not None
    for name in DRAWN if own else OWN:
        if getattr(options, name):
            other = "--speech" if own else "--voices"
            raise UsageError(f"--{name.replace('_', '-')}: goes with {other}")
    if own and options.photos is None and options.detector is not None:
        raise UsageError("--detector: goes with --photos")
    if own and options.photos is not None and options.detector is None:
        raise UsageError(
            "--photos: say what finds their landmarks: --detector onnx:FILE, mediapipe:FILE.task or face-alignment, pts where "
            "a file of marks lies beside each picture, aligned where the pictures are aligned faces"
        )
    if options.expert is not None and options.detector in (None, "aligned"):
        raise UsageError("--expert: goes with a --detector, which finds the faces that it reads")
    if options.whitening is not None and options.expert is None and options.fits is None:
        raise UsageError("--whitening: goes with --expert or --fits")
    if options.frames is not None and (options.photos is None or not 0 < options.frames <= MOST_FRAMES):
        raise UsageError(f"--frames {options.frames:g}: goes with --photos; above 0, at most {MOST_FRAMES:g} a second")


def prepare_own(options: argparse.Namespace) -> int:
    """Prepares people's own recordings and photographs; files that cannot be used are reported and left out."""
    from voxface.cli.data.model import face_model, read_population
    from voxface.runtime.errors import InputError, UsageError
    from voxface.training.faces.prior import Prior
    from voxface.training.own_data.config import OwnDataConfig
    from voxface.training.own_data.expert_fits import ExpertChoice
    from voxface.training.own_data.listing import list_people
    from voxface.training.own_data.photographs import DetectorChoice
    from voxface.training.own_data.preparation import prepare_people
    from voxface.training.own_data.splits import splits

    for source in (options.voices, options.photos, options.fits):
        if source is not None and options.out.resolve().is_relative_to(source.resolve()):
            # Its arrays would be recordings of a person the next time.
            raise UsageError(f"--out {options.out}: is below {source}, which is read; choose another name")
    found = list_people(options.voices, options.photos, options.people, options.fits)
    split = splits(found.people, options.splits or "hash")
    detector = None
    if options.detector is not None:
        detector = DetectorChoice(options.detector, options.face_detector, options.crops)
        _ = detector.contour  # a detector that cannot be opened is said before the work, and not by each worker
    model = face_model(options)
    prior = Prior.unit(model.modes)
    if options.population is not None:
        prior = Prior.from_population(model, read_population(options.population))
    expert = None if options.expert is None else ExpertChoice(options.expert, options.whitening)
    config = OwnDataConfig(
        detector, expert=expert, whitening=options.whitening, **_given(size=options.size, frames=options.frames)
    )
    work = options.out.parent / f".{options.out.name}.people"
    with engine_asked(options) as engine, _written(options) as folder, StageProgress() as stages:
        pairs, rejected = prepare_people(
            found, split, config, model, prior, folder, work, name=options.voices.name, engine=engine, stage=stages
        )
    try:
        shutil.rmtree(work, ignore_errors=False)
    except OSError as error:
        raise InputError(f"{work}: cannot be removed ({error.strerror or error})") from error
    return _tell(options, pairs, rejected)


def synth_people(options: argparse.Namespace) -> int:
    """Makes people whose voices and faces follow from known anatomy."""
    check_out(options, PAIRS, _is_pairs)
    from voxface.training.world.pictures import PictureConfig
    from voxface.training.world.synthetic import SyntheticConfig, synthetic_world

    config = SyntheticConfig(
        options.people,
        seed=options.seed,
        pictures=PictureConfig(**_given(each=options.pictures, size=options.size)),
        **_given(
            utterances=options.utterances,
            seconds=options.seconds,
            coupling=options.coupling,
            variants=options.variants,
        ),
    )
    model, population = model_and_population(options)
    with engine_asked(options) as engine, _written(options) as folder, StageProgress() as stages:
        pairs = synthetic_world(config, model, population, folder, engine=engine, stage=stages)
    return _tell(options, pairs, ())


def _is_pairs(folder: Path) -> bool:
    """Whether a folder holds pairs and nothing else."""
    from voxface.runtime.files.existing import holds_only

    return holds_only(
        folder, "pairs.json", lambda document: {*document["files"], "verified.json"} if document["people"] else set()
    )


def _given(**values: Any) -> dict[str, Any]:
    """The options that were given; the others keep the defaults of the configuration."""
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def _written(options: argparse.Namespace) -> Iterator[Path]:
    """The folder to write, which takes its place at the end.

    Raises:
        InputError: it cannot be written.
    """
    from voxface.runtime.errors import InputError
    from voxface.runtime.files.existing import fresh_folder

    try:
        with fresh_folder(options.out) as folder:
            yield folder
    except OSError as error:
        raise InputError(f"{options.out}: cannot be written ({error.strerror or error})") from error


def _tell(
    options: argparse.Namespace, pairs: "Pairs", left_out: "Sequence[LeftOut]", *, unlabelled: int | None = None
) -> int:
    """Prints what the pairs are and which files were left out.

    Args:
        unlabelled: lines of tables of several sets that no face can be drawn for.
    """
    splits = {split: _counts(pairs, split) for split in ("train", "validation", "test")}
    document = {
        "out": str(options.out),
        "kind": pairs.kind,
        "seed": options.seed,
        "digest": pairs.digest,
        "people": len(pairs.people),
        "female": sum(person.sex == "F" for person in pairs.people),
        "male": sum(person.sex == "M" for person in pairs.people),
        "splits": splits,
        "voiced_hours": len(pairs.frames) / 360_000,
        "morphable_model": pairs.about["morphable_model"],
        **_given(unlabelled=unlabelled),
        "errors": complain_of(left_out),
    }
    if options.json:
        print_json(document)
    else:
        print(
            f"{options.out}: {document['people']} people ({document['female']} female, {document['male']} male; "
            + ", ".join(f"{counts['people']} {split}" for split, counts in splits.items())
            + f"), {len(pairs.utterance_person)} utterances, {len(pairs.pictures)} pictures"
            + ("" if pairs.kind == "own" else " that show no real person")
            + (f"; {unlabelled} more voices are of children, or of no known sex" if unlabelled else "")
            + (f"; {len(left_out)} files or faces left out" if left_out else "")
        )
    return left_out[0].exit_code if left_out else 0


def _counts(pairs: "Pairs", split: Any) -> dict[str, int]:
    people = pairs.split(split)
    return {
        "people": len(people),
        "speakers": len({pairs.people[int(i)].speaker for i in people}),
        "utterances": sum(len(pairs.utterances[int(i)]) for i in people),
        "clean_utterances": sum(len(pairs.clean_utterances[int(i)]) for i in people),
        "pictures": sum(len(pairs.pictures_of[int(i)]) for i in people),
    }
