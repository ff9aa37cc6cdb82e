"""ONNX Runtime on a GPU: inputs and outputs in device memory, one CUDA graph for each shape that is used more than once."""

from typing import Any

import numpy as np

from voxface.runtime.engines.engine import Array
from voxface.runtime.errors import ProviderError

CAPTURED = 4  # shapes with bound memory and a CUDA graph; ONNX Runtime keeps a graph as long as its session
SEEN = 16  # shapes remembered as having been used once
# Operators that ONNX Runtime keeps on the CPU on purpose: they compute shapes, a few bytes, never the network's arithmetic.
SHAPE_OPERATORS = frozenset(
    [
        "Shape",
        "Size",
        "Concat",
        "Gather",
        "Slice",
        "Unsqueeze",
        "Squeeze",
        "Cast",
        "Constant",
        "ConstantOfShape",
        "Range",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Equal",
        "Where",
    ]
)


def check_placement(session: Any, provider: str, name: str) -> None:
    """Checks that ONNX Runtime put no arithmetic on the CPU when a GPU was asked for. Older versions do not tell.

    Raises:
        ProviderError: some arithmetic is on the CPU.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return
    fallen = [
        f"{node.op_type} {node.name}"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == "CPUExecutionProvider"
        for node in part.get_nodes()
        if node.op_type not in SHAPE_OPERATORS
    ]
    if fallen:
        raise ProviderError(
            f"{name}: provider {provider!r} leaves {len(fallen)} nodes to the CPU ({', '.join(fallen[:3])}); "
            "use --provider cpu, or engines (voxface build)"
        )


class DeviceRunner:
    """Runs a session whose tensors live on a device.

    A captured CUDA graph reads and writes the addresses that it had when it was captured. So a shape gets memory of its own
    when it is used for the second time; the shapes of its outputs are known by then.
    """

    def __init__(self, ort: Any, session: Any, device: str, *, graphs: bool) -> None:
        """Takes an open session.

        Args:
            ort: the module onnxruntime.
            session: the open session.
            device: ONNX Runtime's name of the device, "cuda".
            graphs: whether the session was opened with `enable_cuda_graph`.
        """
        self._ort, self._session, self._device, self._graphs = ort, session, device, graphs
        self._outputs = [output.name for output in session.get_outputs()]
        self._seen: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        self._bound: dict[tuple[Any, ...], tuple[Any, dict[str, Any], dict[str, Any], Any]] = {}

    def run(self, feeds: dict[str, Array], out: dict[str, Array]) -> dict[str, Array]:
        """Computes every output. An output named in `out` is copied there from the device.

        Raises:
            ValueError: an array in `out` does not fit.
        """
        key = tuple((name, array.shape) for name, array in feeds.items())
        if key not in self._bound and key in self._seen and len(self._bound) < CAPTURED:
            self._bound[key] = self._bind(feeds, self._seen.pop(key))
        if key in self._bound:
            binding, inputs, outputs, options = self._bound[key]
            for name, array in feeds.items():
                inputs[name].update_inplace(np.ascontiguousarray(array))
            self._session.run_with_iobinding(binding, options)
            values = {name: value.numpy() for name, value in outputs.items()}
        else:
            values = self._plain(feeds)
            if len(self._bound) < CAPTURED:
                self._seen[key] = [(value.shape, value.dtype) for value in values.values()]
                if len(self._seen) > SEEN:
                    del self._seen[next(iter(self._seen))]
        for name in out.keys() & values.keys():
            if out[name].shape != values[name].shape or out[name].dtype != values[name].dtype:
                raise ValueError(
                    f"{name!r} is {out[name].dtype} {list(out[name].shape)}, "
                    f"the graph gives {values[name].dtype} {list(values[name].shape)}"
                )
            np.copyto(out[name], values[name])
            values[name] = out[name]
        return values

    def _plain(self, feeds: dict[str, Array]) -> dict[str, Array]:
        """A run whose outputs ONNX Runtime allocates on the device."""
        binding = self._session.io_binding()
        values = []
        for name, array in feeds.items():
            values.append(self._ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._device, 0))
            binding.bind_ortvalue_input(name, values[-1])
        for name in self._outputs:
            binding.bind_output(name, self._device)
        self._session.run_with_iobinding(binding, self._options(-1))
        return dict(zip(self._outputs, binding.copy_outputs_to_cpu(), strict=True))

    def _bind(self, feeds: dict[str, Array], outputs: list[tuple[Any, ...]]) -> tuple[Any, Any, Any, Any]:
        """Device memory for one shape, at fixed addresses, and run options with the number of the graph captured on it."""

        def memory(shape: tuple[int, ...], dtype: Any) -> Any:
            return self._ort.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype, self._device, 0)

        binding = self._session.io_binding()
        given = {name: memory(array.shape, array.dtype) for name, array in feeds.items()}
        made = {name: memory(*spec) for name, spec in zip(self._outputs, outputs, strict=True)}
        for name, value in given.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in made.items():
            binding.bind_ortvalue_output(name, value)
        return binding, given, made, self._options(len(self._bound) + 1)

    def _options(self, graph: int) -> Any:
        """Run options that name the CUDA graph to capture or replay; -1: neither."""
        if not self._graphs:
            return None
        options = self._ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(graph))
        return options
