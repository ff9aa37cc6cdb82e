"""A voice as it is heard: error, movement, confidence and latency by seconds; calibration of confidence and of the posterior.

Each utterance is cut after so many seconds of speech and estimated as a live session estimates a window; all rows of seconds
are of the same utterances, which are at least as long as the longest.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.hearing import streaming_figures
from voxface.training.evaluation.hearing import streaming_tables as tables
from voxface.training.evaluation.hearing.streaming_tables import SECONDS
from voxface.training.evaluation.hearing.streaming_view import Stream, StreamView
from voxface.training.evaluation.hearing.voice_prefixes import FRAMES, REGIONS, Heard, hear
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.association import share_by_person
from voxface.training.evaluation.result import Kind, Measured, PerPerson, SuiteResult
from voxface.training.evaluation.subject import BundleSubject, same_model

_ALL: Final = 100_000
_QUICK: Final = 40
_BIN: Final = 0.1  # of probabilities
_FEWEST: Final = 3  # people of a bin


def run(inputs: Inputs) -> SuiteResult:
    """Measures the bundle and those beside it.

    Raises:
        UsageError: no bundle, no data, or faces of another morphable model.
        InputError: too few utterances are long enough, or no true faces are known.
    """
    pairs = inputs.pairs
    subjects: list[tuple[BundleSubject, Kind]] = [
        (inputs.bundle, "ours"),
        *((one, "baseline") for one in inputs.beside),
    ]
    for subject, _ in subjects:
        if not same_model(subject.bundle, pairs):
            raise UsageError(f"the meshes of {subject.name} are of another morphable model than the data's")
    utterances = _utterances(inputs)
    streams = _streams(subjects, pairs, utterances, inputs)
    view = StreamView(pairs, utterances, inputs.seed)
    ours = streams[0]
    made = [
        *tables.error_tables(view, streams),
        *tables.confidence_tables(view, streams),
        *tables.calibration_tables(view, streams, subjects),
        tables.latency_table(streams),
    ]
    figures = {
        "streaming-error.png": streaming_figures.by_seconds(
            ours.method,
            {
                "mesh error (mm RMS)": {s: view.mean(view.mesh_error(h.coefficients)) for s, h in ours.heard.items()},
                "distance to the final mesh (mm RMS)": {
                    s: view.mean(view.moved(h, ours.last)) for s, h in ours.heard.items()
                },
                "confidence": {s: view.mean(h.confidence) for s, h in ours.heard.items()},
            },
            {"mesh error (mm RMS)": ("mean face of the sex heard", float(view.trivial(ours.last).mean()))},
        ),
        "streaming-calibration.png": streaming_figures.calibration(
            ours.method,
            {s: _coverage(view, h) for s, h in ours.heard.items() if h.inside is not None},
            _sex(view, ours),
        ),
        "streaming-latency.png": streaming_figures.latency(
            {
                stream.method: {
                    s: (float(np.median(h.update_ms)), view.mean(view.moved(h, stream.last)).value)
                    for s, h in stream.heard.items()
                }
                for stream in streams
            }
        ),
    }
    per_person = {
        f"mesh error after {s} s": PerPerson("lower", view.by_person(view.mesh_error(h.coefficients)))
        for s, h in ours.heard.items()
    }
    per_person |= {
        f"distance to the final mesh after {s} s": PerPerson("lower", view.by_person(view.moved(h, ours.last)))
        for s, h in ours.heard.items()
    }
    missing = (
        [] if ours.last.inside is not None else ["coverage of the posterior: the bundle has none, or no measurements"]
    )
    facts = {"utterances": len(utterances), "people": len(view.names), "seconds": list(SECONDS)}
    return SuiteResult("streaming", tuple(made), figures, per_person, facts, _statements(view, ours), tuple(missing))


def _utterances(inputs: Inputs) -> list[int]:
    pairs = inputs.pairs
    people = [int(i) for i in pairs.split(inputs.split)]
    long = [
        int(u)
        for i in people
        for u in pairs.clean_utterances[i]
        if pairs.offsets[u + 1] - pairs.offsets[u] >= FRAMES * max(SECONDS)
    ]
    if not np.isfinite(pairs.coefficients[pairs.utterance_person[long]]).all():
        raise InputError("the true faces of some people are not known; give pairs whose people have fitted faces")
    chosen = long
    if len(long) > (most := inputs.fewer(_ALL, _QUICK)):
        chosen = sorted(np.random.default_rng(inputs.seed).choice(long, most, replace=False).tolist())
    if len({int(pairs.utterance_person[u]) for u in chosen}) < 2:
        raise InputError(f"fewer than two {inputs.split} people have {max(SECONDS)} s of speech in one recording")
    return chosen


def _streams(
    subjects: Sequence[tuple[BundleSubject, Kind]], pairs: Pairs, utterances: Sequence[int], inputs: Inputs
) -> list[Stream]:
    found: list[Stream] = []
    for number, (subject, kind) in enumerate(subjects):
        same = any(stream.method == subject.name for stream in found)
        name = f"{subject.name} ({number + 1})" if same else subject.name
        with FaceEstimator(subject.bundle, threads=1) as estimator:
            heard = {s: hear(estimator, pairs, utterances, s, inputs.phase(f"{name} after {s} s")) for s in SECONDS}
            last = hear(estimator, pairs, utterances, None, inputs.phase(f"{name} at the end"))
        found.append(Stream(name, kind, heard, last))
    return found


def _coverage(view: StreamView, heard: Heard) -> dict[int, Measured]:
    assert heard.inside is not None
    return {region: view.mean(heard.inside[:, :, k].mean(1)) for k, region in enumerate(REGIONS)}


def _sex(view: StreamView, stream: Stream) -> list[tuple[float, Measured]]:
    """Mean probability of the likelier sex, in bins, and how often it is right with its interval over people; all seconds."""
    female = np.stack([heard.female for heard in stream.heard.values()])
    likelier, right = np.maximum(female, 1 - female).ravel(), ((female > 0.5) == view.female).ravel()
    person = np.tile(view.person, len(female))
    found = []
    for low in np.arange(0.5, 1, _BIN):
        own = (likelier >= low) & (likelier < low + _BIN if low + _BIN < 1 else likelier <= 1)
        if len(np.unique(person[own])) >= _FEWEST:
            share = share_by_person(right[own].astype(np.float64), person[own], seed=view.seed)
            found.append(
                (float(likelier[own].mean()), Measured(share.value, share.low, share.high, people=share.people))
            )
    return found


def _statements(view: StreamView, ours: Stream) -> tuple[str, ...]:
    least, most = min(SECONDS), max(SECONDS)
    first, last = (float(view.mesh_error(ours.heard[s].coefficients).mean()) for s in (least, most))
    trivial = float(view.trivial(ours.heard[most]).mean())
    falls = "falls" if last < first else "does not fall"
    beside = "less" if last < trivial else "no less"
    return (
        f"The mesh error {falls} as the voice goes on: {first:.2f} mm after {least} s, {last:.2f} mm after {most} s; that is "
        f"{beside} than the error of the mean face of the sex heard, {trivial:.2f} mm.",
    )
