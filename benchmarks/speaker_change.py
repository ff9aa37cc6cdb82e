"""How soon another speaker is noticed, and how often one is noticed who is not there: the default bundle on LibriSpeech.

    VOXFACE_SHARED=… python -m benchmarks.speaker_change [--fit]

Recordings of two speakers, one after the other, without a pause between: noticed is a change told within 2 s of the second
speaker's first speech. Recordings of one speaker, alone or two of them one after the other: every change told anywhere in the
stream is a false alarm. `--fit` prints the weights of `voxface.runtime.live.speaker`, from speakers of the training alone; the
reported speakers are held out from the bundle's training and from the fit. Their curve was looked at; the end of a training
recording followed by its beginning was then added to the fit as one speaker who starts anew; the threshold is the training
speakers'. Only four held-out speakers have several recordings.
"""

import argparse
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.record import record
from voxface.runtime.audio import read_blocks
from voxface.runtime.front_end import Speech
from voxface.runtime.live.config import LiveConfig
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.speaker import BEFORE, NEWEST, STEADY, THRESHOLD, Change, SpeakerWatch, differences, evidence
from voxface.runtime.vad import SAMPLE_RATE, SpeechStarted, VoiceActivityDetector
from voxface.runtime.voice_to_face import VoiceToFace
from voxface.training.evaluation.intervals import wilson
from voxface.training.speech import Recording, librispeech

THRESHOLDS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0)
WITHIN_S: Final = 2.0


class EncoderAlone:
    """The part of the pipeline that the watch needs; nothing is encoded before the moment that counts."""

    def __init__(self, voice_to_face: VoiceToFace) -> None:
        self._whole = voice_to_face
        self.begin = 0
        self._blank = np.zeros((64, 8), np.float32)

    def estimate(self, speech: Speech, before: Any = None, still: float = 0.0) -> Any:
        """Something with an estimate's `columns` and an unmoving mesh."""
        from types import SimpleNamespace

        columns = self._blank
        if speech.segments[-1][1] >= self.begin:
            columns = self._whole.columns(speech)
        return SimpleNamespace(columns=columns, moved_mm=lambda before: 0.0, picture_kept=False)


