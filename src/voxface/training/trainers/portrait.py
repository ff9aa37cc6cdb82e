"""Trains a face generator to draw the mesh of the same voice in one neutral light and colouring, without an adversary.

A voice tells nothing of skin, hair or light, so a generator trained on people's pictures has to make them up for every voice.
This generator draws what the mesh regressor says and no more: its target is a smooth function of the embedding, and the L1
loss keeps it sharp. It is the default bundle's generator; `face_gan` trains the one of Wen 2019.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.install_advice import how_to_install
from voxface.training.data.embeddings import PrecomputedEmbeddings
from voxface.training.data.images import as_images, as_pictures
from voxface.training.data.kept_arrays import digest_of, read_kept, write_kept
from voxface.training.data.pairs import Pairs
from voxface.training.data.parallel_map import parallel_map
from voxface.training.engine.learning_rate import set_learning_rate, warmup_then_cosine
from voxface.training.engine.phases import Done, Progress, no_progress
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks, weights_digest
from voxface.training.models import FaceGenerator
from voxface.training.models.face_generator import Kernel, check_size
from voxface.training.models.frozen import Frozen

_RENDERS: Final = "portraits.npz"
# By the size of the picture. With 128 px three layers are a quarter narrower, so that an update takes as long as with 64
# (benchmarks.picture_size). With 128, 64 and 24 channels instead, the error after 1000 steps on 604 faces was 2 % smaller.
CHANNELS: Final = {64: (256, 192, 128, 64, 32), 128: (256, 192, 96, 48, 24)}


@dataclass(frozen=True)
class PortraitConfig:
    """Hyper-parameters of the training.

    Attributes:
        run: settings that every training has.
        steps, batch, betas: steps of Adam, portraits per step, and betas.
        rate: full learning rate; it rises for the first tenth of the steps and falls along a cosine.
        portraits: rendered faces to learn from.
        mixed: further portraits, as a share of `portraits`, of voices half-way between two, which need a picture too.
        size: height and width of the picture, px.
        channels, kernel: of the `FaceGenerator`; None: `CHANNELS` of this size. The published (1024, 512, 256, 128, 64) make
            49 MB.
        crop: shortest and longest crop of an utterance, in frames.
        workers: processes that render; the result does not depend on it.
    """

    run: RunConfig = field(default_factory=RunConfig)
    steps: int = 1500
    batch: int = 24
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    portraits: int = 1200
    mixed: float = 0.33
    size: int = 128
    channels: tuple[int, ...] | None = None
    kernel: Kernel = "k4"
    crop: tuple[int, int] = (200, 800)
    workers: int = 1

    def __post_init__(self) -> None:
        if self.portraits < 2 or self.mixed < 0:
            raise UsageError(f"{self.portraits} portraits and {self.mixed} mixed: at least 2, and not negative")
        if self.channels is None and self.size not in CHANNELS:
            raise UsageError(
                f"size {self.size}: channels are known for {' and '.join(map(str, CHANNELS))} px; give them too"
            )
        if self.channels is not None and min(self.channels, default=0) < 1:
            raise UsageError(f"channels {self.channels}: one width or more, each of at least 1")
        try:
            check_size(self.widths, self.size)
        except ValueError as error:
            raise UsageError(str(error)) from None

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels that were given, or those of this size."""
        return CHANNELS[self.size] if self.channels is None else self.channels


PRESETS: Final = {"default": PortraitConfig()}


