"""The measurement of what runs a bundle's networks fastest here: every engine takes its turn, as in a live stream.

A live stream rests between two updates, and threads that have slept must be woken. Engines that are measured without a pause
look faster with more threads than they are; so each run follows a rest.
"""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.engine_times import EngineTime, EngineTimes, this_machine
from voxface.runtime.engines.providers import ON_CPU
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import VoxfaceError
from voxface.runtime.processor import usable_cores

MEASURED: Final = ("cpu", "openvino", "openvino-bf16", "openvino-gpu", "cuda", "tensorrt-rtx", "tensorrt-native")
PRECISE: Final = tuple(name for name in MEASURED if name != "openvino-bf16")  # BF16 is for those who ask for it
THREADS: Final = (1, 2, 4)
ROUNDS: Final = 15
WARM_UP: Final = 3
REST_S: Final = 0.03
# What calibration to FP16 allows; `voxface.calibration` has them too, which the runtime does without. A bundle that was
# calibrated has its own.
TOLERANCES: Final[Mapping[str, float]] = {"cosine": 0.9999, "psnr_db": 45.0, "vertex_mm": 0.05}
_BEST_DB: Final = 150.0

Outputs = Mapping[str, NDArray[Any]]
Update = Callable[[], Outputs]


def measure(
    bundle: Bundle,
    providers: Sequence[str] = MEASURED,
    *,
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], None] = time.sleep,
    report: Callable[[int, int], None] | None = None,
    open_engines: Callable[..., dict[str, Engine]] = open_graphs,
) -> EngineTimes:
    """Times one update's networks on every provider that loads, with one thread and, on the CPU, with more.

    Args:
        bundle: the bundle.
        providers: the providers to try.
        rounds: how often each is timed; in every round each has its turn, and another one begins.
        clock, rest: seconds, and what waits for some.
        report: called with the rounds done and all of them.
        open_engines: see `voxface.runtime.engines.trial.open_graphs`.

    Raises:
        BundleError: the bundle cannot be used.
    """
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    left_out: dict[str, str] = {}
    updates: dict[tuple[str, int], Update] = {}
    with ExitStack() as opened:
        for provider, threads in _candidates(providers):
            if provider in left_out:
                continue
            try:
                engines = open_engines(bundle, GRAPHS, provider, threads=threads)
                for engine in engines.values():
                    opened.enter_context(engine)
                update = _update(bundle, engines)
                update()
            except VoxfaceError as error:
                if provider == "cpu" and threads == 1:
                    raise
                left_out[provider] = str(error)
            else:
                updates[provider, threads] = update
        taken: dict[tuple[str, int], list[float]] = {key: [] for key in updates}
        order = list(updates)
        for round_ in range(-WARM_UP, rounds):
            order = [*order[1:], order[0]]
            for key in order:
                rest(REST_S)
                began = clock()
                updates[key]()
                if round_ >= 0:
                    taken[key].append((clock() - began) * 1e3)
            if report is not None:
                report(round_ + WARM_UP + 1, rounds + WARM_UP)
        reference = updates["cpu", 1]()
        times = tuple(
            EngineTime(
                provider, threads, statistics.median(taken[provider, threads]), *_agreement(bundle, update(), reference)
            )
            for (provider, threads), update in updates.items()
        )
    return EngineTimes(str(bundle.manifest.sha256), this_machine(), times, left_out, load, PRECISE)


def _candidates(providers: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Providers with numbers of threads; the plain one comes first, since the others are compared with it."""
    yield "cpu", 1
    for provider in dict.fromkeys(("cpu", *providers)):
        for threads in THREADS if provider in ON_CPU else THREADS[:1]:
            if threads <= usable_cores() and (provider, threads) != ("cpu", 1):
                yield provider, threads


def _update(bundle: Bundle, engines: Mapping[str, Engine]) -> Update:
    """One update on made-up features, always the same."""
    noise = np.random.default_rng(0).normal(size=(1, bundle.front_end.mels, bundle.front_end.shortest))
    features = noise.astype(np.float32)

    def run() -> Outputs:
        embedding = engines["encoder"].run({"log_mel": features})["embedding"]
        face, mesh = (engines[name].run({"embedding": embedding}) for name in ("face", "mesh"))
        return {"embedding": embedding, **face, **mesh}

    return run


def _agreement(bundle: Bundle, outputs: Outputs, reference: Outputs) -> tuple[bool, float, float, float]:
    """Whether results agree, and how closely: cosine, decibels, millimetres."""
    one, other = (side["embedding"][0].astype(np.float64) for side in (outputs, reference))
    cosine = float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-30))
    pictures = [np.clip(side["image"].astype(np.float64), -1, 1) for side in (outputs, reference)]
    squares = float(np.mean((pictures[0] - pictures[1]) ** 2))
    psnr_db = min(_BEST_DB, 10 * math.log10(4 / squares)) if squares > 0 else _BEST_DB
    vertices = [bundle.morphable.vertices(side["coefficients"][0]) for side in (outputs, reference)]
    vertex_mm = float(np.linalg.norm(vertices[0] - vertices[1], axis=-1).max(initial=0.0))
    calibrated = bundle.manifest.precision and bundle.manifest.precision.calibrated
    limits = {**TOLERANCES, **((calibrated and calibrated.tolerances) or {})}
    agrees = (  # false for NaN
        cosine >= limits["cosine"] and psnr_db >= limits["psnr_db"] and vertex_mm <= limits["vertex_mm"]
    )
    return agrees, cosine, psnr_db, vertex_mm
