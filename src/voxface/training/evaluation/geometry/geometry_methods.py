"""The methods of the geometry tables: what is evaluated, further bundles, cascades, baselines, and what no voice can pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import InputError, UsageError
from voxface.training.data.images import as_images
from voxface.training.data.pairs import Pairs
from voxface.training.engine.trained_experts import load_expert
from voxface.training.evaluation.baselines.linear_cues import LinearCues
from voxface.training.evaluation.baselines.linear_embedding import LinearEmbedding
from voxface.training.evaluation.baselines.mean_faces import MeanFaces
from voxface.training.evaluation.geometry.heard_sexes import fitted_on, sexes_heard
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.result import Kind
from voxface.training.evaluation.subject import BATCH, Subject, at_rest, names_of

Float32 = NDArray[np.float32]
Rows = NDArray[np.int64]
Learning = Literal["supervised", "unsupervised", "cascade", ""]
MEAN_OF_SEX: Final = "mean face of the sex heard"
TRUE_SEX: Final = "mean face of the true sex"
MOST_FITTED: Final = 20_000  # training utterances that baselines learn from


@dataclass(frozen=True)
class Method:
    """A method with one face an utterance.

    Attributes:
        name: in the tables, unique.
        kind: of its rows.
        vertices: rows int64 [B] of the utterances -> float32 [B, N, 3] in mm.
        learning: how it learnt, where that is known.
    """

    name: str
    kind: Kind
    vertices: Callable[[Rows], Float32]
    learning: Learning = ""


def methods(inputs: Inputs, utterances: NDArray[np.int32], missing: list[str]) -> list[Method]:
    """All methods that what is given suffices for; what the others lack is added to `missing`.

    Raises:
        UsageError: what is evaluated makes no meshes, or of another morphable model.
        InputError: see `load_expert` and `Predictions`.
    """
    found = subject_methods([inputs.subject, *inputs.beside], utterances)
    found += cascades(inputs, utterances, missing)
    return found + baselines(inputs, utterances, missing)


def cascades(
    inputs: Inputs, utterances: NDArray[np.int32], missing: list[str], of: Subject | None = None
) -> list[Method]:
    """A cascade for each expert: it reads the pictures of a subject, the one that is evaluated by default (Wu 2022, Fig. 6)."""
    subject = inputs.subject if of is None else of
    if "faces" not in subject.makes:
        missing.append(f"cascade: {subject.name} makes no pictures for an expert to read")
        return []
    if not inputs.experts:
        missing.append(
            "cascade (Base-1, Base-2): give --expert, a run of `voxface train expert` or a published expert's file"
        )
        return []
    found = []
    for source in inputs.experts:
        read = read_by(load_expert(source, inputs.whitening), subject, utterances, inputs.pairs, source.name)
        name = f"cascade: pictures of {subject.name}, read by {source.stem}"
        found.append(Method(name, "baseline", from_coefficients(inputs.pairs, read), "cascade"))
    return found


def read_by(
    expert: torch.nn.Module, subject: Subject, utterances: NDArray[np.int32], pairs: Pairs, source: str
) -> Float32:
    """Coefficients float32 [U, P] that an expert reads from the pictures that a subject makes of utterances.

    Raises:
        InputError: they are of another morphable model.
    """
    expert.eval()
    rows = []
    for begin in range(0, len(utterances), BATCH):
        pictures = subject.faces(utterances[begin : begin + BATCH])
        with torch.no_grad():
            rows.append(expert(as_images(torch.from_numpy(pictures))).coefficients.float().numpy())
    read: Float32 = np.concatenate(rows)
    if read.shape[1] != pairs.morphable.modes:
        raise InputError(
            f"{source}: reads {read.shape[1]} coefficients; {pairs.morphable.name}, the data's model, has "
            f"{pairs.morphable.modes}; give an expert that was trained on such faces"
        )
    return read


def from_coefficients(pairs: Pairs, coefficients: Float32) -> Callable[[Rows], Float32]:
    """Vertices, at rest, of coefficients float32 [U, P], for `Method`."""
    neutral = at_rest(pairs.morphable, coefficients)
    return lambda rows: pairs.morphable.vertices(neutral[rows])


def learning_of(bundle: Bundle) -> Learning:
    """How a bundle's mesh network learnt: "unsupervised" by joint training (Wu 2022, §3.3); "" where that is unknown."""
    made = (bundle.manifest.architecture or {}).get("mesh")
    if made is None:
        return ""
    return "unsupervised" if made.get("kind") == "joint" else "supervised"


def subject_methods(subjects: Sequence[Subject], utterances: NDArray[np.int32]) -> list[Method]:
    """Bundles and predictions as methods.

    Raises:
        UsageError: one makes no meshes.
    """
    found = []
    for subject, name in zip(subjects, names_of(subjects), strict=True):
        if "meshes" not in subject.makes:
            raise UsageError(f"{subject.name} makes no meshes; give files such as PERSON/0.obj, or run another suite")
        bundle = getattr(subject, "bundle", None)
        learning = learning_of(bundle) if isinstance(bundle, Bundle) else ""
        found.append(Method(name, "ours", partial(_vertices, subject, utterances), learning))
    return found


def _vertices(subject: Subject, utterances: NDArray[np.int32], rows: Rows) -> Float32:
    return subject.vertices(utterances[rows])


def baselines(inputs: Inputs, utterances: NDArray[np.int32], missing: list[str]) -> list[Method]:
    pairs, voices = inputs.pairs, inputs.voices
    of = pairs.utterance_person[utterances]
    fit = fitted_on(pairs, "train", inputs.fewer(MOST_FITTED, 400))
    people = np.unique(pairs.utterance_person[fit])
    if len(np.unique(pairs.sexes[people])) < 2:
        missing.append("mean faces and linear maps: they need training people of both sexes with a known face")
        return []
    means = MeanFaces.from_pairs(pairs, people)

    def method(name: str, kind: Kind, coefficients: Float32) -> Method:
        return Method(name, kind, from_coefficients(pairs, coefficients))

    found = [method("mean face", "trivial", means.of_everybody(len(utterances)))]
    if voices is None:
        missing.append(
            "mean face of the sex heard, linear maps: give --beside BUNDLE, whose voice encoder hears for them"
        )
    else:
        heard, learnt = voices.embeddings(utterances), voices.embeddings(fit)
        whose = pairs.utterance_person[fit]
        sexes = sexes_heard(pairs, voices, utterances, fit)
        found.append(method(MEAN_OF_SEX, "trivial", means.of_sexes(sexes)))
        held = (
            fitted_on(pairs, "validation", inputs.fewer(MOST_FITTED, 100)) if inputs.split != "validation" else fit[:0]
        )
        validation = (voices.embeddings(held), pairs.coefficients[pairs.utterance_person[held]]) if len(held) else None
        linear = LinearEmbedding.fit(learnt, pairs.coefficients[whose], validation, pairs.morphable.place)
        found.append(method("linear map of the voice embedding", "baseline", linear(heard)))
        if np.isfinite(pairs.cues[people]).all(1).sum() >= 5:
            cues = LinearCues.fit(pairs, people)(pairs.cues[of], sexes)
            found.append(method("linear map of pitch, tract length and sex", "baseline", cues))
    found.append(method(TRUE_SEX, "limit", means.of_sexes(pairs.sexes[of])))
    if np.isfinite(pairs.expected[of]).all():
        found.append(method("mean face of all with such a voice", "limit", pairs.expected[of]))
    return found
