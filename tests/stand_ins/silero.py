"""A network of the shape of Silero's, which says how loud a chunk is."""

from pathlib import Path

import pytest

Spec = tuple[str, int, list[int | str | None]]  # name, type of ONNX, shape
SOUND: Spec = ("input", 1, [1, 576])
STATE: Spec = ("state", 1, [2, 1, 128])
RATE: Spec = ("sr", 7, [])


def network(
    path: Path, sound: Spec, states: list[Spec], rates: list[Spec], *, gain: float = 50.0, flat: bool = False
) -> Path:
    """Writes a network of these inputs: louder than a hundredth of full scale is voice. States count the chunks."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    nodes = [
        h.make_node("Cast", [sound[0]], ["plain"], to=1),
        h.make_node("Abs", ["plain"], ["size"]),
        h.make_node("ReduceMax", ["size"], ["peak"], axes=[1], keepdims=0 if flat else 1),
        h.make_node("Mul", ["peak", "gain"], ["output"]),
        *(h.make_node("Add", [name, f"one{type_}"], [f"{name}N"]) for name, type_, _ in states),
        *(h.make_node("Identity", [name], [f"unused {name}"]) for name, _, _ in rates),
    ]
    constants = [
        h.make_tensor("gain", 1, [], [gain]),
        h.make_tensor("one1", 1, [], [1.0]),
        h.make_tensor("one10", 10, [], [1.0]),
    ]
    values = [h.make_tensor_value_info(*spec) for spec in (sound, *states, *rates)]
    outputs = [
        h.make_tensor_value_info("output", 1, [None] if flat else [None, 1]),
        *(h.make_tensor_value_info(f"{name}N", type_, [None] * len(shape)) for name, type_, shape in states),
    ]
    graph = h.make_graph(nodes, "loudness", values, outputs, constants)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8), path)
    return path
