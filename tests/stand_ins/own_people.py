"""People with recordings and photographs in folders, and a network that finds the same face in every picture."""

from pathlib import Path

import numpy as np
import soundfile

from tests.conftest import SAMPLES
from tests.stand_ins.landmark_networks import write_graph
from tests.stand_ins.small_head import small_head
from voxface.runtime.face.png import png
from voxface.training.faces.camera import Pose
from voxface.training.faces.fitting import LandmarkFitter

HEAD = small_head()
SPEECH = [soundfile.read(sample, dtype="int16")[0] for sample in SAMPLES]


def voxceleb(folder: Path) -> tuple[Path, Path, Path]:
    """Three speakers as VoxCeleb has them, photographs as VGGFace, and the table that joins them."""
    wav, photos, table = folder / "wav", folder / "VGGFace", folder / "vox1_meta.csv"
    lines = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    for number, (name, sex) in enumerate([("Ada_L", "f"), ("Carl_G", "m"), ("Zoe_Z", "f")]):
        lines.append(f"id1000{number}\t{name}\t{sex}\tNowhere\t{'test' if number else 'dev'}")
        for video in ("abc", "xyz"):
            for k in range(2):
                path = wav / f"id1000{number}" / video / f"0000{k}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                begin = 8_000 * (number + (video == "xyz")) + 4_000 * k
                soundfile.write(path, SPEECH[number % 2][begin : begin + 32_000], 16_000)
        (photos / name).mkdir(parents=True)
        for k in range(2):
            picture = np.random.default_rng([number, k]).integers(0, 256, (60, 60, 3), np.uint8)
            (photos / name / f"{k:08d}.png").write_bytes(png(picture))
    (photos / "Nobody").mkdir()
    (photos / "Nobody" / "0.png").write_bytes(png(np.zeros((9, 9, 3), np.uint8)))
    table.write_text("\n".join(lines))
    return wav, photos, table


def many_people(folder: Path, count: int) -> tuple[Path, Path, Path]:
    """A recording and a photograph each of so many people, of the same name in both folders, and their table."""
    lines = ["person,sex"]
    for number in range(count):
        name = f"person{number:02d}"
        lines.append(f"{name},{'FM'[number % 2]}")
        for kind in ("voices", "photos"):
            (folder / kind / name).mkdir(parents=True)
        begin = 1_000 * number
        soundfile.write(folder / "voices" / name / "a.wav", SPEECH[number % 2][begin : begin + 32_000], 16_000)
        picture = np.random.default_rng([9, number]).integers(0, 256, (60, 60, 3), np.uint8)
        (folder / "photos" / name / "a.png").write_bytes(png(picture))
    (folder / "people.csv").write_text("\n".join(lines))
    return folder / "voices", folder / "photos", folder / "people.csv"


def landmark_graph(file: Path, pose: Pose) -> Path:
    landmarks = LandmarkFitter(HEAD).predict(np.zeros((1, HEAD.modes)), pose)[0]
    return write_graph(file, (landmarks / 60).reshape(1, 136), shape=(1, 3, 60, 60))
