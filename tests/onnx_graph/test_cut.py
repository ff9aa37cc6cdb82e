"""A part of a graph computes what the whole one computes there."""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from tests.stand_ins.small_bundle import encoder, face, mesh
from voxface.calibration.regions import neighbours, regions
from voxface.onnx_graph.graph import Graph, show_tensors
from voxface.onnx_graph.passes.cut import can_cut, cut
from voxface.runtime.engines.opening import open_engine

GRAPHS = {
    "encoder": encoder(),
    "face": face(),
    "face without tanh": face(""),
    "doubled": face("double"),
    "mesh": mesh(),
}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_every_region_alone_is_the_region_in_its_graph(name: str) -> None:
    graph = Graph.from_bytes(GRAPHS[name])
    found = regions(graph, name)
    rng = np.random.default_rng(0)
    shape = (1, 64, 96) if name == "encoder" else (1, 8)
    feeds = {graph.inputs[0].name: rng.normal(size=shape).astype(np.float32)}
    tensors = sorted({t for region in found for t in (region.source, region.result)} - feeds.keys())
    with open_engine(show_tensors(graph.model(), tensors), threads=1) as engine:
        values = {**feeds, **engine.run(feeds)}
    assert found
    for region in found:
        part = cut(graph, [region.source], [region.result])
        assert [node.name for node in part.nodes] == list(region.nodes)
        with open_engine(part.to_bytes(), threads=1) as engine:
            made = engine.run({region.source: values[region.source]})[region.result]
        np.testing.assert_allclose(made, values[region.result], rtol=1e-5, atol=1e-6)


def test_regions_of_a_chain_read_each_other() -> None:
    found = regions(Graph.from_bytes(face()), "face")
    assert [region.name for region in found] == ["the_map4", "the_map8", "the_map16", "the_flat"]
    assert [region.nodes[-1] for region in found] == ["the_relu4", "the_relu8", "the_relu16", "the_image"]
    assert neighbours(found) == {b.key: a.key for a, b in pairwise(found)}


def test_layers_that_are_rewritten_together_are_one_region() -> None:
    """A last 1×1 layer moves before the spreading of the layer before it, so that layer's own result is gone."""
    found = regions(Graph.from_bytes(face("")), "face")
    assert [region.layers for region in found] == [("the_map4",), ("the_map8",), ("the_map16", "the_image")]


def test_what_cannot_be_cut() -> None:
    graph = Graph.from_bytes(encoder())
    assert can_cut(graph, ["positive"], ["embedding"])
    for inputs, outputs in (
        (["mean"], ["columns"]),
        (["nothing"], ["mean"]),
        (["mean"], ["nothing"]),
        (["w"], ["mean"]),
    ):
        assert not can_cut(graph, inputs, outputs)
        with pytest.raises(ValueError, match="cannot be computed"):
            cut(graph, inputs, outputs)
