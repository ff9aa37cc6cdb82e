"""A GPU that is none: `cuda.bindings.runtime` and TensorRT's runtime with the names and arguments of the real ones.

Device memory is host memory, a stream is a list of what is queued on it, a plan is an ONNX graph that ONNX Runtime computes
on the addresses it was given. Nothing runs before the stream is waited for, a captured graph keeps the shapes, sizes and
addresses it was captured with, and memory outside an allocation is an error: what a real GPU punishes fails here.
`test_tensorrt_engine.py` holds this surface against the real modules where those are installed.
"""

import ctypes
import enum
import json
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MAGIC = b"fake plan"
VERSION = "1.7.1.116"

# name -> number of arguments, of the functions that the runtime uses
CUDA_FUNCTIONS = {
    "cudaDriverGetVersion": 0,
    "cudaRuntimeGetVersion": 0,
    "cudaGetDeviceCount": 0,
    "cudaSetDevice": 1,
    "cudaDeviceGetAttribute": 2,
    "cudaGetErrorName": 1,
    "cudaGetErrorString": 1,
    "cudaGetLastError": 0,
    "cudaMallocHost": 1,
    "cudaFreeHost": 1,
    "cudaMalloc": 1,
    "cudaFree": 1,
    "cudaMemcpyAsync": 5,
    "cudaStreamCreateWithFlags": 1,
    "cudaStreamSynchronize": 1,
    "cudaStreamDestroy": 1,
    "cudaStreamBeginCapture": 2,
    "cudaStreamEndCapture": 1,
    "cudaGraphInstantiate": 2,
    "cudaGraphDestroy": 1,
    "cudaGraphLaunch": 2,
    "cudaGraphExecDestroy": 1,
}


