"""One training run in a folder: devices, seeds, checkpoints, resuming, learning curve, sample sheets, and the check for NaN.

A training script is a straight line:

    run = Run(folder, config, config.run, data=pairs.digest, resume=resume)
    network = run.network("mesh", MeshRegressor(50))
    optimiser = run.optimiser("mesh", torch.optim.Adam(network.parameters(), config.rate))
    for step, batch in run.batches(config.steps, lambda step: pairs.batch(run.random(step), …)):
        loss = …
        run.descend(loss, optimiser)
        run.log(step, {"loss": loss}, batch)

Everything random in a step follows from (seed, step, process). So a run that was killed and resumed gives the same numbers as
one that was not: bit for bit on a CPU with as many threads. State that a step needs from earlier steps must be in a registered
network (a buffer will do) or optimiser; what changes with the step, such as a learning rate, must be computed from its number.

With several processes, all of them run the script. Each takes its share of every batch; a backward pass through a registered
network averages the gradients; the first process writes the files. `network`, `optimiser`, `steps` and `log` have to be called
in all of them; under `if run.leads` or `wants_sheet`, only `bare` networks may be run.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import numpy as np
import torch
from lightning_fabric import is_wrapped
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.runtime.errors import Interrupted, UsageError, VoxfaceError
from voxface.runtime.provenance.mark import OF_NO_BUNDLE
from voxface.training.engine.bad_batch import not_a_number, save_bad_batch
from voxface.training.engine.gradient_descent import descend
from voxface.training.engine.learning_curve import Curve
from voxface.training.engine.phases import Done, Progress, no_progress
from voxface.training.engine.prepared_batches import PreparedBatches
from voxface.training.engine.processes import Processes, launch
from voxface.training.engine.run_folder import RunFolder
from voxface.training.engine.run_state import RunState
from voxface.training.engine.stop_signals import StopSignals

Batch = TypeVar("Batch")
ACCELERATORS: Final = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class RunConfig:
    """Settings that every training has.

    Attributes:
        seed: seed of every random choice, 0 to 2^63 − 1.
        checkpoint_every: steps between checkpoints, and so the most that a kill can cost.
        keep: how many checkpoints stay.
        log_every: steps between points of the learning curve.
        sample_every: steps between sample sheets.
        accelerator: "cpu", "cuda" or "auto".
        devices: number of processes, one per device; batches are global and divided among them. Where `torchrun` has
            started the processes, it decides the number.
        precision: Lightning Fabric's name: "32-true", "bf16-mixed", "16-mixed".
        ahead: batches that threads make before their turn; −1: two on a GPU, none on a CPU.

    Raises:
        UsageError: a value out of its range.
    """

    seed: int = 0
    checkpoint_every: int = 500
    keep: int = 2
    log_every: int = 10
    sample_every: int = 500
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    ahead: int = -1

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} {getattr(self, name)}: at least {least}")
        if self.seed >= 2**63:
            raise UsageError(f"seed {self.seed}: less than 2^63")
        if self.accelerator not in ACCELERATORS:
            raise UsageError(f"accelerator {self.accelerator!r}: one of {', '.join(ACCELERATORS)}")


_LEAST: Final = {
    "seed": 0,
    "checkpoint_every": 1,
    "keep": 1,
    "log_every": 1,
    "sample_every": 1,
    "devices": 1,
    "ahead": -1,
}


class Run:
    """One training run; the module's docstring shows its use.

    An error that ends the run is raised in the first process; the others exit silently with the same exit code.

    Attributes:
        folder: all files of the run.
        fabric: Lightning Fabric, launched.
        first: number of the first step, which is above 0 in a resumed run; known once `steps` has begun.
        waiting: share of the time of `batches` in which steps waited for their batch; known at its end.
    """

    def __init__(
        self,
        folder: Path,
        config: Any,
        settings: RunConfig,
        *,
        data: Mapping[str, str] | str = "",
        resume: bool = False,
        say: Callable[[str], None] = lambda _: None,
        progress: Progress = no_progress,
    ) -> None:
        """Opens or makes `folder`, and starts the other processes.

        Args:
            config: the trainer's dataclass, with the fields `run` and `steps`. A resumed run may change these two, but
                neither the seed nor the precision.
            settings: usually `config.run`.
            data: digest of the data, or digests by name of the data and of the networks that are used; a resumed run must
                have the same.
            resume: whether to resume the run in `folder`, or begin one if there is none.
            say: called with lines about what happens, in the first process.
            progress: see `phases`; called in the first process.

        Raises:
            UsageError: the folder holds pairs, a run (without `resume`), or a run with other settings, or another process
                trains in it.
            InputError: the folder cannot be written, or the last checkpoint is damaged.
            ProviderError: there is no such device.
        """
        self.folder, self.settings = folder, settings
        plain = {name: value for name, value in asdict(config).items() if name not in ("run", "steps")}
        identity = {"config": plain, "seed": settings.seed, "precision": settings.precision, "data": data}
        self._place = RunFolder(folder, identity)
        self._networks: dict[str, nn.Module] = {}
        self._optimisers: dict[str, torch.optim.Optimizer] = {}
        self._batch: Mapping[str, Any] = {}
        self._begun = False
        self._signals = StopSignals()
        self._curve: Curve | None = None
        self.first = 0
        self.waiting = 0.0
        self._last = self._place.last_checkpoint(resume)
        self.fabric = launch(settings.accelerator, settings.devices, settings.precision)
        self._processes = Processes(self.fabric, folder)
        self._say = say if self.leads else lambda _: None
        self._progress = progress if self.leads else no_progress
        self._run_on_first(lambda: self._claim(resume))
        self._last = self.fabric.broadcast(self._last)
        torch.manual_seed(settings.seed)  # every process starts from the same weights

    @property
    def device(self) -> torch.device:
        """Device of networks and batches."""
        return self.fabric.device

    @property
    def leads(self) -> bool:
        """Whether this process writes the files."""
        return bool(self.fabric.is_global_zero)

    def phase(self, name: str) -> Done:
        """Callback with how far a phase beside the steps is."""
        return lambda done, total: self._progress(done, total, name)

    def share(self, batch: int, *, of: int = 1) -> int:
        """Size of this process's part of a global batch whose items belong together in groups of `of`.

        Raises:
            UsageError: it cannot be divided evenly.
        """
        if batch < 1:
            self._fail(UsageError(f"batch {batch}: at least 1"))
        each, rest = divmod(batch, self._processes.number)
        if rest or each % of:
            groups = "" if of == 1 else f" in groups of {of}"
            self._fail(
                UsageError(f"a batch of {batch} cannot be divided among {self._processes.number} processes{groups}")
            )
        return each

    def random(self, step: int) -> np.random.Generator:
        """Random generator of one step in this process. Call it once per step: each call gives the same numbers again."""
        return np.random.default_rng([self.settings.seed, step, self.fabric.global_rank])

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Copy of an array on the run's device."""
        copy = torch.tensor(np.ascontiguousarray(array))
        if self.device.type != "cuda":
            return copy.to(self.device)
        return copy.pin_memory().to(self.device, non_blocking=True)

    def network(self, name: str, module: nn.Module, *, trained: bool = True) -> nn.Module:
        """Registers a network, which is moved to the device, saved and restored.

        Args:
            name: name of its file in the checkpoints, unique.
            module: the network. Its forward pass must use all its parameters, and each backward pass must go through one
                forward pass.
            trained: whether it has an optimiser; moving averages have none and are not wrapped for several processes.

        Returns:
            The network to be trained, wrapped; `bare` gives `module` back.
        """
        self._check_name(name, self._networks)
        if not trained:
            self._networks[name] = module.to(self.device)
            return module
        ready = self.fabric.setup_module(module)
        # Fabric's hook forbids every backward pass but its own, and with it penalties on gradients in mixed precision.
        ready._register_backward_hook = lambda tensor: tensor  # type: ignore[method-assign]
        self._networks[name] = ready
        return ready

    def optimiser(self, name: str, optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Registers an optimiser over parameters of registered networks; it is saved and restored."""
        self._check_name(name, self._optimisers)
        ready: torch.optim.Optimizer = self.fabric.setup_optimizers(optimiser)  # type: ignore[assignment]
        self._optimisers[name] = ready
        return ready

    def descend(self, loss: Tensor, *optimisers: torch.optim.Optimizer, clip: float | None = None) -> None:
        """Computes the gradients of the optimisers' parameters anew and steps these optimisers; other parameters do not move.

        Args:
            loss: scalar.
            clip: greatest norm of the gradients of each optimiser's parameters; None: no clipping.
        """
        descend(self.fabric, loss, *optimisers, clip=clip)

    def steps(self, total: int) -> Iterator[int]:
        """Numbers of the steps still to be done.

        The last checkpoint is restored first. Checkpoints are saved every `checkpoint_every` steps and at the end. After
        SIGTERM, SIGHUP (unless the process ignores it, as under nohup) or Ctrl-C one is saved at the end of the step, and
        `Interrupted`, a KeyboardInterrupt, raised; the third signal raises it at once.

        Raises:
            InputError: a checkpoint cannot be read or written.
            TrainingError: a weight is NaN or infinite.
        """
        try:
            self._restore()
            if self.first >= total:
                self._say(f"nothing left to do: {self.first} steps were done before")
            self._signals.listen()
            torch.set_flush_denormal(True)  # generators full of zeros train several times slower without it
            for step in range(self.first, total):
                seed = np.random.SeedSequence([self.settings.seed, step, self.fabric.global_rank])
                torch.manual_seed(int(seed.generate_state(1)[0]))
                yield step
                done = step + 1
                self._progress(done, total)
                stop = self._processes.largest(self._signals.first)
                if stop or done == total or done % self.settings.checkpoint_every == 0:
                    for network in self._networks.values():
                        self._processes.broadcast_state(bare(network))
                    self._run_on_first(lambda done=done: self._save(done))  # type: ignore[misc]
                if stop and done < total:
                    self._say(f"stopped after {done} of {total} steps; go on with --resume")
                    self._close()
                    self._processes.end(Interrupted(stop), 128 + stop)
        finally:
            self._close()

    def batches(self, total: int, make: Callable[[int], Batch], *, together: int = 1) -> Iterator[tuple[int, Batch]]:
        """Numbers of the steps still to be done, each with its batch; see `steps`.

        Args:
            make: step -> batch, of NumPy arrays: it may run in a thread, before its turn.
            together: see `PreparedBatches`; for small batches.
        """
        ahead = self.settings.ahead if self.settings.ahead >= 0 else 2 * (self.device.type == "cuda")
        prepared = PreparedBatches(make, total, ahead=ahead, together=together)
        began = time.perf_counter()
        try:
            for step in self.steps(total):
                yield step, prepared.at(step)
        finally:
            prepared.close()
            self.waiting = prepared.waited / max(time.perf_counter() - began, 1e-9)
            if self.first < total:
                self._say(f"steps waited for data {100 * self.waiting:.1f} % of their time")

    def log(self, step: int, losses: Mapping[str, Tensor | float], batch: Mapping[str, Any] | None = None) -> None:
        """Checks the losses of a step, and adds a point to the learning curve every `log_every` steps and at validations.

        It has to be called in all processes with the same names. Values are averaged over the processes.

        Args:
            losses: scalars by name; names of a validation begin with "validation/".
            batch: tensors and arrays of the step, which are saved if a loss is NaN or infinite.

        Raises:
            TrainingError: a loss is NaN or infinite in some process; `batch` has been saved.
            InputError: the curve cannot be written.
        """
        self._batch = batch or {}
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        own = torch.stack(
            [torch.as_tensor(value, dtype=exact, device=self.device).detach().reshape(()) for value in losses.values()]
        )
        # A step waits for the device here and nowhere else.
        values = dict(zip(losses, self._processes.mean(own).tolist(), strict=True))
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            # The first bad loss tells whose batch it was: gradients may have carried it into later losses of other processes.
            if not math.isfinite(float(own[list(losses).index(bad[0])])):
                save_bad_batch(self.folder, step, self.fabric.global_rank, self._batch)
            self.fabric.barrier()
            self._fail(not_a_number(self.folder, step, ", ".join(f"{name} is {values[name]}" for name in bad)))
        if step % self.settings.log_every == 0 or any(name.startswith("validation/") for name in losses):
            self._run_on_first(lambda: self._point(step, values))

    def wants_sheet(self, step: int) -> bool:
        """Whether this process draws a sample sheet at the end of this step."""
        return self.leads and (step + 1) % self.settings.sample_every == 0

    def sheet(self, step: int, rows: Sequence[Sequence[NDArray[np.uint8]]], name: str = "sheet") -> Path:
        """Writes a sample sheet to `samples/NAME-STEP.png` and to TensorBoard; returns its path.

        A sheet that cannot be written is reported by `say` and is no error.

        Args:
            rows: pictures uint8 [h, w, 3] of one size, row by row.
        """
        from PIL import Image

        from voxface.training.faces.render import write_picture_sheet

        path = self.folder / "samples" / f"{name}-{step + 1:07d}.png"
        try:
            path.parent.mkdir(exist_ok=True)
            write_picture_sheet(rows, path, mark=OF_NO_BUNDLE)
            if self._curve is not None:
                with Image.open(path) as picture:
                    self._curve.picture(step, name, np.asarray(picture))
        except OSError as error:
            self._say(f"{path}: cannot be written ({error.strerror or error})")
        return path

    # -- internals ------------------------------------------------------------------------------------------------------------

    def _claim(self, resume: bool) -> None:
        """Takes the folder for this process."""
        self._place.claim()
        # Again under the lock: another process may have written meanwhile.
        self._last = self._place.last_checkpoint(resume)

    def _state(self) -> RunState:
        return RunState(
            self.fabric, {name: bare(network) for name, network in self._networks.items()}, self._optimisers
        )

    def _save(self, done: int) -> None:
        state = self._state()
        if bad := state.not_finite():
            save_bad_batch(self.folder, done - 1, self.fabric.global_rank, self._batch)
            raise not_a_number(self.folder, done - 1, f"the weights of {', '.join(bad)} are not finite")
        state.save(self.folder, done, self._place.identity, self.settings.keep)
        if self._curve is not None:
            self._curve.flush()

    def _restore(self) -> None:
        self._begun = True
        if self._last is not None:
            try:
                self._load(self._last)
            except VoxfaceError as error:
                self._fail(error)
        self._run_on_first(self._open_curve)

    def _open_curve(self) -> None:
        self._curve = Curve(self.folder, self.first, self._say)

    def _load(self, place: Path) -> None:
        self.first, processes, threads = self._state().restore(place)
        self._say(f"going on from step {self.first}")
        if processes != self._processes.number:
            self._say(f"with {self._processes.number} processes, not {processes} as before: the batches will be others")
        if threads != torch.get_num_threads() and self.device.type == "cpu":
            self._say(f"with {torch.get_num_threads()} threads, not {threads} as before: last digits will be others")

    def _point(self, step: int, values: Mapping[str, float]) -> None:
        if self._curve is not None:
            self._curve.point(step, values)
        self._say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))

    def _run_on_first(self, action: Callable[[], None]) -> None:
        problem = self._processes.run_on_first(action)
        if problem is not None:
            self._fail(problem)

    def _fail(self, error: VoxfaceError) -> NoReturn:
        self._close()
        self._processes.end(error, error.exit_code)

    def _close(self) -> None:
        torch.set_flush_denormal(False)  # the setting belongs to the whole process
        self._signals.close()
        if self._curve is not None:
            self._curve.close()
        self._place.close()

    def _check_name(self, name: str, taken: Mapping[str, Any]) -> None:
        if self._begun or name in taken:
            raise ValueError(f"{name}: {'the run has begun' if self._begun else 'registered already'}")


def bare(network: nn.Module) -> nn.Module:
    """The module that `Run.network` was given, without the wrapper for several processes and mixed precision.

    Use it for state dicts, and for forward passes that give this network no gradients or run in one process only. There is no
    mixed precision without the wrapper, but under `with run.fabric.autocast():`.
    """
    return network.module if is_wrapped(network) else network  # type: ignore[return-value]
