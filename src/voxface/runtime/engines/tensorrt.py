"""The TensorRT engine, both flavours: runs a bundle's plan with pinned memory, one stream and CUDA graphs.

The first run of a shape uses an execution context that all new shapes share. The second run gets a context of its own, which is
captured afterwards: from the third run on, copies and kernels are one launch. Captured shapes do not share a context, because a
context keeps data on the device that depends on the shape.
"""

import math
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.engine_plan import PLAN_PROVIDERS, EnginePlan, Shapes
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.cuda_memory import Buffer, Cuda
from voxface.runtime.engines.engine import Array
from voxface.runtime.engines.runtime_cache import RuntimeCache
from voxface.runtime.engines.tensorrt_library import how_to_get, library, log_of
from voxface.runtime.errors import BundleError, ProviderError

CAPTURED = 4  # shapes that have a context and a graph at a time
SEEN = 16  # shapes remembered as having been used once
Key = tuple[tuple[int, ...], ...]


@dataclass
class _Context:
    """An execution context that is set to one shape.

    Attributes:
        context: TensorRT's execution context.
        shapes: shape of every input and output.
        arrays: the host's side of every input and output at this shape.
        graph: the captured CUDA graph; None until the shape has been captured.
        why: why the shape could not be captured; empty if it was not tried or succeeded.
    """

    context: Any
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    graph: Any = None
    why: str = ""


