"""How much a voice tells about a face in both training worlds, and how accurately the cues of a voice can be measured.

    VOXFACE_SHARED=… python -m benchmarks.worlds

Faces are drawn given true cues. The conditional mean, which no method can beat on average, is compared with the mean face
of the sex and with the mean face of everyone, in the ratios of the ARE metric and in the mesh. Cues are measured on synthetic
voices, where they are known, and on both halves of real recordings (speakers that are not held out).
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.audio.resample import to_int16
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.speech_corpus import corpus, voiced_audio, voiced_samples
from voxface.training.faces.are_metric import anatomical_pairs, are_ratios
from voxface.training.faces.population import FacePopulation
from voxface.training.world.speaker import Speaker
from voxface.training.world.synthetic_voice import synthesise
from voxface.training.world.voice_cues import measure_voice_cues
from voxface.training.world.voice_face_distribution import (
    PUBLISHED_COUPLING,
    SYNTHETIC_NORMS,
    Coupling,
    VoiceFaceDistribution,
    strong_coupling,
)

FACES = 2000
VOICES = 60
SECONDS = 6.0


def ratios(model: MorphableModel, faces: NDArray[np.float32]) -> NDArray[np.float64]:
    """ARE ratios float64 [S, 4] of coefficients float32 [S, P]."""
    pairs = anatomical_pairs(model.landmarks)
    vertices = sorted({vertex for pair in pairs.values() for vertex in pair})
    renumbered = {name: (vertices.index(a), vertices.index(b)) for name, (a, b) in pairs.items()}
    places = model.mean[vertices] + np.tensordot(faces, model.basis[:, vertices], 1)
    return np.array([list(are_ratios(place, renumbered).values()) for place in places])


def predictable(model: MorphableModel, population: FacePopulation, coupling: Coupling) -> dict[str, Any]:
    """Share of the faces of a world that is predictable from the true cues."""
    distribution = VoiceFaceDistribution.from_population(model, population, coupling, SYNTHETIC_NORMS)
    rng = np.random.default_rng(20221)
    everyone = population.mean.mean(0)
    flat = model.basis[: len(everyone)].reshape(len(everyone), -1).astype(np.float64)
    metric = flat @ flat.T  # squared millimetres over the mesh
    names = [name for name in anatomical_pairs(model.landmarks) if name != "outer_interocular"]
    report: dict[str, Any] = {}
    for sex, word in (("F", "female"), ("M", "male")):
        speakers = [Speaker.sample(rng, word) for _ in range(FACES)]  # type: ignore[arg-type]
        cues = [(speaker.f0_hz, speaker.vocal_tract_length_cm) for speaker in speakers]
        truth = np.stack([distribution.draw(sex, *cue, rng) for cue in cues])  # type: ignore[arg-type]
        told = np.stack([distribution.expected(sex, *cue) for cue in cues])  # type: ignore[arg-type]
        plain = distribution.expected(sex, np.nan, np.nan)[None]  # type: ignore[arg-type]
        anyone = np.pad(everyone, (0, model.modes - len(everyone)))[None].astype(np.float32)
        real = ratios(model, truth)
        errors = {
            key: np.abs(ratios(model, faces) - real) / real
            for key, faces in (("told", told), ("sex", plain), ("anyone", anyone))
        }
        left = ((real - ratios(model, told)) ** 2).mean(0) / real.var(0)

        def squared(faces: NDArray[np.float32]) -> float:
            identity = faces[:, : len(everyone)].astype(np.float64)
            return float(np.einsum("sk,kl,sl->s", identity, metric, identity).mean())

        z = np.array([SYNTHETIC_NORMS.deviations(sex, *cue) for cue in cues])  # type: ignore[arg-type]
        index = "FM".index(sex)
        scores = (truth[:, : len(everyone)] - population.mean[index]) @ distribution.directions[index].T
        report[word] = {
            "correlation": {
                "tract": float(np.corrcoef(z[:, 0], scores[:, 0])[0, 1]),
                "f0": float(np.corrcoef(z[:, 1], scores[:, 1])[0, 1]),
            },
            "share_of_ratio_variance": dict(zip(names, (1 - left).tolist(), strict=True)),
            "share_of_ratio_variance_mean": float((1 - left).mean()),
            "share_of_mesh_variance": 1 - squared(truth - told) / squared(truth - plain),
            "share_of_coefficient_variance": 1 - float(((truth - told) ** 2).sum() / ((truth - plain) ** 2).sum()),
            "mean_are": {key: float(error.mean()) for key, error in errors.items()},
        }
    are = {key: float(np.mean([row["mean_are"][key] for row in report.values()])) for key in ("told", "sex", "anyone")}
    return report | {"mean_are": are, "below_mean_face_per_sex": 1 - are["told"] / are["sex"]}


def heard() -> dict[str, Any]:
    """True voice cues of synthetic speakers, beside those measured on one of their utterances."""
    report = {}
    for word in ("female", "male"):
        true, measured = [], []
        for k in range(VOICES):
            rng = np.random.default_rng([20222, k, word == "male"])
            speaker = Speaker.sample(rng, word)
            cues = measure_voice_cues(voiced_samples(to_int16(synthesise(speaker, SECONDS, rng))))
            true.append((speaker.vocal_tract_length_cm, speaker.f0_hz))
            measured.append((cues.tract_cm, cues.f0_hz))
        a, b = np.array(true), np.array(measured)
        report[word] = {
            name: {
                "correlation": float(np.corrcoef(a[:, k], b[:, k])[0, 1]),
                "true_mean": float(a[:, k].mean()),
                "measured_mean": float(b[:, k].mean()),
            }
            for k, name in enumerate(("tract_cm", "f0_hz"))
        }
    return report


def heard_twice(shared: Path) -> dict[str, Any]:
    """Cues of the first and the second half of real recordings, beside each other within each sex."""
    halves: dict[str, list[list[tuple[float, float]]]] = {"F": [], "M": []}
    unmeasured = 0
    for recording in corpus(shared / "speech" / "librispeech").recordings:
        if recording.held_out:
            continue
        samples = voiced_audio(recording.path)
        try:
            both = [measure_voice_cues(part) for part in np.array_split(samples, 2)]
        except ValueError:
            unmeasured += 1
            continue
        halves[recording.sex].append([(cues.tract_cm, cues.f0_hz) for cues in both])
    report: dict[str, Any] = {"unmeasured": unmeasured}
    for sex, word in (("F", "female"), ("M", "male")):
        values = np.array(halves[sex])
        report[word] = {"recordings": len(values)} | {
            name: {
                "correlation": float(np.corrcoef(values[:, :, k].T)[0, 1]),
                "mean": float(values[:, :, k].mean()),
                "sd": float(values[:, :, k].mean(1).std()),
            }
            for k, name in enumerate(("tract_cm", "f0_hz"))
        }
    return report


def main() -> None:
    """Measures both worlds."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    bundle = Bundle.open()
    model = bundle.morphable
    population = FacePopulation.from_bytes(bundle.files[bundle.manifest.population.file])
    record(
        "worlds",
        "VOXFACE_SHARED=… python -m benchmarks.worlds",
        {
            "model": f"{model.name} {model.version}",
            "faces_per_sex": FACES,
            "worlds": {
                coupling.name: predictable(model, population, coupling)
                for coupling in (PUBLISHED_COUPLING, strong_coupling(0.5), strong_coupling())
            },
            "cues_heard": {"voices_per_sex": VOICES, "seconds": SECONDS, **heard()},
            "cues_heard_twice": heard_twice(shared),
        },
        packages=("numpy",),
    )


if __name__ == "__main__":
    main()
