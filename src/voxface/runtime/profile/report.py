"""What a profile found, as it is printed, saved and compared."""

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

Percentiles = dict[str, float]  # of each of `QUANTILES`, milliseconds


@dataclass(frozen=True)
class Settings:
    """What was measured.

    Attributes:
        bundle, bundle_sha256: its name and the digest of its manifest.
        provider: the provider really used.
        threads: threads of an engine on the CPU.
        mode: how the window is encoded.
        source: the sound: its file's name.
        source_sha256: digest of that file; of any other sound None.
        updates_per_second: asked for.
        window_s: speech of an update.
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


@dataclass(frozen=True)
class Scaling:
    """The same estimate with all threads and with half of them, taking turns; medians.

    Attributes:
        half_threads: how many half are.
        speed_up: how many times as fast it is with all as with half.
        cores_used: CPU time over time, with all.
    """

    half_threads: int
    speed_up: float
    cores_used: float


@dataclass(frozen=True)
class Reading:
    """How fast something goes through the numbers it needs, beside how fast memory gives as many of them.

    Attributes:
        what: a part of the update.
        megabytes: read by it at least.
        gb_per_s: megabytes over its p50.
        limit_gb_per_s: what one thread reads of a block of that size.
    """

    what: str
    megabytes: float
    gb_per_s: float
    limit_gb_per_s: float


@dataclass(frozen=True)
class Report:
    """A profile. Times are milliseconds.

    Attributes:
        settings, machine, versions: of what, where, with which packages.
        cold_start_ms: "import", "bundle", "engines", "warm_up", "first_update", and their sum, "total".
        seconds, seconds_asked: how long the measurement took, and was to take.
        ended: the signal that ended it early; None where nothing did.
        window_filled_s: speech in the window when it began; of a microphone None, whose window fills meanwhile.
        updates: blocks of sound that made a face.
        quiet_blocks: those that made none.
        response_ms: from the moment an update was due (for a microphone: its newest sample was at the converter) to its end.
        service_ms: from where its work began.
        stages_ms: its stages, which follow one another.
        waiting_ms: what lies before the service: of a microphone "capture" and "queue".
        engines_ms: engine runs within the stages, of the updates that had any.
        engine_runs: how many these were.
        parts_ms: what lies within a stage and is no engine run: "mesh.decode", the vertices of a face, within "tell".
        staged: share of the service that is in a stage.
        outside_ms: p50 of what of an update is no engine run.
        overhead: `outside_ms` over p50 of the engine runs.
        utilisation: share of the time that was work; of a microphone None.
        late_ms: how late the blocks of each quarter of the run that it came to were begun, on average; of a microphone empty.
        cpu: CPU time of the process over time: 1 is one core.
        idle_cpu: the same, of the time in which nothing was to be done; None where that is not known.
        memory_mb: "resident" and "peak".
        allocations: of Python and numpy, counted in a pass of its own.
        counters: what was lost, skipped and failed, as `voxface live` counts.
        jitter: coefficient of variation of one small computation.
        scaling: None for one thread.
        readings: what reads much memory.
        device: the microphone.
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

    def to_json(self) -> dict[str, Any]:
        """As JSON, with its format."""
        return {"format": FORMAT, **asdict(self)}

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        write_bytes(path, json.dumps(self.to_json(), indent=1, allow_nan=False).encode() + b"\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            InputError: there is none, it is damaged, or of another format.
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
    """`value` as an annotation says; TypeError or KeyError where it is something else."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(next(each for each in arguments if each is not type(None)), value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{each.name: _read(hints[each.name], value[each.name]) for each in fields(kind)})
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
