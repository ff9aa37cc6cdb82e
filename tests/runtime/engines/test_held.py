"""Graphs held to what they declare, and to a bound of memory, in every run."""

import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.held import HeldEngine
from voxface.runtime.engines.memory_bound import BoundedRun, process_is_ours
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import BundleError

resource = pytest.importorskip("resource", reason="Windows bounds no memory")
Shapes = dict[str, tuple[int, ...]]


class Pretending:
    """An engine that declares a voice encoder and gives whatever shapes it is told to."""

    provider = "cpu"

    def __init__(self) -> None:
        self.inputs = {"log_mel": TensorSpec("float32", ("B", 4, "T"))}
        self.outputs = {
            "embedding": TensorSpec("float32", ("B", 8)),
            "columns": TensorSpec("float32", ("any", 8, "C")),
        }
        self.gives: Shapes = {"embedding": (1, 8), "columns": (1, 8, 2)}
        self.limits: list[int] = []

    def run(self, feeds: dict[str, Any], out: dict[str, Any] | None = None) -> dict[str, Any]:
        self.limits.append(resource.getrlimit(resource.RLIMIT_DATA)[0])
        return {name: np.zeros(shape, np.float32) for name, shape in self.gives.items()}

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        self.run({})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


SOUND = {"log_mel": np.zeros((1, 4, 64), np.float32)}


def test_what_is_declared_is_passed_on() -> None:
    graph = Pretending()
    with HeldEngine(graph, "encoder", "b", 0) as held:
        assert held.run(SOUND)["columns"].shape == (1, 8, 2)
        graph.gives = {"embedding": (3, 8), "columns": (3, 8, 1)}
        assert held.run({"log_mel": np.zeros((3, 4, 32), np.float32)})["embedding"].shape == (3, 8)
        assert (held.provider, held.inputs, held.outputs) == (graph.provider, graph.inputs, graph.outputs)


@pytest.mark.parametrize(
    "gives",
    [
        {"embedding": (1, 7)},
        {"embedding": (8,)},
        {"embedding": (1, 8, 1)},
        {"embedding": (0, 8)},
        {"columns": (1, 8, 0)},
        {"columns": (1, 8, 3)},
        {"columns": (2, 8, 2)},
        {"columns": ()},
    ],
)
def test_another_shape_in_a_later_run_is_a_bundle_that_lies(gives: Shapes) -> None:
    graph = Pretending()
    held = HeldEngine(graph, "encoder", "bad.voxface", 0)
    held.run(SOUND)
    graph.gives |= gives
    with pytest.raises(BundleError, match=r"^bad\.voxface: encoder gives (embedding|columns) of shape \["):
        held.run(SOUND)


def test_memory_is_bounded_in_each_run_of_a_command_only() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    graph = Pretending()
    held = HeldEngine(graph, "encoder", "b", 1 << 20)
    held.run(SOUND)
    assert graph.limits == [before[0]]  # a program of somebody else
    with process_is_ours():
        held.run(SOUND)
        held.warm_up()
    assert all(0 < limit < 16 << 40 for limit in graph.limits[1:])
    assert len(graph.limits) == 3
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_runs_on_several_threads_leave_no_bound_behind() -> None:
    """Each would set back what it found, which is the other's bound."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with BoundedRun(1 << 30):
            inside.set()
            assert leave.wait(10)

    with process_is_ours():
        thread = threading.Thread(target=first)
        thread.start()
        assert inside.wait(10)
        with BoundedRun(1 << 30):
            leave.set()
            thread.join()
            assert resource.getrlimit(resource.RLIMIT_DATA) != before
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


FORK = """
import os
from voxface.runtime.engines.memory_bound import _private_bytes, process_is_ours
with process_is_ours():
    before = _private_bytes()
    if not os.fork():
        held = bytearray(200 << 20)
        os._exit(0 if _private_bytes() - before > 150 << 20 else 1)
    raise SystemExit(os.wait()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells the private memory of a process")
def test_a_fork_is_bounded_by_its_own_memory() -> None:
    assert subprocess.run([sys.executable, "-c", FORK], check=False).returncode == 0


def test_a_quarter_of_an_hour_of_speech_is_within_the_bound(default_bundle: Bundle) -> None:
    with process_is_ours(), open_graphs(default_bundle, ("encoder",), threads=1)["encoder"] as engine:
        outputs = engine.run({"log_mel": np.zeros((1, 64, 90_000), np.float32)})
    assert outputs["columns"].shape[2] == -(-90_000 // 32)
