"""The ONNX Runtime engine with its CPU, CUDA and TensorRT providers; none falls back silently to another."""

import re
import warnings
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from voxface.runtime import telemetry
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Array
from voxface.runtime.engines.memory_bound import is_process_ours
from voxface.runtime.engines.onnx_file import check_onnx_file
from voxface.runtime.engines.tensor_check import check_array
from voxface.runtime.engines.threads import checked_threads
from voxface.runtime.engines.under_way import Runs, StoppedError
from voxface.runtime.engines.watch import Watch
from voxface.runtime.errors import BundleError, ProviderError
from voxface.runtime.files.cache_folder import cache_folder
from voxface.runtime.install_advice import how_to_install

if TYPE_CHECKING:  # the CPU needs none of it
    from voxface.runtime.engines.onnxruntime_device import DeviceRunner

LONGEST_MESSAGE: Final = 300  # letters of an error of ONNX Runtime
_WARNING: Final = 2  # levels of severity of ONNX Runtime; this one is its default
_FATAL: Final = 4
_NO_MEMORY: Final = ("failed to allocate memory", "bad_alloc", "bad allocation")  # in errors of ONNX Runtime
_SOURCE: Final = r"\[ONNXRuntimeError\] : \d+ : \w+ : |/onnxruntime_src/\S+:\d+ [^()]*\([^()]*\)(?: const)? "
_NAMES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(int8)": "int8"}
_DEVICES = {"cuda": "cuda", "tensorrt": "cuda"}  # where tensors live; the CPU provider uses numpy's memory


