"""Every voice at several speeds, clean and degraded, as log-mel frames, and what the teacher says of each piece.

A voice that is played faster or slower is another speaker to the teacher, who is asked anew. What noise, rooms, telephones and
codecs do to a voice the teacher never hears: the degraded sound keeps the vectors of the clean one, so a student learns to
hear through it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.audio.vad_events import SpeechAudio
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.parallel_map import Stage, parallel_map, silent
from voxface.training.data.voice_augmentation import AugmentConfig, augment, change_speed
from voxface.training.voices.channels import codec, telephone
from voxface.training.voices.listing import Voice

Samples = NDArray[np.int16]
Float32 = NDArray[np.float32]
FRAME: Final = 160  # samples
LEAST: Final = 30  # frames of speech in a rendering


class Teacher(Protocol):
    """A speaker encoder of others."""

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def piece(self) -> int:
        """Samples at 16 kHz that a vector is of."""
        ...

    def vectors(self, samples: Samples, every: int) -> Float32:
        """Unit vectors float32 [P, size] of the pieces that begin every `every` frames of 10 ms."""
        ...


@dataclass(frozen=True)
class RenderingConfig:
    """Settings of the renderings.

    Attributes:
        speeds: playback speeds of training voices; others are heard as recorded.
        degraded: degraded renderings of each, in addition to the clean one.
        telephone, codec: probability of each.
        every: frames between the pieces that the teacher hears.
        seed: random seed.
        augment: rooms, noise, equalisers and level.
    """

    speeds: tuple[float, ...] = (0.84, 0.92, 1.0, 1.09, 1.19)
    degraded: int = 1
    telephone: float = 0.2
    codec: float = 0.4
    every: int = 80
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if 1.0 not in self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise UsageError(f"speeds {self.speeds}: 1 and others from 0.5 to 2")
        if self.degraded < 0 or self.every < 1:
            raise UsageError(f"degraded {self.degraded}, every {self.every}: not negative, and at least 1")


@dataclass(frozen=True)
class _Rendered:
    """One voice at one speed: frames float16 [T, 64] clean and degraded, all of one length; the teacher's vectors float16."""

    speed: float
    frames: list[NDArray[np.float16]]
    vectors: NDArray[np.float16]


@dataclass(frozen=True)
class _Shared:
    config: RenderingConfig
    teacher: Teacher
    noises: Sequence[Samples]
    rooms: Sequence[Samples]


@dataclass(frozen=True)
class Renderings:
    """Voices with the teacher's vectors, in a folder and mapped into memory.

    Rendering number r is voice `voice[r]` at speed `speed[r]`, its frames are `frames[start[r] : start[r] + length[r]]`, and
    `vectors[first[r] + p]` is of the piece that begins at its frame `every · p`.

    Attributes:
        about: `voices` (the attributes of `Voice`, the path by its name only), `every`, `piece` (frames), `key`.
        frames: float16 [N, 64].
        vectors: float16 [P, size].
        voice, start, length, first, pieces: int64 [R].
        speed: float64 [R].
        clean: bool [R].
    """

    about: dict[str, Any]
    frames: NDArray[np.float16]
    vectors: NDArray[np.float16]
    voice: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    first: NDArray[np.int64]
    pieces: NDArray[np.int64]
    speed: NDArray[np.float64]
    clean: NDArray[np.bool_]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a folder that `render` wrote.

        Raises:
            InputError: it is not one.
        """
        try:
            about = json.loads((folder / "renderings.json").read_text())
            with np.load(folder / "renderings.npz", allow_pickle=False) as table:
                columns = {name: table[name] for name in ("voice", "start", "length", "first", "pieces", "speed", "clean")}
            frames, vectors = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("frames", "vectors"))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder}: not a folder of rendered voices ({error})") from error
        return cls(about, frames, vectors, **columns)

    def of(self, split: str, *, clean: bool | None = None) -> NDArray[np.int64]:
        """Renderings of voices of a split; only the clean or the degraded ones, if `clean` is said."""
        chosen = np.array([voice["split"] == split for voice in self.about["voices"]])[self.voice]
        return np.flatnonzero(chosen if clean is None else chosen & (self.clean == clean))

    @property
    def provenance(self) -> list[str]:
        """What was learnt from, one line a set."""
        train = [voice for voice in self.about["voices"] if voice["split"] == "train"]
        sets = sorted({voice["corpus"] for voice in train})
        return [f"{name}: {sum(voice['corpus'] == name for voice in train)} voices" for name in sets]

    def targets(self, rendering: int, begin: int, end: int) -> Float32:
        """Mean of the teacher's vectors of the pieces that lie mostly within frames [begin, end) of a rendering."""
        every, piece = self.about["every"], self.about["piece"]
        count = int(self.pieces[rendering])
        middles = np.arange(count) * every + min(piece, int(self.length[rendering])) // 2
        inside = np.flatnonzero((middles >= begin) & (middles < end))
        if not len(inside):
            inside = np.array([int(np.argmin(np.abs(middles - (begin + end) / 2)))])
        rows = self.vectors[self.first[rendering] + inside]
        mean: Float32 = rows.astype(np.float32).mean(0)
        return mean


