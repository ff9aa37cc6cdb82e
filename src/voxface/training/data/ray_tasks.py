"""Ray as an engine: the work on many items as tasks of a cluster, on as many machines as it has.

Tasks, and not Ray Data: each item is one task under its own number, so results come in order whichever machine is faster, and a
task that is lost with its machine is done again, alone. Ray Data would add pyarrow and blocks of rows, and keeps an order only
when told to.

Ray itself asks the network even with its usage statistics off: the service that sends them asks a cloud's address of metadata
(169.254.169.254) whose machine this is, and tells a collector that they are off. A cluster that is started here has no such
service, listens to this machine alone, and wants a token that nobody else knows. One that runs already is as whoever started
it has set it up; docs/own-data.md says how.
"""

import importlib
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any, Final, Self

from voxface.runtime.errors import ProviderError, VoxfaceError
from voxface.runtime.install_advice import how_to_install
from voxface.training.data.parallel_map import Item, Result, Shared

STORE_BYTES: Final = 200 << 20  # of shared memory on a machine: what all items share, and results on their way
AHEAD: Final = 4  # tasks for each core that are given out before the first result is awaited
TRIES_AGAIN: Final = 3  # of a task whose machine or process is gone
REACHABLE_S: Final = 10.0
_OWN_SESSION: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a variable's name: this machine is 127.0.0.1, and no route is looked up
    "RAY_AUTH_MODE": "token",
}
_LONGEST_FOLDER: Final = 40  # characters: names of sockets below it may have 107 in all


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
        if self._address is not None:
            _check_reachable(self._address)
        ray = _import()
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        catch = self._session.enter_context(_ended_by_sigterm())
        try:
            if self._address is not None:
                ray.init(address=self._address, **quiet)
            else:
                self._session.enter_context(own_session())
                ray.init(
                    address="local",
                    num_cpus=self._cores,
                    object_store_memory=STORE_BYTES,
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=self._session.enter_context(session_folder()),
                    **quiet,
                )
        except BaseException as error:
            self._end(ray)
            if not isinstance(error, Exception) or isinstance(error, VoxfaceError):
                raise  # Ray itself raises Exception, such as for a start that takes too long
            where = "on this machine" if self._address is None else f"at {self._address}"
            raise ProviderError(f"Ray {where}: {_line(error)}") from error
        catch()
        self._ray = ray
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnects; ends a cluster that was started here, with all its processes and files."""
        ray, self._ray = self._ray, None
        self._end(ray)

    def _end(self, ray: Any) -> None:
        ray.shutdown()
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
            raise ProviderError(f"Ray lost the work: {_line(error)}") from error


def _do(work: Callable[[Any, Any], Any], shared: Any, item: Any) -> Any:
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)  # a task has one core
    return work(shared, item)


def _check_reachable(address: str) -> None:
    """Raises ProviderError if nothing answers at HOST:PORT: Ray itself would go on asking for many minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise ProviderError(f"Ray at {address}: {_line(error)}; give HOST:PORT of the head of a cluster") from error


@contextmanager
def own_session() -> Iterator[None]:
    """Within it, Ray starts what it starts for this machine alone, and without the service that asks the network.

    Raises:
        ProviderError: Ray is not installed, or of a version where that service is started in another way.
    """
    # Its processes find the modules that this one finds, as those of `parallel_map` do.
    own = {**_OWN_SESSION, "RAY_AUTH_TOKEN": _token(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    variables = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    ray = _import()
    changed: list[tuple[Any, str, Any]] = [
        (importlib.import_module("ray._private.node").Node, "start_api_server", _no_service),
        (importlib.import_module("ray._private.ray_constants"), "ENABLE_RAY_CLUSTER", False),
    ]
    if not all(hasattr(owner, name) for owner, name, _ in changed):
        raise ProviderError(f"Ray {ray.__version__} is not known here; {how_to_install('ray')}")
    importlib.import_module("ray._raylet").Config.initialize("")  # the variables, where Ray had been imported before
    values = [getattr(owner, name) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(changed, values, strict=True):
            setattr(owner, name, value)
        for name, before in variables.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before


@cache
def _token() -> str:
    """One for this process, since Ray reads it once."""
    return secrets.token_hex(32)


def _no_service(node: Any, **_: object) -> None:
    node._webui_url = ""


def _import() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before it is imported
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ProviderError(f"--engine ray needs Ray ({_line(error)}); {how_to_install('ray')}") from error


@contextmanager
def _ended_by_sigterm() -> Iterator[Callable[[], None]]:
    """SIGTERM leaves this context, so that Ray's processes are ended, with the exit code of a process that it has ended.

    Ray's own handlers end with another code, or print the stack. It sets them when it is started; what is yielded is to be
    called afterwards.
    """
    utilities: Any = importlib.import_module("ray._private.utils")
    name = "set_sigterm_handler"
    its_own = getattr(utilities, name, None)
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    if its_own is not None:
        setattr(utilities, name, lambda _: None)

    def catch() -> None:
        if main and before is not None:
            own = before if before is not signal.SIG_DFL else lambda number, _: sys.exit(128 + number)
            signal.signal(signal.SIGTERM, own)

    catch()
    try:
        yield catch
    finally:
        if its_own is not None:
            setattr(utilities, name, its_own)
        if main and before is not None:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def session_folder() -> Iterator[str]:
    """A folder for sockets and logs of a session."""
    usual = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="voxface-ray-", dir=usual if len(usual) <= _LONGEST_FOLDER else "/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
