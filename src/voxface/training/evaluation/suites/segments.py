"""How much the faces of one voice differ: seven segments a speaker (Wen 2019, Fig. 5; Wu 2022, Figs. 9 and 10).

Seven windows of a speaker's speech, evenly apart, make seven faces. Fig. 10 of Wu et al. has, for each of the three windows
before and behind the central one, how far each vertex is from its place in that one: mean and standard deviation over vertices.
Theirs are in pixels of the frontal pose, these in millimetres. A method that hears nothing has none of it, so what different
speakers' central faces differ by stands beside.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.figures import COLOURS, axes, png
from voxface.training.evaluation.hearing.speech_windows import FRAMES_A_SECOND, evenly, frames_of, speech_of
from voxface.training.evaluation.hearing.vertex_heat import heat_maps
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.picture_sheets import sheet
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table
from voxface.training.evaluation.subject import BundleSubject

SEGMENTS: Final = 7
CENTRE: Final = SEGMENTS // 2
OFFSETS: Final = tuple(range(-CENTRE, CENTRE + 1))
WINDOW_SECONDS: Final = 3  # the shortest crop that either paper trains on
_LEAST: Final = 2 * WINDOW_SECONDS * FRAMES_A_SECOND  # frames of speech, or the windows are almost one
_MM: Final = Column("distance", "mm", "lower", 2)
_SD: Final = Column("sd over vertices", "mm", "neither", 2)
Float64 = NDArray[np.float64]


def run(inputs: Inputs) -> SuiteResult:
    """Compares faces of windows of one voice.

    Raises:
        UsageError: no data, or no bundle.
        InputError: too few people speak for long enough.
    """
    bundle, pairs = inputs.bundle, inputs.pairs
    if not bundle.makes >= {"meshes", "faces"}:
        raise UsageError(f"{bundle.name} makes no meshes and pictures; this suite compares both")
    people = _people(inputs)
    model = bundle.bundle.morphable
    embeddings = _embeddings(inputs, bundle, people)
    distance = vertex_distances(model, bundle.coefficients_of(embeddings.reshape(-1, embeddings.shape[-1])), SEGMENTS)
    centre = embeddings[:, CENTRE]
    others = between(model, bundle.coefficients_of(centre), np.random.default_rng([inputs.seed, 157]))
    rows = [_row(f"window {offset:+d}", distance[:, k], people, pairs) for k, offset in enumerate(OFFSETS) if offset]
    within = np.delete(distance, CENTRE, axis=1)
    rows.append(_row("all six", within.mean(1), people, pairs))
    rows.append(_reference("the same windows of different speakers", others, people, pairs))
    nothing = Measured(0.0)
    rows.append(Row("one face for everybody", "trivial", {_MM.name: nothing, _SD.name: nothing}))
    apart = float(np.median([(frames_of(pairs, pairs.clean_utterances[i]) - 300) / (SEGMENTS - 1) for i in people]))
    note = (
        f"Mean distance of a vertex from where it is in the central one of {SEGMENTS} windows of {WINDOW_SECONDS} s, in "
        "the model's frame, without expression; interval over people. Neighbouring windows begin "
        f"{apart / FRAMES_A_SECOND:.1f} s apart (median). "
        "Wu 2022, Fig. 10 has sub-pixel differences in a frontal picture, and no numbers."
    )
    tally = Tally.of(within.mean((1, 2)), people, len(pairs.people))
    figures = {
        "segments-faces.png": _sheet(inputs, bundle, people, embeddings),
        "segments-variation.png": _figure(distance, float(others.mean())),
        "segments-heat.png": heat_maps(
            "How far vertices of one voice's faces lie apart",
            model,
            within.mean((0, 1)),
            "mean distance from the central window (mm)",
        ),
    }
    return SuiteResult(
        "segments",
        (Table("segments", "Per-vertex variation over windows of one voice", (_MM, _SD), tuple(rows), note),),
        figures,
        {
            "distance from the central window": PerPerson(
                "lower", {pairs.people[i].name: v for i, v in tally.by_person().items()}
            )
        },
        {"people": len(people), "segments": SEGMENTS, "window_s": WINDOW_SECONDS, "apart_s": apart / FRAMES_A_SECOND},
        (
            f"Windows of one voice move a vertex by {within.mean():.2f} mm, other speakers by {others.mean():.2f} mm "
            f"({within.mean() / max(others.mean(), 1e-9):.0%} of it).",
        ),
    )


def _people(inputs: Inputs) -> NDArray[np.int64]:
    pairs = inputs.pairs
    able = [i for i in pairs.split(inputs.split).tolist() if frames_of(pairs, pairs.clean_utterances[i]) >= _LEAST]
    rng = np.random.default_rng([inputs.seed, 163])
    chosen = sorted(rng.permutation(able)[: inputs.fewer(250, 24)].tolist())
    if len(chosen) < 2:
        raise InputError(
            f"fewer than two of the people evaluated speak for {_LEAST / FRAMES_A_SECOND:.0f} s; give longer recordings"
        )
    return np.array(chosen, np.int64)


def _embeddings(inputs: Inputs, bundle: BundleSubject, people: NDArray[np.int64]) -> NDArray[np.float32]:
    """Embeddings float32 [I, 7, E] of the windows of each person."""
    pairs, done = inputs.pairs, inputs.phase("faces of windows")
    rows = []
    for k, i in enumerate(people.tolist()):
        speech = speech_of(pairs, pairs.clean_utterances[i])
        rows.append(bundle.embed(evenly(speech, WINDOW_SECONDS * FRAMES_A_SECOND, SEGMENTS)))
        done(k + 1, len(people))
    return np.stack(rows)


def _vertices(model: MorphableModel, coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
    """Faces at rest: expressions are not of the voice's owner."""
    rest = coefficients.copy()
    rest[..., model.identity_modes :] = 0
    return model.vertices(rest)


