"""How often noise, silence and music get a face, and how often speech gets none: in a live session, and as a file or array.

    VOXFACE_SHARED=… python -m benchmarks.no_face

*Windows* of 5 s. Live, a window counts as having a face if any estimate is made in it. Each has a session of its own, so no
window profits from earlier sound. The same windows are judged as whole sounds, as `voxface run` and `VoiceToFace.estimate`
judge them. Real noises are played at their own level and at three others. Speech is of the speakers held out from the bundle's
training, as it is and at 10 dB above the real noises. The gate's threshold was set on training speakers in synthetic noise and
on synthetic music, and raised once after a first run of this benchmark (0.72 let 7 % of the music pass). The reported music has
seeds that neither of the two used, in the same ten styles.

*Lengths*: sounds of 1 to 10 s as whole sounds, two random cuts of every recording of held-out speakers and of speakers of two
other corpora; intervals draw speakers anew.

*Mixtures*: 4 s of each held-out speaker before, after and between 10 s of music or noise.

*Thresholds* of `--min-confidence`: speech of validation speakers, alone and at 10 dB in synthetic noise, against synthetic
noise and music. The default was chosen here.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import MIN_CONFIDENCE
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import FaceEstimated, NoFace, VoiceStarted
from voxface.runtime.live.session import LiveSession
from voxface.training.data.sound_clips import noisy, read, scaled, silence, synthetic_noise, window
from voxface.training.data.speech_corpus import VALIDATION, Recording, librispeech
from voxface.training.data.synthetic_music import STYLES, music
from voxface.training.evaluation.measures.intervals import bootstrap, wilson
from voxface.training.trainers.speaker_change_streams import StubEstimate

SECONDS: Final = 5
LENGTHS: Final = (1, 1.5, 2, 3, 5, 10)
THRESHOLDS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
CORPORA: Final = (
    "commonvoice61",
    "speechocean762",
)  # 59 languages; English of Mandarin speakers, half of them children
Samples = NDArray[np.int16]


class NoDecoders:
    """An estimator without networks: the session decides before it whether there is a face."""

    speech_modulation = Bundle.open().speech_modulation
    speaker_change = None

    def estimate(self, speech: Speech, before: Any = None, image_reuse_distance: float = 0.0, *, timer: Any) -> Any:
        """A placeholder, which the benchmark counts."""
        return StubEstimate(np.ones((64, 8), np.float32))


def heard_live(samples: Samples) -> tuple[float, list[str]]:
    """Seconds from the first voice of a window to its face, NaN for none; and the reasons given for no face."""
    session = LiveSession(NoDecoders())
    events = session.feed(samples) + session.finish()
    voice = next((e.start for e in events if isinstance(e, VoiceStarted)), 0)
    face = next((e.position for e in events if isinstance(e, FaceEstimated)), None)
    return np.nan if face is None else (face - voice) / SAMPLE_RATE, [e.reason for e in events if isinstance(e, NoFace)]


class Whole:
    """Judges whole sounds, as `voxface run` does."""

    def __init__(self, face_estimator: FaceEstimator) -> None:
        self._face_estimator = face_estimator

    def __call__(self, samples: Samples) -> float | str:
        """The confidence of the face of a sound, whatever it is; or the reason why it gets none."""
        try:
            return self._face_estimator.face_of_sound(self._face_estimator.listen([samples]), 0.0)[1].confidence
        except NoSpeechError as error:
            return str(error.reason)

    def part(self, samples: Samples, start: int, end: int) -> float:
        """Which share of the speech that a face is made of lies within [start, end); NaN if there is no face."""
        try:
            speech, _ = self._face_estimator.face_of_sound(self._face_estimator.listen([samples]))
        except NoSpeechError:
            return np.nan
        inside = sum(max(0, min(b, end) - max(a, start)) for a, b in speech.segments)
        return inside / speech.voiced_samples


def has_face(judged: float | str, least: float = MIN_CONFIDENCE) -> bool:
    """Whether a sound gets a face at this least confidence."""
    return not isinstance(judged, str) and judged >= least


def share(hits: Sequence[bool], sources: Sequence[str]) -> dict[str, Any]:
    """A share with its interval over sources (speakers); where all or none are hits, Wilson's for so many sources."""
    found, own = np.array(hits, np.float64), len(set(sources))
    if 0 < found.sum() < len(found):
        interval = bootstrap(lambda rows: float(found[rows].mean()), sources, rng=np.random.default_rng(0))
    else:
        interval = wilson(own if found.all() else 0, own)
    return {
        "count": int(found.sum()),
        "of": len(found),
        "sources": own,
        "share": float(found.mean()),
        "interval_95": list(interval),
    }


# -- sounds ----------------------------------------------------------------------------------------------------------------


@cache
def recording(path: Path) -> Samples:
    """A whole recording, decoded once."""
    return read(path)


