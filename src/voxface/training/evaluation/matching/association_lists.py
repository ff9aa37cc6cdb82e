"""Public lists scored by the vectors of a system: tables that compare with published figures."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from voxface.runtime.errors import InputError
from voxface.runtime.files.regular import read_bytes
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching import association_tables as tables
from voxface.training.evaluation.matching.association_findings import NOTE, Findings, strata_of
from voxface.training.evaluation.matching.association_space import Groups, Space
from voxface.training.evaluation.matching.embeddings_file import EmbeddingsFile, Vectors
from voxface.training.evaluation.matching.pickled_trial_lists import read_pickled_retrieval
from voxface.training.evaluation.matching.public_list_scores import (
    DIRECTIONS,
    Lacking,
    MatchingScore,
    VerificationScore,
    score_matching,
    score_verification,
)
from voxface.training.evaluation.matching.public_lists import Direction, ListFile, PublicLists
from voxface.training.evaluation.matching.trial_lists import read_retrieval
from voxface.training.evaluation.measures.verification_intervals import Rates
from voxface.training.evaluation.result import Kind, Measured, PerPerson, SuiteResult


def of_lists(inputs: Inputs, folder: Path, embeddings: Path) -> SuiteResult:
    """Scores every list of a folder of which all voices and faces have vectors.

    Raises:
        InputError: the folder or the file cannot be read, somebody is both learnt from and tested, or no list can be scored.
    """
    lists, vectors = PublicLists.read(folder), EmbeddingsFile.read(embeddings)
    missing: list[str] = []
    done = inputs.phase("scoring lists")
    matching: dict[tuple[Direction, str], MatchingScore] = {}
    verified: dict[str, VerificationScore] = {}
    spaces: dict[str, tuple[Space, dict[str, Groups | None]]] = {}
    scored = []
    for number, one in enumerate(lists.lists):
        try:
            if one.task == "matching":
                for direction in (one.direction,) if one.direction else DIRECTIONS:
                    if (direction, one.alike) in matching:
                        raise InputError(f"{one.name}: another list has such trials already; keep them in two folders")
                    matching[direction, one.alike] = score_matching(lists, one, vectors, direction, inputs.seed)
            elif one.task == "verification":
                words = tables.stratum(one.alike) + (", people heard in training" if one.heard else "")
                verified[words] = score_verification(lists, one, vectors, inputs.seed)
            else:
                for place, gallery in enumerate(_items(lists, one, vectors)):
                    spaces[f"{one.name} {place + 1}" if place else one.name] = gallery
            scored.append(one)
        except Lacking as lacking:
            missing.append(
                f"{one.name}: {embeddings.name} has no vector of {lacking}; give one of every voice and face of it"
            )
        done(number + 1, len(lists.lists))
    if not scored:
        raise InputError(f"{embeddings}: no list can be scored with it; {missing[0]}")
    found = Findings(inputs)
    _matching(found, vectors.name, matching)
    _verification(found, vectors.name, verified)
    for number, (name, (space, strata)) in enumerate(spaces.items()):
        found.retrieval(
            name, [(vectors.name, "ours", space)], strata, published=True, tag=f"-{number + 1}" if number else ""
        )
        if not number:
            found.n_way(name, [(vectors.name, "ours", space)], strata)
    if not any("A" in one.alike for one in scored if one.task == "matching"):
        missing.append(
            "matching and retrieval among people of the same age: VoxCeleb's metadata name no ages; give such a list"
        )
    facts = {
        "embeddings": {"name": vectors.name, "sha256": vectors.digest},
        "subject_sha256": vectors.digest,
        "data_sha256": _digest(scored),
        "lists": [one.name for one in scored],
    }
    return found.result(facts, missing)


def _matching(into: Findings, method: str, found: Mapping[tuple[Direction, str], MatchingScore]) -> None:
    pairs = {cell: score for cell, score in found.items() if score.candidates == 2}
    if pairs:
        rows: list[tuple[str, Kind, Mapping[tuple[Direction, str], Measured]]] = [
            (method, "ours", {cell: tables.measured(score.share) for cell, score in pairs.items()}),
            (tables.CHANCE, "trivial", dict.fromkeys(pairs, Measured(0.5))),
        ]
        sex = {cell: tables.measured(score.sex) for cell, score in pairs.items() if score.sex is not None}
        if sex:
            rows.append((tables.SEX, "trivial", sex))
        into.tables.append(tables.matching_table("matching", "1:2 matching, public lists", rows, NOTE))
        into.say_order({cell: score.share.value for cell, score in pairs.items()})
    for (direction, alike), score in found.items():
        words = f"{tables.WORDS[direction]}, {tables.stratum(alike)}"
        into.per_person[f"1:{score.candidates} matching, {words}"] = PerPerson("higher", score.by_person)
        if score.candidates != 2:
            row = {score.candidates: tables.measured(score.share)}
            name = f"matching-{direction}-{alike.lower() or 'u'}-{score.candidates}"
            title = f"1:{score.candidates} matching, public list: {words}"
            into.tables.append(tables.n_way_table(name, title, [(method, "ours", row)], NOTE))


def _verification(into: Findings, method: str, found: Mapping[str, VerificationScore]) -> None:
    if not found:
        return
    rows: list[tuple[str, Kind, Mapping[str, Rates]]] = [
        (method, "ours", {words: score.rates for words, score in found.items()}),
        (tables.CHANCE, "trivial", dict.fromkeys(found, tables.chance_rates())),
    ]
    sex = {words: score.sex for words, score in found.items() if score.sex is not None}
    if sex:
        rows.append((tables.SEX, "trivial", sex))
    into.tables.append(tables.verification_table("verification", "Verification, public lists", rows, NOTE))
    curves = {words: score.trials for words, score in found.items()}
    into.figures["association-verification.png"] = tables.roc_figure("Is the face the voice's? Public lists", curves)


def _items(lists: PublicLists, of: ListFile, vectors: EmbeddingsFile) -> list[tuple[Space, dict[str, Groups | None]]]:
    """The galleries of a list of retrieval, and what people are alike in."""
    if of.pickled:
        galleries = [
            ([(person, voice) for person, voice, _ in items], [(person, face) for person, _, face in items])
            for items in read_pickled_retrieval(of.files[0])
        ]
    else:
        galleries = [(read_retrieval(of.files[0]), read_retrieval(of.files[1]))]
    found = []
    for voices, faces in galleries:
        numbers: dict[str, int] = {}
        people = []
        sides = []
        for items, side in ((voices, vectors.voices), (faces, vectors.faces)):
            rows, whose = [], []
            for key, path in dict.fromkeys(items):
                rows.append(_row(side, path))
                person = lists.person(path, of.name)
                if key in lists.people and lists.people[key].name != person.name:
                    raise InputError(
                        f"{of.name}: {path} is said to be of {key}, but lies in the folder of {person.name}"
                    )
                if person.name not in numbers:
                    numbers[person.name] = len(numbers)
                    people.append(person)
                whose.append(numbers[person.name])
            sides.append((side.vectors[rows], np.array(whose, np.int64)))
        lists.check_apart(people, of)
        space = Space(*sides[0], *sides[1], tuple(person.name for person in people))
        traits = {"G": [person.gender for person in people], "N": [person.nationality for person in people]}
        found.append((space, strata_of(traits)))
    return found


def _row(side: Vectors, path: str) -> int:
    if path not in side.row:
        raise Lacking(path)
    return side.row[path]


def _digest(lists: list[ListFile]) -> str:
    digest = hashlib.sha256()
    for one in lists:
        for file in one.files:
            digest.update(file.name.encode() + hashlib.sha256(read_bytes(file)).digest())
    return digest.hexdigest()
