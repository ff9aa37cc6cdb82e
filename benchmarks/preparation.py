"""Throughput of `voxface data prepare --voices --photos`, beside a plain script, in turns on one core.

    python -m benchmarks.preparation

Speech: recordings to log-mel frames of their speech; the plain script is the papers' way in numpy, frame by frame, behind the
same WebRTC VAD. Photographs: real ones to aligned pictures with landmarks; the plain script runs the same two networks by ONNX
Runtime, with one crop where ours takes the mean of four. Fits: landmarks to faces, all at once and one call a face. Two cores:
photographs by two processes, as many as `prepare` runs there, and fits by two threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import soundfile
import webrtcvad
from numpy.typing import NDArray
from PIL import Image

from benchmarks.interleave import Neighbours, take_turns
from benchmarks.options import no_options
from benchmarks.papers_pipeline import log_mel_by_frame
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.features.log_mel import log_mel
from voxface.training.data.speech_corpus import voiced_audio
from voxface.training.faces.aligned_picture import Template
from voxface.training.faces.camera import Pose
from voxface.training.faces.fitting import LandmarkFitter
from voxface.training.faces.landmark_noise import fit_with_noise
from voxface.training.faces.picture_landmarks import read_picture
from voxface.training.own_data.photographs import DetectorChoice, Seen, look_at
from voxface.training.own_data.pictures import Picture

ROUNDS: Final = 7
RECORDINGS: Final = 12
FITS: Final = 512
ALONE: Final = 48


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    clips = sorted((shared / "speech" / "librispeech").rglob("*.flac"))[:RECORDINGS]
    seconds = sum(soundfile.info(clip).duration for clip in clips)
    photos = sorted((shared / "real" / "photos").glob("*.png"))
    graph = shared / "real" / "faceapi" / "faceapi68.onnx"
    faces = shared / "real" / "ultra_light_face" / "version-RFB-320.onnx"
    model = Bundle.open().morphable
    fitter = LandmarkFitter(model)
    rng = np.random.default_rng(0)
    pose = Pose.from_angles(rng.uniform(-20, 20, (FITS, 3)), np.ones(FITS), np.full((FITS, 2), 100.0))
    places = fitter.predict(rng.normal(size=(FITS, model.modes)), pose) + rng.normal(0, 2, (FITS, 68, 2))
    plain = _Plain(graph, faces)
    look = partial(_photographs, photos, graph, faces)

    work: dict[str, tuple[float, Callable[[], object]]] = {
        "speech": (seconds, lambda: [log_mel(voiced_audio(clip)) for clip in clips]),
        "speech, plain": (seconds, lambda: [log_mel_by_frame(_speech(clip)) for clip in clips]),
        "photographs": (len(photos), look),
        "photographs, two cores": (
            2 * len(photos),
            lambda: [done.result() for done in [two.submit(look) for _ in "ab"]],
        ),
        "photographs, plain": (len(photos), lambda: [plain.look_at(photo) for photo in photos]),
        "fits": (FITS, lambda: fit_with_noise(fitter, places)),
        "fits, two cores": (FITS, lambda: fit_with_noise(fitter, places, workers=2)),
        "fits, one a call": (ALONE, lambda: [fit_with_noise(fitter, places[k : k + 1]) for k in range(ALONE)]),
    }
    with ProcessPoolExecutor(2, get_context("spawn")) as two, Neighbours() as neighbours:
        times = take_turns({name: do for name, (_, do) in work.items()}, ROUNDS, warm_up=1)
    measured = {name: 1000 * work[name][0] / float(np.median(taken)) for name, taken in times.items()}
    record(
        "preparation",
        "python -m benchmarks.preparation",
        {"a_second": measured, "rounds": ROUNDS, **neighbours.to_json()},
        ("numpy", "onnxruntime"),
    )


def _photographs(photos: list[Path], graph: Path, faces: Path) -> None:
    """Aligns the face of each."""
    detector, template = _eyes(graph, faces)
    for photo in photos:
        seen = look_at(Picture(photo, 0, "", read_picture(photo)), detector)
        assert isinstance(seen, Seen)
        template.align(seen.picture, seen.landmarks)


@cache
def _eyes(graph: Path, faces: Path) -> tuple[DetectorChoice, Template]:
    """What finds faces and aligns them, once in each process."""
    return DetectorChoice(f"onnx:{graph}", faces), Template.of_model(Bundle.open().morphable)


def _speech(clip: Path) -> NDArray[np.int16]:
    """The voiced 20 ms frames of a clip."""
    samples = soundfile.read(clip, dtype="int16")[0]
    vad = webrtcvad.Vad(2)
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    return frames[[vad.is_speech(frame.tobytes(), 16_000) for frame in frames]].ravel()


class _Plain:
    """Detection and landmarks as a script would do them."""

    def __init__(self, graph: Path, faces: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        self._faces, self._marks = (
            onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            for file in (faces, graph)
        )

    def look_at(self, photo: Path) -> NDArray[np.float32]:
        """Landmarks [68, 2] of the likeliest face."""
        image = Image.open(photo).convert("RGB")
        small = np.asarray(image.resize((320, 240)), np.float32)
        scores, boxes = self._faces.run(None, {"input": ((small - 127) / 128).transpose(2, 0, 1)[None]})
        left, top, right, bottom = boxes[0, scores[0, :, 1].argmax()] * np.array(image.size * 2)
        side = max(right - left, bottom - top)
        x, y = (left + right - side) / 2, (top + bottom - side) / 2
        crop = np.asarray(image.crop((int(x), int(y), int(x + side), int(y + side))).resize((112, 112)), np.float32)
        marks = self._marks.run(None, {"input": crop.transpose(2, 0, 1)[None] / 255})[0].reshape(68, 2)
        return np.asarray(marks * side + [x, y], np.float32)


if __name__ == "__main__":
    main()