def cuts(recordings: Sequence[tuple[str, Path]], seconds: float, each: int, seed: int) -> Iterator[tuple[str, Samples]]:
    """Random stretches of those recordings that are long enough, with their speakers."""
    rng = np.random.default_rng([seed, round(10 * seconds)])
    for speaker, path in recordings:
        whole = recording(path)
        if len(whole) >= seconds * SAMPLE_RATE:
            yield from ((speaker, window(whole, seconds, rng)) for _ in range(each))


def many(shared: Path, corpus: str, count: int) -> list[tuple[str, Path]]:
    """Speakers of one corpus of `speech/many`, drawn at random."""
    folder = shared / "speech" / "many"
    with (folder / "speakers.csv").open() as table:
        rows = [(row["speaker_id"], folder / row["file"]) for row in csv.DictReader(table) if row["set"] == corpus]
    chosen = np.random.default_rng(5).permutation(len(rows))[:count]
    return [rows[k] for k in sorted(chosen)]


def other(seconds: float, seed: int, noises: Sequence[Samples] = ()) -> dict[str, list[tuple[str, Samples]]]:
    """Music and noise, each with its style, file or kind; `noises`: recorded ones."""
    rng = np.random.default_rng([seed, 9])
    count = round(seconds * SAMPLE_RATE)
    sounds = {
        "music": [(STYLES[k % len(STYLES)], music(k, seconds)) for k in range(seed, seed + 60)],
        "synthetic noise": [
            (str(k % 6), scaled(np.resize(synthetic_noise(k), count), rng.uniform(-45, -10)))
            for k in range(seed, seed + 36)
        ],
    }
    if noises:
        sounds["noise"] = [
            (str(k), scaled(window(noise, seconds, rng), rng.uniform(-40, -10)))
            for k, noise in enumerate(noises)
            for _ in range(6)
        ]
    return sounds


# -- measurements ----------------------------------------------------------------------------------------------------------


def windows_of_5_s(whole: Whole, speech: Sequence[Recording], noises: dict[str, Samples]) -> dict[str, Any]:
    """Windows of each kind, live and whole."""
    rng = np.random.default_rng(6)
    size = SECONDS * SAMPLE_RATE
    windows: dict[str, list[Samples]] = {name: [] for name in ("noise", "synthetic noise", "silence", "music")}
    for noise in noises.values():
        for at in range(0, len(noise) - size + 1, size):
            part = noise[at : at + size]
            windows["noise"] += [part, *(scaled(part, level) for level in (-40, -25, -12))]
    for seed in range(1000, 1060):
        windows["synthetic noise"].append(scaled(np.resize(synthetic_noise(seed), size), rng.uniform(-45, -10)))
    windows["silence"] = [silence(seed) for seed in range(100, 140)]
    windows["music"] = [music(seed, SECONDS) for seed in range(7000, 7000 + 20 * len(STYLES))]
    clean = [window(read(r.path), SECONDS, rng) for r in speech]
    names = list(noises)
    parts = [window(noises[names[int(rng.integers(len(names)))]].astype(float), SECONDS, rng) for _ in clean]
    windows["speech"] = clean
    windows["speech at 10 dB"] = [noisy(voice, noise) for voice, noise in zip(clean, parts, strict=True)]
    rows: dict[str, Any] = {}
    for kind, sounds in windows.items():
        found = [heard_live(sound) for sound in sounds]
        waits = np.array([wait for wait, _ in found])
        faces = int(np.isfinite(waits).sum())
        judged = [whole(sound) for sound in sounds]
        of_whole = sum(map(has_face, judged))
        rows[kind] = {
            "windows": len(found),
            "with_a_face": faces,
            "share": faces / len(found),
            "interval_95": list(wilson(faces, len(found))),
            "within_1_3_s_of_the_voice": int((waits <= 1.3).sum()),
            "reasons": dict(Counter(reason for _, reasons in found for reason in reasons).most_common()),
            "whole": {
                "with_a_face": of_whole,
                "share": of_whole / len(found),
                "interval_95": list(wilson(of_whole, len(found))),
                "reasons": dict(Counter(each for each in judged if isinstance(each, str)).most_common()),
                "as_live": sum(
                    has_face(one) == bool(np.isfinite(wait)) for one, wait in zip(judged, waits, strict=True)
                ),
            },
        }
    return rows


