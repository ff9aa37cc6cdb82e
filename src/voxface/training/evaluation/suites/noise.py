"""Noise: beside a voice, and alone (Wen 2019, Fig. 2): faces, matching and identity.

Noise is put beside the voice in the mel bands, where the data are (`noises`), at four ratios of voice to noise. Noise alone, 1
to 10 s of it, makes the faces of the paper's Fig. 2, "blurry, unrecognizable and generally alike"; how alike is measured.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.evaluation.figures import COLOURS, panels, png
from voxface.training.evaluation.hearing.evaluated_voices import check_makes_faces, what_data_are
from voxface.training.evaluation.hearing.heard_people import HeardPerson, examples, heard_people
from voxface.training.evaluation.hearing.noises import Noise, beside, noises
from voxface.training.evaluation.hearing.speech_windows import FRAMES_A_SECOND
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.face_scoring import BY_SEX, COLUMNS, MATCHING, PUBLISHED, TOP1, FaceScoring
from voxface.training.evaluation.pictures.picture_sheets import sheet
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table

DECIBELS: Final = (20, 10, 5, 0)  # voice above noise
SECONDS: Final = (1, 2, 3, 5, 10)  # of noise alone, Wen 2019, Fig. 2
SPEECH_SECONDS: Final = 5  # of each voice, or as much as it has
CLEAN: Final = "no noise"
_LEAST: Final = 100  # frames
Pictures = NDArray[np.uint8]


def run(inputs: Inputs) -> SuiteResult:
    """Scores faces of voices in noise, and looks at faces of noise.

    Raises:
        UsageError: no data, or no bundle.
        InputError: too few people speak for a second.
    """
    bundle = inputs.bundle
    check_makes_faces(inputs)
    pairs, scoring, kinds = inputs.pairs, FaceScoring.prepare(inputs), noises(inputs.noise)
    most = SPEECH_SECONDS * FRAMES_A_SECOND
    people = heard_people(inputs, scoring.reader, _LEAST, most_people=inputs.fewer(250, 40), most_frames=most)
    whose, known = np.array([one.person for one in people], np.int64), np.array([one.known for one in people], np.bool_)
    if (~known).sum() < 2:
        raise InputError("fewer than two of the people evaluated speak for 1 s and have a picture")
    conditions = [(CLEAN, None, 0), *((kind.name, kind, decibels) for kind in kinds for decibels in DECIBELS)]
    done = inputs.phase("faces of voices in noise")
    tallies: dict[tuple[str, int], dict[str, Tally]] = {}
    for k, (name, kind, decibels) in enumerate(conditions):
        rng = np.random.default_rng([inputs.seed, 139, k])
        made = bundle.faces_of(bundle.embed(_heard(inputs, one, kind, decibels, rng) for one in people))
        tallies[name, decibels] = scoring.matching(made[~known], whose[~known]) | scoring.identity(
            made[known], whose[known]
        )
        if kind is None:
            clean = made
        done(k + 1, len(conditions))
    alone = {kind.name: _alone(inputs, kind, k) for k, kind in enumerate(kinds)}
    rows = [scoring.row(CLEAN, tallies[CLEAN, 0])]
    rows += [scoring.row(f"{kind.name}, {level} dB", tallies[kind.name, level]) for kind in kinds for level in DECIBELS]
    rows += [_unheard(scoring, kind.name, alone[kind.name], whose, known) for kind in kinds]
    rows += [scoring.chance(), PUBLISHED]
    note = (
        f"Up to {SPEECH_SECONDS} s of each voice with noise so many decibels below it, mixed in the mel bands; faces seen by "
        f"{scoring.name}. Of noise alone, the faces are given to people in turn, so that only chance can be right. The paper "
        "has pictures of noise alone and no numbers; its row is of clean recordings."
    )
    return SuiteResult(
        "noise",
        (
            Table("noise", "Faces of voices in noise, and of noise", COLUMNS, tuple(rows), note),
            _alike(alone, clean[~known]),
        ),
        {
            "noise.png": _figure(tallies, kinds, scoring),
            "noise-faces.png": _faces(inputs, people, kinds),
            "noise-alone.png": sheet(
                "Faces of noise alone",
                [(name, list(made[: len(SECONDS)])) for name, made in alone.items()],
                [f"{seconds} s" for seconds in SECONDS],
            ),
        },
        {
            f"matching, {name}, {level} dB": PerPerson(
                "higher", {pairs.people[i].name: share for i, share in found[MATCHING].by_person().items()}
            )
            for (name, level), found in tallies.items()
            if MATCHING in found
        },
        {
            "new_people": int((~known).sum()),
            "known_people": int(known.sum()),
            "seconds": SPEECH_SECONDS,
            "mixed": "in the mel bands",
        },
        (*_statements(tallies, alone, clean[~known], kinds), *what_data_are(pairs)),
    )


def _heard(
    inputs: Inputs, one: HeardPerson, kind: Noise | None, decibels: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    if kind is None:
        return one.speech
    return beside(one.speech, kind.frames(len(one.speech), inputs.bundle.bundle.front_end, rng), decibels)


def _alone(inputs: Inputs, kind: Noise, number: int) -> Pictures:
    """Faces of 1, 2, 3, 5 and 10 s of noise, several rounds of them, each drawn anew."""
    rng = np.random.default_rng([inputs.seed, 149, number])
    front_end = inputs.bundle.bundle.front_end
    lengths = [seconds * FRAMES_A_SECOND for seconds in SECONDS] * inputs.fewer(10, 3)
    return inputs.bundle.faces_of(inputs.bundle.embed(kind.frames(length, front_end, rng) for length in lengths))


def _unheard(
    scoring: FaceScoring, name: str, made: Pictures, whose: NDArray[np.integer], known: NDArray[np.bool_]
) -> Row:
    """A row of faces that no voice was heard for."""
    given = made[np.arange(len(whose)) % len(made)]
    found = scoring.matching(given[~known], whose[~known]) | scoring.identity(given[known], whose[known])
    row = scoring.row(f"{name} alone", found)
    return Row(row.method, "baseline", row.values)


def unlikeness(pictures: Pictures) -> float:
    """Mean difference of levels between two different ones of some pictures uint8 [N, S, S, 3], N ≥ 2."""
    flat = np.sort(pictures.reshape(len(pictures), -1).astype(np.float64), axis=0)
    # The sum of |a − b| over all pairs, pixel by pixel: in ascending order, number k is added k times and subtracted N − 1 − k.
    count = len(flat)
    weights = 2 * np.arange(count) - (count - 1)
    return float((weights @ flat).mean() / (count * (count - 1) / 2))


def _alike(alone: dict[str, Pictures], voices: Pictures) -> Table:
    column = Column("difference", "levels", "neither", 1)

    def row(method: str, pictures: Pictures) -> Row:
        return Row(method, "ours", {column.name: Measured(unlikeness(pictures), trials=len(pictures))})

    rows = [row("voices of different people", voices)]
    rows += [row(f"{name} alone", made) for name, made in alone.items()]
    rows.append(row("any noise alone", np.concatenate([*alone.values()])))
    rows.append(Row("one face for everything", "trivial", {column.name: Measured(0.0)}))
    return Table(
        "alike",
        "How different faces are from one another",
        (column,),
        tuple(rows),
        'Mean difference of levels (0 to 255) between two faces. Wen 2019, Fig. 2: faces of noise are "generally alike".',
    )


def _figure(tallies: dict[tuple[str, int], dict[str, Tally]], kinds: tuple[Noise, ...], scoring: FaceScoring) -> bytes:
    figure, axes = panels(f"Faces of voices in noise, seen by {scoring.name}", 3, (9.6, 3.3))
    names = {
        MATCHING: "new people: right face of two (%)",
        BY_SEX: "the same, of one sex (%)",
        TOP1: "known people: top 1 (%)",
    }
    places = np.arange(1 + len(DECIBELS))
    chance = scoring.chance().values
    for one, (name, label) in zip(axes, names.items(), strict=True):
        for k, kind in enumerate(kinds):
            found = [tallies[CLEAN, 0].get(name), *(tallies[kind.name, level].get(name) for level in DECIBELS)]
            values = [np.nan if tally is None or tally.value is None else 100 * tally.value for tally in found]
            one.plot(
                places, values, marker="osD^v"[k % 5], markersize=4, color=COLOURS[k % len(COLOURS)], label=kind.name
            )
        one.axhline(100 * chance[name].value, color="#888888", linewidth=1, linestyle=":", label="chance")
        one.set_xticks(places, ["clean", *map(str, DECIBELS)])
        one.set_xlabel("voice above noise (dB)")
        one.set_ylabel(label)
    low, high = zip(*(one.get_ylim() for one in axes[:2]), strict=True)
    for one in axes[:2]:
        one.set_ylim(min(45, *low), max(60, *high))
    axes[2].set_ylim(0, max(5, axes[2].get_ylim()[1]))
    axes[2].legend(fontsize=7, frameon=False)
    figure.set_layout_engine("constrained", w_pad=0.08)
    return png(figure)


def _faces(inputs: Inputs, people: list[HeardPerson], kinds: tuple[Noise, ...]) -> bytes:
    """One voice a row in each kind of noise, 10 dB above it, and the worst."""
    pairs, bundle = inputs.pairs, inputs.bundle
    levels = (10, 0)
    rows = []
    for one in examples(inputs, people):
        rng = np.random.default_rng([inputs.seed, 151, one.person])
        heard = [one.speech, *(_heard(inputs, one, kind, level, rng) for kind in kinds for level in levels)]
        made = bundle.faces_of(bundle.embed(heard))
        real = np.asarray(pairs.pictures[int(pairs.pictures_of[one.person][0])])
        name = pairs.people[one.person].name
        rows.append((name if len(name) <= 18 else f"{name[:17]}…", [*made, real]))
    columns = [CLEAN, *(f"{kind.name}\n{level} dB" for kind in kinds for level in levels)]
    last = "real picture" if pairs.kind == "own" else "drawn face"
    return sheet("Faces of new people's voices in noise", rows, [*columns, last], apart=len(columns))


def _statements(
    tallies: dict[tuple[str, int], dict[str, Tally]],
    alone: dict[str, Pictures],
    voices: Pictures,
    kinds: tuple[Noise, ...],
) -> tuple[str, ...]:
    found = []
    clean = tallies[CLEAN, 0].get(MATCHING)
    worst = {
        kind.name: tally.value
        for kind in kinds
        if (tally := tallies[kind.name, DECIBELS[-1]].get(MATCHING)) is not None
    }
    known = {name: value for name, value in worst.items() if value is not None}
    if clean is not None and clean.value is not None and known:
        name = min(known, key=lambda kind: known[kind])
        costs = f"{name} costs most" if known[name] < clean.value else "no noise costs anything"
        found.append(
            f"At {DECIBELS[-1]} dB {costs}: {known[name]:.1%} matched rightly, {clean.value:.1%} without noise."
        )
    noise, voice = unlikeness(np.concatenate([*alone.values()])), unlikeness(voices)
    within = float(np.mean([unlikeness(made) for made in alone.values()]))
    alike = "more alike than" if within < voice else "no more alike than"
    found.append(
        f"Faces of one kind of noise are {alike} those of different voices ({within:.1f} and {voice:.1f} levels); those of "
        f"different kinds differ by {noise:.1f}."
    )
    return tuple(found)
