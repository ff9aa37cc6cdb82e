"""Trains the voice encoder to tell speakers apart (Wen 2019, §3.1; the Cross-Modal Perceptionist uses the same encoder).

Every person of the pairs is a class; a recording played faster or slower is another person, so few recordings make more
voices and the embedding stays sensitive to pitch and formants. Accuracy says little about people who are not among the
classes: the validation asks whether two recordings of such people are told to be of one speaker (EER, AUC).
"""

from collections.abc import Callable
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
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks
from voxface.training.evaluation.verification import auc, eer, trials
from voxface.training.losses.angular_margin import AngularMargin
from voxface.training.models import VoiceEncoder

Float32 = NDArray[np.float32]
UNSURE: Final = -100
_LONGEST_CROP: Final = 60_000  # frames, ten minutes
_MELS: Final = FrontEndConfig().mels


@dataclass(frozen=True)
class VoiceEncoderConfig:
    """All hyper-parameters.

    Attributes:
        run: what is the same for every training.
        steps, batch, rate, weight_decay: AdamW.
        schedule: "constant", or "one-cycle": up for the first fifth, then down along a cosine.
        crop: shortest and longest crop in frames.
        crops: "shared": one length a batch, each utterance from a place of its own. "published": a stretch of the longest
            length of each utterance, and of all of them the same part (facts of the published code).
        mask_bands, mask_width: up to so many bands of up to so many mel bins are set to their mean (SpecAugment).
        scale, margin: of the softmax over cosines; a margin above 0 is the additive angular margin.
        sex, cues: weights of further tasks beside the identity: the sex, of voices as they were recorded, and pitch and
            vocal-tract length as measured.
        beside: share of a batch that comes from the pairs beside, where there are any.
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
        if not 0 <= self.margin < np.pi / 2:
            raise UsageError(f"margin {self.margin}: radians, from 0 to below π/2")
        if not 0 <= self.beside < 1:
            raise UsageError(f"beside {self.beside}: a share of the batch, from 0 to below 1")


# Neither paper says how its encoder was trained but for the loss and the data; batch and rate are those of the GAN.
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
        mask_bands=0,
        sex=0.0,
        cues=0.0,
        validate_every=2_500,
    ),
}


class Voices(NamedTuple):
    """Voices and what is asked of them, as arrays or as tensors.

    Attributes:
        log_mel: network input float32 [B, mels, T].
        identity: int64 [B], whose.
        sex: int64 [B], 0 female, 1 male, `UNSURE`.
        cues: float32 [B, 2], log f0 and log tract length, standardised; NaN where not known.
    """

    log_mel: Any
    identity: Any
    sex: Any
    cues: Any


@dataclass(frozen=True)
class Choir:
    """The training people of some pairs that have a voice.

    Attributes:
        people: int32 [N], their indices.
        sexes: int64 [N].
        cues: float32 [N, 2], standardised over them: measured lengths of tracts and true ones have not the same mean.
    """

    pairs: Pairs
    people: NDArray[np.int32]
    sexes: NDArray[np.int64]
    cues: Float32

    @classmethod
    def of(cls, pairs: Pairs) -> Self:
        """Those of `pairs`."""
        people = np.array([i for i in pairs.split("train") if len(pairs.utterances[int(i)])], np.int32)
        sexes = np.where([pairs.people[int(i)].altered for i in people], UNSURE, pairs.sexes[people])
        return cls(pairs, people, sexes, _standardised(pairs.cues[people]))

    def draw(self, count: int, length: int, part: int, config: VoiceEncoderConfig, rng: np.random.Generator) -> Voices:
        """`count` people, anyone as often as another, and of each a crop of `length` frames.

        Args:
            part: where in the longest crop, if crops are the published ones.
        """
        identity = rng.integers(len(self.people), size=count)
        utterances = utterances_of(self.pairs, self.people[identity], rng)
        if config.crops == "published":
            longest = config.crop[1]
            pieces = [_stretch(self.pairs.utterance(int(u)), longest, rng)[part : part + length] for u in utterances]
        else:
            pieces = [crop(self.pairs.utterance(int(u)), length, rng) for u in utterances]
        log_mel = np.stack([_masked(piece, config.mask_bands, config.mask_width, rng).T for piece in pieces])
        return Voices(log_mel, identity, self.sexes[identity], self.cues[identity])


class Heads(nn.Module):
    """What the embedding is asked in training: whose voice, which sex, and how high and how long.

    Attributes:
        identity: of the training persons.
        sex: of the two sexes.
        cues: [B, E] -> standardised log f0 and log vocal-tract length [B, 2].
    """

    def __init__(self, identities: int, embedding: int, scale: float, margin: float) -> None:
        super().__init__()
        self.identity = AngularMargin(identities, embedding, scale, margin)
        self.sex = AngularMargin(2, embedding, scale, 0.0)
        self.cues = nn.Linear(embedding, 2)

    def forward(self, embedding: Tensor, identity: Tensor, sex: Tensor, cues: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three losses; sexes that are `UNSURE` and cues that are not known (NaN) count for nothing."""
        # A unit vector's numbers are small: the cues need not be learnt by a long weight.
        found = self.cues(embedding * embedding.shape[1] ** 0.5)
        known = torch.isfinite(cues)
        off = torch.where(known, found - torch.where(known, cues, torch.zeros_like(cues)), torch.zeros_like(cues))
        regression = off.square().sum() / known.sum().clamp(min=1)
        scores = self.sex.scale * self.sex.cosines(embedding)
        wrong = F.cross_entropy(scores, sex, ignore_index=UNSURE, reduction="sum")
        return self.identity(embedding, identity), wrong / (sex != UNSURE).sum().clamp(min=1), regression


