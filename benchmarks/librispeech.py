"""The default bundle on every recording of real speech: what fails, and what the faces have to do with the voices.

    VOXFACE_SHARED=… python -m benchmarks.librispeech

Sex is read off the mesh and off the picture and compared with the speaker's, on speakers not used in training, beside the
trivial answers; intervals are 95 % Wilson (over speakers).
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import record
from voxface.runtime.errors import VoxfaceError
from voxface.runtime.mesh import boundary_edges
from voxface.runtime.voice_to_face import VoiceToFace
from voxface.training.evaluation.intervals import wilson
from voxface.training.speech import librispeech


def agreement(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """How often a prediction agrees with the speaker's sex; a speaker counts once, by most of the recordings."""
    speakers: dict[str, list[bool]] = {}
    for row in rows:
        speakers.setdefault(row["speaker"], []).append(row[key] == row["sex"])
    right = sum(np.mean(flags) > 0.5 for flags in speakers.values())
    low, high = wilson(int(right), len(speakers))
    men = np.mean([row["sex"] == "M" for row in rows])
    return {
        "recordings": float(np.mean([row[key] == row["sex"] for row in rows])),
        "speakers": right / len(speakers),
        "speakers_95": [low, high],
        "right_speakers": int(right),
        "all_speakers": len(speakers),
        "always_the_commoner_sex": float(max(men, 1 - men)),
    }


def main() -> None:
    """Runs every recording and records the result."""
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    recordings = librispeech(shared / "speech" / "librispeech")
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    with VoiceToFace() as voice_to_face:
        model = voice_to_face.morphable
        edges = boundary_edges(model.triangles)
        assert edges == model.boundary_edges
        for recording in recordings:
            try:
                speech, estimate = voice_to_face.estimate_file(recording.path)
            except VoxfaceError as error:
                failed.append(f"{recording.path.name}: {error}")
                continue
            finite = all(np.isfinite(x).all() for x in (estimate.embedding, estimate.coefficients, estimate.vertices))
            rows.append(
                {
                    "speaker": recording.speaker,
                    "sex": recording.sex,
                    "held_out": recording.held_out,
                    "finite": bool(finite),
                    "unit": bool(abs(np.linalg.norm(estimate.embedding) - 1) < 1e-5),
                    "mesh": "F" if estimate.attributes.sex["female"] > 0.5 else "M",
                    "image": estimate.image,
                    "embedding": estimate.embedding,
                    "confidence": estimate.confidence,
                    "measurements": estimate.measurements_mm,
                    "voiced_s": speech.voiced_seconds,
                }
            )
    training = [row for row in rows if not row["held_out"]]
    held_out = [row for row in rows if row["held_out"]]
    # Sex of a picture: nearer to the mean picture of the training women or men.
    means = {s: np.mean([r["image"].astype(float) for r in training if r["sex"] == s], axis=0) for s in "FM"}
    for row in rows:
        row["picture"] = min(means, key=lambda s: float(((row["image"] - means[s]) ** 2).sum()))
    measures = {}
    for name in ("face_width", "face_length", "jaw_width", "nose_length"):
        women, men = ([r["measurements"][name] for r in held_out if r["sex"] == s] for s in "FM")
        measures[name] = {"women_mm": float(np.mean(women)), "men_mm": float(np.mean(men))}
    between = float(np.abs(means["F"] - means["M"]).mean())
    embeddings = np.stack([row["embedding"] for row in held_out])
    names = np.array([row["speaker"] for row in held_out])
    cosine = embeddings @ embeddings.T
    upper = np.triu(np.ones_like(cosine, bool), 1)
    same = cosine[upper & (names[:, None] == names)]
    other = cosine[upper & (names[:, None] != names)]
    record(
        "librispeech",
        "python -m benchmarks.librispeech",
        {
            "recordings": len(recordings),
            "failed": len(failed),
            "failures": [message.replace(str(shared), "…") for message in failed],
            "not_finite": sum(not row["finite"] for row in rows),
            "not_unit_length": sum(not row["unit"] for row in rows),
            "boundary_edges": edges,
            "sex_of_mesh_held_out": agreement(held_out, "mesh"),
            "sex_of_picture_held_out": agreement(held_out, "picture"),
            "sex_of_mesh_training": agreement(training, "mesh"),
            "same_speaker_auc_held_out": float((same[:, None] > other).mean()),
            "measurements_held_out": measures,
            "mean_pictures_differ_by_levels_of_255": between,
            "confidence": {
                "p5": float(np.quantile([r["confidence"] for r in held_out], 0.05)),
                "p50": float(np.median([r["confidence"] for r in held_out])),
            },
        },
    )


if __name__ == "__main__":
    main()