def _provider_options(provider: str) -> dict[str, str]:
    """The options of a provider.

    CUDA: no search for the fastest convolution at each new length of a clip, FP32 without TF32, and CUDA graphs. TensorRT
    builds engines when a session opens: engines and timings are kept for the next session.
    """
    if provider == "cuda":
        return {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", "enable_cuda_graph": "1"}
    if provider == "tensorrt":
        folder = cache_folder("onnxruntime-tensorrt")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # on a read-only home engines are built again next time
            return {}
        return {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(folder),
        }
    return {}


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime with its telemetry off, or a warning that says why it may be on.

    Raises:
        ProviderError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime"
        raise ProviderError(
            f"ONNX Runtime {'is not installed' if missing else f'does not load ({_first_line(error)})'}; "
            f"{how_to_install('cpu')} (or the extra gpu in its place, never both)"
        ) from error
    if (why := telemetry.why_on()) is not None:
        warnings.warn(f"voxface: {why}", RuntimeWarning, stacklevel=1)  # of one place, so that it is shown once
    # Windows has no variable for it; elsewhere it is too late for the files, but not for what would be sent.
    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime  # type: ignore[no-any-return]


def lacked_memory(error: BundleError) -> bool:
    """Whether a graph did not open or failed since ONNX Runtime got no memory, whichever graph had taken it."""
    return any(words in str(error.__cause__).lower() for words in _NO_MEMORY)


def _device_runner(ort: Any, session: Any, provider: str, name: str, graphs: bool) -> "DeviceRunner":
    """Runs the session with its tensors on the device, if all of its arithmetic was put there."""
    from voxface.runtime.engines.onnxruntime_device import DeviceRunner, check_placement

    check_placement(session, provider, name)
    return DeviceRunner(ort, session, _DEVICES[provider], graphs=graphs)


class OnnxRuntimeEngine:
    """A graph in an ONNX Runtime session; see `voxface.runtime.engines.engine.Engine`."""

    def __init__(
        self,
        graph: bytes,
        provider: str = "cpu",
        *,
        name: str = "graph",
        threads: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Opens a session.

        Args:
            graph, provider, name, threads: see `voxface.runtime.engines.opening.open_engine`.
            watch: what can stop the opening, and runs.

        Raises:
            UsageError: a number of threads below 1.
            ProviderError: the provider is not in this ONNX Runtime, or it did not load.
            BundleError: the bytes are no graph, or one that reads other files.
        """
        ort = import_onnxruntime()
        wanted = _NAMES[provider]
        if wanted not in ort.get_available_providers():
            raise ProviderError(
                f"provider {provider!r} is not in the installed ONNX Runtime {ort.__version__} "
                f"(it has {', '.join(ort.get_available_providers())}); "
                f"with an NVIDIA GPU pip uninstall onnxruntime, then {how_to_install('gpu')}; or use --provider cpu"
            )
        try:
            check_onnx_file(graph)
        except ValueError as error:
            raise BundleError(f"{name}: the graph is refused: {error}") from error
        if (
            is_process_ours()
        ):  # its allocator also writes to the terminal; a provider that does not load must say why there
            ort.set_default_logger_severity(_FATAL if provider == "cpu" else _WARNING)
        options = ort.SessionOptions()
        options.add_session_config_entry("session.load_model_format", "ONNX")  # its own format is not checked
        options.log_severity_level = (
            _FATAL  # errors come back as exceptions; warnings would land in the user's terminal
        )
        options.intra_op_num_threads = checked_threads(threads)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not burn the CPU
        if provider != "cpu":
            # An ONNX Runtime that can tell which node runs where is checked below. An older one is told to refuse nodes on the
            # CPU; it then also refuses graphs whose few nodes that compute shapes belong on the CPU.
            told = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
            entry = "session.record_ep_graph_assignment_info" if told else "session.disable_cpu_ep_fallback"
            options.add_session_config_entry(entry, "1")
            if hasattr(ort, "preload_dlls"):  # finds CUDA and cuDNN that were installed as Python packages
                with redirect_stdout(StringIO()):  # it prints what it does not find; the session says what that costs
                    ort.preload_dlls()
        given = _provider_options(provider)
        self._runs = Runs(ort.RunOptions())
        if watch is not None:
            if hasattr(options, "set_load_cancellation_flag"):
                watch.on_stop(partial(options.set_load_cancellation_flag, True))
            watch.on_stop(self._runs.stop)

        def session() -> Any:
            return ort.InferenceSession(graph, options, providers=[(wanted, given)], enable_fallback=0)

        try:
            try:
                self._session = session()
            except Exception as error:
                if "enable_cuda_graph" not in given or "graph capture" not in str(error).lower():
                    raise
                del given["enable_cuda_graph"]  # the graph cannot be captured, and runs on the GPU all the same
                self._session = session()
        except Exception as error:  # ONNX Runtime raises its own classes, RuntimeError and ValueError alike
            message = _first_line(error)
            if provider != "cpu":
                raise ProviderError(
                    f"provider {provider!r} did not load: {message}; `voxface doctor` says more"
                ) from error
            raise BundleError(f"{name}: ONNX Runtime {ort.__version__} refuses the graph: {message}") from error
        if self._session.get_providers()[0] != wanted:
            raise ProviderError(
                f"asked for provider {provider!r}, ONNX Runtime fell back to {self._session.get_providers()[0]}; "
                "`voxface doctor` says which library is missing"
            )
        self._provider, self._name = provider, name
        graphs = "enable_cuda_graph" in given
        self._device = _device_runner(ort, self._session, provider, name, graphs) if provider in _DEVICES else None
        self.inputs = {
            i.name: TensorSpec(_DTYPES.get(i.type, i.type), tuple(i.shape)) for i in self._session.get_inputs()
        }
        self.outputs = {
            o.name: TensorSpec(_DTYPES.get(o.type, o.type), tuple(o.shape)) for o in self._session.get_outputs()
        }

        self._names = list(self.outputs)
        # The function in C behind `InferenceSession.run`, which checks again what is checked here. It is private to ONNX
        # Runtime, and may move.
        self._run = getattr(self._session, "_sess", self._session).run

    @property
    def provider(self) -> str:
        """Name of the provider that runs the graph."""
        return self._provider

    def run(self, feeds: dict[str, Array], out: dict[str, Array] | None = None) -> dict[str, Array]:
        """Computes every output. An output named in `out` is written there, on the CPU without a copy.

        Raises:
            ValueError: an input is missing or does not fit its spec.
            BundleError: the graph failed; on a GPU it is a ProviderError.
            StoppedError: the run was stopped.
        """
        for name, spec in self.inputs.items():
            if name not in feeds:
                raise ValueError(f"input {name!r} is missing; the graph wants {', '.join(self.inputs)}")
            check_array(name, feeds[name], spec)
        if self._device is not None:
            try:
                return self._device.run({name: feeds[name] for name in self.inputs}, out or {})
            except ValueError:
                raise
            except Exception as error:  # as below
                raise ProviderError(
                    f"{self._name}: the graph failed on provider {self._provider!r}: {_first_line(error)}"
                ) from error
        if out is None:
            try:
                with self._runs as options:
                    values = self._run(self._names, feeds, options)
            except Exception as error:  # ONNX Runtime's own classes, which have no other base
                raise self._failed(error) from error
            return dict(zip(self._names, values, strict=True))
        binding = self._session.io_binding()
        for name in self.inputs:
            binding.bind_cpu_input(name, np.ascontiguousarray(feeds[name]))
        for name, spec in self.outputs.items():
            if name in out:
                check_array(name, out[name], spec)
                if not out[name].flags.c_contiguous:
                    raise ValueError(f"the array for output {name!r} is not contiguous")
                array = out[name]
                binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            else:
                binding.bind_output(name, "cpu")
        try:
            with self._runs as options:
                self._session.run_with_iobinding(binding, options)
        except Exception as error:  # as above
            raise self._failed(error) from error
        bound = dict(zip(self.outputs, binding.get_outputs(), strict=True))
        return {name: out[name] if name in out else bound[name].numpy() for name in self.outputs}

    def _failed(self, error: Exception) -> BundleError:
        """What is raised where a run raised `error`."""
        if self._runs.stopped:
            return StoppedError(f"{self._name}: the run was stopped")
        return BundleError(f"{self._name}: the graph failed: {_first_line(error)}")

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Runs once on zeros, named dimensions taken from `lengths` (1 where absent)."""
        sizes = lengths or {}
        feeds: dict[str, Any] = {
            name: np.zeros([d if isinstance(d, int) else sizes.get(d, 1) for d in spec.shape], spec.dtype)
            for name, spec in self.inputs.items()
        }
        self.run(feeds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._device, self._session, self._run


def _first_line(error: Exception) -> str:
    """The beginning of an error's text, which may quote names from the graph, fit for a terminal.

    Where in ONNX Runtime's source it was raised is left out: it is longer than the reason, which stands after it.
    """
    if any(words in str(error).lower() for words in _NO_MEMORY):
        return "it asks for more memory than it may have"
    line = next(iter(re.sub(_SOURCE, "", str(error)).strip().splitlines()), type(error).__name__)
    return "".join(letter if letter.isprintable() else "?" for letter in line[:LONGEST_MESSAGE])
