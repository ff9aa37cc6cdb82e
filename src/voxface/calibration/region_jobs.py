"""What is timed of a region alone: each of its forms, cut out of its graph, and what quantising at its border costs."""

from functools import partial
from typing import Final

import numpy as np
from onnx import helper

from voxface.calibration.forms import INT8, Forms
from voxface.calibration.regions import Region
from voxface.calibration.stopwatch import EngineChoice, Job
from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.node_runner import Tensor
from voxface.onnx_graph.passes.cut import can_cut, cut

BORDER: Final = ("quantise", "dequantise")


def region_jobs(forms: Forms, region: Region, value: Tensor, engine: EngineChoice) -> dict[str, Job]:
    """Form -> the region alone in this form. Where INT8 is among them, also "quantise" and "dequantise": an INT8 region alone
    quantises what it reads and dequantises what it makes, which it does not have to between INT8 regions.

    Args:
        forms: the forms of its graph's regions.
        region: the region.
        value: what the region reads.
        engine: what is to run it.
    """
    feed = {region.source: value}
    jobs: dict[str, Job] = {}
    for form in forms.of(region):
        graph = forms.graph(region.graph, {region.key: form})
        if can_cut(graph, [region.source], [region.result]):
            jobs[form] = Job([(partial(_part, graph, region), feed)], engine)
    if INT8 in jobs:
        eight = {region.source: np.zeros(value.shape, np.int8)}
        for what, given in zip(BORDER, (feed, eight), strict=True):
            jobs[what] = Job([(partial(_border, region.source, value, what), given)], engine)
    return jobs


def _part(graph: Graph, region: Region) -> bytes:
    data: bytes = cut(graph, [region.source], [region.result]).model().SerializeToString()
    return data


def _border(name: str, value: Tensor, what: str) -> bytes:
    """A graph that does nothing but quantise a tensor, or dequantise it."""
    operator = "QuantizeLinear" if what == "quantise" else "DequantizeLinear"
    kinds = [helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for kind in (np.float32, np.int8)]
    read, write = kinds if what == "quantise" else kinds[::-1]
    graph = helper.make_graph(
        [helper.make_node(operator, [name, "scale", "zero"], ["made"], name=what)],
        what,
        [helper.make_tensor_value_info(name, read, value.shape)],
        [helper.make_tensor_value_info("made", write, value.shape)],
        [
            helper.make_tensor("scale", kinds[0], [], [0.05]),
            helper.make_tensor("zero", kinds[1], [], [0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data
