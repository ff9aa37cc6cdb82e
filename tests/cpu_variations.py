"""Runs the tests of learning as other processors would run them, and with other seeds.

    python -m tests.cpu_variations [--quick] [arguments of pytest]

A sum of floats comes out a little differently with every instruction set and number of threads, and a training makes much of
little. What a test says of learning must hold all the same. Environment variables let PyTorch, oneDNN, NumPy and their BLAS
use less than the processor has, so one machine stands in for all that have less. For what it has not, there are the seeds: they
change a training far more than rounding does.

Chosen are the tests marked `learns`; with `--quick` those of them that are not `slow`, in two variations. There is one line for
each variation; the exit code is 1 if a test failed in any of them.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tests.training.seeds import VARIABLE

ROOT: Final = Path(__file__).parent.parent
SEEDS: Final = (0, 1, 2)
THREADS: Final = (1, 2)
# From the least to the most; PyTorch's name, oneDNN's, OpenBLAS's kernels for it, and what MKL is told.
LEVELS: Final = {
    "default": ("SSE41", "Nehalem", {"MKL_CBWR": "COMPATIBLE"}),
    "avx2": ("AVX2", "Haswell", {"MKL_ENABLE_INSTRUCTIONS": "AVX2"}),
    "avx512": ("AVX512_CORE", "SkylakeX", {}),
}
UNLIMITED: Final = "DEFAULT"  # no limit: beyond AVX512_CORE there are VNNI, BF16, AMX


@dataclass(frozen=True)
class Variation:
    """One way to run the tests.

    Attributes:
        aten: instruction set of PyTorch's own kernels, a key of `LEVELS`; NumPy and BLAS follow it.
        onednn: instruction set that oneDNN, which computes convolutions, may use at most.
        threads: of each library.
        seed: added to the seeds of all trainings.
    """

    aten: str
    onednn: str
    threads: int
    seed: int

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"PyTorch {self.aten}, oneDNN {self.onednn}, {threads}, seed {self.seed}"

    def environment(self) -> dict[str, str]:
        """The variables that make a process compute so."""
        _, blas, mkl = LEVELS[self.aten]
        threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {
            "ATEN_CPU_CAPABILITY": self.aten,
            "ONEDNN_MAX_CPU_ISA": self.onednn,
            "NPY_DISABLE_CPU_FEATURES": " ".join(beyond(self.aten)),
            "OPENBLAS_CORETYPE": blas,
            **mkl,
            **dict.fromkeys(threads, str(self.threads)),
            "OMP_WAIT_POLICY": "PASSIVE",  # or two threads on a busy machine spend their time waiting for each other
            VARIABLE: str(self.seed),
        }


def beyond(level: str) -> list[str]:
    """NumPy's names of the instruction sets it found on this processor that are more than `level`."""
    found: list[str] = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if level == "avx512":
        return []
    return [name for name in found if level == "default" or "512" in name or name == "X86_V4"]


def available(best: str) -> tuple[list[str], list[str]]:
    """What PyTorch and oneDNN can be limited to on a processor whose best instruction set is `best`, a key of `LEVELS`."""
    levels = list(LEVELS)[: list(LEVELS).index(best) + 1]
    return levels, [LEVELS[level][0] for level in levels] + ([UNLIMITED] if best == "avx512" else [])


def variations(best: str) -> list[Variation]:
    """A few of all combinations, among them each instruction set and each number of threads with each seed."""
    levels, limits = available(best)
    return [
        Variation(
            levels[k % len(levels)], limits[(k + seed) % len(limits)], THREADS[(k + seed // 2) % len(THREADS)], seed
        )
        for seed in SEEDS
        for k in range(len(limits))
    ]


def quick_variations(best: str) -> list[Variation]:
    """The least and the most the processor can do, with seeds that the ordinary run of the tests has not."""
    levels, limits = available(best)
    return [Variation(levels[0], limits[0], 1, 1), Variation(levels[-1], limits[-1], 2, 2)]


def best_level() -> str:
    """This processor's best instruction set, a key of `LEVELS`.

    Raises:
        ValueError: a processor of another family, where PyTorch has other names.
    """
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    environment = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
    asked = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    level = asked.stdout.strip().lower()
    if level not in LEVELS:
        raise ValueError(f"no variations are known for a processor that PyTorch calls {level}")
    return level


def marked_files() -> list[str]:
    """Files with tests of learning; to look into all others would take pytest longer than these tests."""
    return [
        str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "pytest.mark.learns" in path.read_text()
    ]


def run(variation: Variation, arguments: Sequence[str]) -> tuple[bool, str]:
    """Whether all tests passed, and pytest's last line; of tests that failed, also what it said."""
    words = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **variation.environment()}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    lines = done.stdout.strip().splitlines() or [f"pytest ended with {done.returncode} and said nothing"]
    return done.returncode == 0, lines[-1] if done.returncode == 0 else "\n".join([lines[-1], *lines[:-1]])


def results(chosen: Sequence[Variation], arguments: Sequence[str]) -> Iterator[bool]:
    """Runs and prints one variation after another."""
    for variation in chosen:
        start = time.monotonic()
        passed, said = run(variation, arguments)
        print(f"{'pass' if passed else 'FAIL'}  {variation} ({time.monotonic() - start:.0f} s): {said}", flush=True)
        yield passed


def main(arguments: Sequence[str]) -> int:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.cpu_variations", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two variations of the tests that take seconds")
    options, more = parser.parse_known_args(arguments)
    best = best_level()
    levels, limits = available(best)
    print(f"this processor has {best}: PyTorch {', '.join(levels)}; oneDNN {', '.join(limits)}")
    missing = [level for level in LEVELS if level not in levels]
    if missing:
        print(f"not run, since it lacks them: {', '.join(missing)}")
    chosen = quick_variations(best) if options.quick else variations(best)
    marked = "learns and not slow" if options.quick else "learns"
    where = [] if any(Path(argument.split("::")[0]).exists() for argument in more) else marked_files()
    passed = list(results(chosen, ["-m", marked, *where, *more]))
    print(f"{sum(passed)} of {len(passed)} variations pass")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
