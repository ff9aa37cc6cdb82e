"""Processes of one training, one per device: how they start, agree, and end.

If one process ended alone (because of a signal, a full disk, a loss that is NaN), the others would wait for its gradients until
they time out after half an hour. So whatever ends a training ends it in all processes, at the same step.
"""

import atexit
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from voxface.runtime.errors import InputError, ProviderError, UsageError, VoxfaceError
from voxface.runtime.processor import usable_cores

MOST_PER_CORE: Final = (
    4  # processes of a training on processors; a training by mistake in hundreds takes the machine down
)

_MEETING: Final = "VOXFACE_MEETING"
"""Variable with the file at which processes of one machine find each other."""


def launch(accelerator: str, devices: int, precision: str) -> Fabric:
    """Starts the processes, unless `torchrun` has done so, and connects them.

    Raises:
        UsageError: there is no such precision, or torchrun has started another number of processes.
        ProviderError: there are no such devices.
    """
    nodes = 1
    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        if devices not in (1, here):
            raise UsageError(f"--devices {devices}: torchrun has started {here} processes; leave --devices out")
        devices, nodes = here, int(os.environ["WORLD_SIZE"]) // here
    most = MOST_PER_CORE * usable_cores()
    if nodes == 1 and devices > most and not (accelerator != "cpu" and torch.cuda.is_available()):
        raise UsageError(f"--devices {devices}: at most {most} processes on {usable_cores()} cores")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if devices * nodes > 1 and "LOCAL_RANK" not in os.environ:  # the first process, which starts the others
        os.environ[_MEETING] = _new_file()
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=_DDP() if devices * nodes > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
        fabric.launch()
        atexit.register(_part)
    except (RuntimeError, ValueError, ImportError, MisconfigurationException) as error:
        why = " ".join(str(error).split())
        if why.startswith("Precision"):
            raise UsageError(f"--precision {precision}: one of 32-true, bf16-mixed, 16-mixed") from error
        raise ProviderError(f"--accelerator {accelerator} --devices {devices}: {why}") from error
    return fabric


class _DDP(DDPStrategy):
    """Distributed data parallel, whose processes on one machine meet at a file and talk by its loopback interface.

    Lightning's own way is a port that the whole network can reach, and PyTorch then asks the name server for its own address.
    Where torchrun or a cluster has started the processes, they meet as it says.
    """

    def setup_environment(self) -> None:
        """Connects this process to the others."""
        environment = self.cluster_environment
        if isinstance(environment, LightningEnvironment) and _MEETING in os.environ:
            loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
            if loopback is not None:
                os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
            torch.distributed.init_process_group(
                "nccl" if self.root_device.type == "cuda" else "gloo",
                init_method=Path(os.environ[_MEETING]).as_uri(),
                rank=environment.local_rank(),
                world_size=self.num_processes,
            )
        super().setup_environment()


def _new_file() -> str:
    """An empty temporary file. The last process that leaves the meeting removes it; each of them waits for half an hour for
    a folder that another one has removed."""
    handle, path = tempfile.mkstemp(prefix="voxface-")
    os.close(handle)
    return path


def _part() -> None:
    # Threads of gloo that outlive their group may abort the process at its very end.
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def end_at_once(code: int) -> None:
    """Ends this process if it is one of several, without the interpreter's cleaning up, in which a thread of gloo aborts a
    process now and then; returns if it is the only one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    leads = torch.distributed.get_rank() == 0
    _part()
    if leads and _MEETING in os.environ:
        Path(os.environ[_MEETING]).unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Processes:
    """All processes of a training, as one of them sees them. Every method has to be called in all of them."""

    def __init__(self, fabric: Fabric, folder: Path) -> None:
        """Args: a launched Fabric, and the folder that the training writes."""
        self.fabric, self.folder, self.number = fabric, folder, int(fabric.world_size)

    def mean(self, values: Tensor) -> Tensor:
        """Mean of values over the processes, elementwise; not finite where any process's value is not."""
        if self.number == 1:
            return values
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total / self.number

    def largest(self, here: int) -> int:
        """The largest of a number of each process, 0 or more."""
        if self.number == 1:
            return here
        value = torch.tensor(here, device=self.fabric.device)
        torch.distributed.all_reduce(value, torch.distributed.ReduceOp.MAX)
        return int(value)

    def broadcast_state(self, network: nn.Module) -> None:
        """Copies a network's state from the first process to the others, whose running statistics differ."""
        if self.number > 1:
            for value in network.state_dict().values():
                torch.distributed.broadcast(value, 0)

    def run_on_first(self, action: Callable[[], None]) -> VoxfaceError | None:
        """Runs `action` in the first process, which writes files with it, while the others wait.

        Returns:
            The error that it raised, in all processes; an OSError becomes an InputError.
        """
        problem: VoxfaceError | None = None
        if self.fabric.is_global_zero:
            try:
                action()
            except VoxfaceError as error:
                problem = error
            except OSError as error:
                problem = InputError(f"{error.filename or self.folder}: cannot be written ({error.strerror or error})")
                problem.__cause__ = error
        return self.fabric.broadcast(problem)

    def end(self, error: BaseException, exit_code: int) -> NoReturn:
        """Ends the training: the first process raises `error`, the others SystemExit, so that there is one message."""
        if self.fabric.is_global_zero:
            raise error
        # If this process ended with an error before the one that started it, Fabric would kill that one.
        parent, patience = os.getppid(), time.monotonic() + 10
        while not torch.distributed.is_torchelastic_launched() and os.getppid() == parent:
            if time.monotonic() > patience:
                break
            time.sleep(0.05)
        raise SystemExit(exit_code)
