"""Whose face it is: closed-set identification of faces generated for people learnt from (Wen 2019, §4.2).

Five recordings of each training speaker, kept from the training of `train face-gan` where there are so many. The classifier is
F_c of --critics, as in the paper, and the judge, which has learnt from real pictures only and no generator has learnt against.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.pairs import Pairs
from voxface.training.data.voice_face_sampler import held_out_recordings
from voxface.training.evaluation.hearing.evaluated_voices import check_makes_faces, what_data_are
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.closed_set import Named, guessed, named
from voxface.training.evaluation.pictures.face_readers import FaceReader
from voxface.training.evaluation.pictures.judges import JUDGE, SAID, readers
from voxface.training.evaluation.result import Column, Kind, Measured, PerPerson, Row, SuiteResult, Table

RECORDINGS: Final = 5  # of each person, as in the paper: 4620 of 924
_COLUMNS: Final = (Column("top 1", "%"), Column("top 5", "%"))


@dataclass(frozen=True)
class _Recordings:
    """Which recordings are identified.

    Attributes:
        utterances: int64 [U].
        person: int64 [U].
        held: bool [U], whether `train face-gan` keeps them from the training.
    """

    utterances: NDArray[np.int64]
    person: NDArray[np.int64]
    held: NDArray[np.bool_]


def run(inputs: Inputs) -> SuiteResult:
    """Identifies the faces of people learnt from.

    Raises:
        UsageError: no data, or what is evaluated makes no pictures.
        InputError: a network knows nobody of these data.
    """
    check_makes_faces(inputs)
    pairs, look = inputs.pairs, readers(inputs)
    people = len(pairs.people)
    rows: list[Row] = []
    per_person: dict[str, PerPerson] = {}
    facts: dict[str, object] = {}
    missing: list[str] = []
    statements: list[str] = []
    for name, reader in look.items():
        recordings = recordings_of(pairs, reader.people, inputs)
        for subject in (inputs.subject, *inputs.beside):
            pictures = subject.faces(recordings.utterances)
            found = named(reader, pictures, recordings.person, people)
            kind: Kind = "ours" if subject is inputs.subject else "baseline"
            rows.append(_row(f"{subject.name}, by {SAID[name]}", kind, found, inputs))
            if subject is inputs.subject:
                per_person |= _per_person(pairs, found, SAID[name])
                statements.append(_said(found, recordings, reader, SAID[name]))
        rows += _limit(inputs, reader, name, missing)
        rows += _trivial(inputs, reader, recordings, SAID[name])
        facts[SAID[name]] = {
            "people": len(np.unique(recordings.person)),
            "classes": len(reader.people),
            "recordings": len(recordings.utterances),
            "share_kept_from_training": float(recordings.held.mean()),
        }
    rows.append(Row("Wen et al. 2019, §4.2: 4620 recordings of 924 people", "published", _PUBLISHED))
    if (report := getattr(look[JUDGE], "report", None)) is not None:
        facts["judge_report"] = report
    note = (
        f"Up to {RECORDINGS} recordings of each person learnt from. The published number is by F_c, against which the "
        "generator has learnt; the judge is no party to the training. Chance is one of as many people as the network knows."
    )
    return SuiteResult(
        "identity",
        (Table("identity", "Whose face it is, among the people learnt from", _COLUMNS, tuple(rows), note),),
        per_person=per_person,
        facts=facts,
        statements=(*statements, *what_data_are(pairs)),
        missing=tuple(missing),
    )


_PUBLISHED: Final = {
    "top 1": Measured(0.617, trials=4620, people=924),
    "top 5": Measured(0.823, trials=4620, people=924),
}


def recordings_of(pairs: Pairs, known: NDArray[np.integer], inputs: Inputs) -> _Recordings:
    """Up to five clean recordings of each training person that a network knows, those kept from the training first.

    Raises:
        InputError: it knows no training person with a recording.
    """
    train = set(pairs.split("train").tolist())
    people = [int(i) for i in known if int(i) in train and len(pairs.clean_utterances[int(i)])]
    if not people:
        raise InputError("the network that looks at the faces knows nobody with a recording among the training people")
    rng = np.random.default_rng([inputs.seed, 107])
    most = inputs.fewer(len(people), 120)
    people = sorted(rng.choice(people, most, replace=False).tolist()) if most < len(people) else sorted(people)
    held = held_out_recordings(pairs, np.array(people, np.int32))
    chosen: list[int] = []
    for i in people:
        own = rng.permutation(pairs.clean_utterances[i])
        own = own[np.argsort(~held[own], kind="stable")]  # kept ones first
        chosen += own[: inputs.fewer(RECORDINGS, 3)].tolist()
    utterances = np.array(chosen, np.int64)
    return _Recordings(utterances, pairs.utterance_person[utterances].astype(np.int64), held[utterances])


def _row(method: str, kind: Kind, found: Named, inputs: Inputs) -> Row:
    rounds = inputs.fewer(1000, 200)
    measured = {"top 1": found.top1.measured(rounds=rounds), "top 5": found.top5.measured(rounds=rounds)}
    return Row(method, kind, {name: value for name, value in measured.items() if value is not None})


def _trivial(inputs: Inputs, reader: FaceReader, recordings: _Recordings, by: str) -> list[Row]:
    """Guessing among all, always the people with most recordings, and guessing among those of the right sex."""
    pairs, people = inputs.pairs, len(inputs.pairs.people)
    person, known = recordings.person, reader.people[reader.people >= 0]
    counts = np.bincount(person, minlength=people)
    frequent = np.argsort(-counts, kind="stable")[:5]
    constant = Named.of(np.repeat(frequent[None], len(person), axis=0), person, people)
    of_sex = [known[pairs.sexes[known] == sex] for sex in (0, 1)]
    rows = [
        (
            f"chance, of the {len(reader.people)} people of {by}",
            guessed(person, [reader.people] * len(person), people),
        )
    ]
    rows.append((f"the most frequent people of {by}", constant))
    rows.append(
        (f"a guess of the right sex, of {by}", guessed(person, [of_sex[pairs.sexes[i]] for i in person], people))
    )
    return [_row(method, "trivial", found, inputs) for method, found in rows]


def _limit(inputs: Inputs, reader: FaceReader, name: str, missing: list[str]) -> list[Row]:
    """Real pictures of the same people: of the judge those that it has not learnt from; F_c has seen them all."""
    pairs = inputs.pairs
    pictures, said = getattr(reader, "aside", np.empty(0, np.int64)), "real pictures that it has not learnt from"
    if not len(pictures):
        pictures = np.flatnonzero(np.isin(pairs.picture_person, reader.people[reader.people >= 0]))
        said = "real pictures that it has learnt from"
        if name == JUDGE:
            missing.append(
                "The judge on real pictures that are new to it: nobody has two, so none could be kept from its training; give "
                "people several pictures."
            )
    pictures = pictures[: inputs.fewer(20_000, 2_000)]
    found = named(reader, pairs.pictures[pictures], pairs.picture_person[pictures].astype(np.int64), len(pairs.people))
    return [_row(f"{said}, by {SAID[name]}", "limit", found, inputs)]


def _per_person(pairs: Pairs, found: Named, by: str) -> dict[str, PerPerson]:
    return {
        f"{top} by {by}": PerPerson("higher", {pairs.people[i].name: share for i, share in tally.by_person().items()})
        for top, tally in (("top 1", found.top1), ("top 5", found.top5))
    }


def _said(found: Named, recordings: _Recordings, reader: FaceReader, by: str) -> str:
    kept = "all" if recordings.held.all() else f"{recordings.held.mean():.0%}"
    first = found.top1.measured()
    interval = (
        "" if first is None or first.low is None or first.high is None else f" ({first.low:.1%} to {first.high:.1%})"
    )
    return (
        f"By {by}, {found.top1.value:.1%}{interval} are right at first guess, where chance is "
        f"{1 / len(reader.people):.1%}; "
        f"{kept} of the recordings are ones that `train face-gan` keeps from its training."
    )
