"""Why a node may be sensitive to FP16, in words, from its weights and the ranges of its tensors."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from onnx import NodeProto

from voxface.calibration.int8_ranges import TensorRange
from voxface.onnx_graph.fp16_emulation import ACCUMULATED
from voxface.onnx_graph.graph import Graph

LARGEST: Final = 65504.0  # largest FP16 number
NORMAL: Final = 2.0**-14  # smallest normal FP16 number; smaller ones are subnormal and have fewer digits
SMALLEST: Final = 2.0**-24  # smallest FP16 number above 0


def hazards(graph: Graph, node: NodeProto, ranges: Mapping[str, TensorRange]) -> list[str]:
    """Reasons to keep a node out of FP16; empty if nothing stands out. Measured errors decide, these reasons explain."""
    found = []
    for name in node.input:
        weights = graph.constants.get(name)
        if weights is None or weights.dtype != np.float32 or not weights.size:
            continue
        sizes = np.abs(weights[weights != 0])
        if not sizes.size:
            continue
        if sizes.max() > LARGEST:
            found.append(f"{name} reaches {sizes.max():.3g}, beyond 65504")
        small = float((sizes < NORMAL).mean())
        if small >= 0.1:
            lost = float((sizes <= SMALLEST / 2).mean())
            found.append(
                f"{small:.0%} of {name} is subnormal (below 6.1e-5)" + (f", {lost:.0%} vanishes" if lost else "")
            )
    if node.op_type == "BatchNormalization" and float(np.min(graph.constants.get(node.input[4], 1.0))) < NORMAL:
        found.append("its smallest variance is subnormal")
    for what, names in (("input", node.input), ("output", node.output)):
        most = max((ranges[name].most for name in names if name in ranges), default=0.0)
        if most > LARGEST:
            found.append(f"{what} reaches {most:.3g}, beyond 65504")
    if node.op_type in ACCUMULATED and not found and node.input[0] in ranges:
        found.append(f"adds up many numbers, as large as {ranges[node.input[0]].most:.3g}")
    return found
