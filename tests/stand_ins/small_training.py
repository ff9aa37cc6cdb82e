"""A training with all that can go wrong in going on with it, small enough for tests: two networks against each other, batch
normalisation, dropout, noise, a moving average, a penalty on gradients, two kinds of optimisers.

As a program, `python -m tests.stand_ins.small_training FOLDER`, with one process or several.
"""

import argparse
import copy
import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from tests.stand_ins.small_pairs import small_pairs
from tests.training.seeds import varied
from voxface.runtime.errors import VoxfaceError
from voxface.training.data import crops, images
from voxface.training.engine.processes import end_at_once
from voxface.training.engine.run import Run, RunConfig, bare

QUICK = RunConfig(seed=varied(), checkpoint_every=4, log_every=1, sample_every=10, accelerator="cpu")


@dataclass(frozen=True)
class SmallConfig:
    """Hyper-parameters."""

    steps: int = 12
    batch: int = 8
    rate: float = 1e-3
    people: int = 8
    run: RunConfig = field(default_factory=lambda: QUICK)


class Voice(nn.Module):
    """Log-mel [B, 64, T] to [B, 4]; batch normalisation counts its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(64, 6, 3, 2), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 4, 3, 2))

    def forward(self, voices: Tensor) -> Tensor:
        return functional.normalize(self.layers(voices).mean(2))


class Painter(nn.Module):
    """[B, 4] to a picture [B, 3, 8, 8]; its memory format is not the usual one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.ConvTranspose2d(4, 6, 4), nn.ReLU(), nn.ConvTranspose2d(6, 3, 4, 2, 1))
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, embeddings: Tensor) -> Tensor:
        return torch.tanh(self.layers(embeddings[:, :, None, None]))


class Critic(nn.Module):
    """A picture [B, 3, 8, 8] to [B, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Flatten())
        self.last = nn.Linear(54, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.last(self.layers(pictures))


def train(
    folder: Path,
    config: SmallConfig,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    meanwhile: Callable[[int], None] = lambda _: None,
    bad_step: int = -1,
) -> dict[str, nn.Module]:
    """Trains; `meanwhile(step)` is called in the middle of each step, and in `bad_step` there is a NaN in the first process's
    batch. Returns the networks, not wrapped."""
    pairs = small_pairs(config.people)
    learners = pairs.split("train")
    run = Run(folder, config, config.run, data=pairs.digest, resume=resume, say=say)
    voice, painter = run.network("voice", Voice()), run.network("painter", Painter())
    critic = run.network("critic", Critic())
    average = run.network("average", copy.deepcopy(bare(painter)), trained=False)
    makers = run.optimiser("makers", torch.optim.Adam([*voice.parameters(), *painter.parameters()], config.rate))
    judges = run.optimiser("judges", torch.optim.SGD(critic.parameters(), config.rate, momentum=0.9, nesterov=True))
    share = run.share(config.batch)
    for step in run.steps(config.steps):
        rng = run.random(step)
        people = rng.choice(learners, share)
        voices = run.tensor(crops.crops(pairs, crops.utterances_of(pairs, people, rng), 64, rng))
        if step == bad_step and run.leads:
            voices[0] = torch.nan
        real = functional.avg_pool2d(run.tensor(images.pictures_of(pairs, people, rng)), 8).requires_grad_()
        embeddings = voice(voices)
        fake = painter(embeddings + 0.1 * torch.randn_like(embeddings))

        opinions, doubts = critic(torch.cat([real, fake.detach()])).chunk(2)
        (slope,) = torch.autograd.grad(opinions.sum(), real, create_graph=True)
        judging = functional.softplus(-opinions).mean() + functional.softplus(doubts).mean()
        penalty = slope.square().sum((1, 2, 3)).mean()
        run.descend(judging + penalty, judges, clip=1.0)
        meanwhile(step)

        bare(critic).requires_grad_(False)
        making = functional.softplus(-bare(critic)(fake)).mean()
        run.descend(making, makers)
        bare(critic).requires_grad_(True)

        with torch.no_grad():
            for mean, now in zip(average.parameters(), painter.parameters(), strict=True):
                mean.lerp_(now, 0.1)
        run.log(step, {"judging": judging, "penalty": penalty, "making": making}, {"voices": voices, "people": people})
        if run.wants_sheet(step):
            with torch.no_grad():
                pictures = bare(average)(torch.eye(4))
            run.sheet(step, [list(((pictures.permute(0, 2, 3, 1).numpy() + 1) * 127).astype(np.uint8))])
    return {"voice": bare(voice), "painter": bare(painter), "critic": bare(critic), "average": average}


def train_line(folder: Path, config: SmallConfig) -> nn.Module:
    """A regression whose batches do not depend on how many processes share them."""
    run = Run(folder, config, config.run)
    network = run.network("line", nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2)))
    optimiser = run.optimiser("line", torch.optim.SGD(network.parameters(), 0.1, momentum=0.9))
    share, rank = run.share(config.batch), run.fabric.global_rank
    for step in run.steps(config.steps):
        x = np.random.default_rng(varied(step)).normal(size=(config.batch, 5)).astype(np.float32)
        own = run.tensor(x[rank * share : (rank + 1) * share])
        loss = (network(own) - own[:, :2].square()).square().mean()
        run.descend(loss, optimiser)
        run.log(step, {"loss": loss})
    return bare(network)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--bad-step", type=int, default=-1)
    parser.add_argument("--pause", type=float, default=0, help="seconds in the middle of each step")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--line", action="store_true", help="the regression instead")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = dataclasses.replace(QUICK, devices=options.devices)
    config = SmallConfig(options.steps, run=settings)
    try:
        if options.line:
            networks = {"line": train_line(options.folder, config)}
        else:
            networks = train(
                options.folder,
                config,
                resume=options.resume,
                say=lambda line: print(line, flush=True),
                meanwhile=lambda _: time.sleep(options.pause),
                bad_step=options.bad_step,
            )
    except VoxfaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    for name, network in networks.items():
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, options.folder / f"{name}.{rank}")
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    end_at_once(code)
    sys.exit(code)
