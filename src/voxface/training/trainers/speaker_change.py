"""Trains the speaker change detector for a bundle's voice encoder, and writes it into the bundle.

    python -m voxface.training.trainers.speaker_change --voices RENDERINGS --speech SPEECH [SPEECH …] [--bundle IN] --out OUT

The network learns from the training voices of RENDERINGS, a folder of `voxface data voices`. The weights of the evidence and
the threshold are fitted to streams of the validation speakers of the folders of speech, whom neither it nor the voice encoder
has heard: voices that they know would be told apart too well. The threshold is the lowest, in steps of 0.05, at which 3 % of
the streams of one speaker give a false alarm, each judged by weights that are fitted to other speakers; or `--threshold`.
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
from voxface.runtime.config.speaker_change import LARGEST, SpeakerChangeWeights
from voxface.runtime.errors import InputError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.speaker_change import HOP, NEWEST, STEADY
from voxface.training.data.pairs import Split
from voxface.training.data.sound_clips import read
from voxface.training.trainers import speaker_embedding
from voxface.training.trainers.part_command import part_parser, write_part
from voxface.training.trainers.speaker_change_streams import (
    DifferenceRecorder,
    Spoken,
    Stream,
    changing,
    lasting,
    moved,
    swapped,
)
from voxface.training.voices.listing import Voice, voices
from voxface.training.voices.renderings import Renderings
from voxface.training.voices.sampler import VoiceSampler

Float64 = NDArray[np.float64]
Score = Callable[[Float64], float]
GROUPS: Final = 4
WITHIN_S: Final = 2.0
ALARMS: Final = 0.03  # share of streams of one speaker that the threshold lets give a false alarm
STEP: Final = 0.05  # of the threshold
HIGHEST: Final = 10.0
LEAST_S: Final = 8.0  # of sound in a recording that streams are made of


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


def choose_threshold(same: Sequence[tuple[Stream, Score]]) -> float:
    """The lowest threshold at which few enough streams of one speaker give a false alarm.

    Args:
        same: streams of one speaker, each with the evidence that is to judge it.
    """
    for k in range(round(HIGHEST / STEP)):
        threshold = round(k * STEP, 2)
        if np.mean([first_noticed(stream, threshold, score) is not None for stream, score in same]) <= ALARMS:
            return threshold
    return HIGHEST


def group(recording: Spoken) -> int:
    """Which of four groups of speakers."""
    return int(hashlib.sha1(("fold" + recording.speaker).encode()).hexdigest(), 16) % GROUPS


def train(
    face_estimator: FaceEstimator,
    renderings: Renderings,
    corpora: Sequence[Sequence[Spoken]],
    *,
    steps: int = 2000,
    threshold: float | None = None,
) -> SpeakerChangeFit:
    """Trains network, weights and threshold for the voice encoder of `face_estimator`.

    Args:
        face_estimator: the bundle, loaded.
        renderings: voices that the network learns from.
        corpora: recordings of speakers who are neither learnt from nor measured on. Streams are within one of them, since
            speakers of two differ in more than their voices.
        steps: of the network's training.
        threshold: the one to take; None: `choose_threshold`.

    Raises:
        InputError: there are too few recordings, or see `VoiceSampler`.
    """
    torch.set_num_threads(1)  # on one thread the result is the same every time
    network = speaker_embedding.train(VoiceSampler(renderings), steps=steps)
    recorder = DifferenceRecorder(face_estimator, network)
    changes: list[list[Stream]] = [[] for _ in range(GROUPS)]
    same: dict[str, list[list[Stream]]] = {
        name: [[] for _ in range(GROUPS)] for name in ("one_recording", "halves", "moved_halves")
    }
    for recordings in corpora:
        for k in range(GROUPS):
            some = [r for r in recordings if group(r) == k]
            changes[k] += [stream for seed in (100, 101, 102) for stream in changing(recorder, some, seed)]
            same["one_recording"][k] += lasting(recorder, some)
            same["halves"][k] += swapped(recorder, some)
            same["moved_halves"][k] += moved(recorder, some, 7 + k)

    if not all(map(len, changes)):
        raise InputError(
            f"too few validation speakers with {LEAST_S:g} s of sound: each of {GROUPS} groups of them needs two of one folder"
        )

    def fitted(groups: Sequence[int]) -> Evidence:
        return fit(
            [stream for k in groups for stream in changes[k]],
            [stream for parts in same.values() for k in groups for stream in parts[k]],
        )

    found = fitted(range(GROUPS))
    unseen = [fitted([other for other in range(GROUPS) if other != k]) for k in range(GROUPS)]
    if threshold is None:
        threshold = choose_threshold(
            [(stream, unseen[k]) for parts in same.values() for k in range(GROUPS) for stream in parts[k]]
        )
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
    noticed = float(
        np.mean([noticed_in_time(stream, threshold, unseen[k]) for k in range(GROUPS) for stream in changes[k]])
    )
    return SpeakerChangeFit(weights, noticed, alarms)


def long_enough(folder: Path, split: Split) -> list[Voice]:
    """The voices of a split whose recordings streams can be made of, the first recording of each speaker.

    Raises:
        InputError: see `voices`.
    """
    first = {voice.speaker: voice for voice in reversed(voices(folder)) if voice.split == split}
    return [voice for voice in first.values() if len(read(voice.path)) >= LEAST_S * SAMPLE_RATE]


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
    parser.add_argument("--voices", type=Path, required=True, help="folder of rendered voices")
    parser.add_argument("--speech", type=Path, required=True, nargs="+", help="folders of speech with a speakers.csv")
    parser.add_argument("--threshold", type=float, help="evidence that means another speaker (few false alarms)")
    options = parser.parse_args()
    if options.threshold is not None and not -LARGEST < options.threshold < LARGEST:  # false for NaN
        parser.error(f"--threshold {options.threshold:g}: a number between ±{LARGEST:g}")

    def made(bundle: Bundle) -> tuple[Bundle, str]:
        renderings = Renderings.load(options.voices)
        corpora = [long_enough(folder, "validation") for folder in options.speech]
        with FaceEstimator(bundle, threads=1) as face_estimator:
            found = train(face_estimator, renderings, corpora, threshold=options.threshold)
        alarms = ", ".join(f"{name.replace('_', ' ')} {share:.1%}" for name, share in found.false_alarms.items())
        said = f"threshold {found.weights.threshold:g}: {found.noticed:.1%} noticed; false alarms: {alarms}"
        return with_speaker_change(bundle, found.weights, tuple(renderings.provenance)), said

    return write_part(options, made)


if __name__ == "__main__":
    sys.exit(main())
