"""Whether noise, silence and music get a low confidence: the default bundle on speech and on what is none.

    VOXFACE_SHARED=… [VOXFACE_MUSIC=…] python -m benchmarks.confidence [--fit]

The likeness to speech is fitted (`--fit` prints it) to speakers of the training, in clean, noisy and short recordings and in
one room, against synthetic noise and music. Reported are other speakers, the other rooms, real noises and other synthetic
ones, and other clips of synthetic music, whose styles the fit has met; a sound without speech for the front end counts as
confidence 0. `VOXFACE_MUSIC` names a folder of recorded music, a folder a source, which the fit does not use; the sources of
the recorded result are Debian's and PyPI's packages of these names.

What has been looked at: candidates for what to measure were first compared on all speakers and the four real noises; the
final choices were made on training speakers, synthetic sounds and the music of `CONSULTED`. The other two sources of music were
heard before and after the way the three parts are put together was changed; that change was not made for them.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.music import STYLES, music
from benchmarks.record import record
from voxface.runtime.audio.decode import SUFFIXES, read_blocks
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.features.speech_modulation import SHORTEST, movement
from voxface.runtime.inference.confidence import agreement
from voxface.runtime.inference.face_estimator import FaceEstimator, check_speech
from voxface.training.data.speech_corpus import Recording, librispeech
from voxface.training.evaluation.intervals import bootstrap
from voxface.training.evaluation.verification import auc

Samples = NDArray[np.int16]
RATE: Final = 16_000
SNR_DB: Final = 10.0
NOISES: Final = ("white", "pink", "brown", "hum", "clicks", "waves")
RECORDED: Final = "recorded music, "
CONSULTED: Final = ("arcade", "drascula-music", "pygame-ce", "singularity-music")
SPEECH: Final = ("speech", "speech 2 to 4 s", "speech in noise", "speech in a room")


@dataclass(frozen=True)
class Clip:
    """A sound int16 [n] at 16 kHz; `source` is the speaker, file or style it comes from, `kind` the row of the table."""

    kind: str
    source: str
    samples: Samples


@dataclass(frozen=True)
class Heard:
    """What the runtime made of a clip.

    Attributes:
        confidence: 0 where there was no speech for the front end.
        before: agreement and length alone, as it was before the likeness to speech.
        movement: None where there was none to measure.
    """

    kind: str
    source: str
    confidence: float
    before: float
    movement: tuple[float, ...] | None


# -- sounds ----------------------------------------------------------------------------------------------------------------


def read(path: Path) -> Samples:
    """A whole file."""
    return np.concatenate(list(read_blocks(path)))


def window(samples: Samples, seconds: float, rng: np.random.Generator) -> Samples:
    """A random stretch; what is shorter is repeated."""
    count = int(seconds * RATE)
    start = int(rng.integers(max(1, len(samples) - count + 1)))
    return np.resize(samples[start : start + count], count)


def scaled(sound: NDArray[Any], decibels: float) -> Samples:
    """A sound at a level below full scale."""
    wave = sound.astype(np.float64)
    wave *= 32768 * 10 ** (decibels / 20) / (np.sqrt((wave**2).mean()) + 1e-9)
    return _int16(wave)


def noisy(samples: Samples, noise: NDArray[Any]) -> Samples:
    """Speech with noise `SNR_DB` below it."""
    speech, other = samples.astype(np.float64), np.resize(noise, len(samples)).astype(np.float64)
    ratio = np.sqrt((speech**2).mean() / ((other**2).mean() + 1e-9))
    return _int16(speech + other * ratio * 10 ** (-SNR_DB / 20))


def reverberant(samples: Samples, room: Samples) -> Samples:
    """Speech heard in a room."""
    response = room.astype(np.float64) / np.sqrt((room.astype(np.float64) ** 2).sum())
    size = 1 << (len(samples) + len(response)).bit_length()
    return _int16(np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[: len(samples)])


def synthetic_noise(seed: int) -> NDArray[np.float64]:
    """4 to 8 s of noise of kind `NOISES[seed % 6]`, float64 [n]."""
    rng = np.random.default_rng([seed, 50])
    count = int(rng.uniform(4, 8) * RATE)
    t, kind = np.arange(count) / RATE, NOISES[seed % len(NOISES)]
    if kind == "hum":
        mains = rng.choice([50, 60])
        tones = sum(rng.random() / k * np.sin(2 * np.pi * mains * k * t + 6 * rng.random()) for k in range(1, 25))
        return np.asarray(tones + 0.05 * rng.normal(size=count))
    if kind == "clicks":
        burst = rng.normal(size=800) * np.exp(-np.arange(800) / rng.uniform(30, 300))
        hits = (rng.random(count) < rng.uniform(1, 12) / RATE) * rng.normal(size=count)
        return np.convolve(hits, burst)[:count] + 1e-3 * rng.normal(size=count)
    slope = {"white": 0.0, "pink": 0.5, "brown": 1.0, "waves": float(rng.uniform(0, 0.7))}[kind]
    spectrum = np.fft.rfft(rng.normal(size=count)) / np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20) ** slope
    noise = np.fft.irfft(spectrum, count)
    return noise * (1 + np.sin(2 * np.pi * rng.uniform(0.5, 8) * t)) if kind == "waves" else noise


def silence(seed: int) -> Samples:
    """5 s of nothing, or of a quiet room: noise of up to three units, with or without mains hum."""
    rng = np.random.default_rng([seed, 60])
    hum = rng.choice([0.0, 4.0]) * np.sin(2 * np.pi * 50 * np.arange(5 * RATE) / RATE)
    return _int16((seed % 4 > 0) * (hum + rng.normal(0, rng.uniform(0.3, 3), 5 * RATE)))


def _int16(wave: NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


# -- what is heard ---------------------------------------------------------------------------------------------------------


def speech_clips(
    recordings: Sequence[Recording], noises: Sequence[NDArray[Any]], rooms: Sequence[Samples], seed: int
) -> Iterator[Clip]:
    """Every recording four times: as it is, 2 to 4 s of it, in noise, in a room."""
    rng = np.random.default_rng([seed, 70])
    for recording in recordings:
        samples = read(recording.path)
        noise, room = noises[int(rng.integers(len(noises)))], rooms[int(rng.integers(len(rooms)))]
        made = (
            samples,
            window(samples, min(rng.uniform(2, 4), len(samples) / RATE), rng),
            noisy(samples, window(noise.astype(np.float64), len(samples) / RATE, rng)),
            reverberant(samples, room),
        )
        yield from (Clip(kind, recording.speaker, sound) for kind, sound in zip(SPEECH, made, strict=True))


def calibration_clips(shared: Path) -> Iterator[Clip]:
    """Speakers of the training, synthetic noise and music; nothing that is reported."""
    rng = np.random.default_rng(80)
    noises = [synthetic_noise(seed) for seed in range(60)]
    known = [r for r in librispeech(shared / "speech" / "librispeech") if not r.held_out]
    yield from speech_clips(known, noises, [read(shared / "rir" / "rir1.wav")], 1)
    for seed, noise in enumerate(noises):
        yield Clip("synthetic noise", NOISES[seed % len(NOISES)], scaled(noise, rng.uniform(-45, -10)))
    for seed in range(200):
        yield Clip("synthetic music", STYLES[seed % len(STYLES)], music(seed, rng.uniform(4, 8)))


def reported_clips(shared: Path, recorded: Path | None) -> Iterator[Clip]:
    """Speakers, rooms, noises and music that the calibration has not met."""
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
        return Heard(clip.kind, clip.source, 0.0, 0.0, None)
    estimate = face_estimator.estimate(speech)
    features = network_input(speech.log_mel, face_estimator.bundle.front_end.shortest)
    frame_embeddings = face_estimator._encode(features)[1]
    own = frame_embeddings[:, : max(1, min(frame_embeddings.shape[1], len(speech.log_mel) // STRIDE))]
    before = max(0.0, 2 * agreement(own) - 1) * speech.voiced_seconds / (speech.voiced_seconds + 1)
    moved = astuple(movement(speech.log_mel)) if len(speech.log_mel) >= SHORTEST else None
    return Heard(clip.kind, clip.source, estimate.confidence, before, moved)


# -- numbers ---------------------------------------------------------------------------------------------------------------


def fit(heard: Sequence[Heard], penalty: float = 1.0) -> dict[str, Any]:
    """Logistic regression of speech against the rest on standardised `Movement`, both sides weighing as 100 clips."""
    rows = [h for h in heard if h.movement is not None]
    x = np.array([h.movement for h in rows])
    speech = np.array([h.kind in SPEECH for h in rows])
    centre, spread = x.mean(0), x.std(0)
    design = np.column_stack([(x - centre) / spread, np.ones(len(x))])
    weight = np.where(speech, 100 / speech.sum(), 100 / (~speech).sum())
    shrink = penalty * np.array([*[1.0] * x.shape[1], 0.0])
    beta = np.zeros(len(shrink))
    for _ in range(100):  # Newton
        p = 1 / (1 + np.exp(-design @ beta))
        slope = design.T @ (weight * (p - speech)) + shrink * beta
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag(shrink)
        beta -= np.linalg.solve(curve, slope)
    return {
        "centre": [round(float(v), 3) for v in centre],
        "weight": [round(float(v), 3) for v in beta[:-1] / spread],
        "bias": round(float(beta[-1]), 3),
        "clips": len(heard),
        "rejected": len(heard) - len(rows),
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
    parser.add_argument("--fit", action="store_true", help="print the likeness's coefficients instead")
    options = parser.parse_args()
    shared = Path(os.environ.get("VOXFACE_SHARED", Path(__file__).parent.parent / ".." / "shared" / "data"))
    recorded = Path(os.environ["VOXFACE_MUSIC"]) if "VOXFACE_MUSIC" in os.environ else None
    with FaceEstimator() as face_estimator:
        fitted = fit([hear(face_estimator, clip) for clip in calibration_clips(shared)])
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
            "rejected_by_the_front_end": sum(h.movement is None for h in own),
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
