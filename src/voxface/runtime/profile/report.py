"""The report of a profile, which is printed, saved and compared."""

import json
import types
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Self, Union, get_args, get_origin, get_type_hints

from voxface.runtime.errors import InputError
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.profile.allocations import Allocations
from voxface.runtime.profile.machine import Machine

FORMAT: Final = 2
QUANTILES: Final = ("p50", "p90", "p99", "p99.9", "max")

_LATER: Final = ("precision", "lineage", "joules")  # fields that profiles of earlier versions lack

Percentiles = dict[str, float]  # milliseconds of each of `QUANTILES`


@dataclass(frozen=True)
class Settings:
    """The settings of a profile.

    Attributes:
        bundle, bundle_sha256: name of the bundle, and digest of its manifest.
        provider: the provider in use.
        threads: threads of an engine on the CPU.
        mode: how the window is encoded.
        source: name of the sound, or of its file.
        source_sha256: digest of the file; None for other sound.
        updates_per_second: the rate asked for.
        window_s: seconds of speech in a full window.
        precision: types of the bundle's weights and arithmetic; None: not known, as in profiles of earlier versions.
        lineage: digests, at least one of which two bundles of the same networks share: of the manifest, of the graphs, and of
            the manifest of the bundle that it was calibrated from; None: not known.
    """

    bundle: str
    bundle_sha256: str
    provider: str
    threads: int
    mode: str
    source: str
    source_sha256: str | None
    updates_per_second: float
    window_s: float
    precision: str | None = None
    lineage: list[str] | None = None


@dataclass(frozen=True)
class Scaling:
    """The time of one estimate with all threads and with half of them, measured in turn.

    Attributes:
        half_threads: half the number of threads.
        speed_up: median time with half of the threads over that with all.
        cores_used: CPU time over time, with all threads.
    """

    half_threads: int
    speed_up: float
    cores_used: float


@dataclass(frozen=True)
class Reading:
    """The speed at which a part of the update reads its data, and the speed that memory allows.

    Attributes:
        what: the part of the update.
        megabytes: the data that the part reads at least.
        gb_per_s: these bytes over the part's p50.
        limit_gb_per_s: speed at which one thread reads a block of that size.
    """

    what: str
    megabytes: float
    gb_per_s: float
    limit_gb_per_s: float


@dataclass(frozen=True)
class Report:
    """A profile. Times are milliseconds.

    Attributes:
        settings, machine, versions: what was measured, on which machine, with which packages.
        cold_start_ms: times of "import", "bundle", "engines", "warm_up", "first_update", and their sum, "total".
        seconds, seconds_asked: length of the measurement, and the length asked for.
        ended: the signal that ended the measurement early; None if it was not ended.
        window_filled_s: seconds of speech in the window at the beginning; None for a microphone, whose window fills meanwhile.
        updates: number of blocks of sound that made a face.
        quiet_blocks: number of blocks that made none.
        response_ms: time of an update from the moment it was due to its end; for a microphone it is due when its newest sample
            was at the converter.
        service_ms: time of an update from the beginning of its work to its end.
        stages_ms: times of the stages of an update, which follow one another.
        waiting_ms: times before the work begins: for a microphone "capture" and "queue".
        engines_ms: times of the engine runs within the stages, over the updates that had such runs.
        engine_runs: number of these updates, by engine.
        parts_ms: times of parts of a stage that are no engine runs: "mesh.decode" and "picture.decode", the vertices and the
            pixels of a face, within "tell". A window asks for them, on a thread of its own.
        staged: share of the service time that is in a stage.
        outside_ms: p50 of the time of an update outside of engine runs, and without these parts.
        overhead: `outside_ms` over p50 of the engine runs.
        utilisation: share of the time that was spent working; None for a microphone.
        late_ms: how late blocks began, on average over each quarter of the run that was reached; empty for a microphone.
        cpu: CPU time of the process over time: 1 is one core.
        idle_cpu: the same for the time in which there was nothing to do; None if it is not known.
        memory_mb: memory of the process, "resident" and "peak".
        allocations: allocations of Python and numpy, counted in a pass of its own.
        counters: what was lost, skipped and failed, with the names of `voxface live`.
        jitter: coefficient of variation of the time of one small computation.
        scaling: the gain from threads; None for one thread.
        readings: the parts that read much memory.
        device: the microphone; None for other sound.
        joules: energy that the processor took in `seconds`, whatever ran there; None where the system does not tell.
    """

    settings: Settings
    machine: Machine
    versions: dict[str, str]
    cold_start_ms: dict[str, float]
    seconds: float
    seconds_asked: float
    ended: str | None
    window_filled_s: float | None
    updates: int
    quiet_blocks: int
    response_ms: Percentiles
    service_ms: Percentiles
    stages_ms: dict[str, Percentiles]
    waiting_ms: dict[str, Percentiles]
    engines_ms: dict[str, Percentiles]
    engine_runs: dict[str, int]
    parts_ms: dict[str, Percentiles]
    staged: float
    outside_ms: float
    overhead: float
    utilisation: float | None
    late_ms: list[float]
    cpu: float
    idle_cpu: float | None
    memory_mb: dict[str, float | None]
    allocations: Allocations
    counters: dict[str, Any]
    jitter: float
    scaling: Scaling | None = None
    readings: list[Reading] = field(default_factory=list)
    device: dict[str, Any] | None = None
    joules: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON, with the number of its format."""
        document = {"format": FORMAT, **asdict(self)}
        for name in _LATER:
            for part in (document, document["settings"]):
                if name in part and part[name] is None:  # as it was saved
                    del part[name]
        return document

    def save(self, path: Path) -> None:
        """Writes the report to a file, whole or not at all."""
        write_bytes(path, json.dumps(self.to_json(), indent=1, allow_nan=False).encode() + b"\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a report that `save` wrote.

        Raises:
            InputError: the file is missing, damaged, or of another format.
        """
        try:
            document = json.loads(path.read_text(), parse_constant=_refuse)
        except OSError as error:
            raise InputError(f"{path}: no saved profile there ({error.strerror or error})") from error
        except ValueError as error:
            raise InputError(f"{path}: not a saved profile ({error}); `voxface profile --save` makes one") from error
        found = document.get("format") if isinstance(document, dict) else None
        if found is None:
            raise InputError(f"{path}: not a saved profile; `voxface profile --save` makes one")
        if found != FORMAT:
            raise InputError(f"{path}: profile format {found}, this voxface reads {FORMAT}; save it anew")
        try:
            report: Self = _read(cls, document)
            for times in (report.response_ms, report.service_ms, *report.stages_ms.values()):
                if not all(times[quantile] >= 0 for quantile in QUANTILES):
                    raise ValueError(f"negative times {times}")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: a damaged profile ({error}); save it anew") from error
        return report


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _read(kind: Any, value: Any) -> Any:
    """Converts JSON to the type `kind`; raises TypeError or KeyError if it is something else."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(next(each for each in arguments if each is not type(None)), value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(
            **{
                each.name: _read(hints[each.name], value[each.name])
                for each in fields(kind)
                if each.name in value or each.name not in _LATER
            }
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is no object")
        return {str(key): _read(arguments[1], each) for key, each in value.items()}
    if origin is list:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is no list")
        return [_read(arguments[0], each) for each in value]
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
