"""Kernels that TensorRT for RTX compiled on this machine, kept so that the next start need not compile them again."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from voxface.runtime.bundle.engine_plan import EnginePlan
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.cache_folder import cache_folder


class RuntimeCache:
    """The runtime cache of one plan on one kind of GPU, as a file in the user's cache folder."""

    def __init__(self, plan: EnginePlan, target: str, config: Any) -> None:
        """Reads what is there; the library itself refuses what another version, GPU or driver wrote.

        Args:
            config: an `IRuntimeConfig` of the engine, which makes the cache.
        """
        self.path: Path = cache_folder("tensorrt-rtx", f"{plan.version}-{target}-{plan.key}.cache")
        self._config = config  # kept: the library does not say that a cache outlives what made it
        self._cache = config.create_runtime_cache()
        self._kept = b""
        with suppress(OSError):  # none yet, or not readable: kernels are compiled again
            self._kept = self.path.read_bytes()
        if self._kept and not self._cache.deserialize(self._kept):
            self._kept = b""

    def use(self, config: Any) -> None:
        """Makes contexts of this configuration share the cache."""
        config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Writes the cache if something was compiled since."""
        memory = self._cache.serialize()
        data = bytes(memory) if memory is not None else b""
        if data and data != self._kept:
            with suppress(OSError):  # a read-only home costs compiling again, no result
                write_bytes(self.path, data)
                self._kept = data
