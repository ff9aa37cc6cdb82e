"""The manifest's entries of precisions: of weights and arithmetic, calibration, and the measured error."""

from collections.abc import Mapping
from typing import Any

from voxface.runtime.bundle.file_entries import FileReference
from voxface.runtime.bundle.json_record import JsonRecord
from voxface.runtime.bundle.origin_entries import SourceEntry


class CalibratedPrecision(JsonRecord):
    """The calibration of a bundle to FP16 or INT8, and its measured error; see `voxface.calibration.calibrate`.

    Attributes:
        objective: "latency", "error" or "pareto" if measured time decided too, see `voxface.calibration.timed_calibration`.
        time: what was timed on which engine and machine, and how long this bundle and FP32 took.
        front, front_table, front_plot: the Pareto front of time and error, of which this bundle is one point.
    """

    mode: str
    tolerances: Mapping[str, float] | None = None
    weight_bits: int | None = None
    nodes: Mapping[str, Any] | None = None
    held_out: Mapping[str, Any] | None = None
    onnxruntime_cpu: Mapping[str, Any] | None = None
    every_node_lowered: Mapping[str, Any] | None = None
    clips: Mapping[str, Any] | None = None
    plan: FileReference | None = None
    table: FileReference | None = None
    plot: FileReference | None = None
    source: SourceEntry | None = None
    tools: Mapping[str, str] | None = None
    objective: str | None = None
    time: Mapping[str, Any] | None = None
    front: FileReference | None = None
    front_table: FileReference | None = None
    front_plot: FileReference | None = None


class PrecisionEntry(JsonRecord):
    """Types of stored weights and of arithmetic, and the largest absolute difference that each makes to every output."""

    storage: str | None = None
    arithmetic: str | None = None
    largest_difference_from_pytorch: Mapping[str, float] | None = None
    largest_difference_from_float32_weights: Mapping[str, float] | None = None
    calibrated: CalibratedPrecision | None = None
