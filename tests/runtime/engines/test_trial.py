"""Bundles that are what their author made, and graphs in them that lie."""

import gc
import weakref
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import BundleError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.voice_to_face import VoiceToFace

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
small_bundle = pytest.importorskip("tests.stand_ins.small_bundle")
GRAPHS = ("encoder", "face", "mesh")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    bundle: Bundle = small_bundle.small_bundle(tmp_path_factory.mktemp("honest") / "b")
    return bundle


def lying(bundle: Bundle, name: str, data: bytes, *, declared: bool = True) -> Bundle:
    """A bundle with another graph; `declared`: its manifest tells what the graph says of itself."""
    entry = bundle.manifest.graphs[name]
    if declared:
        entry = type(entry).from_json({"file": entry.file, **small_bundle.signature(data)})
    return bundle.replacing(files={entry.file: data}, graphs={name: entry})


def mesh(
    steps: Any, constants: dict[str, Any] | None = None, *, width: Any = 2, given: int = small_bundle.SIZE
) -> bytes:
    """A mesh graph of these nodes, checked by nobody."""
    helper, numbers = onnx.helper, onnx.numpy_helper
    made = helper.make_graph(
        [helper.make_node(op, read, [write], **more) for op, read, write, more in steps],
        "g",
        [helper.make_tensor_value_info("embedding", 1, ["B", given])],
        [helper.make_tensor_value_info("coefficients", 1, ["B", width])],
        [numbers.from_array(array, name) for name, array in (constants or {}).items()],
    )
    data: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    return data


def endless(times: int = 1 << 62) -> bytes:
    helper = onnx.helper
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [value("i", 7, []), value("c", 9, []), value("v", 1, None)],
        [value("d", 9, []), value("w", 1, None)],
    )
    constants = {"k": np.ones((small_bundle.SIZE, 2), np.float32), "n": np.array(times), "go": np.array(True)}
    steps = [("MatMul", ["embedding", "k"], "m", {}), ("Loop", ["n", "go", "m"], "coefficients", {"body": body})]
    return mesh(steps, constants)


K = np.ones((small_bundle.SIZE, 2), np.float32)
LIES = {
    "NaN": (mesh([("Gemm", ["embedding", "k"], "coefficients", {})], {"k": K * np.nan}), r"not finite"),
    "1e30 deviations": (
        mesh([("Gemm", ["embedding", "k"], "coefficients", {})], {"k": K * 1e30}),
        r"beyond ±1,000,000",
    ),
    "another number of coefficients": (
        mesh([("Gemm", ["embedding", "k"], "coefficients", {})], {"k": np.ones((8, 3), np.float32)}, width=3),
        r"mesh gives coefficients float32\[1, 3\], not float32\[1, 2\]",
    ),
    "two clips of one": (
        mesh(
            [("Gemm", ["embedding", "k"], "m", {}), ("Concat", ["m", "m"], "coefficients", {"axis": 0})],
            {"k": K},
        ),
        r"mesh gives coefficients float32\[2, 2\], not float32\[1, 2\]",
    ),
    "an embedding of another width": (
        mesh([("Gemm", ["embedding", "k"], "coefficients", {})], {"k": np.ones((9, 2), np.float32)}, given=9),
        r"'embedding' is float32 \[1, 8\], the graph wants",
    ),
    "a node that fails": (
        mesh(
            [("Gemm", ["embedding", "k"], "m", {}), ("Reshape", ["m", "s"], "coefficients", {})],
            {"k": K, "s": np.array([7, 2])},
        ),
        r"mesh: the graph failed: Non-zero status .* Reshape node.*: input_shape_size .* was false.*requested shape:\{7,2\}",
    ),
}


@pytest.mark.parametrize("lie", list(LIES))
def test_a_graph_that_lies_is_found_out(honest: Bundle, lie: str) -> None:
    data, why = LIES[lie]
    for opened in (FaceEstimator, VoiceToFace, lambda bundle: open_graphs(bundle, GRAPHS)):
        with pytest.raises(BundleError, match=why):
            opened(lying(honest, "mesh", data))  # type: ignore[operator]


def test_the_manifest_tells_another_signature(honest: Bundle) -> None:
    data = LIES["another number of coefficients"][0]
    with pytest.raises(BundleError, match=r"mesh has outputs .*, the manifest says coefficients"):
        FaceEstimator(lying(honest, "mesh", data, declared=False))


def test_a_graph_that_never_ends_is_ended(honest: Bundle) -> None:
    with VoiceToFace(lying(honest, "mesh", endless(5))):
        pass  # a loop that ends is as good as any node
    hours = count()
    with pytest.raises(BundleError, match="not opened and run once within 10 s"):
        open_graphs(lying(honest, "mesh", endless()), GRAPHS, clock=lambda: 3600.0 * next(hours))


