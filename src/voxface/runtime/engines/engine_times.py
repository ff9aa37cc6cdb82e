"""Measured times of engines, kept as a file for each bundle and machine, and what they say is fastest.

The file lies in the user's cache folder (`voxface.runtime.files.cache_folder`) and is written by `voxface doctor --measure`
alone. It counts for the machine and the versions of the libraries that were measured; elsewhere it is as if there were none.
"""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.cache_folder import ENGINE_TIMES as FOLDER
from voxface.runtime.files.cache_folder import cache_folder
from voxface.runtime.files.sealed_json import is_intact, sealed
from voxface.runtime.processor import instruction_sets, processor_name, usable_cores

SCHEMA: Final = 1
LARGEST_FILE: Final = 1 << 20
# What another engine must gain to be chosen: less is noise, and a second thread takes a core from other programs.
GAIN_OF_LIBRARY: Final = 1.05
GAIN_OF_THREADS: Final = 1.1
_LIBRARIES: Final = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt-rtx", "tensorrt")


@dataclass(frozen=True)
class EngineTime:
    """The time of one update's networks on one engine.

    Attributes:
        provider: what ran them.
        threads: threads within an operator.
        ms: milliseconds of encoder, face and mesh together: the median of all runs, each after a rest.
        agrees: whether the results agree with those of "cpu" as closely as a calibration asks for.
        cosine, psnr_db, vertex_mm: how closely: cosine of the embeddings, decibels of the pictures, and the largest distance of
            a vertex.
    """

    provider: str
    threads: int
    ms: float
    agrees: bool
    cosine: float
    psnr_db: float
    vertex_mm: float


@dataclass(frozen=True)
class EngineTimes:
    """What was measured of a bundle on a machine.

    Attributes:
        bundle: SHA-256 of the bundle's manifest.
        machine: what the times hold for, see `this_machine`.
        times: every engine that was measured.
        left_out: provider -> why it was not measured.
        load: load average of the machine before the measurement; None: the system does not say.
        precise: the providers that may be chosen without being named; the others compute in fewer digits.
    """

    bundle: str
    machine: Mapping[str, Any]
    times: tuple[EngineTime, ...]
    left_out: Mapping[str, str]
    load: float | None
    precise: tuple[str, ...]

    def fastest(self, provider: str | None = None, threads: int | None = None) -> EngineTime | None:
        """The engine to use, which must agree with "cpu".

        Args:
            provider: among this provider's only; None: among all that are `precise`.
            threads: among those with so many threads only; None: among all.

        Returns:
            None: nothing of the kind was measured.
        """
        found: EngineTime | None = None
        for one in self.times:  # "cpu" and few threads come first
            fits = one.provider == provider if provider else one.provider in self.precise
            if not fits or not one.agrees or threads not in (None, one.threads):
                continue
            if found is None or one.ms * _gain_needed(one, found) < found.ms:
                found = one
        return found

    def to_json(self) -> dict[str, Any]:
        """The times as a JSON object."""
        fastest = self.fastest()
        return {
            "bundle": self.bundle,
            "machine": dict(self.machine),
            "times": [asdict(one) for one in self.times],
            "left_out": dict(self.left_out),
            "load_average_before": self.load,
            "fastest": None if fastest is None else {"provider": fastest.provider, "threads": fastest.threads},
        }


def this_machine() -> dict[str, Any]:
    """What measured times hold for: processor, its instructions, cores that may be used, system, versions of libraries."""
    return {
        "cpu": processor_name(),
        "instructions": list(instruction_sets()),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name)) is not None},
    }


def keep(times: EngineTimes) -> Path:
    """Writes the times to the cache folder; returns the file.

    Raises:
        OSError: it cannot be written.
    """
    path = _file(times.bundle, times.machine)
    document = sealed({"schema": SCHEMA, **times.to_json(), "precise": list(times.precise)})
    write_bytes(path, json.dumps(document, indent=1).encode() + b"\n")
    return path


def kept(bundle: str) -> tuple[EngineTimes | None, bool]:
    """The times of a bundle on this machine, and whether there are any of it at all, as on a machine that was changed.

    Args:
        bundle: SHA-256 of the bundle's manifest.

    A file that is damaged, or of another version of voxface, is as good as none.
    """
    try:
        files = [file for file in cache_folder(FOLDER).iterdir() if file.name.startswith(f"{bundle[:16]}-")]
    except OSError:  # nothing was ever measured
        return None, False
    if not files:
        return None, False
    machine = this_machine()
    path = _file(bundle, machine)
    if path not in files:
        return None, True
    try:
        return _read(path, bundle, machine), True
    except (OSError, ValueError, KeyError, TypeError):
        return None, True


def _read(path: Path, bundle: str, machine: Mapping[str, Any]) -> EngineTimes:
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError("too large")
    document = json.loads(path.read_bytes())
    if document["schema"] != SCHEMA or not is_intact(document):
        raise ValueError("not what was written")
    if (document["bundle"], document["machine"]) != (bundle, machine):
        raise ValueError("of another bundle or machine")
    times = tuple(EngineTime(**one) for one in document["times"])
    return EngineTimes(
        bundle, machine, times, dict(document["left_out"]), document["load_average_before"], tuple(document["precise"])
    )


def _file(bundle: str, machine: Mapping[str, Any]) -> Path:
    key = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()
    return cache_folder(FOLDER, f"{bundle[:16]}-{key[:16]}.json")


def _gain_needed(one: EngineTime, than: EngineTime) -> float:
    needed = 1.0
    if one.provider != than.provider:
        needed *= GAIN_OF_LIBRARY
    if one.threads > than.threads:
        needed *= GAIN_OF_THREADS
    return needed


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def in_words(times: Sequence[EngineTime]) -> list[str]:
    """The times as lines of text."""
    return [
        f"{one.provider:<15} {one.threads} thread{'s' * (one.threads > 1):<1} {one.ms:8.2f} ms"
        + (
            ""
            if one.agrees
            else f"   results differ: cosine {one.cosine:.6f}, {one.psnr_db:.1f} dB, {one.vertex_mm:.3g} mm"
        )
        for one in times
    ]
