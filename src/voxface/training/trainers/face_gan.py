"""Trains the face generator, voice -> face, against a discriminator and a classifier (Wen 2019, Algorithm 1).

The presets share data and judge; `docs/papers.md` has the source of each number:

* `wen2019` is Algorithm 1 with the networks and settings of the authors' published code. Its classifier learns from real
  pictures only, as in line 5 and in the code.
* `wen2019-paper` has the networks of Table 2, the steps of §4, and the first weights of DCGAN, whose hyper-parameters the paper
  says it follows.
* `dcgan` has, besides, DCGAN's batch normalisation and tanh (Radford et al. 2016, §3), in the published networks.
* `modern` keeps discriminator and classifier and changes the rest; every change is a field of `FaceGanConfig`.

The step itself is in `gan_step`; the joint training of Wu 2022 uses the same.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.files.atomic import write_bytes
from voxface.training.data.differentiable_augmentation import AUGMENTATIONS
from voxface.training.data.pairs import Pairs
from voxface.training.data.voice_face_sampler import (
    Batch,
    EmbeddingSource,
    OnTheFlyEmbeddings,
    PreparedBatch,
    Sampling,
    VoiceFaceSampler,
    held_out_recordings,
    precomputed_source,
)
from voxface.training.engine.ema import ExponentialMovingAverage
from voxface.training.engine.phases import Done, Progress, no_progress, not_told
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks, weights_digest
from voxface.training.evaluation.pictures.generated_faces import FaceTest
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge
from voxface.training.models import Classifier, Discriminator, FaceEmbedding, FaceGenerator
from voxface.training.models.dcgan_initialisation import initialise_dcgan
from voxface.training.models.face_generator import Kernel, Style
from voxface.training.models.frozen import Frozen
from voxface.training.models.he_initialisation import initialise_he
from voxface.training.models.spectral_normalisation import normalise_spectrally
from voxface.training.models.voice_encoder import perturb
from voxface.training.trainers.gan_step import GanStep

FACE_PIXELS: Final = 64
Initialisation = Literal["torch", "dcgan", "he"]


@dataclass(frozen=True)
class FaceGanConfig:
    """Hyper-parameters of the training; the defaults are the published ones.

    Attributes:
        run: settings that every training has.
        steps: steps of the critics and of the generator, in turns.
        batch: voices per step, and as many real pictures.
        channels: widths of the generator.
        critic: widths of the face embedding network under discriminator and classifier.
        kernel, critic_kernel: of generator and face embedding network: "k4" (published code) or "k3" (Table 2).
        last_rectified: whether the face embedding network ends with a leaky ReLU (Table 2: yes, published code: no).
        style: "wen", or "dcgan": batch normalisation in both networks and a tanh.
        length: shortest and longest crop of a voice, in frames.
        noise: standard deviation of the noise on the embedding, see `perturb`.
        flip: probability that a real picture is mirrored.
        generator_rate, critic_rate: learning rates of Adam, of the generator and of the three critics.
        betas: of Adam; each network has an optimiser of its own.
        adversarial, identity: weights of the generator's two losses.

        sampling: how people are drawn, see `VoiceFaceSampler`.
        bank: crops of each recording that are encoded once, before the training; 0: new crops are encoded at every step.
        spectral: spectral normalisation of the critic's convolutions and of the discriminator (Miyato et al. 2018).
        conditional: the discriminator's logit is its own plus the classifier's for the person shown (a projection
            discriminator, Miyato & Koyama 2018, Eq. 3, on the classifier's weights), so that a realistic face of somebody
            else counts as generated.
        r1: factor γ of the penalty γ/2·‖∇D(x)‖² on real pictures (Mescheder et al. 2018, Eq. 9); 0: no penalty.
        r1_every: steps between penalties, each of which counts `r1_every` times.
        likeness: weight of a third loss of the generator, the mean absolute difference between its picture and a real one of
            the same person (Isola et al. 2017, Eq. 4); needs "balanced" sampling.
        average: decay of the generator's exponential moving average, which the training then returns; 0: none.
        augmentations: kinds of `differentiable_augmentation`, for every picture that the critic gets.
        initialisation: "torch" (its layers' own, as in the published code), "dcgan" (Radford et al. 2016, §4), or "he": He
            et al. 2015 with the mean colour of all pictures as first picture; through torch's small weights the signal hardly
            passes without batch normalisation.
        mixed: bfloat16 where it is safe, on a GPU, unless `run.precision` says otherwise.
        channels_last: memory layout of generator and critic.
        compiled: whether torch.compile is used; "gpu": on a GPU only.

        validate_every: steps between validations; there is always one at the end.
        voices: voices of each person in the validation, see `FaceTest`.
        judge: configuration of the network that judges the pictures.

    Raises:
        UsageError: a value out of its range, or values that do not fit together.
    """

    run: RunConfig = field(default_factory=RunConfig)
    steps: int = 50_000
    batch: int = 128
    channels: tuple[int, ...] = (1024, 512, 256, 128, 64)
    critic: tuple[int, ...] = (32, 64, 128, 256, 512)
    kernel: Kernel = "k4"
    critic_kernel: Kernel = "k4"
    last_rectified: bool = False
    style: Style = "wen"
    length: tuple[int, int] = (300, 800)
    noise: float = 0.05
    flip: float = 0.5
    generator_rate: float = 2e-4
    critic_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    adversarial: float = 1.0
    identity: float = 1.0

    sampling: Sampling = "independent"
    bank: int = 0
    spectral: bool = False
    conditional: bool = False
    r1: float = 0.0
    r1_every: int = 16
    likeness: float = 0.0
    average: float = 0.0
    augmentations: tuple[str, ...] = ()
    initialisation: Initialisation = "torch"
    mixed: bool = False
    channels_last: bool = False
    compiled: Literal["off", "gpu", "on"] = "off"

    validate_every: int = 5_000
    voices: int = 4
    judge: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("bank", 0), ("r1_every", 1), ("validate_every", 1), ("voices", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} {getattr(self, name)}: at least {least}")
        if not 0 <= self.average < 1:
            raise UsageError(f"average {self.average}: 0 (none) or more, and below 1")
        if self.likeness and self.sampling != "balanced":
            raise UsageError("likeness compares voices with pictures of the same people; it needs balanced sampling")
        if len(self.channels) != 5 or len(self.critic) != 5:
            raise UsageError(
                f"channels {self.channels}, critic {self.critic}: five widths each, for pictures of 64 pixels"
            )
        if not 1 <= self.length[0] <= self.length[1]:
            raise UsageError(f"length {self.length}: shortest and longest crop in frames")
        if unknown := set(self.augmentations) - set(AUGMENTATIONS):
            raise UsageError(f"augmentations {', '.join(sorted(unknown))}: of {', '.join(AUGMENTATIONS)}")


PRESETS: Final[dict[str, FaceGanConfig]] = {
    "wen2019": FaceGanConfig(),
    "wen2019-paper": FaceGanConfig(
        steps=100_000,
        kernel="k3",
        critic_kernel="k3",
        last_rectified=True,
        initialisation="dcgan",
        noise=0.0,
        flip=0.0,
    ),
    "dcgan": FaceGanConfig(style="dcgan", initialisation="dcgan"),
    # Chosen among five variants (three of them stopped early) on 96 synthetic people, 300 steps with narrow networks on a CPU,
    # one seed; with spectral normalisation and without likeness there were no faces by then. Not tried at full width.
    "modern": FaceGanConfig(
        generator_rate=1e-3,
        critic_rate=4e-4,
        sampling="balanced",
        bank=8,
        conditional=True,
        r1=1.0,
        r1_every=8,
        likeness=20.0,
        average=0.999,
        augmentations=("translation",),
        initialisation="he",
        mixed=True,
        channels_last=True,
        compiled="gpu",
    ),
}


class FaceGan(GanStep):
    """The networks and optimisers of one training, registered with its run, and one step of it.

    Attributes:
        generator: wrapped by the run.
        average: the generator's exponential moving average, if any.
    """

    def __init__(self, run: Run, config: FaceGanConfig, identities: int, embedding: int, mean_colour: Tensor) -> None:
        """Builds the networks.

        Args:
            identities: classes of the classifier.
            embedding: numbers of a voice embedding.
            mean_colour: [3], the colour of the first picture; used where `config.initialisation` is "he".
        """
        self.config = config
        generator = FaceGenerator(embedding, config.channels, config.kernel, style=config.style)
        critic = FaceEmbedding(
            config.critic, kernel=config.critic_kernel, last_rectified=config.last_rectified, style=config.style
        )
        discriminator, classifier = Discriminator(), Classifier(identities)
        if config.initialisation == "he":
            initialise_he(generator, mean_colour.cpu())
            initialise_he(critic)
        elif config.initialisation == "dcgan":
            initialise_dcgan(generator, critic, discriminator, classifier)
        if config.spectral:
            normalise_spectrally(critic, discriminator)
        if config.channels_last:
            generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ExponentialMovingAverage(generator, config.average) if config.average else None
        if self.average is not None:
            run.network("average", self.average, trained=False)
        for network in (generator, critic):
            if config.compiled == "on" or (config.compiled == "gpu" and run.device.type == "cuda"):
                network.compile()
        super().__init__(
            run,
            {"generator": generator},
            critic,
            discriminator,
            classifier,
            generator_rate=config.generator_rate,
            critic_rate=config.critic_rate,
            betas=config.betas,
            conditional=config.conditional,
            augmentations=config.augmentations,
            channels_last=config.channels_last,
        )
        self.generator = self.generators["generator"]

    def step(self, number: int, batch: Batch) -> dict[str, Tensor]:
        """Moves critic, discriminator and classifier, then the generator, each once.

        Args:
            number: of the step, counted from 0.
            batch: see `Batch`.

        Returns:
            The losses by the names of the curve, detached.
        """
        config = self.config
        fake = self.generator(perturb(batch.embedding, config.noise))
        penalised = config.r1 > 0 and number % config.r1_every == 0
        losses = self.step_critics(
            batch.image, fake, batch.face, batch.voice, r1=config.r1 * config.r1_every if penalised else None
        )
        if config.r1 and not penalised:
            losses["r1"] = torch.zeros((), device=batch.image.device)

        with self.frozen_critics():
            losses["adversarial"], losses["identity"] = self.generator_losses(fake, batch.voice)
            loss = config.adversarial * losses["adversarial"] + config.identity * losses["identity"]
            if config.likeness:  # the batch's pictures are of the people of its voices, in the same order
                losses["likeness"] = F.l1_loss(fake, batch.image)
                loss = loss + config.likeness * losses["likeness"]
            self.step_generators(loss)
        if self.average is not None:
            self.average.update(bare(self.generator), number)
        return {name: value.detach() for name, value in losses.items()}

    @property
    def result(self) -> nn.Module:
        """The network that the training returns: the moving average, or the generator itself where there is none."""
        return self.average.module if self.average is not None else bare(self.generator)


def train_face_gan(
    pairs: Pairs,
    encoder: nn.Module,
    config: FaceGanConfig,
    folder: Path,
    *,
    judge: PictureJudge | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> FaceGenerator:
    """Trains and returns a face generator for the voices of a trained encoder, which is copied and frozen.

    The people of the training split are learnt from; the last recording of those who have several is kept for validation.
    Beside what every run writes, `folder` gets `validation/step-N.json`, sample sheets (see `FaceTest.sheet`), and the networks
    `face`, `critic`, `discriminator` and `classifier` at the end.

    Args:
        encoder: a trained `VoiceEncoder`.
        judge: network that judges the generated pictures; where none is given, one is trained as `config.judge` says.

    Raises:
        InputError: pictures of another size, nobody with both voice and face, or `TrainingError` for a loss that is not a
            number.
        UsageError, ProviderError: see `Run`.
    """
    if pairs.pictures.shape[1:3] != (FACE_PIXELS, FACE_PIXELS):
        size = "x".join(map(str, pairs.pictures.shape[1:3]))
        raise InputError(
            f"pictures of {size} pixels: the face networks take {FACE_PIXELS}x{FACE_PIXELS}; prepare them so"
        )
    data = {"pairs": pairs.digest, "encoder": weights_digest(encoder)}
    run = Run(folder, config, settings(config), data=data, resume=resume, say=say, progress=progress)
    tell = say if run.leads else lambda _: None
    frozen_encoder = Frozen(copy.deepcopy(encoder)).to(run.device)
    held = held_out_recordings(pairs, pairs.split("train"))
    tell("encoding voices")
    sampler = voice_face_sampler(pairs, frozen_encoder, config, held, run.device, run.phase("encoding voices"))
    if judge is None:
        tell("the judge of the pictures learns from real ones")
        judge = PictureJudge.train(pairs, config.judge, device=run.device, progress=run.phase("judge"))
    test = FaceTest.from_pairs(
        pairs,
        frozen_encoder,
        judge,
        held,
        each=config.voices,
        length=config.length,
        seed=config.run.seed,
        device=run.device,
    )
    gan = FaceGan(run, config, len(sampler.people), test.embedding.shape[1], sampler.mean_colour)
    share = run.share(config.batch)

    def prepared(step: int) -> PreparedBatch:
        return sampler.prepare(share, config.sampling, config.flip, run.random(step))

    for step, drawn in run.batches(config.steps, prepared):
        batch = sampler.finish(drawn)
        losses = gan.step(step, batch)
        run.log(step, losses, batch._asdict())
        if run.wants_sheet(step):
            run.sheet(step, test.sheet(gan.result))
        if run.leads and (step + 1) % config.validate_every == 0:
            measured = test.measure(gan.result)
            tell(f"after {step + 1} steps: {json.dumps(measured)}")
            write_bytes(folder / "validation" / f"step-{step + 1:07d}.json", json.dumps(measured).encode() + b"\n")

    architecture: dict[str, Any] = {
        "embedding": test.embedding.shape[1],
        "channels": config.channels,
        "kernel": config.kernel,
        "style": config.style,
    }
    face = FaceGenerator(**architecture)
    face.load_state_dict(gan.result.state_dict())
    critics = critic_architecture(config, len(sampler.people))
    save_networks(
        folder,
        {"face": face, **gan.trained_critics(critics)},
        {"face": architecture, **critics},
        {
            "trained_on": [pairs.provenance(sampler.people)],
            "licence": pairs.morphable.licence,
            "metrics": {
                **test.measure(face.eval()),
                "unheard_recordings": test.fresh,
                "trivial": test.trivial(),
                "judge": judge.report,
            },
            "config": asdict(config),
        },
        pairs,
        encoder=frozen_encoder,
        identities=[pairs.people[int(i)].name for i in sampler.people],
    )
    return face.eval()


def critic_architecture(config: FaceGanConfig, identities: int) -> dict[str, dict[str, Any]]:
    """Arguments of the face embedding network and of the discriminator and classifier on it."""
    critic = {
        "channels": config.critic,
        "kernel": config.critic_kernel,
        "last_rectified": config.last_rectified,
        "style": config.style,
    }
    return {"critic": critic, "discriminator": {}, "classifier": {"identities": identities}}


def voice_face_sampler(
    pairs: Pairs,
    encoder: Frozen,
    config: FaceGanConfig,
    held: NDArray[np.bool_],
    device: torch.device,
    done: Done = not_told,
) -> VoiceFaceSampler:
    """Sampler of the training split's people, with all their recordings but the `held` ones (bool [U])."""
    people = pairs.split("train")
    source: EmbeddingSource
    if config.bank:
        source = precomputed_source(
            pairs, encoder, people, held, config.bank, config.length, config.run.seed, device, done
        )
    else:
        learnt = np.flatnonzero(np.isin(pairs.utterance_person, people) & ~held).astype(np.int32)
        source = OnTheFlyEmbeddings(pairs, encoder, learnt, config.length, device)
    return VoiceFaceSampler(pairs, people, source, device)


def settings(config: FaceGanConfig) -> RunConfig:
    """The run's settings, with bfloat16 where `mixed` asks for it and there is a GPU."""
    gpu = config.run.accelerator != "cpu" and torch.cuda.is_available()
    if config.mixed and gpu and config.run.precision == "32-true":
        return replace(config.run, precision="bf16-mixed")
    return config.run
