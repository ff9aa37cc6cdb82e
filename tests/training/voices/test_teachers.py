"""Teachers: pieces in their places, whatever their file is, and what is no teacher is named."""

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from voxface.runtime.errors import InputError, ProviderError, VoxfaceError
from voxface.training.voices.onnx_teacher import PIECE, OnnxTeacher
from voxface.training.voices.resemblyzer import Resemblyzer, load_resemblyzer, slaney_filters
from voxface.training.voices.teacher import load_teacher

pytestmark = pytest.mark.train

NOISE = np.random.default_rng(0).normal(0, 3_000, 80_000).astype(np.int16)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A checkpoint as the package has it, with random numbers in it."""
    torch.manual_seed(0)
    state = {name: value for name, value in Resemblyzer().state_dict().items() if name != "filters"}
    torch.save({"step": 1, "model_state": {**state, "similarity_weight": torch.ones(1)}}, tmp_path / "pretrained.pt")
    return tmp_path / "pretrained.pt"


def test_pieces_begin_where_they_should(weights: Path) -> None:
    teacher = load_teacher(str(weights))
    vectors = teacher.vectors(NOISE, 40)
    assert vectors.shape == ((len(NOISE) - 25_600) // 6_400 + 1, teacher.size)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors >= 0).all()
    loud = (NOISE // 2).astype(np.int16)  # both louder than what is raised
    alone = teacher.vectors(loud[6_400 - 400 : 6_400 + 25_600 + 400], 200)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-6)
    assert alone.shape == (1, teacher.size)


def test_sound_that_is_too_short_is_repeated(weights: Path) -> None:
    teacher = load_resemblyzer(weights)
    short = NOISE[:9_000]
    np.testing.assert_allclose(teacher.vectors(short, 80), teacher.vectors(np.resize(short, 25_600), 80), atol=1e-6)


def test_quiet_sound_is_raised_and_loud_sound_is_not(weights: Path) -> None:
    teacher = load_resemblyzer(weights)
    quiet, quieter = (NOISE // 64).astype(np.int16), (NOISE // 128).astype(np.int16)
    np.testing.assert_allclose(teacher.vectors(quiet, 80), teacher.vectors(quieter, 80), atol=2e-2)
    assert np.abs(teacher.vectors(NOISE, 80) - teacher.vectors((NOISE // 4).astype(np.int16), 80)).max() > 1e-4


def test_filters_are_slaneys() -> None:
    filters = slaney_filters()
    assert filters.shape == (40, 201)
    # Each is a triangle of unit area over Hz, sampled every 40 Hz; narrow ones are sampled coarsely.
    np.testing.assert_allclose(filters[20:].sum(1) * 40, 1, atol=0.05)
    peaks = filters.argmax(1) * 40
    assert (np.diff(peaks) > 0).all()
    assert (np.diff(peaks[:15]) <= 120).all()  # linear below 1,000 Hz
    np.testing.assert_allclose(filters.max(1)[-1], 2 / 1_127, rtol=0.1)  # the last one spans 6,873 to 8,000 Hz


def test_what_is_no_teacher_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"model_state": {"lstm.weight": torch.ones(1)}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="resemblyzer"):
        load_teacher(str(tmp_path / "other.pt"))
    with pytest.raises(InputError):
        load_teacher(str(tmp_path / "nothing.pt"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ProviderError, match="--no-deps"):
        load_teacher("resemblyzer")


def sound_encoder(path: Path, shape: list[object], rows: int = 2) -> Path:
    """A graph whose vector is [mean of |x|, 1] of each item, or of `rows` numbers."""
    axes = list(range(1, len(shape)))
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["m"], axes=axes, keepdims=0),
        helper.make_node("Unsqueeze", ["m", "last"], ["c"]),
        helper.make_node("Mul", ["c", "zero"], ["z"]),
        helper.make_node("Add", ["z", "one"], ["o"]),
        helper.make_node("Concat", ["c", *["o"] * (rows - 1)], ["v"], axis=1),
    ]
    given = [
        helper.make_tensor("last", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("v", TensorProto.FLOAT, ["B", rows])],
        given,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_an_onnx_encoder_of_sound(tmp_path: Path) -> None:
    teacher = load_teacher(str(sound_encoder(tmp_path / "e.onnx", ["B", "N"])))
    assert isinstance(teacher, OnnxTeacher)
    vectors = teacher.vectors(NOISE, 50)
    assert vectors.shape == ((len(NOISE) - PIECE) // 8_000 + 1, 2)
    mean = np.abs(NOISE[8_000 : 8_000 + PIECE] / 32768).mean()
    np.testing.assert_allclose(vectors[1], np.array([mean, 1]) / np.hypot(mean, 1), rtol=1e-4)
    again = pickle.loads(pickle.dumps(teacher))
    np.testing.assert_array_equal(again.vectors(NOISE, 50), vectors)


def test_an_onnx_encoder_of_filter_banks(tmp_path: Path) -> None:
    file = sound_encoder(tmp_path / "e.onnx", ["B", "T", 80])
    try:
        import kaldi_native_fbank  # noqa: F401
    except ImportError:
        with pytest.raises(ProviderError, match="kaldi-native-fbank"):
            OnnxTeacher(file)
        return
    vectors = OnnxTeacher(file).vectors(NOISE, 80)
    assert (vectors[:, 0] > 0.1).all()


@pytest.mark.parametrize("shape", [["B", 3, 64, 64], ["B", "T", 3]])
def test_an_onnx_graph_that_is_no_speaker_encoder(tmp_path: Path, shape: list[object]) -> None:
    with pytest.raises(InputError, match="no speaker encoder that can teach"):
        OnnxTeacher(sound_encoder(tmp_path / "e.onnx", shape))


@pytest.mark.parametrize("data", [b"", b"nonsense", bytes(range(256)) * 40])
def test_a_file_that_is_no_graph(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "e.onnx").write_bytes(data)
    with pytest.raises(VoxfaceError) as error:
        load_teacher(str(tmp_path / "e.onnx"))
    assert "\n" not in str(error.value)
