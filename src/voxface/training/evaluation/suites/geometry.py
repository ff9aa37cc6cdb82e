"""Suite `geometry`: 3D faces from voices beside cascades, linear maps and mean faces (Wu 2022, Table 1)."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs
from voxface.training.engine.phases import Done
from voxface.training.evaluation.geometry.are_table import Speakers
from voxface.training.evaluation.geometry.face_scores import face_scores
from voxface.training.evaluation.geometry.geometry_figures import ratio_figure, within_sex_figure
from voxface.training.evaluation.geometry.geometry_methods import MEAN_OF_SEX, TRUE_SEX, Learning, Method, methods
from voxface.training.evaluation.geometry.geometry_tables import (
    Scored,
    measurement_tables,
    point_table,
    ratio_table,
    region_table,
    within_sex_tables,
)
from voxface.training.evaluation.geometry.measurement_errors import mean_over
from voxface.training.evaluation.geometry.region_errors import Regions
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.measures.significance import paired_difference
from voxface.training.evaluation.recordings import drawn_people, evaluated
from voxface.training.evaluation.result import PerPerson, SuiteResult
from voxface.training.evaluation.subject import at_rest

Float64 = NDArray[np.float64]
_REGION_PEOPLE: Final = 100  # ICP takes a tenth of a second a face
_LEVEL: Final = 0.05


def run(inputs: Inputs) -> SuiteResult:
    """Runs the suite.

    Raises:
        UsageError: no people of the split with recordings and a known face, or what is evaluated makes no meshes.
        InputError: see `geometry_methods.methods`.
    """
    pairs = inputs.pairs
    utterances, people = evaluated(inputs, faces=True)
    missing: list[str] = []
    scored = []
    for method in methods(inputs, utterances, missing):
        scores = face_scores(pairs, utterances, method.vertices, inputs.phase(f"measuring {method.name}"))
        scored.append(Scored.of(method, scores, pairs, utterances))
    cascade = next((one for one in scored if one.method.learning == "cascade"), None)
    sex = next((one for one in scored if one.method.name == MEAN_OF_SEX), None)
    tables = [ratio_table(scored, name, cascade, sex) for name in scored[0].scores.are]
    if "paper" not in scored[0].scores.are:
        missing.append(
            f"ratios with the paper's vertices: {pairs.morphable.name} is not BFM's mesh of 53,215 vertices; give data of BFM "
            "faces"
        )
    tables.append(point_table(scored))
    regions = _regions(pairs, utterances, [one.method for one in scored], inputs)
    if regions:
        tables.append(region_table(regions, scored))
    else:
        missing.append(f"region errors: the landmarks of {pairs.morphable.name} have too few vertices round them")
    if pairs.morphable.measurements:
        tables += [*measurement_tables(scored), *within_sex_tables(scored)]
    else:
        missing.append(f"measurements: {pairs.morphable.name} defines none")
    figures = {"geometry-ratios.png": ratio_figure(scored)}
    if pairs.morphable.measurements:
        figures["geometry-within-sex.png"] = within_sex_figure(scored)
    return SuiteResult(
        "geometry",
        tuple(tables),
        figures,
        _per_person(scored[0]),
        {
            "people": len(people),
            "speakers": len(scored[0].speakers.names),
            "recordings": len(utterances),
            "morphable_model": pairs.morphable.name,
            "faces": {"paired": "drawn given the voice", "synthetic": "synthetic", "own": "fitted to pictures"}[
                pairs.kind
            ],
        },
        (*order_statement(scored), *_against_sex(scored, sex, inputs.seed)),
        tuple(missing),
    )


def order_statement(scored: Sequence[Scored]) -> list[str]:
    """Whether the paper's order of methods holds: supervised < unsupervised < cascade in mean ARE."""
    ways: tuple[Learning, ...] = ("supervised", "unsupervised", "cascade")
    found = {way: [one for one in scored if one.method.learning == way] for way in ways}
    lacking = [way for way in ways if not found[way]]
    if lacking:
        given = {
            "supervised": "--beside BUNDLE",
            "unsupervised": "--beside BUNDLE of `train joint`",
            "cascade": "--expert",
        }
        need = ", ".join(f"{way} ({given[way]})" for way in lacking)
        return [
            f"Whether supervised < unsupervised < cascade holds in ARE (Wu 2022, Table 1) cannot be said; not given: {need}."
        ]
    mean = {way: float(found[way][0].mean(found[way][0].scores.mean_are()).mean()) for way in ways}
    said = ", ".join(f"{way} {value:.4f}" for way, value in mean.items())
    holds = mean["supervised"] < mean["unsupervised"] < mean["cascade"]
    parts = []
    for one, other in (("supervised", "unsupervised"), ("unsupervised", "cascade")):
        a, b = (found[way][0] for way in (one, other))  # type: ignore[index]
        told = paired_difference(a.mean(a.scores.mean_are()), b.mean(b.scores.mean_are())) if len(a.sexes) > 1 else None
        if told is not None:
            parts.append(f"{one} − {other} {told.value:+.4f}, p = {told.p_value:.3g}")
    return [
        f"Mean ARE: {said}. The paper's order, supervised < unsupervised < cascade, {'holds' if holds else 'does not hold'}"
        + (f" ({'; '.join(parts)})." if parts else ".")
    ]