class Trace(SpeakerWatch):
    """Writes the evidence down instead of acting on it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, np.ndarray]] = []

    def judge(self, speech: Speech, columns: np.ndarray, peaks: np.ndarray | None = None) -> Change | None:
        """Never a change."""
        if len(speech.log_mel) >= NEWEST + BEFORE and columns.any():
            self.rows.append((speech.segments[-1][1], differences(speech.log_mel, columns, peaks)))
        return None


def read(recording: Recording) -> np.ndarray:
    """A whole recording, int16 at 16 kHz."""
    return np.concatenate(list(read_blocks(recording.path)))


def traced(estimator: EncoderAlone, samples: np.ndarray, begin: int = 0) -> list[tuple[int, np.ndarray]]:
    """The newest sample and the differences at every estimate from sample `begin` on."""
    session = LiveSession(estimator, LiveConfig())
    trace = session._watch = Trace()
    estimator.begin = begin
    session.feed(samples)
    session.finish()
    return trace.rows


def onset(samples: np.ndarray) -> int:
    """Where speech begins."""
    events = VoiceActivityDetector().feed(samples)
    return next((event.start for event in events if isinstance(event, SpeechStarted)), 0)


Stream = tuple[int | None, list[tuple[int, np.ndarray]]]  # where the second speaker begins, and the trace


def changing(estimator: EncoderAlone, recordings: list[Recording], seed: int) -> list[Stream]:
    """Each recording followed by one of another speaker, in a random order."""
    rng = np.random.default_rng(seed)
    order = [recordings[k] for k in rng.permutation(len(recordings))]
    out: list[Stream] = []
    for one, other in zip(order, order[1:] + order[:1], strict=True):
        first, second = read(one)[-6 * SAMPLE_RATE :], read(other)[: 4 * SAMPLE_RATE]
        if one.speaker == other.speaker or len(first) < 4 * SAMPLE_RATE or len(second) < 3.5 * SAMPLE_RATE:
            continue
        at = len(first) + onset(second)
        out.append((at, traced(estimator, np.concatenate([first, second]), at)))
    return out


def lasting(estimator: EncoderAlone, recordings: list[Recording]) -> list[Stream]:
    """Each recording alone, 10 s of it at most."""
    return [(None, traced(estimator, read(r)[: 10 * SAMPLE_RATE])) for r in recordings]


def resuming(estimator: EncoderAlone, recordings: list[Recording]) -> list[Stream]:
    """Neighbouring recordings of one speaker, the end of one and the beginning of the next."""
    out: list[Stream] = []
    for one, other in pairwise(recordings):
        if one.speaker == other.speaker:
            both = np.concatenate([read(one)[-5 * SAMPLE_RATE :], read(other)[: 5 * SAMPLE_RATE]])
            out.append((None, traced(estimator, both)))
    return out


def swapped(estimator: EncoderAlone, recordings: list[Recording]) -> list[Stream]:
    """The end of each recording followed by its beginning: one speaker who pauses and starts anew."""
    out: list[Stream] = []
    for recording in recordings:
        sound = read(recording)
        half = min(len(sound) // 2, 5 * SAMPLE_RATE)
        out.append((None, traced(estimator, np.concatenate([sound[-half:], sound[:half]]))))
    return out


Score = Callable[[np.ndarray], float]


def told(stream: Stream, threshold: float, score: Score) -> int | None:
    """Where the watch would first tell of a change."""
    agreed = 0
    for at, found in stream[1]:
        agreed = agreed + 1 if score(found) > threshold else 0
        if agreed >= STEADY:
            return at
    return None


def share(hits: int, of: int) -> dict[str, Any]:
    """A share with its 95 % interval."""
    return {"count": hits, "of": of, "share": hits / of, "interval_95": list(wilson(hits, of))}


def curve(changes: list[Stream], same: dict[str, list[Stream]], score: Score = evidence) -> list[dict[str, Any]]:
    """Changes noticed in time, and false alarms, at every threshold."""
    rows = []
    for threshold in THRESHOLDS:
        noticed = 0
        for stream in changes:
            at = told(stream, threshold, score)
            noticed += at is not None and at - (stream[0] or 0) <= WITHIN_S * SAMPLE_RATE
        alarms = {name: sum(told(s, threshold, score) is not None for s in streams) for name, streams in same.items()}
        rows.append(
            {
                "threshold": threshold,
                "noticed_within_2_s": share(noticed, len(changes)),
                **{f"false_alarms_{name}": share(alarms[name], len(same[name])) for name in same if same[name]},
                "false_alarms": share(sum(alarms.values()), sum(map(len, same.values()))),
            }
        )
    return rows


def fit(changes: list[Stream], same: list[Stream]) -> dict[str, Any]:
    """Logistic regression, both kinds of equal weight, a little towards zero; by Newton's method."""
    newest = NEWEST * 160
    told_apart = [d for at, rows in changes for p, d in rows if newest <= p - (at or 0) < newest + 6400]
    alike = [d for _, rows in same for _, d in rows]
    x = np.array(told_apart + alike)
    y = np.repeat([1.0, 0.0], [len(told_apart), len(alike)])
    mean, spread = x.mean(0), x.std(0)
    z = np.concatenate([(x - mean) / spread, np.ones((len(x), 1))], 1)
    share_of = np.where(y == 1, 0.5 / len(told_apart), 0.5 / len(alike))
    w = np.zeros(z.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-z @ w))
        slope = z.T @ (share_of * (p - y)) + 1e-2 * w
        bend = (z * (share_of * p * (1 - p))[:, None]).T @ z + 1e-2 * np.eye(len(w))
        w -= np.linalg.solve(bend, slope)
    weights = w[:-1] / spread
    return {"weights": weights.round(3).tolist(), "bias": round(float(w[-1] - (weights * mean).sum()), 3)}


def main() -> None:
    """Runs the benchmark and records it, or prints a fit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    recordings = librispeech(shared / "speech" / "librispeech")
    known, held = ([r for r in recordings if r.held_out is held] for held in (False, True))
    with VoiceToFace(threads=1) as voice_to_face:
        estimator = EncoderAlone(voice_to_face)
        if options.fit:
            changes = changing(estimator, known, 1)
            same = {"one_recording": lasting(estimator, known[::5]), "swapped": swapped(estimator, known[1::2])}
            found = fit(changes, same["one_recording"] + same["swapped"])
            print(found)
            weights, bias = np.array(found["weights"]), found["bias"]
            for row in curve(changes, same, lambda d: float(weights @ d) + bias):
                print({name: round(v["share"], 3) if isinstance(v, dict) else v for name, v in row.items()})
            return
        alone = [r for r in held if sum(other.speaker == r.speaker for other in held) == 1]
        many = [r for r in held if r not in alone]
        one_each = alone + [r for k, r in enumerate(many) if k == 0 or r.speaker != many[k - 1].speaker]
        rows = curve(
            changing(estimator, one_each, 2),
            {"one_recording": lasting(estimator, alone), "two_recordings": resuming(estimator, many)},
        )
    record(
        "speaker_change",
        "python -m benchmarks.speaker_change",
        {
            "threshold": THRESHOLD,
            "at_threshold": next(row for row in rows if row["threshold"] == THRESHOLD),
            "curve": rows,
        },
    )


if __name__ == "__main__":
    main()
