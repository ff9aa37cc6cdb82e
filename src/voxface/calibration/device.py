"""This device, as far as it decides which form of a layer is fastest."""

import platform
from pathlib import Path
from typing import Any, Final

from voxface.runtime.profile.machine import this_machine

# Those that decide how fast FP32, BF16 and INT8 are.
INSTRUCTIONS: Final = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm", "bf16",
)  # fmt: skip


def this_device() -> dict[str, Any]:
    """Processor, its instructions, cores and operating system."""
    machine = this_machine()
    return {"cpu": machine.cpu, "instructions": instructions(), "cores": machine.cores, "system": machine.system}


def instructions() -> str:
    """The processor's instructions among `INSTRUCTIONS`; only Linux tells, elsewhere the kind of processor."""
    info = Path("/proc/cpuinfo")
    words = set(info.read_text().split()) if info.exists() else set()
    return " ".join(name for name in INSTRUCTIONS if name in words) or platform.machine()
