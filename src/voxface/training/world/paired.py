"""The paired world: real voices, each with a face drawn from the population given the cues of the voice.

Every speaker at every speed is a person of their own: played faster, a voice has a shorter tract and a higher pitch, like a
smaller speaker's. Validation and test speakers are used as recorded, at speed 1 without augmentation. The faces show no real
person.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, NoSpeechError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.pairs import Pairs, Person, Split, rows_of
from voxface.training.data.pairs_folder import PairsWriter
from voxface.training.data.parallel_map import ONE_PROCESS, Engine, Stage, silent
from voxface.training.data.speech_corpus import (
    LIBRISPEECH,
    LIBRISPEECH_CITATION,
    Corpus,
    LeftOut,
    Recording,
    voiced_audio,
)
from voxface.training.data.voice_augmentation import AugmentConfig, augment, change_speed
from voxface.training.faces.population import FacePopulation
from voxface.training.world.pictures import PersonRenderer, PictureConfig
from voxface.training.world.splits import corpus_splits
from voxface.training.world.voice_cues import VoiceCues, measure_voice_cues
from voxface.training.world.voice_face_distribution import PUBLISHED_COUPLING, CueNorms, Sex, VoiceFaceDistribution

VERSION: Final = 1
"""Version of the recipe; it is part of every random seed, so a new version gives other faces."""

SHORTEST: Final = 4_800
"""Least number of speech samples (0.3 s) in a recording."""

# Random streams of a person.
_FACE, _PICTURES = range(2)


@dataclass(frozen=True)
class PairedConfig:
    """Settings of a paired world.

    Attributes:
        speeds: playback speeds; each makes one person of every training speaker.
        variants: number of augmented renderings of each recording at each speed, in addition to the clean one.
        seed: random seed.
        augment: settings of the augmentation.
        pictures: settings of the pictures.
    """

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    variants: int = 2
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    pictures: PictureConfig = field(default_factory=PictureConfig)

    def __post_init__(self) -> None:
        for what, wrong in {
            f"speeds {self.speeds}: different ones, 0.5 to 2": (
                not self.speeds
                or len(set(self.speeds)) < len(self.speeds)
                or not all(0.5 <= speed <= 2 for speed in self.speeds)
            ),
            f"{self.variants} variants: not negative": self.variants < 0,
            f"seed {self.seed}: not negative": self.seed < 0,
        }.items():
            if wrong:
                raise UsageError(what)


@dataclass(frozen=True)
class RenderedVoices:
    """Renderings of one recording.

    Attributes:
        cues: cues of the recording at speed 1; None if they cannot be measured.
        voices: log-mel frames float16 [T, 64] by speed, first clean, then each variant.
    """

    cues: VoiceCues | None
    voices: dict[float, list[NDArray[np.float16]]]


@dataclass(frozen=True)
class _SharedSounds:
    """Settings and sounds that the processes which render recordings share."""

    config: PairedConfig
    noises: Sequence[NDArray[np.int16]]
    rooms: Sequence[NDArray[np.int16]]


def paired_world(
    corpora: Sequence[Corpus],
    config: PairedConfig,
    model: MorphableModel,
    population: FacePopulation,
    folder: Path,
    noises: Sequence[NDArray[np.int16]] = (),
    rooms: Sequence[NDArray[np.int16]] = (),
    *,
    engine: Engine = ONE_PROCESS,
    stage: Stage = silent,
) -> tuple[Pairs, tuple[LeftOut, ...]]:
    """Makes the world; a person's face depends on the seed, their name and voice, and the speakers' spread of cues.

    Args:
        corpora: recordings, of different names.
        folder: the folder of pairs to write, empty or not there yet. Voices and pictures are in memory for a moment only.
        noises, rooms: noises and room responses int16 [n] at 16 kHz, for augmentation.
        engine: what does the work; the result does not depend on it.
        stage: called at the start of each stage with its name and number of steps.

    Returns:
        The pairs, and the files left out (by a corpus, as unreadable, or without speech), which are also listed in
        `about["left_out"]`.

    Raises:
        InputError: nothing in the corpora can be used, or model and population do not fit each other.
        UsageError: two corpora have one name, or it has control characters.
        ProviderError: Open3D, which renders the pictures, is not installed.
        OSError: the folder cannot be written.
    """
    names = [corpus.name for corpus in corpora]
    if len(set(names)) < len(names) or not "".join(names).isprintable():
        raise UsageError(f"folders of speech are told apart by their names, and these are called {names}")
    renderer = PersonRenderer.from_model(model, config.pictures)
    recordings = [(corpus, recording) for corpus in corpora for recording in corpus.recordings]
    splits = {corpus.name: corpus_splits(corpus) for corpus in corpora}
    step = stage("recordings", len(recordings))
    items = [
        (recording, config.speeds if splits[corpus.name][recording.speaker] == "train" else None)
        for corpus, recording in recordings
    ]
    left_out = [left for corpus in corpora for left in corpus.left_out]
    heard: dict[tuple[str, str], list[VoiceCues | None]] = {}
    people: dict[tuple[str, str, float], int] = {}
    utterances = 0
    with PairsWriter(folder) as writer:
        for (corpus, recording), result in zip(
            recordings,
            engine(render_recording, _SharedSounds(config, noises, rooms), items),
            strict=True,
        ):
            step(recording.path.name)
            if isinstance(result, LeftOut):
                left_out.append(LeftOut(corpus.within(recording.path), result.reason, result.exit_code))
                continue
            heard.setdefault((corpus.name, recording.speaker), []).append(result.cues)
            for speed, renderings in result.voices.items():
                person = people.setdefault((corpus.name, recording.speaker, speed), len(people))
                for k, frames in enumerate(renderings):
                    writer.add_utterance(person, utterances, frames, clean=not k)
                utterances += 1
        if not heard:
            raise InputError(
                f"{', '.join(str(corpus.folder) for corpus in corpora)}: no recording can be used; {left_out[0].file}: "
                f"{left_out[0].reason}" + (f"; and {len(left_out) - 1} more" if len(left_out) > 1 else "")
            )
        sexes = {(corpus.name, name): sex for corpus in corpora for name, sex in corpus.sexes.items()}
        cues = {of: _mean_cues(own) for of, own in heard.items()}
        known = [(sexes[of], cue) for of, cue in cues.items() if cue is not None and splits[of[0]][of[1]] == "train"]
        distribution = VoiceFaceDistribution.from_population(
            model, population, PUBLISHED_COUPLING, CueNorms.from_voices(known)
        )
        planned = [
            _plan_person(corpus, name, sexes[corpus, name], splits[corpus][name], cues[corpus, name], speed)
            for corpus, name, speed in people
        ]
        step = stage("people", len(planned))
        faces, expected = [], []
        for number, (face, mean, pictures) in enumerate(
            engine(render_person, (config.seed, distribution, renderer), planned)
        ):
            faces.append(face)
            expected.append(mean)
            writer.add_pictures(number, pictures)
            step(planned[number].person.name)
        writer.finish(
            kind="paired",
            about={
                "about": "real voices paired with faces drawn from population statistics given what a voice is known to carry "
                "(sex; a little size); they show no real person, least of all the speaker",
                "version": VERSION,
                "config": asdict(config),
                "coupling": asdict(PUBLISHED_COUPLING),
                "cue_norms": asdict(distribution.norms),
                "corpus": " and ".join(names),
                "speech": "; ".join(_credit(corpus) for corpus in corpora),
                "recordings": sum(map(len, heard.values())),
                "noises": len(noises),
                "rooms": len(rooms),
                "left_out": [{"file": left.file, "reason": left.reason} for left in left_out],
                "morphable_model": {"name": model.name, "version": model.version, "licence": model.licence},
            },
            people=rows_of([planned_person.person for planned_person in planned]),
            coefficients=np.stack(faces),
            expected=np.stack(expected),
            cues=np.array([planned_person.cues for planned_person in planned], np.float32),
            morphable=model,
            population=population,
        )
    return Pairs.load(folder, verify=False), tuple(left_out)


@dataclass(frozen=True)
class PlannedPerson:
    """A person of the world before their face is drawn.

    Attributes:
        person: name, speaker, sex and split.
        cues: f0 in Hz and tract length in cm at the speed that the recordings are played at; NaN if unknown.
    """

    person: Person
    cues: tuple[float, float]


def _credit(corpus: Corpus) -> str:
    """Whose speech it is, and its licence."""
    if corpus.name == LIBRISPEECH:
        return LIBRISPEECH_CITATION
    return ", ".join(corpus.sets) or f"{corpus.name}: its licence is for you to know"


def _plan_person(corpus: str, name: str, sex: Sex, split: Split, cues: VoiceCues | None, speed: float) -> PlannedPerson:
    """The person that a speaker with these mean cues is at a speed."""
    whole = f"{corpus}-{name}"
    at_speed = (np.nan, np.nan) if cues is None else (cues.f0_hz * speed, cues.tract_cm / speed)
    return PlannedPerson(Person(whole + (f"@{speed:g}" if speed != 1 else ""), whole, sex, split), at_speed)


def render_recording(
    shared: _SharedSounds, item: tuple[Recording, tuple[float, ...] | None]
) -> RenderedVoices | LeftOut:
    """Reads a recording and renders it at the given speeds, or unchanged without any (None)."""
    recording, speeds = item
    try:
        samples = voiced_audio(recording.path)
        if len(samples) < SHORTEST:
            raise NoSpeechError(f"{len(samples) / 16_000:.2f} s of speech in it, {SHORTEST / 16_000:g} needed")
    except (InputError, NoSpeechError) as error:
        return LeftOut("", str(error).removeprefix(f"{recording.path}: "), error.exit_code)
    try:
        cues = measure_voice_cues(samples)
    except ValueError:
        cues = None
    voices = {}
    for speed in speeds or (1.0,):
        quick = change_speed(samples, speed)
        renderings = [quick]
        for variant in range(shared.config.variants if speeds else 0):
            rng = np.random.default_rng(
                [
                    shared.config.seed,
                    VERSION,
                    *_number(recording.speaker, recording.path.name),
                    round(1000 * speed),
                    variant,
                ]
            )
            renderings.append(augment(quick, rng, shared.config.augment, shared.noises, shared.rooms))
        voices[speed] = [log_mel(rendering).astype(np.float16) for rendering in renderings]
    return RenderedVoices(cues, voices)


def render_person(
    shared: tuple[int, VoiceFaceDistribution, PersonRenderer], planned_person: PlannedPerson
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """A person's face and the mean face of all people with such a voice (coefficients float32 [P]), and their pictures."""
    seed, distribution, renderer = shared
    sex: Sex = planned_person.person.sex
    own = (seed, VERSION, *_number(planned_person.person.name))
    face = distribution.draw(sex, *planned_person.cues, np.random.default_rng([*own, _FACE]))
    return face, distribution.expected(sex, *planned_person.cues), renderer.render(face, (*own, _PICTURES))


def _mean_cues(cues: Sequence[VoiceCues | None]) -> VoiceCues | None:
    """Mean cues of a speaker's recordings; None if no recording has any."""
    known = [cue for cue in cues if cue is not None]
    if not known:
        return None
    return VoiceCues(float(np.mean([c.f0_hz for c in known])), float(np.mean([c.tract_cm for c in known])))


def _number(*words: str) -> tuple[int, int]:
    """Two numbers for a random seed, derived from words by SHA-256."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")
