"""Trains the speaker change detector for a bundle's voice encoder, and writes it into the bundle.

    python -m voxface.training.trainers.speaker_change --speech LIBRISPEECH [--bundle IN] --out OUT

A network for each of four groups of speakers, trained without the group, gives the differences that the weights of the evidence
are fitted to; the network that goes into the bundle is trained on all. The threshold is the highest, in steps of 0.05, at which
80 % of the changes are noticed in 2 s, for each group by weights fitted to the other three. It takes half an hour on one core.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import EvidenceWeights, SpeakerChangeEntry
from voxface.runtime.bundle.speaker_embedding_file import SPEAKER_EMBEDDING, write_layers
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.config.speaker_change import SpeakerChangeWeights
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.speaker_change import HOP, NEWEST, STEADY
from voxface.training.data.speech_corpus import LIBRISPEECH_CITATION, VALIDATION, Recording, librispeech, voiced_audio
from voxface.training.trainers import speaker_embedding
from voxface.training.trainers.part_command import part_parser, write_part
from voxface.training.trainers.speaker_change_streams import (
    DifferenceRecorder,
    Stream,
    changing,
    lasting,
    moved,
    swapped,
)

Float64 = NDArray[np.float64]
Score = Callable[[Float64], float]
GROUPS: Final = 4
WITHIN_S: Final = 2.0
NOTICED: Final = 0.8  # share of changes that the threshold lets through in time
STEP: Final = 0.05  # of the threshold
HIGHEST: Final = 5.0
TRAINED_ON: Final = (f"training speakers of {LIBRISPEECH_CITATION}",)


@dataclass(frozen=True)
class Evidence:
    """A logistic regression on differences float64 [15]."""

    weights: Float64
    bias: float

    def __call__(self, found: Float64) -> float:
        """The logarithm of how much likelier the differences are with another speaker than without."""
        return self.bias + float(self.weights @ found)


@dataclass(frozen=True)
class SpeakerChangeFit:
    """The trained detector, and its results on speakers that it was not trained on.

    Attributes:
        weights: everything that goes into the bundle.
        noticed: share of changes noticed within 2 s.
        false_alarms: kind of stream with one speaker -> share of streams with a false alarm.
    """

    weights: SpeakerChangeWeights
    noticed: float
    false_alarms: Mapping[str, float]


def first_noticed(stream: Stream, threshold: float, score: Score) -> int | None:
    """The sample at which the detector would first notice a change; None if it would not notice any."""
    agreed = 0
    for at, found in stream.rows:
        agreed = agreed + 1 if score(found) > threshold else 0
        if agreed >= STEADY:
            return at
    return None


def noticed_in_time(stream: Stream, threshold: float, score: Score) -> bool:
    """Whether a stream's change would be noticed within 2 s of the second speaker's first speech."""
    at = first_noticed(stream, threshold, score)
    return at is not None and at - (stream.change or 0) <= WITHIN_S * SAMPLE_RATE


def fit(changes: Sequence[Stream], same: Sequence[Stream]) -> Evidence:
    """Logistic regression, both kinds of equal weight, a little towards zero; by Newton's method."""
    newest = NEWEST * HOP
    told_apart = [d for at, rows in changes for p, d in rows if newest <= p - (at or 0) < newest + 6400]
    alike = [d for _, rows in same for _, d in rows]
    x = np.array(told_apart + alike)
    y = np.repeat([1.0, 0.0], [len(told_apart), len(alike)])
    mean, spread = x.mean(0), x.std(0)
    z = np.concatenate([(x - mean) / spread, np.ones((len(x), 1))], 1)
    share_of = np.where(y == 1, 0.5 / len(told_apart), 0.5 / len(alike))
    w = np.zeros(z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-z @ w))
        slope = z.T @ (share_of * (p - y)) + 1e-2 * w
        bend = (z * (share_of * p * (1 - p))[:, None]).T @ z + 1e-2 * np.eye(len(w))
        w -= np.linalg.solve(bend, slope)
    weights = w[:-1] / spread
    return Evidence(weights.round(3), round(float(w[-1] - (weights * mean).sum()), 3))


def choose_threshold(changes: Sequence[tuple[Stream, Score]]) -> float:
    """The highest threshold at which enough changes are noticed in time; 0 where no threshold lets enough through.

    Args:
        changes: streams with a change, each with the evidence that is to judge it.
    """
    for k in range(round(HIGHEST / STEP), 0, -1):
        threshold = round(k * STEP, 2)
        if np.mean([noticed_in_time(stream, threshold, score) for stream, score in changes]) >= NOTICED:
            return threshold
    return 0.0


