"""The graphs of a bundle, opened and tried: each runs once, on the fewest frames, before anything is believed of it.

A bundle's hashes say that it is what its author made, not that its author meant well. A graph may give another shape than it
says, numbers that are none, or never end. It is found out here, and the run also touches what the first estimate would.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.engines.choice import choose
from voxface.runtime.engines.contract import INPUTS, OUTPUTS, check_outputs, check_signature
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.held import HeldEngine
from voxface.runtime.engines.memory_bound import MemoryBound
from voxface.runtime.engines.opening import open_graph
from voxface.runtime.engines.providers import ON_CPU, OPENVINO_PROVIDERS, PROVIDERS
from voxface.runtime.engines.watch import Watch
from voxface.runtime.errors import BundleError, ProviderError

FRAMES: Final = 5 * STRIDE  # the shortest piece that mode "incremental" encodes of a stream
SECONDS: Final = 10.0  # time limit on the CPU; the default bundle takes 0.05 s
SECONDS_PER_BYTE: Final = 0.5e-6


def open_graphs(
    bundle: Bundle,
    names: Sequence[str],
    provider: str = "cpu",
    *,
    threads: int | None = None,
    lengths: Sequence[int] = (),
    finite: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Engine]:
    """Loads graphs of a bundle on a provider and tries each on one clip.

    On the CPU there is a time limit; a GPU's library may build engines for minutes. A signal ends either. Plans that were built
    ahead of time are loaded and not tried: their signature is the manifest's, and a run would capture shapes.

    Args:
        bundle: the bundle.
        names: the graphs, as in its manifest; "encoder" must come before those that take its embedding.
        provider, threads: see `voxface.runtime.engines.opening.open_graph`; what they leave open is as
            `voxface.runtime.engines.choice.choose` says.
        lengths: lengths in frames to try as well.
        finite: whether outputs must be finite.
        clock: the clock of the time limit, in seconds.

    Raises:
        BundleError: a graph is none, does not keep its contract or the manifest's word, or takes too long.
        ProviderError, UsageError: see `voxface.runtime.engines.opening.open_graph`.
    """
    provider, threads, _ = choose(bundle, provider, threads)
    if provider not in PROVIDERS:
        with ExitStack() as opened:
            engines = {
                name: opened.enter_context(open_graph(bundle, name, provider, threads=threads)) for name in names
            }
            opened.pop_all()
        return engines
    bundle.read_ahead()  # the morphable model, which the trial of the mesh network waits for
    from voxface.runtime.engines.onnxruntime import import_onnxruntime, lacked_memory

    if provider in OPENVINO_PROVIDERS:
        from voxface.runtime.engines.openvino_library import check_device

        check_device(OPENVINO_PROVIDERS[provider][0])  # loads library and plugin before memory is bounded
    else:
        import_onnxruntime()  # likewise

    def attempt(engines: dict[str, Engine]) -> None:
        try:
            _try(bundle, engines, FRAMES, finite)
        except BundleError:  # a graph may want the length of a whole clip, which only "incremental" undercuts
            _try(bundle, engines, bundle.front_end.shortest, finite)
        for frames in lengths:
            _try(bundle, engines, frames, finite)

    size = sum(len(bundle.graph(name)) for name in names)
    watch = Watch(SECONDS + SECONDS_PER_BYTE * size if provider in ON_CPU else math.inf, clock)
    model = len(bundle.files[bundle.manifest.morphable_model.file])
    bound = MemoryBound.for_files(size + model, len(names) * threads + 2)
    try:
        tried = watch.run(lambda: _opened_and_tried(bundle, names, provider, threads, watch, attempt), bound)
    except TimeoutError:
        raise BundleError(
            f"{bundle.path}: its graphs were not opened and run once within {watch.seconds:.0f} s; do not use this bundle"
        ) from None
    except (BundleError, MemoryError) as error:
        if isinstance(error, MemoryError) or lacked_memory(error):  # all graphs share the bound, so none is named
            raise BundleError(
                f"{bundle.path}: its graphs need more memory than graphs of {size} bytes may; do not use this bundle"
            ) from error
        if str(error).startswith(f"{bundle.path}: "):
            raise
        raise BundleError(f"{bundle.path}: {error}") from error
    label = str(bundle.path)
    return {
        name: HeldEngine(engine, name, label, len(bundle.graph(name))) if name in OUTPUTS else engine
        for name, engine in tried.items()
    }


def _opened_and_tried(
    bundle: Bundle,
    names: Sequence[str],
    provider: str,
    threads: int | None,
    watch: Watch,
    attempt: Callable[[dict[str, Engine]], None],
) -> dict[str, Engine]:
    engines: dict[str, Engine] = {}
    for name in names:  # one after another: with a thread each they take longer, as they wait for Python's lock
        engine = open_graph(bundle, name, provider, threads=threads, watch=watch)
        try:
            check_signature(name, engine, bundle.manifest.graphs[name])
        except ValueError as error:
            raise _refused(bundle, name, error) from error
        engines[name] = engine
    attempt(engines)
    return engines


def _try(bundle: Bundle, engines: dict[str, Engine], frames: int, finite: bool) -> None:
    """Runs every graph on a clip of so many frames.

    Raises:
        BundleError: see `open_graphs`.
    """
    fixed = engines["encoder"].inputs["log_mel"].shape[2] if "encoder" in engines else frames
    frames = fixed if isinstance(fixed, int) else frames
    width: int | None = None
    given: dict[str, NDArray[np.float32]] = {"log_mel": _features(bundle.front_end.mels, frames)}
    for name, engine in engines.items():
        if name not in INPUTS:  # nothing is known of it
            engine.warm_up({"T": frames})
            continue
        try:
            outputs: dict[str, Any] = engine.run({key: given[key] for key in INPUTS[name]})
            modes = bundle.morphable.modes if "coefficients" in OUTPUTS[name] else 0  # it is read meanwhile
            width = check_outputs(name, outputs, frames, width, modes, finite=finite)
        except (KeyError, ValueError) as error:
            if engine.provider not in ON_CPU:  # FP16 may overflow there
                raise ProviderError(f"{bundle.path}: the graph {name} on {engine.provider}: {error}") from error
            raise _refused(bundle, name, error) from error
        if "embedding" in outputs:
            given.setdefault("embedding", outputs["embedding"])


def _features(mels: int, frames: int) -> NDArray[np.float32]:
    """Network input float32 [1, mels, frames] of about mean 0 and deviation 1, always the same."""
    return np.sin(np.arange(mels * frames, dtype=np.float32)).reshape(1, mels, frames) * np.float32(math.sqrt(2))


def _refused(bundle: Bundle, name: str, error: Exception) -> BundleError:
    return BundleError(f"{bundle.path}: {name} {error}; fetch or export the bundle again")
