"""A classifier of pictures by an attribute of the person, such as the sex, with the critic's architecture (Wen 2019, §4.2)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from voxface.runtime.errors import InputError
from voxface.training.data.array_shards import Rows
from voxface.training.data.differentiable_augmentation import augment
from voxface.training.data.images import as_images, resized
from voxface.training.data.pairs import Pairs
from voxface.training.engine.phases import Done, not_told
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.pictures.judges import FOLDER
from voxface.training.evaluation.pictures.kept_networks import key_of, read_networks, write_networks
from voxface.training.evaluation.pictures.picture_judge import FACE_PIXELS
from voxface.training.models.face_critic import Classifier, FaceEmbedding
from voxface.training.models.he_initialisation import initialise_he


@dataclass(frozen=True)
class ClassifierConfig:
    """Hyper-parameters.

    Attributes:
        channels, embedding: of its `FaceEmbedding`; the defaults are the discriminator's (Wen 2019, Table 2).
        steps, batch, rate: of Adam, whose rate falls to 0 along a cosine.
        augmentations: of its pictures, beside mirroring.
        seed: of weights and batches.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    embedding: int = 64
    steps: int = 600
    batch: int = 32
    rate: float = 5e-4
    augmentations: tuple[str, ...] = ("translation", "colour")
    seed: int = 0


@dataclass(frozen=True)
class PictureClassifier:
    """A trained classifier.

    Attributes:
        embedding: images [B, 3, 64, 64] -> [B, E].
        head: [B, E] -> logits [B, classes].
    """

    embedding: nn.Module
    head: nn.Module

    @classmethod
    def train(
        cls,
        pairs: Pairs,
        labels: NDArray[np.int64],
        config: ClassifierConfig = ClassifierConfig(),
        *,
        done: Done = not_told,
    ) -> "PictureClassifier":
        """Trains on pictures of the training people, each class as often as the others.

        Args:
            labels: int64 [I], the class of each person; below 0: unknown.

        Raises:
            InputError: fewer than two classes have pictures.
        """
        people = pairs.split("train")
        learnt = np.flatnonzero(np.isin(pairs.picture_person, people[labels[people] >= 0]))
        truth = labels[pairs.picture_person[learnt]]
        rows = [np.flatnonzero(truth == k) for k in range(int(labels.max(initial=-1)) + 1)]
        if sum(len(of) > 0 for of in rows) < 2:
            raise InputError("a classifier of pictures needs training people of two kinds with pictures")
        classes = [k for k, of in enumerate(rows) if len(of)]
        rng = np.random.default_rng([config.seed, 109])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            made = _untrained(config, len(rows))
            embedding, head = made["embedding"], made["head"]
            initialise_he(embedding)
            optimiser = torch.optim.Adam([*embedding.parameters(), *head.parameters()], config.rate)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.steps))
            for step in range(config.steps):
                wanted = rng.choice(classes, config.batch)
                drawn = np.array([rows[k][rng.integers(len(rows[k]))] for k in wanted])
                flip = torch.from_numpy(rng.random(config.batch) < 0.5)
                pictures = torch.from_numpy(pairs.pictures[learnt[drawn]])
                images = augment(resized(as_images(pictures, flip), FACE_PIXELS), config.augmentations)
                loss = functional.cross_entropy(head(embedding(images)), torch.from_numpy(wanted))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                done(step + 1, config.steps)
        for network in (embedding, head):
            network.eval().requires_grad_(False)
        return cls(embedding, head)

    def __call__(
        self, pictures: Rows, which: NDArray[np.integer[Any]] | None = None, batch: int = 64
    ) -> NDArray[np.int64]:
        """The class of pictures uint8 [N, S, S, 3], or of some of them: int64 [N]."""
        rows = np.arange(len(pictures)) if which is None else which
        found = [np.empty(0, np.int64)]
        for begin in range(0, len(rows), batch):
            images = as_images(torch.from_numpy(np.ascontiguousarray(pictures[rows[begin : begin + batch]])))
            with torch.no_grad():
                found.append(self.head(self.embedding(resized(images, FACE_PIXELS))).argmax(1).numpy())
        return np.concatenate(found)


def kept_classifier(
    inputs: Inputs, attribute: str, labels: NDArray[np.int64], config: ClassifierConfig
) -> PictureClassifier:
    """The classifier of an attribute that the folder of results holds, or else a new one, which is then kept there.

    Args:
        attribute: "sex"; with the data, it decides the labels.
        labels: see `PictureClassifier.train`.

    Raises:
        InputError: what `PictureClassifier.train` raises, or a kept one is damaged.
    """
    pairs = inputs.pairs
    what: Mapping[str, Any] = {"data": pairs.digest, "config": asdict(config), "labels": labels.tolist()}
    file = inputs.out / FOLDER / key_of(attribute, **what)
    if pairs.digest and file.exists():
        networks = _untrained(config, int(labels.max()) + 1)
        read_networks(file, networks)
        return PictureClassifier(**networks)
    made = PictureClassifier.train(pairs, labels, config, done=inputs.phase(f"a classifier of {attribute} learns"))
    if pairs.digest:
        write_networks(file, {"embedding": made.embedding, "head": made.head}, {}, {"config": asdict(config)})
    return made


def _untrained(config: ClassifierConfig, classes: int) -> dict[str, nn.Module]:
    embedding = FaceEmbedding(config.channels, config.embedding)
    embedding.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    return {"embedding": embedding, "head": Classifier(classes, config.embedding)}
