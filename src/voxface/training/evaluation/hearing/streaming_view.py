"""Estimates of bundles on the same utterances after so many seconds, and numbers of them over people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.baselines.mean_faces import MeanFaces
from voxface.training.evaluation.geometry.are_table import geometry_errors
from voxface.training.evaluation.hearing.voice_prefixes import Heard
from voxface.training.evaluation.matching.association import share_by_person
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.result import Kind, Measured

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_ROUNDS: Final = 300


@dataclass(frozen=True)
class Stream:
    """A bundle on the utterances.

    Attributes:
        method, kind: for the tables.
        heard: by seconds.
        last: of the whole utterances.
    """

    method: str
    kind: Kind
    heard: Mapping[int, Heard]
    last: Heard


class StreamView:
    """The utterances, and numbers of them."""

    def __init__(self, pairs: Pairs, utterances: Sequence[int], seed: int) -> None:
        self.pairs, self.seed = pairs, seed
        self.utterances = np.array(utterances, np.int32)
        people, self.person = np.unique(pairs.utterance_person[self.utterances], return_inverse=True)
        self.names = [pairs.people[int(i)].name for i in people]
        self.female = pairs.sexes[pairs.utterance_person[self.utterances]] == 0
        self._means = MeanFaces.from_pairs(pairs, pairs.split("train"))
        self.everybody = self._means.of_everybody(len(self.utterances))

    def mesh_error(self, coefficients: Float32) -> Float64:
        """Root mean square distance of vertices from the true face, float64 [U], mm; expressions are left out."""
        rows = [
            geometry_errors(self.pairs, coefficients[k : k + 1], self.utterances[k : k + 1]).rms_mm[0]
            for k in range(len(coefficients))
        ]
        return np.array(rows)

    def moved(self, heard: Heard, last: Heard) -> Float64:
        """How far meshes lie from those of the whole utterances, float64 [U], mm RMS."""
        model = self.pairs.morphable
        rows = zip(heard.coefficients, last.coefficients, strict=True)
        return np.array([model.distance(here, there) for here, there in rows])

    def heard_sex(self, heard: Heard) -> Float32:
        """The trivial face of each utterance: the training people's mean of the sex that is heard."""
        return self._means.of_sexes((heard.female < 0.5).astype(np.int64))

    def trivial(self, heard: Heard) -> Float64:
        """Mesh error of the trivial faces."""
        return self.mesh_error(self.heard_sex(heard))

    def mean(self, values: NDArray[Any]) -> Measured:
        """Mean over utterances, interval over people."""
        share = share_by_person(values.astype(np.float64), self.person, seed=self.seed)
        return Measured(share.value, share.low, share.high, trials=share.trials, people=share.people)

    def by_person(self, values: NDArray[Any]) -> dict[str, float]:
        """Mean of each person."""
        means = np.bincount(self.person, values.astype(np.float64)) / np.bincount(self.person)
        return dict(zip(self.names, means.tolist(), strict=True))

    def statistic(self, of: Callable[..., float], *values: NDArray[Any]) -> Measured:
        """A statistic of numbers [U] of the utterances, with its interval over people."""

        def of_rows(rows: NDArray[np.int64]) -> float:
            return of(*(value[rows] for value in values))

        low, high = bootstrap(of_rows, self.person, rng=np.random.default_rng(self.seed), rounds=_ROUNDS)
        return Measured(of(*values), low, high, trials=len(self.utterances), people=len(self.names))
