"""Distils a voice encoder from a speaker encoder of others, which was trained on thousands of hours of speech.

The student learns what the teacher says of each piece of a voice, not of each speaker: with one target a speaker it learns the
few thousand training voices by heart. The teacher's vectors are centred on their mean, since what all voices share says
nothing, and reduced to the embedding's size by principal components, which costs next to nothing (64 of 256: EER 1.6 instead
of 1.2 %). The student hears frames of which only the level is taken away. With every mel bin normalised, as in Wen 2019, the
long-term spectrum is gone, which the teacher hears: there the EER after 500 steps was 27 %, here 11 %.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.errors import UsageError
from voxface.runtime.features.normalisation import network_input
from voxface.training.engine.learning_rate import set_learning_rate, warmup_then_cosine
from voxface.training.engine.phases import Progress, no_progress
from voxface.training.engine.run import Run, RunConfig
from voxface.training.engine.trained_networks import save_networks
from voxface.training.evaluation.measures.verification import rates
from voxface.training.models import VoiceEncoder
from voxface.training.models.encoder_growth import begin_as, measure_normalisation, turn_towards
from voxface.training.voices.renderings import Renderings
from voxface.training.voices.sampler import VoiceBatch, VoiceSampler

Float32 = NDArray[np.float32]
ARCHITECTURE: Final[dict[str, Any]] = {
    "mels": FrontEndConfig().mels,
    "channels": (192, 320, 512, 768, 512),
    "blocks": 3,
    "normalisation": "level",
}
_YEARS: Final = 20.0  # of age, in which the age head errs by 1


@dataclass(frozen=True)
class TaughtVoiceEncoderConfig:
    """Hyper-parameters of the distillation.

    Attributes:
        run: settings that every training has.
        steps, batch: steps of AdamW, and crops per step, two of each voice.
        rate, weight_decay: highest learning rate, reached after a twentieth of the steps, and weight decay.
        crop: shortest and longest crop in frames. Shorter voices are repeated, as the runtime repeats them.
        degraded: probability that a crop is of a degraded rendering.
        similarity: weight of the squared difference between the cosines within a batch and the teacher's.
        contrast: weight of finding a crop's voice among the others of the batch by the other crop of it.
        sex, age: weights of the two labels, where they are known.
        validate_every: steps between validations.
    """

    run: RunConfig = field(default_factory=RunConfig)
    steps: int = 20_000
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.02
    crop: tuple[int, int] = (80, 240)
    degraded: float = 0.5
    similarity: float = 10.0
    contrast: float = 0.2
    sex: float = 0.2
    age: float = 0.1
    validate_every: int = 1000

    def __post_init__(self) -> None:
        if not 1 <= self.crop[0] <= self.crop[1]:
            raise UsageError(f"crop {self.crop}: shortest and longest crop in frames")
        if self.batch < 4 or self.batch % 2:
            raise UsageError(f"batch {self.batch}: two crops of each voice, so an even number, at least 4")
        if self.validate_every < 1:
            raise UsageError(f"validate_every is {self.validate_every}; at least 1")


PRESETS: Final = {"default": TaughtVoiceEncoderConfig()}


class TaughtEncoder(nn.Module):
    """Encoder, and heads for sex and age, as one module from a batch to its losses.

    An embedding that is wider than the teacher's vectors is to be zero beyond them.
    """

    components: Tensor

    def __init__(self, encoder: VoiceEncoder, components: Float32, embedding: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.labels = nn.Linear(embedding, 2)
        self.sharpness = nn.Parameter(torch.tensor(15.0))
        kept = torch.from_numpy(np.ascontiguousarray(components[:, :embedding]))
        self.register_buffer("components", F.pad(kept, (0, embedding - kept.shape[1])))

    def forward(self, log_mel: Tensor, target: Tensor, sex: Tensor, age: Tensor) -> dict[str, Tensor]:
        """Losses by name: direction, similarity, contrast, sex, age."""
        embedding = self.encoder(log_mel)[0].float()
        wanted = F.normalize(target @ self.components, dim=1)
        apart = ~torch.eye(len(embedding), dtype=torch.bool, device=embedding.device)
        difference = (embedding @ embedding.T - target @ target.T)[apart]
        one, other = embedding.chunk(2)
        scores = self.sharpness * one @ other.T
        number = torch.arange(len(one), device=one.device)
        found = self.labels(embedding * embedding.shape[1] ** 0.5)
        is_known, has_age = torch.isfinite(sex), torch.isfinite(age[:, 0])
        sex_loss = F.binary_cross_entropy_with_logits(found[:, 0], sex.nan_to_num(0.5), reduction="none")
        years = 30 + _YEARS * found[:, 1]
        beyond = F.relu(age[:, 0].nan_to_num(0) - years) + F.relu(years - age[:, 1].nan_to_num(1e3))
        return {
            "direction": (1 - (embedding * wanted).sum(1)).mean(),
            "similarity": difference.square().mean(),
            "contrast": (F.cross_entropy(scores, number) + F.cross_entropy(scores.T, number)) / 2,
            "sex": (sex_loss * is_known).sum() / is_known.sum().clamp(min=1),
            "age": ((beyond / _YEARS).square() * has_age).sum() / has_age.sum().clamp(min=1),
        }


def train_taught_voice_encoder(
    renderings: Renderings,
    config: TaughtVoiceEncoderConfig,
    folder: Path,
    *,
    start: VoiceEncoder | None = None,
    architecture: dict[str, Any] | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> VoiceEncoder:
    """Trains and returns the encoder, in eval mode; `folder` then holds `encoder.safetensors` and `checkpoint.json`.

    Args:
        start: encoder to begin as, of this architecture or with fewer residual blocks.
        architecture: keyword arguments of `VoiceEncoder`.

    Raises:
        InputError: see `VoiceSampler`.
        UsageError: a batch needs more voices than there are, or see `Run`.
        ProviderError: see `Run`.
    """
    architecture = architecture or ARCHITECTURE
    sampler = VoiceSampler(renderings, architecture.get("normalisation", "bands"))
    if config.batch > 2 * sampler.voices:
        raise UsageError(
            f"batch {config.batch}: two crops of each of {config.batch // 2} voices, and the data have {sampler.voices} "
            f"training voices, each speed counted; at most {2 * sampler.voices}"
        )
    data = {"renderings": renderings.digest}
    run = Run(folder, config, config.run, data=data, resume=resume, say=say, progress=progress)
    encoder = VoiceEncoder(**architecture)
    if start is not None:
        try:
            begin_as(encoder, start)
        except ValueError as error:
            raise UsageError(f"the encoder to start from does not fit {architecture}: {error}") from error
        rng = np.random.default_rng([config.run.seed, 301])
        some = [sampler.draw(config.batch // 2, config.crop[1], config.degraded, rng) for _ in range(16)]
        heard = [torch.from_numpy(batch.log_mel) for batch in some]
        size = int(encoder(heard[0][:2])[0].shape[1])
        wanted = (torch.from_numpy(_principal(batch.target @ sampler.components, size)) for batch in some)
        turn_towards(encoder, zip(heard, wanted, strict=True))
        measure_normalisation(encoder, heard)
    width = int(encoder(torch.zeros(2, architecture["mels"], 64))[0].shape[1])
    model = run.network("encoder", TaughtEncoder(encoder, sampler.components, width))
    optimiser = run.optimiser(
        # Fused, a step takes a quarter of the time: 13 of 200 ms less on two cores.
        "encoder",
        torch.optim.AdamW(model.parameters(), config.rate, weight_decay=config.weight_decay, fused=True),
    )
    weights = {"similarity": config.similarity, "contrast": config.contrast, "sex": config.sex, "age": config.age}
    count = run.share(config.batch, of=2) // 2
    model.train()

    def prepared(step: int) -> VoiceBatch:
        shared_rng = np.random.default_rng([config.run.seed, 300, step, 1])  # the same in all processes
        length = int(shared_rng.integers(config.crop[0], config.crop[1] + 1))
        return sampler.draw(count, length, config.degraded, run.random(step))

    for step, drawn in run.batches(config.steps, prepared):
        batch = VoiceBatch(*(run.tensor(part) for part in drawn))
        losses = model(*batch)
        loss = losses["direction"] + sum(weight * losses[name] for name, weight in weights.items())
        share = warmup_then_cosine(step, config.steps, max(1, config.steps // 20), start=0.04)
        set_learning_rate(optimiser, config.rate * share)
        run.descend(loss, optimiser, clip=5.0)
        found: dict[str, float] = {}
        if (step + 1) % config.validate_every == 0:
            found = verification(renderings, encoder, "validation", run.device)
            say(f"step {step + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
        run.log(
            step,
            {"loss": loss} | losses | {f"validation/{name}": value for name, value in found.items()},
            batch._asdict(),
        )
    encoder.eval()
    metrics: dict[str, Any] = {
        split: verification(renderings, encoder, split, run.device) for split in ("validation", "test")
    }
    metrics["trivial"] = {"eer": 0.5, "auc": 0.5}
    save_networks(
        folder,
        {"encoder": encoder},
        {"encoder": architecture},
        {"trained_on": renderings.provenance, "licence": "Apache-2.0", "metrics": metrics, "config": asdict(config)},
    )
    return encoder


def _principal(scores: Float32, size: int) -> Float32:
    """The first `size` of the scores [B, n]; zeros where there are fewer."""
    return np.pad(scores[:, :size], ((0, 0), (0, max(0, size - scores.shape[1]))))


def verification(
    renderings: Renderings,
    encoder: VoiceEncoder,
    split: Literal["train", "validation", "test"],
    device: torch.device,
    *,
    clean: bool = True,
) -> dict[str, float]:
    """Verification of the halves of all voices of a split; a speaker with several recordings has more than two.

    Returns:
        {"eer", "auc", and "eer NAME", "auc NAME" of each set of 20 voices or more}; {} of fewer than two speakers.
    """
    rows, speakers, sets = [], [], []
    training = encoder.training
    encoder.eval()
    for r in renderings.of(split, clean=clean):
        frames = renderings.frames[renderings.start[r] :][: renderings.length[r]].astype(np.float32)
        for half in np.array_split(frames, 2):
            with torch.no_grad():
                heard = network_input(half, 64, encoder.normalisation)
                # A copy, since what the network has put somewhere holds its surroundings in memory.
                rows.append(encoder(torch.from_numpy(heard).to(device))[0][0].float().cpu().numpy().copy())
            number = int(renderings.voice[r])
            speakers.append(int(renderings.speaker[number]))
            sets.append(renderings.about["voices"][number]["corpus"])
    encoder.train(training)
    if len(set(speakers)) < 2:
        return {}
    found = _rates("", np.stack(rows), speakers)
    for name in sorted(set(sets)):
        own = [k for k, of in enumerate(sets) if of == name]
        if len(own) >= 40 and len({speakers[k] for k in own}) > 1:
            found |= _rates(f" {name}", np.stack(rows)[own], [speakers[k] for k in own])
    return found


def _rates(suffix: str, rows: Float32, speakers: list[int]) -> dict[str, float]:
    return {f"{name}{suffix}": value for name, value in rates(rows, speakers, speakers, range(len(rows))).items()}