class CudaError(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class MemcpyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class CaptureMode(enum.IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class DeviceAttr(enum.IntEnum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


class Stream:
    """A CUDA stream or graph: work in order."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.work: list[Callable[[], None]] = []
        self.capturing: list[Callable[[], None]] | None = None

    def __int__(self) -> int:
        return self.handle

    def put(self, step: Callable[[], None]) -> None:
        (self.work if self.capturing is None else self.capturing).append(step)


class FakeGpu:
    """The device, and what was done with it.

    Attributes:
        fails: function -> the error it returns from now on.
        calls: names of the functions called.
        host, device: address -> memory that is allocated.
        executed: shapes TensorRT computed, in order.
    """

    def __init__(self, driver: int = 13000, devices: int = 1, capability: tuple[int, int] = (8, 6)) -> None:
        self.driver, self.devices, self.capability = driver, devices, capability
        self.fails: dict[str, int] = {}
        self.calls: list[str] = []
        self.host: dict[int, Any] = {}
        self.device: dict[int, Any] = {}
        self.streams: dict[int, Stream] = {}
        self.graphs: set[int] = set()
        self.executables: dict[int, list[Callable[[], None]]] = {}
        self.executed: list[tuple[Any, ...]] = []
        self.contexts: list[Any] = []
        self._handle = 0

    def held(self) -> tuple[Any, ...]:
        """What was made and not given back."""
        return self.host, self.device, self.streams, self.graphs, self.executables

    def handle(self) -> int:
        self._handle += 1
        return self._handle

    def memory(self, address: int, size: int) -> Any:
        """Memory of the device; an address or a size that was not allocated is an error."""
        assert size <= ctypes.sizeof(self.device[address]), "outside an allocation"
        return self.device[address]

    def runtime_module(self) -> types.ModuleType:
        """`cuda.bindings.runtime`."""
        module = types.ModuleType("cuda.bindings.runtime")
        module.cudaError_t, module.cudaMemcpyKind = CudaError, MemcpyKind  # type: ignore[attr-defined]
        module.cudaStreamCaptureMode, module.cudaDeviceAttr = CaptureMode, DeviceAttr  # type: ignore[attr-defined]
        module.cudaStreamNonBlocking = 1  # type: ignore[attr-defined]
        for name, arguments in CUDA_FUNCTIONS.items():
            setattr(module, name, self._checked(name, arguments))
        return module

    def _checked(self, name: str, arguments: int) -> Callable[..., tuple[Any, ...]]:
        def call(*given: Any) -> tuple[Any, ...]:
            assert len(given) == arguments, f"{name} takes {arguments} arguments"
            self.calls.append(name)
            error = CudaError(self.fails.get(name, 0))
            values = getattr(self, "_" + name)(*given) if not error else None
            if isinstance(values, CudaError):
                error, values = values, None
            gives = name.startswith(("cudaMalloc", "cudaGet", "cudaDeviceGet")) or name in (
                "cudaDriverGetVersion", "cudaRuntimeGetVersion", "cudaStreamCreateWithFlags", "cudaStreamEndCapture",
                "cudaGraphInstantiate",
            )  # fmt: skip
            return (error, values) if gives and name != "cudaGetLastError" else (error,)

        return call

    def _cudaDriverGetVersion(self) -> int:
        return self.driver

    def _cudaRuntimeGetVersion(self) -> int:
        return 13040

    def _cudaGetDeviceCount(self) -> Any:
        if self.driver < 13000:
            return CudaError.cudaErrorInsufficientDriver
        return self.devices or CudaError.cudaErrorNoDevice

    def _cudaSetDevice(self, device: int) -> None:
        assert device == 0

    def _cudaDeviceGetAttribute(self, attribute: DeviceAttr, device: int) -> int:
        return self.capability[int(attribute) - 75]

    def _cudaGetErrorName(self, error: int) -> bytes:
        return CudaError(error).name.encode()

    def _cudaGetErrorString(self, error: int) -> bytes:
        return f"error {int(error)}".encode()

    def _cudaGetLastError(self) -> None: ...

    def _allocate(self, table: dict[int, Any], size: int) -> int:
        memory = (ctypes.c_uint8 * size)(*([255] * min(size, 64)))
        table[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    def _cudaMallocHost(self, size: int) -> int:
        return self._allocate(self.host, size)

    def _cudaMalloc(self, size: int) -> int:
        return self._allocate(self.device, size)

    def _cudaFreeHost(self, address: int) -> None:
        del self.host[address]

    def _cudaFree(self, address: int) -> None:
        del self.device[address]

    def _cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: int, stream: Stream) -> None:
        host, device = (dst, src) if kind == MemcpyKind.cudaMemcpyDeviceToHost else (src, dst)
        assert count <= ctypes.sizeof(self.host[host])

        def copy() -> None:
            self.memory(device, count)
            ctypes.memmove(dst, src, count)

        stream.put(copy)

    def _cudaStreamCreateWithFlags(self, flags: int) -> Stream:
        assert flags == 1
        stream = Stream(self.handle())
        self.streams[stream.handle] = stream
        return stream

    def _cudaStreamSynchronize(self, stream: Stream) -> None:
        assert stream.capturing is None
        work, stream.work = stream.work, []
        for step in work:
            step()

    def _cudaStreamDestroy(self, stream: Stream) -> None:
        del self.streams[stream.handle]

    def _cudaStreamBeginCapture(self, stream: Stream, mode: CaptureMode) -> None:
        assert stream.capturing is None
        assert not stream.work, "what was queued before has to be waited for"
        stream.capturing = []

    def _cudaStreamEndCapture(self, stream: Stream) -> Any:
        assert stream.capturing is not None
        graph, stream.capturing = stream.capturing, None
        number = self.handle()
        self.graphs.add(number)
        return number, graph

    def _cudaGraphInstantiate(self, graph: tuple[int, list[Callable[[], None]]], flags: int) -> int:
        number = self.handle()
        self.executables[number] = graph[1]
        return number

    def _cudaGraphDestroy(self, graph: tuple[int, Any]) -> None:
        self.graphs.remove(graph[0])

    def _cudaGraphLaunch(self, executable: int, stream: Stream) -> None:
        for step in self.executables[executable]:
            stream.put(step)

    def _cudaGraphExecDestroy(self, executable: int) -> None:
        del self.executables[executable]


class Validity(enum.IntEnum):
    VALID = 0
    SUBOPTIMAL = 1
    INVALID = 2


class Diagnostics(enum.IntEnum):
    VERSION_MISMATCH = 1
    UNSUPPORTED_CC = 2
    OLD_CUDA_DRIVER = 4
    MALFORMED_ENGINE = 32


class Mode(enum.IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(enum.IntEnum):
    FLOAT = 0
    HALF = 1


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1


class Strategy(enum.IntEnum):
    LAZY = 0
    EAGER = 1
    NONE = 2


def fake_plan(onnx: bytes, profile: dict[str, dict[str, list[int]]], targets: list[str]) -> bytes:
    """The bytes of a plan that the fake library reads."""
    head = json.dumps({"profile": profile, "targets": targets}).encode()
    return MAGIC + len(head).to_bytes(4, "little") + head + onnx


def fake_library(gpu: FakeGpu, *, rtx: bool, version: str = VERSION) -> types.ModuleType:
    """`tensorrt_rtx`, or without what only that has `tensorrt`."""
    module: Any = types.ModuleType("tensorrt_rtx" if rtx else "tensorrt")
    module.__version__ = version

    class ILogger:
        def __init__(self) -> None: ...

        def log(self, severity: Any, msg: str) -> None: ...

    ILogger.Severity = Severity  # type: ignore[attr-defined]

    class IExecutionContext:
        def __init__(self, engine: "ICudaEngine", config: Any) -> None:
            self.engine, self.config = engine, config
            self.shapes: dict[str, tuple[int, ...]] = {}
            self.addresses: dict[str, int] = {}
            self.runs = 0
            gpu.contexts.append(self)

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            low, _, high = self.engine.profile[name].values()
            if not all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True)):
                return False
            if self.shapes.get(name) != tuple(shape):
                self.shapes[name], self.runs = tuple(shape), 0
            return True

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            if name in self.shapes:
                return self.shapes[name]
            return self.engine.compute({n: np.zeros(s, np.float32) for n, s in self.shapes.items()})[name].shape

        def set_tensor_address(self, name: str, memory: int) -> bool:
            assert memory in gpu.device
            self.addresses[name] = memory
            return True

        def execute_async_v3(self, stream_handle: int) -> bool:
            stream = gpu.streams[stream_handle]
            if "execute" in gpu.fails:
                logger.log(Severity.ERROR, "kernel went wrong")
                return False
            assert stream.capturing is None or self.runs, "TensorRT wants one run at a shape before it is captured"
            self.runs += 1
            shapes, addresses = dict(self.shapes), dict(self.addresses)

            def kernels() -> None:
                feeds = {}
                for name, shape in shapes.items():
                    memory = gpu.memory(addresses[name], 4 * int(np.prod(shape)))
                    feeds[name] = np.ndarray(shape, np.float32, memory).copy()
                gpu.executed.append(tuple(shapes.values()))
                for name, value in self.engine.compute(feeds).items():
                    memory = gpu.memory(addresses[name], value.nbytes)
                    np.ndarray(value.shape, value.dtype, memory)[...] = value

            stream.put(kernels)
            return True

    class ICudaEngine:
        def __init__(self, onnx: bytes, profile: dict[str, Any]) -> None:
            from voxface.runtime.engines.opening import open_engine

            self._inner = open_engine(onnx, threads=1)
            self.profile = profile
            self._names = [*self._inner.inputs, *self._inner.outputs]
            self.num_io_tensors = len(self._names)

        def compute(self, feeds: dict[str, Any]) -> dict[str, Any]:
            return self._inner.run(feeds)

        def get_tensor_name(self, index: int) -> str:
            return self._names[index]

        def get_tensor_mode(self, name: str) -> Mode:
            return Mode.INPUT if name in self._inner.inputs else Mode.OUTPUT

        def get_tensor_dtype(self, name: str) -> DataType:
            return DataType.FLOAT

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            spec = {**self._inner.inputs, **self._inner.outputs}[name]
            return tuple(d if isinstance(d, int) else -1 for d in spec.shape)

        def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
            assert profile_index == 0
            return list(self.profile[name].values())

        def create_execution_context(self, runtime_config: Any = None) -> Any:
            return None if "context" in gpu.fails else IExecutionContext(self, runtime_config)

    class Runtime:
        def __init__(self, logger: Any) -> None: ...

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
            if not serialized_engine.startswith(MAGIC) or "deserialize" in gpu.fails:
                logger.log(Severity.ERROR, "magic tag does not match")
                return None
            head = 13 + int.from_bytes(serialized_engine[9:13], "little")
            return ICudaEngine(serialized_engine[head:], json.loads(serialized_engine[13:head])["profile"])

    logger: Any = None

    def remember(self: Any, given: Any) -> None:
        nonlocal logger
        logger = given

    Runtime.__init__ = remember  # type: ignore[method-assign]
    module.ILogger, module.Runtime, module.ICudaEngine = ILogger, Runtime, ICudaEngine
    module.IExecutionContext, module.TensorIOMode, module.DataType = IExecutionContext, Mode, DataType
    module.nptype = lambda dtype: {DataType.FLOAT: np.float32, DataType.HALF: np.float16}[dtype]
    if rtx:
        _add_rtx(module, gpu)
    return module


def _add_rtx(module: Any, gpu: FakeGpu) -> None:
    """What TensorRT for RTX has beside: validity of a plan, kernels compiled for a shape, and their cache."""

    class IRuntimeCache:
        def __init__(self) -> None:
            self.kernels: list[str] = []

        def serialize(self) -> bytes:
            return json.dumps(self.kernels).encode()

        def deserialize(self, blob: bytes) -> bool:
            try:
                self.kernels = json.loads(blob)
            except ValueError:
                return False
            return True

    class IRuntimeConfig:
        dynamic_shapes_kernel_specialization_strategy = Strategy.LAZY

        def create_runtime_cache(self) -> IRuntimeCache:
            return IRuntimeCache()

        def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
            self.cache = cache
            return True

    def create_runtime_config(self: Any) -> IRuntimeConfig:
        return IRuntimeConfig()

    def get_engine_validity(self: Any, buffer: bytes) -> tuple[Validity, int]:
        if not buffer.startswith(MAGIC):
            return Validity.INVALID, int(Diagnostics.MALFORMED_ENGINE)
        head = json.loads(buffer[13 : 13 + int.from_bytes(buffer[9:13], "little")])
        if "sm%d%d" % gpu.capability not in head["targets"]:
            return Validity.INVALID, int(Diagnostics.UNSUPPORTED_CC)
        return Validity.VALID, 0

    def is_stream_capturable(self: Any, stream: int) -> bool:
        return "capturable" not in gpu.fails

    plain = module.IExecutionContext.execute_async_v3

    def execute_async_v3(self: Any, stream_handle: int) -> bool:
        if self.config.dynamic_shapes_kernel_specialization_strategy == Strategy.EAGER:
            kernel = str(sorted(self.shapes.items()))
            if kernel not in self.config.cache.kernels:
                self.config.cache.kernels.append(kernel)
        return bool(plain(self, stream_handle))

    module.IRuntimeCache, module.IRuntimeConfig = IRuntimeCache, IRuntimeConfig
    module.EngineValidity, module.EngineInvalidityDiagnostics = Validity, Diagnostics
    module.DynamicShapesKernelSpecializationStrategy = Strategy
    module.ICudaEngine.create_runtime_config = create_runtime_config
    module.Runtime.get_engine_validity = get_engine_validity
    module.IExecutionContext.is_stream_capturable = is_stream_capturable
    module.IExecutionContext.execute_async_v3 = execute_async_v3


def install(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch, version: str = VERSION) -> None:
    """Puts the bindings and both libraries where they are imported from."""
    bindings = types.ModuleType("cuda.bindings")
    bindings.runtime = gpu.runtime_module()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", bindings.runtime)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", fake_library(gpu, rtx=False, version=version))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", fake_library(gpu, rtx=True, version=version))
