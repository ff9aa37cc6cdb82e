"""Sex and age group of generated faces (Wen 2019, §4.2): do they match the speaker's?

A classifier with the critic's architecture learns from real or rendered pictures of the training people. Its own accuracy comes
first, on real pictures of the people who are evaluated; then it looks at the faces made of their voices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.baselines.mean_faces import LinearSexClassifier
from voxface.training.evaluation.hearing.evaluated_voices import Voices, check_makes_faces, voices_of, what_data_are
from voxface.training.evaluation.hearing.person_ages import AGE_GROUPS, age_groups
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.picture_classifier import ClassifierConfig, kept_classifier
from voxface.training.evaluation.result import Column, Kind, Measured, PerPerson, Row, SuiteResult, Table

SEXES: Final = ("women", "men")
_PUBLISHED: Final = "Wen et al. 2019, §4.2"


@dataclass(frozen=True)
class _Attribute:
    """An attribute of people.

    Attributes:
        name: "sex".
        classes: names of its values.
        labels: int64 [I], -1 unknown.
    """

    name: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]


def run(inputs: Inputs) -> SuiteResult:
    """Looks at the faces of new voices.

    Raises:
        UsageError: no data, or what is evaluated makes no pictures.
        InputError: one sex only, or nobody with a voice and a picture.
    """
    check_makes_faces(inputs)
    pairs = inputs.pairs
    rng = np.random.default_rng([inputs.seed, 113])
    voices = voices_of(
        pairs,
        pairs.split(inputs.split),
        utterances=inputs.fewer(22_000, 400),
        pictures=inputs.fewer(20_000, 2_000),
        rng=rng,
    )
    config = _config(inputs)
    sex = _Attribute("sex", SEXES, pairs.sexes)
    table, per_person, said = _measure(inputs, sex, voices, config)
    tables, people, statements, missing = [table], dict(per_person), [said], []
    groups = age_groups(pairs)
    if groups is None:
        missing.append('Age group: the data hold no ages; `about` would carry them as "ages": {person: years}.')
    else:
        age = _Attribute("age", tuple(f"{a} to {b - 1}" for a, b in AGE_GROUPS), groups)
        table, per_person, said = _measure(inputs, age, voices, config)
        tables.append(table)
        people |= per_person
        statements.append(said)
    return SuiteResult(
        "attributes",
        tuple(tables),
        per_person=people,
        facts={
            "recordings": len(voices.utterances),
            "pictures": len(voices.pictures),
            "people": len(np.unique(voices.person)),
            "classifier": {"channels": list(config.channels), "steps": config.steps},
        },
        statements=(*statements, *what_data_are(pairs)),
        missing=tuple(missing),
    )


def _config(inputs: Inputs) -> ClassifierConfig:
    if inputs.quick:
        return ClassifierConfig(channels=(8, 16, 32, 64, 128), steps=250, rate=1e-3, seed=inputs.seed)
    return ClassifierConfig(seed=inputs.seed)


def _measure(
    inputs: Inputs, attribute: _Attribute, voices: Voices, config: ClassifierConfig
) -> tuple[Table, Mapping[str, PerPerson], str]:
    pairs, labels = inputs.pairs, attribute.labels
    look = kept_classifier(inputs, attribute.name, labels, config)
    rows: list[Row] = []
    real = look(pairs.pictures, voices.pictures)
    rows.append(_row(inputs, "real pictures of the same people", "limit", real, voices.picture_person, attribute))
    ours: NDArray[np.int64] | None = None
    for subject in (inputs.subject, *inputs.beside):
        seen = look(subject.faces(voices.utterances))
        ours = seen if ours is None else ours
        kind: Kind = "ours" if subject is inputs.subject else "baseline"
        rows.append(_row(inputs, f"faces of {subject.name}", kind, seen, voices.person, attribute))
    assert ours is not None
    if attribute.name == "sex" and inputs.given_bundle is not None:
        heard = _heard(inputs, voices)
        method = "the sex heard in the voice, by a linear classifier on its embedding"
        rows.append(_row(inputs, method, "baseline", heard, voices.person, attribute))
    known = labels[voices.person][labels[voices.person] >= 0]
    counts = np.bincount(known, minlength=len(attribute.classes))
    most = int(counts.argmax())
    always = np.full(len(voices.person), most)
    method = f"always {attribute.classes[most]}, the most frequent"
    rows.append(_row(inputs, method, "trivial", always, voices.person, attribute))
    if attribute.name == "sex":
        rows.append(Row(f"{_PUBLISHED}: real pictures", "published", {"all": Measured(0.9897)}))
        rows.append(
            Row(f"{_PUBLISHED}: generated faces", "published", {"all": Measured(0.9645, trials=21_850, people=189)})
        )
    tally = _tally(ours, voices.person, labels, len(pairs.people))
    own = {pairs.people[i].name: share for i, share in tally.by_person().items()}
    table = Table(
        attribute.name,
        f"{attribute.name.capitalize()} of the faces of new voices",
        (Column("all", "%", digits=2), *(Column(name, "%", digits=2) for name in attribute.classes)),
        tuple(rows),
        f"The classifier learns from pictures of the training people ({pairs.kind} data), each {attribute.name} as often as "
        "the others. Published numbers are of other data.",
    )
    limit = _tally(real, voices.picture_person, labels, len(pairs.people)).value or 0.0
    said = (
        f"{attribute.name.capitalize()}: {tally.value or 0:.1%} of the generated faces are seen as the speaker's, where the "
        f"classifier is right of {limit:.1%} of real pictures and always saying {attribute.classes[most]} of "
        f"{counts.max() / max(1, counts.sum()):.1%}."
    )
    return table, {attribute.name: PerPerson("higher", own)}, said


def _heard(inputs: Inputs, voices: Voices) -> NDArray[np.int64]:
    """The sex that a linear classifier hears in the bundle's embedding of each voice."""
    pairs = inputs.pairs
    rng = np.random.default_rng([inputs.seed, 127])
    learnt = voices_of(pairs, pairs.split("train"), utterances=inputs.fewer(4_000, 400), pictures=1, rng=rng)
    hear = LinearSexClassifier.fit(inputs.bundle.embeddings(learnt.utterances), pairs.sexes[learnt.person])
    return hear(inputs.bundle.embeddings(voices.utterances))


def _tally(
    seen: NDArray[np.int64], person: NDArray[np.int64], labels: NDArray[np.int64], people: int, only: int | None = None
) -> Tally:
    truth = labels[person]
    kept = truth >= 0 if only is None else truth == only
    return Tally.of(seen[kept] == truth[kept], person[kept], people)


def _row(
    inputs: Inputs,
    method: str,
    kind: Kind,
    seen: NDArray[np.int64],
    person: NDArray[np.int64],
    attribute: _Attribute,
) -> Row:
    people = len(inputs.pairs.people)
    cells = {"all": None, **{name: k for k, name in enumerate(attribute.classes)}}
    found = {
        name: _tally(seen, person, attribute.labels, people, only).measured(rounds=inputs.fewer(1000, 200))
        for name, only in cells.items()
    }
    return Row(method, kind, {name: value for name, value in found.items() if value is not None})