def train_portrait(
    pairs: Pairs,
    encoder: nn.Module,
    mesh: nn.Module,
    config: PortraitConfig,
    folder: Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> FaceGenerator:
    """Trains and returns the generator, in eval mode; `folder` then holds `face.safetensors` and `checkpoint.json`.

    Args:
        encoder: a trained `VoiceEncoder`; it is frozen.
        mesh: embedding [B, E] -> coefficients [B, P], trained on the same encoder; it is frozen.

    Raises:
        ProviderError: Open3D, which renders the targets, is not installed.
        UsageError, InputError: see `Run`.
    """
    data = {"pairs": pairs.digest, "encoder": weights_digest(encoder), "mesh": weights_digest(mesh)}
    run = Run(folder, config, config.run, data=data, resume=resume, say=say, progress=progress)
    frozen_encoder, frozen_mesh = Frozen(encoder).to(run.device), Frozen(mesh).to(run.device)
    embeddings = _embeddings(pairs, frozen_encoder, config, run.device, run.phase("encoding voices"))
    with torch.no_grad():
        coefficients = frozen_mesh(torch.from_numpy(embeddings).to(run.device)).float().cpu().numpy()
    pictures = _rendered(folder / _RENDERS, pairs.morphable, coefficients, config, say, run.leads, run.phase("renders"))
    voices = run.tensor(embeddings)
    shown = run.tensor(pictures)  # kept as bytes and made images of as they are needed, which take four times as much

    architecture: dict[str, Any] = {
        "embedding": embeddings.shape[1],
        "channels": config.widths,
        "kernel": config.kernel,
        "size": config.size,
    }
    generator = FaceGenerator(**architecture)
    generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    last = generator.model[-1]
    assert isinstance(last, nn.ConvTranspose2d)
    assert last.bias is not None
    with torch.no_grad():  # training starts from the mean picture's colour, not from grey
        last.bias.copy_(as_images(shown).mean((0, 2, 3)))
    network = run.network("face", generator)
    optimiser = run.optimiser("face", torch.optim.Adam(network.parameters(), config.rate, betas=config.betas))
    share = run.share(config.batch)
    # Every tenth portrait is not learnt from: it shows whether the generator generalises.
    kept, learnt = np.arange(0, len(voices), 10), np.flatnonzero(np.arange(len(voices)) % 10)

    network.train()
    for step in run.steps(config.steps):
        picked = torch.from_numpy(run.random(step).choice(learnt, share)).to(run.device)
        loss = F.l1_loss(network(voices[picked]), as_images(shown[picked]))
        set_learning_rate(optimiser, config.rate * warmup_then_cosine(step, config.steps, max(1, config.steps // 10)))
        run.descend(loss, optimiser)
        run.log(step, {"l1": loss}, {"embeddings": voices[picked]})
        if run.wants_sheet(step):
            some = kept[:: max(1, len(kept) // 8)][:8]
            with torch.no_grad():
                made = as_pictures(bare(network)(voices[some]))
            run.sheet(step, [list(pictures[some]), list(made)])

    with torch.no_grad():
        found = torch.cat([bare(network)(voices[part]) for part in np.array_split(kept, max(1, len(kept) // 64))])
        right, mean_picture = as_images(shown[kept]), as_images(shown[learnt]).mean(0, keepdim=True)
    wrong = float(F.l1_loss(found.clamp(-1, 1), right))
    mean = float(F.l1_loss(mean_picture.expand_as(right), right))
    say(f"kept back: L1 {wrong:.4f} (the mean picture: {mean:.4f})")
    save_networks(
        folder,
        {"face": generator},
        {"face": architecture},
        {
            "trained_on": [f"{len(pictures)} renders of {pairs.morphable.name} {pairs.morphable.version}"],
            "licence": pairs.morphable.licence,
            "metrics": {"portrait": {"l1": wrong, "trivial": {"mean_picture_l1": mean}}},
            "config": asdict(config),
        },
        encoder=frozen_encoder,
    )
    return generator.eval()


def _embeddings(
    pairs: Pairs, encoder: Frozen, config: PortraitConfig, device: torch.device, done: Done
) -> NDArray[np.float32]:
    """Embeddings float32 [portraits · (1 + mixed), E]: of crops of the training people's voices, then of mixtures of two."""
    rng = np.random.default_rng([config.run.seed, 5])
    precomputed = PrecomputedEmbeddings.from_pairs(
        pairs, encoder, pairs.split("train"), each=1, length=config.crop, seed=config.run.seed, device=device, done=done
    )
    voices = precomputed.embeddings[rng.permutation(len(precomputed.embeddings))[: config.portraits]]
    count = round(config.mixed * len(voices))
    mixed = voices[rng.integers(len(voices), size=count)] + voices[rng.integers(len(voices), size=count)]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    return np.concatenate([voices, mixed]).astype(np.float32)


def _rendered(
    file: Path,
    model: MorphableModel,
    coefficients: NDArray[np.float32],
    config: PortraitConfig,
    say: Callable[[str], None],
    leads: bool,
    done: Done,
) -> NDArray[np.uint8]:
    """Renders uint8 [K, S, S, 3] of coefficients float32 [K, P]; `file` keeps them for a resumed run."""
    looks = {name: getattr(model, name) for name in ("mean", "basis", "triangles", "albedo", "parts")}
    key = digest_of({**looks, "coefficients": coefficients, "size": np.array(config.size)})
    kept = read_kept(file, key, ("coefficients", "pictures"), say)
    if kept is not None and np.array_equal(kept["coefficients"], coefficients):
        return np.asarray(kept["pictures"], np.uint8)
    try:
        from voxface.training.faces.render import ambient_visibility

        occlusion = ambient_visibility(model.mean, model.triangles)
    except (ImportError, OSError) as error:
        raise ProviderError(f"portraits need Open3D ({error}); {how_to_install('viewer')}") from error
    task = (model, occlusion, config.size)
    rows = []
    for row in parallel_map(_portrait, task, list(coefficients), config.workers):
        rows.append(row)
        done(len(rows), len(coefficients))
    pictures = np.stack(rows)
    say(f"{len(pictures)} portraits rendered")
    if leads:
        write_kept(file, key, {"coefficients": coefficients, "pictures": pictures}, compressed=True)
    return pictures


def _portrait(
    shared: tuple[MorphableModel, NDArray[np.float32], int], coefficients: NDArray[np.float32]
) -> NDArray[np.uint8]:
    from voxface.training.faces.render import render

    model, occlusion, size = shared
    vertices = model.vertices(coefficients)
    return render(vertices, model.triangles, model.albedo, size=size, parts=model.parts, occlusion=occlusion)
