"""Some voices with a teacher that hears how high each piece is."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from voxface.training.voices.listing import voices
from voxface.training.voices.rendering import RenderingConfig, render
from voxface.training.voices.renderings import Renderings


@dataclass(frozen=True)
class PitchTeacher:
    """Vectors of four numbers: how periodic a piece is at lags of a man's voice and of a woman's.

    A brightness would not do: the encoder's input is normalised in every band, so it never hears one.
    """

    name: str = "stand-in (pitch)"
    size: int = 4
    piece: int = 8_000

    def vectors(self, samples: NDArray[np.int16], every: int) -> NDArray[np.float32]:
        """Unit vectors float32 [P, 4] of the pieces that begin every `every` frames."""
        sound = np.resize(samples, max(len(samples), self.piece)).astype(np.float64)
        rows = []
        for begin in range(0, len(sound) - self.piece + 1, 160 * every):
            power = np.abs(np.fft.rfft(sound[begin : begin + self.piece], 2 * self.piece)) ** 2
            lags = np.fft.irfft(power)
            peaks = [
                np.maximum(lags[low:high], 0).max() / lags[0]
                for low, high in ((45, 62), (62, 85), (85, 120), (120, 170))
            ]
            rows.append(np.array(peaks) ** 4 / np.linalg.norm(np.array(peaks) ** 4))
        return np.asarray(rows, np.float32)


def speech_folder(folder: Path, speakers: int = 8) -> Path:
    """Pieces of two real recordings, each under a name of its own, with a table of labels; odd ones are of the second."""
    folder.mkdir(parents=True)
    sounds = [soundfile.read(sample, dtype="int16")[0] for sample in SAMPLES]
    with (folder / "speakers.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["speaker_id", "file", "set", "sex", "age", "language"])
        for number in range(speakers):
            sound = sounds[number % 2]
            begin = (number // 2) * 8_000
            soundfile.write(folder / f"s{number}.wav", sound[begin : begin + 40_000], 16_000)
            writer.writerow(
                [f"s{number}", f"s{number}.wav", "small", "FM"[number % 2], ["", "23", "teens"][number % 3], "en"]
            )
    return folder


def small_renderings(folder: Path, **settings: object) -> Renderings:
    """Rendered voices in a folder."""
    listed = voices(speech_folder(folder / "speech"))
    config = RenderingConfig(**{"speeds": (1.0, 1.1), "every": 20, **settings})  # type: ignore[arg-type]
    render(listed, PitchTeacher(), config, folder / "voices")
    return Renderings.load(folder / "voices")
