"""Sets of pictures that the picture suites compare: real ones, generated ones, and those that know nothing of a voice."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.training.data.pairs import Pairs, Split
from voxface.training.evaluation.geometry.heard_sexes import fitted_on, sexes_heard
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.pictures.face_networks import FaceNetwork, at_size
from voxface.training.evaluation.result import Kind
from voxface.training.evaluation.subject import BATCH, Subject, names_of

Pictures = NDArray[np.uint8]
Float64 = NDArray[np.float64]
MOST: Final = 4096  # pictures of a set


@dataclass(frozen=True)
class Generated:
    """Pictures that a method makes, one a recording.

    Attributes:
        name, kind: of its rows.
        pictures: uint8 [U, H, H, 3], or [1, H, H, 3] where all are the same.
    """

    name: str
    kind: Kind
    pictures: Pictures

    def features(self, network: FaceNetwork, count: int) -> Float64:
        """Features float64 [count, d]."""
        found = network.embed(self.pictures)
        return np.repeat(found, count, axis=0) if len(found) == 1 and count > 1 else found


def generated(inputs: Inputs, utterances: NDArray[np.int32], missing: list[str]) -> list[Generated]:
    """What is evaluated and the bundles beside it, then the trivial ones.

    Raises:
        UsageError: what is evaluated makes no pictures.
    """
    pairs = inputs.pairs
    subjects: list[Subject] = [inputs.subject, *inputs.beside]
    found = []
    for subject, name in zip(subjects, names_of(subjects), strict=True):
        if "faces" not in subject.makes:
            raise UsageError(f"{subject.name} makes no pictures; give files such as PERSON/0.png, or run another suite")
        done = inputs.phase(f"pictures of {subject.name}")
        parts = []
        for begin in range(0, len(utterances), BATCH):
            parts.append(subject.faces(utterances[begin : begin + BATCH]))
            done(min(begin + BATCH, len(utterances)), len(utterances))
        found.append(Generated(name, "ours", _joined(parts)))
    return found + _trivial(inputs, pairs, utterances, missing)


def real_pictures(pairs: Pairs, people: NDArray[np.int32], seed: int) -> NDArray[np.int64]:
    """Indices int64 of the pictures of these people; at most `MOST`, drawn."""
    found = np.flatnonzero(np.isin(pairs.picture_person, people))
    if len(found) <= MOST:
        return found
    return np.sort(np.random.default_rng([seed, 53]).choice(found, MOST, replace=False))


def training_pictures(pairs: Pairs, seed: int) -> Pictures:
    """Real pictures of the training people uint8 [K, H, H, 3], at most 1,024, for the scale of a network's features."""
    rows = real_pictures(pairs, pairs.split("train"), seed)
    return np.asarray(pairs.pictures[rows[:: -(-len(rows) // 1024)]])


def other_pictures(pairs: Pairs, split: Split, seed: int) -> NDArray[np.int64]:
    """Pictures of held-out people who are not evaluated: the other split of validation and test."""
    other: Split = "validation" if split == "test" else "test"
    return real_pictures(pairs, pairs.split(other), seed)


def _trivial(inputs: Inputs, pairs: Pairs, utterances: NDArray[np.int32], missing: list[str]) -> list[Generated]:
    train = pairs.split("train")
    rows = real_pictures(pairs, train, inputs.seed)
    found = []
    if len(rows):
        found.append(Generated("mean picture", "trivial", _mean(pairs, rows)[None]))
        fit = fitted_on(pairs, "train", inputs.fewer(MOST, 400), faces=False)
        of_sex = [rows[pairs.sexes[pairs.picture_person[rows]] == sex] for sex in (0, 1)]
        heard = {int(sex) for sex in pairs.sexes[np.unique(pairs.utterance_person[fit])]} if len(fit) else set()
        if inputs.voices is None:
            missing.append("mean picture of the sex heard: give --beside BUNDLE, whose voice encoder hears for it")
        elif heard == {0, 1} and all(len(of) for of in of_sex):
            means = np.stack([_mean(pairs, of) for of in of_sex])
            sexes = sexes_heard(pairs, inputs.voices, utterances, fit)
            found.append(Generated("mean picture of the sex heard", "trivial", means[sexes]))
    size = int(pairs.pictures.shape[1])
    noise = np.random.default_rng([inputs.seed, 59]).integers(0, 256, (len(utterances), size, size, 3), np.uint8)
    found.append(Generated("noise", "trivial", noise))
    return found


def _mean(pairs: Pairs, rows: NDArray[np.int64]) -> Pictures:
    total = np.zeros(pairs.pictures.shape[1:], np.float64)
    for begin in range(0, len(rows), 256):
        total += pairs.pictures[rows[begin : begin + 256]].sum(0, dtype=np.float64)
    return np.rint(total / len(rows)).astype(np.uint8)


def _joined(parts: list[Pictures]) -> Pictures:
    """Parts as one array; a method whose pictures have several sizes has brought each part to one."""
    size = min(part.shape[1] for part in parts)
    return np.concatenate([at_size(part, size) for part in parts])
