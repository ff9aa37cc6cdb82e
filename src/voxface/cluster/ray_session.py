"""A Ray cluster for as long as a context lasts: one that runs already, or one of this machine alone."""

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from voxface.cluster.own_session import first_line, import_ray, own_session, session_folder
from voxface.cluster.signals import ended_by_sigterm
from voxface.runtime.errors import ProviderError, VoxfaceError

STORE_BYTES: Final = 200 << 20  # of shared memory on a machine: what all items share, and results on their way
REACHABLE_S: Final = 10.0


@contextmanager
def ray_session(
    address: str | None,
    cores: int,
    *,
    what: str,
    extra: str,
    store_bytes: int = STORE_BYTES,
    niceness: int | None = None,
) -> Iterator[Any]:
    """Connects; gives the module `ray`. A cluster that was started here has ended, with all its processes and files, when the
    context is left.

    Args:
        address: host and port of the head of a cluster that runs, or "auto": the one of this machine; None: a cluster of this
            machine alone is started.
        cores: processes of that cluster.
        what, extra: see `import_ray`.
        store_bytes: shared memory of that cluster.
        niceness: of its processes, see `own_session`.

    Raises:
        ProviderError: Ray is not installed, cannot be started or reached, or is of a version whose start is not known here.
    """
    if address is not None:
        _check_reachable(address)
    ray = import_ray(what, extra)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with ExitStack() as session:
        catch = session.enter_context(ended_by_sigterm())
        try:
            if address is not None:
                session.callback(ray.shutdown)
                ray.init(address=address, **quiet)
            else:
                session.enter_context(own_session(niceness=niceness))
                folder = session.enter_context(session_folder())
                session.callback(ray.shutdown)
                ray.init(
                    address="local",
                    num_cpus=cores,
                    object_store_memory=store_bytes,
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    _temp_dir=folder,
                    **quiet,
                )
        except VoxfaceError:
            raise
        except Exception as error:  # Ray raises some that are of no kind, such as for a start that takes too long
            where = "on this machine" if address is None else f"at {address}"
            raise ProviderError(f"Ray {where}: {first_line(error)}") from error
        catch()
        yield ray


def _check_reachable(address: str) -> None:
    """Raises ProviderError if nothing answers at HOST:PORT: Ray itself would go on asking for many minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise ProviderError(
            f"Ray at {address}: {first_line(error)}; give HOST:PORT of the head of a cluster"
        ) from error
