"""Suite `joint-gain`: what joint training gains in pictures and in meshes over networks trained apart (Wu 2022, Q3 and Q4)."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.training.evaluation.figures import COLOURS, INK, axes, png
from voxface.training.evaluation.geometry.are_table import RATIOS, relative_gain
from voxface.training.evaluation.geometry.face_scores import face_scores
from voxface.training.evaluation.geometry.geometry_methods import (
    MEAN_OF_SEX,
    Method,
    baselines,
    cascades,
    subject_methods,
)
from voxface.training.evaluation.geometry.geometry_tables import MEAN, PUBLISHED, SHORT, Scored, ratio_table
from voxface.training.evaluation.geometry.measurement_errors import mean_over
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.measures.significance import paired_difference
from voxface.training.evaluation.pictures.face_networks import JudgeNetwork
from voxface.training.evaluation.pictures.judges import picture_judge
from voxface.training.evaluation.pictures.likeness import Likeness
from voxface.training.evaluation.pictures.picture_sets import (
    generated,
    other_pictures,
    real_pictures,
    training_pictures,
)
from voxface.training.evaluation.pictures.picture_tables import distance_table, likeness_table
from voxface.training.evaluation.recordings import evaluated
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table

Float64 = NDArray[np.float64]
_POINTS: Final = "key points"
_MESH: Final = "mesh, RMS"
_MEASURES: Final = "measurements"


def run(inputs: Inputs) -> SuiteResult:
    """Runs the suite.

    Raises:
        UsageError: no bundle to compare with, no people with recordings, pictures and a known face, or predictions.
        InputError: see `geometry_methods.cascades` and `picture_judge`.
    """
    if not inputs.beside:
        raise UsageError(
            "--beside: joint training is compared with networks trained apart; give a bundle of `train face-gan` and `train "
            "mesh` beside one of `train joint`, and --expert for the cascade of Wu 2022"
        )
    pairs = inputs.pairs
    utterances, people = evaluated(inputs, faces=True, pictures=True)
    missing: list[str] = []
    subjects = [inputs.bundle, *inputs.beside]
    methods = subject_methods(subjects, utterances)
    joint = [k for k, method in enumerate(methods) if method.learning == "unsupervised"]
    known = bool(joint) and len(joint) < len(methods)
    if not known:
        joint = [0]
    apart = [k for k in range(len(methods)) if k not in joint]
    read = cascades(inputs, utterances, missing, subjects[apart[0]])
    trivial = [method for method in baselines(inputs, utterances, missing) if method.name == MEAN_OF_SEX]

    def scored(method: Method) -> Scored:
        scores = face_scores(pairs, utterances, method.vertices, inputs.phase(f"measuring {method.name}"))
        return Scored.of(method, scores, pairs, utterances)

    every = [scored(method) for method in (*methods, *read, *trivial)]
    base = every[len(methods)] if read else every[apart[0]]
    ours = [every[k] for k in joint]
    gains = {one.method.name: _gains(one, base) for one in (*ours, *every[len(methods) + len(read) :])}
    sex = every[-1] if trivial else None
    tables = [
        _gain_table(gains, [one.method for one in (*ours, *every[len(methods) + len(read) :])], base),
        ratio_table(every, "anatomical", base if read else None, sex),
    ]
    pictures, likeness = _pictures(inputs, utterances, people, missing)
    tables += pictures
    statements = [_which_is_which(every, joint, apart, known=known), *_mesh_statements(ours, base, gains)]
    statements += _picture_statements(likeness, [methods[k].name for k in joint], methods[apart[0]].name)
    return SuiteResult(
        "joint-gain",
        tuple(tables),
        {"joint-gain.png": _figure({one.method.name: gains[one.method.name] for one in ours}, base.method.name)},
        _per_person(ours[0]),
        {
            "people": len(people),
            "recordings": len(utterances),
            "joint": [methods[k].name for k in joint],
            "apart": [methods[k].name for k in apart],
            "gains_over": base.method.name,
        },
        tuple(statements),
        tuple(dict.fromkeys(missing)),
    )


def _gains(one: Scored, base: Scored) -> dict[str, Measured]:
    """Relative reduction of each mean error against the base, with its interval over speakers."""
    pairs = {
        SHORT.get(name, name): (one.mean(errors), base.mean(base.scores.are["anatomical"][name]))
        for name, errors in one.scores.are["anatomical"].items()
    }
    pairs[MEAN] = (one.mean(one.scores.mean_are()), base.mean(base.scores.mean_are()))
    pairs[_POINTS] = tuple(of.mean(of.scores.key_points["anatomical"]) for of in (one, base))  # type: ignore[assignment]
    pairs[_MESH] = (one.mean(one.scores.rms_mm), base.mean(base.scores.rms_mm))
    if one.measures:
        pairs[_MEASURES] = (mean_over(one.measures), mean_over(base.measures))
    found = {}
    for name, (mine, other) in pairs.items():
        if other.mean() > 0:
            gain = relative_gain(mine, other)
            found[name] = Measured(gain.gain, gain.low, gain.high, people=len(mine))
    return found


def _gain_table(gains: Mapping[str, Mapping[str, Measured]], methods: Sequence[Method], base: Scored) -> Table:
    names = list(dict.fromkeys(name for of in gains.values() for name in of))
    rows = [Row(method.name, method.kind, gains[method.name]) for method in methods]
    there, first = PUBLISHED["Base-2 (GAN, then SynergyNet)"], PUBLISHED["CMP, unsupervised"]
    if all(SHORT[name] in names for name in RATIOS):
        values = {
            name: Measured(1 - (first[k] or 0) / (there[k] or 1))
            for k, name in enumerate((*(SHORT[ratio] for ratio in RATIOS), MEAN))
        }
        rows.append(Row("CMP, unsupervised, over Base-2; from Wu et al. 2022, Table 1", "published", values))
    return Table(
        "gain",
        f"Reduction of mean errors against {base.method.name}",
        tuple(Column(name, "%") for name in names),
        tuple(rows),
        "ER, FR, MR, CR: absolute ratio errors (ear, forehead, midline, cheek). Intervals are over speakers.",
    )


def _pictures(
    inputs: Inputs, utterances: NDArray[np.int32], people: NDArray[np.int32], missing: list[str]
) -> tuple[list[Table], dict[str, Likeness]]:
    """Tables of picture quality by the picture judge, and the likeness of each method's faces."""
    pairs = inputs.pairs
    network = JudgeNetwork(picture_judge(inputs), training_pictures(pairs, inputs.seed))
    real, other = real_pictures(pairs, people, inputs.seed), other_pictures(pairs, inputs.split, inputs.seed)
    sets = [(one, one.features(network, len(utterances))) for one in generated(inputs, utterances, missing)]
    seen = network.embed(pairs.pictures[real])
    beyond = network.embed(pairs.pictures[other]) if len(other) else seen[:0]
    table, found = likeness_table(
        network,
        sets,
        pairs.utterance_person[utterances],
        seen,
        pairs.picture_person[real],
        pairs,
        inputs.seed,
        missing,
    )
    return [distance_table(network, sets, seen, beyond, inputs.seed, missing), table], found


