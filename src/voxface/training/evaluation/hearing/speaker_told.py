"""Tables of what voices tell of the speaker: sex and age, as bundles tell them and by linear probes on embeddings."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.age import CHILD_UP_TO
from voxface.training.evaluation.hearing.linear_probe import ridge_probe, side_probe
from voxface.training.evaluation.hearing.speaker_trials import Piece
from voxface.training.evaluation.hearing.voice_systems import BundleVoices, VoiceSystem
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.association import share_by_person
from voxface.training.evaluation.result import Column, Kind, Measured, PerPerson, Row, Table
from voxface.training.voices.listing import Voice

FEWEST: Final = 10  # speakers, of a number
NOTE: Final = "95 % intervals are over speakers. Nobody has published figures on these recordings."
_SEX_SECONDS: Final = 5  # of speech, for sex


def told_tables(
    systems: Sequence[VoiceSystem],
    tested: Sequence[Piece],
    learnt: Sequence[Piece],
    name: str,
    per_person: dict[str, PerPerson],
    missing: list[str],
    inputs: Inputs,
) -> list[Table]:
    """Sex of adults with enough speech, and age of all adults whose age is known: as the bundle tells it, and by probes."""
    sexed = [p for p in tested if p.voice.sex and not _is_child(p.voice) and len(p.samples) >= 16_000 * _SEX_SECONDS]
    aged = [p for p in tested if p.voice.age is not None and not _is_child(p.voice)]
    sex_learnt = [p for p in learnt if p.voice.sex and not _is_child(p.voice)]
    age_learnt = [p for p in learnt if p.voice.age is not None and not _is_child(p.voice)]
    made = []
    if len(_speakers(sexed)) >= FEWEST and len({p.voice.sex for p in sex_learnt}) == 2:
        made.append(_sex(systems, sexed, sex_learnt, name, per_person, inputs))
    else:
        missing.append(f"{name}: sex: fewer than {FEWEST} adults of known sex have {_SEX_SECONDS} s of speech")
    if len(_speakers(aged)) >= FEWEST and len(_speakers(age_learnt)) >= FEWEST:
        made.append(_age(systems, aged, age_learnt, name, per_person, inputs))
    else:
        missing.append(
            f"{name}: age: its speakers.csv names the ages of fewer than {FEWEST} adults to test and to learn from"
        )
    return made


def _sex(
    systems: Sequence[VoiceSystem],
    tested: Sequence[Piece],
    learnt: Sequence[Piece],
    name: str,
    per_person: dict[str, PerPerson],
    inputs: Inputs,
) -> Table:
    men = np.array([piece.voice.sex == "M" for piece in tested])
    men_learnt = np.array([piece.voice.sex == "M" for piece in learnt])
    rows: list[tuple[str, Kind, NDArray[np.bool_]]] = []
    for system in systems:
        embeddings = system.embed([piece.samples for piece in tested])
        if isinstance(system, BundleVoices):
            rows.append((f"{system.name}, mesh", system.kind, ~system.women(embeddings) == men))
        probe = side_probe(system.embed([piece.samples for piece in learnt]), men_learnt)
        rows.append((f"{system.name}, linear probe", system.kind, probe(embeddings) == men))
    commoner = bool(men_learnt.mean() >= 0.5)
    rows.append(
        (
            f"always {'male' if commoner else 'female'}, the commoner of the training speakers",
            "trivial",
            men == commoner,
        )
    )
    per_person[f"sex, {name}"] = PerPerson("higher", _by_speaker(tested, rows[0][2]))
    title = f"Sex, {name}: {len(_speakers(tested))} adult {inputs.split} speakers, {_SEX_SECONDS} s of speech or more"
    made = tuple(Row(method, kind, {"right": _mean(tested, right, inputs.seed)}) for method, kind, right in rows)
    note = f"Probes learn from {len(learnt)} recordings of training speakers. {NOTE}"
    return Table(f"sex-{tag(name)}", title, (Column("right", "%"),), made, note)


def _age(
    systems: Sequence[VoiceSystem],
    tested: Sequence[Piece],
    learnt: Sequence[Piece],
    name: str,
    per_person: dict[str, PerPerson],
    inputs: Inputs,
) -> Table:
    true, known = _ages(tested), _ages(learnt)
    rows: list[tuple[str, Kind, NDArray[np.float64]]] = []
    for system in systems:
        embeddings = system.embed([piece.samples for piece in tested])
        years = system.years(embeddings) if isinstance(system, BundleVoices) else None
        if years is not None:
            rows.append((f"{system.name}, age told", system.kind, np.abs(years - true)))
        probe = ridge_probe(system.embed([piece.samples for piece in learnt]), known)
        rows.append((f"{system.name}, linear probe", system.kind, np.abs(probe(embeddings) - true)))
    rows.append(("mean age of the training speakers", "trivial", np.abs(known.mean() - true)))
    per_person[f"age error, {name}"] = PerPerson("lower", _by_speaker(tested, rows[0][2]))
    made = tuple(
        Row(method, kind, {"mean absolute error": _mean(tested, error, inputs.seed)}) for method, kind, error in rows
    )
    title = f"Age, {name}: {len(_speakers(tested))} adult {inputs.split} speakers"
    note = f"The middle of the decade where no more is known. Probes learn from {len(learnt)} recordings. {NOTE}"
    return Table(f"age-{tag(name)}", title, (Column("mean absolute error", "years", "lower"),), made, note)


def _is_child(voice: Voice) -> bool:
    return voice.age is not None and voice.age[1] <= CHILD_UP_TO


def _ages(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    return np.array([np.mean(piece.voice.age) for piece in pieces if piece.voice.age is not None])


def _speakers(pieces: Sequence[Piece]) -> list[str]:
    return list(dict.fromkeys(piece.voice.speaker for piece in pieces))


def _numbers(pieces: Sequence[Piece]) -> NDArray[np.int64]:
    place = {speaker: k for k, speaker in enumerate(_speakers(pieces))}
    return np.array([place[piece.voice.speaker] for piece in pieces], np.int64)


def _mean(pieces: Sequence[Piece], values: NDArray[Any], seed: int) -> Measured:
    share = share_by_person(values.astype(np.float64), _numbers(pieces), seed=seed)
    return Measured(share.value, share.low, share.high, trials=share.trials, people=share.people)


def _by_speaker(pieces: Sequence[Piece], values: NDArray[Any]) -> dict[str, float]:
    number = _numbers(pieces)
    means = np.bincount(number, values.astype(np.float64)) / np.bincount(number)
    return dict(zip(_speakers(pieces), means.tolist(), strict=True))


def tag(name: str) -> str:
    """The name of a folder in the name of a table."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
