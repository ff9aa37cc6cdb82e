"""The engine interface on ONNX Runtime, with the graphs of the default bundle."""

import numpy as np
import pytest

from voxface.runtime.bundle import Bundle
from voxface.runtime.engines import TensorSpec, open_engine
from voxface.runtime.errors import BundleError, ProviderError, UsageError


@pytest.fixture(scope="module")
def unit() -> np.ndarray:
    x = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    return x / np.linalg.norm(x)


def test_specs_and_provider(default_bundle: Bundle) -> None:
    with open_engine(default_bundle.graph("encoder")) as engine:
        assert engine.provider == "cpu"
        assert engine.inputs == {"log_mel": TensorSpec("float32", ("B", 64, "T"))}
        assert set(engine.outputs) == {"embedding", "columns"}
        engine.warm_up({"T": 320})


def test_outputs_are_written_where_they_are_wanted(default_bundle: Bundle, unit: np.ndarray) -> None:
    with open_engine(default_bundle.graph("face")) as engine:
        expected = engine.run({"embedding": unit})["image"]
        out = np.zeros((1, 3, 64, 64), np.float32)
        result = engine.run({"embedding": unit}, {"image": out})
        assert result["image"] is out
        np.testing.assert_array_equal(out, expected)
        assert np.abs(expected).max() > 0.1


def test_some_outputs_bound_and_some_not(default_bundle: Bundle) -> None:
    log_mel = np.random.default_rng(1).normal(size=(1, 64, 321)).astype(np.float32)
    with open_engine(default_bundle.graph("encoder"), threads=1) as engine:
        expected = engine.run({"log_mel": log_mel})
        columns = np.empty_like(expected["columns"])
        result = engine.run({"log_mel": log_mel}, {"columns": columns})
        np.testing.assert_array_equal(columns, expected["columns"])
        np.testing.assert_array_equal(result["embedding"], expected["embedding"])


def test_a_batch_is_its_rows(default_bundle: Bundle) -> None:
    log_mel = np.random.default_rng(2).normal(size=(3, 64, 400)).astype(np.float32)
    with open_engine(default_bundle.graph("encoder")) as engine:
        together = engine.run({"log_mel": log_mel})["embedding"]
        for row, expected in zip(log_mel, together, strict=True):
            np.testing.assert_allclose(engine.run({"log_mel": row[None]})["embedding"][0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("feeds", "reason"),
    [
        ({}, "'embedding' is missing"),
        ({"embedding": np.zeros((1, 63), np.float32)}, r"float32 \[1, 63\], the graph wants float32 \['B', 64\]"),
        ({"embedding": np.zeros((64,), np.float32)}, "the graph wants"),
        ({"embedding": np.zeros((1, 64), np.float64)}, "float64"),
    ],
)
def test_wrong_feeds(default_bundle: Bundle, feeds: dict[str, np.ndarray], reason: str) -> None:
    with open_engine(default_bundle.graph("face")) as engine, pytest.raises(ValueError, match=reason):
        engine.run(feeds)


def test_wrong_outputs(default_bundle: Bundle, unit: np.ndarray) -> None:
    with open_engine(default_bundle.graph("face")) as engine:
        with pytest.raises(ValueError, match="the graph wants"):
            engine.run({"embedding": unit}, {"image": np.zeros((1, 3, 32, 32), np.float32)})
        with pytest.raises(ValueError, match="not contiguous"):
            engine.run({"embedding": unit}, {"image": np.zeros((1, 64, 64, 3), np.float32).transpose(0, 3, 1, 2)})


def test_a_provider_that_is_not_there_is_an_error_with_the_cure(default_bundle: Bundle) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has the CUDA provider")
    with pytest.raises(ProviderError, match=r"voxface\[gpu\]"):
        open_engine(default_bundle.graph("face"), "cuda")


def test_a_fallback_is_an_error(default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ONNX Runtime does when CUDA libraries are missing: a session on the CPU, and no exception."""
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    real = onnxruntime.InferenceSession

    def fallen_back(graph: bytes, options: object, providers: list[str], **_: object) -> object:
        return real(graph, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)
    with pytest.raises(ProviderError, match="fell back to CPUExecutionProvider"):
        open_engine(default_bundle.graph("face"), "cuda")


def test_names_and_graphs_that_are_none() -> None:
    with pytest.raises(UsageError, match="no provider 'abacus'"):
        open_engine(b"", "abacus")
    with pytest.raises(BundleError, match="face: ONNX Runtime"):
        open_engine(b"no graph", name="face")