def doubling(times: int) -> bytes:
    """A mesh graph that takes twice as much memory in each round, already when it is opened: nothing in it depends on input."""
    helper = onnx.helper
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Concat", ["v", "v"], ["w"], axis=0)],
        "body",
        [value("i", 7, []), value("c", 9, []), value("v", 1, None)],
        [value("d", 9, []), value("w", 1, None)],
    )
    constants = {"k": K, "n": np.array(times), "go": np.array(True), "one": np.zeros(1, np.float32)}
    steps = [
        ("Gemm", ["embedding", "k"], "m", {}),
        ("Loop", ["n", "go", "one"], "wide", {"body": body}),
        ("ReduceMax", ["wide"], "top", {"keepdims": 0}),
        ("Add", ["m", "top"], "coefficients", {}),
    ]
    return mesh(steps, constants)


MEMORY = "its graphs need more memory than graphs of "
BOMBS = {
    "a table of 1 GB": (
        mesh(
            [
                ("Gemm", ["embedding", "k"], "m", {}),
                ("ReduceMax", ["embedding"], "top", {"keepdims": 0}),
                ("Expand", ["top", "s"], "wide", {}),
                ("ReduceMin", ["wide"], "low", {"keepdims": 0}),
                ("Add", ["m", "low"], "coefficients", {}),
            ],
            {"k": K, "s": np.array([1 << 14, 1 << 14])},
        ),
        MEMORY,
    ),
    "twice as much in each round": (doubling(40), MEMORY),
    "more than can be counted": (
        mesh(
            [
                ("Gemm", ["embedding", "k"], "m", {}),
                ("ConstantOfShape", ["s"], "wide", {}),
                ("ReduceMin", ["wide"], "low", {"keepdims": 0}),
                ("Add", ["m", "low"], "coefficients", {}),
            ],
            {"k": K, "s": np.array([1 << 62])},
        ),
        "mesh: the graph failed: ",
    ),
}


@pytest.mark.parametrize("bomb", list(BOMBS))
def test_commands_refuse_it_with_one_line(
    bomb: str, honest: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, why = BOMBS[bomb]
    lying(honest, "mesh", data).write(tmp_path / "bomb")
    for words in (["bundle", "verify", tmp_path / "bomb"], ["run", SAMPLES[0], "--bundle", tmp_path / "bomb"]):
        more = ["--out", tmp_path / "o"] if words[0] == "run" else []
        assert run(*words, *more) == 6
        *warnings, told = capfd.readouterr().err.splitlines()
        assert told.startswith(f"voxface: error: {tmp_path / 'bomb'}: {why}")
        assert all(line.startswith("voxface: warning: ") for line in warnings)  # of the parts that the bundle lacks


def test_an_encoder_of_whole_clips_only_is_tried_on_one(honest: Bundle) -> None:
    helper = onnx.helper
    made = onnx.load_model_from_string(honest.graph("encoder"))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([999]), "at"))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0.0], np.float32), "zero"))
    for node in made.graph.node:
        for index, name in enumerate(node.input):
            if name == "log_mel":
                node.input[index] = "heard"
    made.graph.node.insert(0, helper.make_node("Gather", ["log_mel", "at"], ["frame"], axis=2))
    made.graph.node.insert(1, helper.make_node("Mul", ["frame", "zero"], ["nothing"]))
    made.graph.node.insert(2, helper.make_node("Add", ["log_mel", "nothing"], ["heard"]))
    with FaceEstimator(lying(honest, "encoder", made.SerializeToString())) as estimator:
        assert estimator.provider == "cpu"


def test_what_a_graph_is_called_does_not_reach_the_terminal(honest: Bundle) -> None:
    data = mesh([("Gemm", ["embedding", "\x1b]0;evil\x07"], "coefficients", {})])
    with pytest.raises(BundleError, match="mesh: ONNX Runtime") as error:
        FaceEstimator(lying(honest, "mesh", data, declared=False))
    assert str(error.value).isprintable()


def test_a_closed_estimator_leaves_its_bundle_free(tmp_path: Path) -> None:
    """1,200 bundles opened one after another held 550 MB, until Python looked for circles."""
    made = small_bundle.small_bundle(tmp_path / "b")
    gc.collect()
    gc.disable()
    try:
        for refused in (False, True):
            bundle = replace(made, files={**made.files, "morphable.npz": b"PK none"} if refused else made.files)
            seen = weakref.ref(bundle)
            bundle.read_ahead()
            if refused:
                with pytest.raises(BundleError, match="not a morphable model") as caught:
                    _ = bundle.morphable
                del caught
            else:
                with VoiceToFace(bundle) as voice_to_face:
                    voice_to_face.warm_up()
                del voice_to_face
            del bundle
            assert seen() is None
    finally:
        gc.enable()
