"""Ray as an engine: order, errors, a node that is killed, and nothing left over."""

import os
import threading
from pathlib import Path

import pytest

from tests.stand_ins.ray_nodes import Told, two_nodes, wait_for
from voxface.runtime.errors import InputError, ProviderError
from voxface.training.data.ray_tasks import AHEAD, RayTasks

pytest.importorskip("ray", reason="Ray comes with voxface[ray]")
pytestmark = pytest.mark.slow


def square(shared: dict[str, int], item: int) -> int:
    if item == shared["unreadable"]:
        raise InputError(f"{item}: cannot be read")
    if item == shared["deadly"]:
        os._exit(1)
    return item * item


def children() -> set[str]:
    """Processes that have this one as an ancestor."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[stat.parent.name] = parent
    found = {str(os.getpid())}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {str(os.getpid())}


def test_on_this_machine_alone() -> None:
    """Order, an error as in one process, a task that kills its process, and nothing left over."""
    before, variables = children(), dict(os.environ)
    with RayTasks(cores=2) as engine:
        assert len(children() - before) > 3
        assert list(engine(square, {"unreadable": -1, "deadly": -1}, range(30))) == [k * k for k in range(30)]
        results = engine(square, {"unreadable": 2, "deadly": -1}, range(4))
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(InputError, match=r"^2: cannot be read$"):
            next(results)
        with pytest.raises(ProviderError, match="Ray lost the work"):
            list(engine(square, {"unreadable": -1, "deadly": 1}, range(2)))
    wait_for(lambda: children() <= before)
    assert {name: value for name, value in os.environ.items() if name in variables} == variables


def test_a_cluster_that_is_not_there() -> None:
    with pytest.raises(ProviderError, match=r"^Ray at 127\.0\.0\.1:1: "), RayTasks("127.0.0.1:1"):
        pass


def test_a_start_that_fails_in_any_way(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")  # as Ray itself does on a busy machine

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(ProviderError, match="Ray on this machine: The current node timed out"), RayTasks(None, 1):
        pass


def test_what_a_killed_node_had_begun_is_done_elsewhere(tmp_path: Path) -> None:
    before = children()
    with two_nodes() as nodes:
        engine = Told(nodes.engine, tmp_path / "marks", 1.0)
        got: list[int] = []
        nothing = {"unreadable": -1, "deadly": -1}
        work = threading.Thread(target=lambda: got.extend(engine(square, nothing, range(3 * AHEAD))))
        work.start()
        # It has ended some, and is at another.
        wait_for(lambda: len(engine.of(nodes.second, "ended")) > 1)
        wait_for(lambda: engine.of(nodes.second, "begun") - engine.of(nodes.second, "ended"))
        nodes.kill()
        work.join(120)
        assert got == [k * k for k in range(3 * AHEAD)]
        assert engine.begun_twice(), "nothing was under way on the node that was killed"
    wait_for(lambda: children() <= before)
