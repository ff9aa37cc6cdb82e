"""The first training recipe: real voices, faces rendered from the embedded morphable model; minutes on two cores.

    python -m voxface.training.default_bundle --speech LIBRISPEECH --noise DIR --rooms DIR --out CHECKPOINT

1. The voice encoder learns to tell speakers and sexes apart (`voice_encoder_training`).
2. The mesh regressor learns, from the embedding, the mean face of all people with such a voice (`world.paired_faces`):
   sex and a little size. It is trained by the L2 loss of Wu 2022, Eq. 2.
3. The face generator learns the picture of that mean face, in one neutral light and colouring, because neither is in a
   voice. There is no adversary yet: the target is a smooth function of the embedding, and L1 keeps it sharp.

The product is a checkpoint folder; `voxface export` makes the bundle.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn

from voxface.runtime.audio import read_blocks
from voxface.runtime.errors import InputError
from voxface.runtime.estimate import read_attributes
from voxface.runtime.features import log_mel, network_input
from voxface.runtime.morphable import MorphableModel
from voxface.training.checkpoint import Checkpoint
from voxface.training.faces.population import FacePopulation
from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder
from voxface.training.models.voice_encoder import perturb
from voxface.training.speech import Recording, librispeech, voiced_audio
from voxface.training.voice_encoder_training import (
    Voice,
    VoiceEncoderTraining,
    crop,
    render_voices,
    train_voice_encoder,
)
from voxface.training.world.paired_faces import SizeCue, expected_face
from voxface.training.world.voice_cues import voice_cues

Say = Callable[[str], None]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of the mesh regressor and the face generator; the encoder has its own.

    Attributes:
        crops: embeddings taken of each rendering of each recording.
        mesh_steps, mesh_batch, mesh_rate: of AdamW for the regressor.
        pictures: rendered faces the generator learns from.
        face_steps, face_batch, face_rate: of Adam for the generator.
        face_channels: widths of the generator; the published ones make 49 MB.
        noise: of the embedding in training (Wen 2019: 0.05).
    """

    crops: int = 3
    mesh_steps: int = 3000
    mesh_batch: int = 256
    mesh_rate: float = 1e-3
    pictures: int = 1200
    face_steps: int = 1200
    face_batch: int = 24
    face_rate: float = 1e-3
    face_channels: tuple[int, ...] = (256, 192, 128, 64, 32)
    noise: float = 0.05
    seed: int = 0


def embed_crops(encoder: VoiceEncoder, voices: Sequence[Voice], crops: int, seed: int) -> torch.Tensor:
    """Embeddings [len(voices) · crops, E] of random crops of 2 to 8 s, voice by voice."""
    rng = np.random.default_rng(seed)
    rows = []
    with torch.no_grad():
        for voice in voices:
            length = int(rng.integers(200, 801))
            batch = np.stack([crop(voice.frames, length, rng).T for _ in range(crops)])
            rows.append(encoder(torch.from_numpy(batch))[0])
    return torch.cat(rows)


def face_targets(
    voices: Sequence[Voice],
    speeds: Sequence[float],
    model: MorphableModel,
    population: FacePopulation,
    say: Say,
) -> Float32:
    """The face each voice is paired with, float32 [len(voices), P]."""
    recordings = {voice.recording for voice in voices}
    tracts: dict[Recording, float | None] = {}
    for recording in sorted(recordings, key=lambda r: r.path):
        try:
            tracts[recording] = voice_cues(voiced_audio(recording.path)).tract_cm
        except ValueError as error:
            say(f"{recording.path.name}: no size cue ({error})")
            tracts[recording] = None
    known = [(tract, recording.sex) for recording, tract in tracts.items() if tract is not None]
    cue = SizeCue.of([t for t, _ in known], [s for _, s in known])
    say(
        f"vocal tract, cm: women {cue.mean[0]:.1f} ± {cue.deviation[0]:.2f}, men {cue.mean[1]:.1f} ± {cue.deviation[1]:.2f}"
    )
    faces: dict[tuple[Recording, int], Float32] = {}
    for voice in voices:
        key = (voice.recording, voice.speaker % len(speeds))
        if key not in faces:
            tract = tracts[voice.recording]
            # A recording played faster is that of a shorter tract.
            shorter = None if tract is None else tract / speeds[key[1]]
            faces[key] = expected_face(model, population, voice.recording.sex, shorter, cue)
    return np.stack([faces[voice.recording, voice.speaker % len(speeds)] for voice in voices])


