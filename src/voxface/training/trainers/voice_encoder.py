"""Trains the voice encoder to identify speakers (Wen 2019, §3.1; Wu 2022 uses the same encoder).

Every person of the pairs is a class. A recording played faster or slower counts as another person, which makes more voices out
of few recordings and keeps the embedding sensitive to pitch and formants. Accuracy on the classes says little about other
people, so validation is speaker verification on people who are not among the classes: EER and AUC of "are these two
recordings of one speaker?".
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.features.normalisation import network_input
from voxface.training.data.crops import crop, utterances_of
from voxface.training.data.pairs import Pairs
from voxface.training.engine.learning_rate import set_learning_rate, warmup_then_cosine
from voxface.training.engine.phases import Progress, no_progress
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks
from voxface.training.evaluation.measures.verification import rates
from voxface.training.losses.angular_margin import AngularMargin
from voxface.training.losses.softmax import Softmax
from voxface.training.models import VoiceEncoder

Float32 = NDArray[np.float32]
ClassifierKind = Literal["cosine", "softmax"]
UNSURE: Final = -100
_LONGEST_CROP: Final = 60_000  # frames, ten minutes
_MELS: Final = FrontEndConfig().mels


@dataclass(frozen=True)
class VoiceEncoderConfig:
    """Hyper-parameters of the training.

    Attributes:
        run: settings that every training has.
        steps, batch: steps of AdamW and voices per step.
        rate, weight_decay: learning rate and weight decay of AdamW.
        schedule: "constant", or "one-cycle": the rate rises for the first fifth of the steps, then falls along a cosine.
        crop: shortest and longest crop in frames.
        crops: "shared": one length per batch, and for each utterance a random start. "published": as in the authors'
            published code, a crop of the longest length from each utterance, and the same part of all of them.
        mask_bands, mask_width: largest number of mel bands that are set to their mean, and their largest width in bins
            (SpecAugment, Park et al. 2019, §2).
        classifier: "cosine": a softmax over cosines to learnt directions; "softmax": a linear layer with bias on the embedding
            before it gets unit length, and the plain cross-entropy of the papers.
        scale, margin: scale of the softmax over cosines, and its additive angular margin in radians (0: none).
        sex, cues: loss weights of two further tasks: the sex, of voices at their own speed, and pitch and vocal-tract length
            as measured.
        beside: share of a batch that comes from the additional pairs `beside`, where there are any.
        validate_every: steps between validations.
    """

    run: RunConfig = field(default_factory=RunConfig)
    steps: int = 1200
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.01
    schedule: Literal["constant", "one-cycle"] = "one-cycle"
    crop: tuple[int, int] = (200, 500)
    crops: Literal["shared", "published"] = "shared"
    mask_bands: int = 2
    mask_width: int = 8
    classifier: ClassifierKind = "cosine"
    scale: float = 20.0
    margin: float = 0.0
    sex: float = 1.0
    cues: float = 1.0
    beside: float = 0.25
    validate_every: int = 400

    def __post_init__(self) -> None:
        if not 1 <= self.crop[0] <= self.crop[1]:
            raise UsageError(f"crop {self.crop}: shortest and longest crop in frames")
        if self.crop[1] > _LONGEST_CROP:
            raise UsageError(f"crop {self.crop}: {_LONGEST_CROP} frames at most")
        if self.rate <= 0 or self.weight_decay < 0:
            raise UsageError(f"rate {self.rate}, weight_decay {self.weight_decay}: above 0, and not negative")
        if self.mask_bands < 0 or not 0 <= self.mask_width <= _MELS:
            raise UsageError(
                f"mask_bands {self.mask_bands}, mask_width {self.mask_width}: not negative, {_MELS} wide at most"
            )
        if self.validate_every < 1:
            raise UsageError(f"validate_every is {self.validate_every}; at least 1")
        if self.classifier == "softmax" and self.margin:
            raise UsageError(f"margin {self.margin}: goes with a softmax over cosines")
        if not 0 <= self.margin < np.pi / 2:
            raise UsageError(f"margin {self.margin}: radians, from 0 to below π/2")
        if not 0 <= self.beside < 1:
            raise UsageError(f"beside {self.beside}: a share of the batch, from 0 to below 1")


# Of its encoder's training each paper gives only loss and data; batch and rate here are those of the GAN.
PRESETS: Final = {
    "default": VoiceEncoderConfig(),
    "wen2019": VoiceEncoderConfig(
        steps=50_000,
        batch=128,
        rate=2e-4,
        weight_decay=0.0,
        schedule="constant",
        crop=(300, 800),
        crops="published",
        classifier="softmax",
        mask_bands=0,
        sex=0.0,
        cues=0.0,
        validate_every=2_500,
    ),
}


class VoiceBatch(NamedTuple):
    """A batch of voices with their labels, as arrays or as tensors.

    Attributes:
        log_mel: network input float32 [B, mels, T].
        identity: int64 [B], the class of the speaker.
        sex: int64 [B], 0 female, 1 male, or `UNSURE`.
        cues: float32 [B, 2], log f0 and log tract length, standardised; NaN where not known.
    """

    log_mel: Any
    identity: Any
    sex: Any
    cues: Any


@dataclass(frozen=True)
class TrainingSpeakers:
    """People of the training split of some pairs who have utterances.

    Attributes:
        pairs: the pairs.
        people: int32 [N], indices of these people in the pairs.
        sexes: int64 [N], 0 female, 1 male, or `UNSURE`.
        cues: float32 [N, 2], log f0 and log vocal-tract length, standardised over these people, because measured and true
            tract lengths have different means.
    """

    pairs: Pairs
    people: NDArray[np.int32]
    sexes: NDArray[np.int64]
    cues: Float32

    @classmethod
    def from_pairs(cls, pairs: Pairs) -> Self:
        """The training speakers of `pairs`."""
        people = np.array([i for i in pairs.split("train") if len(pairs.utterances[int(i)])], np.int32)
        sexes = np.where([pairs.people[int(i)].altered for i in people], UNSURE, pairs.sexes[people])
        return cls(pairs, people, sexes, _standardised(pairs.cues[people]))

    def draw(
        self, count: int, length: int, part: int, config: VoiceEncoderConfig, rng: np.random.Generator
    ) -> VoiceBatch:
        """Draws `count` people uniformly, and from each a crop of `length` frames.

        Args:
            part: start of the crop within the crop of the longest length; used with `config.crops == "published"` only.
        """
        identity = rng.integers(len(self.people), size=count)
        utterances = utterances_of(self.pairs, self.people[identity], rng)
        if config.crops == "published":
            longest = config.crop[1]
            pieces = [
                crop(self.pairs.utterance(int(u)), longest, rng, over="utterance")[part : part + length]
                for u in utterances
            ]
        else:
            pieces = [crop(self.pairs.utterance(int(u)), length, rng) for u in utterances]
        log_mel = np.stack([_masked(piece, config.mask_bands, config.mask_width, rng).T for piece in pieces])
        return VoiceBatch(log_mel, identity, self.sexes[identity], self.cues[identity])


class TrainingHeads(nn.Module):
    """Heads on the embedding, as long as it is before it gets unit length, that only the training needs.

    Attributes:
        identity: classifier of the training people.
        sex: classifier of the sexes.
        cues: regression [B, E] -> standardised log f0 and log vocal-tract length [B, 2].
    """

    def __init__(
        self, identities: int, embedding: int, scale: float, margin: float, classifier: ClassifierKind = "cosine"
    ) -> None:
        super().__init__()
        self.identity: AngularMargin | Softmax = (
            Softmax(identities, embedding)
            if classifier == "softmax"
            else AngularMargin(identities, embedding, scale, margin)
        )
        self.sex = AngularMargin(2, embedding, scale, 0.0)
        self.cues = nn.Linear(embedding, 2)

    def forward(self, embedding: Tensor, identity: Tensor, sex: Tensor, cues: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of identity, sex and cues; sexes that are `UNSURE` and unknown cues (NaN) are left out."""
        # The numbers of a unit vector are about 1/√E; scaled to about 1, they need no large weights.
        found = self.cues(F.normalize(embedding, dim=1) * embedding.shape[1] ** 0.5)
        known = torch.isfinite(cues)
        off = torch.where(known, found - torch.where(known, cues, torch.zeros_like(cues)), torch.zeros_like(cues))
        regression = off.square().sum() / known.sum().clamp(min=1)
        wrong = F.cross_entropy(self.sex.scores(embedding), sex, ignore_index=UNSURE, reduction="sum")
        return self.identity(embedding, identity), wrong / (sex != UNSURE).sum().clamp(min=1), regression


