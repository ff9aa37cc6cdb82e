"""What the discriminator F_d says of faces from voices and from noise (Wen 2019, §4.2).

The paper: mean 0.09 and standard deviation 0.13 over 1,000 voices, 0.06 and 0.07 over as many noises. F_d has learnt to call
every generated face false, so the numbers are low; that they differ says that the generator knows a voice from noise.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.training.data.array_shards import Rows
from voxface.training.data.images import as_images
from voxface.training.evaluation.figures import COLOURS, axes, png
from voxface.training.evaluation.hearing.evaluated_voices import check_makes_faces, voices_of
from voxface.training.evaluation.hearing.noises import Noise, noises
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.measures.verification import auc
from voxface.training.evaluation.pictures.critics import Critics
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table

SAMPLES: Final = 1000  # voices, and as many noises
_PUBLISHED: Final = {
    "voices": Measured(0.09, sd=0.13, trials=1000),
    "noises": Measured(0.06, sd=0.07, trials=1000),
}
Float64 = NDArray[np.float64]


def run(inputs: Inputs) -> SuiteResult:
    """Asks the discriminator of --critics.

    Raises:
        UsageError: no --critics, no data, or what is evaluated makes no pictures.
        InputError: the run has no critics.
    """
    if inputs.critics is None:
        raise UsageError(
            "--critics: realness asks a discriminator; give the folder of the `voxface train face-gan` run that the face "
            "network is of"
        )
    check_makes_faces(inputs)
    pairs = inputs.pairs
    critics = Critics.load(inputs.critics, pairs)
    rng = np.random.default_rng([inputs.seed, 131])
    count = inputs.fewer(SAMPLES, 200)
    voices = voices_of(pairs, pairs.split(inputs.split), utterances=count, pictures=count, rng=rng)
    of_voices = realness(critics, inputs.subject.faces(voices.utterances))
    of_real = realness(critics, pairs.pictures[voices.pictures])
    mean = _mean_picture(inputs)
    of_mean = realness(critics, mean[None])
    missing: list[str] = []
    of_noise: dict[str, Float64] = {}
    if inputs.given_bundle is None:
        missing.append(
            "Noises: pictures of another method are of recordings only; a bundle's networks can be given noise."
        )
    else:
        lengths = np.array([len(pairs.utterance(int(u))) for u in voices.utterances])
        of_noise = {
            noise.name: realness(
                critics, _faces_of(inputs, noise, rng.choice(lengths, max(1, count // len(kinds))), rng)
            )
            for kinds in [noises(inputs.noise)]
            for noise in kinds
        }
    table = _table(inputs, of_voices, voices.person, of_noise, of_real, of_mean)
    own = Tally.of(of_voices, voices.person, len(pairs.people)).by_person()
    statements = _statements(inputs, critics, of_voices, of_noise, voices.utterances)
    return SuiteResult(
        "realness",
        (table, *_by_noise(of_noise, of_voices)),
        {"realness.png": _figure(of_voices, of_noise, of_real)},
        {"F_d of voices": PerPerson("higher", {pairs.people[i].name: value for i, value in own.items()})},
        {
            "voices": len(of_voices),
            "noises": {name: len(values) for name, values in of_noise.items()},
            "conditional": critics.conditional,
        },
        statements,
        tuple(missing),
    )


def realness(critics: Critics, pictures: Rows, batch: int = 256) -> Float64:
    """F_d of pictures uint8 [N, S, S, 3], float64 [N]."""
    parts = [
        critics.realness(as_images(torch.from_numpy(np.ascontiguousarray(pictures[k : k + batch]))))
        for k in range(0, len(pictures), batch)
    ]
    return np.concatenate(parts)


def _faces_of(
    inputs: Inputs, noise: Noise, lengths: NDArray[np.integer], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Faces of noise, one of each of these numbers of frames."""
    front_end = inputs.bundle.bundle.front_end
    embedded = inputs.bundle.embed(noise.frames(int(length), front_end, rng) for length in lengths)
    return inputs.bundle.faces_of(embedded)


def _mean_picture(inputs: Inputs) -> NDArray[np.uint8]:
    """The mean of the training people's pictures."""
    pairs = inputs.pairs
    which = np.flatnonzero(np.isin(pairs.picture_person, pairs.split("train")))[: inputs.fewer(5_000, 500)]
    mean: NDArray[np.uint8] = np.rint(pairs.pictures[which].mean(0)).astype(np.uint8)
    return mean