class TensorRTEngine:
    """A plan on the first visible GPU; see `voxface.runtime.engines.engine.Engine`. Not thread-safe.

    Attributes:
        uncaptured: shape that could not be captured -> the reason; its copies and kernels are launched one by one.
    """

    def __init__(self, plan: EnginePlan, *, cure: str) -> None:
        """Loads a plan.

        Args:
            plan: the plan of one graph.
            cure: the command that builds the plan anew; `{target}` in it is replaced by this GPU's compute capability.

        Raises:
            ProviderError: no library, driver or GPU, or a plan of another version or for other GPUs.
            BundleError: the library does not recognise the bytes as a plan.
        """
        self._trt = trt = library(plan.flavour)
        self._cuda = cuda = Cuda()
        self._plan, self._log = plan, log_of(trt)
        self._cure = cure.replace("{target}", cuda.target)
        self.uncaptured: dict[Key, str] = {}
        self._shapes: OrderedDict[Key, _Context] = OrderedDict()
        self._seen: OrderedDict[Key, None] = OrderedDict()
        with ExitStack() as stack:
            self._runtime = trt.Runtime(self._log)
            self._engine = self._load(self._runtime)
            self.inputs, self.outputs = self._specs()
            self._profile: dict[str, Shapes] = {
                name: _three(self._engine.get_tensor_profile_shape(name, 0)) for name in self.inputs
            }
            self._cache = self._runtime_cache()
            if self._cache is not None:
                stack.callback(self._cache.save)
            self._stream = cuda.stream()
            stack.callback(cuda.call, "cudaStreamDestroy", self._stream)
            self._buffers: dict[str, Buffer] = {}
            self._plain = _Context(self._context(specialise=False))
            self._plain_key: Key | None = None
            for name, size in self._sizes().items():
                self._buffers[name] = Buffer(cuda, size)
                stack.callback(self._buffers[name].free)
            self._bind(self._plain.context)
            stack.callback(_drop, cuda, self._shapes, self._plain)
            # An engine that is garbage-collected without being left frees its memory as well; at exit the driver frees it.
            self._close = weakref.finalize(self, stack.pop_all().close)
            self._close.atexit = False

    @property
    def provider(self) -> str:
        """Name of the provider that runs the graph: "tensorrt-native" or "tensorrt-rtx"."""
        return PLAN_PROVIDERS[self._plan.flavour]

    @property
    def captured(self) -> list[Key]:
        """The shapes of inputs that are captured at present."""
        return [key for key, made in self._shapes.items() if made.graph is not None]

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Computes every output. An output named in `out` is written there straight from pinned memory.

        Raises:
            ValueError: an input is missing or does not fit, its shape is outside the profile, or the engine was left.
            ProviderError: CUDA or TensorRT failed.
        """
        if not self._close.alive:
            raise ValueError("the engine was left, and its memory is free")
        key = self._key(feeds)
        made = self._for_shape(key)
        for name in self.outputs:
            _check_out(name, out, made.arrays[name])
        for name in self.inputs:
            np.copyto(made.arrays[name], feeds[name])
        if made.graph is not None:
            self._cuda.call("cudaGraphLaunch", made.graph, self._stream)
        else:
            self._queue(made)
        self._cuda.call("cudaStreamSynchronize", self._stream)
        results: dict[str, Array] = {}
        for name in self.outputs:
            if out is not None and name in out:
                np.copyto(out[name], made.arrays[name])
                results[name] = out[name]
            else:
                results[name] = made.arrays[name].copy()
        if made is not self._plain and made.graph is None and not made.why:
            self._capture(made, key)
        return results

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Runs once on zeros, named dimensions taken from `lengths` (1 where absent), and captures that shape."""
        sizes = lengths or {}
        feeds: dict[str, Any] = {
            name: np.zeros([d if isinstance(d, int) else sizes.get(d, 1) for d in spec.shape], spec.dtype)
            for name, spec in self.inputs.items()
        }
        self._seen[self._key(feeds)] = None
        self.run(feeds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._cache = self._engine = self._runtime = None

    def _load(self, runtime: Any) -> Any:
        """The deserialised plan.

        Raises:
            ProviderError: a plan of another version or for other GPUs.
            BundleError: the plan is damaged.
        """
        plan, trt, target = self._plan, self._trt, self._cuda.target
        what = f"{plan.graph}: the engine"
        if plan.version != trt.__version__:
            raise ProviderError(
                f"{what} was built with {plan.flavour} {plan.version}, here is {trt.__version__}; build it anew: {self._cure}"
            )
        self._log.clear()
        if hasattr(runtime, "get_engine_validity"):  # TensorRT for RTX, from 1.1 on: reads the header only
            validity, found = runtime.get_engine_validity(plan.data)
            if validity == trt.EngineValidity.INVALID:
                reasons = [n for n, bit in trt.EngineInvalidityDiagnostics.__members__.items() if int(found) & int(bit)]
                if "MALFORMED_ENGINE" in reasons:
                    raise BundleError(
                        f"{what} is damaged, {plan.flavour} does not know it for one; build it anew: {self._cure}"
                    )
                why = ", ".join(r.lower().replace("_", " ") for r in reasons) or self._log.last_error()
                raise ProviderError(
                    f"{what} for {', '.join(plan.targets)} does not run on this {target} ({why}); build it anew: {self._cure}"
                )
        elif target not in plan.targets:
            raise ProviderError(
                f"{what} was built for {', '.join(plan.targets)}, this GPU is {target}; build it anew: {self._cure}"
            )
        engine = runtime.deserialize_cuda_engine(plan.data)
        if engine is None:
            raise ProviderError(
                f"{what} does not load ({self._log.last_error()}); build it anew: {self._cure}, "
                f"or {how_to_get(plan.flavour)}"
            )
        return engine

    def _specs(self) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
        """Inputs and outputs of the engine, their dimensions named as in the manifest."""
        trt, engine = self._trt, self._engine
        found: dict[bool, dict[str, TensorSpec]] = {True: {}, False: {}}
        for name in (engine.get_tensor_name(i) for i in range(engine.num_io_tensors)):
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            named = self._plan.inputs if is_input else self._plan.outputs
            shape = tuple(int(d) for d in engine.get_tensor_shape(name))
            names = named[name].shape if name in named else ()
            if len(names) != len(shape) or any(d not in (n, -1) for d, n in zip(shape, names, strict=True)):
                raise BundleError(
                    f"{self._plan.graph}: the engine has {name!r} {list(shape)}, which is not the graph's; "
                    f"build it anew: {self._cure}"
                )
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name))).name
            spec = TensorSpec(dtype, tuple(n if d == -1 else d for d, n in zip(shape, names, strict=True)))
            found[is_input][name] = spec
        return found[True], found[False]

    def _runtime_cache(self) -> RuntimeCache | None:
        if self._plan.flavour != "tensorrt-rtx":  # TensorRT proper compiles nothing at run time
            return None
        return RuntimeCache(self._plan, self._cuda.target, self._engine.create_runtime_config())

    def _context(self, *, specialise: bool) -> Any:
        """A new execution context; with `specialise`, RTX compiles kernels for its shape before the first run."""
        self._log.clear()
        if self._cache is None:
            context = self._engine.create_execution_context()
        else:
            config = self._engine.create_runtime_config()
            strategy = self._trt.DynamicShapesKernelSpecializationStrategy
            config.dynamic_shapes_kernel_specialization_strategy = strategy.EAGER if specialise else strategy.NONE
            self._cache.use(config)
            context = self._engine.create_execution_context(config)
        if context is None:
            raise ProviderError(f"{self._plan.graph}: no execution context ({self._log.last_error()})")
        return context

    def _sizes(self) -> dict[str, int]:
        """Bytes of every tensor at the profile's largest shapes."""
        shapes = self._set_shapes(self._plain.context, {name: shapes[2] for name, shapes in self._profile.items()})
        return {name: self._bytes(name, shape) for name, shape in shapes.items()}

    def _set_shapes(self, context: Any, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Sets the inputs' shapes; returns those of all inputs and outputs."""
        self._log.clear()
        for name, shape in inputs.items():
            if not context.set_input_shape(name, shape):
                raise ProviderError(
                    f"{self._plan.graph}: TensorRT refuses {name} {list(shape)} ({self._log.last_error()})"
                )
        return {**inputs, **{name: tuple(int(d) for d in context.get_tensor_shape(name)) for name in self.outputs}}

    def _set(self, made: _Context, key: Key) -> None:
        """Sets a context to a shape."""
        made.shapes = self._set_shapes(made.context, dict(zip(self.inputs, key, strict=True)))
        specs = {**self.inputs, **self.outputs}
        made.arrays = {n: self._buffers[n].array(shape, specs[n].dtype) for n, shape in made.shapes.items()}

    def _bind(self, context: Any) -> None:
        for name, buffer in self._buffers.items():
            context.set_tensor_address(name, buffer.device)

    def _key(self, feeds: dict[str, Array]) -> Key:
        for name, spec in self.inputs.items():
            if name not in feeds:
                raise ValueError(f"input {name!r} is missing; the graph wants {', '.join(self.inputs)}")
            array = feeds[name]
            if array.dtype != spec.dtype or array.ndim != len(spec.shape):
                raise ValueError(
                    f"{name!r} is {array.dtype} {list(array.shape)}, the graph wants {spec.dtype} {list(spec.shape)}"
                )
            least, _, most = self._profile[name]
            if any(not low <= n <= high for low, n, high in zip(least, array.shape, most, strict=True)):
                raise ValueError(
                    f"{name!r} is {list(array.shape)}, the engine was built for {list(least)} to {list(most)}; "
                    "build it with another --profile"
                )
        return tuple(feeds[name].shape for name in self.inputs)

    def _for_shape(self, key: Key) -> _Context:
        """The context for a shape: its own if the shape has been used before, else the one that all new shapes share."""
        if key in self._shapes:
            self._shapes.move_to_end(key)
            return self._shapes[key]
        if key not in self._seen:
            self._seen[key] = None
            if len(self._seen) > SEEN:
                self._seen.popitem(last=False)
            if key != self._plain_key:
                self._plain_key = None
                self._set(self._plain, key)
                self._plain_key = key
            return self._plain
        while len(self._shapes) >= CAPTURED:
            oldest, gone = self._shapes.popitem(last=False)
            self._seen.pop(
                oldest, None
            )  # so that many shapes in turn share the first context and are not captured each time
            _destroy(self._cuda, gone)
        made = _Context(self._context(specialise=True))
        self._set(made, key)
        self._bind(made.context)
        self._shapes[key] = made
        return made

    def _queue(self, made: _Context) -> None:
        """Puts copies and kernels on the stream."""
        for name in self.inputs:
            self._cuda.to_device(self._buffers[name], made.arrays[name].nbytes, self._stream)
        self._log.clear()
        if not made.context.execute_async_v3(int(self._stream)):
            raise ProviderError(f"{self._plan.graph}: TensorRT did not run ({self._log.last_error()})")
        for name in self.outputs:
            self._cuda.to_host(self._buffers[name], made.arrays[name].nbytes, self._stream)

    def _capture(self, made: _Context, key: Key) -> None:
        """Captures a shape that has run once. If that fails, the shape goes on without a graph."""
        ask = getattr(made.context, "is_stream_capturable", None)
        try:
            if ask is not None and not ask(int(self._stream)):
                raise ProviderError("TensorRT says that its work cannot be captured")
            made.graph = self._cuda.capture(self._stream, partial(self._queue, made))
        except ProviderError as error:
            made.why = self.uncaptured[key] = str(error)
        if self._cache is not None:
            self._cache.save()  # now, because a live stream may end without leaving the engine

    def _bytes(self, name: str, shape: tuple[int, ...]) -> int:
        spec = self.inputs.get(name) or self.outputs[name]
        return math.prod(shape) * np.dtype(spec.dtype).itemsize


def _three(shapes: Any) -> Shapes:
    least, best, most = (tuple(int(d) for d in shape) for shape in shapes)
    return least, best, most


def _check_out(name: str, out: dict[str, Array] | None, given: NDArray[Any]) -> None:
    if out is not None and name in out and (out[name].dtype != given.dtype or out[name].shape != given.shape):
        raise ValueError(
            f"{name!r} is {out[name].dtype} {list(out[name].shape)}, the graph gives {given.dtype} {list(given.shape)}"
        )


def _destroy(cuda: Cuda, made: _Context) -> None:
    if made.graph is not None:
        cuda.call("cudaGraphExecDestroy", made.graph)
        made.graph = None


def _drop(cuda: Cuda, shapes: OrderedDict[Key, _Context], plain: _Context) -> None:
    """Destroys every graph and context, which has to happen before their memory is freed."""
    while shapes:
        _destroy(cuda, shapes.popitem()[1])
    plain.context = None