class EncoderWithHeads(nn.Module):
    """Encoder and heads as one module, so that a step is one forward pass from log-mel and labels to the three losses."""

    def __init__(self, encoder: VoiceEncoder, heads: TrainingHeads) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, heads

    def forward(self, log_mel: Tensor, identity: Tensor, sex: Tensor, cues: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the losses of `TrainingHeads.forward`."""
        losses: tuple[Tensor, Tensor, Tensor] = self.heads(self.encoder(log_mel)[1].mean(2), identity, sex, cues)
        return losses


def train_voice_encoder(
    pairs: Pairs,
    config: VoiceEncoderConfig,
    folder: Path,
    *,
    beside: Pairs | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> VoiceEncoder:
    """Trains and returns the encoder, in eval mode; `folder` then holds `encoder.safetensors` and `checkpoint.json`.

    Args:
        beside: additional pairs whose training voices are learnt too, but on whom nothing is validated: synthetic voices fill
            the gaps between few real ones.

    Raises:
        InputError: fewer than two people to tell apart.
        UsageError, ProviderError: see `Run`.
    """
    sources = [TrainingSpeakers.from_pairs(p) for p in (pairs, beside) if p is not None]
    people = sources[0].people
    if len(people) < 2:
        raise InputError("telling voices apart needs training utterances of two people; there are fewer in these pairs")
    data = {"pairs": pairs.digest} | ({"beside": beside.digest} if beside is not None else {})
    run = Run(folder, config, config.run, data=data, resume=resume, say=say, progress=progress)
    encoder = VoiceEncoder(mels=pairs.frames.shape[1])
    width = encoder(torch.zeros(2, pairs.frames.shape[1], 64))[0].shape[1]
    identities = sum(len(source.people) for source in sources)
    model = run.network(
        "encoder",
        EncoderWithHeads(encoder, TrainingHeads(identities, width, config.scale, config.margin, config.classifier)),
    )
    optimiser = run.optimiser(
        "encoder", torch.optim.AdamW(model.parameters(), config.rate, weight_decay=config.weight_decay)
    )
    share = run.share(config.batch)
    additional = round(config.beside * share) if beside is not None else 0

    model.train()

    def prepared(step: int) -> list[VoiceBatch]:
        rng = run.random(step)
        shared_rng = np.random.default_rng([config.run.seed, 300, step, 1])  # the same in all processes, unlike `rng`
        length = int(shared_rng.integers(config.crop[0], config.crop[1] + 1))
        part = int(shared_rng.integers(config.crop[1] - length + 1))
        drawn = [
            source.draw(count, length, part, config, rng)
            for source, count in zip(sources, (share - additional, additional), strict=False)
            if count
        ]
        return [drawn[0], *(voices._replace(identity=voices.identity + len(people)) for voices in drawn[1:])]

    for step, drawn in run.batches(config.steps, prepared):
        voices = VoiceBatch(*(run.tensor(np.concatenate(parts)) for parts in zip(*drawn, strict=True)))
        identity_loss, sex_loss, cue_loss = model(*voices)
        loss = identity_loss + config.sex * sex_loss + config.cues * cue_loss
        set_learning_rate(optimiser, config.rate * _share_of_rate(step, config))
        run.descend(loss, optimiser)
        found: dict[str, float] = {}
        if (step + 1) % config.validate_every == 0 and step + 1 < config.steps:
            found = verification(pairs, encoder, "validation", run.device)
        run.log(
            step,
            {"loss": loss, "identity": identity_loss, "sex": sex_loss, "cues": cue_loss}
            | {f"validation/{name}": value for name, value in found.items()},
            voices._asdict(),
        )
        if run.wants_sheet(step):
            run.sheet(step, [[_similarities(pairs, encoder, run.device)]])

    encoder.eval()
    metrics: dict[str, Any] = {"train": _identification_accuracy(pairs, bare(model), people, config, run)}
    for split in ("validation", "test"):
        metrics[split] = verification(pairs, encoder, split, run.device)
        metrics[split] |= sex_accuracy(pairs, bare(model), split, run.device)
        say(told_of(split, metrics[split]))
    metrics["trivial"] = {"eer": 0.5, "auc": 0.5, "sex": 0.5, "identity_top1": 1 / identities}
    save_networks(
        folder,
        {"encoder": encoder},
        {"encoder": {"mels": pairs.frames.shape[1]}},
        {
            "trained_on": [source.pairs.provenance(source.people) for source in sources],
            "licence": "Apache-2.0",
            "metrics": metrics,
            "config": asdict(config),
        },
    )
    return encoder


def verification(
    pairs: Pairs, encoder: nn.Module, split: Literal["train", "validation", "test"], device: torch.device
) -> dict[str, float]:
    """Speaker verification on a split's clean recordings: {"eer", "auc"}, or {} where there are too few recordings.

    Where a person has one recording only, its two halves count as two recordings.
    """
    rows: list[Float32] = []
    labels: list[tuple[int, str, str]] = []
    for i in pairs.split(split):
        own = pairs.clean_utterances[int(i)]
        for u in own:
            frames = pairs.utterance(int(u))
            parts = [frames] if len(own) > 1 else np.array_split(frames, 2)
            for k, part in enumerate(parts):
                if len(part):
                    rows.append(_embed(encoder, part, device))
                    labels.append((int(i), pairs.people[int(i)].speaker, f"{pairs.utterance_recording[u]}.{k}"))
    if not rows:
        return {}
    return rates(np.stack(rows), *zip(*labels, strict=True))


def sex_accuracy(
    pairs: Pairs, model: nn.Module, split: Literal["train", "validation", "test"], device: torch.device
) -> dict[str, float]:
    """Accuracy of the sex head on a split: {"sex": share of people, "people": how many}, or {} without clean utterances.

    A person's sex is the one with the greater cosine, averaged over the person's clean utterances.
    """
    assert isinstance(model, EncoderWithHeads)
    right = []
    for i in pairs.split(split):
        own = [_embed(model.encoder, pairs.utterance(int(u)), device) for u in pairs.clean_utterances[int(i)]]
        if own:
            with torch.no_grad():
                cosines = model.heads.sex.cosines(torch.from_numpy(np.stack(own)).to(device))
            right.append(int(cosines.mean(0).argmax()) == pairs.sexes[int(i)])
    return {"sex": float(np.mean(right)), "people": float(len(right))} if right else {}


def _identification_accuracy(
    pairs: Pairs, model: nn.Module, people: NDArray[np.int32], config: VoiceEncoderConfig, run: Run
) -> dict[str, float]:
    """Accuracy of the identity head on new crops of the recordings that were learnt from: {"identity_top1": share}."""
    assert isinstance(model, EncoderWithHeads)
    rng = np.random.default_rng([config.run.seed, 13])
    identity = rng.integers(len(people), size=256)
    utterances = utterances_of(pairs, people[identity], rng)
    batch = np.stack([crop(pairs.utterance(int(u)), config.crop[1], rng).T for u in utterances])
    model.eval()
    with torch.no_grad():
        scores = model.heads.identity.scores(model.encoder(run.tensor(batch))[1].mean(2))
    return {"identity_top1": float((scores.argmax(1).cpu().numpy() == identity).mean())}


def _masked(frames: Float32, bands: int, width: int, rng: np.random.Generator) -> Float32:
    """Frequency masking (SpecAugment): normalised frames [T, mels] with up to `bands` bands of up to `width` bins set to 0,
    which is their mean."""
    masked = frames.copy()
    for _ in range(bands):
        wide = int(rng.integers(min(width, frames.shape[1]) + 1))
        start = int(rng.integers(frames.shape[1] - wide + 1))
        masked[:, start : start + wide] = 0
    return masked


def _standardised(cues: Float32) -> Float32:
    """Logarithms of f0 and tract length [N, 2], standardised; NaN where they are not known."""
    logs = np.log(np.where(cues > 0, cues, np.nan))
    known = logs[np.isfinite(logs).all(1)]
    if len(known) < 2:
        return np.full_like(cues, np.nan)
    normal: Float32 = ((logs - known.mean(0)) / (known.std(0) + 1e-6)).astype(np.float32)
    return normal


def _share_of_rate(step: int, config: VoiceEncoderConfig) -> float:
    """Share of the full learning rate at a step."""
    if config.schedule == "constant":
        return 1.0
    return warmup_then_cosine(step, config.steps, max(1, config.steps // 5), start=0.04)


def _embed(encoder: nn.Module, frames: Float32, device: torch.device) -> Float32:
    """Embedding float32 [E] of a whole utterance, as the runtime computes it."""
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        embedding = encoder(torch.from_numpy(network_input(frames)).to(device))[0][0]
    encoder.train(training)
    row: Float32 = embedding.float().cpu().numpy().copy()  # else it holds its surroundings in memory
    return row


def _similarities(pairs: Pairs, encoder: nn.Module, device: torch.device, most: int = 24) -> NDArray[np.uint8]:
    """Picture of the cosines between first and second halves of clean utterances; white is 1, black −1.

    Row i and column j are people of the validation split (of the training split where that is empty); on the diagonal both
    halves are of one speaker.
    """
    people = pairs.split("validation") if len(pairs.split("validation")) else pairs.split("train")
    people = np.array([i for i in people if len(pairs.clean_utterances[int(i)])][:most])
    halves = [np.array_split(pairs.utterance(int(pairs.clean_utterances[int(i)][0])), 2) for i in people]
    one, other = (np.stack([_embed(encoder, pair[k], device) for pair in halves]) for k in (0, 1))
    grey = np.rint(np.clip((one @ other.T + 1) / 2, 0, 1) * 255).astype(np.uint8)
    return np.repeat(np.repeat(grey, 8, 0), 8, 1)[:, :, None].repeat(3, 2)


def told_of(split: str, found: Mapping[str, float]) -> str:
    """One line of what was measured on a split; a few people of one's own may leave nobody to measure on."""
    return f"{split}: " + (", ".join(f"{name} {value:.4g}" for name, value in found.items()) or "nobody to measure on")
