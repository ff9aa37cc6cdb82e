"""Opens engines: of an ONNX graph alone, and of a graph of a bundle, which may carry plans that were built ahead.

A provider that was asked for and cannot be used is a `ProviderError` that names the cure; nothing falls back silently.
"""

import hashlib

from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.bundle.engine_plan import PLAN_PROVIDERS, EnginePlan
from voxface.runtime.bundle.manifest import SUFFIX
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.providers import ALL_PROVIDERS, OPENVINO_PROVIDERS, PROVIDERS
from voxface.runtime.engines.watch import Watch
from voxface.runtime.errors import ProviderError, UsageError


def open_engine(
    graph: bytes,
    provider: str = "cpu",
    *,
    name: str = "graph",
    threads: int | None = None,
    watch: Watch | None = None,
) -> Engine:
    """Loads an ONNX graph on a provider, one of `PROVIDERS`.

    Args:
        graph: bytes of the ONNX file.
        provider: provider that runs the graph.
        name: what error messages call the graph.
        threads: threads within an operator on the CPU; None: one.
        watch: what can stop the opening and runs of the graph; OpenVINO cannot be stopped.

    Raises:
        UsageError: no provider of that name.
        ProviderError: the provider, or the library behind it, is not installed.
        BundleError: the bytes are no graph, or one that reads other files.
    """
    if provider not in PROVIDERS:
        raise UsageError(f"no provider {provider!r} for an ONNX graph; there are {', '.join(PROVIDERS)}")
    if provider in OPENVINO_PROVIDERS:
        from voxface.runtime.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(graph, provider, name=name, threads=threads)
    from voxface.runtime.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(graph, provider, name=name, threads=threads, watch=watch)


def open_graph(
    bundle: Bundle, name: str, provider: str = "cpu", *, threads: int | None = None, watch: Watch | None = None
) -> Engine:
    """Loads a graph of a bundle on a provider. `voxface.runtime.engines.trial.open_graphs` also tries whether it keeps its
    contract.

    Args:
        name: name of the graph: "encoder", "face", "mesh" or "fused".
        provider: one of `PROVIDERS`, which run the ONNX graph; or "tensorrt-native" or "tensorrt-rtx", which run a plan that
            `voxface build` has put into the bundle.
        threads, watch: see `open_engine`.

    Raises:
        UsageError: no provider of that name.
        ProviderError: the provider or its library is not installed, or the bundle has no plan that fits.
        BundleError: the file is no graph, or no plan.
    """
    if provider in PROVIDERS:
        return open_engine(bundle.graph(name), provider, name=name, threads=threads, watch=watch)
    flavour = next((f for f, p in PLAN_PROVIDERS.items() if p == provider), None)
    if flavour is None:
        raise UsageError(f"no provider {provider!r}; there are {', '.join(ALL_PROVIDERS)}")
    plans = [plan for plan in bundle.plans if (plan.graph, plan.flavour) == (name, flavour)]
    cure = rebuild_command(bundle, flavour)
    if not plans:
        raise ProviderError(
            f"{name}: {bundle.path} has no engine of flavour {flavour!r}; build it: {_untargeted(cure)}"
        )
    current = hashlib.sha256(bundle.graph(name)).hexdigest()
    if all(plan.onnx_sha256 != current for plan in plans):
        raise ProviderError(
            f"{name}: the engines of flavour {flavour!r} in {bundle.path} were built from another graph; "
            f"build them anew: {_untargeted(cure)}"
        )
    from voxface.runtime.engines.cuda_memory import Cuda
    from voxface.runtime.engines.tensorrt import TensorRTEngine
    from voxface.runtime.engines.tensorrt_library import library

    version, target = library(flavour).__version__, Cuda().target

    def fitness(plan: EnginePlan) -> tuple[bool, bool, bool]:
        return plan.onnx_sha256 == current, plan.version == version, target in plan.targets

    return TensorRTEngine(max(plans, key=fitness), cure=cure)


def open_plan(bundle: Bundle, plan: EnginePlan) -> Engine:
    """Loads one plan of a bundle, whether or not it is the one that fits best.

    Raises:
        ProviderError, BundleError: see `open_graph`.
    """
    from voxface.runtime.engines.tensorrt import TensorRTEngine

    cure = rebuild_command(bundle, plan.flavour)
    if plan.onnx_sha256 != hashlib.sha256(bundle.graph(plan.graph)).hexdigest():
        raise ProviderError(
            f"{plan.graph}: the engine was built from another graph; build it anew: {_untargeted(cure)}"
        )
    return TensorRTEngine(plan, cure=cure)


def rebuild_command(bundle: Bundle, flavour: str) -> str:
    """The command that builds a bundle's engines anew; `{target}` in it stands for the GPU at hand."""
    out = f" --out my{SUFFIX}" if bundle.path == DEFAULT else ""
    return f"voxface build {bundle.path} --flavour {flavour} --target {{target}}{out}"


def _untargeted(command: str) -> str:
    """The command without --target, for a machine whose GPU is not known yet."""
    return command.replace(" --target {target}", "")
