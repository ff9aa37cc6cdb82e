"""Every voice at several speeds, clean and degraded, as log-mel frames, and what the teacher says of each piece.

A voice that is played faster or slower, with its formants moved, is another speaker to the teacher, who is asked anew. What
noise, rooms, telephones and codecs do to a voice the teacher never hears: the degraded sound keeps the vectors of the clean
one, so a student learns to hear through it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.audio.vad_events import SpeechAudio
from voxface.runtime.errors import InputError, NoSpeechError, UsageError
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.formants import move_formants
from voxface.training.data.parallel_map import Stage, parallel_map, silent
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.data.voice_augmentation import AugmentConfig, augment, change_speed
from voxface.training.voices.channels import codec, telephone
from voxface.training.voices.listing import Voice
from voxface.training.voices.renderings import TABLES, write_manifest
from voxface.training.voices.teacher import Teacher

Samples = NDArray[np.int16]
FRAME: Final = 160  # samples
LEAST: Final = 30  # frames of speech in a rendering


@dataclass(frozen=True)
class RenderingConfig:
    """Settings of the renderings.

    Attributes:
        speeds: playback speeds of training voices; others are heard as recorded.
        formants: at other speeds than 1 the formants move by a factor from 1 / formants to formants, one for each speaker and
            speed; 1: they stay.
        degraded: degraded renderings of each, in addition to the clean one.
        telephone, codec: probability of each.
        every: frames between the pieces that the teacher hears.
        seed: random seed.
        augment: rooms, noise, equalisers and level.
    """

    speeds: tuple[float, ...] = (0.83, 0.93, 1.0, 1.08, 1.18)
    formants: float = 1.18
    degraded: int = 1
    telephone: float = 0.2
    codec: float = 0.4
    every: int = 80
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if 1.0 not in self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise UsageError(f"speeds {self.speeds}: 1 and others from 0.5 to 2")
        if not 1 <= self.formants <= 2:
            raise UsageError(f"formants {self.formants}: from 1 to 2")
        if self.degraded < 0 or self.every < 1:
            raise UsageError(f"degraded {self.degraded}, every {self.every}: not negative, and at least 1")


@dataclass(frozen=True)
class RenderedVoice:
    """One voice at one speed: frames float16 [T, 64] clean and degraded, all of one length; the teacher's vectors float16."""

    speed: float
    frames: list[NDArray[np.float16]]
    vectors: NDArray[np.float16]


@dataclass(frozen=True)
class Shared:
    """What the processes that render voices share."""

    config: RenderingConfig
    teacher: Teacher
    noises: Sequence[Samples]
    rooms: Sequence[Samples]


