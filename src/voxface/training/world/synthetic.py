"""The synthetic world: voices and faces generated from known anatomy, so that the ground truth is known.

Person i of a seed does not depend on the number of people: traits, face, every utterance and every picture have random streams
of their own. Women and men alternate.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.resample import to_int16
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.pairs import Pairs, Person, rows_of
from voxface.training.data.pairs_folder import PairsWriter
from voxface.training.data.parallel_map import ONE_PROCESS, Engine, Stage, silent
from voxface.training.data.speech_corpus import voiced_samples
from voxface.training.data.voice_augmentation import AugmentConfig, augment
from voxface.training.faces.population import FacePopulation
from voxface.training.world.pictures import PersonRenderer, PictureConfig
from voxface.training.world.speaker import Speaker
from voxface.training.world.splits import split_by_turn
from voxface.training.world.synthetic_voice import synthesise
from voxface.training.world.voice_face_distribution import SYNTHETIC_NORMS, Sex, VoiceFaceDistribution, strong_coupling

VERSION: Final = 1
"""Version of the recipe; it is part of every random seed, so a new version gives other people."""

LIGHT_AUGMENTATION: Final = AugmentConfig(
    noise=0.5, room=0.0, equaliser=0.5, snr_db=(15.0, 40.0), gain_db=(-10.0, 5.0), tilt_db=(-4.0, 4.0)
)
"""The light augmentation of synthetic voices."""

SHORTEST: Final = 4_800
"""Least number of speech samples (0.3 s) in an utterance."""

# Random streams of a person.
_TRAITS, _FACE, _VOICE, _NOISE, _PICTURES = range(5)


@dataclass(frozen=True)
class SyntheticConfig:
    """Settings of a synthetic world.

    Attributes:
        people: number of people, women and men alternating; 60 % train, 15 % validation, 25 % test, evenly mixed.
        utterances: number of utterances of each person.
        seconds: length of an utterance, pauses included.
        coupling: correlation of the face's two scores with tract length and f0, 0 to 1 (`strong_coupling`).
        variants: number of augmented renderings of each utterance, in addition to the clean one.
        seed: random seed.
        augment: settings of the augmentation.
        pictures: settings of the pictures.
    """

    people: int
    utterances: int = 6
    seconds: float = 6.0
    coupling: float = 0.9
    variants: int = 1
    seed: int = 0
    augment: AugmentConfig = LIGHT_AUGMENTATION
    pictures: PictureConfig = field(default_factory=PictureConfig)

    def __post_init__(self) -> None:
        for what, wrong in {
            f"{self.people} people: at least 2": self.people < 2,
            f"{self.utterances} utterances: at least 1": self.utterances < 1,
            f"{self.seconds:g} s an utterance: 1 to 60": not 1 <= self.seconds <= 60,
            f"coupling {self.coupling:g}: 0 to 1": not 0 <= self.coupling <= 1,
            f"{self.variants} variants: not negative": self.variants < 0,
            f"seed {self.seed}: not negative": self.seed < 0,
        }.items():
            if wrong:
                raise UsageError(what)


@dataclass(frozen=True)
class SyntheticPerson:
    """One person of a synthetic world.

    Attributes:
        sex: "F" or "M".
        cues: true f0 in Hz and tract length in cm.
        coefficients: float32 [P], the face.
        expected: float32 [P], the mean face of all people with such a voice.
        voices: log-mel frames float16 [T, 64] of each utterance, first clean, then its variants.
        pictures: uint8 [K, H, W, 3].
    """

    sex: Sex
    cues: tuple[float, float]
    coefficients: NDArray[np.float32]
    expected: NDArray[np.float32]
    voices: list[list[NDArray[np.float16]]]
    pictures: NDArray[np.uint8]


def synthetic_world(
    config: SyntheticConfig,
    model: MorphableModel,
    population: FacePopulation,
    folder: Path,
    *,
    engine: Engine = ONE_PROCESS,
    stage: Stage = silent,
) -> Pairs:
    """Makes the world; the result does not depend on `engine`.

    Args:
        folder: the folder of pairs to write, empty or not there yet. Voices and pictures are in memory for a moment only.
        engine: what does the work.
        stage: called at the start of each stage with its name and number of steps.

    Raises:
        InputError: model and population do not fit each other, or the VAD finds hardly any speech in an utterance.
        ProviderError: Open3D, which renders the pictures, is not installed.
        OSError: the folder cannot be written.
    """
    distribution = VoiceFaceDistribution.from_population(
        model, population, strong_coupling(config.coupling), SYNTHETIC_NORMS
    )
    shared = (config, distribution, PersonRenderer.from_model(model, config.pictures))
    step = stage("people", config.people)
    made = []
    with PairsWriter(folder) as writer:
        for i, person in enumerate(engine(make_person, shared, range(config.people))):
            for u, renderings in enumerate(person.voices):
                for k, frames in enumerate(renderings):
                    writer.add_utterance(i, i * config.utterances + u, frames, clean=not k)
            writer.add_pictures(i, person.pictures)
            made.append(replace(person, voices=[], pictures=person.pictures[:0]))
            step(_name(i))
        writer.finish(
            kind="synthetic",
            about={
                "about": "synthetic people: voices by source and filter, faces drawn from population statistics and rendered; "
                "they show no real person, and their voices and faces go together far more closely than real ones do",
                "version": VERSION,
                "config": asdict(config),
                "coupling": asdict(distribution.coupling),
                "morphable_model": {"name": model.name, "version": model.version, "licence": model.licence},
            },
            people=rows_of([Person(_name(i), _name(i), each.sex, split_by_turn(i)) for i, each in enumerate(made)]),
            coefficients=np.stack([person.coefficients for person in made]),
            expected=np.stack([person.expected for person in made]),
            cues=np.array([person.cues for person in made], np.float32),
            morphable=model,
            population=population,
        )
    return Pairs.load(folder, verify=False)


def make_person(shared: tuple[SyntheticConfig, VoiceFaceDistribution, PersonRenderer], person: int) -> SyntheticPerson:
    """Makes person number `person`."""
    config, distribution, renderer = shared
    sex: Sex = "FM"[person % 2]  # type: ignore[assignment]

    def stream(*what: int) -> np.random.Generator:
        return np.random.default_rng([config.seed, VERSION, person, *what])

    speaker = Speaker.sample(stream(_TRAITS), "female" if sex == "F" else "male")
    cues = (speaker.f0_hz, speaker.vocal_tract_length_cm)
    face = distribution.draw(sex, *cues, stream(_FACE))
    voices = []
    for u in range(config.utterances):
        samples = voiced_samples(to_int16(synthesise(speaker, config.seconds, stream(_VOICE, u))))
        if len(samples) < SHORTEST:
            raise InputError(f"utterance {u} of {_name(person)} holds hardly any speech; ask for more seconds")
        renderings = [
            samples,
            *(augment(samples, stream(_NOISE, u, v), config.augment) for v in range(config.variants)),
        ]
        voices.append([log_mel(rendering).astype(np.float16) for rendering in renderings])
    pictures = renderer.render(face, (config.seed, VERSION, person, _PICTURES))
    return SyntheticPerson(sex, cues, face, distribution.expected(sex, *cues), voices, pictures)


def _name(person: int) -> str:
    return f"synthetic-{person:06d}"
