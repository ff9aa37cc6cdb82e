"""Networks of the user's: how pixels reach them, whatever their layout, and what is no such network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch comes with voxface[train]")
onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from tests.stand_ins.small_bundle import graph  # noqa: E402
from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.evaluation.pictures.face_networks import JudgeNetwork, OnnxNetwork, at_size  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge  # noqa: E402

pytestmark = pytest.mark.train


def mean_colours(path: Path, shape: list[Any], says: dict[str, Any] | None = None) -> Path:
    """A network whose features are the mean of each channel of what it is given."""
    axes = [2, 3] if shape[1] == 3 else [1, 2]
    file = path / "colours.onnx"
    steps = [("ReduceMean", ["pixels", "axes"], "colour", {"keepdims": 0})]
    file.write_bytes(graph(steps, {"axes": np.array(axes)}, {"pixels": shape}, {"colour": [shape[0], "C"]}))
    if says is not None:
        file.with_suffix(".json").write_text(json.dumps(says))
    return file


def coloured(colours: list[tuple[int, int, int]], size: int = 20) -> NDArray[np.uint8]:
    return np.array(colours, np.uint8)[:, None, None].repeat(size, 1).repeat(size, 2)


@pytest.mark.parametrize("shape", [["B", 3, 16, 16], ["B", 16, 16, 3], [1, 3, 16, 16], ["B", 3, "H", "W"]])
def test_pixels_reach_every_layout_the_same(tmp_path: Path, shape: list[Any]) -> None:
    pictures = coloured([(255, 0, 127), (10, 20, 30)])
    with OnnxNetwork(mean_colours(tmp_path, shape)) as network:
        found = network.embed(pictures)
        assert network.name == "colours"
    expected = (np.array([[255, 0, 127], [10, 20, 30]]) - 127.5) / 127.5
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_file_beside_says_how_pixels_are_prepared(tmp_path: Path) -> None:
    says = {"mean": [91.5, 104, 131], "std": 2, "order": "BGR", "size": 12}
    with OnnxNetwork(mean_colours(tmp_path, ["B", 3, "H", "W"], says)) as network:
        found = network.embed(coloured([(10, 20, 30)]))
        np.testing.assert_allclose(found, [[(30 - 91.5) / 2, (20 - 104) / 2, (10 - 131) / 2]], atol=1e-4)
        assert network.about["order"] == "BGR"
        assert len(network.about["sha256"]) == 64


def test_classes_from_logits_or_probabilities(tmp_path: Path) -> None:
    with OnnxNetwork(mean_colours(tmp_path, ["B", 3, 16, 16], {"mean": 0, "std": 1})) as network:
        assert network.classify(coloured([(0, 2, 2)]))[0] == pytest.approx(np.exp([0, 2, 2]) / np.exp([0, 2, 2]).sum())
    shares = {"mean": 0, "std": 10, "probabilities": True}
    with OnnxNetwork(mean_colours(tmp_path, ["B", 3, 16, 16], shares)) as network:
        assert network.classify(coloured([(1, 2, 7)]))[0] == pytest.approx([0.1, 0.2, 0.7])
        with pytest.raises(InputError, match="gives no probabilities"):
            network.classify(coloured([(1, 2, 9)]))


def test_what_is_no_network_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes pixels float32"):
        OnnxNetwork(mean_colours(tmp_path, ["B", 1, 16, 16]))
    with pytest.raises(InputError, match="takes pixels float32"):
        OnnxNetwork(mean_colours(tmp_path, ["B", 3, 16, 20]))
    (tmp_path / "none.onnx").write_bytes(b"no graph")
    with pytest.raises(InputError, match=r"none\.onnx"):
        OnnxNetwork(tmp_path / "none.onnx")
    with pytest.raises(InputError, match="no such file"):
        OnnxNetwork(tmp_path / "gone.onnx")


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"std": 0}, "std 0 is no number"),
        ({"mean": [1, 2]}, r"mean \[1, 2\] is no number"),
        ({"mean": "x"}, "mean 'x' is no number"),
        ({"order": "rgb"}, "order is to be"),
        ({"size": 4}, "size is to be"),
        ({"colour": 1}, "is to hold some of"),
        ([], "is to hold some of"),
        ({"output": "other"}, "has no output 'other'; there are colour"),
    ],
)
def test_a_file_beside_that_says_what_cannot_be(tmp_path: Path, says: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        OnnxNetwork(mean_colours(tmp_path, ["B", 3, 16, 16], says))


def test_the_judge_sees_pictures_of_any_size() -> None:
    pairs = small_pairs(8)
    judge = PictureJudge.train(pairs, JudgeConfig((2, 2, 2, 4, 4), 4, steps=2, batch=4))
    training = np.asarray(pairs.pictures[:8])
    network = JudgeNetwork(judge, training)
    seen = network.embed(training)
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-3)
    large = coloured([(200, 100, 50), (10, 20, 30), (90, 90, 90)], 100)
    found = network.embed(large)
    assert found.shape == (3, 4)
    np.testing.assert_allclose(found, network.embed(at_size(large, 64)), atol=1e-5)
    shares = network.classify(large)
    assert shares.shape == (3, 4)  # four training people
    np.testing.assert_allclose(shares.sum(1), 1)


def test_a_network_that_gives_one_answer_for_all_pictures_is_none(tmp_path: Path) -> None:
    file = tmp_path / "mean.onnx"
    steps = [("ReduceMean", ["pixels", "axes"], "mean", {"keepdims": 0})]
    axes = {"axes": np.array([0, 2, 3])}
    file.write_bytes(graph(steps, axes, {"pixels": ["B", 3, 16, 16]}, {"mean": ["C"]}))
    with OnnxNetwork(file) as network, pytest.raises(InputError, match=r"gives \[3\] for 2 pictures"):
        network.embed(coloured([(255, 0, 127), (10, 20, 30)]))
