"""Matching through generated faces (Wen 2019, Table 3): whose of two faces is the voice's, and whose of two voices the face's.

The probe voice is replaced by the embedding of the face that is made of it, which is compared with the embeddings of the two
real faces. Whose embeddings: F_c's of --critics, which the generator has learnt against, and the judge's, which it has not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, VoxfaceError
from voxface.training.evaluation.hearing.evaluated_voices import Voices, check_makes_faces, voices_of, what_data_are
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.drawn_trials import Drawing, drawing
from voxface.training.evaluation.matching.matching_baselines import Baselines
from voxface.training.evaluation.matching.matching_trials import (
    Choice,
    by_another_picture,
    by_cosine,
    by_sex,
    tally_trials,
)
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.face_readers import FaceReader, embed_pictures
from voxface.training.evaluation.pictures.judges import F_C, JUDGE, check_unknown, readers
from voxface.training.evaluation.result import Column, Kind, Measured, PerPerson, Row, SuiteResult, Table
from voxface.training.evaluation.subject import Subject

TRIALS: Final = 2_353_560  # of test people, Wen 2019, §4.2
TRAIN_TRIALS: Final = 50_000
Side = Literal["train", "test"]
Group = Literal["unstratified", "by sex"]
_CELLS: Final[tuple[tuple[Side, Group], ...]] = (
    ("train", "unstratified"),
    ("train", "by sex"),
    ("test", "unstratified"),
    ("test", "by sex"),
)
_PUBLISHED: Final[dict[str, tuple[float | None, ...]]] = {  # in the order of the cells
    "SVHF (Nagrani et al. 2018), by Wen et al. 2019, Table 3": (None, None, 0.8100, 0.6520),
    "DIMNets-I (Wen et al. 2018), by Wen et al. 2019, Table 3": (None, None, 0.8345, 0.7091),
    "DIMNets-G (Wen et al. 2018), by Wen et al. 2019, Table 3": (None, None, 0.7290, 0.5032),
    "Wen et al. 2019, Table 3": (0.9683, 0.9398, 0.7607, 0.5969),
}
_LIMIT: Final = "another real picture, by the judge"
_READS: Final = {F_C: "by F_c", JUDGE: "by the judge"}
Tallies = dict[str, dict[tuple[Side, Group], Tally]]


@dataclass(frozen=True)
class _Faces:
    """What one side's people are matched by.

    Attributes:
        voices: their recordings and pictures.
        made: by method and reader, embeddings of the faces made of the recordings.
        real: by reader, embeddings of the real pictures.
    """

    voices: Voices
    made: Mapping[tuple[str, str], NDArray[np.float32]]
    real: Mapping[str, NDArray[np.float32]]


def run(inputs: Inputs) -> SuiteResult:
    """Matches voices and faces of the people learnt from and of those evaluated.

    Raises:
        UsageError: no data, or what is evaluated makes no pictures.
        InputError: nobody with a voice and a picture; a network that looks has learnt from people who are evaluated.
    """
    check_makes_faces(inputs)
    pairs, look = inputs.pairs, readers(inputs)
    sides: dict[Side, _Faces] = {}
    missing: list[str] = []
    people: dict[Side, NDArray[np.int32]] = {"train": pairs.split("train"), "test": pairs.split(inputs.split)}
    for name, reader in look.items():
        check_unknown(reader, people["test"], inputs, name)
    most: dict[Side, int] = {"train": inputs.fewer(5_000, 250), "test": inputs.fewer(22_000, 400)}
    for side, utterances in most.items():
        rng = np.random.default_rng([inputs.seed, 101, side == "test"])
        try:
            voices = voices_of(
                pairs, people[side], utterances=utterances, pictures=inputs.fewer(40_000, 2_000), rng=rng
            )
            sides[side] = _look(inputs, look, voices)
        except VoxfaceError as error:
            if side == "test":
                raise
            missing.append(f"Faces of people learnt from: {error}.")
    baselines = Baselines.train(inputs, look[JUDGE])
    if isinstance(baselines, str):
        missing.append(baselines)
    forward, backward = _tallies(inputs, sides, baselines, missing)
    if not forward:
        raise InputError("no trial of matching can be drawn: it takes two people with a recording and a picture each")
    if all(tally.value is None for tally in forward[_LIMIT].values()):
        missing.append("What a look would tell in place of the voice: nobody has two pictures; give people several.")
    named = forward[_method(inputs.subject, next(iter(look)))]
    per_person = {
        f"voice to face, {group}": PerPerson(
            "higher", {pairs.people[i].name: share for i, share in named["test", group].by_person().items()}
        )
        for group in ("unstratified", "by sex")
        if ("test", group) in named
    }
    judge = look[JUDGE]
    return SuiteResult(
        "matching",
        (
            _table(inputs, "voice-to-face", "Whose of two faces is the voice's (1 of 2)", forward, published=True),
            _table(inputs, "face-to-voice", "Whose of two voices is the face's (1 of 2)", backward, published=False),
        ),
        per_person=per_person,
        facts={
            "trials": {"train": inputs.fewer(TRAIN_TRIALS, 5_000), "test": inputs.fewer(TRIALS, 20_000)},
            "recordings": {side: len(faces.voices.utterances) for side, faces in sides.items()},
            "pictures": {side: len(faces.voices.pictures) for side, faces in sides.items()},
            "judge": getattr(judge, "report", {}),
        },
        statements=(*_statements(named, forward["the sexes known, nothing else"]), *what_data_are(pairs)),
        missing=tuple(missing),
    )


def _look(inputs: Inputs, look: Mapping[str, FaceReader], voices: Voices) -> _Faces:
    made: dict[tuple[str, str], NDArray[np.float32]] = {}
    for subject in (inputs.subject, *inputs.beside):
        pictures = subject.faces(voices.utterances)
        made |= {(subject.name, name): embed_pictures(reader, pictures) for name, reader in look.items()}
    real = {name: embed_pictures(reader, inputs.pairs.pictures, voices.pictures) for name, reader in look.items()}
    return _Faces(voices, made, real)


def _tallies(
    inputs: Inputs, sides: Mapping[Side, _Faces], baselines: "Baselines | str", missing: list[str]
) -> tuple[Tallies, Tallies]:
    """Every method in every cell, from voices to faces and from faces to voices."""
    pairs = inputs.pairs
    found: tuple[Tallies, Tallies] = ({}, {})
    for side, group in _CELLS:
        if side not in sides:
            continue
        faces, own = sides[side], None if group == "unstratified" else dict(enumerate(pairs.sexes.tolist()))
        count = inputs.fewer(TRAIN_TRIALS, 5_000) if side == "train" else inputs.fewer(TRIALS, 20_000)
        of_voice, of_picture = faces.voices.person, faces.voices.picture_person
        for direction, (probes, candidates) in enumerate(((of_voice, of_picture), (of_picture, of_voice))):
            drawn = _drawing(probes, candidates, own)
            if drawn is None:
                missing.append(f"{side}, {group}: too few people with voices and pictures for a trial.")
                continue
            methods = _methods(inputs, faces, baselines, forward=direction == 0)
            tallies = tally_trials(drawn, count, methods, probes, len(pairs.people), seed=inputs.seed)
            for name, tally in tallies.items():
                found[direction].setdefault(name, {})[side, group] = tally
    return found


def _drawing(probes: NDArray[np.int64], candidates: NDArray[np.int64], group: dict[int, int] | None) -> Drawing | None:
    try:
        return drawing(probes.tolist(), candidates.tolist(), group=group)
    except ValueError:
        return None


def _methods(inputs: Inputs, faces: _Faces, baselines: "Baselines | str", *, forward: bool) -> dict[str, Choice]:
    """Methods in the order of the table."""
    voices, pairs = faces.voices, inputs.pairs
    methods: dict[str, Choice] = {}
    for subject in (inputs.subject, *inputs.beside):
        for name, real in faces.real.items():
            made = faces.made[subject.name, name]
            methods[_method(subject, name)] = by_cosine(made, real) if forward else by_cosine(real, made)
    if isinstance(baselines, Baselines):
        methods |= baselines.methods(voices.utterances, faces.real[JUDGE], seed=inputs.seed, forward=forward)
    methods["the sexes known, nothing else"] = by_sex(pairs.sexes, voices.picture_person if forward else voices.person)
    if forward:
        methods[_LIMIT] = by_another_picture(faces.real[JUDGE], voices.picture_person)
    return methods


def _method(subject: Subject, reader: str) -> str:
    return f"{subject.name}, {_READS[reader]}"


def _table(inputs: Inputs, name: str, title: str, found: Tallies, *, published: bool) -> Table:
    columns = tuple(Column(_column(cell), "%", digits=2) for cell in _CELLS)
    rows = []
    for method, tallies in found.items():
        if all(tally.value is None for tally in tallies.values()):
            continue
        values = {
            _column(cell): value
            for cell, tally in tallies.items()
            if (value := tally.measured(seed=inputs.seed, rounds=inputs.fewer(1000, 200))) is not None
        }
        rows.append(Row(method, _kind(inputs, method), values))
    rows.append(Row("chance", "trivial", {column.name: Measured(0.5) for column in columns}))
    if published:
        for method, numbers in _PUBLISHED.items():
            known = {
                _column(cell): Measured(value) for cell, value in zip(_CELLS, numbers, strict=True) if value is not None
            }
            rows.append(Row(method, "published", known))
    note = (
        "Trials are drawn as in Wen 2019, §4.2: a person, a recording and a picture of it, and a picture of somebody else, who "
        "is of the same sex where it says so. Published numbers are of VoxCeleb and VGGFace, and of other people. "
        "DIMNet and SVHF here stand on frozen embeddings of voices and pictures, see `evaluation/baselines`."
    )
    return Table(name, title, columns, tuple(rows), note if published else "The paper has voice to face only.")


def _column(cell: tuple[Side, Group]) -> str:
    side, group = cell
    return f"{'known' if side == 'train' else 'new'} people, {group}"


def _kind(inputs: Inputs, method: str) -> Kind:
    if any(method.startswith(f"{inputs.subject.name}, {how}") for how in _READS.values()):
        return "ours"
    return {"the sexes known, nothing else": "trivial", _LIMIT: "limit"}.get(method, "baseline")  # type: ignore[return-value]


def _statements(ours: Mapping[tuple[Side, Group], Tally], sexes: Mapping[tuple[Side, Group], Tally]) -> tuple[str, ...]:
    def value(of: Mapping[tuple[Side, Group], Tally], cell: tuple[Side, Group]) -> float | None:
        return of[cell].value if cell in of else None

    found = []
    whole, within = value(ours, ("test", "unstratified")), value(ours, ("test", "by sex"))
    if whole is not None and within is not None:
        holds = "holds" if within < whole else "does not hold"
        found.append(
            f"Wen 2019's order, by sex ({within:.1%}) below unstratified ({whole:.1%}) on new people, {holds}."
        )
    trivial = value(sexes, ("test", "unstratified"))
    if whole is not None and trivial is not None:
        beats = "more" if whole > trivial else "no more"
        found.append(f"On new people the faces tell {beats} than the sexes alone would ({whole:.1%}, {trivial:.1%}).")
    known = value(ours, ("train", "unstratified"))
    if known is not None and whole is not None:
        found.append(
            f"Unstratified: {known:.1%} of known people, {whole:.1%} of new ones (Wen 2019: 96.8 % and 76.1 %)."
        )
    return tuple(found)
