"""The engine interface on ONNX Runtime, with the graphs of the default bundle."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, ProviderError, UsageError
from voxface.runtime.install_advice import how_to_install


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
        out = np.zeros((1, 3, 128, 128), np.float32)
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
            engine.run({"embedding": unit}, {"image": np.zeros((1, 128, 128, 3), np.float32).transpose(0, 3, 1, 2)})


def test_a_provider_that_is_not_there_is_an_error_with_the_cure(default_bundle: Bundle) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has the CUDA provider")
    with pytest.raises(ProviderError, match=re.escape(how_to_install("gpu"))):
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
    with pytest.raises(BundleError, match="face: the graph is refused"):
        open_engine(b"no graph", name="face")


def test_on_a_device_repeated_shapes_have_memory_and_a_graph_of_their_own(default_bundle: Bundle) -> None:
    """The same calls that run on a GPU, here with the CPU as the device."""
    import onnxruntime

    from voxface.runtime.engines.onnxruntime_device import CAPTURED, SEEN, DeviceRunner

    graphs: list[str] = []

    class Options(onnxruntime.RunOptions):  # type: ignore[misc]
        def add_run_config_entry(self, key: str, value: str) -> None:
            graphs.append(value)
            assert key == "gpu_graph_id"

    class Ort:
        OrtValue, RunOptions = onnxruntime.OrtValue, Options

    session = onnxruntime.InferenceSession(default_bundle.graph("encoder"), providers=["CPUExecutionProvider"])
    runner = DeviceRunner(Ort, session, "cpu", graphs=True)
    with open_engine(default_bundle.graph("encoder")) as engine:
        for frames in (300, 300, 400, 300, 500, 400, 400, 300):
            feeds = {"log_mel": np.random.default_rng(frames).normal(size=(1, 64, frames)).astype(np.float32)}
            expected, out = engine.run(feeds), np.empty((1, 64), np.float32)
            got = runner.run(feeds, {"embedding": out})
            assert got["embedding"] is out
            for name, value in expected.items():
                np.testing.assert_allclose(got[name], value, atol=1e-6)
        assert graphs == ["-1", "1", "-1", "-1", "2"]  # 300 plainly, bound; 400 plainly; 500 plainly; 400 bound
        with pytest.raises(ValueError, match=r"'embedding' is float32 \[2, 64\], the graph gives float32 \[1, 64\]"):
            runner.run(feeds, {"embedding": np.empty((2, 64), np.float32)})
        for frames in (*range(64, 64 + SEEN + 5), *range(100, 100 + CAPTURED + 2), *range(100, 100 + CAPTURED + 2)):
            runner.run({"log_mel": np.zeros((1, 64, frames), np.float32)}, {})
        assert len(runner._bound) == CAPTURED
        assert len(runner._seen) <= SEEN


def test_what_the_cuda_provider_is_told(default_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    told: list[dict[str, str]] = []
    on_cpu: list[str] = []
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, graph: bytes, options: object, providers: list[tuple[str, dict[str, str]]], **_: object):
            told.append(dict(providers[0][1]))
            if "enable_cuda_graph" in providers[0][1]:
                raise RuntimeError("This session cannot use the graph capture feature as requested by the user")
            self._inner = real(graph, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

        def get_provider_graph_assignment_info(self) -> list[object]:
            def part(provider: str, *operators: str) -> object:
                nodes = [SimpleNamespace(op_type=operator, name=f"node_{operator}") for operator in operators]
                return SimpleNamespace(ep_name=f"{provider}ExecutionProvider", get_nodes=lambda: nodes)

            return [part("CUDA", "Conv", "Relu"), part("CPU", "Shape", "Concat", *on_cpu)]

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

    def preload() -> None:
        print("what is not found is printed, and may not stand before a JSON document")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    with open_engine(default_bundle.graph("face"), "cuda") as engine:
        assert engine.provider == "cuda"
    first = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", "enable_cuda_graph": "1"}
    assert told == [first, {key: value for key, value in first.items() if key != "enable_cuda_graph"}]
    on_cpu.append("ConvTranspose")
    with pytest.raises(
        ProviderError, match=r"face: provider 'cuda' leaves 1 nodes to the CPU .ConvTranspose node_Conv"
    ):
        open_engine(default_bundle.graph("face"), "cuda", name="face")


def test_onnx_runtime_says_which_node_runs_where(default_bundle: Bundle) -> None:
    """What a provider other than the CPU is held to; here the CPU is the one that has all nodes."""
    import onnxruntime

    from voxface.runtime.engines.onnxruntime_device import check_placement

    if not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
        pytest.skip(f"ONNX Runtime {onnxruntime.__version__} does not tell")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    graph = default_bundle.graph("encoder")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    with pytest.raises(ProviderError, match=r"encoder: provider 'cuda' leaves \d+ nodes to the CPU \((Conv|FusedConv)"):
        check_placement(session, "cuda", "encoder")
