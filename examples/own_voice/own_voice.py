"""From a folder of recordings and photographs to faces from a voice: prepare, train, export, run.

    python examples/own_voice/own_voice.py FOLDER [--quick]

Without people at hand the folder is filled first: with synthetic voices, and renders that stand for photographs. Put your own
in the same places (`voices/NAME/*.wav`, `photos/NAME/*.jpg`, `people.csv`), and name what finds landmarks in your photographs
instead of the `.pts` files beside these (docs/fitting.md). Every command is printed, so that you can run it yourself.

`--quick` takes a minute and learns nothing; without it, it takes an hour on two cores. What a few dozen synthetic people teach
is worth little too: see docs/training.md for how many real ones it takes.
"""

import argparse
import csv
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from voxface.runtime.bundle.bundle import Bundle
from voxface.training.faces.appearance import Appearance
from voxface.training.faces.face_set import draw, picture_camera, picture_pose
from voxface.training.faces.fitting import LandmarkFitter
from voxface.training.faces.population import FacePopulation
from voxface.training.faces.render import ambient_visibility
from voxface.training.world.speaker import Speaker
from voxface.training.world.synthetic_voice import synthesise

PIXELS = 160


def make_people(folder: Path, count: int, seconds: float) -> None:
    """Fills the folder: three recordings and two pictures of each person, with their landmarks beside them."""
    bundle = Bundle.open()
    model, population = bundle.morphable, FacePopulation.load(bundle.path / "population.npz")
    camera, occlusion = picture_camera(PIXELS), ambient_visibility(model.mean, model.triangles)
    fitter = LandmarkFitter(model, camera)
    lines = [("person", "sex")]
    for number in range(count):
        rng = np.random.default_rng([7, number])
        name, sex = f"person{number:03d}", number % 2
        lines.append((name, "FM"[sex]))
        voices, photos = folder / "voices" / name, folder / "photos" / name
        voices.mkdir(parents=True)
        photos.mkdir(parents=True)
        speaker = Speaker.sample(rng, ("female", "male")[sex])
        for k in range(3):
            soundfile.write(voices / f"{k}.wav", synthesise(speaker, seconds, rng), 16_000)
        face = np.zeros((1, model.modes), np.float32)
        spread = np.linalg.cholesky(population.covariance[sex])
        known = population.mean.shape[1]
        face[0, :known] = population.mean[sex] + spread @ rng.normal(size=known)
        for k in range(2):
            pose = picture_pose(rng.uniform(-12, 12, (1, 3)), camera)
            seen = draw(model, model.vertices(face)[0], pose, PIXELS, Appearance.sample(rng), occlusion)
            Image.fromarray(seen).save(photos / f"{k}.png")
            points = "\n".join(f"{x:.3f} {y:.3f}" for x, y in fitter.predict(face, pose)[0] + 1)
            (photos / f"{k}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{points}\n}}\n")
    with (folder / "people.csv").open("w", newline="") as table:
        csv.writer(table).writerows(lines)


def voxface(*words: str | Path) -> None:
    """Runs a command of voxface, and ends with its exit code if that is not 0."""
    print(f"\n$ voxface {shlex.join(map(str, words))}", flush=True)
    done = subprocess.run([sys.executable, "-m", "voxface", *map(str, words)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="where the data are, or are to be")
    parser.add_argument("--quick", action="store_true", help="few people, few steps")
    options = parser.parse_args()
    data: Path = options.folder
    if not (data / "voices").is_dir():
        print(f"{data}: no people here; some are made", flush=True)
        make_people(data, 12 if options.quick else 60, 2.5 if options.quick else 6.0)
    quick = ["--quick"] if options.quick else []
    pairs, runs = data / "pairs", data / "runs"
    people = ["--voices", data / "voices", "--photos", data / "photos", "--people", data / "people.csv"]
    voxface("data", "prepare", *people, "--detector", "pts", "--out", pairs)
    voxface("train", "voice-encoder", "--data", pairs, "--out", runs / "encoder", *quick)
    learnt = ["--data", pairs, "--encoder", runs / "encoder"]
    voxface("train", "mesh", *learnt, "--out", runs / "mesh", *quick)
    voxface("train", "portrait", *learnt, "--mesh", runs / "mesh", "--out", runs / "portrait", *quick)
    bundle = data / "mine.voxface"
    voxface("export", runs / "encoder", runs / "mesh", runs / "portrait", "--out", bundle)
    clip = sorted((data / "voices").rglob("*.wav"))[0]
    voxface("run", clip, "--bundle", bundle, "--out", data / "faces")
    print(f"\n{data / 'faces' / 'report.html'} shows the face; {bundle} is yours.")


if __name__ == "__main__":
    main()
