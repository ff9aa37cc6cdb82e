"""The default bundle on every recording of real speech: how many fail, and how often the face has the speaker's sex.

    VOXFACE_SHARED=… python -m benchmarks.librispeech

The sex of the mesh and of the image is compared with the speaker's, on speakers not used in training, and with trivial
answers; intervals are 95 % Wilson (over speakers).
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.errors import VoxfaceError
from voxface.runtime.face.mesh import boundary_edges
from voxface.runtime.voice_to_face import VoiceToFace
from voxface.training.data.speech_corpus import librispeech
from voxface.training.evaluation.measures.intervals import bootstrap, wilson
from voxface.training.evaluation.measures.verification import auc


def agreement(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """Rate at which a prediction agrees with the speaker's sex; a speaker counts once, by most of the recordings."""
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


def sureness(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Quality of the probability of sex.

    Mean -log of the probability of the speaker's own sex, a speaker counting once; and how often the likelier sex is right
    if its probability is 95 % or more.
    """
    own = np.array([row["female"] if row["sex"] == "F" else 1 - row["female"] for row in rows])
    names = np.array([row["speaker"] for row in rows])
    surprise = [float(-np.log(np.clip(own[names == name], 1e-9, 1)).mean()) for name in np.unique(names)]
    sure = np.maximum(own, 1 - own) >= 0.95
    return {
        "log_loss": float(np.mean(surprise)),
        "log_loss_of_a_coin": float(np.log(2)),
        "recordings_at_95_percent_or_more": int(sure.sum()),
        "right_of_these": int((own[sure] > 0.5).sum()),
    }


def same_speaker_auc(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """AUC of "one speaker" by the cosine of two recordings' embeddings; chance is 0.5."""
    embeddings = np.stack([row["embedding"] for row in rows])
    names = np.array([row["speaker"] for row in rows])
    cosine = embeddings @ embeddings.T

    def of(drawn: NDArray[np.int64]) -> float:
        one, other = np.triu_indices(len(drawn), 1)
        one, other = drawn[one], drawn[other]
        same, kept = names[one] == names[other], one != other
        same, different = cosine[one, other][same & kept], cosine[one, other][~same]
        return auc(same, different) if len(same) and len(different) else float("nan")

    low, high = bootstrap(of, names, rng=np.random.default_rng(0))
    counts = np.unique(names, return_counts=True)[1]
    return {
        "auc": of(np.arange(len(rows))),
        "auc_95": [low, high],
        "chance": 0.5,
        "speakers": len(counts),
        "speakers_with_several_recordings": int((counts > 1).sum()),
        "recordings_of_these": int(counts[counts > 1].sum()),
    }


def steadiness(rows: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """RMS difference of two faces of one speaker's recordings, beside that of two speakers."""
    values = np.stack([row[what].reshape(-1).astype(np.float32) for row in rows])
    names = np.array([row["speaker"] for row in rows])
    squares = (values**2).mean(1)
    distance = np.maximum(squares[:, None] + squares - 2 * (values @ values.T) / values.shape[1], 0)
    one, other = np.triu_indices(len(rows), 1)
    same = names[one] == names[other]
    within, between = (float(np.sqrt(distance[one, other][of].mean())) for of in (same, ~same))
    return {"within_speakers": within, "between_speakers": between, "ratio": between / within}


def main() -> None:
    """Runs every recording and records the result."""
    no_options(__doc__)
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
                    "female": estimate.attributes.sex["female"],
                    "image": estimate.image,
                    "vertices": estimate.vertices,
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
            "sex_probability_held_out": sureness(held_out),
            "same_speaker_held_out": same_speaker_auc(held_out),
            "faces_of_one_speaker_held_out": {what: steadiness(held_out, what) for what in ("vertices", "image")},
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
