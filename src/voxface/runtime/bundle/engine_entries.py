"""The manifest's entries of engines that TensorRT built ahead of time."""

from collections.abc import Mapping

from voxface.runtime.bundle.json_record import JsonRecord


class ProfileEntry(JsonRecord):
    """The smallest, best and largest shape of an engine's input."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


class ChangeEntry(JsonRecord):
    """Nodes that were rewritten because TensorRT refused the graph as it was."""

    what: str
    nodes: tuple[str, ...]
    because: str


class InspectionEntry(JsonRecord):
    """The precisions of a built graph's convolutions and products; see `voxface.export.plan_inspection`.

    Attributes:
        network: precision -> number of layers, of the network that was built.
        plan: the same of the built plan, of those layers whose precision the library tells; None: of none.
        unlike: layers that are computed in another precision than was wished; None: there are none.
        not_told: why the plan's layers are not known, or not all of them.
    """

    network: Mapping[str, int]
    plan: Mapping[str, int] | None = None
    unlike: tuple[str, ...] | None = None
    not_told: str | None = None


class EngineEntry(JsonRecord):
    """A graph built by TensorRT; see `voxface.runtime.bundle.engine_plan`."""

    graph: str
    flavour: str
    version: str
    targets: tuple[str, ...]
    onnx_sha256: str
    precision: tuple[str, ...] | None = None
    profile: Mapping[str, ProfileEntry]
    changes: tuple[ChangeEntry, ...] | None = None
    inspection: InspectionEntry | None = None
    file: str
    size: int | None = None
