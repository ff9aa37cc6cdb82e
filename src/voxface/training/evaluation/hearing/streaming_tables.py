"""Tables of the suite `streaming`, a column for each number of seconds heard."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.hearing.calibration_curves import expected_calibration_error, rank_correlation
from voxface.training.evaluation.hearing.streaming_view import Float64, Stream, StreamView
from voxface.training.evaluation.hearing.voice_prefixes import (
    REGIONS,
    in_regions,
    population_posterior,
    true_measurements,
)
from voxface.training.evaluation.result import Better, Column, Kind, Measured, Row, Table
from voxface.training.evaluation.subject import BundleSubject

SECONDS: Final = (1, 2, 3, 5, 8)
_NOTE: Final = "95 % intervals are over people. Nobody has published such figures: both papers predict once."


def _table(
    name: str, title: str, unit: str, better: Better, digits: int, rows: Sequence[Row], note: str = _NOTE
) -> Table:
    return Table(name, title, tuple(Column(f"{s} s", unit, better, digits) for s in SECONDS), tuple(rows), note)


def _row(method: str, kind: Kind, numbers: Mapping[int, Measured]) -> Row:
    return Row(method, kind, {f"{s} s": number for s, number in numbers.items()})


def error_tables(view: StreamView, streams: Sequence[Stream]) -> list[Table]:
    """Mesh error to the person's own face, and distance to the mesh of the whole utterance."""
    errors = [
        _row(
            stream.method, stream.kind, {s: view.mean(view.mesh_error(h.coefficients)) for s, h in stream.heard.items()}
        )
        for stream in streams
    ]
    ours = streams[0]
    errors.append(
        _row("mean face of the sex heard", "trivial", {s: view.mean(view.trivial(h)) for s, h in ours.heard.items()})
    )
    everybody = view.mean(view.mesh_error(view.everybody))
    errors.append(_row("mean face", "trivial", dict.fromkeys(SECONDS, everybody)))
    moved = [
        _row(stream.method, stream.kind, {s: view.mean(view.moved(h, stream.last)) for s, h in stream.heard.items()})
        for stream in streams
    ]
    model = view.pairs.morphable
    trivial = {
        s: view.mean(
            np.array([model.distance(*two) for two in zip(view.heard_sex(h), ours.last.coefficients, strict=True)])
        )
        for s, h in ours.heard.items()
    }
    moved.append(_row(f"mean face of the sex heard, to the final mesh of {ours.method}", "trivial", trivial))
    many = f"{len(view.utterances)} utterances of {len(view.names)} people"
    return [
        _table("mesh-error", f"Mesh error to the person's own face by seconds heard, {many}", "mm", "lower", 2, errors),
        _table("to-final", "Distance to the mesh of the whole utterance, RMS over vertices", "mm", "lower", 2, moved),
    ]


def confidence_tables(view: StreamView, streams: Sequence[Stream]) -> list[Table]:
    """Confidence, and how well it ranks what is still to move."""
    rows = [
        _row(stream.method, stream.kind, {s: view.mean(h.confidence) for s, h in stream.heard.items()})
        for stream in streams
    ]
    ranked = []
    for stream in streams:
        found = {}
        for s, heard in stream.heard.items():
            found[s] = view.statistic(rank_correlation, -heard.confidence, view.moved(heard, stream.last))
        ranked.append(_row(stream.method, stream.kind, found))
    ranked.append(_row("a confidence that says nothing", "trivial", dict.fromkeys(SECONDS, Measured(0.0))))
    nothing = "A confidence has no trivial value to beat; that it says something is the next table. " + _NOTE
    how = (
        "Spearman's correlation of 1 − confidence with the distance to the final mesh, among utterances of equal length. "
        + _NOTE
    )
    return [
        _table("confidence", "Confidence by seconds heard", "", "neither", 3, rows, nothing),
        _table("confidence-ranks", "How well confidence ranks what is still to move", "", "higher", 2, ranked, how),
    ]


