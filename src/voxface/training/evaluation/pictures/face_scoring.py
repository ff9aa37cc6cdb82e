"""Scores of generated faces under some condition (seconds of speech, noise): matching on new people, identity on known ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.closed_set import named
from voxface.training.evaluation.matching.drawn_trials import drawing
from voxface.training.evaluation.matching.matching_trials import by_cosine, tally_trials
from voxface.training.evaluation.matching.tally import Tally
from voxface.training.evaluation.pictures.face_readers import FaceReader, embed_pictures
from voxface.training.evaluation.pictures.judges import SAID, check_unknown, readers
from voxface.training.evaluation.result import Column, Measured, Row

MATCHING: Final = "matching"
BY_SEX: Final = "matching, by sex"
TOP1, TOP5 = "top 1", "top 5"
COLUMNS: Final = (
    Column(MATCHING, "%"),
    Column(BY_SEX, "%"),
    Column(TOP1, "%"),
    Column(TOP5, "%"),
)
TRIALS: Final = 200_000
PUBLISHED: Final = Row(
    "Wen et al. 2019, Table 3 and §4.2: entire recordings, other data",
    "published",
    {MATCHING: Measured(0.7607), BY_SEX: Measured(0.5969), TOP1: Measured(0.617), TOP5: Measured(0.823)},
)


@dataclass(frozen=True)
class FaceScoring:
    """What faces are scored by: one network that looks at them, and real pictures of the people who are evaluated.

    Attributes:
        reader: F_c of --critics, or the judge.
        name: of the reader, in sentences.
    """

    reader: FaceReader
    name: str
    _inputs: Inputs
    _real: NDArray[np.float32]
    _real_person: NDArray[np.int64]

    @classmethod
    def prepare(cls, inputs: Inputs) -> "FaceScoring":
        """Makes the network ready, and looks at the real pictures.

        Raises:
            InputError: the network has learnt from people who are evaluated.
        """
        pairs = inputs.pairs
        name, reader = next(iter(readers(inputs).items()))
        people = pairs.split(inputs.split)
        check_unknown(reader, people, inputs, name)
        pictures = np.flatnonzero(np.isin(pairs.picture_person, people))[: inputs.fewer(20_000, 2_000)]
        real = embed_pictures(reader, pairs.pictures, pictures)
        return cls(reader, SAID[name], inputs, real, pairs.picture_person[pictures].astype(np.int64))

    def matching(self, faces: NDArray[np.uint8], person: NDArray[np.integer]) -> dict[str, Tally]:
        """How often faces [N, S, S, 3] of these people [N] are nearer to a real picture of them than to one of somebody else.

        Returns:
            `MATCHING`, and `BY_SEX`, where somebody else is of the same sex; what cannot be drawn is left out.
        """
        inputs = self._inputs
        found: dict[str, Tally] = {}
        embedded = embed_pictures(self.reader, faces)
        groups = {MATCHING: None, BY_SEX: dict(enumerate(inputs.pairs.sexes.tolist()))}
        for name, group in groups.items():
            try:
                drawn = drawing(person.tolist(), self._real_person.tolist(), group=group)
            except ValueError:
                continue
            choose = {name: by_cosine(embedded, self._real)}
            people = len(inputs.pairs.people)
            found |= tally_trials(drawn, inputs.fewer(TRIALS, 5_000), choose, person, people, seed=inputs.seed)
        return found

    def identity(self, faces: NDArray[np.uint8], person: NDArray[np.integer]) -> dict[str, Tally]:
        """`TOP1` and `TOP5` of faces [N, S, S, 3] of people learnt from [N]."""
        if not len(faces):
            return {}
        found = named(self.reader, faces, person, len(self._inputs.pairs.people))
        return {TOP1: found.top1, TOP5: found.top5}

    def row(self, method: str, tallies: Mapping[str, Tally]) -> Row:
        """A row of what is evaluated."""
        rounds = self._inputs.fewer(1000, 200)
        measured = {name: tally.measured(rounds=rounds) for name, tally in tallies.items()}
        return Row(method, "ours", {name: value for name, value in measured.items() if value is not None})

    def chance(self) -> Row:
        """What guessing gives."""
        known = max(1, len(self.reader.people))
        values = {MATCHING: 0.5, BY_SEX: 0.5, TOP1: 1 / known, TOP5: min(1.0, 5 / known)}
        return Row("chance", "trivial", {name: Measured(value) for name, value in values.items()})
