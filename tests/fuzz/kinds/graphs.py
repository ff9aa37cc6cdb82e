"""Bundles whose hashes are right and whose graphs lie: other outputs, bombs, loops, weights in other files, damaged bytes."""

import hashlib
import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.conftest import SAMPLES
from tests.fuzz.commands import Commands
from tests.fuzz.kinds.manifests import SMALL, allowances, command_lines, judge, read, seal, write

FULL = 600
QUICK = 16
NEEDS: tuple[str, ...] = ("onnx",)
GRAPHS: Final = ("encoder", "face", "mesh")
SECRET: Final = "secret.bin"
SIZES: Final = (0, 1, 3, 1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 31, 1 << 40, 1 << 62)
Model = Any  # onnx.ModelProto
Change = Callable[[Model, random.Random], str]  # changes a model, and tells how


def _output(model: Model, rng: random.Random) -> str:
    """Another type or shape of a declared output."""
    value = rng.choice(model.graph.output)
    tensor = value.type.tensor_type
    if rng.random() < 0.3:
        tensor.elem_type = rng.choice((1, 2, 6, 7, 8, 9, 10, 11))
        return f"{value.name} is declared of type {tensor.elem_type}"
    dimension = rng.choice(tensor.shape.dim)
    dimension.dim_value = rng.choice(SIZES)
    return f"{value.name} is declared with {dimension.dim_value}"


def _names(model: Model, rng: random.Random) -> str:
    """An input or output renamed or dropped."""
    kind = rng.choice((model.graph.input, model.graph.output))
    if rng.random() < 0.4:
        return f"{kind.pop(rng.randrange(len(kind))).name} dropped"
    value = rng.choice(kind)
    value.name = rng.choice(("", "x", "embedding", "\x1b[31m", "n" * 3000))
    return f"renamed {value.name[:20]!r}"


def _weights(model: Model, rng: random.Random) -> str:
    """Numbers of a weight replaced, or its shape."""
    import numpy as np
    from onnx import numpy_helper

    tensor = rng.choice(model.graph.initializer)
    if rng.random() < 0.5:
        array = numpy_helper.to_array(tensor).copy()
        if array.dtype.kind == "f" and array.size:
            with np.errstate(over="ignore"):
                array.flat[rng.randrange(array.size)] = rng.choice((np.nan, np.inf, 3e38, -65504.0, 1e-40))
        elif array.size:
            array.flat[rng.randrange(array.size)] = rng.choice((-1, 0, 1 << 40))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return f"a number of {tensor.name}"
    if tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((*SIZES, -1))
    else:
        tensor.dims.append(rng.choice(SIZES))
    return f"{tensor.name} declares {list(tensor.dims)}"


def _bomb(model: Model, rng: random.Random) -> str:
    """A node that makes something large of little, added to an output."""
    import numpy as np
    from onnx import helper, numpy_helper

    size = rng.choice(SIZES)
    graph, output = model.graph, rng.choice(model.graph.output)
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == output.name:
                node.output[index] = "before_bomb"
    shape = numpy_helper.from_array(np.array([rng.choice((1, size)), size], np.int64), "bomb_shape")
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "bomb_one")
    graph.initializer.extend([shape, one])
    kind = rng.choice(("ConstantOfShape", "Expand", "Tile", "Range", "OneHot", "EyeLike", "Pad", "RandomUniform"))
    made = {
        "ConstantOfShape": lambda: [helper.make_node("ConstantOfShape", ["bomb_shape"], ["bomb"])],
        "Expand": lambda: [helper.make_node("Expand", ["bomb_one", "bomb_shape"], ["bomb"])],
        "Tile": lambda: [helper.make_node("Tile", ["bomb_one", "bomb_shape"], ["bomb"])],
        "Range": lambda: [
            helper.make_node("Constant", [], ["bomb_from"], value_float=0.0),
            helper.make_node("Constant", [], ["bomb_to"], value_float=float(size)),
            helper.make_node("Constant", [], ["bomb_step"], value_float=1.0),
            helper.make_node("Range", ["bomb_from", "bomb_to", "bomb_step"], ["bomb"]),
        ],
        "OneHot": lambda: [
            helper.make_node("Constant", [], ["bomb_depth"], value_int=size),
            helper.make_node("Constant", [], ["bomb_values"], value_floats=[0.0, 1.0]),
            helper.make_node("OneHot", ["bomb_shape", "bomb_depth", "bomb_values"], ["bomb"]),
        ],
        "EyeLike": lambda: [
            helper.make_node("Expand", ["bomb_one", "bomb_shape"], ["bomb_wide"]),
            helper.make_node("EyeLike", ["bomb_wide"], ["bomb"]),
        ],
        "Pad": lambda: [
            helper.make_node("Constant", [], ["bomb_pads"], value_ints=[0, 0, size, rng.choice((0, size))]),
            helper.make_node("Pad", ["bomb_one", "bomb_pads"], ["bomb"]),
        ],
        "RandomUniform": lambda: [helper.make_node("RandomUniform", [], ["bomb"], shape=[1, size])],
    }[kind]()
    tail = [
        helper.make_node("ReduceMax", ["bomb"], ["bomb_peak"], keepdims=0),
        helper.make_node("Add", ["before_bomb", "bomb_peak"], [output.name]),
    ]
    graph.node.extend([*made, *tail])
    return f"{kind} of {size}"


