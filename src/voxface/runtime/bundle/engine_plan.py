"""A plan: one graph that TensorRT has built, as a bundle carries it, and what has to agree for it to run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from voxface.runtime.config.tensor_spec import TensorSpec

# flavour -> provider that runs its plans; "tensorrt" as a provider is ONNX Runtime's, which builds for itself
PLAN_PROVIDERS = {"tensorrt": "tensorrt-native", "tensorrt-rtx": "tensorrt-rtx"}
Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class EnginePlan:
    """One built graph.

    Attributes:
        graph: "encoder", "face", "mesh" or "fused".
        flavour: "tensorrt" or "tensorrt-rtx".
        version: of the library that built it; no other version reads it.
        targets: compute capabilities it was built for, as "sm86".
        onnx_sha256: of the ONNX graph it was built from.
        profile: input -> smallest, best and largest shape.
        inputs, outputs: dtypes and shapes as the manifest gives them, with names for dimensions.
        data: what the library reads.
    """

    graph: str
    flavour: str
    version: str
    targets: tuple[str, ...]
    onnx_sha256: str
    profile: Mapping[str, Shapes]
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    data: bytes

    @classmethod
    def of_manifest(cls, entry: Mapping[str, Any], graphs: Mapping[str, Any], files: Mapping[str, bytes]) -> Self:
        """A plan from its entry under `engines`.

        Raises:
            KeyError, TypeError, ValueError: the entry is not one.
        """
        graph, flavour = str(entry["graph"]), str(entry["flavour"])
        if flavour not in PLAN_PROVIDERS:
            raise ValueError(f"engine of unknown flavour {flavour!r}")

        def specs(kind: str) -> dict[str, TensorSpec]:
            return {n: TensorSpec(s["dtype"], tuple(s["shape"])) for n, s in graphs[graph][kind].items()}

        def shape(values: list[int]) -> tuple[int, ...]:
            return tuple(int(value) for value in values)

        return cls(
            graph=graph,
            flavour=flavour,
            version=str(entry["version"]),
            targets=tuple(str(target) for target in entry["targets"]),
            onnx_sha256=str(entry["onnx_sha256"]),
            profile={n: (shape(p["min"]), shape(p["opt"]), shape(p["max"])) for n, p in entry["profile"].items()},
            inputs=specs("inputs"),
            outputs=specs("outputs"),
            data=files[entry["file"]],
        )

    @property
    def key(self) -> str:
        """Names the plan among all plans: a digest of everything it depends on."""
        parts = (self.onnx_sha256, self.flavour, self.version, self.targets, sorted(self.profile.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
