"""A Ray cluster of two nodes on this machine, of which one can be killed; and work that tells where it was begun and ended."""

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from voxface.cluster.own_session import own_session, session_folder
from voxface.cluster.ray_session import STORE_BYTES
from voxface.training.data.parallel_map import Engine
from voxface.training.data.ray_tasks import RayTasks


class Nodes(NamedTuple):
    """Two nodes.

    Attributes:
        engine: connected to the first one.
        address: HOST:PORT of the head.
        second: number of the second one.
        kill: ends all processes of the second one, as when its machine loses its power.
    """

    engine: RayTasks
    address: str
    second: str
    kill: Callable[[], None]


@contextmanager
def two_nodes(cores: int = 1) -> Iterator[Nodes]:
    """The cluster, of nodes that give out so many cores; everything that it started has ended when the context is left."""
    with own_session(niceness=0), session_folder() as folder, ExitStack() as ending:
        ray: Any = importlib.import_module("ray")
        node_of: Any = importlib.import_module("ray._private.node").Node
        params_of: Any = importlib.import_module("ray._private.parameter").RayParams

        # As `ray.cluster_utils.Cluster` does, but without a file for all of the machine that names this cluster.
        def start(**more: object) -> Any:
            params = params_of(
                num_cpus=cores, num_gpus=0, object_store_memory=STORE_BYTES // 2, node_ip_address="127.0.0.1",
                min_worker_port=0, max_worker_port=0, node_manager_port=0, **more,
            )  # fmt: skip
            node = node_of(params, head="temp_dir" in more, shutdown_at_exit=False, spawn_reaper=False)
            ending.callback(end, node)
            return node

        def end(node: Any) -> None:
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)

        soon = {
            "health_check_initial_delay_ms": 500,
            "health_check_period_ms": 500,
            "health_check_failure_threshold": 4,
        }
        first = start(temp_dir=folder, include_dashboard=False, _system_config=soon)
        with RayTasks(first.gcs_address) as engine:
            own = ray.get_runtime_context().get_node_id()
            assert own == first.node_id
            second = start(gcs_address=first.gcs_address, include_log_monitor=False)
            wait_for(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)
            yield Nodes(engine, first.gcs_address, second.node_id, lambda: end(second))


class Told:
    """An engine whose tasks leave files: `NUMBER@NODE.begun` and `.ended`; each takes a while longer than it would."""

    def __init__(self, engine: Engine, folder: Path, seconds: float) -> None:
        folder.mkdir()
        self._engine, self._folder, self._seconds = engine, folder, seconds

    def __call__(self, work: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any]) -> Iterator[Any]:
        about = (work, shared, str(self._folder), self._seconds)
        return self._engine(_told, about, list(enumerate(items)))

    def of(self, node: str, what: str) -> set[int]:
        """Numbers of the items that a node has begun or ended."""
        return {int(file.name.partition("@")[0]) for file in self._folder.glob(f"*@{node}.{what}")}

    def begun_twice(self) -> set[int]:
        """Numbers of the items that more than one node has begun."""
        begun = [file.name.partition("@")[0] for file in self._folder.glob("*.begun")]
        return {int(number) for number in begun if begun.count(number) > 1}


def _told(about: tuple[Callable[[Any, Any], Any], Any, str, float], item: tuple[int, Any]) -> Any:
    ray: Any = importlib.import_module("ray")
    work, shared, folder, seconds = about
    number, what = item
    mark = Path(folder) / f"{number}@{ray.get_runtime_context().get_node_id()}"
    mark.with_name(f"{mark.name}.begun").touch()
    time.sleep(seconds)
    result = work(shared, what)
    mark.with_name(f"{mark.name}.ended").touch()
    return result


def wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    """Waits until something is so.

    Raises:
        AssertionError: it is not within this time.
    """
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
