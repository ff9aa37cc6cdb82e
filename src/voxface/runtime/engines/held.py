"""Graphs of a bundle held to what they declare in every run: a graph may do to other sound what it did not do to the trial."""

from typing import Final

from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.engines.contract import OUTPUTS
from voxface.runtime.engines.engine import Array, Engine
from voxface.runtime.engines.memory_bound import BoundedRun, is_process_ours
from voxface.runtime.engines.passing import PassingEngine
from voxface.runtime.engines.providers import ON_CPU
from voxface.runtime.errors import BundleError

RUN_BYTES: Final = 128 << 20  # of one run beside weights and input
# The voice encoder of the papers takes 11 bytes for each of its input; another may be larger.
PER_INPUT_BYTE: Final = 64


class HeldEngine(PassingEngine):
    """An engine whose outputs have the shapes that its graph declares, or it raises; see
    `voxface.runtime.engines.engine.Engine`. In a command, a run on the CPU has a bound of memory too."""

    def __init__(self, engine: Engine, name: str, label: str, size: int) -> None:
        """Args:
        engine: an engine that passed `voxface.runtime.engines.contract.check_signature`.
        name: the graph: "encoder", "face", "mesh" or "fused".
        label: what messages begin with.
        size: bytes of the graph.
        """
        super().__init__(engine)
        self._name, self._label = name, label
        self._more = RUN_BYTES + 4 * size if engine.provider in ON_CPU else None
        self._shapes = {
            key: tuple(
                length if isinstance(length, int) else axis
                for axis, length in zip(axes, engine.outputs[key].shape, strict=True)
            )
            for key, axes in OUTPUTS[name].items()
        }
        # The shape of the first input of the run before, and those that outputs must have with it.
        self._known: tuple[tuple[int, ...], dict[str, tuple[int, ...]]] = (), {}

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Runs the engine.

        Raises:
            BundleError: an output has another shape than the graph declares, or the graph failed, or needs too much memory.
            ProviderError, ValueError: those of the engine.
        """
        if self._more is None or not is_process_ours():
            outputs = self._engine.run(feeds, out)
        else:
            given = PER_INPUT_BYTE * sum([array.nbytes for array in feeds.values()])
            with BoundedRun(self._more + given):
                outputs = self._engine.run(feeds, out)
        shape = next(iter(feeds.values())).shape
        known = self._known
        if known[0] != shape:  # most runs are of one shape
            known = self._known = shape, self._wanted(shape[0], shape[-1])
        for key, wanted in known[1].items():
            if outputs[key].shape != wanted:
                raise BundleError(
                    f"{self._label}: {self._name} gives {key} of shape {list(outputs[key].shape)}, not {list(wanted)}; "
                    "fetch or export the bundle again"
                )
        return outputs

    def _wanted(self, clips: int, frames: int) -> dict[str, tuple[int, ...]]:
        """The shape of each output for so many clips of so many frames."""
        return {
            key: tuple(
                axis if isinstance(axis, int) else clips if axis == "B" else -(-frames // STRIDE) for axis in declared
            )
            for key, declared in self._shapes.items()
        }

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Warms the engine up, within the same bound of memory."""
        with BoundedRun(self._more):
            self._engine.warm_up(lengths)
