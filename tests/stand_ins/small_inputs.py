"""A folder with small inputs for every verb: pairs, networks, a head and its population, speech, landmarks, a face model."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.conftest import SAMPLES
from tests.stand_ins.face_model_files import face, write_ict
from tests.stand_ins.small_head import small_head, small_population
from tests.stand_ins.small_pairs import small_pairs
from tests.stand_ins.small_results import write_results
from tests.stand_ins.small_voices import small_renderings
from voxface.runtime.face.png import png

ENCODER = {"channels": (8, 8, 8, 16)}
GENERATOR = {"channels": (16, 8, 8, 8, 8)}
STUDENT = {"coefficients": 2, "size": 40}


def write_small_inputs(folder: Path) -> Path:
    """Writes `pairs`, `encoder`, `mesh`, `face`, `expert`, `head.npz`, `population.npz`, `speech`, `marks.npz`, `ict`,
    `voices`, `teacher.pt`, `rendered`, `results`, `pictures` and `others`."""
    import torch

    from voxface.training.engine.trained_networks import save_networks
    from voxface.training.faces.camera import Pose
    from voxface.training.faces.fitting import LandmarkFitter
    from voxface.training.faces.population import FacePopulation
    from voxface.training.models import FaceGenerator, MeshRegressor, VoiceEncoder
    from voxface.training.models.experts.own import ImageToFace
    from voxface.training.voices.resemblyzer import Resemblyzer

    write_results(folder / "results")
    pairs = small_pairs()
    for name in ("pictures", "others"):
        (folder / name).mkdir()
    for i in range(4):
        for name, picture in zip(("pictures", "others"), pairs.pictures_of[i], strict=True):
            (folder / name / f"p{i}.png").write_bytes(png(pairs.pictures[int(picture)]))
    spread = np.stack([np.eye(2, dtype=np.float32) / 4] * 2)
    pairs = replace(pairs, population=FacePopulation(pairs.morphable.sex_means, spread))
    pairs.save(folder / "pairs")
    torch.manual_seed(0)
    encoder = VoiceEncoder(**ENCODER)
    save_networks(folder / "encoder", {"encoder": encoder}, {"encoder": ENCODER}, {})
    mesh, generator = {"mesh": MeshRegressor(2)}, {"face": FaceGenerator(**GENERATOR)}
    save_networks(folder / "mesh", mesh, {"mesh": {"coefficients": 2}}, {}, pairs, encoder=encoder)
    save_networks(folder / "face", generator, {"face": GENERATOR}, {}, pairs, encoder=encoder)
    save_networks(folder / "expert", {"expert": ImageToFace(**STUDENT)}, {"expert": STUDENT}, {}, pairs)

    head = small_head()
    head.save(folder / "head.npz")
    small_population(head).save(folder / "population.npz")
    pose = Pose.from_angles(np.zeros((2, 3)), np.full(2, 0.8), np.full((2, 2), 60.0))
    seen = LandmarkFitter(head).predict(np.zeros((2, head.modes)), pose)
    np.savez(folder / "marks.npz", names=np.array(["a", "b"]), landmarks2d=seen)

    for name, sample in zip(("ann", "bob"), SAMPLES, strict=True):
        (folder / "speech" / name).mkdir(parents=True)
        shutil.copy(sample, folder / "speech" / name / "one.flac")
    (folder / "speech" / "speakers.csv").write_text("speaker_id,sex\nann,F\nbob,M\n")
    write_ict(folder / "ict", face())
    small_renderings(folder / "room", speeds=(1.0,))
    (folder / "room" / "speech").rename(folder / "voices")
    (folder / "room" / "voices").rename(folder / "rendered")
    weights = {name: value for name, value in Resemblyzer().state_dict().items() if name != "filters"}
    torch.save({"model_state": weights}, folder / "teacher.pt")
    return folder