def render(
    voices: Sequence[Voice],
    teacher: Teacher,
    config: RenderingConfig,
    folder: Path,
    noises: Sequence[Samples] = (),
    rooms: Sequence[Samples] = (),
    *,
    key: str = "",
    workers: int = 1,
    stage: Stage = silent,
) -> Renderings:
    """Renders all voices into a folder; a folder of the same `key` is taken as it is.

    Args:
        key: digest of all that the renderings are made from.
        workers: number of processes; the result does not depend on it.

    Raises:
        InputError: there is no speech in any of them.
    """
    if (folder / "renderings.json").is_file() and json.loads((folder / "renderings.json").read_text())["key"] == key:
        return Renderings.load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    step = stage("voices", len(voices))
    rows: list[tuple[int, int, int, int, int, float, bool]] = []
    frames_written = vectors_written = 0
    with (folder / "frames.raw").open("wb") as frames_file, (folder / "vectors.raw").open("wb") as vectors_file:
        shared = _Shared(config, teacher, noises, rooms)
        for number, rendered in enumerate(parallel_map(render_voice, shared, list(voices), workers)):
            for one in rendered:
                for which, frames in enumerate(one.frames):
                    row = (number, frames_written, len(frames), vectors_written, len(one.vectors), one.speed, not which)
                    rows.append(row)
                    frames_file.write(frames.tobytes())
                    frames_written += len(frames)
                vectors_file.write(one.vectors.tobytes())
                vectors_written += len(one.vectors)
            step(voices[number].path.name)
    if not rows:
        raise InputError("there is no speech in any of the voices")
    _as_array(folder, "frames", (frames_written, 64))
    _as_array(folder, "vectors", (vectors_written, teacher.size))
    names = ("voice", "start", "length", "first", "pieces", "speed", "clean")
    columns = {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
    np.savez(folder / "renderings.npz", **columns)
    about = {
        "voices": [{**asdict(voice), "path": voice.path.name} for voice in voices],
        "every": config.every,
        "piece": teacher.piece // FRAME,
        "key": key,
    }
    (folder / "renderings.json").write_text(json.dumps(about))
    return Renderings.load(folder)


def render_voice(shared: _Shared, voice: Voice) -> list[_Rendered]:
    """The renderings of one voice; none where there is too little speech or the file cannot be read."""
    config = shared.config
    try:
        recorded = np.concatenate([np.empty(0, np.int16), *read_blocks(voice.path)])
    except InputError:
        return []
    found = []
    for speed in config.speeds if voice.split == "train" else (1.0,):
        sound = change_speed(recorded, speed)
        speech = _speech_ranges(sound)
        clean = _cut(sound, speech)
        if len(clean) < LEAST * FRAME:
            continue
        digest = hashlib.sha256(f"{config.seed} {voice.speaker} {voice.path.name} {speed}".encode()).digest()
        rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
        degraded = [_cut(_degrade(sound, rng, shared), speech) for _ in range(config.degraded)]
        frames = [log_mel(samples).astype(np.float16) for samples in (clean, *degraded)]
        found.append(_Rendered(speed, frames, shared.teacher.vectors(clean, config.every).astype(np.float16)))
    return found


def _degrade(sound: Samples, rng: np.random.Generator, shared: _Shared) -> Samples:
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
