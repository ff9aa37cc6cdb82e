"""Speaker change: how soon another speaker is noticed, and how often falsely; on speakers who were never learnt from.

    VOXFACE_SHARED=… python -m benchmarks.speaker_change

Two speakers' recordings follow one another without a pause, in random orders of the speakers; a change counts as noticed if it
is reported within 2 s of the second speaker's first speech. Any change reported in a stream of one speaker is a false alarm.
Such streams are: a recording alone; its two halves, the later first; two neighbouring recordings of a chapter (four of the
LibriSpeech speakers have several); and its two halves, the later one at another level and through an equaliser, which stands
for another microphone. Of the voices in 59 languages a recording is of several sentences, each recorded on its own.

Weights and threshold are those of the bundle: `voxface.training.trainers.speaker_change` fits them to validation speakers.
"""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.speaker_change import evidence
from voxface.runtime.live.speaker_embedding import SpeakerEmbeddingNetwork
from voxface.training.data.sound_clips import read
from voxface.training.data.speech_corpus import Recording, librispeech
from voxface.training.evaluation.measures.intervals import wilson
from voxface.training.trainers.speaker_change import (
    Score,
    first_noticed,
    long_enough,
    noticed_in_time,
)
from voxface.training.trainers.speaker_change_streams import (
    DifferenceRecorder,
    Spoken,
    Stream,
    changing,
    lasting,
    moved,
    swapped,
)

THRESHOLDS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)


def resuming(recorder: DifferenceRecorder, recordings: list[Recording]) -> list[Stream]:
    """Neighbouring recordings of one speaker, the end of one and the beginning of the next."""
    out: list[Stream] = []
    for one, other in pairwise(recordings):
        if one.speaker == other.speaker:
            both = np.concatenate([read(one.path)[-5 * SAMPLE_RATE :], read(other.path)[: 5 * SAMPLE_RATE]])
            out.append(Stream(None, recorder.record(both)))
    return out


def share(hits: int, of: int) -> dict[str, Any]:
    """A share with its 95 % interval."""
    return {"count": hits, "of": of, "share": hits / of, "interval_95": list(wilson(hits, of))}


def curve(changes: list[Stream], same: dict[str, list[Stream]], score: Score, used: float) -> list[dict[str, Any]]:
    """Changes noticed in time, and false alarms, at every threshold, among them the one in use."""
    rows = []
    for threshold in sorted({*THRESHOLDS, used}):
        noticed = sum(noticed_in_time(stream, threshold, score) for stream in changes)
        alarms = {
            name: sum(first_noticed(s, threshold, score) is not None for s in streams) for name, streams in same.items()
        }
        rows.append(
            {
                "threshold": threshold,
                "noticed_within_2_s": share(noticed, len(changes)),
                **{f"false_alarms_{name}": share(alarms[name], len(same[name])) for name in same if same[name]},
                "false_alarms": share(sum(alarms.values()), sum(map(len, same.values()))),
            }
        )
    return rows


def of_recordings(recorder: DifferenceRecorder, recordings: Sequence[Spoken]) -> dict[str, list[Stream]]:
    """The streams of one speaker that one recording each gives."""
    return {
        "one_recording": lasting(recorder, recordings),
        "halves": swapped(recorder, recordings),
        "moved_halves": moved(recorder, recordings, 7),
    }


def main() -> None:
    """Runs the benchmark and records it."""
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="bundle that is measured (the default bundle)")
    options.add_argument("--dry", action="store_true", help="print the numbers and write no file")
    given = options.parse_args()
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    held = [r for r in librispeech(shared / "speech" / "librispeech") if r.held_out]
    with FaceEstimator(given.bundle, threads=1) as face_estimator:
        weights = face_estimator.speaker_change
        if weights is None:
            raise SystemExit("the bundle has no speaker change detector")
        recorder = DifferenceRecorder(face_estimator, SpeakerEmbeddingNetwork(weights.layers))
        alone = [r for r in held if sum(other.speaker == r.speaker for other in held) == 1]
        many = [r for r in held if r not in alone]
        one_each = alone + [r for k, r in enumerate(many) if k == 0 or r.speaker != many[k - 1].speaker]
        same = of_recordings(recorder, one_each) | {
            "one_recording": lasting(recorder, alone),
            "two_recordings": resuming(recorder, many),
        }
        changes = [stream for seed in (2, 3, 4, 5) for stream in changing(recorder, one_each, seed)]
        others = long_enough(shared / "speech" / "many", "test")
        languages = [stream for seed in (2, 3) for stream in changing(recorder, others, seed)]
        of_others = of_recordings(recorder, others)

    def score(found: NDArray[np.float64]) -> float:
        return evidence(found, weights)

    rows = curve(changes, same, score, weights.threshold)
    measured = {
        "threshold": weights.threshold,
        "at_threshold": next(row for row in rows if row["threshold"] == weights.threshold),
        "curve": rows,
        "many": {"speakers": len(others), "curve": curve(languages, of_others, score, weights.threshold)},
    }
    if given.dry:
        print(measured)
    else:
        record("speaker_change", "python -m benchmarks.speaker_change", measured)


if __name__ == "__main__":
    main()