def vertex_distances(model: MorphableModel, coefficients: NDArray[np.float32], segments: int) -> Float64:
    """Distance in mm of each vertex from where it is in the central segment.

    Args:
        coefficients: float32 [I · segments, P], person after person.

    Returns:
        float64 [I, segments, N].
    """
    rows = []
    for own in coefficients.reshape(-1, segments, coefficients.shape[-1]):
        vertices = _vertices(model, own).astype(np.float64)
        rows.append(np.linalg.norm(vertices - vertices[segments // 2], axis=2))
    return np.stack(rows)


def between(model: MorphableModel, coefficients: NDArray[np.float32], rng: np.random.Generator) -> Float64:
    """Distance in mm of each vertex from where it is in the face of somebody else, who is drawn: float64 [I, N], I ≥ 2."""
    count = len(coefficients)
    other = (np.arange(count) + rng.integers(1, count, count)) % count
    vertices = _vertices(model, coefficients).astype(np.float64)
    distance: Float64 = np.linalg.norm(vertices - vertices[other], axis=2)
    return distance


def _row(method: str, distance: Float64, people: NDArray[np.int64], pairs: Pairs) -> Row:
    """A row of distances [I, N]: the mean with its interval over people, and how much vertices differ in it."""
    mean = Tally.of(distance.mean(1), people, len(pairs.people)).measured()
    spread = Measured(float(distance.mean(0).std()))
    return Row(method, "ours", {_SD.name: spread} | ({} if mean is None else {_MM.name: mean}))


def _reference(method: str, distance: Float64, people: NDArray[np.int64], pairs: Pairs) -> Row:
    row = _row(method, distance, people, pairs)
    return Row(row.method, "baseline", row.values)


def _figure(distance: Float64, others: float) -> bytes:
    """Wu 2022, Fig. 10: mean over people and vertices of each window, with the deviation over vertices."""
    figure, one = axes(
        "Vertices of one voice's faces, window by window", "window (0: the central one)", "distance from window 0 (mm)"
    )
    by_vertex = distance.mean(0)
    mean, spread = by_vertex.mean(1), by_vertex.std(1)
    one.errorbar(
        OFFSETS,
        mean,
        spread,
        marker="o",
        markersize=5,
        capsize=3,
        color=COLOURS[0],
        label="one voice (± sd over vertices)",
    )
    one.axhline(others, color=COLOURS[1], linestyle="--", linewidth=1.2, label="different speakers")
    one.set_xticks(OFFSETS)
    one.set_ylim(0, None)
    one.legend(fontsize=8, frameon=False, loc="center right")
    return png(figure)


def _sheet(inputs: Inputs, bundle: BundleSubject, people: NDArray[np.int64], embeddings: NDArray[np.float32]) -> bytes:
    pairs = inputs.pairs
    order = [[k for k, i in enumerate(people) if pairs.sexes[i] == sex] for sex in (0, 1)]
    turns = [k for pair in zip(*order, strict=False) for k in pair]
    chosen = (turns + [k for k in range(len(people)) if k not in turns])[:6]
    rows = []
    for k in chosen:
        i = int(people[k])
        real = np.asarray(pairs.pictures[int(pairs.pictures_of[i][0])]) if len(pairs.pictures_of[i]) else None
        name = pairs.people[i].name
        rows.append((name if len(name) <= 18 else f"{name[:17]}…", [*bundle.faces_of(embeddings[k]), real]))
    columns = [
        *(f"{offset:+d}" if offset else "0" for offset in OFFSETS),
        "real picture" if pairs.kind == "own" else "drawn face",
    ]
    return sheet("Faces of seven segments of one voice", rows, columns, apart=SEGMENTS, below="segment")
