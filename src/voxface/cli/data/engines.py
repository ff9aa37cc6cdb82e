"""What does the work of `data prepare` and `data synth`: processes of this machine, or a Ray cluster (`--engine`)."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voxface.cli.data.workers import workers_asked

if TYPE_CHECKING:
    from voxface.training.data.parallel_map import Engine


def add_engine(parser: "argparse._ActionsContainer") -> None:
    """Adds `--engine` and `--workers`."""
    parser.add_argument(
        "--engine",
        metavar="local|ray[:ADDRESS]",
        help="who does the work: processes of this machine (local), Ray on this machine (ray), or a Ray cluster that runs "
        "already (ray:HOST:PORT, ray:auto); the result is the same",
    )
    parser.add_argument("--workers", type=int, help="processes (as many as there are cores)")


@contextmanager
def engine_asked(options: argparse.Namespace) -> Iterator["Engine"]:
    """The engine of `--engine` and `--workers`; what it starts ends with the context.

    Raises:
        UsageError: no such engine, or `--workers` is of another machine's, too few or too many.
        ProviderError: Ray is not installed, or cannot be started or reached.
    """
    from voxface.runtime.errors import UsageError

    kind, _, address = (options.engine or "local").partition(":")
    if kind == "local" and not address:
        from voxface.training.data.parallel_map import Processes

        yield Processes(workers_asked(options))
        return
    if kind != "ray":
        raise UsageError(f"--engine {options.engine}: local, ray, ray:HOST:PORT or ray:auto")
    if address and options.workers is not None:
        raise UsageError("--workers: the cluster has as many as its machines have cores")
    from voxface.training.data.ray_tasks import RayTasks

    with RayTasks(address or None, workers_asked(options)) as engine:
        yield engine