def calibration_tables(
    view: StreamView, streams: Sequence[Stream], subjects: Sequence[tuple[BundleSubject, Kind]]
) -> list[Table]:
    """Sex and its probability; how much of people's own faces lies in regions of their posterior, and how wide it is."""
    right, apart = [], []
    for stream in streams:
        right.append(
            _row(
                stream.method,
                stream.kind,
                {s: view.mean((h.female > 0.5) == view.female) for s, h in stream.heard.items()},
            )
        )
        found = {}
        for s, heard in stream.heard.items():
            likelier, correct = np.maximum(heard.female, 1 - heard.female), (heard.female > 0.5) == view.female
            found[s] = view.statistic(expected_calibration_error, likelier, correct)
        apart.append(_row(stream.method, stream.kind, found))
    commoner = max(float(view.female.mean()), 1 - float(view.female.mean()))
    right.append(_row("always the commoner sex of these people", "trivial", dict.fromkeys(SECONDS, Measured(commoner))))
    apart.append(_row("always 50 %", "trivial", dict.fromkeys(SECONDS, Measured(abs(commoner - 0.5)))))
    tables = [
        _table("sex", "Sex of the mesh by seconds heard", "%", "higher", 1, right),
        _table("sex-calibration", "Expected calibration error of the sex's probability", "%", "lower", 1, apart),
    ]
    if streams[0].last.inside is None:
        return tables
    trivial = _population(view, subjects[0][0], streams[0])
    for k, region in enumerate(REGIONS):
        rows = [
            _row(
                stream.method,
                stream.kind,
                {s: view.mean(h.inside[:, :, k].mean(1)) for s, h in stream.heard.items() if h.inside is not None},
            )
            for stream in streams
        ]
        rows.append(
            _row(
                "all faces of the sex heard",
                "trivial",
                {s: view.mean(inside[:, :, k].mean(1)) for s, (inside, _) in trivial.items()},
            )
        )
        rows.append(_row("what it should be", "limit", dict.fromkeys(SECONDS, Measured(region / 100))))
        title = f"Measurements of the person's own face in the central {region} % of their posterior"
        tables.append(_table(f"coverage-{region}", title, "%", "neither", 1, rows))
    widths = [
        _row(
            stream.method,
            stream.kind,
            {s: view.mean(h.sd_mm.mean(1)) for s, h in stream.heard.items() if h.sd_mm is not None},
        )
        for stream in streams
    ]
    widths.append(
        _row("all faces of the sex heard", "trivial", {s: view.mean(width) for s, (_, width) in trivial.items()})
    )
    tables.append(
        _table("width", "Standard deviation of the posterior, mean over measurements", "mm", "lower", 2, widths)
    )
    return tables


def _population(
    view: StreamView, subject: BundleSubject, stream: Stream
) -> dict[int, tuple[NDArray[np.bool_], Float64]]:
    """Coverage and width of the trivial posterior, by seconds."""
    found = {}
    for s, heard in stream.heard.items():
        inside, width = [], []
        for utterance, female in zip(view.utterances, heard.female, strict=True):
            posterior = population_posterior(subject.bundle, float(female))
            assert posterior is not None  # the bundle has one, or nothing would have been asked
            inside.append(in_regions(posterior, true_measurements(view.pairs, int(utterance))))
            width.append(float(np.mean(list(posterior.measurements_sd_mm.values()))))
        found[s] = np.stack(inside), np.array(width)
    return found


def latency_table(streams: Sequence[Stream]) -> Table:
    """Time of an update."""
    rows = []
    for stream in streams:
        for words, share in (("median", 0.5), ("slowest tenth", 0.9)):
            numbers = {s: Measured(float(np.quantile(h.update_ms, share))) for s, h in stream.heard.items()}
            rows.append(_row(f"{stream.method}, {words}", stream.kind, numbers))
    note = (
        "From log-mel frames to face, mesh and attributes on one thread of this machine, the whole window anew (mode exact). "
        "No trivial answer takes time; `voxface profile` measures live updates, and tells a busy machine, whose "
        "times say little."
    )
    return _table("latency", "Time of one update by seconds heard", "ms", "lower", 1, rows, note)
