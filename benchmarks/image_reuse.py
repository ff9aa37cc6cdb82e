"""Image reuse: how many images mode "incremental" reuses at each distance, and how far a reused image is from a new one.

    python -m benchmarks.image_reuse

Training speakers in mode "incremental", default bundle. Every image is computed here; the distances are applied afterwards
in the same way as in `FaceEstimator.decode`.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import IMAGE_REUSE_DISTANCE, LiveConfig
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.voice_to_face import VoiceToFace
from voxface.training.data.speech_corpus import librispeech

THRESHOLDS = (0.05, 0.1, IMAGE_REUSE_DISTANCE["incremental"], 0.2)
SPEAKERS = 24


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    paths = {r.speaker: r.path for r in librispeech(shared / "speech" / "librispeech") if not r.held_out}
    chosen = [paths[speaker] for speaker in sorted(paths)[:: max(1, len(paths) // SPEAKERS)]][:SPEAKERS]
    with VoiceToFace() as voice_to_face:
        streams = [_estimates(voice_to_face, path) for path in chosen]
    rows = {f"{image_reuse_distance:g}": _reused(streams, image_reuse_distance) for image_reuse_distance in THRESHOLDS}
    record(
        "image_reuse",
        "python -m benchmarks.image_reuse",
        {"speakers": len(streams), "threshold": IMAGE_REUSE_DISTANCE["incremental"], "distances": rows},
    )


def _estimates(voice_to_face: VoiceToFace, path: Path) -> list[Estimate]:
    config = LiveConfig(mode="incremental", image_reuse_distance=0.0, detect_speaker_change=False)
    session = voice_to_face.live_session(config)
    events = session.feed(np.concatenate(list(read_blocks(path)))) + session.finish()
    return [event.estimate for event in events if isinstance(event, FaceEstimated)]


def _reused(streams: list[list[Estimate]], image_reuse_distance: float) -> dict[str, Any]:
    levels, decibels, count = [], [], 0
    for estimates in streams:
        shown: Estimate | None = None
        for estimate in estimates:
            count += 1
            if shown is None or float(np.linalg.norm(estimate.embedding - shown.embedding)) > image_reuse_distance:
                shown = estimate
                continue
            off = shown.image.astype(np.float64) - estimate.image
            levels.append(float(np.abs(off).mean()))
            decibels.append(float(10 * np.log10(255**2 / max((off**2).mean(), 1e-4))))
    if not levels:
        return {"estimates": count, "kept": 0.0}
    return {
        "estimates": count,
        "kept": round(len(levels) / count, 3),
        "levels_of_255": {"mean": round(float(np.mean(levels)), 3), "worst": round(max(levels), 3)},
        "psnr_db": {"median": round(float(np.median(decibels)), 1), "worst": round(min(decibels), 1)},
    }


if __name__ == "__main__":
    main()
