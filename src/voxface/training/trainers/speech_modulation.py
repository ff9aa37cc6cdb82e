"""Fits the weights of the speech modulation, which tell speech from music and noise, and writes them into a bundle.

    python -m voxface.training.trainers.speech_modulation --speech LIBRISPEECH --room ROOM.wav [--bundle IN] --out OUT

A logistic regression on the movement of spectra (`voxface.runtime.features.speech_modulation`), fitted to training speakers, in
clean, noisy and short recordings and in one room, against synthetic noise and music. It takes some minutes on one core.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import MovementEntry, SpeechModulationEntry
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.front_end import listen
from voxface.runtime.features.speech import check_speech
from voxface.training.data.sound_clips import NOISES, SPEECH, Clip, Samples, read, scaled, speech_clips, synthetic_noise
from voxface.training.data.speech_corpus import LIBRISPEECH_CITATION, Recording, librispeech
from voxface.training.data.synthetic_music import STYLES, music
from voxface.training.trainers.part_command import part_parser, write_part

TRAINED_ON: Final = (
    f"training speakers of {LIBRISPEECH_CITATION}: clean, cut short, in noise and in a room",
    "synthetic noise and music",
)


@dataclass(frozen=True)
class SpeechModulationFit:
    """Fitted weights, and how many clips there were and how many of them had nothing to measure."""

    weights: SpeechModulationWeights
    clips: int
    rejected: int


def training_clips(recordings: Sequence[Recording], room: Samples) -> Iterator[Clip]:
    """The clips that the weights are fitted to.

    Args:
        recordings: of the speakers of the training.
        room: impulse response int16 [n] at 16 kHz.
    """
    rng = np.random.default_rng(80)
    noises = [synthetic_noise(seed) for seed in range(60)]
    yield from speech_clips(recordings, noises, [room], 1)
    for seed, noise in enumerate(noises):
        yield Clip("synthetic noise", NOISES[seed % len(NOISES)], scaled(noise, rng.uniform(-45, -10)))
    for seed in range(200):
        yield Clip("synthetic music", STYLES[seed % len(STYLES)], music(seed, rng.uniform(4, 8)))


def measured(clip: Clip, front_end: FrontEndConfig, vad: VadConfig) -> Movement | None:
    """The movement of a clip's spectrum; None if the front end finds no speech in it, or too little to measure."""
    speech = listen([clip.samples], front_end, vad)
    try:
        check_speech(speech)
    except NoSpeechError:
        return None
    return speech.movement


def fit(found: Sequence[tuple[str, Movement | None]], penalty: float = 1.0) -> SpeechModulationFit:
    """Logistic regression of speech against the rest on standardised movement, both sides weighing as 100 clips.

    Args:
        found: kind of each clip, see `voxface.training.data.sound_clips.Clip`, and how it moves.
        penalty: of squared weights.
    """
    rows = [(kind, movement) for kind, movement in found if movement is not None]
    x = np.array([(movement.change, movement.syllables) for _, movement in rows])
    speech = np.array([kind in SPEECH for kind, _ in rows])
    centre, spread = x.mean(0), x.std(0)
    design = np.column_stack([(x - centre) / spread, np.ones(len(x))])
    weight = np.where(speech, 100 / speech.sum(), 100 / (~speech).sum())
    shrink = penalty * np.array([*[1.0] * x.shape[1], 0.0])
    beta = np.zeros(len(shrink))
    for _ in range(100):  # Newton
        p = 1 / (1 + np.exp(-design @ beta))
        slope = design.T @ (weight * (p - speech)) + shrink * beta
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(shrink)
        beta -= np.linalg.solve(curve, slope)
    weights = SpeechModulationWeights(_movement(centre), _movement(beta[:-1] / spread), round(float(beta[-1]), 3))
    return SpeechModulationFit(weights, len(found), len(found) - len(rows))


def train(bundle: Bundle, recordings: Sequence[Recording], room: Samples) -> SpeechModulationFit:
    """Fits the weights for a bundle's front end and VAD.

    Args:
        bundle: the bundle.
        recordings: of known speakers; those that are held out are left out.
        room: impulse response int16 [n] at 16 kHz.
    """
    known = [recording for recording in recordings if not recording.held_out]
    return fit([(clip.kind, measured(clip, bundle.front_end, bundle.vad)) for clip in training_clips(known, room)])


def with_speech_modulation(bundle: Bundle, weights: SpeechModulationWeights, trained_on: tuple[str, ...]) -> Bundle:
    """The bundle, in memory, with these weights."""
    entry = SpeechModulationEntry(
        centre=MovementEntry.from_movement(weights.centre),
        weight=MovementEntry.from_movement(weights.weight),
        bias=weights.bias,
        trained_on=trained_on,
    )
    return bundle.replacing(speech_modulation=entry)


def _movement(values: NDArray[np.float64]) -> Movement:
    change, syllables = (round(float(value), 3) for value in values)
    return Movement(change, syllables)


def main() -> int:
    """The command line."""
    parser = part_parser("speech_modulation", __doc__)
    parser.add_argument("--speech", type=Path, required=True, help="folder of LibriSpeech")
    parser.add_argument("--room", type=Path, required=True, help="impulse response of a room, a sound file")
    options = parser.parse_args()

    def made(bundle: Bundle) -> tuple[Bundle, str]:
        found = train(bundle, librispeech(options.speech), read(options.room))
        said = f"{found.weights}, from {found.clips} clips, {found.rejected} of them without speech to measure"
        return with_speech_modulation(bundle, found.weights, TRAINED_ON), said

    return write_part(options, made)


if __name__ == "__main__":
    sys.exit(main())
