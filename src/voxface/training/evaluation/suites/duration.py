"""Seconds of speech that a face is made of: faces, matching and identity (Wen 2019, Fig. 3; Fig. 2 is in `noise`).

The same people are heard for 1, 2, 3, 5 and 10 s: windows of their recordings one after another. The paper shows pictures only,
and numbers for entire recordings.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.evaluation.figures import COLOURS, panels, png
from voxface.training.evaluation.hearing.evaluated_voices import check_makes_faces, what_data_are
from voxface.training.evaluation.hearing.heard_people import HeardPerson, examples, heard_people
from voxface.training.evaluation.hearing.speech_windows import FRAMES_A_SECOND, evenly
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.face_readers import FaceReader
from voxface.training.evaluation.pictures.face_scoring import BY_SEX, COLUMNS, MATCHING, PUBLISHED, TOP1, FaceScoring
from voxface.training.evaluation.pictures.picture_sheets import sheet
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table

SECONDS: Final = (1, 2, 3, 5, 10)
_FEWEST: Final = 6  # people evaluated; with fewer the longest durations are left out
_MOVED: Final = Column("change of the face", "levels", "lower", 1)


def run(inputs: Inputs) -> SuiteResult:
    """Scores faces of more and more speech.

    Raises:
        UsageError: no data, or no bundle.
        InputError: too few people speak for a second.
    """
    bundle = inputs.bundle
    check_makes_faces(inputs)
    pairs, scoring = inputs.pairs, FaceScoring.prepare(inputs)
    durations, people, missing = _people(inputs, scoring.reader)
    windows = inputs.fewer(4, 2)
    done = inputs.phase("faces of more and more speech")
    faces: dict[int, NDArray[np.uint8]] = {}
    for k, seconds in enumerate(durations):
        heard = [part for one in people for part in evenly(one.speech, seconds * FRAMES_A_SECOND, windows)]
        faces[seconds] = bundle.faces_of(bundle.embed(heard))
        done(k + 1, len(durations))
    whose = np.repeat(np.array([one.person for one in people], np.int64), windows)
    known = np.repeat(np.array([one.known for one in people], np.bool_), windows)
    tallies = {
        seconds: scoring.matching(made[~known], whose[~known]) | scoring.identity(made[known], whose[known])
        for seconds, made in faces.items()
    }
    longest = faces[durations[-1]].astype(np.float32)
    moved = {
        seconds: Tally.of(np.abs(made - longest).mean((1, 2, 3)), whose, len(pairs.people))
        for seconds, made in faces.items()
    }
    rows = [
        _row(scoring, seconds, tallies[seconds], moved[seconds] if seconds != durations[-1] else None)
        for seconds in durations
    ]
    note = (
        f"Faces of {windows} windows of each person, seen by {scoring.name}: matching of new people (1 of 2), top 1 and 5 "
        f"of known ones. Change: mean difference of a picture's levels (0 to 255) from that of {durations[-1]} s."
    )
    return SuiteResult(
        "duration",
        (
            Table(
                "duration",
                "Faces by seconds of speech heard",
                (*COLUMNS, _MOVED),
                (*rows, scoring.chance(), PUBLISHED),
                note,
            ),
        ),
        {"duration.png": _figure(rows, durations, scoring), "duration-faces.png": _faces(inputs, people, durations)},
        {
            f"matching, {seconds} s": PerPerson(
                "higher", {pairs.people[i].name: share for i, share in found[MATCHING].by_person().items()}
            )
            for seconds, found in tallies.items()
            if MATCHING in found
        },
        {"new_people": int((~known).sum()) // windows, "known_people": int(known.sum()) // windows, "windows": windows},
        (*_statements(tallies, durations), *what_data_are(pairs)),
        tuple(missing),
    )


def _people(inputs: Inputs, reader: FaceReader) -> tuple[list[int], list[HeardPerson], list[str]]:
    """The durations for which enough people speak, these people, and what is missing."""
    durations = list(SECONDS)
    missing: list[str] = []
    while durations:
        frames = durations[-1] * FRAMES_A_SECOND
        people = heard_people(inputs, reader, frames, most_people=inputs.fewer(250, 40), most_frames=4 * frames)
        new = sum(not one.known for one in people)
        if new >= _FEWEST or (len(durations) == 1 and new > 1):
            return durations, people, missing
        missing.append(f"{durations[-1]} s: {new} of the people evaluated speak for so long; give longer recordings.")
        durations.pop()
    raise InputError(f"fewer than two of the people evaluated speak for {SECONDS[0]} s and have a picture")


def _row(scoring: FaceScoring, seconds: int, tallies: dict[str, Tally], moved: Tally | None) -> Row:
    row = scoring.row(f"{seconds} s", tallies)
    change = None if moved is None else moved.measured()
    return row if change is None else Row(row.method, row.kind, {**row.values, _MOVED.name: change})


def _figure(rows: list[Row], durations: list[int], scoring: FaceScoring) -> bytes:
    figure, (left, right) = panels(f"Faces by seconds of speech, seen by {scoring.name}", 2, (7.2, 3.2))
    lines = {left: (MATCHING, BY_SEX), right: (TOP1, "top 5")}
    chance = scoring.chance().values
    for one, names in lines.items():
        for k, name in enumerate(names):
            values = [row.values.get(name) for row in rows]
            if all(value is None for value in values):
                continue
            _line(one, durations, values, name, COLOURS[k])
        shown = {chance[name].value for name in names}
        for value in shown:
            one.axhline(
                100 * value,
                color="#888888",
                linewidth=1,
                linestyle=":",
                label="chance" if value == max(shown) else None,
            )
        one.set_xscale("log")
        one.set_xticks(durations, [str(seconds) for seconds in durations])
        one.minorticks_off()
        one.set_xlabel("speech heard (s)")
        one.legend(fontsize=7, frameon=False)
    left.set_ylabel("new people: right face of two (%)")
    right.set_ylabel("known people: named rightly (%)")
    left.set_ylim(min(40, *left.get_ylim()), 100)
    right.set_ylim(0, max(5, right.get_ylim()[1]))
    figure.set_layout_engine("constrained", w_pad=0.08)
    return png(figure)


def _line(one: object, x: list[int], values: list[Measured | None], name: str, colour: str) -> None:
    points = [(seconds, value) for seconds, value in zip(x, values, strict=True) if value is not None]
    at = [seconds for seconds, _ in points]
    middle = [100 * value.value for _, value in points]
    low = [100 * (value.low if value.low is not None else value.value) for _, value in points]
    high = [100 * (value.high if value.high is not None else value.value) for _, value in points]
    one.plot(at, middle, marker="o", markersize=4, color=colour, label=name)  # type: ignore[attr-defined]
    one.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)  # type: ignore[attr-defined]


def _faces(inputs: Inputs, people: list[HeardPerson], durations: list[int]) -> bytes:
    pairs, bundle = inputs.pairs, inputs.bundle
    rows = []
    for one in examples(inputs, people):
        heard = [one.speech[: seconds * FRAMES_A_SECOND] for seconds in durations]
        made = bundle.faces_of(bundle.embed(heard))
        real = np.asarray(pairs.pictures[int(pairs.pictures_of[one.person][0])])
        rows.append((_short(pairs.people[one.person].name), [*made, real]))
    columns = [*(f"{seconds} s" for seconds in durations), "real picture" if pairs.kind == "own" else "drawn face"]
    return sheet("Faces of new people by seconds of speech", rows, columns, apart=len(durations))


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _statements(tallies: dict[int, dict[str, Tally]], durations: list[int]) -> tuple[str, ...]:
    found = []
    for name, people in ((MATCHING, "new people are matched"), (TOP1, "known people are named")):
        first, last = (tallies[seconds].get(name) for seconds in (durations[0], durations[-1]))
        if first is None or last is None or first.value is None or last.value is None or len(durations) < 2:
            continue
        found.append(
            f"From {durations[0]} s of speech {people} rightly in {first.value:.1%}, "
            f"from {durations[-1]} s in {last.value:.1%}."
        )
    return tuple(found)
