"""Suite `images`: FID, KID, likeness and classifier score of faces, by the picture judge and by networks of the user's."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.measures.significance import paired_difference
from voxface.training.evaluation.pictures.classifier_score import SPLITS, classifier_score
from voxface.training.evaluation.pictures.face_networks import FaceNetwork, JudgeNetwork, OnnxNetwork
from voxface.training.evaluation.pictures.judges import picture_judge
from voxface.training.evaluation.pictures.likeness import Likeness
from voxface.training.evaluation.pictures.picture_sets import (
    Generated,
    generated,
    other_pictures,
    real_pictures,
    training_pictures,
)
from voxface.training.evaluation.pictures.picture_tables import distance_table, likeness_table
from voxface.training.evaluation.recordings import evaluated
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table

Float64 = NDArray[np.float64]


def run(inputs: Inputs) -> SuiteResult:
    """Runs the suite.

    Raises:
        UsageError: what is evaluated makes no pictures.
        InputError: fewer than two people with recordings and pictures, a network that cannot be used, or no training
            pictures for the judge.
    """
    pairs = inputs.pairs
    utterances, people = evaluated(inputs, pictures=True)
    if len(people) < 2:
        raise InputError(f"--data: one {inputs.split} person with recordings and pictures; two at least are needed")
    missing: list[str] = []
    made = generated(inputs, utterances, missing)
    real, other = real_pictures(pairs, people, inputs.seed), other_pictures(pairs, inputs.split, inputs.seed)
    person = pairs.utterance_person[utterances]
    tables: list[Table] = []
    found: dict[str, dict[str, Likeness]] = {}
    with ExitStack() as stack:
        judge = JudgeNetwork(picture_judge(inputs), training_pictures(pairs, inputs.seed))
        networks: list[FaceNetwork] = [judge]
        if inputs.embedder is None:
            missing.append(
                "likeness by a network of faces, as ArcFace or FaceNet: give --embedder FILE.onnx, and FILE.json with how its "
                'pixels are prepared ({"mean": 127.5, "std": 127.5, "order": "RGB"})'
            )
            missing.append(
                "FID by Inception-v3, as published: give its 2048 pooled features as --embedder, an ONNX file of the weights "
                "that FID programs use; none comes with voxface"
            )
        else:
            networks.append(stack.enter_context(OnnxNetwork(inputs.embedder)))
        for network in networks:
            sets = [(one, one.features(network, len(utterances))) for one in made]
            seen = network.embed(pairs.pictures[real])
            beyond = network.embed(pairs.pictures[other]) if len(other) else seen[:0]
            tables.append(distance_table(network, sets, seen, beyond, inputs.seed, missing))
            table, found[network.name] = likeness_table(
                network, sets, person, seen, pairs.picture_person[real], pairs, inputs.seed, missing
            )
            tables.append(table)
        about = [network.about for network in networks]
        scorers: list[JudgeNetwork | OnnxNetwork] = [judge]
        if inputs.classifier is None:
            missing.append(
                "VGGFace score (SF2F): give --classifier FILE.onnx, VGGFace2's ResNet-50 with its 8,631 classes, and FILE.json "
                '({"mean": [131.0912, 103.8827, 91.4953], "std": 1, "size": 224})'
            )
        else:
            scorers.append(stack.enter_context(OnnxNetwork(inputs.classifier)))
            about.append(scorers[-1].about)
        if len(utterances) >= SPLITS and len(real) >= SPLITS:
            tables.append(_score_table(scorers, made, pairs, real, len(utterances), inputs.seed))
        else:
            missing.append(f"classifier score: {SPLITS} recordings and real pictures are needed")
    return SuiteResult(
        "images",
        tuple(tables),
        {},
        {
            f"{metric}_{name.replace(' ', '_')}": _per_person(pairs, of[made[0].name], metric)
            for name, of in found.items()
            for metric in ("cosine", "rank", "rank_within_sex")
        },
        {"people": len(people), "recordings": len(utterances), "real_pictures": len(real), "networks": about},
        tuple(_statements(found, made)),
        tuple(dict.fromkeys(missing)),
    )


def _score_table(
    networks: Sequence[JudgeNetwork | OnnxNetwork],
    made: Sequence[Generated],
    pairs: Pairs,
    real: NDArray[np.int64],
    count: int,
    seed: int,
) -> Table:
    def score(network: JudgeNetwork | OnnxNetwork, pictures: NDArray[np.uint8]) -> Measured:
        found = network.classify(pictures)
        found = np.repeat(found, count, axis=0) if len(found) == 1 else found
        value, sd = classifier_score(found, seed=seed)
        return Measured(value, sd=sd, trials=len(found))

    rows = [
        Row(one.name, one.kind, {network.name: score(network, one.pictures) for network in networks}) for one in made
    ]
    rows.append(
        Row("real pictures", "limit", {network.name: score(network, pairs.pictures[real]) for network in networks})
    )
    return Table(
        "classifier-score",
        "Classifier score: how clearly pictures show somebody, and how many different ones",
        tuple(Column(network.name, "", "higher", 2) for network in networks),
        tuple(rows),
        f"exp of the mean divergence of a picture's classes from those of all, over {SPLITS} parts, ± their standard "
        "deviation; 1 is the least. It asks for nobody's likeness. SF2F's VGGFace score is the same with VGGFace2's "
        "classifier; by the picture judge, whose classes are the training people, it compares within this table only.",
    )


def _statements(found: dict[str, dict[str, Likeness]], made: Sequence[Generated]) -> list[str]:
    said = []
    for network, of in found.items():
        for one in made:
            if one.kind != "ours":
                continue
            like = of[one.name]
            known = np.isfinite(like.rank_within_sex)
            people, who = np.unique(like.person[known], return_inverse=True)
            if len(people) < 2:
                continue
            rank = np.bincount(who, like.rank_within_sex[known]) / np.bincount(who)
            told = paired_difference(rank, np.full(len(rank), 0.5))
            more = told.p_value < 0.05 and told.value > 0
            said.append(
                f"By {network}, faces of {one.name} are {'' if more else 'not significantly '}more like their speaker "
                f"than like others of the same sex: rank {100 * (0.5 + told.value):.1f} % (chance 50 %, "
                f"{100 * (0.5 + told.low):.1f} to {100 * (0.5 + told.high):.1f}, p = {told.p_value:.2g})."
            )
    return said


def _per_person(pairs: Pairs, of: Likeness, metric: str) -> PerPerson:
    values: Any = getattr(of, metric)
    return PerPerson(
        "higher",
        {
            pairs.people[int(i)].name: float(values[of.person == i].mean())
            for i in np.unique(of.person)
            if np.isfinite(values[of.person == i]).all()
        },
    )