def _loop(model: Model, rng: random.Random) -> str:
    """An output passed through a loop: a few times, for ever, or growing."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph, output = model.graph, rng.choice(model.graph.output)
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == output.name:
                node.output[index] = "before_loop"
    kind = rng.choice(("short", "short", "growing", "growing", "endless"))
    times = {"short": 5, "growing": 60, "endless": 1 << 62}[kind]
    step = (
        helper.make_node("Concat", ["v", "v"], ["w"], axis=0)
        if kind == "growing"
        else helper.make_node("Identity", ["v"], ["w"])
    )
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), step],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, None),
        ],
    )
    graph.initializer.append(numpy_helper.from_array(np.array(times), "loop_times"))
    graph.initializer.append(numpy_helper.from_array(np.array(True), "loop_go"))
    graph.node.append(helper.make_node("Loop", ["loop_times", "loop_go", "before_loop"], [output.name], body=body))
    return f"a {kind} loop"


def _outside(model: Model, rng: random.Random) -> str:
    """A weight in another file, at one of the places that may hold a tensor; or an operator that reads a file."""
    from onnx import TensorProto, helper

    tensor = TensorProto(name="outside", data_type=TensorProto.UINT8, dims=[1, 50], data_location=TensorProto.EXTERNAL)
    where = rng.choice((SECRET, f"./{SECRET}", f"../{SECRET}", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", ""))
    for key, value in (("location", where), ("offset", "0"), ("length", "50")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    place = rng.choice(("initializer", "constant", "branch", "function", "context"))
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "constant":
        model.graph.node.insert(0, helper.make_node("Constant", [], ["outside"], value=tensor))
    elif place == "branch":
        branch = helper.make_graph([helper.make_node("Constant", [], ["outside"], value=tensor)], "b", [], [])
        model.graph.node.append(helper.make_node("If", ["go"], ["x"], then_branch=branch, else_branch=branch))
    elif place == "function":
        made = helper.make_function(
            "own", "f", [], ["outside"], [helper.make_node("Constant", [], ["outside"], value=tensor)], []
        )
        model.functions.append(made)
    else:
        model.graph.node.append(
            helper.make_node(
                "EPContext", [], ["x"], domain="com.microsoft", embed_mode=0, ep_cache_context=f"../{SECRET}"
            )
        )
    return f"{place} in {where!r}"


def _nodes(model: Model, rng: random.Random) -> str:
    """A node dropped, doubled, or of another operator."""
    nodes = model.graph.node
    index = rng.randrange(len(nodes))
    kind = rng.choice(("dropped", "doubled", "other", "domain"))
    if kind == "dropped":
        nodes.pop(index)
    elif kind == "doubled":
        nodes.append(nodes[index])
    elif kind == "other":
        nodes[index].op_type = rng.choice(("Neg", "NonZero", "Shape", "Reshape", "NoSuchOperator", "\u0000", "Gemm"))
    else:
        nodes[index].domain = rng.choice(("com.microsoft", "of.mine", "ai.onnx.ml"))
    return f"node {index} {kind}"


def _bytes(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Bytes flipped, cut off, put in, or written over."""
    changed = bytearray(data)
    kind = rng.choice(("flip", "flip", "flip", "cut", "insert", "head", "own format", "nothing"))
    if kind == "flip":
        for _ in range(rng.choice((1, 2, 8, 64))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del changed[rng.randrange(len(changed)) :]
    elif kind == "insert":
        at = rng.randrange(len(changed))
        changed[at:at] = rng.randbytes(rng.choice((1, 5, 300)))
    elif kind == "head":  # where the structure is, before the weights
        changed[rng.randrange(min(400, len(changed)))] = rng.randrange(256)
    elif kind == "own format":
        changed[4:8] = b"ORTM"
    else:
        changed.clear()
    return bytes(changed), kind


CHANGES: Final[tuple[Change, ...]] = (_output, _names, _weights, _weights, _bomb, _bomb, _bomb, _loop, _outside, _nodes)


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """Changes one graph of the small bundle in each case, by its parts or by its bytes."""
    import onnx

    files = read(SMALL)
    found: list[str] = []
    bundle = folder / "hostile.voxface"
    secret = bytes(range(200, 250))
    (folder / SECRET).write_bytes(secret)
    with Commands(folder) as commands:
        allowed = allowances(commands, SMALL, SAMPLES[0], folder)
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            name = f"{rng.choice(GRAPHS)}.onnx"
            data = files[name]
            if rng.random() < 0.35:
                data, told = _bytes(data, rng)
            else:
                model = onnx.load_model_from_string(data)
                told = ""
                for change in rng.choices(CHANGES, k=rng.choice((1, 1, 2))):
                    with suppress(IndexError, ValueError, TypeError):  # an earlier change took away what this one needs
                        told = f"{told} and {change(model, rng)}" if told else change(model, rng)
                data = model.SerializeToString()
            manifest = json.loads(files["bundle.json"])
            manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            write(bundle, {**files, name: data, "bundle.json": seal(manifest)})
            lines = command_lines(bundle, SAMPLES[0], folder)
            for verb in ("verify", "run") if number % 3 == 0 else (rng.choice(("verify", "run")),):
                outcome = commands.run(*lines[verb], seconds=60.0, folder=folder)
                problems = judge(verb, outcome, allowed)
                if all(f"{level}" in outcome.stdout for level in (float(secret[0]), float(secret[-1]))):
                    problems.append("what another file holds is in the document")
                found += [f"case {number}, {verb}, {name}: {told}: {problem}" for problem in problems]
    return found