def train_mesh_regressor(embeddings: torch.Tensor, targets: torch.Tensor, recipe: Recipe, say: Say) -> MeshRegressor:
    """L2 on coefficients (Wu 2022, Eq. 2)."""
    torch.manual_seed(recipe.seed)
    network = MeshRegressor(targets.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), recipe.mesh_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.mesh_steps)
    network.train()
    for step in range(recipe.mesh_steps):
        picked = torch.randint(len(embeddings), (recipe.mesh_batch,))
        loss = nn.functional.mse_loss(network(perturb(embeddings[picked], recipe.noise)), targets[picked])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 1000 == 999:
            say(f"mesh: step {step + 1}/{recipe.mesh_steps} loss {loss:.4f}")
    return network.eval()


def train_face_generator(
    embeddings: torch.Tensor, mesh: MeshRegressor, model: MorphableModel, recipe: Recipe, say: Say
) -> FaceGenerator:
    """L1 between the generated picture and a render of the mesh that the same embedding gives."""
    from voxface.training.faces.render import ambient_visibility, render_batch

    torch.manual_seed(recipe.seed)
    picked = torch.randperm(len(embeddings))[: recipe.pictures]
    embeddings = embeddings[picked]
    # Voices between two of the data, and between the sexes, want a picture too.
    mixed = nn.functional.normalize(embeddings[1::3] + embeddings[torch.randperm(len(embeddings))][1::3], dim=1)
    embeddings = torch.cat([embeddings, mixed])
    with torch.no_grad():
        vertices = model.vertices(mesh(embeddings).numpy())
    occlusion = ambient_visibility(model.mean, model.triangles)
    pictures = render_batch(vertices, model.triangles, model.albedo, size=64, parts=model.parts, occlusion=occlusion)
    say(f"rendered {len(pictures)} faces")
    targets = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    network = FaceGenerator(channels=recipe.face_channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():  # start from the mean picture's colour, not from grey
        network.model[-1].bias.copy_(targets.mean((0, 2, 3)))  # type: ignore[operator]
    optimiser = torch.optim.Adam(network.parameters(), recipe.face_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.face_rate, total_steps=recipe.face_steps)
    network.train()
    for step in range(recipe.face_steps):
        batch = torch.randint(len(embeddings), (recipe.face_batch,))
        loss = nn.functional.l1_loss(network(embeddings[batch]), targets[batch])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            say(f"face: step {step + 1}/{recipe.face_steps} L1 {loss:.4f}")
    return network.eval()


def held_out_metrics(
    recordings: Sequence[Recording], encoder: VoiceEncoder, mesh: MeshRegressor, model: MorphableModel
) -> dict[str, Any]:
    """How it does on speakers it was not trained on: sex read off the mesh, and speakers told apart by embedding."""
    halves: list[tuple[str, Float32, Float32]] = []
    right: dict[str, list[bool]] = {}
    with torch.no_grad():
        for recording in recordings:
            frames = log_mel(voiced_audio(recording.path))
            half = len(frames) // 2
            whole, first, second = (
                encoder(torch.from_numpy(network_input(part)))[0] for part in (frames, frames[:half], frames[half:])
            )
            female = read_attributes(model, model.vertices(mesh(whole)[0].numpy())).sex["female"]
            right.setdefault(recording.speaker, []).append((female > 0.5) == (recording.sex == "F"))
            halves.append((recording.speaker, first[0].numpy(), second[0].numpy()))
    same = np.array([a @ b for _, a, b in halves])
    others = np.array([a @ b for i, (s, a, _) in enumerate(halves) for t, _, b in halves[i + 1 :] if s != t])
    single = [flags[0] for flags in right.values() if len(flags) == 1]
    return {
        "held_out_speakers": len(right),
        "held_out_recordings": len(halves),
        "sex_agreement_by_recording": float(np.mean([flag for flags in right.values() for flag in flags])),
        "sex_agreement_by_speaker": float(np.mean([np.mean(flags) for flags in right.values()])),
        "sex_agreement_one_recording_each": float(np.mean(single)),
        "same_speaker_auc": float((same[:, None] > others).mean()),
        "trivial": {"sex_agreement_chance": 0.5, "same_speaker_auc_chance": 0.5},
    }


def _sounds(folder: Path | None) -> list[NDArray[np.int16]]:
    if folder is None:
        return []
    return [np.concatenate(list(read_blocks(path))) for path in sorted(folder.glob("*.wav"))]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m voxface.training.default_bundle", description=__doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder with speakers.csv (speaker_id, sex, file)")
    parser.add_argument("--noise", type=Path, help="folder of noise (WAV) for augmentation")
    parser.add_argument("--rooms", type=Path, help="folder of room impulse responses (WAV) for augmentation")
    parser.add_argument("--faces", type=Path, required=True, help="embedded.npz of voxface.training.faces.embedded")
    parser.add_argument("--population", type=Path, required=True, help="population.npz of the same")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument("--encoder", type=Path, help="take a trained encoder (safetensors) in place of training one")
    parser.add_argument("--encoder-steps", type=int, default=VoiceEncoderTraining.steps)
    options = parser.parse_args(arguments)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {text}", flush=True)

    model = MorphableModel.from_bytes(options.faces.read_bytes())
    population = FacePopulation.load(options.population)
    recordings = librispeech(options.speech)
    training = [recording for recording in recordings if not recording.held_out]
    held_out = [recording for recording in recordings if recording.held_out]
    if not training or not held_out:
        raise InputError(f"{options.speech}: {len(training)} recordings to train on and {len(held_out)} held out")
    torch.set_flush_denormal(True)  # generators full of zeros train several times slower without it
    recipe, encoder_recipe = Recipe(), VoiceEncoderTraining(steps=options.encoder_steps)
    voices = render_voices(training, encoder_recipe, _sounds(options.noise), _sounds(options.rooms), say)
    if options.encoder:
        encoder = VoiceEncoder()
        encoder.load_state_dict(load_file(options.encoder))
        encoder.eval()
    else:
        encoder = train_voice_encoder(voices, encoder_recipe, say)
        options.out.mkdir(parents=True, exist_ok=True)
        save_file(encoder.state_dict(), options.out / "encoder.safetensors")  # the long part is safe
    targets = torch.from_numpy(face_targets(voices, encoder_recipe.speeds, model, population, say))
    embeddings = embed_crops(encoder, voices, recipe.crops, recipe.seed)
    mesh = train_mesh_regressor(embeddings, targets.repeat_interleave(recipe.crops, 0), recipe, say)
    face = train_face_generator(embeddings, mesh, model, recipe, say)
    metrics = held_out_metrics(held_out, encoder, mesh, model)
    say(f"held out: {metrics}")
    Checkpoint(
        encoder=encoder,
        face=face,
        mesh=mesh,
        morphable=model,
        population=population,
        name="voxface-default",
        version="0.1.0",
        licence="Apache-2.0 (weights); CC0-1.0 (head meshes)",
        description=(
            "First default bundle: real voices paired with average faces computed from population statistics. "
            "It shows the mean face of people with such a voice (sex, and a little size), not the speaker's."
        ),
        trained_on=[
            f"LibriSpeech (CC BY 4.0, V. Panayotov et al. 2015): {len(training)} recordings, one each of "
            f"{len({r.speaker for r in training})} speakers; {len({r.speaker for r in held_out})} speakers held out",
            f"faces: {model.name} {model.version}, {model.provenance}",
        ],
        metrics=metrics,
        architecture={
            "encoder": {},
            "face": {"channels": list(recipe.face_channels)},
            "mesh": {"coefficients": model.modes},
            "recipe": {**asdict(recipe), "encoder": asdict(encoder_recipe)},
        },
    ).save(options.out)
    say(f"wrote {options.out}")


if __name__ == "__main__":
    main()
