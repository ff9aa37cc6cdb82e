"""Discriminator F_d and classifier F_c of a `train face-gan` or `joint` run, which Wen et al. 2019 judge generated faces by.

The generator has learnt to satisfy both, so what they say of its faces is no independent opinion: `picture_judge` is one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.runtime.errors import InputError
from voxface.training.data.images import resized
from voxface.training.data.pairs import Pairs
from voxface.training.engine.trained_networks import CRITICS, describe, identities_of, load_network
from voxface.training.evaluation.pictures.picture_judge import FACE_PIXELS


@dataclass(frozen=True)
class Critics:
    """The critics of one run.

    Attributes:
        identities: names of the people that the classifier tells apart.
        people: int32 [k], the same as indices into `Pairs.people`; -1: nobody of these data.
        critic, discriminator, classifier: see `models.face_critic`.
        conditional: whether the discriminator was trained with the classifier's logit added to its own; F_d is its own alone.
    """

    identities: tuple[str, ...]
    people: NDArray[np.int32]
    critic: nn.Module
    discriminator: nn.Module
    classifier: nn.Module
    conditional: bool

    @classmethod
    def load(cls, run: Path, pairs: Pairs) -> Self:
        """Reads the critics of a run.

        Raises:
            InputError: the run has none, as those of earlier versions, or is damaged.
        """
        document = describe(run)
        if missing := [name for name in CRITICS if name not in document["networks"]]:
            raise InputError(
                f"--critics: {run} holds {', '.join(document['networks']) or 'nothing'}, no {' and no '.join(missing)}; give a "
                "run of `voxface train face-gan` or `joint` by this version (earlier ones kept no critics)"
            )
        identities = identities_of(run)
        number = {person.name: i for i, person in enumerate(pairs.people)}
        people = np.array([number.get(name, -1) for name in identities], np.int32)
        config = document.get("config")
        conditional = isinstance(config, dict) and bool(config.get("conditional"))
        critic, discriminator, classifier = (load_network(run, name) for name in CRITICS)
        return cls(identities, people, critic, discriminator, classifier, conditional)

    def features(self, images: Tensor) -> Tensor:
        """Embedding [B, E] of images [B, 3, S, S] in [-1, 1], which are brought to 64 pixels."""
        with torch.no_grad():
            found: Tensor = self.critic(resized(images, FACE_PIXELS))
        return found

    def person(self, images: Tensor, best: int = 1) -> NDArray[np.int32]:
        """The `best` likeliest people of each image by F_c, likeliest first: int32 [B, best]."""
        with torch.no_grad():
            ranked = self.classifier(self.features(images)).topk(min(best, len(self.people)), dim=1).indices
        people: NDArray[np.int32] = self.people[ranked.numpy()]
        return people

    def realness(self, images: Tensor) -> NDArray[np.float64]:
        """F_d of each image, float64 [B] in [0, 1]: the probability that it gives to a real picture (Wen 2019, Table 2)."""
        with torch.no_grad():
            verdict = self.discriminator(self.features(images)).double().sigmoid()
        real: NDArray[np.float64] = verdict[:, 0].numpy()
        return real
