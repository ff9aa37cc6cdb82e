"""Trains the mesh regressor, voice -> coefficients, on a frozen voice encoder (Wu 2022, §3.2 and Fig. 2, supervised branch)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxface.runtime.bundle.face_posterior_file import write_face_posterior
from voxface.runtime.errors import InputError, UsageError
from voxface.training.data.crops import Normalised
from voxface.training.data.fits import DrawnFits
from voxface.training.data.pairs import Pairs
from voxface.training.engine.best_state import BestState
from voxface.training.engine.learning_rate import cosine, set_learning_rate
from voxface.training.engine.phases import Progress, no_progress
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks, weights_digest
from voxface.training.evaluation.geometry.held_out import HeldOut, held_out_metrics
from voxface.training.evaluation.measures.sex_probability import sex_slope_report
from voxface.training.losses.coefficients import coefficient_loss
from voxface.training.losses.triplet import triplet_loss
from voxface.training.models import MeshRegressor
from voxface.training.models.frozen import Frozen
from voxface.training.models.voice_encoder import perturb
from voxface.training.trainers.face_posterior import coverage, fit_face_posterior
from voxface.training.trainers.mesh_shrinkage import has_both_sexes, shrink
from voxface.training.trainers.triplets import Anchors, PreparedTriplets, VoiceTriplets


@dataclass(frozen=True)
class MeshConfig:
    """Hyper-parameters of the training.

    Attributes:
        run: settings that every training has.
        steps, batch: steps, and anchors per step.
        rate, betas, weight_decay: of AdamW, which is Adam where `weight_decay` is 0.
        schedule: "constant", or "cosine": the learning rate falls to zero along half a cosine.
        hidden: width of the hidden layer; 0 is the paper's linear map.
        dropout: probability of dropout before the last layer.
        regression, triplet: weights of Eq. 2 and Eq. 3.
        margin: of the triplet loss.
        target: "drawn": the person's own face (the paper's ground truth). "expected": the mean face of all people with such
            a voice, where the world knows it. An L2 loss is smallest at the conditional mean of its target, so both targets
            have the same minimiser; "expected" only removes the variance that a finite number of drawn faces adds.
        fits: where a person has several faces, each fitted to a picture. "reference": the target is the person's reference.
            "drawn": one of them is drawn at each step, expression included (Wu 2022, §3.2: each picture has a face that is
            learnt from; §4: one reference for each person is for measuring). Without effect on "expected" targets.
        altered: whether voices at other speeds are learnt from too. Their sex is uncertain, and meshes that learn from them
            agree less often with the speaker's sex.
        noise: standard deviation of the noise on the embedding, see `perturb`; 0.05 in Wen 2019, none in Wu 2022.
        bank: crops of every utterance that are encoded once, before the training; 0: new crops at every step.
        crop: shortest and longest crop in frames.
        over: what is normalised, see `data.crops.crop`.
        anchors: what the anchors are drawn from, see `VoiceTriplets.draw`.
        validate_every: steps between validations.
        keep: which state is returned: the "last", or the one with the "best" error (RMS in mm, on the validation people) of all
            validations.
        shrink: whether the faces are drawn towards the mean face of the sex heard, as far as it is better on the validation
            people (`mesh_shrinkage`); there is nothing of it in Wu 2022.
    """

    run: RunConfig = field(default_factory=RunConfig)
    steps: int = 3000
    batch: int = 128
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1.0
    schedule: Literal["constant", "cosine"] = "cosine"
    hidden: int = 128
    dropout: float = 0.2
    regression: float = 1.0
    triplet: float = 1.0
    margin: float = 1.0
    target: Literal["drawn", "expected"] = "drawn"
    fits: Literal["reference", "drawn"] = "reference"
    altered: bool = False
    noise: float = 0.05
    bank: int = 4
    crop: tuple[int, int] = (300, 800)
    over: Normalised = "crop"
    anchors: Anchors = "people"
    validate_every: int = 100
    keep: Literal["last", "best"] = "last"
    shrink: bool = True

    def __post_init__(self) -> None:
        if self.validate_every < 1:
            raise UsageError(f"validate_every is {self.validate_every}; at least 1")


PRESETS: Final = {
    "default": MeshConfig(),
    "wu2022": MeshConfig(
        steps=50_000,
        batch=64,
        rate=2e-4,
        betas=(0.5, 0.999),
        weight_decay=0.0,
        schedule="constant",
        hidden=0,
        noise=0.0,
        bank=0,
        over="utterance",
        anchors="utterances",
        fits="drawn",
        validate_every=1000,
        keep="last",
        shrink=False,
    ),
}


def train_mesh(
    pairs: Pairs,
    encoder: nn.Module,
    config: MeshConfig,
    folder: Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> nn.Module:
    """Trains and returns the regressor, in eval mode: a `MeshRegressor`, or with `shrink` a `ShrunkMesh`.

    `folder` then holds `mesh.safetensors`, `checkpoint.json` and, where the pairs allow it, `face_posterior.npz`.

    Args:
        encoder: a trained `VoiceEncoder`; it is frozen and stays as it is.

    Raises:
        InputError: too few people, faces that are not known, or `TrainingError` for a loss that is not a number.
        UsageError, ProviderError: see `Run`.
    """
    people = np.array([i for i in pairs.split("train") if config.altered or not pairs.people[int(i)].altered], np.int32)
    faces = pairs.coefficients if config.target == "drawn" else pairs.expected
    known = np.isfinite(faces[people]).all(1)
    if not known.any():
        other, others = ("expected", pairs.expected) if config.target == "drawn" else ("drawn", pairs.coefficients)
        advice = "prepare the pairs with --photos and a --detector other than aligned, or with --fits"
        if np.isfinite(others[people]).all(1).any():
            advice = f"--set target={other} learns the other ones"
        raise InputError(f"the {config.target} faces of nobody here are known; {advice}")
    if not known.all():  # own data: people of whom no photograph could be used
        say(f"{(~known).sum()} of {len(people)} people have no face and are left out")
    people = people[known]

    data = {"pairs": pairs.digest, "encoder": weights_digest(encoder)}
    run = Run(folder, config, config.run, data=data, resume=resume, say=say, progress=progress)
    frozen = Frozen(encoder).to(run.device)
    voices = VoiceTriplets(
        pairs,
        frozen,
        people,
        bank=config.bank,
        crop=config.crop,
        over=config.over,
        seed=config.run.seed,
        device=run.device,
        say=say,
        done=run.phase("encoding voices"),
    )
    several = config.fits == "drawn" and config.target == "drawn"
    faces_drawn = DrawnFits(faces, pairs.fits if several else None)
    truth = run.tensor(faces_drawn.targets)
    architecture: dict[str, Any] = {
        "coefficients": pairs.morphable.modes,
        "embedding": voices.width,
        "hidden": config.hidden,
        "dropout": config.dropout,
    }
    module = MeshRegressor(**architecture)
    network = run.network("mesh", module)
    best = run.network("best", BestState(module), trained=False)
    assert isinstance(best, BestState)
    optimiser = run.optimiser(
        "mesh",
        torch.optim.AdamW(network.parameters(), config.rate, betas=config.betas, weight_decay=config.weight_decay),
    )
    batch = run.share(config.batch)
    held = HeldOut.from_pairs(pairs, frozen, "validation", run.device)

    network.train()

    def prepared(step: int) -> tuple[PreparedTriplets, NDArray[np.int64]]:
        rng = run.random(step)
        triplets = voices.prepare(batch, rng, anchors=config.anchors)
        return triplets, faces_drawn.draw(triplets.person[: len(triplets.positive)], rng)

    # With a bank a batch is a few thousand numbers.
    for step, (triplets, targets) in run.batches(config.steps, prepared, together=16 if config.bank else 1):
        drawn = voices.finish(triplets)
        anchors = drawn.anchors
        alpha = network(perturb(drawn.embeddings, config.noise))
        regression = coefficient_loss(alpha[:anchors], truth[targets])
        triplet = triplet_loss(alpha[:anchors], alpha[drawn.positive], alpha[drawn.negative], config.margin)
        loss = config.regression * regression + config.triplet * triplet
        set_learning_rate(optimiser, config.rate * _share_of_rate(step, config))
        run.descend(loss, optimiser)
        found: dict[str, float] = {}
        if held is not None and ((step + 1) % config.validate_every == 0 or step + 1 == config.steps):
            found = held.errors(bare(network)).summary
            best.offer(bare(network), found["rms_mm"])
        run.log(
            step,
            {"loss": loss, "regression": regression, "triplet": triplet}
            | {f"validation/{name}": found[name] for name in ("are", "rms_mm") if found},
            {"embeddings": drawn.embeddings, "coefficients": truth[targets]},
        )

    if config.keep == "best" and held is not None:
        module.load_state_dict(best.network.state_dict())
    trained: nn.Module = module.eval()
    chosen: dict[str, Any] = {}
    if config.shrink and held is not None and has_both_sexes(pairs, held.person) and has_both_sexes(pairs, people):
        trained, shrinkage = shrink(module, held, faces, people)
        architecture = {"kind": "shrunk", **architecture}
        chosen = {"shrinkage": asdict(shrinkage)}
    metrics = held_out_metrics(pairs, frozen, trained, run.device, say, run.phase)
    certainty = sex_slope_report(held, trained)
    posterior: bytes | None = None
    if (
        held is not None
        and certainty
        and (fitted := fit_face_posterior(held, trained, certainty["sex_slope"])) is not None
    ):
        posterior = write_face_posterior(fitted)
        for split in metrics:
            there = held if split == "validation" else HeldOut.from_pairs(pairs, frozen, "test", run.device)
            if there is not None:
                metrics[split]["posterior"] = coverage(there, trained, certainty["sex_slope"], fitted)
    save_networks(
        folder,
        {"mesh": trained},
        {"mesh": architecture},
        {
            "trained_on": [pairs.provenance(voices.people)],
            "licence": pairs.morphable.licence,
            "metrics": metrics,
            "calibration": certainty,
            "config": asdict(config),
            **chosen,
        },
        pairs,
        encoder=frozen,
        face_posterior=posterior,
    )
    return trained.eval()


def _share_of_rate(step: int, config: MeshConfig) -> float:
    """Share of the full learning rate at a step."""
    return 1.0 if config.schedule == "constant" else cosine(step, config.steps)
