"""The processor: its name, what it can compute, how many cores this process may use, and how many threads numpy's matrix
products (BLAS) get.

The products of a live session are small. The threads of a BLAS spin while they wait for the next one: with them an idle session
used half a core, and one product took 12 ms on a busy machine. So a session asks for one thread. This module imports no numpy,
which reads the number of threads once, when it is imported.
"""

import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Final

_BLAS_THREADS: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_INFO: Final = Path("/proc/cpuinfo")
# Flags of the system -> the instructions that decide how fast networks run, from the fewest to the most.
_INSTRUCTIONS: Final = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "BF16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
    "asimddp": "dot product",
    "i8mm": "I8MM",
    "bf16": "BF16",
    "sve": "SVE",
}


def processor_name() -> str:
    """The processor's name."""
    return _described().get("model name") or platform.processor() or platform.machine()


def instruction_sets() -> tuple[str, ...]:
    """The instructions for networks that the processor has, as far as the system tells."""
    described = _described()
    flags = (described.get("flags") or described.get("Features") or "").split()
    return tuple(name for flag, name in _INSTRUCTIONS.items() if flag in flags)


@cache
def _described() -> dict[str, str]:
    """What Linux says of the first core; elsewhere nothing."""
    found: dict[str, str] = {}
    try:
        with _INFO.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip() and found:
                    break
                key, _, value = line.partition(":")
                found[key.strip()] = value.strip()
    except OSError:
        pass
    return found


def usable_cores() -> int:
    """How many cores this process may use; in a container these are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ask_for_one_thread() -> None:
    """Asks the BLAS for one thread, unless the user has asked for a number or numpy has been imported already."""
    if "numpy" not in sys.modules:
        for name in _BLAS_THREADS:
            os.environ.setdefault(name, "1")


@cache
def has_one_thread() -> bool:
    """Whether one thread was asked for, whichever BLAS numpy has. Read once, as numpy does."""
    asked = [os.environ[name] for name in _BLAS_THREADS if name in os.environ]
    return bool(asked) and all(threads == "1" for threads in asked)
