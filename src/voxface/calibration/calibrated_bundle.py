"""The bundle that a calibration makes: the source bundle with other graphs, and with what was decided and measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from voxface.calibration.clips import Clips
from voxface.calibration.precision_plan import JSON, SVG, TABLE, PrecisionPlan, sensitivity_plot
from voxface.calibration.task_error import Runner
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.fp16 import store_fp16
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.file_entries import FileReference
from voxface.runtime.bundle.manifest import FUSED
from voxface.runtime.bundle.origin_entries import SourceEntry
from voxface.runtime.bundle.precision_entries import CalibratedPrecision, PrecisionEntry
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, UsageError
from voxface.runtime.version import __version__


def check_not_calibrated(bundle: Bundle) -> None:
    """Raises UsageError if a bundle has been calibrated: errors are measured against FP32."""
    before = bundle.manifest.precision and bundle.manifest.precision.calibrated
    if before:
        raise UsageError(f"{bundle.path}: is calibrated already ({before.mode}); give the bundle it was made from")


def graph_files(bundle: Bundle, graphs: Mapping[str, Graph]) -> tuple[dict[str, bytes], dict[str, Runner]]:
    """The ONNX files of the graphs that have changed, checked, and ONNX Runtime's engines of them."""
    files: dict[str, bytes] = {}
    engines: dict[str, Runner] = {}
    for name, graph in graphs.items():
        data = store_fp16(graph).to_bytes()
        was, engine = open_engine(bundle.graph(name), name=name), open_engine(data, name=name)
        if (was.inputs, was.outputs) != (engine.inputs, engine.outputs):
            raise BundleError(
                f"{name}: inputs or outputs changed from {was.inputs}, {was.outputs}; this is a fault of voxface"
            )
        files[bundle.manifest.graphs[name].file] = data
        engines[name] = engine
    return files, engines


def origin(bundle: Bundle, clips: Clips) -> dict[str, Any]:
    """What a manifest says of where a calibration came from: speech, source, tools, and the files that explain it."""
    return {
        "clips": {
            "calibration": [clip.name for clip in clips.calibration],
            "held_out": [clip.name for clip in clips.held_out],
            "also": [clips.longest.name, clips.longest_held_out.name],
        },
        "plan": FileReference(file=JSON),
        "table": FileReference(file=TABLE),
        "plot": FileReference(file=SVG),
        "source": SourceEntry(name=bundle.name, version=bundle.manifest.version, sha256=bundle.manifest.sha256),
        "tools": {
            "voxface": __version__,
            **{name: metadata.version(name) for name in ("numpy", "onnx", "onnxruntime")},
        },
    }


def assemble(
    bundle: Bundle,
    graphs: Mapping[str, bytes],
    plan: PrecisionPlan,
    described: CalibratedPrecision,
    used: Sequence[str],
    more: Mapping[str, bytes] | None = None,
) -> Bundle:
    """The source bundle with what has changed, in memory. Its trained parts stay: the encoder gives the same to within
    tolerance.

    Args:
        bundle: the source.
        graphs: file -> the graph in it, of graphs that have changed.
        plan: what each node runs in.
        described: what the manifest says.
        used: the lower precisions that occur, "int8" and "float16".
        more: further files that the manifest names.
    """
    manifest = bundle.manifest
    files: dict[str, bytes | None] = {**graphs, **(more or {})}
    files |= {JSON: plan.to_json(), TABLE: plan.to_markdown().encode(), SVG: sensitivity_plot(plan).encode()}
    # Engines and the fused graph that were made of graphs that have changed would not be used; they are dropped.
    changed = {name for name, entry in manifest.graphs.items() if entry.file in graphs or (name == FUSED and graphs)}
    gone = {FUSED: None} if FUSED in changed else {}
    engines = manifest.engines
    if engines is not None:
        files |= {entry.file: None for entry in engines if entry.graph in changed}
        engines = tuple(entry for entry in engines if entry.graph not in changed)
    files |= {manifest.graphs[name].file: None for name in gone}
    before = manifest.precision or PrecisionEntry()
    storage = before.storage or "float32"
    precision = replace(
        before,
        storage="+".join(dict.fromkeys([*used, storage])) if graphs else storage,
        arithmetic="+".join([*used, "float32"]),
        calibrated=described,
    )
    card = manifest.model_card
    if card is not None and card.file in bundle.files:
        files[card.file] = bundle.files[card.file].rstrip() + b"\n\n" + _card(described).encode()
    made = bundle.replacing(files=files, graphs=gone, engines=engines, precision=precision)
    json.dumps(made.manifest.to_json(), allow_nan=False)  # before anything is written
    return made


def _card(described: CalibratedPrecision) -> str:
    """The section of the model card about a calibration."""
    held_out = described.held_out or {}
    worst_ = held_out["worst"]
    return "\n".join(
        [
            "## Precision",
            "",
            f"Calibrated to {described.mode} (`{TABLE}` says what each node runs in). The worst of "
            f"{held_out['clips']} held-out recordings, against FP32: embedding cosine "
            f"{worst_['cosine']:.6f}, picture {worst_['psnr_db']:.1f} dB, vertices at most {worst_['vertex_max_mm']:.2g} mm.",
            "",
        ]
    )