def render(
    voices: Sequence[Voice],
    teacher: Teacher,
    config: RenderingConfig,
    folder: Path,
    noises: Sequence[Samples] = (),
    rooms: Sequence[Samples] = (),
    *,
    workers: int = 1,
    stage: Stage = silent,
) -> list[LeftOut]:
    """Renders all voices into an empty folder, which is then one of `Renderings`.

    Args:
        noises, rooms: noises and room responses int16 [n] at 16 kHz, to degrade with.
        workers: number of processes; the result does not depend on it.
        stage: called at the start with its name and number of steps.

    Returns:
        Files that cannot be used.

    Raises:
        InputError: there is no speech in any of them.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    step = stage("voices", len(voices))
    rows: list[tuple[int, int, int, int, int, float, bool]] = []
    left_out = []
    frames_written = vectors_written = 0
    with (folder / "frames.raw").open("wb") as frames_file, (folder / "vectors.raw").open("wb") as vectors_file:
        shared = Shared(config, teacher, noises, rooms)
        for number, rendered in enumerate(parallel_map(render_voice, shared, list(voices), workers)):
            if isinstance(rendered, LeftOut):
                left_out.append(rendered)
            for one in [] if isinstance(rendered, LeftOut) else rendered:
                for which, frames in enumerate(one.frames):
                    row = (number, frames_written, len(frames), vectors_written, len(one.vectors), one.speed, not which)
                    rows.append(row)
                    frames_file.write(frames.tobytes())
                    frames_written += len(frames)
                vectors_file.write(one.vectors.tobytes())
                vectors_written += len(one.vectors)
            step(voices[number].path.name)
    if not rows:
        first = f"; {left_out[0].file}: {left_out[0].reason}" if left_out else ""
        raise InputError(f"none of {len(voices)} voices can be used{first}")
    _as_array(folder, "frames", (frames_written, 64))
    _as_array(folder, "vectors", (vectors_written, teacher.size))
    columns = {name: np.array(column) for name, column in zip(TABLES, zip(*rows, strict=True), strict=True)}
    np.savez(folder / "tables.npz", **columns)  # type: ignore[arg-type]
    about = {
        "voices": [{**asdict(voice), "path": voice.path.name} for voice in voices],
        "every": config.every,
        "piece": teacher.piece // FRAME,
        "teacher": teacher.name,
        "settings": asdict(config),
    }
    write_manifest(folder, about)
    return left_out


def render_voice(shared: Shared, voice: Voice) -> list[RenderedVoice] | LeftOut:
    """The renderings of one voice."""
    config = shared.config
    try:
        recorded = np.concatenate([np.empty(0, np.int16), *read_blocks(voice.path)])
    except InputError as error:
        return LeftOut(str(voice.path), str(error).removeprefix(f"{voice.path}: "), error.exit_code)
    found = []
    for speed in config.speeds if voice.split == "train" else (1.0,):
        sound = change_speed(recorded, speed)
        if speed != 1.0:
            sound = move_formants(sound, moved_by(voice, speed, config))
        speech = _speech_ranges(sound)
        clean = _cut(sound, speech)
        if len(clean) < LEAST * FRAME:
            continue
        digest = hashlib.sha256(f"{config.seed} {voice.speaker} {voice.path.name} {speed}".encode()).digest()
        rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
        degraded = [_cut(_degrade(sound, rng, shared), speech) for _ in range(config.degraded)]
        frames = [log_mel(samples).astype(np.float16) for samples in (clean, *degraded)]
        found.append(RenderedVoice(speed, frames, shared.teacher.vectors(clean, config.every).astype(np.float16)))
    return found or LeftOut(str(voice.path), "too little speech in it", NoSpeechError.exit_code)


def moved_by(voice: Voice, speed: float, config: RenderingConfig) -> float:
    """By what the formants move: the same in all recordings of a speaker at one speed, which are one voice."""
    digest = hashlib.sha256(f"{config.seed} {voice.corpus} {voice.speaker} {speed}".encode()).digest()
    share = np.random.default_rng(np.frombuffer(digest, np.uint32)).uniform(-1, 1)
    return float(config.formants**share)


def _degrade(sound: Samples, rng: np.random.Generator, shared: Shared) -> Samples:
    degraded = augment(sound, rng, shared.config.augment, shared.noises, shared.rooms)
    if rng.random() < shared.config.telephone:
        degraded = telephone(degraded, rng)
    if rng.random() < shared.config.codec:
        degraded = codec(degraded, rng)
    return degraded


def _speech_ranges(sound: Samples) -> list[tuple[int, int]]:
    detector = VoiceActivityDetector()
    padded = np.concatenate([sound, np.zeros(-len(sound) % 320, np.int16)])
    return [(e.start, e.start + len(e.samples)) for e in detector.feed(padded) if isinstance(e, SpeechAudio)]


def _cut(sound: Samples, ranges: Sequence[tuple[int, int]]) -> Samples:
    return np.concatenate([np.empty(0, np.int16), *(sound[begin:end] for begin, end in ranges)])


def _as_array(folder: Path, name: str, shape: tuple[int, int]) -> None:
    """Gives a file of float16 numbers numpy's header."""
    raw = folder / f"{name}.raw"
    source = np.memmap(raw, np.float16, "r", shape=shape)
    np.save(folder / f"{name}.npy", source)
    del source
    raw.unlink()
