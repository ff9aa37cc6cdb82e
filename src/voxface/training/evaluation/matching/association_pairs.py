"""Voices and faces of the people of pairs, compared through the faces that a bundle, or another method, makes of the voices.

A made face and a real picture meet in the space of a network that has learnt from other people's pictures (Wen 2019, Table 3:
the probe voice is replaced by the generated face).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.resize import resized
from voxface.training.data.images import as_images
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.leaks import check_apart
from voxface.training.evaluation.matching import association_tables as tables
from voxface.training.evaluation.matching.association import unit
from voxface.training.evaluation.matching.association_findings import NOTE, Findings, System, strata_of
from voxface.training.evaluation.matching.association_space import Groups, Space, one_of, verify
from voxface.training.evaluation.matching.public_list_scores import DIRECTIONS
from voxface.training.evaluation.matching.public_lists import Direction
from voxface.training.evaluation.measures.verification_intervals import Rates
from voxface.training.evaluation.pictures.judges import picture_judge
from voxface.training.evaluation.pictures.picture_judge import PictureJudge
from voxface.training.evaluation.result import Kind, Measured, PerPerson, SuiteResult
from voxface.training.evaluation.subject import Subject
from voxface.training.voices.listing import voices as listed_voices

Float32 = NDArray[np.float32]
TRIALS: Final = 200_000
_QUICK_TRIALS: Final = 20_000
_SPACE: Final = (
    "Pictures made of voices and real pictures are compared by their features in a network that learnt from the pictures of "
    "training people, each kind centred on its mean."
)
_MADE: Final = "real picture of the person, in place of a made face"


def of_pairs(inputs: Inputs) -> SuiteResult:
    """Scores the subject, and the bundles beside it, on the people of the split.

    Raises:
        UsageError: what is evaluated makes no pictures.
        InputError: fewer than two people of the split have voices and pictures.
    """
    pairs = inputs.pairs
    if "faces" not in inputs.subject.makes:
        raise UsageError(f"{inputs.subject.name} makes no pictures of faces, which are what this suite compares")
    whole = [int(i) for i in pairs.split(inputs.split) if len(pairs.clean_utterances[i]) and len(pairs.pictures_of[i])]
    people = np.array(whole, np.int64)
    if len(people) < 2:
        raise InputError(f"{len(people)} {inputs.split} people have both voices and pictures; two at least are needed")
    judge = picture_judge(inputs)
    learnt = [pairs.people[int(i)].speaker for i in judge.people]
    check_apart(learnt, [pairs.people[int(i)].speaker for i in people], "the network that judges pictures")
    systems: list[System] = []
    for subject, kind in _subjects(inputs):
        same = sum(method.startswith(subject.name) for method, _, _ in systems)
        name = f"{subject.name} ({same + 1})" if same else subject.name
        systems.append((name, kind, _space(subject, inputs, judge, people)))
    limit = _real(pairs, judge, people)
    if limit is not None:
        systems.append(("a second " + _MADE, "limit", limit))
    strata = strata_of(_traits(pairs, people, inputs.speech))
    among = f"{len(people)} {inputs.split} people"
    found = Findings(inputs)
    _matching(found, systems, strata, inputs, among)
    _verification(found, systems, strata, among, inputs.seed)
    found.retrieval(among, systems, strata, published=False)
    found.n_way(among, systems, strata)
    facts = {
        "people": len(people),
        "voices": len(systems[0][2].voices),
        "pictures": len(systems[0][2].faces),
        "judge": judge.report,
    }
    return found.result(facts, _missing(strata, limit))


def _subjects(inputs: Inputs) -> list[tuple[Subject, Kind]]:
    return [(inputs.subject, "ours"), *((bundle, "baseline") for bundle in inputs.beside)]


def _space(subject: Subject, inputs: Inputs, judge: PictureJudge, people: NDArray[np.int64]) -> Space:
    pairs = inputs.pairs
    utterances = np.concatenate([pairs.clean_utterances[int(i)] for i in people])
    whose = np.repeat(np.arange(len(people)), [len(pairs.clean_utterances[int(i)]) for i in people])
    made = subject.faces(utterances)
    pictures, owner = _pictures(pairs, people)
    return Space(_features(judge, made), whose, _features(judge, pictures), owner, _names(pairs, people))


def _real(pairs: Pairs, judge: PictureJudge, people: NDArray[np.int64]) -> Space | None:
    """One real picture of each person as if it were made of the voice, the others as candidates: what no method can pass."""
    several = [int(i) for i in people if len(pairs.pictures_of[int(i)]) > 1]
    if len(several) < 2:
        return None
    place = {int(i): k for k, i in enumerate(people)}
    one = np.array([pairs.pictures_of[i][0] for i in several])
    rest = np.concatenate([pairs.pictures_of[i][1:] for i in several])
    owner = np.array([place[int(i)] for i in pairs.picture_person[rest]], np.int64)
    first = np.array([place[i] for i in several], np.int64)
    faces = _features(judge, np.asarray(pairs.pictures[rest]))
    return Space(_features(judge, np.asarray(pairs.pictures[one])), first, faces, owner, _names(pairs, people))


def _pictures(pairs: Pairs, people: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rows = [pairs.pictures_of[int(i)] for i in people]
    return np.asarray(pairs.pictures[np.concatenate(rows)]), np.repeat(np.arange(len(people)), [len(r) for r in rows])


def _names(pairs: Pairs, people: NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(pairs.people[int(i)].name for i in people)


def _features(judge: PictureJudge, pictures: NDArray[np.uint8], size: int = 64, batch: int = 256) -> Float32:
    """Features of pictures [N, S, S, 3] at the size that the judge takes, centred on their mean.

    Centred, because features of faces all point one way from the origin, which leaves little between their directions.
    """
    small = pictures if pictures.shape[1] == size else np.stack([resized(one, size) for one in pictures])
    parts = [
        judge.features(as_images(torch.from_numpy(small[k : k + batch]))).numpy() for k in range(0, len(small), batch)
    ]
    rows = np.concatenate(parts).astype(np.float64)
    return unit(rows - rows.mean(0))


def _traits(pairs: Pairs, people: NDArray[np.int64], speech: Sequence[Path]) -> dict[str, list[str]]:
    """What people are alike in: sex of the pairs; language and decade of age, where the tables of --speech know."""
    told = {}
    for folder in speech:
        for voice in listed_voices(folder):
            told[voice.speaker] = (voice.language, "" if voice.age is None else str(sum(voice.age) // 20))
    of = [told.get(pairs.people[int(i)].speaker.partition("-")[2], ("", "")) for i in people]
    return {
        "G": [pairs.people[int(i)].sex for i in people],
        "L": [language for language, _ in of],
        "A": [age for _, age in of],
    }


def _matching(
    into: Findings, systems: Sequence[System], strata: Mapping[str, Groups | None], inputs: Inputs, name: str
) -> None:
    trials = inputs.fewer(TRIALS, _QUICK_TRIALS)
    cells: dict[str, dict[tuple[Direction, str], Measured]] = {}
    for method, _, space in systems:
        for direction in DIRECTIONS:
            for alike, groups in strata.items():
                shares = one_of(space, direction, 2, groups, trials=trials, seed=inputs.seed)
                if shares is None:
                    continue
                cells.setdefault(method, {})[direction, alike] = tables.measured(shares.share(seed=inputs.seed))
                if method == systems[0][0]:
                    words = f"1:2 matching, {tables.WORDS[direction]}, {tables.stratum(alike)}"
                    values = {space.names[i]: value for i, value in shares.by_person.items()}
                    into.per_person[words] = PerPerson("higher", values)
    if not cells:
        return
    rows: list[tuple[str, Kind, Mapping[tuple[Direction, str], Measured]]] = [
        (method, kind, cells[method]) for method, kind, _ in systems if method in cells
    ]
    first = rows[0][2]
    rows.append((tables.CHANCE, "trivial", dict.fromkeys(first, Measured(0.5))))
    sex = {
        (d, a): share
        for d in DIRECTIONS
        for a in strata
        if (share := _sex_alone(systems[0][2], d, strata, a, trials, inputs))
    }
    rows.append((tables.SEX, "trivial", sex))
    title = f"1:2 matching, {name}"
    into.tables.append(
        tables.matching_table("matching", title, rows, f"{trials} trials drawn a column. {_SPACE} {NOTE}")
    )
    into.say_order({cell: number.value for cell, number in first.items()})


def _sex_alone(
    space: Space, direction: Direction, strata: Mapping[str, Groups | None], alike: str, trials: int, inputs: Inputs
) -> Measured | None:
    """What voices and faces give of which nothing but the sex is known."""
    known = strata.get("G")
    if known is None:
        return None
    shares = one_of(_of_sexes(space, known), direction, 2, strata[alike], trials=trials, seed=inputs.seed)
    return None if shares is None else tables.measured(shares.share(seed=inputs.seed))


def _of_sexes(space: Space, sexes: Groups) -> Space:
    names = list(dict.fromkeys(sexes.values()))
    sides = [np.eye(len(names), dtype=np.float32)[[names.index(sexes[int(i)]) for i in whose]]
             for whose in (space.voice_person, space.face_person)]  # fmt: skip
    return Space(sides[0], space.voice_person, sides[1], space.face_person, space.names)


def _verification(
    into: Findings, systems: Sequence[System], strata: Mapping[str, Groups | None], name: str, seed: int
) -> None:
    rows: list[tuple[str, Kind, Mapping[str, Rates]]] = []
    curves = {}
    for method, kind, space in systems:
        found = {tables.stratum(a): both for a, groups in strata.items() if (both := verify(space, groups, seed=seed))}
        if found:
            rows.append((method, kind, {words: rates for words, (rates, _) in found.items()}))
            curves[method] = {words: trials for words, (_, trials) in found.items()}
    if not rows:
        return
    rows.append((tables.CHANCE, "trivial", dict.fromkeys(rows[0][2], tables.chance_rates())))
    known = strata.get("G")
    if known is not None:
        sexes = _of_sexes(systems[0][2], known)
        alone = {
            tables.stratum(a): both[0] for a, groups in strata.items() if (both := verify(sexes, groups, seed=seed))
        }
        rows.append((tables.SEX, "trivial", alone))
    note = f"All pairs of a voice and a face of people alike. {NOTE}"
    into.tables.append(tables.verification_table("verification", f"Verification, {name}", rows, note))
    first = next(iter(curves))
    into.figures["association-verification.png"] = tables.roc_figure(
        f"{first}: is the face the voice's?", curves[first]
    )


def _missing(strata: Mapping[str, Any], limit: Space | None) -> list[str]:
    found = []
    if "A" not in strata:
        found.append(
            "people of the same age or language: the data name neither; give --speech folders whose speakers.csv does"
        )
    found.append("people of the same nationality: the data name none; --lists with --embeddings has VoxCeleb's")
    if limit is None:
        found.append("real pictures in place of made faces: people have one picture each; two at least are needed")
    return found
