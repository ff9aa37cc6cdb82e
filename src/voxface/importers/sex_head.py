"""A mesh network for a voice encoder that has none: the mean face of the sex that it hears.

From a few hundred voices, a linear function of embeddings cannot tell more than that, and no more is claimed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.features.normalisation import network_input
from voxface.training.data.speech_corpus import Recording, voiced_audio
from voxface.training.models import MeshRegressor, VoiceEncoder

Float64 = NDArray[np.float64]
FOLDS: Final = 5
PENALTIES: Final = tuple(float(10.0**power) for power in range(-5, 3))  # times the embeddings' mean variance
SHORTEST: Final = 16_000  # samples of speech (1 s); shorter recordings are left out


@dataclass(frozen=True)
class HeardVoices:
    """Embeddings of recordings, N rows.

    Attributes:
        embeddings: float64 [N, E].
        sexes: float64 [N], -1 female, 1 male.
        speakers: name of the speaker of each recording, length N.
        left_out: how many recordings could not be read or hold less than a second of speech.
    """

    embeddings: Float64
    sexes: Float64
    speakers: tuple[str, ...]
    left_out: int

    @classmethod
    def from_recordings(
        cls, encoder: VoiceEncoder, recordings: Sequence[Recording], done: Callable[[], None] = lambda: None
    ) -> "HeardVoices":
        """Encodes whole recordings, as the runtime does; `done` is called after each."""
        rows, used = [], []
        for recording in recordings:
            try:
                audio = voiced_audio(recording.path)
            except InputError:
                audio = np.empty(0, np.int16)
            if len(audio) >= SHORTEST:
                with torch.no_grad():
                    rows.append(
                        encoder(torch.from_numpy(network_input(log_mel(audio), how=encoder.normalisation)))[0][0]
                        .double()
                        .numpy()
                    )
                used.append(recording)
            done()
        return cls(
            np.array(rows) if rows else np.empty((0, 1)),
            np.array([1.0 if recording.sex == "M" else -1.0 for recording in used]),
            tuple(recording.speaker for recording in used),
            len(recordings) - len(used),
        )


@dataclass(frozen=True)
class SexLine:
    """A linear function of embeddings: sex ≈ weight · embedding + offset, from -1 (female) to 1 (male).

    Attributes:
        weight: float64 [E].
        offset: the constant term.
        penalty: penalty of the ridge regression, chosen by cross-validation over speakers.
        agreement: mean over speakers of the share of recordings on the right side, in folds that were not learnt from.
        speakers: number of speakers.
    """

    weight: Float64
    offset: float
    penalty: float
    agreement: float
    speakers: int

    def __call__(self, embeddings: Float64) -> Float64:
        """Sexes float64 [N] of embeddings float64 [N, E]."""
        sexes: Float64 = embeddings @ self.weight + self.offset
        return sexes


def fit_sex_line(voices: HeardVoices) -> SexLine:
    """Fits the line by ridge regression in which every speaker has the same weight.

    Raises:
        InputError: fewer than two women or two men.
    """
    sex_of = dict(zip(voices.speakers, voices.sexes, strict=True))
    women, men = (sorted(name for name, sex in sex_of.items() if sex == which) for which in (-1, 1))
    if min(len(women), len(men)) < 2:
        raise InputError(
            f"{len(women)} women and {len(men)} men with speech that can be used: at least two of each are needed"
        )
    counts = {name: voices.speakers.count(name) for name in sex_of}
    share = np.array([1 / counts[name] for name in voices.speakers])
    fold_of = {name: i % FOLDS for group in (women, men) for i, name in enumerate(group)}
    fold = np.array([fold_of[name] for name in voices.speakers])
    best: tuple[float, float, float] | None = None
    for penalty in PENALTIES:
        heard = np.zeros(len(fold))
        for k in np.unique(fold):
            learnt = fold != k
            weight, offset = _ridge(voices.embeddings[learnt], voices.sexes[learnt], share[learnt], penalty)
            heard[~learnt] = voices.embeddings[~learnt] @ weight + offset
        error = float((share * (heard - voices.sexes) ** 2).sum())
        agreement = agreement_by_speaker(heard, voices)
        if best is None or error < best[0]:
            best = error, penalty, agreement
    assert best is not None
    weight, offset = _ridge(voices.embeddings, voices.sexes, share, best[1])
    return SexLine(weight, offset, best[1], best[2], len(sex_of))


def agreement_by_speaker(heard: Float64, voices: HeardVoices) -> float:
    """Mean over speakers of the share of recordings on the right side."""
    right = np.sign(heard) == voices.sexes
    names = np.array(voices.speakers)
    return float(np.mean([right[names == name].mean() for name in sorted(set(voices.speakers))]))


def mean_face_of_the_sex(model: MorphableModel, line: SexLine) -> tuple[MeshRegressor, dict[str, Any]]:
    """The line as a mesh network: from the mean woman's coefficients at -1 to the mean man's at 1."""
    women, men = model.sex_means.astype(np.float64)
    middle, half = (women + men) / 2, (men - women) / 2
    return _linear(model, np.outer(half, line.weight), middle + half * line.offset)


def mean_face(model: MorphableModel, embedding: int) -> tuple[MeshRegressor, dict[str, Any]]:
    """A mesh network whose output is the same for every voice: the face halfway between the mean woman and the mean man."""
    return _linear(model, np.zeros((model.modes, embedding)), model.sex_means.astype(np.float64).mean(0))


def _linear(model: MorphableModel, weight: Float64, bias: Float64) -> tuple[MeshRegressor, dict[str, Any]]:
    architecture = {"coefficients": model.modes, "embedding": weight.shape[1], "hidden": 0, "dropout": 0.0}
    network = MeshRegressor(**architecture)
    network.load_state_dict({"model.1.weight": torch.from_numpy(weight), "model.1.bias": torch.from_numpy(bias)})
    return network.eval(), architecture


def _ridge(x: Float64, y: Float64, share: Float64, penalty: float) -> tuple[Float64, float]:
    """Weight [E] and offset of the ridge regression of y [N] on x [N, E] with weights `share`; the offset is not penalised."""
    share = share / share.sum()
    middle, mean = share @ x, float(share @ y)
    centred = x - middle
    inner = (centred * share[:, None]).T @ centred
    strength = penalty * max(float(np.trace(inner)) / len(inner), 1e-12)
    answer = np.linalg.solve(inner + strength * np.eye(len(inner)), (centred * share[:, None]).T @ (y - mean))
    weight = np.asarray(answer, np.float64)
    return weight, mean - float(middle @ weight)