def _which_is_which(every: Sequence[Scored], joint: Sequence[int], apart: Sequence[int], *, known: bool) -> str:
    ours, others = (", ".join(every[k].method.name for k in of) for of in (joint, apart))
    if known:
        return f"Trained jointly: {ours}; apart: {others}."
    return (
        f"The bundles do not say which of them was trained jointly, or all say the same: {ours} is compared with {others} "
        "as if it were."
    )


def _mesh_statements(ours: Sequence[Scored], base: Scored, gains: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    said = []
    for one in ours:
        of = gains[one.method.name]
        ratios = {name: of[SHORT[name]] for name in RATIOS if SHORT[name] in of}
        if not ratios or len(one.sexes) < 2:
            continue
        best = max(ratios, key=lambda name: ratios[name].value)
        told = paired_difference(one.mean(one.scores.mean_are()), base.mean(base.scores.mean_are()))
        said.append(
            f"{one.method.name}: mean ARE {told.value:+.4f} against {base.method.name} (p = {told.p_value:.2g}). The ratio "
            f"that gains most is {SHORT[best]} ({best}, {100 * ratios[best].value:+.1f} %); in the paper it is ER, which "
            f"{'holds' if best == 'ear' else 'does not hold'} here."
        )
    return said


def _picture_statements(likeness: Mapping[str, Likeness], joint: Sequence[str], apart: str) -> list[str]:
    said = []
    for name in joint:
        mine, other = likeness[name], likeness[apart]
        people, who = np.unique(mine.person, return_inverse=True)
        if len(people) < 2:
            continue
        ranks = [np.bincount(who, of.rank) / np.bincount(who) for of in (mine, other)]
        told = paired_difference(*ranks)
        said.append(
            f"Likeness of pictures to the speaker, {name} against {apart}: rank {100 * told.value:+.1f} points "
            f"({100 * told.low:+.1f} to {100 * told.high:+.1f}, p = {told.p_value:.2g})."
        )
    return said


def _figure(gains: Mapping[str, Mapping[str, Measured]], base: str) -> bytes:
    names = list(next(iter(gains.values())))
    figure, one = axes(f"Reduction of errors against {base}", "", "reduction of the mean error (%)", (7.2, 3.8))
    width = 0.8 / len(gains)
    for k, (method, of) in enumerate(gains.items()):
        values = np.array([100 * of[name].value for name in names])
        spread = 100 * np.array([(of[n].value - (of[n].low or 0), (of[n].high or 0) - of[n].value) for n in names]).T
        one.bar(
            np.arange(len(names)) - 0.4 + (k + 0.5) * width,
            values,
            width,
            yerr=np.maximum(spread, 0),
            color=COLOURS[k % (len(COLOURS) - 1)],
            error_kw={"elinewidth": 0.8, "ecolor": INK, "capsize": 2},
            label=method,
        )
    one.axhline(0, color=INK, linewidth=0.8)
    long = {short: f"{name}\n({short})" for name, short in SHORT.items()} | {MEAN: "mean\nof ratios"}
    one.set_xticks(range(len(names)), [long.get(name, name.replace(" ", "\n")) for name in names], fontsize=8)
    one.grid(visible=False, axis="x")
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return png(figure)


def _per_person(one: Scored) -> dict[str, PerPerson]:
    def of(errors: Float64) -> PerPerson:
        return PerPerson("lower", dict(zip(one.speakers.names, map(float, errors), strict=True)))

    return {"are": of(one.mean(one.scores.mean_are())), "rms_mm": of(one.mean(one.scores.rms_mm))}
