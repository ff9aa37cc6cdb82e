"""The machine of a profile: name and cores, steadiness, speed of memory, and the memory that this process uses."""

import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from voxface.runtime.processor import processor_name, usable_cores

STEADY_RUNS: Final = 200
STEADY_SIZE: Final = 224  # rows of a square matrix product: some tenths of a millisecond
READ_RUNS: Final = 15


@dataclass(frozen=True)
class Machine:
    """The machine on which a profile was made.

    Attributes:
        cpu: the processor's name.
        cores: number of cores that this process may use.
        system: the operating system.
    """

    cpu: str
    cores: int
    system: str


def this_machine() -> Machine:
    """The machine that runs this process."""
    return Machine(processor_name(), usable_cores(), f"{platform.system()} {platform.machine()}")


def jitter() -> float:
    """Coefficient of variation (standard deviation over mean) of the time of one small computation, always the same."""
    a = np.linspace(-1, 1, STEADY_SIZE**2, dtype=np.float32).reshape(STEADY_SIZE, STEADY_SIZE)
    out = np.empty_like(a)
    times = []
    for run in range(STEADY_RUNS + 20):
        began = time.perf_counter_ns()
        np.matmul(a, a, out=out)
        if run >= 20:
            times.append(time.perf_counter_ns() - began)
    return statistics.pstdev(times) / statistics.fmean(times)


def read_bandwidth(size: int) -> float:
    """Bytes per second at which one thread reads `size` bytes again and again, from whichever cache or memory holds them."""
    data = np.ones(max(1024, size // 4), np.float32)
    times = []
    for _ in range(READ_RUNS):
        began = time.perf_counter_ns()
        np.dot(data, data)
        times.append(time.perf_counter_ns() - began)
    return data.nbytes / (statistics.median(times) / 1e9)


def resident_mb() -> dict[str, float | None]:
    """Memory of this process in megabytes: resident now, and its peak so far; None if the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return {
            name: int(fields[key].split()[0]) * 1024 / 1e6 for name, key in (("resident", "VmRSS"), ("peak", "VmHWM"))
        }
    try:
        import resource
    except ImportError:  # Windows
        return {"resident": None, "peak": None}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"resident": None, "peak": peak * (1 if sys.platform == "darwin" else 1024) / 1e6}
