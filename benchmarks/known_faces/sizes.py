"""Sizes of the synthetic worlds and lengths of the trainings in them, on a CPU and on a GPU."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Sizes:
    """Sizes of the worlds and lengths of the trainings.

    Attributes:
        people, utterances, seconds, pictures, coupling: of each world, see `SyntheticConfig`.
        encoder_steps, encoder_batch: of the voice encoder.
        renders, expert_steps, expert_batch, expert_rate, pixels, trunk: of the expert, and of students that start anew.
        channels, critic: widths of the generator, and of the face embedding network under discriminator and classifier.
        gan_steps, gan_batch, gan_preset: of the cascade's face GAN.
        judge_steps: of the judge that looks at the GAN's pictures; it says how good they are and teaches nothing.
        mesh_steps: of the supervised training with the default preset; the paper's head gets three times as many.
        joint_steps, joint_batch, joint_presets: of the joint trainings.
        warm: whether these start from the cascade.
        bank: crops of every utterance that are encoded beforehand.
    """

    people: int = 200
    utterances: int = 4
    seconds: float = 5.0
    pictures: int = 4
    coupling: float = 0.9
    encoder_steps: int = 400
    encoder_batch: int = 48
    renders: int = 3000
    expert_steps: int = 2500
    expert_batch: int = 32
    expert_rate: float = 2e-3
    pixels: int = 64
    trunk: Literal["mobilenet_v2", "plain"] = "plain"
    channels: tuple[int, ...] = (256, 192, 128, 64, 32)
    critic: tuple[int, ...] = (16, 32, 64, 128, 256)
    gan_steps: int = 500
    gan_batch: int = 32
    gan_preset: Literal["wen2019", "modern"] = "modern"
    judge_steps: int = 150
    mesh_steps: int = 800
    joint_steps: int = 200
    joint_batch: int = 24
    joint_presets: tuple[str, ...] = ("published", "modern")
    warm: bool = True
    bank: int = 3


CPU = Sizes()


GPU = Sizes(
    people=1000,
    utterances=6,
    seconds=8.0,
    pictures=6,
    encoder_steps=4000,
    encoder_batch=128,
    renders=20_000,
    expert_steps=20_000,
    expert_batch=128,
    expert_rate=1e-3,
    pixels=120,
    trunk="mobilenet_v2",
    channels=(1024, 512, 256, 128, 64),
    critic=(32, 64, 128, 256, 512),
    gan_steps=10_000,
    gan_batch=128,
    judge_steps=1000,
    mesh_steps=3000,
    joint_steps=10_000,
    joint_batch=64,
    joint_presets=("wu2022", "published", "modern"),
    warm=False,
    bank=4,
)
