"""All methods on the test people of a world: trained, trivial, and oracles."""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.known_faces.comparison import CASCADE, SEX_HEARD
from benchmarks.known_faces.sizes import Sizes
from benchmarks.known_faces.stages import Say, on_gpu, run_config, stage
from voxface.runtime.errors import UsageError
from voxface.training.data.pairs import Pairs
from voxface.training.engine.run import RunConfig
from voxface.training.evaluation.baselines.cascade import Cascade
from voxface.training.evaluation.baselines.linear_cues import LinearCues
from voxface.training.evaluation.baselines.mean_faces import LinearSexClassifier, MeanFaces
from voxface.training.evaluation.geometry.are_table import GeometryErrors
from voxface.training.evaluation.geometry.held_out import HeldOut
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig
from voxface.training.models.frozen import Frozen
from voxface.training.trainers import face_gan, joint, mesh, voice_encoder


def measured(
    asked: argparse.Namespace, sizes: Sizes, seed: int, pairs: Pairs, expert: nn.Module, say: Say
) -> tuple[dict[str, GeometryErrors], dict[str, float]]:
    """Errors of each method on the test people of a seed, after training everything; rate at which sex is recognised."""
    place, run = asked.out / f"seed-{seed}", run_config(asked, seed, 100)
    encoder = stage(
        place / "encoder",
        # The true f0 and tract length are for the oracle; the encoder is to hear them by itself.
        replace(
            voice_encoder.PRESETS["default"], run=run, steps=sizes.encoder_steps, batch=sizes.encoder_batch, cues=0.0
        ),
        "encoder",
        say,
        voice_encoder.train_voice_encoder,
        pairs,
    )
    gan = stage(
        place / "gan",
        replace(
            face_gan.PRESETS[sizes.gan_preset],
            run=run,
            steps=sizes.gan_steps,
            batch=sizes.gan_batch,
            channels=sizes.channels,
            critic=sizes.critic,
            judge=JudgeConfig(steps=sizes.judge_steps),
            bank=sizes.bank,
            validate_every=sizes.gan_steps,
        ),
        "face",
        say,
        face_gan.train_face_gan,
        pairs,
        encoder,
    )
    networks: dict[str, nn.Module] = {CASCADE: Cascade(gan, expert)}
    for preset, config in mesh.PRESETS.items():
        steps = sizes.mesh_steps * (3 if preset == "wu2022" else 1)
        networks[f"supervised {preset}"] = stage(
            place / f"mesh-{preset}",
            replace(config, run=run, steps=steps, bank=sizes.bank, validate_every=100),
            "mesh",
            say,
            mesh.train_mesh,
            pairs,
            encoder,
        )
    for preset in sizes.joint_presets:
        networks[f"joint {preset}"] = stage(
            place / f"joint-{preset}",
            joint_config(joint.PRESETS[preset], sizes, run),
            "mesh",
            say,
            joint.train_joint,
            pairs,
            encoder,
            expert,
            **({"generator": gan} if sizes.warm else {}),
        )
    device = "cuda" if on_gpu(asked.accelerator) else "cpu"
    frozen = Frozen(encoder).to(device)
    fit, test = (HeldOut.from_pairs(pairs, frozen, split, device) for split in ("train", "test"))
    if fit is None or test is None:
        raise UsageError("the world is too small: nobody in the training or the test split")
    found = {name: test.errors(network.to(device)) for name, network in networks.items()}
    rows, sex = trivial(pairs, fit, test)
    opinions = joint.mean_expert_coefficients(
        pairs, Frozen(expert).to(device), np.unique(test.person), torch.device(device)
    )
    rows["expert, real pictures"] = opinions[test.person]
    found |= {name: test.errors(predicted) for name, predicted in rows.items()}
    for name, errors in found.items():
        say(f"seed {seed}, {name}: ARE {errors.summary['are']:.4f}")
    return found, {"sex_heard": sex}


def joint_config(preset: joint.JointConfig, sizes: Sizes, run: RunConfig) -> joint.JointConfig:
    """A preset at these sizes."""
    changes: dict[str, Any] = {"start": "generator", "student": "expert"} if sizes.warm else {}
    # A moving average over more steps than there are would remember the start.
    average = min(preset.average, 1 - 10 / max(sizes.joint_steps, 20))
    return replace(
        preset,
        run=run,
        steps=sizes.joint_steps,
        batch=sizes.joint_batch,
        channels=sizes.channels,
        critic=sizes.critic,
        student_size=sizes.pixels,
        student_trunk=sizes.trunk,
        average=average if preset.average else 0.0,
        partners="batch" if sizes.warm else preset.partners,
        bank=sizes.bank,
        validate_every=max(sizes.joint_steps // 4, 1),
        **changes,
    )


def trivial(pairs: Pairs, fit: HeldOut, test: HeldOut) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Predictions that need no network, by name; and the share of test utterances whose sex is recognised."""
    people, person = np.unique(fit.person), test.person
    means = MeanFaces.from_pairs(pairs, people)
    heard = LinearSexClassifier.fit(fit.embeddings, pairs.sexes[fit.person])(test.embeddings)
    linear = LinearCues.fit(pairs, people)
    return {
        "mean face": means.of_everybody(len(person)),
        SEX_HEARD: means.of_sexes(heard),
        "mean face of the true sex (oracle)": means.of_sexes(pairs.sexes[person]),
        "linear map of true cues": linear(pairs.cues[person], heard),
        "conditional mean of the world (oracle)": pairs.expected[person],
    }, float((heard == pairs.sexes[person]).mean())
