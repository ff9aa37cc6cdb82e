"""A plan: a graph built by TensorRT and stored in a bundle, with everything that must agree for it to run."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, Self

from voxface.runtime.bundle.engine_entries import EngineEntry
from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.config.tensor_spec import TensorSpec

# Flavour -> provider that runs its plans. The provider "tensorrt" is ONNX Runtime's, which builds its engines itself.
PLAN_PROVIDERS = {"tensorrt": "tensorrt-native", "tensorrt-rtx": "tensorrt-rtx"}
Shapes = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class EnginePlan(NamedTuple):
    """One built graph.

    Attributes:
        graph: "encoder", "face", "mesh" or "fused".
        flavour: "tensorrt" or "tensorrt-rtx".
        version: version of the library that built it; no other version reads it.
        targets: compute capabilities it was built for, as "sm86".
        onnx_sha256: SHA-256 of the ONNX graph it was built from.
        profile: input -> smallest, best and largest shape.
        inputs, outputs: dtypes and shapes as the manifest gives them, with names for dimensions.
        data: the bytes that the library reads.
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
    def from_entry(cls, entry: EngineEntry, graphs: Mapping[str, GraphEntry], data: bytes) -> Self:
        """A plan from its entry in the manifest.

        Args:
            entry: the entry under `engines`.
            graphs: the manifest's graphs.
            data: contents of the engine's file.

        Raises:
            ValueError: the entry names an unknown graph or flavour.
        """
        if entry.flavour not in PLAN_PROVIDERS:
            raise ValueError(f"engine of unknown flavour {entry.flavour!r}")
        if entry.graph not in graphs:
            raise ValueError(f"engine of unknown graph {entry.graph!r}")
        graph = graphs[entry.graph]
        return cls(
            graph=entry.graph,
            flavour=entry.flavour,
            version=entry.version,
            targets=entry.targets,
            onnx_sha256=entry.onnx_sha256,
            profile={name: (shapes.min, shapes.opt, shapes.max) for name, shapes in entry.profile.items()},
            inputs={name: tensor.spec for name, tensor in graph.inputs.items()},
            outputs={name: tensor.spec for name, tensor in graph.outputs.items()},
            data=data,
        )

    @property
    def key(self) -> str:
        """A digest of everything the plan depends on, which names it among all plans."""
        parts = (self.onnx_sha256, self.flavour, self.version, self.targets, sorted(self.profile.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
