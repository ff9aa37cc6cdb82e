"""The step of a GAN with a classifier (Wen 2019, Algorithm 1): shared by `face_gan` and `joint`.

Critic (face embedding network), discriminator and classifier take one step on real and generated pictures. Then the
generators take one on the losses that the three give to generated pictures, while the three stay as they are.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.training.data.differentiable_augmentation import augment
from voxface.training.engine.run import Run, bare
from voxface.training.engine.trained_networks import CRITICS
from voxface.training.losses.adversarial import discriminator_loss, generator_loss, r1_penalty
from voxface.training.models import Classifier, Discriminator, FaceEmbedding
from voxface.training.models.spectral_normalisation import plain_state


class GanStep:
    """Networks of a GAN, registered with a run under their names, each with an Adam optimiser of its own.

    Attributes:
        critic, discriminator, classifier: wrapped by the run.
        generators: by name; wrapped by the run.
        optimisers: by the name of their network.
    """

    def __init__(
        self,
        run: Run,
        generators: Mapping[str, nn.Module],
        critic: FaceEmbedding,
        discriminator: Discriminator,
        classifier: Classifier,
        *,
        generator_rate: float,
        critic_rate: float,
        betas: tuple[float, float],
        classify_fakes: bool = False,
        conditional: bool = False,
        augmentations: tuple[str, ...] = (),
        channels_last: bool = False,
    ) -> None:
        """Registers the networks and makes their optimisers.

        Args:
            generators: by name, every network that learns from `step_generators`; the joint training's student is one.
            generator_rate: learning rate of each generator's Adam.
            critic_rate: learning rate of critic, discriminator and classifier.
            betas: of every Adam.
            classify_fakes: whether the classifier learns from generated pictures too.
            conditional: whether the classifier's logit of the person shown is added to the discriminator's (a projection
                discriminator, Miyato & Koyama 2018, Eq. 3, on the classifier's weights).
            augmentations: kinds of `differentiable_augmentation`, for every picture that the critic gets.
            channels_last: memory layout of the pictures that the critic gets.
        """
        self.run = run
        self.generators = {name: run.network(name, network) for name, network in generators.items()}
        self.critic = run.network("critic", critic)
        self.discriminator = run.network("discriminator", discriminator)
        self.classifier = run.network("classifier", classifier)
        networks = {
            **self.generators,
            "critic": self.critic,
            "discriminator": self.discriminator,
            "classifier": self.classifier,
        }
        self.optimisers = {
            name: run.optimiser(
                name,
                torch.optim.Adam(network.parameters(), critic_rate if name in CRITICS else generator_rate, betas=betas),
            )
            for name, network in networks.items()
        }
        self._classify_fakes, self._conditional = classify_fakes, conditional
        self._augmentations, self._channels_last = augmentations, channels_last

    def step_critics(
        self, real: Tensor, fake: Tensor, real_person: Tensor, fake_person: Tensor, *, r1: float | None = None
    ) -> dict[str, Tensor]:
        """Moves critic, discriminator and classifier once (Algorithm 1, lines 4 and 5), in one pass over all pictures.

        Args:
            real, fake: real and generated pictures [B, 3, H, W] in [-1, 1]; no gradient goes to `fake`.
            real_person, fake_person: int64 [B], the class of whose picture it is, or should be.
            r1: factor of the penalty on the discriminator's gradient at real pictures (`r1_penalty`); None: no penalty.

        Returns:
            The losses "discriminator" and "classifier" and, with a penalty, "r1" without its factor.
        """
        count = len(real)
        real = self._augmented(real)
        if r1 is not None:
            real.requires_grad_()
        # A compiled network has no second derivative.
        with nullcontext() if r1 is None else torch.compiler.set_stance("force_eager"):
            features = self.critic(self._laid_out(torch.cat([real, self._augmented(fake.detach())])), groups=2)
            verdict = self.discriminator(features)
            names = self.classifier(features if self._conditional or self._classify_fakes else features[:count])
            if self._conditional:
                verdict = verdict + names.gather(1, torch.cat([real_person, fake_person])[:, None])
        losses = {
            "discriminator": discriminator_loss(verdict[:count], verdict[count:]),
            "classifier": F.cross_entropy(names[:count], real_person),
        }
        if self._classify_fakes:
            losses["classifier"] = losses["classifier"] + F.cross_entropy(names[count:], fake_person)
        loss = losses["discriminator"] + losses["classifier"]
        if r1 is not None:
            losses["r1"] = r1_penalty(verdict[:count], real)
            loss = loss + r1 * losses["r1"]
        self.run.descend(loss, *(self.optimisers[name] for name in CRITICS))
        return losses

    def generator_losses(self, fake: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
        """Losses of generated pictures (Algorithm 1, line 6), to be called within `frozen_critics`.

        Args:
            fake: pictures [B, 3, H, W]; the gradient goes through critic, discriminator and classifier to them.
            person: int64 [B], whose they should be.

        Returns:
            (adversarial loss, the classifier's cross-entropy).
        """
        with self.run.fabric.autocast():  # bare networks have none of their own
            features = bare(self.critic)(self._laid_out(self._augmented(fake)))
            verdict, names = bare(self.discriminator)(features).float(), bare(self.classifier)(features).float()
        if self._conditional:
            verdict = verdict + names.gather(1, person[:, None])
        return generator_loss(verdict), F.cross_entropy(names, person)

    def step_generators(self, loss: Tensor) -> None:
        """Moves every generator once."""
        self.run.descend(loss, *(self.optimisers[name] for name in self.generators))

    @contextmanager
    def frozen_critics(self) -> Iterator[None]:
        """No gradients for the weights of critic, discriminator and classifier, so that processes share none of them."""
        for network in self._critics:
            network.requires_grad_(False)
        yield
        for network in self._critics:
            network.requires_grad_(True)

    def trained_critics(self, architecture: Mapping[str, Mapping[str, Any]]) -> dict[str, nn.Module]:
        """Copies of critic, discriminator and classifier in eval mode, without wrappers and spectral normalisation.

        Args:
            architecture: by the name of the network, the arguments that it was built with.
        """
        made: dict[str, nn.Module] = {
            "critic": FaceEmbedding(**architecture["critic"]),
            "discriminator": Discriminator(**architecture["discriminator"]),
            "classifier": Classifier(**architecture["classifier"]),
        }
        for (name, copied), trained in zip(made.items(), self._critics, strict=True):
            copied.load_state_dict(plain_state(bare(trained)))
            made[name] = copied.eval()
        return made

    @property
    def _critics(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        return self.critic, self.discriminator, self.classifier

    def _augmented(self, images: Tensor) -> Tensor:
        return augment(images, self._augmentations) if self._augmentations else images

    def _laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self._channels_last else images
