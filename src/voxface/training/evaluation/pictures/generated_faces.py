"""Evaluation of a face generator on new voices: identity and sex of its pictures (Wen 2019, §4.2), FID-like distance."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.runtime.features.normalisation import network_input
from voxface.training.data.crops import crop
from voxface.training.data.images import as_pictures, image_batches, mean_picture
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.pictures.frechet import frechet_distance, gaussian
from voxface.training.evaluation.pictures.picture_judge import BATCH, PictureJudge
from voxface.training.models.frozen import Frozen

MOST_REAL = 4096  # real pictures, and as many generated ones, in the FID-like distance


class Generator(Protocol):
    """Embeddings [B, E] -> images [B, 3, H, W]."""

    def __call__(self, embedding: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class FaceTest:
    """Test data for a face generator: N voices of training and validation people, K real pictures.

    Attributes:
        embedding: embeddings of the voices, float32 [N, E].
        person: int32 [N], whose voices they are.
        known: bool [N], whether they are of training people.
        opposite: int64 [K], for each real picture a voice of the same person.
        real: int64 [K], pictures of these people among those of `pairs`; the judge has learnt from none of them.
        fresh: share of training people whose voice here is of a recording that was kept from the training; of the others only
            the crop is new.
        judge: network that says whose a picture is.
        sexes: int64 [I], 0 female, 1 male.
        examples: for each row of the sample sheet, indices of voices of one person.
        pairs: the pairs.
    """

    embedding: Tensor
    person: NDArray[np.int32]
    known: NDArray[np.bool_]
    opposite: NDArray[np.int64]
    real: NDArray[np.int64]
    fresh: float
    judge: PictureJudge
    sexes: NDArray[np.int64]
    examples: tuple[tuple[int, ...], ...]
    pairs: Pairs

    @classmethod
    def from_pairs(
        cls,
        pairs: Pairs,
        encoder: Frozen,
        judge: PictureJudge,
        held: NDArray[np.bool_],
        *,
        each: int = 4,
        length: tuple[int, int] = (300, 800),
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> "FaceTest":
        """Encodes voices of all training and validation people: whole recordings first, then random crops of them.

        Clean recordings are taken where a person has some.

        Args:
            held: bool [U], utterances kept from the training; of people who have some, only these are taken.
            each: least number of voices per person; people with more pictures have as many voices as pictures.
            length: shortest and longest crop in frames.
        """
        rng = np.random.default_rng([seed, 37])
        pictures = judge.unseen(pairs)
        if len(pictures) > MOST_REAL:
            pictures = np.sort(rng.choice(pictures, MOST_REAL, replace=False))
        needed = np.bincount(pairs.picture_person[pictures], minlength=len(pairs.people))
        trained = set(judge.people.tolist())
        rows: list[Tensor] = []
        person: list[int] = []
        fresh: list[bool] = []
        first: dict[int, int] = {}
        for i in sorted(trained | set(pairs.split("validation").tolist())):
            own = pairs.clean_utterances[i] if len(pairs.clean_utterances[i]) else pairs.utterances[i]
            kept = own[held[own]]
            if i in trained:
                fresh.append(len(kept) > 0)
            own = kept if len(kept) else own
            if not len(own):
                continue
            first[i] = len(person)
            for k in range(max(each, int(needed[i]))):
                frames = pairs.utterance(int(own[k % len(own)]))
                longest = int(rng.integers(length[0], length[1] + 1))
                how = encoder.normalisation
                heard = network_input(frames, how=how) if k < len(own) else crop(frames, longest, rng, how).T[None]
                rows.append(encoder(torch.from_numpy(heard).to(device))[0].float())
                person.append(i)
        pictures = pictures[np.isin(pairs.picture_person[pictures], list(first))]
        turn: dict[int, int] = {}
        opposite = []
        for i in pairs.picture_person[pictures].tolist():
            opposite.append(first[i] + turn.get(i, 0))
            turn[i] = turn.get(i, 0) + 1
        return cls(
            embedding=torch.cat(rows),
            person=np.array(person, np.int32),
            known=np.isin(person, list(trained)),
            opposite=np.array(opposite, np.int64),
            real=pictures,
            fresh=float(np.mean(fresh)),
            judge=judge,
            sexes=pairs.sexes,
            examples=tuple(tuple(range(first[i], first[i] + each)) for i in _examples(pairs, judge, list(first))),
            pairs=pairs,
        )

    def measure(self, generator: Generator) -> dict[str, Any]:
        """Metrics of a generator's images, clamped to [-1, 1].

        Returns:
            `identity_top1`, `identity_top5`: accuracy of the judge's person, on training people.
            `sex_known_people`, `sex_unknown_people`: accuracy of the judge's sex, on training and validation people.
            `frechet`: FID-like distance; None where there are not more pictures than the judge has features.
        """
        features = self.judge.features_of(generated(generator, self.embedding))
        found: dict[str, Any] = {}
        right = self.judge.persons_by(features[torch.from_numpy(self.known)], 5) == self.person[self.known][:, None]
        found["identity_top1"] = float(right[:, 0].mean())
        found["identity_top5"] = float(right.any(1).mean())
        sex = self.judge.sexes_by(features) == self.sexes[self.person]
        found["sex_known_people"] = float(sex[self.known].mean())
        found["sex_unknown_people"] = float(sex[~self.known].mean()) if (~self.known).any() else None
        found["frechet"] = _distance(features[torch.from_numpy(self.opposite)], self._real_features)
        return found

    @cached_property
    def _real_features(self) -> Tensor:
        return self.judge.features_of(image_batches(self.pairs.pictures, self.real, BATCH))

    def trivial(self) -> dict[str, Any]:
        """Metrics without a generator: of guessing, of the mean picture, and of the real pictures themselves.

        The FID-like distance of real pictures is that of one half from the other, so of half as many pictures.
        """
        real = self._real_features
        mean = mean_picture(self.pairs.pictures, self.real)[None]
        return {
            "identity_top1_chance": 1 / len(self.judge.people),
            "identity_top1_real_pictures": self.judge.report.get("identity_top1"),
            "sex_chance": 0.5,
            "sex_unknown_people_real_pictures": self.judge.report.get("sex_unknown_people"),
            "frechet_mean_picture": _distance(self.judge.features(mean).expand_as(real), real),
            "frechet_real_halves": _distance(real[::2], real[1::2]),
        }

    def sheet(self, generator: Generator) -> list[list[NDArray[np.uint8]]]:
        """Rows of the sample sheet, one per person: a real picture, then pictures from the person's voices."""
        rows = []
        for voices in self.examples:
            own = self.pairs.pictures_of[int(self.person[voices[0]])]
            made = as_pictures(torch.cat(list(generated(generator, self.embedding[list(voices)]))))
            rows.append([np.asarray(self.pairs.pictures[own[0]]), *made])
        return rows


