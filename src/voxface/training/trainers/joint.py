"""Joint training of voice -> picture -> geometry without 3D ground truth (Wu 2022, §3.3 and Fig. 3, unsupervised branch).

A GAN makes pictures of people from their voices. A student network reads the geometry of each picture, and an expert, trained
before, gives the student its targets. True faces are used for the validation numbers of the curve only.

Where the authors' published code departs from the paper, this file follows the paper:

* positives are of the same person and negatives of another speaker, always (`triplets`);
* norms of the triplet loss run over all coefficients (`losses.triplet`), the divergence is KL(expert ‖ student)
  (`losses.distillation`), and the pseudo ground truth is on α (Eq. 4); the preset "published" has the code's own values of
  these three (`losses.published_joint`);
* the classifier learns from generated faces too, L_f of §3.3 (`classify_fakes`);
* the voice encoder always stays in eval mode. So does the expert; it gets detached pictures, so that no gradient of Eq. 4
  reaches the generator through it. Pictures are RGB throughout; an expert that needs BGR swaps the channels itself.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.crops import Normalised
from voxface.training.data.images import as_pictures, image_batches, mean_colour, pictures_of
from voxface.training.data.pairs import Pairs
from voxface.training.engine.ema import ExponentialMovingAverage
from voxface.training.engine.phases import Done, Progress, no_progress, not_told
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks, weights_digest
from voxface.training.evaluation.geometry.held_out import HeldOut, held_out_metrics
from voxface.training.evaluation.measures.sex_probability import sex_slope_report
from voxface.training.losses.coefficients import coefficient_loss
from voxface.training.losses.distillation import divergence
from voxface.training.losses.published_joint import published_divergence, published_triplet
from voxface.training.losses.triplet import triplet_loss
from voxface.training.models import Classifier, Discriminator, FaceEmbedding, FaceGenerator
from voxface.training.models.dcgan_initialisation import initialise_dcgan
from voxface.training.models.experts.expert import Geometry
from voxface.training.models.experts.own import ImageToFace, Trunk
from voxface.training.models.face_generator import Kernel
from voxface.training.models.frozen import Frozen
from voxface.training.models.he_initialisation import initialise_he
from voxface.training.models.joint_mesh import JointMesh
from voxface.training.models.spectral_normalisation import normalise_spectrally
from voxface.training.models.voice_encoder import perturb
from voxface.training.trainers.face_gan import Initialisation
from voxface.training.trainers.gan_step import GanStep
from voxface.training.trainers.triplets import Anchors, Partners, PreparedTriplets, VoiceTriplets
from voxface.training.trainers.vertex_norms import VertexNorms

Space = Literal["coefficients", "vertices"]


@dataclass(frozen=True)
class JointWeights:
    """Weights of the losses of generator and student (Wu 2022, Eq. 7).

    Attributes:
        adversarial, classification: of the generator's part of L_f.
        pseudo_truth: of Eq. 4.
        divergence: of Eq. 6, once for the pooled and once for the middle feature.
        triplet: of Eq. 3.
        pictures: of the squared difference between the student's coefficients and the expert's for the person's real
            pictures; not in the paper.
    """

    adversarial: float = 1.0
    classification: float = 1.0
    pseudo_truth: float = 1.0
    divergence: float = 1.0
    triplet: float = 1.0
    pictures: float = 0.0


@dataclass(frozen=True)
class JointConfig:
    """Hyper-parameters of the training.

    Attributes:
        run: settings that every training has.
        steps, batch: steps of each network, and anchors per step.
        rate, betas: of Adam; each network has an optimiser of its own.
        weights: of the losses.
        margin: of the triplet loss.
        pseudo_truth_on, triplet_on: "coefficients" (the paper: squared norm, and norm, over all coefficients), or "vertices"
            (the published code: mean squared error over the coordinates of all vertices, and one norm for each axis over all
            vertices, in pixels of a face of 0.592 px/mm, the mean of the published networks).
        divergence: "paper" (Eqs. 5 and 6), or "published" (`losses.published_joint`).
        classify_fakes: whether the classifier learns from generated faces (paper: yes, published code: no).
        partners: source of positives and negatives, see `VoiceTriplets.draw`.
        noise: standard deviation of the noise on the embedding, see `perturb`.
        anchors: what the anchors are drawn from, see `VoiceTriplets.draw`.
        bank, crop, over: see `VoiceTriplets`.
        channels, kernel: of the generator.
        critic: widths of the face embedding network.
        spectral: spectral normalisation of the critic and its discriminator (Miyato 2018).
        initialisation: of generator and critic, see `FaceGanConfig`.
        start: "scratch" as in the paper, or "generator": from a trained generator.
        student: "scratch", or "expert": the student starts as a copy of the expert, which has to be an `ImageToFace`.
        student_size, student_trunk: of the student, see `ImageToFace`; 120 pixels and MobileNetV2 as published. A copy of the
            expert has the expert's.
        average: decay of the exponential moving average of generator and student that the training returns; 0: none.
        validate_every: steps between validations.
    """

    run: RunConfig = field(default_factory=RunConfig)
    steps: int = 50_000
    batch: int = 64
    rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    weights: JointWeights = field(default_factory=JointWeights)
    margin: float = 1.0
    pseudo_truth_on: Space = "coefficients"
    triplet_on: Space = "coefficients"
    divergence: Literal["paper", "published"] = "paper"
    classify_fakes: bool = True
    partners: Partners = "drawn"
    anchors: Anchors = "utterances"
    noise: float = 0.05
    bank: int = 0
    crop: tuple[int, int] = (300, 800)
    over: Normalised = "utterance"
    channels: tuple[int, ...] = (1024, 512, 256, 128, 64)
    kernel: Kernel = "k4"
    critic: tuple[int, ...] = (32, 64, 128, 256, 512)
    spectral: bool = False
    initialisation: Initialisation = "torch"
    start: Literal["scratch", "generator"] = "scratch"
    student: Literal["scratch", "expert"] = "scratch"
    student_size: int = 120
    student_trunk: Trunk = "mobilenet_v2"
    average: float = 0.0
    validate_every: int = 500

    def __post_init__(self) -> None:
        if self.validate_every < 1:
            raise UsageError(f"validate_every is {self.validate_every}; at least 1")
        if not 0 <= self.average < 1:
            raise UsageError(f"average is {self.average}; 0 (none) or more, and below 1")


PRESETS: Final = {
    "wu2022": JointConfig(),
    "published": JointConfig(
        weights=JointWeights(pseudo_truth=0.5, divergence=10_000.0, triplet=1.5),
        pseudo_truth_on="vertices",
        triplet_on="vertices",
        divergence="published",
        classify_fakes=False,
    ),
    # Beyond the paper, but without 3D ground truth as there: the expert also reads people's real pictures, which the GAN sees
    # anyway. So the student learns the face behind a voice from an estimate of that face, and not of a generated one.
    "modern": JointConfig(
        weights=JointWeights(pseudo_truth=0.2, divergence=100.0, triplet=1.0, pictures=1.0),
        classify_fakes=False,
        partners="batch",
        anchors="people",
        bank=4,
        over="crop",
        spectral=True,
        initialisation="he",
        student="expert",
        average=0.999,
    ),
}


class JointNetworks(NamedTuple):
    """Result of a joint training, in eval mode.

    Attributes:
        generator: voice embedding -> picture.
        student: picture -> geometry.
    """

    generator: FaceGenerator
    student: ImageToFace


def train_joint(
    pairs: Pairs,
    encoder: nn.Module,
    expert: nn.Module,
    config: JointConfig,
    folder: Path,
    *,
    generator: nn.Module | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> JointNetworks:
    """Trains and returns generator and student; `folder` then holds `face`, `student`, both in one as `mesh`, and the critics.

    Args:
        encoder: a trained `VoiceEncoder`; it is frozen and stays as it is.
        expert: any `Expert` whose coefficients are those of the pairs' morphable model; it is frozen too.
        generator: a result of `train_face_gan`, needed where `config.start` is "generator"; it is copied.

    Raises:
        InputError: too few people, an expert or a generator that does not fit, or `TrainingError` for a loss that is not a
            number.
        UsageError, ProviderError: see `Run`.
    """
    if (generator is None) != (config.start == "scratch"):
        raise UsageError(
            f"the config starts from {config.start!r}, and a trained generator is {'not ' * (generator is None)}given"
        )
    others = {"encoder": encoder, "expert": expert} | ({} if generator is None else {"generator": generator})
    data = {"pairs": pairs.digest, **{name: weights_digest(network) for name, network in others.items()}}
    run = Run(folder, config, config.run, data=data, resume=resume, say=say, progress=progress)
    frozen_encoder, frozen_expert = Frozen(encoder).to(run.device), Frozen(expert).to(run.device)
    bare_expert = frozen_expert.module
    bare_expert = bare_expert.module if isinstance(bare_expert, Frozen) else bare_expert
    people = np.array([i for i in pairs.split("train") if len(pairs.pictures_of[int(i)])], np.int32)
    voices = VoiceTriplets(
        pairs,
        frozen_encoder,
        people,
        bank=config.bank,
        crop=config.crop,
        over=config.over,
        seed=config.run.seed,
        device=run.device,
        say=say,
        done=run.phase("encoding voices"),
    )
    identity = np.full(len(pairs.people), -1, np.int64)
    identity[voices.people] = np.arange(len(voices.people))
    modes = pairs.morphable.modes
    picture_targets = run.tensor(
        mean_expert_coefficients(pairs, frozen_expert, voices.people, run.device, done=run.phase("asking the expert"))
    )
    if picture_targets.shape[1] != modes:
        raise InputError(
            f"the expert gives {picture_targets.shape[1]} coefficients, morphable model {pairs.morphable.name} has {modes}; "
            "give an expert of this model"
        )
    vertices = VertexNorms(pairs.morphable).to(run.device)
    compare = published_divergence if config.divergence == "published" else divergence

    face_architecture: dict[str, Any] = {
        "embedding": voices.width,
        "channels": config.channels,
        "kernel": config.kernel,
    }
    student_form = _student_form(bare_expert, config)
    student_architecture: dict[str, Any] = {"coefficients": modes, **student_form}
    face, critic, discriminator = FaceGenerator(**face_architecture), FaceEmbedding(config.critic), Discriminator()
    if config.initialisation == "dcgan":
        initialise_dcgan(face, critic, discriminator)
    elif config.initialisation == "he":
        which = np.concatenate([pairs.pictures_of[int(i)] for i in voices.people])
        initialise_he(face, mean_colour(pairs.pictures, which))
        initialise_he(critic)
    student = ImageToFace(**student_architecture)
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU
    _start(face, generator, "the generator's widths are not the config's channels")
    _start(student, bare_expert if config.student == "expert" else None, "a student can only start as our own expert")
    if config.spectral:
        normalise_spectrally(critic, discriminator)
    average = ExponentialMovingAverage(JointMesh.from_networks(face, student), config.average)

    gan = GanStep(
        run,
        {"generator": face, "student": student},
        critic,
        discriminator,
        Classifier(len(voices.people)),
        generator_rate=config.rate,
        critic_rate=config.rate,
        betas=config.betas,
        classify_fakes=config.classify_fakes,
    )
    generate, read_geometry = gan.generators["generator"], gan.generators["student"]
    run.network("average", average, trained=False)
    batch = run.share(config.batch)
    held = HeldOut.from_pairs(pairs, frozen_encoder, "validation", run.device)
    trained = JointMesh.from_networks(bare(generate), bare(read_geometry))

    for network in (generate, read_geometry, gan.critic, gan.discriminator, gan.classifier):
        network.train()

    def prepared(step: int) -> tuple[PreparedTriplets, NDArray[np.float32]]:
        rng = run.random(step)
        triplets = voices.prepare(batch, rng, config.partners, config.anchors)
        return triplets, pictures_of(pairs, triplets.person[: len(triplets.positive)], rng)

    for step, (triplets, pictures) in run.batches(config.steps, prepared):
        drawn = voices.finish(triplets)
        count, person = drawn.anchors, drawn.person[: drawn.anchors]
        real = run.tensor(pictures)
        label = run.tensor(identity[person])
        fake = generate(perturb(drawn.embeddings, config.noise))

        # L_r and, of L_f, the part of discriminator and classifier (Wen 2019, Algorithm 1).
        critic_losses = gan.step_critics(real, fake[:count], label, label)
        with gan.frozen_critics():
            adversarial, classification = gan.generator_losses(fake[:count], label)
            seen: Geometry = read_geometry(fake)
            with run.fabric.autocast():
                expert_sees: Geometry = frozen_expert(fake[:count].detach().clamp(-1, 1))
            target = expert_sees.float()
            alpha, expert_alpha = seen.coefficients, target.coefficients.detach()
            losses = {
                "adversarial": adversarial,
                "classification": classification,
                "pseudo_truth": coefficient_loss(alpha[:count], expert_alpha)
                if config.pseudo_truth_on == "coefficients"
                else vertices.mean_squared(alpha[:count], expert_alpha),
                "divergence": compare(target.pooled.detach(), seen.pooled[:count])
                + compare(target.middle.detach(), seen.middle[:count]),
                "triplet": triplet_loss(alpha[:count], alpha[drawn.positive], alpha[drawn.negative], config.margin)
                if config.triplet_on == "coefficients"
                else published_triplet(
                    vertices(alpha[:count]),
                    vertices(alpha[drawn.positive]),
                    vertices(alpha[drawn.negative]),
                    config.margin,
                ),
                "pictures": coefficient_loss(
                    seen.coefficients[:count], picture_targets[torch.from_numpy(person).to(run.device)]
                ),
            }
            loss = torch.stack([getattr(config.weights, name) * value for name, value in losses.items()]).sum()
            gan.step_generators(loss)
        average.update(trained, step)

        measured: dict[str, float] = {}
        if held is not None and ((step + 1) % config.validate_every == 0 or step + 1 == config.steps):
            measured = held.errors(average).summary
        run.log(
            step,
            {"loss": loss, **losses, **critic_losses}
            | {f"validation/{name}": measured[name] for name in ("are", "rms_mm") if measured},
            {"embeddings": drawn.embeddings, "real": real, "fake": fake, "label": label},
        )
        if run.wants_sheet(step):
            run.sheet(step, _sheet(real, fake[:count], seen.coefficients[:count], pairs.morphable))

    mesh = JointMesh.from_networks(face, student)
    mesh.load_state_dict(average.module.state_dict())
    critics: dict[str, dict[str, Any]] = {
        "critic": {"channels": config.critic},
        "discriminator": {},
        "classifier": {"identities": len(voices.people)},
    }
    save_networks(
        folder,
        {"face": face, "student": student, "mesh": mesh, **gan.trained_critics(critics)},
        {
            "face": face_architecture,
            "student": student_architecture,
            "mesh": {"kind": "joint", **face_architecture, "coefficients": modes, "student": student_form},
            **critics,
        },
        {
            "trained_on": [pairs.provenance(voices.people)],
            "licence": pairs.morphable.licence,
            "metrics": held_out_metrics(pairs, frozen_encoder, mesh, run.device, say, run.phase),
            "calibration": sex_slope_report(held, mesh),
            "config": asdict(config),
        },
        pairs,
        encoder=frozen_encoder,
        identities=[pairs.people[int(i)].name for i in voices.people],
    )
    return JointNetworks(face.eval(), student.eval())


def mean_expert_coefficients(
    pairs: Pairs,
    expert: Frozen,
    people: NDArray[np.int32],
    device: torch.device,
    batch: int = 64,
    done: Done = not_told,
) -> NDArray[np.float32]:
    """Coefficients that an expert reads from each person's pictures, averaged per person: no 3D ground truth is used.

    Args:
        people: int32, indices of the people whose pictures the GAN learns from.
        batch: pictures that the expert gets at a time.

    Returns:
        float32 [I, P] for all I people of the pairs; NaN for those who are not among `people`.
    """
    which = np.concatenate([pairs.pictures_of[int(i)] for i in people])
    rows = []
    for images in image_batches(pairs.pictures, which, batch):
        rows.append(expert(images.to(device)).coefficients.float().cpu().numpy())
        done(min(len(which), batch * len(rows)), len(which))
    found = np.concatenate(rows)
    opinions = np.full((len(pairs.people), found.shape[1]), np.nan, np.float32)
    for i in people:
        opinions[i] = found[pairs.picture_person[which] == i].mean(0)
    return opinions


def _student_form(expert: nn.Module, config: JointConfig) -> dict[str, Any]:
    """Size and trunk of the student: the expert's where the student starts as its copy, else the config's."""
    if config.student == "expert" and isinstance(expert, ImageToFace):
        return {"size": expert.size, "trunk": expert.trunk}
    return {"size": config.student_size, "trunk": config.student_trunk}


def _start(network: nn.Module, given: nn.Module | None, wrong: str) -> None:
    """Copies the state of `given`, if any, into the network."""
    if given is None:
        return
    try:
        network.load_state_dict(bare(given).state_dict())
    except RuntimeError as error:
        raise InputError(f"{wrong} ({type(given).__name__} given)") from error


def _sheet(real: Tensor, fake: Tensor, alpha: Tensor, model: MorphableModel) -> list[list[NDArray[np.uint8]]]:
    """Rows of the sample sheet: real pictures, generated ones, and renders of the faces that the student reads from these."""
    from voxface.training.faces.render import render_batch

    vertices = model.vertices(alpha[:8].detach().float().cpu().numpy())
    meshes = render_batch(vertices, model.triangles, model.albedo, size=real.shape[2], parts=model.parts)
    return [list(as_pictures(real[:8])), list(as_pictures(fake[:8])), list(meshes)]