def lengths(whole: Whole, speech: dict[str, list[tuple[str, Path]]], noises: Sequence[Samples]) -> dict[str, Any]:
    """Speech that is refused, and other sound that is not, by length."""
    rows: dict[str, Any] = {}
    for seconds in LENGTHS:
        rng = np.random.default_rng([17, round(10 * seconds)])
        row: dict[str, Any] = {"refused": {}, "accepted": {}}

        def refused(name: str, sounds: Sequence[tuple[str, Samples]], row: dict[str, Any] = row) -> None:
            judged = [whole(sound) for _, sound in sounds]
            row["refused"][name] = share([not has_face(each) for each in judged], [who for who, _ in sounds])
            row["refused"][name]["reasons"] = dict(
                Counter(each for each in judged if isinstance(each, str)).most_common()
            )

        for name, recordings in speech.items():
            found = list(cuts(recordings, seconds, 2, 11))
            refused(name, found)
            if name == "held out":
                for decibels in (10, 5):
                    picked = [noises[int(rng.integers(len(noises)))].astype(float) for _ in found]
                    mixed = [
                        (who, noisy(sound, window(noise, seconds, rng), decibels))
                        for (who, sound), noise in zip(found[::2], picked[::2], strict=True)
                    ]
                    refused(f"{name}, at {decibels} dB", mixed)
        for name, sounds in other(seconds, 5000, noises).items():
            row["accepted"][name] = share([has_face(whole(sound)) for _, sound in sounds], [what for what, _ in sounds])
        rows[f"{seconds:g}"] = row
    long = {f"{seconds} s": [(STYLES[k % 10], music(k, seconds)) for k in range(5000, 5020)] for seconds in (30, 60)}
    rows["long music"] = {
        name: share([has_face(whole(sound)) for _, sound in sounds], [what for what, _ in sounds])
        for name, sounds in long.items()
    }
    return rows


def mixtures(whole: Whole, recordings: Sequence[tuple[str, Path]], noises: Sequence[Samples]) -> dict[str, Any]:
    """Speech of 4 s beside other sound: how often it is heard, and which share of what the face is made of is speech."""
    around: dict[str, Callable[[int], Samples]] = {
        "music": lambda k: music(6000 + k, 10),
        "noise": lambda k: scaled(window(noises[k % len(noises)], 10, np.random.default_rng(k)), -25),
    }
    rows: dict[str, Any] = {}
    for name, make in around.items():
        for place in ("before", "after", "between"):
            heard, parts, who = [], [], []
            for k, (speaker, voice) in enumerate(cuts(recordings, 4, 1, 12)):
                one, two = make(2 * k), make(2 * k + 1)
                before = {"before": [], "after": [one], "between": [one]}[place]
                after = {"before": [one], "after": [], "between": [two]}[place]
                at = sum(map(len, before))
                found = whole.part(np.concatenate([*before, voice, *after]), at, at + len(voice))
                heard.append(bool(np.isfinite(found)))
                parts.append(found)
                who.append(speaker)
            rows[f"speech {place} {name}"] = {**share(heard, who), "speech_in_face": float(np.nanmean(parts))}
    return rows


def thresholds(whole: Whole, recordings: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    """What each least confidence refuses of the speech of validation speakers, and leaves of other sound."""
    speech: dict[str, list[tuple[str, float | str]]] = {"speech": [], "speech at 10 dB": []}
    rest: dict[str, list[tuple[str, float | str]]] = {}
    for seconds in (1, 2, 3, 5, 8):
        for k, (who, sound) in enumerate(cuts(recordings, seconds, 2, 13)):
            speech["speech"].append((who, whole(sound)))
            speech["speech at 10 dB"].append((who, whole(noisy(sound, synthetic_noise(200 + k)))))
        for name, sounds in other(seconds, 400).items():
            rest.setdefault(name, []).extend((what, whole(sound)) for what, sound in sounds)
    return {
        f"{least:g}": {
            "refused": {
                name: share([not has_face(each, least) for _, each in judged], [who for who, _ in judged])
                for name, judged in speech.items()
            },
            "accepted": {
                name: share([has_face(each, least) for _, each in judged], [what for what, _ in judged])
                for name, judged in rest.items()
            },
        }
        for least in THRESHOLDS
    }


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    noises = {path.stem: read(path) for path in sorted((shared / "noise").glob("*.wav"))}
    known = librispeech(shared / "speech" / "librispeech")
    held_out = [r for r in known if r.held_out]
    speech = {
        "held out": [(r.speaker, r.path) for r in held_out],
        **{corpus: many(shared, corpus, 60) for corpus in CORPORA},
    }
    validation = [(r.speaker, r.path) for r in known if r.speaker in VALIDATION]
    with FaceEstimator(threads=1) as face_estimator:
        whole = Whole(face_estimator)
        measured = {
            "seconds": SECONDS,
            "kinds": windows_of_5_s(whole, held_out, noises),
            "min_confidence": MIN_CONFIDENCE,
            "thresholds": thresholds(whole, validation),
            "mixtures": mixtures(whole, list(dict(speech["held out"]).items()), list(noises.values())),
            "lengths": lengths(whole, speech, list(noises.values())),
        }
    record("no_face", "python -m benchmarks.no_face", measured)


if __name__ == "__main__":
    main()
