"""TensorRT proper, played as far as a build touches it."""

import types
from collections.abc import Callable
from typing import Any


class FakeBuilder:
    """TensorRT proper's builder as far as a build touches it; `said` is what was done to it."""

    def __init__(self, generation: int, plans: Callable[[], Any]) -> None:
        self.said: list[Any] = []
        said = self.said

        class Severity:
            INTERNAL_ERROR, ERROR = 0, 1

        class ILogger:
            def __init__(self) -> None: ...

        ILogger.Severity = Severity  # type: ignore[attr-defined]
        flags = {"TF32": "TF32", **({"FP16": "FP16"} if generation == 10 else {})}

        class Cache:
            def __init__(self, data: bytes) -> None:
                self.data = data

            def serialize(self) -> bytes:
                return self.data + b"measured "

        class Config:
            def clear_flag(self, flag: str) -> None:
                said.append(("clear", flag))

            def set_flag(self, flag: str) -> None:
                said.append(("set", flag))

            def add_optimization_profile(self, profile: Any) -> int:
                return 0

            def create_timing_cache(self, data: bytes) -> Cache:
                said.append(("timings", data))
                return Cache(data)

            def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
                self.cache = cache
                return not ignore_mismatch

            def get_timing_cache(self) -> Cache:
                return self.cache

        class Builder:
            def __init__(self, log: Any) -> None:
                self.log = log

            def create_network(self, flags: int) -> Any:
                said.append(("network", flags))
                return types.SimpleNamespace(num_layers=0)

            def create_builder_config(self) -> Config:
                return Config()

            def create_optimization_profile(self) -> Any:
                return types.SimpleNamespace(set_shape=lambda *shapes: said.append(("shape", *shapes)))

            def build_serialized_network(self, network: Any, config: Any) -> Any:
                data = plans()
                if data is None:
                    self.log.log(Severity.ERROR, "Error Code 10:\n no implementation")
                return data

        self.module = types.ModuleType("tensorrt")
        parser = types.SimpleNamespace(parse=lambda data: True, num_errors=0)
        typed = {"STRONGLY_TYPED": 1} if generation == 10 else {}
        for name, value in {
            "__version__": f"{generation}.13.0",
            "ILogger": ILogger,
            "Builder": Builder,
            "OnnxParser": lambda network, log: parser,
            "NetworkDefinitionCreationFlag": types.SimpleNamespace(**typed),
            "BuilderFlag": types.SimpleNamespace(**flags),
            "LayerType": types.SimpleNamespace(CONVOLUTION=0, DECONVOLUTION=1, MATRIX_MULTIPLY=2, DEQUANTIZE=3),
            "DataType": types.SimpleNamespace(FLOAT=0, HALF=1, INT8=2),
        }.items():
            setattr(self.module, name, value)
