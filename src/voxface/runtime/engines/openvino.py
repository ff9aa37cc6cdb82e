"""The OpenVINO engine, on CPUs and on Intel's GPUs and NPUs by OpenVINO's own plugins; none falls back silently to another."""

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Array
from voxface.runtime.engines.onnx_file import check_onnx_file
from voxface.runtime.engines.onnx_signature import signature_of
from voxface.runtime.engines.openvino_library import check_device, core, import_openvino, reason, version
from voxface.runtime.engines.providers import OPENVINO_PROVIDERS
from voxface.runtime.engines.tensor_check import check_array
from voxface.runtime.engines.threads import checked_threads
from voxface.runtime.errors import BundleError, ProviderError
from voxface.runtime.files.cache_folder import cache_folder

KEPT: Final = 4  # shapes whose networks are kept on a device that wants all lengths fixed
_FIXED_SHAPES: Final = ("NPU",)
_PRECISION: Final = "INFERENCE_PRECISION_HINT"
_UMD_CACHE: Final = "NPU_BYPASS_UMD_CACHING"
_PRODUCTS: Final = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")


class OpenVinoEngine:
    """A graph compiled by OpenVINO; see `voxface.runtime.engines.engine.Engine`.

    A network whose batch is 1 and whose other lengths are free is as fast on a CPU as one for a single length, while one with a
    free batch is slower. So one clip at a time has a network of its own, and others get theirs when they come.
    """

    def __init__(
        self,
        graph: bytes,
        provider: str = "openvino",
        *,
        name: str = "graph",
        threads: int | None = None,
    ) -> None:
        """Compiles the graph.

        Args:
            graph, provider, name, threads: see `voxface.runtime.engines.opening.open_engine`.

        Raises:
            UsageError: a number of threads below 1.
            ProviderError: OpenVINO or the device is missing, OpenVINO cannot compile the graph, or would compute in another
                precision or elsewhere.
            BundleError: the bytes are no graph, or one that reads other files.
        """
        self._device, self._precision = OPENVINO_PROVIDERS[provider]
        self._provider, self._name = provider, name
        self._ov = import_openvino()
        check_device(self._device)
        try:
            check_onnx_file(graph)
            inputs, outputs = signature_of(graph)
        except ValueError as error:
            raise BundleError(f"{name}: the graph is refused: {error}") from error
        self._graph, self._config = graph, self._configuration(threads)
        self._requests: dict[tuple[tuple[int, ...], ...], Any] = {}
        model = self._model()
        if (len(model.inputs), len(model.outputs)) != (len(inputs), len(outputs)):
            raise ProviderError(f"{name}: OpenVINO {version()} reads other inputs or outputs; use --provider cpu")
        self.inputs = {key: _spec(port, inputs[key]) for key, port in zip(inputs, model.inputs, strict=True)}
        self.outputs = {key: _spec(port, outputs[key]) for key, port in zip(outputs, model.outputs, strict=True)}
        self._free_batch = _one_batch(self.inputs)
        one = tuple(_lengths(spec, 1 if self._free_batch else -1) for spec in self.inputs.values())
        if self._device not in _FIXED_SHAPES or all(-1 not in lengths for lengths in one):
            self._requests[one] = self._compiled(model, one)

    def _configuration(self, threads: int | None) -> dict[str, Any]:
        """The properties to compile with. Threads are not bound to cores, since several sessions would share the first ones."""
        config: dict[str, Any] = {_PRECISION: self._precision, "PERFORMANCE_HINT": "LATENCY"}
        if self._device == "CPU":
            return config | {
                "INFERENCE_NUM_THREADS": checked_threads(threads),
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,
                "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # activations in INT8 that no calibration has seen
            }
        folder = cache_folder("openvino")
        with suppress(OSError):  # on a read-only home the graph is compiled again next time
            folder.mkdir(parents=True, exist_ok=True)
            config["CACHE_DIR"] = str(folder)
        if _UMD_CACHE in core().get_property(self._device, "SUPPORTED_PROPERTIES"):
            config[_UMD_CACHE] = True  # the driver would keep another copy in the user's home
        return config

    def _model(self) -> Any:
        try:
            return core().read_model(self._graph)
        except Exception as error:  # OpenVINO raises RuntimeError and, of its Python part, others
            raise self._refused(error) from error

    def _compiled(self, model: Any, lengths: tuple[tuple[int, ...], ...]) -> Any:
        """A request of the network for inputs of these lengths; -1: any.

        Raises:
            ProviderError: OpenVINO cannot compile it, or would do otherwise than it was told.
        """
        try:
            if any(length != -1 for of_input in lengths for length in of_input):
                model.reshape(dict(enumerate(map(list, lengths))))
            compiled = core().compile_model(model, self._device, self._config)
            used = [str(device).split(".")[0] for device in compiled.get_property("EXECUTION_DEVICES")]
            precision = compiled.get_property(_PRECISION).to_string()
        except Exception as error:  # as above
            raise self._refused(error) from error
        if set(used) != {self._device}:
            raise ProviderError(
                f"{self._name}: asked for {self._device}, OpenVINO uses {', '.join(used) or 'no device'}; use --provider cpu"
            )
        if precision != self._precision or (precision == "bf16" and not _multiplies_in(compiled, "bf16")):
            raise ProviderError(
                f"{self._name}: asked for {self._precision}, OpenVINO computes in {precision} on this {self._device}; "
                f"use --provider {'openvino' if self._device == 'CPU' and self._precision != 'f32' else 'cpu'}"
            )
        return compiled.create_infer_request()

    def _refused(self, error: Exception) -> ProviderError:
        return ProviderError(
            f"{self._name}: OpenVINO {version()} refuses the graph on {self._device}: {reason(error)}; use --provider cpu"
        )

    @property
    def provider(self) -> str:
        """Name of the provider that runs the graph."""
        return self._provider

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Computes every output. An output named in `out` is copied there.

        Raises:
            ValueError: an input is missing or does not fit its spec, or an array in `out` does not fit.
            BundleError: the graph failed; on a GPU or NPU it is a ProviderError.
        """
        given: list[Array] = []
        for name, spec in self.inputs.items():
            if name not in feeds:
                raise ValueError(f"input {name!r} is missing; the graph wants {', '.join(self.inputs)}")
            check_array(name, feeds[name], spec)
            given.append(np.ascontiguousarray(feeds[name]))
        wanted = out or {}
        for name in self.outputs.keys() & wanted.keys():
            check_array(name, wanted[name], self.outputs[name])
            if not wanted[name].flags.c_contiguous:
                raise ValueError(f"the array for output {name!r} is not contiguous")
        request = self._request(tuple(array.shape for array in given))
        self._compute(request, given)
        results: dict[str, Array] = {}
        for place, name in enumerate(self.outputs):
            value = request.get_output_tensor(place).data  # OpenVINO's memory, which the next run overwrites
            if name not in wanted:
                results[name] = value.copy()
                continue
            if wanted[name].shape != value.shape:
                raise ValueError(
                    f"{name!r} is {wanted[name].dtype} {list(wanted[name].shape)}, "
                    f"the graph gives {value.dtype} {list(value.shape)}"
                )
            np.copyto(wanted[name], value)
            results[name] = wanted[name]
        return results

    def _request(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        """The request that takes inputs of these shapes."""
        if self._device in _FIXED_SHAPES:
            key = shapes
            fixed = [name for name in self._requests if name != key]
            if key not in self._requests and len(fixed) >= KEPT:
                del self._requests[fixed[0]]
        else:
            batch = 1 if self._free_batch and all(shape[0] == 1 for shape in shapes) else -1
            key = tuple(_lengths(spec, batch) for spec in self.inputs.values())
        if key not in self._requests:
            self._requests[key] = self._compiled(self._model(), key)
        return self._requests[key]

    def _compute(self, request: Any, given: list[Array]) -> None:
        """Runs a request on the caller's thread. It cannot be stopped there; on a thread of OpenVINO's it could, and an update
        would wait for that thread to wake up, on a busy machine for milliseconds.

        Raises:
            BundleError, ProviderError: see `run`.
        """
        try:
            for place, array in enumerate(given):
                request.set_input_tensor(place, self._ov.Tensor(array, shared_memory=True))
            request.infer()
        except Exception as error:  # OpenVINO's, which are RuntimeErrors
            kind = BundleError if self._device == "CPU" else ProviderError
            raise kind(f"{self._name}: the graph failed on {self._device}: {reason(error)}") from error

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Runs once on zeros, named dimensions taken from `lengths` (1 where absent)."""
        sizes = lengths or {}
        self.run(
            {
                name: np.zeros([d if isinstance(d, int) else sizes.get(d, 1) for d in spec.shape], spec.dtype)
                for name, spec in self.inputs.items()
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests = {}


def _spec(port: Any, written: TensorSpec) -> TensorSpec:
    """Type and shape of an input or output: OpenVINO's, with the names of dimensions from the file."""
    dtype = str(port.element_type.to_dtype().name)
    shape = port.partial_shape
    if shape.rank.is_dynamic:
        return TensorSpec(dtype, written.shape)
    names = written.shape if len(written.shape) == len(shape) else ("?",) * len(shape)
    return TensorSpec(
        dtype,
        tuple(length.get_length() if length.is_static else name for length, name in zip(shape, names, strict=True)),
    )


def _one_batch(inputs: Mapping[str, TensorSpec]) -> bool:
    """Whether every input's first dimension, and only this one, may have any length by one name: the number of clips."""
    first = {spec.shape[0] if spec.shape else 0 for spec in inputs.values()}
    name = first.pop() if len(first) == 1 else 0
    return isinstance(name, str) and all(name not in spec.shape[1:] for spec in inputs.values())


def _lengths(spec: TensorSpec, batch: int) -> tuple[int, ...]:
    """The lengths to compile for; -1: any."""
    lengths = [length if isinstance(length, int) else -1 for length in spec.shape]
    return (batch if lengths[:1] == [-1] else lengths[0], *lengths[1:]) if lengths else ()


def _multiplies_in(compiled: Any, precision: str) -> bool:
    """Whether a network computes its products in this precision."""
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    return any(
        info["runtimePrecision"].astype(str) == precision
        for info in layers
        if "layerType" in info and info["layerType"].astype(str) in _PRODUCTS
    )
