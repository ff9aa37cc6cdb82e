"""Random crops of rendered voices, with what the teacher says of each crop and what is known of its speaker."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.crops import crop
from voxface.training.voices.renderings import Renderings

Float32 = NDArray[np.float32]
_LEAST_SPREAD: Final = 1e-6  # of a teacher's unit vectors: in half precision the same vector everywhere has less


class VoiceBatch(NamedTuple):
    """Two crops of each of B voices, as arrays or as tensors: the first of all, then the second of all.

    Attributes:
        log_mel: network input float32 [2B, mels, T].
        target: the teacher's directions, centred, float32 [2B, size], of unit length.
        sex: float32 [2B], 0 female, 1 male, NaN where it is not known and of altered voices.
        age: float32 [2B, 2], youngest and oldest age in years; NaN where nothing is known and of altered voices.
    """

    log_mel: Any
    target: Any
    sex: Any
    age: Any


class VoiceSampler:
    """Draws batches from renderings of the training voices. The recordings of one speaker at one speed are one voice here.

    Attributes:
        voices: how many there are to draw from.
        centre: mean of the teacher's vectors, float32 [size].
        components: their principal components, float32 [size, size], the widest first.
    """

    def __init__(self, renderings: Renderings, how: str = "level") -> None:
        """`how` is the encoder's kind of normalisation.

        Raises:
            InputError: there are fewer than two voices, or the teacher says the same of all.
        """
        self._renderings, self._how = renderings, how
        own = renderings.of("train")
        speeds = np.unique(renderings.speed[own])
        groups = renderings.speaker[renderings.voice[own]] * len(speeds) + np.searchsorted(
            speeds, renderings.speed[own]
        )
        order = np.argsort(groups, kind="stable")
        self._groups = np.split(own[order], np.flatnonzero(np.diff(groups[order])) + 1)
        self.voices = len(np.unique(groups))
        if self.voices < 2:
            raise InputError(f"the data have {self.voices} training voices, of which two at least are needed; add some")
        weight = np.sqrt([renderings.length[group[0]] for group in self._groups])
        self._chance = weight / weight.sum()
        rows = np.concatenate(
            [
                renderings.vectors[begin : begin + pieces]
                for g in self._groups
                for begin, pieces in dict.fromkeys(zip(renderings.first[g], renderings.pieces[g], strict=True))
            ]
        )
        self.centre: Float32 = rows.astype(np.float32).mean(0)
        covariance = np.cov(rows.astype(np.float32).T)
        if np.trace(covariance) < _LEAST_SPREAD:
            raise InputError("the teacher says the same of all training voices; render them with another teacher")
        spread = np.linalg.eigh(covariance)
        self.components: Float32 = spread.eigenvectors[:, ::-1].astype(np.float32)
        people = renderings.about["voices"]
        self._sex = np.array([{"F": 0.0, "M": 1.0}.get(person["sex"], np.nan) for person in people], np.float32)
        self._age = np.array([person["age"] or (np.nan, np.nan) for person in people], np.float32)

    def directions(self, vectors: Float32) -> Float32:
        """The teacher's vectors [N, size], centred on the training voices' mean and of unit length again."""
        centred = vectors - self.centre
        directions: Float32 = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _LEAST_SPREAD)
        return directions

    def pick(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of `count` different voices, int64 [count]; longer ones are likelier."""
        return rng.choice(len(self._groups), count, replace=False, p=self._chance)

    def crops(
        self, voices: NDArray[np.int64], length: int, degraded: float, rng: np.random.Generator
    ) -> tuple[Float32, Float32]:
        """A crop of each voice, and what the teacher says of it.

        Args:
            voices: numbers of B voices.
            length: frames of a crop. Shorter voices are repeated.
            degraded: probability that a crop is of a degraded rendering.

        Returns:
            Network input float32 [B, mels, length], and the teacher's directions, centred, float32 [B, size].
        """
        log_mel, target = [], []
        for group in (self._groups[k] for k in voices):
            clean = self._renderings.clean[group]
            among = group[~clean] if rng.random() < degraded else group[clean]
            chosen = int(rng.choice(among if len(among) else group))
            at, size = int(self._renderings.start[chosen]), int(self._renderings.length[chosen])
            begin = int(rng.integers(max(1, size - length + 1)))
            frames = self._renderings.frames[at + begin : at + min(size, begin + length)].astype(np.float32)
            log_mel.append(crop(frames, length, rng, self._how).T)
            target.append(self._renderings.targets(chosen, begin, begin + length))
        return np.stack(log_mel), self.directions(np.stack(target))

    def draw(self, count: int, length: int, degraded: float, rng: np.random.Generator) -> VoiceBatch:
        """Two crops of `length` frames of each of `count` voices, and the labels; see `crops`."""
        voices = self.pick(count, rng)
        (one, told), (other, told_of_other) = (self.crops(voices, length, degraded, rng) for _ in range(2))
        chosen = [self._groups[k][0] for k in voices] * 2
        who, altered = self._renderings.voice[chosen], self._renderings.speed[chosen] != 1.0
        sex = np.where(altered, np.float32(np.nan), self._sex[who])
        age = np.where(altered[:, None], np.float32(np.nan), self._age[who])
        return VoiceBatch(np.concatenate([one, other]), np.concatenate([told, told_of_other]), sex, age)
