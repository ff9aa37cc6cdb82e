"""Ray as an engine: the work on many items as tasks of a cluster, on as many machines as it has.

Tasks, and not Ray Data: each item is one task under its own number, so results come in order whichever machine is faster, and a
task that is lost with its machine is done again, alone. Ray Data would add pyarrow and blocks of rows, and keeps an order only
when told to. What Ray says to others, and how that is prevented: see `voxface.cluster.own_session`.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final, Self

from voxface.cluster.own_session import first_line
from voxface.cluster.ray_session import ray_session
from voxface.runtime.errors import ProviderError, VoxfaceError
from voxface.training.data.parallel_map import Item, Result, Shared

AHEAD: Final = 4  # tasks for each core that are given out before the first result is awaited
TRIES_AGAIN: Final = 3  # of a task whose machine or process is gone


class RayTasks:
    """The engine of a Ray cluster, a context manager: inside it Ray is connected."""

    def __init__(self, address: str | None = None, cores: int = 1) -> None:
        """Connects to nothing yet.

        Args:
            address: host and port of the head of a cluster that runs, or "auto": the one of this machine; None: a cluster of
                this machine alone is started, and ended in the end.
            cores: processes of that cluster.
        """
        self._address, self._cores = address, cores
        self._ray: Any = None
        self._session = ExitStack()

    def __enter__(self) -> Self:
        """Connects.

        Raises:
            ProviderError: Ray is not installed, cannot be started or reached, or is of a version whose start is not known here.
        """
        self._ray = self._session.enter_context(
            ray_session(self._address, self._cores, what="--engine ray", extra="ray")
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnects; ends a cluster that was started here, with all its processes and files."""
        self._ray = None
        self._session.close()

    def __call__(
        self, work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[Result]:
        """See `Engine`; all machines of the cluster need the same version of voxface, and the files under the same names.

        Raises:
            ProviderError: a task's process was lost again and again, or the cluster is gone.
        """
        ray = self._ray
        assert ray is not None, "outside of its context"
        # The function is named, not sent: every machine runs its own voxface.
        task = ray.remote(num_cpus=1, max_retries=TRIES_AGAIN)(_do)
        for_all = ray.put(shared)
        most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(task.remote(work, for_all, item))
                if len(waiting) >= most:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for left in waiting:
                ray.cancel(left)

    def _result(self, reference: Any) -> Any:
        """What a task returned, or the error it raised, as in this process."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, VoxfaceError):
                raise error.cause from error
            raise
        except errors.RayError as error:
            raise ProviderError(f"Ray lost the work: {first_line(error)}") from error


def _do(work: Callable[[Any, Any], Any], shared: Any, item: Any) -> Any:
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)  # a task has one core
    return work(shared, item)
