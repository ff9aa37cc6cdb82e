"""Picture judge: a network that says whose picture it is and of which sex, and that no generator was trained against.

It learns from real pictures only, measures its own accuracy on some that are kept aside, and gives the features of the FID-like
distance. A generator's own critic cannot judge its pictures, because the generator has learnt to deceive it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.errors import InputError
from voxface.training.data.differentiable_augmentation import augment
from voxface.training.data.images import as_images, image_batches, resized
from voxface.training.data.pairs import Pairs
from voxface.training.engine.phases import Done, not_told
from voxface.training.models.face_critic import Classifier, FaceEmbedding
from voxface.training.models.he_initialisation import initialise_he

FACE_PIXELS: Final = 64  # the side of the pictures that it looks at
BATCH: Final = 256  # pictures that it looks at together


@dataclass(frozen=True)
class JudgeConfig:
    """Hyper-parameters of the judge.

    Attributes:
        channels, embedding: of its `FaceEmbedding`; `embedding` is the number of features in the FID-like distance.
        steps, batch, rate: steps of Adam, pictures per step, and learning rate, which falls to 0 along a cosine.
        augmentations: augmentation of its training pictures, beside mirroring.
        aside: share of each person's pictures that it never learns from, at least one where there are two.
        seed: seed of its weights and batches.
    """

    channels: tuple[int, ...] = (8, 16, 32, 64, 128)
    embedding: int = 64
    steps: int = 1000
    batch: int = 64
    rate: float = 2e-3
    augmentations: tuple[str, ...] = ("translation", "colour")
    aside: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class PictureJudge:
    """A trained judge.

    Attributes:
        people: int32 [k], the people it knows: class c of the identity head is person `people[c]`.
        aside: int64, the pictures of known people that it has not learnt from.
        embedding: images [B, 3, 64, 64] -> [B, E].
        identity, sex: heads on the embedding, k and 2 classes (0 female, 1 male).
        report: its accuracy on real pictures that it has not learnt from, and that of guessing.
    """

    people: NDArray[np.int32]
    aside: NDArray[np.int64]
    embedding: nn.Module
    identity: nn.Module
    sex: nn.Module
    report: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def train(
        cls,
        pairs: Pairs,
        config: JudgeConfig = JudgeConfig(),
        *,
        device: torch.device | str = "cpu",
        progress: Done = not_told,
    ) -> "PictureJudge":
        """Trains a judge on pictures of the training split's people; the state of torch's random generator stays as it was.

        Raises:
            InputError: no pictures of people to train on.
        """
        people = np.array([i for i in pairs.split("train") if len(pairs.pictures_of[int(i)])], np.int32)
        if not len(people):
            raise InputError("no pictures of people to train on")
        rng = np.random.default_rng([config.seed, 23])
        known, aside = [], []
        for i in people:
            own = rng.permutation(pairs.pictures_of[int(i)])
            count = max(1, round(config.aside * len(own))) if len(own) > 1 else 0
            aside.append(own[:count])
            known.append(own[count:])
        learnt = np.sort(np.concatenate(known))
        whose = torch.from_numpy(np.searchsorted(people, pairs.picture_person[learnt])).to(device)
        sexes = torch.from_numpy(pairs.sexes[people]).to(device)
        devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(config.seed)
            embedding = FaceEmbedding(config.channels, config.embedding)
            initialise_he(embedding)
            embedding.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            identity = Classifier(len(people), config.embedding).to(device)
            sex = Classifier(2, config.embedding).to(device)
            parameters = [p for network in (embedding, identity, sex) for p in network.parameters()]
            optimiser = torch.optim.Adam(parameters, config.rate)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.steps))
            for step in range(config.steps):
                drawn = rng.integers(len(learnt), size=config.batch)
                flip = torch.from_numpy(rng.random(config.batch) < 0.5).to(device)
                pictures = torch.from_numpy(pairs.pictures[learnt[drawn]]).to(device)
                rows = torch.from_numpy(drawn).to(device)
                features = embedding(augment(resized(as_images(pictures, flip), FACE_PIXELS), config.augmentations))
                loss = F.cross_entropy(identity(features), whose[rows])
                loss = loss + F.cross_entropy(sex(features), sexes[whose[rows]])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                progress(step + 1, config.steps)
        for network in (embedding, identity, sex):
            network.eval().requires_grad_(False)
        judge = cls(people, np.sort(np.concatenate(aside)).astype(np.int64), embedding, identity, sex)
        judge.report.update(judge._accuracy(pairs, pairs.sexes[people]))
        return judge

    def features(self, images: Tensor) -> Tensor:
        """Embedding [B, E] of images [B, 3, S, S] in [-1, 1], which are brought to 64 pixels."""
        with torch.no_grad():
            embedded: Tensor = self.embedding(resized(images, FACE_PIXELS).to(next(self.embedding.parameters()).device))
        return embedded

    def features_of(self, batches: Iterable[Tensor]) -> Tensor:
        """Embedding [N, E] of images that come in batches, so that never all of them are in memory."""
        return torch.cat([self.features(images) for images in batches])

    def persons_by(self, features: Tensor, best: int = 1) -> NDArray[np.int32]:
        """The `best` likeliest persons for each embedding, likeliest first: int32 [N, best], indices into `Pairs.people`."""
        with torch.no_grad():
            ranked = self.identity(features).topk(min(best, len(self.people)), dim=1).indices
        persons: NDArray[np.int32] = self.people[ranked.cpu().numpy()]
        return persons

    def sexes_by(self, features: Tensor) -> NDArray[np.int64]:
        """0 female, 1 male, for each embedding [N, E]: int64 [N]."""
        with torch.no_grad():
            sexes: NDArray[np.int64] = self.sex(features).argmax(1).cpu().numpy()
        return sexes

    def person(self, images: Tensor, best: int = 1) -> NDArray[np.int32]:
        """`persons_by` the embeddings of images [B, 3, S, S]."""
        return self.persons_by(self.features_of(torch.split(images, BATCH)), best)

    def unseen(self, pairs: Pairs) -> NDArray[np.int64]:
        """Indices of the pictures of training and validation people that it has not learnt from, for the FID-like distance."""
        others = np.flatnonzero(np.isin(pairs.picture_person, pairs.split("validation")))
        return np.sort(np.concatenate([self.aside, others])).astype(np.int64)

    def _accuracy(self, pairs: Pairs, sexes: NDArray[np.int64]) -> dict[str, Any]:
        report: dict[str, Any] = {"people": len(self.people), "pictures_aside": len(self.aside)}
        if len(self.aside):
            features = self.features_of(image_batches(pairs.pictures, self.aside, BATCH))
            right = self.persons_by(features, 5) == pairs.picture_person[self.aside][:, None]
            report["identity_top1"] = float(right[:, 0].mean())
            report["identity_top5"] = float(right.any(1).mean())
            truth = pairs.sexes[pairs.picture_person[self.aside]]
            report["sex_known_people"] = float((self.sexes_by(features) == truth).mean())
        strangers = np.flatnonzero(np.isin(pairs.picture_person, pairs.split("validation")))
        if len(strangers):
            features = self.features_of(image_batches(pairs.pictures, strangers, BATCH))
            truth = pairs.sexes[pairs.picture_person[strangers]]
            report["sex_unknown_people"] = float((self.sexes_by(features) == truth).mean())
        report["chance"] = {
            "identity_top1": 1 / len(self.people),
            "identity_top5": min(1.0, 5 / len(self.people)),
            "sex": float(max(sexes.mean(), 1 - sexes.mean())),
        }
        return report
