"""CUDA from Python: checked calls, pinned host memory with device memory, a stream, captured graphs."""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxface.runtime.errors import ProviderError

INSTALL = "pip install cuda-bindings"


class Cuda:
    """CUDA's runtime on the first visible device (`CUDA_VISIBLE_DEVICES` chooses).

    Attributes:
        target: the device's compute capability, as "sm86".
    """

    def __init__(self) -> None:
        """Finds the driver and the device.

        Raises:
            ProviderError: no bindings, no driver, a driver that is too old, or no device.
        """
        try:
            from cuda.bindings import runtime
        except ImportError as error:
            raise ProviderError(f"CUDA's Python bindings are not installed; {INSTALL}") from error
        self._runtime: Any = runtime
        driver = self.call("cudaDriverGetVersion")
        if not driver:
            raise ProviderError("no NVIDIA driver on this machine; install it, or use --provider cpu")
        wanted = self.call("cudaRuntimeGetVersion")
        status, count = runtime.cudaGetDeviceCount()
        if int(status) == int(runtime.cudaError_t.cudaErrorInsufficientDriver):
            raise ProviderError(
                f"the NVIDIA driver is for CUDA {_version(driver)}, the bindings are of CUDA {_version(wanted)}; update the "
                f"driver, or pip install 'cuda-bindings=={driver // 1000}.*'"
            )
        if int(status) or not count:
            raise ProviderError(
                f"CUDA finds no device ({self._text(status)}); see nvidia-smi and CUDA_VISIBLE_DEVICES, or use --provider cpu"
            )
        self.call("cudaSetDevice", 0)
        attribute = runtime.cudaDeviceAttr
        major = self.call("cudaDeviceGetAttribute", attribute.cudaDevAttrComputeCapabilityMajor, 0)
        minor = self.call("cudaDeviceGetAttribute", attribute.cudaDevAttrComputeCapabilityMinor, 0)
        self.target = f"sm{major}{minor}"

    def call(self, function: str, *arguments: Any) -> Any:
        """Calls a function of CUDA's runtime and returns what it gives besides its status.

        Raises:
            ProviderError: the status is an error.
        """
        error, *values = getattr(self._runtime, function)(*arguments)
        if int(error):
            raise ProviderError(f"CUDA: {function}: {self._text(error)}; `voxface doctor` says what works")
        return values[0] if values else None

    def stream(self) -> Any:
        """A new stream that does not wait for the default one."""
        return self.call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)

    def to_device(self, buffer: "Buffer", size: int, stream: Any) -> None:
        """Queues the copy of the first `size` bytes of a buffer to the device."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", buffer.device, buffer.host, size, kind, stream)

    def to_host(self, buffer: "Buffer", size: int, stream: Any) -> None:
        """Queues the copy of the first `size` bytes of a buffer to the host."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", buffer.host, buffer.device, size, kind, stream)

    def capture(self, stream: Any, queue: Callable[[], None]) -> Any:
        """The executable CUDA graph of the work that `queue` puts on a stream; none of it runs.

        Raises:
            ProviderError: the work cannot be captured; the stream can be used again.
        """
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", stream, mode)
        try:
            queue()
        except BaseException:
            with suppress(ProviderError):  # ends the failed capture; its own status says no more than the first error
                self.call("cudaStreamEndCapture", stream)
            self._runtime.cudaGetLastError()
            raise
        graph = self.call("cudaStreamEndCapture", stream)
        try:
            return self.call("cudaGraphInstantiate", graph, 0)
        finally:
            self.call("cudaGraphDestroy", graph)

    def _text(self, error: Any) -> str:
        _, name = self._runtime.cudaGetErrorName(error)
        _, text = self._runtime.cudaGetErrorString(error)
        return f"{_decoded(text)} ({_decoded(name)})"


class Buffer:
    """Memory of one tensor: pinned memory on the host, so that copies need no staging, and as much on the device.

    Attributes:
        host: address on the host; it stays the same until `free`, since captured graphs keep it.
        device: address on the device; likewise.
    """

    def __init__(self, cuda: Cuda, size: int) -> None:
        """Allocates `size` bytes on the host and on the device.

        Raises:
            ProviderError: there is not enough memory; nothing stays allocated then.
        """
        self._cuda, self._size = cuda, size
        self.host = int(cuda.call("cudaMallocHost", size))
        try:
            self.device = int(cuda.call("cudaMalloc", size))
        except ProviderError:
            cuda.call("cudaFreeHost", self.host)
            raise

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """The beginning of the host's side as an array; it may not be used after `free`."""
        memory = (ctypes.c_uint8 * self._size).from_address(self.host)
        return np.ndarray(shape, dtype, memoryview(memory))

    def free(self) -> None:
        """Frees the memory on both sides."""
        self._cuda.call("cudaFree", self.device)
        self._cuda.call("cudaFreeHost", self.host)


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _decoded(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
