"""Confidence of noise, silence and music compared with that of speech, with the default bundle.

    VOXFACE_SHARED=… [VOXFACE_MUSIC=…] python -m benchmarks.confidence [--fit]

The weights of the speech modulation are fitted by `voxface.training.trainers.speech_modulation`, to speech of the training
speakers against synthetic noise and music. `--fit` prints the fit; that module's own command writes it into a bundle. The
reported numbers are of other speakers, the other rooms, real noises, other synthetic noises, and other clips of synthetic music
in the same styles. A sound in which the front end finds no speech counts as confidence 0. `VOXFACE_MUSIC` names a folder of
recorded music, with a folder for each source, which the fit does not use. The sources of the stored result are packages of
Debian and PyPI with these names.

How choices were made: candidate measures were first compared on all speakers and the four real noises. The final choices
were made on training speakers, synthetic sounds and the music of `CONSULTED`. The other two sources of music were measured
before and after a change to how the three parts of the confidence are combined; that change was not made for them.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import record
from voxface.runtime.audio.decode import SUFFIXES
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.features.speech import check_speech
from voxface.runtime.inference.confidence import agreement
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.training.data.sound_clips import (
    NOISES,
    SPEECH,
    Clip,
    read,
    scaled,
    silence,
    speech_clips,
    synthetic_noise,
    window,
)
from voxface.training.data.speech_corpus import librispeech
from voxface.training.data.synthetic_music import STYLES, music
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.measures.verification import auc
from voxface.training.trainers.speech_modulation import SpeechModulationFit, train

RECORDED: Final = "recorded music, "
CONSULTED: Final = ("arcade", "drascula-music", "pygame-ce", "singularity-music")


@dataclass(frozen=True)
class Heard:
    """The confidence of a clip, and what it was made from.

    Attributes:
        confidence: 0 where there was no speech for the front end.
        before: agreement and length alone, as it was before speech modulation was part of it.
        moves: whether there was a movement to measure.
    """

    kind: str
    source: str
    confidence: float
    before: float
    moves: bool


# -- what is heard ---------------------------------------------------------------------------------------------------------


def reported_clips(shared: Path, recorded: Path | None) -> Iterator[Clip]:
    """Clips to report on: speakers, rooms, noises and music that the fit has not seen."""
    rng = np.random.default_rng(90)
    noises = {path.stem: read(path) for path in sorted((shared / "noise").glob("*.wav"))}
    rooms = [read(shared / "rir" / f"rir{k}.wav") for k in (2, 3)]
    held_out = [r for r in librispeech(shared / "speech" / "librispeech") if r.held_out]
    yield from speech_clips(held_out, list(noises.values()), rooms, 2)
    for path in sorted((shared / "conformance").glob("*.wav")):
        yield Clip("interviews", path.stem, read(path))
    for name, noise in noises.items():
        for _ in range(12):
            yield Clip("real noise", name, scaled(window(noise, rng.uniform(4, 8), rng), rng.uniform(-45, -8)))
    for seed in range(1000, 1048):
        kind = NOISES[seed % len(NOISES)]
        yield Clip("synthetic noise", f"{kind}-{seed}", scaled(synthetic_noise(seed), rng.uniform(-45, -10)))
    for seed in range(20):
        yield Clip("silence", f"room-{seed}", silence(seed))
    for seed in range(1000, 1100):
        yield Clip("synthetic music", f"{STYLES[seed % len(STYLES)]}-{seed}", music(seed, rng.uniform(4, 8)))
    for folder in sorted(path for path in recorded.iterdir() if path.is_dir()) if recorded else []:
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
            whole = read(path)
            for _ in range(4):
                yield Clip(RECORDED + folder.name, path.stem, window(whole, rng.uniform(4, 8), rng))


def hear(face_estimator: FaceEstimator, clip: Clip) -> Heard:
    """Runs one clip."""
    speech = face_estimator.listen([clip.samples])
    try:
        check_speech(speech)
    except NoSpeechError:
        return Heard(clip.kind, clip.source, 0.0, 0.0, False)
    estimate = face_estimator.estimate(speech)
    settings = face_estimator.bundle.front_end
    features = network_input(speech.log_mel, settings.shortest, settings.normalisation)
    frame_embeddings = face_estimator._encode(features)[1]
    own = frame_embeddings[:, : max(1, min(frame_embeddings.shape[1], len(speech.log_mel) // STRIDE))]
    before = max(0.0, 2 * agreement(own) - 1) * speech.voiced_seconds / (speech.voiced_seconds + 1)
    return Heard(clip.kind, clip.source, estimate.confidence, before, speech.movement is not None)


# -- numbers ---------------------------------------------------------------------------------------------------------------


def fit_json(made: SpeechModulationFit) -> dict[str, Any]:
    """A fit as it is recorded."""
    weights = made.weights
    return {
        "centre": list(weights.centre),
        "weight": list(weights.weight),
        "bias": weights.bias,
        "clips": made.clips,
        "rejected": made.rejected,
    }


def separation(speech: Sequence[Heard], other: Sequence[Heard], name: str = "confidence") -> dict[str, Any]:
    """AUC of `name`, speech against other sounds, with a 95 % interval that draws speakers and sources anew."""
    sides = [np.array([getattr(h, name) for h in side]) for side in (speech, other)]
    sources = [[f"{h.kind}/{h.source}" if side is other else h.source for h in side] for side in (speech, other)]
    rng = np.random.default_rng(0)
    low, high = bootstrap(lambda one, two: auc(sides[0][one], sides[1][two]), *sources, rng=rng, rounds=500)
    return {"auc": auc(*sides), "auc_95": [low, high]}


def main() -> None:
    """Listens to everything and records the result, or prints a fit."""
    parser = argparse.ArgumentParser(description="Confidence of speech against noise, silence and music.")
    parser.add_argument("--fit", action="store_true", help="print the weights of the speech modulation instead")
    options = parser.parse_args()
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    recorded = Path(os.environ["VOXFACE_MUSIC"]) if "VOXFACE_MUSIC" in os.environ else None
    with FaceEstimator() as face_estimator:
        known = librispeech(shared / "speech" / "librispeech")
        fitted = fit_json(train(face_estimator.bundle, known, read(shared / "rir" / "rir1.wav")))
        print(fitted)
        if options.fit:
            return
        heard = [hear(face_estimator, clip) for clip in reported_clips(shared, recorded)]
    speech = [h for h in heard if h.kind in SPEECH]
    other = [h for h in heard if h.kind not in (*SPEECH, "interviews")]
    rows = {}
    for kind in dict.fromkeys(h.kind for h in heard):
        own = [h for h in heard if h.kind == kind]
        scores = np.array([h.confidence for h in own])
        rows[kind] = {
            "clips": len(own),
            "sources": len({h.source for h in own}),
            "rejected_by_the_front_end": sum(not h.moves for h in own),
            "confidence": dict(zip(("p5", "p50", "p95"), np.quantile(scores, [0.05, 0.5, 0.95]).tolist(), strict=True)),
        }
        if own[0] in other:
            rows[kind] |= separation(speech, own) | {"auc_of_agreement_alone": separation(speech, own, "before")["auc"]}
    groups = {
        "noise": [h for h in other if "noise" in h.kind],
        "silence": [h for h in other if h.kind == "silence"],
        "music": [h for h in other if "music" in h.kind],
        "recorded_music_not_consulted": [
            h for h in other if h.kind.startswith(RECORDED) and h.kind.removeprefix(RECORDED) not in CONSULTED
        ],
        "all": other,
    }
    record(
        "confidence",
        "VOXFACE_MUSIC=… python -m benchmarks.confidence" if recorded else "python -m benchmarks.confidence",
        {
            "speakers": len({h.source for h in speech}),
            "speech_clips": len(speech),
            "against": {
                name: separation(speech, group)
                | {"clips": len(group), "auc_of_agreement_alone": separation(speech, group, "before")["auc"]}
                for name, group in groups.items()
                if group
            },
            "kinds": rows,
            "fit": fitted,
        },
    )


if __name__ == "__main__":
    main()
