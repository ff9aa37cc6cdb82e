"""The three graphs as one: the same numbers, and gone once the graphs it was made of have changed."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import run
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import FUSED, GRAPHS
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError

onnx = pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from voxface.export.fused_graph import LINK, with_fused  # noqa: E402
from voxface.onnx_graph.graph import Graph  # noqa: E402
from voxface.onnx_graph.passes.fusion import fuse  # noqa: E402

pytestmark = pytest.mark.train


@pytest.mark.parametrize(("clips", "frames"), [(1, 97), (1, 800), (2, 1000)])
def test_one_graph_gives_what_three_give(default_bundle: Bundle, clips: int, frames: int) -> None:
    log_mel = np.random.default_rng(0).normal(size=(clips, 64, frames)).astype(np.float32)
    expected = {}
    for name in GRAPHS:
        with open_engine(default_bundle.graph(name)) as engine:
            expected |= engine.run({"log_mel": log_mel} if name == "encoder" else {"embedding": expected["embedding"]})
    bundle = with_fused(default_bundle)
    with open_engine(bundle.graph(FUSED)) as engine:
        got = engine.run({"log_mel": log_mel})
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5)
    assert bundle.graphs == (*GRAPHS, FUSED)
    assert default_bundle.graphs == GRAPHS
    assert with_fused(bundle) is bundle


def test_a_fused_graph_of_other_graphs_is_not_used(default_bundle: Bundle, tmp_path: Path) -> None:
    bundle = with_fused(default_bundle)
    bundle.write(tmp_path / "new.voxface")
    assert Bundle.open(tmp_path / "new.voxface").fused
    assert run("bundle", "verify", str(tmp_path / "new.voxface")) == 0
    model = onnx.load_from_string(bundle.graph("mesh"))
    model.graph.name = "another"
    bundle.replacing(files={"mesh.onnx": model.SerializeToString()}).write(tmp_path / "old.voxface")
    assert Bundle.open(tmp_path / "old.voxface").graphs == GRAPHS


def test_graphs_that_do_not_fit_together(default_bundle: Bundle) -> None:
    graphs = {name: default_bundle.graph(name) for name in GRAPHS}

    def fused(files: dict[str, bytes]) -> Graph:
        return fuse({name: Graph.from_bytes(data, name=name) for name, data in files.items()}, LINK)

    with pytest.raises(BundleError, match="mesh: the graph's input is not 'embedding' alone"):
        fused({**graphs, "mesh": graphs["encoder"]})
    with pytest.raises(BundleError, match="encoder: the graph has no output 'embedding'"):
        fused({**graphs, "encoder": graphs["face"]})
    model = onnx.load_from_string(graphs["face"])
    model.opset_import[0].version += 1
    with pytest.raises(BundleError, match="different versions"):
        fused({**graphs, "face": model.SerializeToString()})


def test_calibrating_leaves_nothing_of_the_graphs_before(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx comes with voxface[tensorrt-rtx]; make test installs it")
    source, out = tmp_path / "with.voxface", tmp_path / "half.voxface"
    words = ("--flavour", "tensorrt-rtx", "--target", "sm86", "--fused", "--json")
    assert run("build", str(default_bundle.path), *words, "--out", str(source)) == 0
    engines = json.loads(capsys.readouterr().out)["engines"]
    assert [engine["graph"] for engine in engines] == [*GRAPHS, FUSED]
    clips = str(Path(__file__).parent.parent.parent / "examples")
    assert run("calibrate", str(source), "--audio", clips, "--precision", "fp16", "--out", str(out)) == 0
    assert Bundle.open(source).fused
    after = Bundle.open(out)
    assert set(after.manifest.graphs) == set(GRAPHS)
    assert not after.plans
    assert not [name for name in after.files if name.endswith(".plan") or FUSED in name]