def group(recording: Recording) -> int:
    """Which of four groups of training speakers; the first was kept from the bundle's encoder as well."""
    if recording.speaker in VALIDATION:
        return 0
    return 1 + int(hashlib.sha1(("fold" + recording.speaker).encode()).hexdigest(), 16) % (GROUPS - 1)


def train(face_estimator: FaceEstimator, recordings: Sequence[Recording]) -> SpeakerChangeFit:
    """Trains network, weights and threshold for the voice encoder of `face_estimator`.

    Args:
        face_estimator: the bundle, loaded.
        recordings: of known speakers; those that are held out are left out.
    """
    torch.set_num_threads(1)  # on one thread the result is the same every time
    known = [recording for recording in recordings if not recording.held_out]
    clips = {recording: voiced_audio(recording.path) for recording in known}
    changes: list[list[Stream]] = []
    same: dict[str, list[list[Stream]]] = {"one_recording": [], "halves": [], "moved_halves": []}
    for k in range(GROUPS):
        network = speaker_embedding.train([clips[r] for r in known if group(r) != k], seed=k)
        recorder = DifferenceRecorder(face_estimator, network)
        some = [r for r in known if group(r) == k]
        changes.append([stream for seed in (100, 101, 102) for stream in changing(recorder, some, seed)])
        same["one_recording"].append(lasting(recorder, some))
        same["halves"].append(swapped(recorder, some))
        same["moved_halves"].append(moved(recorder, some, 7 + k))
    network = speaker_embedding.train(list(clips.values()), seed=GROUPS)

    def fitted(groups: Sequence[int]) -> Evidence:
        return fit(
            [stream for k in groups for stream in changes[k]],
            [stream for parts in same.values() for k in groups for stream in parts[k]],
        )

    found = fitted(range(GROUPS))
    unseen = [fitted([other for other in range(GROUPS) if other != k]) for k in range(GROUPS)]
    judged = [(stream, unseen[k]) for k in range(GROUPS) for stream in changes[k]]
    threshold = choose_threshold(judged)
    alarms = {
        name: float(
            np.mean([first_noticed(s, threshold, unseen[k]) is not None for k in range(GROUPS) for s in parts[k]])
        )
        for name, parts in same.items()
    }
    encoder, embedding, loudness, *cepstra = found.weights.tolist()
    weights = SpeakerChangeWeights(
        encoder=encoder,
        speaker_embedding=embedding,
        loudness=loudness,
        cepstra=tuple(cepstra),
        bias=found.bias,
        threshold=threshold,
        layers=network.layers,
    )
    noticed = float(np.mean([noticed_in_time(stream, threshold, score) for stream, score in judged]))
    return SpeakerChangeFit(weights, noticed, alarms)


def with_speaker_change(bundle: Bundle, weights: SpeakerChangeWeights, trained_on: tuple[str, ...]) -> Bundle:
    """The bundle, in memory, with this detector, which was trained for its voice encoder."""
    before = bundle.manifest.speaker_change
    entry = SpeakerChangeEntry(
        file=SPEAKER_EMBEDDING,
        weights=EvidenceWeights(
            encoder=weights.encoder,
            speaker_embedding=weights.speaker_embedding,
            loudness=weights.loudness,
            cepstra=weights.cepstra,
            bias=weights.bias,
        ),
        threshold=weights.threshold,
        encoder_sha256=bundle.graph_digests()["encoder"],
        trained_on=trained_on,
    )
    files: dict[str, bytes | None] = {before.file: None} if before else {}
    return bundle.replacing(files={**files, entry.file: write_layers(weights.layers)}, speaker_change=entry)


def main() -> int:
    """The command line."""
    parser = part_parser("speaker_change", __doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder of LibriSpeech")
    options = parser.parse_args()

    def made(bundle: Bundle) -> tuple[Bundle, str]:
        with FaceEstimator(bundle, threads=1) as face_estimator:
            found = train(face_estimator, librispeech(options.speech))
        alarms = ", ".join(f"{name.replace('_', ' ')} {share:.1%}" for name, share in found.false_alarms.items())
        said = f"threshold {found.weights.threshold:g}: {found.noticed:.1%} noticed; false alarms: {alarms}"
        return with_speaker_change(bundle, found.weights, TRAINED_ON), said

    return write_part(options, made)


if __name__ == "__main__":
    sys.exit(main())