def _table(
    inputs: Inputs,
    of_voices: Float64,
    person: NDArray[np.int64],
    of_noise: dict[str, Float64],
    of_real: Float64,
    of_mean: Float64,
) -> Table:
    values = {"voices": _spread(of_voices)}
    noise = np.concatenate([*of_noise.values()]) if of_noise else np.empty(0)
    if len(noise):
        values["noises"] = _spread(noise)
        values["told apart"] = _told_apart(of_voices, person, noise, inputs)
    same = Measured(float(of_mean[0]))
    rows = (
        Row(inputs.subject.name, "ours", values),
        Row("the mean picture of the training people, whatever is heard", "trivial",
            {"voices": same, "noises": same, "told apart": Measured(0.5)}),
        Row("real pictures of the same people", "limit", {"voices": _spread(of_real)}),
        Row("Wen et al. 2019, §4.2", "published", _PUBLISHED),
    )  # fmt: skip
    return Table(
        "realness",
        "F_d of generated faces, mean ± standard deviation (1: a real picture)",
        (
            Column("voices", digits=3),
            Column("noises", better="lower", digits=3),
            Column("told apart", "%", digits=1),
        ),
        rows,
        "Told apart: how often F_d is higher for a voice than for a noise (area under the ROC; interval by bootstrap over "
        "people). The noises are white, pink and brown noise, mains hum, and those of --noise, each as long as a voice.",
    )


def _by_noise(of_noise: dict[str, Float64], of_voices: Float64) -> tuple[Table, ...]:
    if not of_noise:
        return ()
    rows = tuple(
        Row(name, "ours", {"F_d": _spread(values), "told apart": Measured(auc(of_voices, values))})
        for name, values in of_noise.items()
    )
    columns = (Column("F_d", better="lower", digits=3), Column("told apart", "%"))
    chance = Row("chance", "trivial", {"told apart": Measured(0.5)})
    return (Table("kinds-of-noise", "F_d of faces from each kind of noise", columns, (*rows, chance)),)


def _spread(values: Float64) -> Measured:
    return Measured(float(values.mean()), sd=float(values.std()), trials=len(values))


def _told_apart(of_voices: Float64, person: NDArray[np.int64], noise: Float64, inputs: Inputs) -> Measured:
    value = auc(of_voices, noise)
    people = len(np.unique(person))
    if people < 2:
        return Measured(value, people=people)
    low, high = bootstrap(
        lambda rows: auc(of_voices[rows], noise),
        person,
        rng=np.random.default_rng(inputs.seed),
        rounds=inputs.fewer(1000, 100),
    )
    return Measured(value, low, high, trials=len(of_voices) + len(noise), people=people)


def _statements(
    inputs: Inputs, critics: Critics, of_voices: Float64, of_noise: dict[str, Float64], utterances: NDArray[np.int64]
) -> tuple[str, ...]:
    found = []
    if of_noise:
        noise = float(np.concatenate([*of_noise.values()]).mean())
        order = "holds" if of_voices.mean() > noise else "does not hold"
        found.append(f"Wen 2019's order, voices ({of_voices.mean():.3f}) above noises ({noise:.3f}), {order}.")
    if critics.conditional:
        found.append("This F_d was trained with the classifier's logit added to its own; here it speaks alone.")
    if (apart := _another_generator(inputs, utterances[:8])) is not None:
        found.append(apart)
    return tuple(found)


def _another_generator(inputs: Inputs, utterances: NDArray[np.int64]) -> str | None:
    """Says so where the faces are not those of the run's own generator."""
    from voxface.training.data.images import as_pictures
    from voxface.training.engine.trained_networks import describe, load_network

    assert inputs.critics is not None
    other = "The faces are not of the generator that this F_d has learnt against: it judges them as a stranger."
    if inputs.given_bundle is None:
        return other
    if "face" not in describe(inputs.critics)["networks"]:
        return None
    embedding = torch.from_numpy(inputs.bundle.embeddings(utterances))
    generator = load_network(inputs.critics, "face")
    try:
        with torch.no_grad():
            own = as_pictures(generator(embedding)).astype(np.int64)
    except RuntimeError:  # of another width of embeddings
        return other
    here = inputs.bundle.faces_of(embedding.numpy()).astype(np.int64)
    return other if own.shape != here.shape or float(np.abs(own - here).mean()) > 4 else None


def _figure(of_voices: Float64, of_noise: dict[str, Float64], of_real: Float64) -> bytes:
    figure, one = axes(
        "What the discriminator says of faces", "F_d (1: a real picture)", "share of faces up to F_d (%)"
    )
    curves = {"voices": of_voices, **of_noise, "real pictures": of_real}
    styles = ("-", "--", "-.", ":")
    for k, (name, values) in enumerate(curves.items()):
        ordered = np.sort(values)
        share = 100 * np.arange(1, len(ordered) + 1) / len(ordered)
        main = name in ("voices", "real pictures")
        one.step(
            np.concatenate([[0], ordered, [1]]),
            np.concatenate([[0], share, [100]]),
            where="post",
            label=name,
            color="#000000" if name == "real pictures" else COLOURS[k % len(COLOURS)],
            linewidth=2 if main else 1.2,
            linestyle="-" if main else styles[k % len(styles)],
        )
    one.set_xlim(0, 1)
    one.set_ylim(0, 101)
    one.legend(fontsize=8, frameon=False)
    return png(figure)
