"""People whose pictures can be told apart, and methods that show the right ones, or anybody's."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests.stand_ins.small_pairs import small_pairs
from tests.training.seeds import varied
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.inputs import Inputs

EACH = 4  # pictures of a person


def patterned_pairs(people: int = 24, frames: int = 120, size: int = 64, noise: float = 8.0) -> Pairs:
    """`small_pairs` with four pictures of everybody: blurred squares that are the person's, the lower half darker on men."""
    pairs = small_pairs(people, frames=frames)
    rng = np.random.default_rng(varied(5))
    coarse = rng.uniform(60, 196, (people, 4, 4, 3))
    whole = np.repeat(np.repeat(coarse, size // 4, axis=1), size // 4, axis=2)
    whole[pairs.sexes == 1, size // 2 :] -= 60
    whole[pairs.sexes == 0, size // 2 :] += 60
    pictures = np.repeat(whole, EACH, axis=0)
    pictures += rng.normal(0, noise, pictures.shape)
    return replace(
        pairs,
        pictures=np.clip(pictures, 0, 255).astype(np.uint8),
        picture_person=np.repeat(np.arange(people), EACH).astype(np.int32),
        digest=f"patterned-{people}-{frames}-{size}-{varied()}",
    )


class ShownFaces:
    """A method that shows pictures of people: the speaker's, or those of people drawn.

    Attributes:
        name, digest, makes: see `Subject`.
    """

    makes = frozenset({"faces"})

    def __init__(self, pairs: Pairs, whose: Literal["speaker", "anybody"], name: str = "shown", seed: int = 0) -> None:
        rng = np.random.default_rng(varied(seed))
        count = len(pairs.utterance_person)
        person = pairs.utterance_person if whose == "speaker" else rng.integers(len(pairs.people), size=count)
        self._picture = np.array([rng.choice(pairs.pictures_of[int(i)]) for i in person])
        self._pairs = pairs
        self.name, self.digest = name, f"shown-{whose}"

    def faces(self, utterances: Any) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = self._pairs.pictures[self._picture[np.asarray(utterances)]]
        return found

    def coefficients(self, utterances: Any) -> NDArray[np.float32]:
        raise AssertionError("it makes no meshes")

    def vertices(self, utterances: Any) -> NDArray[np.float32]:
        raise AssertionError("it makes no meshes")


def shown(out: Path, pairs: Pairs, whose: Literal["speaker", "anybody"], **more: Any) -> Inputs:
    """Inputs of a suite on such a method."""
    return Inputs(out, given_pairs=pairs, predictions=ShownFaces(pairs, whose), quick=True, **more)
