"""A profile that no rule of the diagnosis has anything to say about."""

from voxface.runtime.profile.allocations import Allocations
from voxface.runtime.profile.machine import Machine
from voxface.runtime.profile.report import Reading, Report, Scaling, Settings


def times(p50: float, p99: float | None = None) -> dict[str, float]:
    p99 = 2 * p50 if p99 is None else p99
    return {"p50": p50, "p90": p50, "p99": p99, "p99.9": p99, "max": p99}


GOOD = Report(
    settings=Settings("a", "0" * 64, "cpu", 2, "exact", "synthetic voice", None, 10.0, 8.0),
    machine=Machine("a processor", 4, "Linux"),
    versions={"numpy": "2.0"},
    cold_start_ms={
        "import": 50.0,
        "bundle": 10.0,
        "engines": 50.0,
        "warm_up": 5.0,
        "first_update": 10.0,
        "total": 125.0,
    },
    seconds=100.0,
    seconds_asked=100.0,
    ended=None,
    window_filled_s=8.0,
    updates=1000,
    quiet_blocks=0,
    response_ms=times(8.1),
    service_ms=times(8.0),
    stages_ms={"vad": times(0.5), "encoder": times(5.0), "face": times(2.0), "tell": times(0.01)},
    waiting_ms={},
    engines_ms={"encoder": times(4.8), "face": times(1.9)},
    engine_runs={"encoder": 1000, "face": 1000},
    parts_ms={"mesh.decode": times(0.3)},
    staged=0.99,
    outside_ms=1.0,
    overhead=0.15,
    utilisation=0.08,
    late_ms=[0.1, 0.1, 0.1, 0.1],
    cpu=0.1,
    idle_cpu=0.001,
    memory_mb={"resident": 100.0, "peak": None},
    allocations=Allocations(20, 100.0, 0.0),
    counters={"skipped_estimates": 0, "lost": {}},
    jitter=0.01,
    scaling=Scaling(1, 1.6, 1.9),
    readings=[Reading("mesh decode", 6.5, 10.0, 30.0)],
    device=None,
)
