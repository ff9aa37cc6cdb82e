"""The runtime cache of TensorRT for RTX: kernels that it compiled on this machine, kept for the next start."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from voxface.runtime.bundle.engine_plan import EnginePlan
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.cache_folder import cache_folder


class RuntimeCache:
    """The runtime cache of one plan on one kind of GPU, as a file in the user's cache folder."""

    def __init__(self, plan: EnginePlan, target: str, config: Any) -> None:
        """Reads the file, if there is one. The library refuses a cache that another version, GPU or driver wrote.

        Args:
            plan: the plan whose kernels are cached.
            target: compute capability of the GPU, as "sm86".
            config: an `IRuntimeConfig` of the engine, which makes the cache.
        """
        self.path: Path = cache_folder("tensorrt-rtx", f"{plan.version}-{target}-{plan.key}.cache")
        self._config = (
            config  # kept, since the library does not promise that a cache outlives the configuration that made it
        )
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
        """Writes the cache if kernels were compiled since it was read or written."""
        memory = self._cache.serialize()
        data = bytes(memory) if memory is not None else b""
        if data and data != self._kept:
            with suppress(OSError):  # on a read-only home the kernels are compiled again next time
                write_bytes(self.path, data)
                self._kept = data
