"""People whose speech a bundle is given in parts, or with noise: new people to match, known ones to identify."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.hearing.speech_windows import frames_of, speech_of
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.pictures.face_readers import FaceReader

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class HeardPerson:
    """A person whose speech is given in parts.

    Attributes:
        person: index into `Pairs.people`.
        known: whether it is one of the training people, who are identified; the others are matched.
        speech: float32 [T, 64].
    """

    person: int
    known: bool
    speech: Float32


def heard_people(
    inputs: Inputs, reader: FaceReader, least: int, *, most_people: int, most_frames: int | None = None
) -> list[HeardPerson]:
    """People evaluated who have a picture, and training people whom the network knows, with `least` frames of speech or more.

    Args:
        most_people: of each of the two kinds, drawn from all.
        most_frames: of each person's speech that are enough.
    """
    pairs = inputs.pairs
    known = {int(i) for i in reader.people} & set(pairs.split("train").tolist())
    found = []
    for train, people in ((False, pairs.split(inputs.split).tolist()), (True, sorted(known))):
        rng = np.random.default_rng([inputs.seed, 137, train])
        able = [i for i in people if len(pairs.pictures_of[i]) and frames_of(pairs, pairs.clean_utterances[i]) >= least]
        for i in sorted(rng.permutation(able)[:most_people].tolist()):
            own = rng.permutation(pairs.clean_utterances[i])
            found.append(HeardPerson(i, train, speech_of(pairs, own, most_frames)))
    return found


def examples(inputs: Inputs, people: list[HeardPerson], count: int = 4) -> list[HeardPerson]:
    """Some of the people evaluated, women and men in turns as far as there are; nobody is picked by their faces."""
    new = [one for one in people if not one.known]
    by_sex = [[one for one in new if inputs.pairs.sexes[one.person] == sex] for sex in (0, 1)]
    turns = [one for pair in zip(*by_sex, strict=False) for one in pair]
    rest = [one for one in new if all(one is not other for other in turns)]
    return (turns + rest)[:count]
