"""Trains an expert, picture -> coefficients and pose, on renders of faces drawn from the population.

Wu 2022 uses an expert that was trained on people's pictures (SynergyNet). This one learns from renders of the pairs' own
morphable model only, so it carries nobody else's licence, and its coefficients are those of the bundle.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.expert_augmentation import Augmentation, augmented
from voxface.training.data.expert_renders import RenderConfig, Renders, rotations
from voxface.training.data.pairs import Pairs
from voxface.training.engine.learning_rate import cosine, linear_warmup, set_learning_rate
from voxface.training.engine.phases import Progress, no_progress
from voxface.training.engine.run import Run, RunConfig, bare
from voxface.training.engine.trained_networks import save_networks
from voxface.training.losses.coefficients import coefficient_loss
from voxface.training.models.experts.own import ImageToFace, Trunk

RENDERS: Final = "renders.npz"


@dataclass(frozen=True)
class ExpertConfig:
    """Hyper-parameters of the training.

    Attributes:
        run: settings that every training has.
        renders: configuration of the renders that are learnt from.
        augmentation: largest changes of the renders, drawn anew at every step.
        held: number of renders, the last ones, that are measured on and never learnt from.
        workers: processes that draw the renders; the result does not depend on it.
        size, trunk: of the network, see `ImageToFace`: picture size in pixels, 120 as published, and convolutional trunk.
        steps, batch, rate: steps of Adam, renders per step, and full learning rate.
        warmup: steps in which the rate rises; it falls to zero along a cosine over all steps.
        clip: greatest norm of the gradients.
        expression: weight of an expression mode against an identity mode that moves the mesh as much.
        pose: weight of the twelve pose numbers.
    """

    run: RunConfig = field(default_factory=RunConfig)
    renders: RenderConfig = field(default_factory=RenderConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    held: int = 500
    workers: int = 1
    size: int = 120
    trunk: Trunk = "mobilenet_v2"
    steps: int = 6000
    batch: int = 32
    rate: float = 2e-3
    warmup: int = 200
    clip: float = 20.0
    expression: float = 0.3
    pose: float = 50.0

    def __post_init__(self) -> None:
        if not 1 <= self.held < self.renders.pictures:
            raise UsageError(
                f"{self.held} of {self.renders.pictures} renders held back: some must be, and some be left"
            )


PRESETS: Final = {
    "default": ExpertConfig(),
    # For a laptop without a GPU: a step takes a fifth of the time, and fewer steps are needed.
    "small": ExpertConfig(renders=RenderConfig(pictures=4000), held=300, size=64, trunk="plain", steps=3000, rate=2e-3),
}


def train_expert(
    pairs: Pairs,
    config: ExpertConfig,
    folder: Path,
    *,
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = no_progress,
) -> ImageToFace:
    """Trains and returns the expert, in eval mode; `folder` then holds `expert.safetensors` and `checkpoint.json`.

    Only the pairs' morphable model and population are used, and none of their people, so no held-out face can leak into the
    expert. The renders stay in the folder as `renders.npz`, and a resumed run reads them from there.

    Raises:
        InputError: the pairs have no population, or `TrainingError` for a loss that is not a number.
        UsageError: see `Run`.
        ProviderError: see `Run`; or Open3D, which draws the renders, is not installed.
    """
    model, population = pairs.morphable, pairs.population
    if population is None:
        raise InputError(
            "these pairs know no population of faces to draw from (population.npz); use `voxface data prepare` or "
            "`data synth`, or give the joint training a published expert"
        )
    run = Run(
        folder, replace(config, workers=0), config.run, data=pairs.digest, resume=resume, say=say, progress=progress
    )
    if run.leads:
        Renders.load_or_draw(
            folder / RENDERS,
            model,
            population,
            config.renders,
            workers=config.workers,
            say=say,
            done=run.phase("renders"),
        )
    run.fabric.barrier()
    renders = Renders.load_or_draw(folder / RENDERS, model, population, config.renders)
    learnt = len(renders) - config.held

    architecture: dict[str, Any] = {"coefficients": model.modes, "size": config.size, "trunk": config.trunk}
    module = ImageToFace(**architecture)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # 1.7 times as fast on a CPU
    module.begin_at(renders.coefficients[:learnt].mean(0), renders.pose[:learnt].mean(0))
    network = run.network("expert", module)
    optimiser = run.optimiser("expert", torch.optim.Adam(network.parameters(), config.rate))
    weights = run.tensor(mode_weights(model, config.expression)).sqrt()
    batch = run.share(config.batch)

    network.train()
    for step in run.steps(config.steps):
        rng = run.random(step)
        picked = rng.integers(learnt, size=batch)
        images, pose = augmented(
            run.tensor(renders.images(picked)), run.tensor(renders.pose[picked]), rng, config.augmentation
        )
        truth = run.tensor(renders.coefficients[picked])

        seen = network(images)
        shape = coefficient_loss(weights * seen.coefficients, weights * truth)
        turn = coefficient_loss(seen.pose, pose)
        loss = shape + config.pose * turn
        set_learning_rate(optimiser, config.rate * (linear_warmup(step, config.warmup) * cosine(step, config.steps)))
        run.descend(loss, optimiser, clip=config.clip)
        run.log(
            step,
            {"loss": loss, "coefficients": shape, "pose": turn},
            {"images": images, "coefficients": truth, "pose": pose},
        )
        if run.wants_sheet(step):
            found = measure(module, renders, slice(learnt, None), model, run.device)
            say(f"step {step + 1}, held-back renders: {_line(found)}")
            run.sheet(step, _sheet(module, renders, learnt, model, run.device))

    metrics = measure(module, renders, slice(learnt, None), model, run.device)
    say(f"held-back renders: {_line(metrics)}")
    save_networks(
        folder,
        {"expert": module},
        {"expert": architecture},
        {
            "trained_on": [f"{learnt} renders of {model.name} {model.version}, drawn from its population"],
            "licence": model.licence,
            "metrics": metrics,
            "config": asdict(config),
        },
        pairs,
    )
    module.eval()
    return module


def mode_weights(model: MorphableModel, expression: float) -> NDArray[np.float32]:
    """Weight of each mode's squared error, float32 [P]: its RMS movement of the mesh, relative to the mean identity mode's.

    Modes that hardly move the mesh would otherwise count as much as those that shape the face.
    """
    moves = np.sqrt(np.square(model.basis, dtype=np.float64).sum(2).mean(1))
    moves /= max(float(moves[: model.identity_modes].mean()), 1e-12)
    moves[model.identity_modes :] *= expression
    weights: NDArray[np.float32] = moves.astype(np.float32)
    return weights


def measure(
    module: ImageToFace,
    renders: Renders,
    which: slice,
    model: MorphableModel,
    device: torch.device,
) -> dict[str, Any]:
    """Errors of the network on some of the renders; the network stays in its mode.

    Returns:
        `error_mm`: RMS over the vertices of the neutral mesh, mean over pictures.
        `trivial`: the same error of the mean face of the right sex.
        `correlation`: mean over the identity modes of `correlations`.
        `correlations`: correlation of each identity coefficient with the true one within a sex; the mean face has none.
        `rotation_degrees`: mean angle between the head's true and found rotation.
        `pictures`: how many renders were measured on.
    """
    found, pose = _read(module, renders, which, device)
    k = model.identity_modes
    truth, sexes = renders.coefficients[which, :k].astype(np.float64), renders.sexes[which]
    flat = model.basis[:k].reshape(k, -1).astype(np.float64)
    metric = flat @ flat.T / len(model.mean)

    def error(difference: NDArray[np.float64]) -> float:
        return float(np.sqrt(np.maximum(np.einsum("bi,ij,bj->b", difference, metric, difference), 0)).mean())

    means = np.stack([truth[sexes == s].mean(0) if (sexes == s).any() else np.zeros(k) for s in (0, 1)])
    seen = np.stack([found[sexes == s, :k].mean(0) if (sexes == s).any() else np.zeros(k) for s in (0, 1)])
    a, b = truth - means[sexes], found[:, :k] - seen[sexes]
    size = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    correlations = (a * b).sum(0) / np.where(size > 0, size, 1)
    relative = np.einsum("bij,bkj->bik", rotations(pose), rotations(renders.pose[which]))
    cosine = (np.trace(relative, axis1=1, axis2=2) - 1) / 2
    return {
        "error_mm": error(found[:, :k] - truth),
        "trivial": {"error_mm": error(model.sex_means[sexes, :k] - truth)},
        "correlation": float(correlations.mean()),
        "correlations": [round(float(c), 3) for c in correlations],
        "rotation_degrees": float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()),
        "pictures": len(truth),
    }


def _line(metrics: dict[str, Any]) -> str:
    """One line about the errors that `measure` found."""
    return (
        f"mesh {metrics['error_mm']:.2f} mm (mean face of the sex {metrics['trivial']['error_mm']:.2f}), "
        f"correlation {metrics['correlation']:.2f}, rotation {metrics['rotation_degrees']:.1f}°"
    )


def _read(
    module: ImageToFace, renders: Renders, which: slice, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coefficients float32 [B, P] and pose numbers float32 [B, 12] of renders, by the network in eval mode."""
    network = bare(module)
    was = network.training
    network.eval()
    coefficients, pose = [], []
    indices = np.arange(len(renders))[which]
    with torch.no_grad():
        for start in range(0, len(indices), 64):
            images = torch.from_numpy(renders.images(indices[start : start + 64])).to(device)
            seen = network(images)
            coefficients.append(seen.coefficients.float().cpu().numpy())
            pose.append(seen.pose.float().cpu().numpy())
    network.train(was)
    return np.concatenate(coefficients), np.concatenate(pose)


def _sheet(
    module: ImageToFace, renders: Renders, learnt: int, model: MorphableModel, device: torch.device, rows: int = 6
) -> list[list[NDArray[np.uint8]]]:
    """Rows of the sample sheet: held-back renders beside renders of what the network found (picture, found, picture, found)."""
    from voxface.training.faces.appearance import Appearance
    from voxface.training.faces.camera import Pose
    from voxface.training.faces.face_set import draw
    from voxface.training.faces.render import ambient_visibility

    last = min(learnt + 2 * rows, len(renders))
    found, pose = _read(module, renders, slice(learnt, last), device)
    occlusion = ambient_visibility(model.mean, model.triangles)
    turned = Pose(rotations(pose), np.ones(len(pose)), np.zeros((len(pose), 2)))
    cells: list[NDArray[np.uint8]] = []
    for i, picture in enumerate(renders.pictures[learnt:last]):
        face = model.vertices(found[i])
        cells += [picture, draw(model, face, turned[i : i + 1], len(picture), Appearance(), occlusion)]
    return [cells[i : i + 4] for i in range(0, len(cells), 4)]
