"""The sides of the comparison on a GPU: the networks of an update in PyTorch and in engines, and how far they agree."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle

LAUNCHES: Final = 200  # in a row, between two CUDA events
MESHES: Final = 8  # voices of a batch whose meshes are compared
Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # embedding, image, coefficients
Update = Callable[[NDArray[np.float32]], Answer]
KernelTime = Callable[[], float | None]  # milliseconds of an update on the GPU alone


def pytorch(nets: dict[str, Any], device: str, *, half: bool = False, compiled: bool = False) -> Update:
    """An update in PyTorch, from the host to the host."""
    import torch

    dtype = torch.float16 if half else torch.float32
    encoder, face, mesh = (network.to(device, dtype) for network in _copies(nets))
    if compiled:
        encoder, face, mesh = (torch.compile(network, dynamic=False) for network in (encoder, face, mesh))

    def update(features: NDArray[np.float32]) -> Answer:
        with torch.inference_mode():
            embedding = encoder(torch.from_numpy(features).to(device, dtype))[0]
            image, coefficients = face(embedding), mesh(embedding)
            answers = (embedding, image, coefficients)
            embedding, image, coefficients = (answer.float().cpu().numpy() for answer in answers)
            return embedding, image, coefficients

    return update


def pytorch_graph(nets: dict[str, Any], batch: int, frames: int, *, half: bool = False) -> tuple[Update, KernelTime]:
    """An update as one captured CUDA graph, copies from and to pinned memory in it; and the time the GPU takes for it alone."""
    import torch

    dtype = torch.float16 if half else torch.float32
    encoder, face, mesh = (network.to("cuda", dtype) for network in _copies(nets))
    held = torch.zeros(batch, 64, frames).pin_memory()
    given = torch.zeros(batch, 64, frames, device="cuda")

    def compute() -> tuple[Any, ...]:
        given.copy_(held, non_blocking=True)
        embedding = encoder(given.to(dtype))[0]
        return tuple(answer.float() for answer in (embedding, face(embedding), mesh(embedding)))

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.inference_mode(), torch.cuda.stream(side):
        for _ in range(3):  # before a capture every kernel has to have been chosen
            answers = compute()
        hosts = [torch.empty(answer.shape).pin_memory() for answer in answers]
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        for host, answer in zip(hosts, compute(), strict=True):
            host.copy_(answer, non_blocking=True)

    def update(features: NDArray[np.float32]) -> Answer:
        held.numpy()[:] = features
        graph.replay()
        torch.cuda.current_stream().synchronize()
        embedding, image, coefficients = (host.numpy().copy() for host in hosts)
        return embedding, image, coefficients

    def kernel_ms() -> float:
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        for _ in range(LAUNCHES):
            graph.replay()
        ended.record()
        ended.synchronize()
        return float(began.elapsed_time(ended)) / LAUNCHES

    return update, kernel_ms


def _copies(nets: dict[str, Any]) -> list[Any]:
    """Copies, since `to` changes a network in place, and the sides differ in precision."""
    from copy import deepcopy

    return [deepcopy(nets[name]) for name in ("encoder", "face", "mesh")]


def engines(opened: Sequence[Any], frames: int) -> Update:
    """An update by three engines: encoder, face and mesh network."""
    encoder, face, mesh = opened
    for engine in opened:
        engine.warm_up({"T": frames})

    def update(features: NDArray[np.float32]) -> Answer:
        embedding = encoder.run({"log_mel": features})["embedding"]
        image = face.run({"embedding": embedding})["image"]
        return embedding, image, mesh.run({"embedding": embedding})["coefficients"]

    return update


def kernels_of(opened: Sequence[Any]) -> KernelTime | None:
    """The time the GPU alone takes for the engines of an update; None unless all of them run captured graphs of their own."""
    from voxface.runtime.engines.tensorrt import TensorRTEngine

    if not all(isinstance(engine, TensorRTEngine) for engine in opened):
        return None

    def kernel_ms() -> float | None:
        each = [graph_ms(engine) for engine in opened]
        return None if None in each else sum(ms for ms in each if ms is not None)

    return kernel_ms


def graph_ms(engine: Any) -> float | None:
    """Milliseconds the GPU takes for an engine's newest captured graph alone, copies included; None if nothing was captured.

    CUDA events surround many launches in a row, and the host waits only for the last.
    """
    graphs = [made.graph for made in engine._shapes.values() if made.graph is not None]
    if not graphs:
        return None
    cuda, stream = engine._cuda, engine._stream
    began, ended = cuda.call("cudaEventCreate"), cuda.call("cudaEventCreate")
    try:
        cuda.call("cudaEventRecord", began, stream)
        for _ in range(LAUNCHES):
            cuda.call("cudaGraphLaunch", graphs[-1], stream)
        cuda.call("cudaEventRecord", ended, stream)
        cuda.call("cudaEventSynchronize", ended)
        return float(cuda.call("cudaEventElapsedTime", began, ended)) / LAUNCHES
    finally:
        cuda.call("cudaEventDestroy", began)
        cuda.call("cudaEventDestroy", ended)


def difference(answer: Answer, expected: Answer, bundle: Bundle) -> dict[str, float]:
    """How far a side is from another on a batch, in task units: of the worst voice the cosine distance of embeddings, the
    largest and mean grey levels of pictures, the largest and mean millimetres of meshes."""
    (a, image, coefficients), (b, image_b, coefficients_b) = answer, expected
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines = (a * b).sum(1) / lengths
    levels = np.abs(np.clip(image, -1, 1) - np.clip(image_b, -1, 1)) * 127.5
    pairs = list(zip(coefficients, coefficients_b, strict=True))[:MESHES]
    millimetres = np.array(
        [
            np.linalg.norm(bundle.morphable.vertices(one) - bundle.morphable.vertices(other), axis=1)
            for one, other in pairs
        ]
    )
    return {
        "embedding_cosine_distance": float(1 - cosines.min()),
        "image_levels_largest": float(levels.max()),
        "image_levels_mean": float(levels.mean((1, 2, 3)).max()),
        "mesh_mm_largest": float(millimetres.max()),
        "mesh_mm_mean": float(millimetres.mean(1).max()),
    }