class Telling(nn.Module):
    """Encoder and heads in one, so that a step is one forward pass: log-mel and labels to the three losses."""

    def __init__(self, encoder: VoiceEncoder, heads: Heads) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, heads

    def forward(self, log_mel: Tensor, identity: Tensor, sex: Tensor, cues: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Heads.forward`."""
        losses: tuple[Tensor, Tensor, Tensor] = self.heads(self.encoder(log_mel)[0], identity, sex, cues)
        return losses


def train_voice_encoder(
    pairs: Pairs,
    config: VoiceEncoderConfig,
    folder: Path,
    *,
    beside: Pairs | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> VoiceEncoder:
    """Trains and returns the encoder, in eval mode; `folder` then holds `encoder.safetensors` and what belongs to it.

    Args:
        beside: further people whose training voices are learnt too; nobody of them validates. Synthetic voices fill the
            gaps between few real ones.

    Raises:
        InputError: fewer than two people to tell apart.
        UsageError, ProviderError: see `Run`.
    """
    choirs = [Choir.of(p) for p in (pairs, beside) if p is not None]
    people = choirs[0].people
    if len(people) < 2:
        raise InputError("telling voices apart needs training utterances of two people; there are fewer in these pairs")
    data = {"pairs": pairs.digest} | ({"beside": beside.digest} if beside is not None else {})
    run = Run(folder, config, config.run, data=data, resume=resume, say=say, progress=progress)
    encoder = VoiceEncoder(mels=pairs.frames.shape[1])
    width = encoder(torch.zeros(2, pairs.frames.shape[1], 64))[0].shape[1]
    identities = sum(len(choir.people) for choir in choirs)
    telling = run.network("encoder", Telling(encoder, Heads(identities, width, config.scale, config.margin)))
    optimiser = run.optimiser(
        "encoder", torch.optim.AdamW(telling.parameters(), config.rate, weight_decay=config.weight_decay)
    )
    share = run.share(config.batch)
    guests = round(config.beside * share) if beside is not None else 0

    telling.train()
    for step in run.steps(config.steps):
        rng = run.random(step)
        alike = np.random.default_rng([config.run.seed, 300, step, 1])  # the same in all processes, unlike `rng`
        length = int(alike.integers(config.crop[0], config.crop[1] + 1))
        part = int(alike.integers(config.crop[1] - length + 1))
        drawn = [
            choir.draw(count, length, part, config, rng)
            for choir, count in zip(choirs, (share - guests, guests), strict=False)
            if count
        ]
        drawn[1:] = [voices._replace(identity=voices.identity + len(people)) for voices in drawn[1:]]
        voices = Voices(*(run.tensor(np.concatenate(parts)) for parts in zip(*drawn, strict=True)))
        whose, sex, size = telling(*voices)
        loss = whose + config.sex * sex + config.cues * size
        set_learning_rate(optimiser, config.rate * _share_of_rate(step, config))
        run.descend(loss, optimiser)
        found: dict[str, float] = {}
        if (step + 1) % config.validate_every == 0 and step + 1 < config.steps:
            found = verification(pairs, encoder, "validation", run.device)
        run.log(
            step,
            {"loss": loss, "identity": whose, "sex": sex, "cues": size}
            | {f"validation/{name}": value for name, value in found.items()},
            voices._asdict(),
        )
        if run.wants_sheet(step):
            run.sheet(step, [[_similarities(pairs, encoder, run.device)]])

    encoder.eval()
    metrics: dict[str, Any] = {"train": _told_apart(pairs, bare(telling), people, config, run)}
    for split in ("validation", "test"):
        metrics[split] = verification(pairs, encoder, split, run.device)
        metrics[split] |= sexes_told(pairs, bare(telling), split, run.device)
        say(f"{split}: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics[split].items()))
    metrics["trivial"] = {"eer": 0.5, "auc": 0.5, "sex": 0.5, "identity_top1": 1 / identities}
    save_networks(
        folder,
        {"encoder": encoder},
        {"encoder": {"mels": pairs.frames.shape[1]}},
        {
            "trained_on": [choir.pairs.told(choir.people) for choir in choirs],
            "licence": "Apache-2.0",
            "metrics": metrics,
            "config": asdict(config),
        },
    )
    return encoder


def verification(
    pairs: Pairs, encoder: nn.Module, split: Literal["train", "validation", "test"], device: torch.device
) -> dict[str, float]:
    """EER and AUC of "these are one speaker" among a split's clean recordings; empty where there are too few.

    Where a person has one recording, its halves stand for two.
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
    person, speaker, recording = zip(*labels, strict=True)
    same, different = trials(np.stack(rows), person, speaker, recording)
    if not len(same) or not len(different):
        return {}
    return {"eer": eer(same, different), "auc": auc(same, different)}


def sexes_told(
    pairs: Pairs, telling: nn.Module, split: Literal["train", "validation", "test"], device: torch.device
) -> dict[str, float]:
    """Share of a split's persons whose sex the head for it tells from their clean utterances (mean over them)."""
    assert isinstance(telling, Telling)
    right = []
    for i in pairs.split(split):
        own = [_embed(telling.encoder, pairs.utterance(int(u)), device) for u in pairs.clean_utterances[int(i)]]
        if own:
            with torch.no_grad():
                cosines = telling.heads.sex.cosines(torch.from_numpy(np.stack(own)).to(device))
            right.append(int(cosines.mean(0).argmax()) == pairs.sexes[int(i)])
    return {"sex": float(np.mean(right)), "people": float(len(right))} if right else {}


def _told_apart(
    pairs: Pairs, telling: nn.Module, people: NDArray[np.int32], config: VoiceEncoderConfig, run: Run
) -> dict[str, float]:
    """Share of new crops of recordings it has learnt from that the identity head gives to the right person."""
    assert isinstance(telling, Telling)
    rng = np.random.default_rng([config.run.seed, 13])
    identity = rng.integers(len(people), size=256)
    utterances = utterances_of(pairs, people[identity], rng)
    batch = np.stack([crop(pairs.utterance(int(u)), config.crop[1], rng).T for u in utterances])
    telling.eval()
    with torch.no_grad():
        cosines = telling.heads.identity.cosines(telling.encoder(run.tensor(batch))[0])
    return {"identity_top1": float((cosines.argmax(1).cpu().numpy() == identity).mean())}


def _stretch(frames: Float32, length: int, rng: np.random.Generator) -> Float32:
    """A random stretch of `length` frames of an utterance that is normalised as a whole; shorter ones are tiled."""
    normal: Float32 = (frames - frames.mean(0)) / (frames.std(0) + np.finfo(np.float32).eps)
    if len(normal) < length:
        normal = np.tile(normal, (-(-length // len(normal)), 1))
    start = int(rng.integers(len(normal) - length + 1))
    return normal[start : start + length]


def _masked(frames: Float32, bands: int, width: int, rng: np.random.Generator) -> Float32:
    """Normalised frames [T, mels] with up to `bands` bands of up to `width` bins set to their mean (SpecAugment)."""
    masked = frames.copy()
    for _ in range(bands):
        wide = int(rng.integers(min(width, frames.shape[1]) + 1))
        start = int(rng.integers(frames.shape[1] - wide + 1))
        masked[:, start : start + wide] = 0
    return masked


def _standardised(cues: Float32) -> Float32:
    """Logarithms of f0 and tract length [N, 2] in standard deviations; NaN where not known."""
    logs = np.log(np.where(cues > 0, cues, np.nan))
    known = logs[np.isfinite(logs).all(1)]
    if len(known) < 2:
        return np.full_like(cues, np.nan)
    normal: Float32 = ((logs - known.mean(0)) / (known.std(0) + 1e-6)).astype(np.float32)
    return normal


def _share_of_rate(step: int, config: VoiceEncoderConfig) -> float:
    if config.schedule == "constant":
        return 1.0
    return warmup_then_cosine(step, config.steps, max(1, config.steps // 5), start=0.04)


def _embed(encoder: nn.Module, frames: Float32, device: torch.device) -> Float32:
    """The embedding float32 [E] of a whole utterance, as the runtime computes it."""
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        embedding = encoder(torch.from_numpy(network_input(frames)).to(device))[0][0]
    encoder.train(training)
    row: Float32 = embedding.float().cpu().numpy()
    return row


def _similarities(pairs: Pairs, encoder: nn.Module, device: torch.device, most: int = 24) -> NDArray[np.uint8]:
    """Cosines between halves of clean utterances of people of the validation (of the training where there are none), as a
    picture: light is like; its diagonal is the same speaker."""
    people = pairs.split("validation") if len(pairs.split("validation")) else pairs.split("train")
    people = np.array([i for i in people if len(pairs.clean_utterances[int(i)])][:most])
    halves = [np.array_split(pairs.utterance(int(pairs.clean_utterances[int(i)][0])), 2) for i in people]
    one, other = (np.stack([_embed(encoder, pair[k], device) for pair in halves]) for k in (0, 1))
    grey = np.rint(np.clip((one @ other.T + 1) / 2, 0, 1) * 255).astype(np.uint8)
    return np.repeat(np.repeat(grey, 8, 0), 8, 1)[:, :, None].repeat(3, 2)