def generated(generator: Generator, embedding: Tensor) -> Iterator[Tensor]:
    """Generated images float32 [N, 3, H, W] on the CPU, clamped to [-1, 1] as when they are shown, batch by batch."""
    for begin in range(0, len(embedding), BATCH):
        network = generator if isinstance(generator, nn.Module) and generator.training else None
        if network is not None:
            network.eval()  # batch normalisation, where it has some, is to use what it learnt
        with torch.no_grad():
            images = generator(embedding[begin : begin + BATCH])
        if network is not None:
            network.train()
        yield images.float().clamp(-1, 1).cpu()


def _distance(a: Tensor, b: Tensor) -> float | None:
    """FID-like distance of pictures by their features [N, d]; None where there are too few."""
    sides = [side.double().cpu().numpy() for side in (a, b)]
    if min(len(side) for side in sides) <= a.shape[1]:
        return None
    return frechet_distance(*gaussian(sides[0]), *gaussian(sides[1]))


def _examples(pairs: Pairs, judge: PictureJudge, heard: list[int]) -> list[int]:
    """Two women and two men of each split, as far as there are."""
    chosen = []
    for people in (judge.people, pairs.split("validation")):
        for sex in (0, 1):
            chosen += [
                int(i)
                for i in people
                if int(i) in heard and pairs.sexes[int(i)] == sex and len(pairs.pictures_of[int(i)])
            ][:2]
    return chosen