def _against_sex(scored: Sequence[Scored], sex: Scored | None, seed: int) -> list[str]:
    """Where methods beat the mean face of the sex, in millimetres, and what they tell within a sex."""
    said = []
    base = sex or next((one for one in scored if one.method.name == TRUE_SEX), None)
    for one in scored:
        measures = one.measures
        if one.method.kind not in ("ours", "baseline") or base is None or not measures or len(one.sexes) < 2:
            continue
        level = _LEVEL / len(measures)
        closer: list[str] = []
        farther: list[str] = []
        for name, measure in measures.items():
            told = paired_difference(measure.errors, base.measures[name].errors, seed=seed, rounds=4000)
            if told.p_value < level:
                (closer if told.value < 0 else farther).append(name.replace("_", " "))
        whole = paired_difference(mean_over(measures), mean_over(base.measures), seed=seed)
        follow = [name.replace("_", " ") for name, (_, p_value) in one.within_sex.items() if p_value < level]
        said.append(
            f"{one.method.name}, against the {base.method.name} in mm: closer in {_list(closer, len(measures))}, farther in "
            f"{_list(farther, len(measures))} (p < {level:.4f} each); mean of all measurements {whole.value:+.3f} mm "
            f"({whole.low:+.3f} to {whole.high:+.3f}). Within a sex, predictions follow the truth in "
            f"{_list(follow, len(measures))}."
        )
    return said


def _list(names: Sequence[str], total: int) -> str:
    return f"{len(names)} of {total}" + (f" ({', '.join(names)})" if names else "")


def _regions(
    pairs: Pairs, utterances: NDArray[np.int32], of: Sequence[Method], inputs: Inputs
) -> dict[str, dict[str, Float64]]:
    """Errors of regions by method and region, float64 [S], of one recording a person; {} where the model has no regions."""
    regions = Regions.of(pairs.morphable)
    if not regions.points:
        return {}
    person = pairs.utterance_person[utterances]
    people, first = np.unique(person, return_index=True)
    chosen = drawn_people(people, pairs.sexes, inputs.fewer(_REGION_PEOPLE, 12), inputs.seed)
    rows = first[np.isin(people, chosen)].astype(np.int64)
    speakers = Speakers.of(pairs, utterances[rows])
    found: dict[str, dict[str, list[float]]] = {method.name: {name: [] for name in regions.points} for method in of}
    done: Done = inputs.phase("fitting regions")
    model = pairs.morphable
    for k, row in enumerate(rows):
        truth = regions.truth(model.vertices(at_rest(model, pairs.coefficients[person[row]])))
        for method in of:
            for name, error in truth.errors(method.vertices(np.array([row]))[0]).items():
                found[method.name][name].append(error)
        done(k + 1, len(rows))
    return {
        method: {name: speakers.mean(np.array(errors)) for name, errors in by_region.items()}
        for method, by_region in found.items()
    }


def _per_person(one: Scored) -> Mapping[str, PerPerson]:
    def of(errors: Float64) -> PerPerson:
        return PerPerson("lower", dict(zip(one.speakers.names, map(float, errors), strict=True)))

    found = {
        "are": of(one.mean(one.scores.mean_are())),
        **{f"are_{name}": of(one.mean(errors)) for name, errors in one.scores.are["anatomical"].items()},
        "key_points": of(one.mean(one.scores.key_points["anatomical"])),
        "landmarks_mm": of(one.mean(one.scores.landmarks_mm)),
        "rms_mm": of(one.mean(one.scores.rms_mm)),
    }
    if one.measures:
        found["measurements_mm"] = of(mean_over(one.measures))
    return found
