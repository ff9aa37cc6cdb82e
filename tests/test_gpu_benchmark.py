"""The benchmark for GPUs on a CPU: everything that needs no GPU is run, what is missing is said, partial results stay."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks import gpu
from benchmarks.carry_wheels import install, keep, main, split
from benchmarks.gpu_sides import LAUNCHES, difference, graph_ms
from benchmarks.steps import Steps
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.bundle.bundle import Bundle

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.train
def test_a_rehearsal_on_the_cpu_runs_through(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--device", "cpu", "--quick", "--out", str(out)]) == 0
    found = json.loads(out.read_text())["measured"]
    engines = [f"onnxruntime_cpu_{precision}" for precision in gpu.PRECISIONS]
    for batch in gpu.QUICK.batches:
        measured = found[f"batch_{batch}"]
        assert set(measured["latency_ms"]) == {"pytorch_eager_fp32", *engines}
        assert measured["compared_with"] == "pytorch_eager_fp32"
        assert measured["difference"]["onnxruntime_cpu_fp32"]["mesh_mm_largest"] < 0.01
    apart = found["default_bundle"]
    assert apart["onnxruntime_cpu_fp32"]["mesh_mm_largest"] == 0
    assert 0 < apart["onnxruntime_cpu_fp16"]["mesh_mm_largest"] < apart["onnxruntime_cpu_int8"]["mesh_mm_largest"]
    assert set(found["streams"]) == set(engines)
    # Without a GPU neither flavour of TensorRT builds for it; that is said, and stopped nothing.
    assert {name for name in found["left_out"] if name.startswith("build")} == {
        "build, tensorrt_rtx_fp32",
        "build, tensorrt_native_fp32",
    }
    assert len(found["left_out"]) == 2


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert gpu.main(["--out", str(tmp_path / "gpu.json")]) == 5
    assert "finds no GPU" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "{folder}/sound.flac"], "give a file that ends with .json"),
        (["--out", "{folder}/sound.flac/gpu.json"], "cannot be written"),
        (["--budget-s", "nan"], "more than 0"),
    ],
)
def test_words_that_cannot_be_are_refused_before_anything_is_measured(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sound.flac").write_bytes(b"sound")
    with pytest.raises(SystemExit) as end:
        gpu.main(["--device", "cpu", "--quick", *(word.format(folder=tmp_path) for word in words)])
    assert end.value.code == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "sound.flac").read_bytes() == b"sound"


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf"])
def test_parts_of_no_size_are_refused(size: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["split", str(tmp_path), str(tmp_path / "parts"), f"--mib={size}"])
    assert end.value.code == 2
    assert not (tmp_path / "parts").exists()


_PIECE = {"file": "a.whl.001", "part": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "index",
    [
        b"{",
        b"\xff",
        b"[]",
        b'{"a.whl": 1}',
        b'{"a.whl": {"sha256": "0"}}',
        json.dumps({"../a.whl": {"sha256": "0" * 64, "pieces": [_PIECE]}}).encode(),
        json.dumps({"a.whl": {"sha256": "0" * 64, "pieces": [{**_PIECE, "file": "/etc/hostname"}]}}).encode(),
        json.dumps({"a.whl": {"sha256": "0" * 64, "pieces": [{**_PIECE, "part": None}]}}).encode(),
    ],
)
@pytest.mark.parametrize("verb", ["keep", "install"])
def test_a_list_of_wheels_that_is_none_is_said(
    index: bytes, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "wheels.json").write_bytes(index)
    assert main([verb, str(tmp_path / "part"), str(tmp_path / "there")]) == 3
    assert "carry_wheels: error: " in capsys.readouterr().err
    assert not [*tmp_path.rglob("*.whl*")]


def test_steps_that_fail_or_find_no_time_are_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    now = [0.0]
    out = tmp_path / "result.json"
    steps = Steps(30, out, now=lambda: now[0])

    def slow() -> str:
        now[0] += 20
        return "found"

    def broken() -> str:
        raise RuntimeError("no such operator\nand a stack")

    def missing() -> str:
        raise ModuleNotFoundError("No module named 'tensorrt'")

    assert steps.do("broken", broken) is None
    assert steps.do("missing", missing) is None
    assert steps.do("slow", slow) == "found"
    assert json.loads(out.read_text())["left_out"] == {
        "broken": "RuntimeError: no such operator",
        "missing": "ModuleNotFoundError: No module named 'tensorrt'",
    }
    assert steps.do("no time", slow, least_s=15) is None
    assert steps.left_s == 10
    steps.measured["found"] = 1
    steps.write()
    written = json.loads(out.read_text())
    assert written["left_out"]["no time"] == "10 s of the budget were left, 15 s are wanted"
    assert written["seconds"]["slow"] == 20
    assert written["found"] == 1


def test_agreement_is_that_of_the_worst_voice() -> None:
    bundle = Bundle.open()
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(3, 64)).astype(np.float32)
    image = np.zeros((3, 3, 8, 8), np.float32)
    coefficients = rng.normal(size=(3, bundle.morphable.modes)).astype(np.float32)
    expected = embedding, image, coefficients
    assert difference(expected, expected, bundle)["mesh_mm_largest"] == 0
    other = embedding.copy(), image.copy(), coefficients.copy()
    other[0][2] *= -1
    other[1][1, 0, 0, 0] = 2 / 127.5
    other[2][0] += 1
    found = difference(other, expected, bundle)
    assert found["embedding_cosine_distance"] == pytest.approx(2)
    assert found["image_levels_largest"] == pytest.approx(2)
    assert found["image_levels_mean"] == pytest.approx(2 / 192)
    one = np.linalg.norm(
        bundle.morphable.vertices(coefficients[0] + 1) - bundle.morphable.vertices(coefficients[0]), axis=1
    )
    assert found["mesh_mm_largest"] == pytest.approx(float(one.max()), rel=1e-4)
    assert found["mesh_mm_mean"] == pytest.approx(float(one.mean()), rel=1e-4)


def test_kernel_time_is_that_of_one_launch() -> None:
    calls: list[str] = []

    def call(function: str, *arguments: object) -> float:
        calls.append(function)
        return 0.5 * LAUNCHES if function == "cudaEventElapsedTime" else 0.0

    captured = SimpleNamespace(_shapes={1: SimpleNamespace(graph=7)}, _cuda=SimpleNamespace(call=call), _stream=0)
    assert graph_ms(captured) == 0.5
    assert calls.count("cudaGraphLaunch") == LAUNCHES
    assert calls.count("cudaEventDestroy") == 2
    assert graph_ms(SimpleNamespace(_shapes={1: SimpleNamespace(graph=None)})) is None


SIZES = st.lists(st.integers(1, 40_000), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, limit=st.integers(20_000, 60_000), turned=st.booleans())
def test_wheels_come_whole_in_parts_that_are_small_enough(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int, turned: bool
) -> None:
    folder = tmp_path_factory.mktemp("carry")
    (folder / "wheels").mkdir()
    data = {f"p{n}-1-py3-none-any.whl": np.random.default_rng(n).bytes(size) for n, size in enumerate(sizes)}
    for name, content in data.items():
        (folder / "wheels" / name).write_bytes(content)
    count = split(folder / "wheels", folder / "parts", limit)
    parts = sorted((folder / "parts").iterdir(), reverse=turned)
    assert len(parts) == count
    assert all(sum(file.stat().st_size for file in part.iterdir()) <= limit for part in parts)
    left = [keep(part, folder / "held") for part in parts]
    assert left[-1] == 0
    assert left == sorted(left, reverse=True)
    index = json.loads((folder / "held" / "wheels.json").read_text())
    for name, content in data.items():
        assert b"".join((folder / "held" / piece["file"]).read_bytes() for piece in index[name]["pieces"]) == content


def wheel(folder: Path, name: str, padding: int) -> None:
    """A wheel that pip installs: a module that says its name, and padding that does not compress."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"said = {name!r}\n")
        archive.writestr(f"{name}_padding.bin", np.random.default_rng(0).bytes(padding))
        info = f"{name}-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def test_carried_wheels_are_installed_from_the_file_itself(tmp_path: Path) -> None:
    """As on a machine that has Python and pip and nothing of this repository but the file."""
    wheel(tmp_path / "wheels", "carried_one", 50_000)
    wheel(tmp_path / "wheels", "carried_two", 100)
    assert main(["split", str(tmp_path / "wheels"), str(tmp_path / "parts"), "--mib", "0.02"]) == 0
    script = ROOT / "benchmarks" / "carry_wheels.py"

    def there(*words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(script), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    parts = sorted((tmp_path / "parts").iterdir(), key=lambda part: int(part.name))
    assert len(parts) > 2
    for part in parts[:-1]:
        assert there("keep", part, "held").returncode == 0
    early = there("install", "held", "site")
    assert early.returncode == 3
    assert f"parts {parts[-1].name} have not come" in early.stderr
    assert there("keep", parts[-1], "held").stdout == "0 pieces are missing\n"
    done = there("install", "held", "site")
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [sys.executable, "-c", "import carried_one, carried_two; print(carried_one.said, carried_two.said)"],
        env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "carried_one carried_two\n"


def test_a_damaged_piece_and_other_wheels_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(tmp_path / "a", "carried_one", 10)
    wheel(tmp_path / "b", "carried_two", 10)
    for name in "ab":
        split(tmp_path / name, tmp_path / f"parts-{name}", 1 << 20)
    keep(tmp_path / "parts-a" / "1", tmp_path / "held")
    with pytest.raises(ValueError, match="other wheels"):
        keep(tmp_path / "parts-b" / "1", tmp_path / "held")
    piece = next((tmp_path / "parts-b" / "1").glob("*.whl.001"))
    piece.write_bytes(piece.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match="damaged"):
        keep(tmp_path / "parts-b" / "1", tmp_path / "other")
    piece = next((tmp_path / "held").glob("*.whl.001"))
    piece.write_bytes(b"?")
    with pytest.raises(ValueError, match="damaged"):
        install(tmp_path / "held", tmp_path / "site")
    assert main(["split", str(tmp_path / "none"), str(tmp_path / "c")]) == 3
    assert main(["split", str(tmp_path / "a"), str(tmp_path / "c"), "--mib", "0.001"]) == 3
    assert main(["split", str(tmp_path / "a"), str(tmp_path / "parts-a")]) == 3
    errors = capsys.readouterr().err
    assert "has no wheels" in errors
    assert "make them larger" in errors


def test_the_table_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks.tables import gpu as table

    monkeypatch.setattr(table, "RESULTS", tmp_path)
    assert table.gpu().startswith("Not measured yet")
    times = {"p50": 1.5, "p90": 2.0, "p95": 2.0, "p99": 2.5, "variation": 0.1}
    apart = dict.fromkeys(("embedding_cosine_distance", "image_levels_largest", "mesh_mm_largest"), 0.25)
    batch = {
        "latency_ms": {"pytorch_eager_fp32": times, "tensorrt_rtx_int8": times}, "compared_with": "pytorch_eager_fp32",
        "voices_per_s": {"pytorch_eager_fp32": 600.0, "tensorrt_rtx_int8": 4000.0},
        "times_faster": {"tensorrt_rtx_int8": {"p50": 6.66, "p5": 6.0}}, "difference": {"tensorrt_rtx_int8": apart},
        "kernels_ms": {"tensorrt_rtx_int8": 0.125},
    }  # fmt: skip
    streams = {"onnxruntime_cuda_fp16": {"8 at a time": {"streams_of_one_thread": 321.4, "ms_per_0.1_s": 0.31}}}
    measured = {
        "gpu": {"name": "G"},
        "batch_1": batch,
        "batch_64": batch,
        "streams": streams,
        "left_out": {"a": "no time"},
    }
    monkeypatch.setattr(table, "load", lambda _: {"date": "2026-01-01", "command": "c", "measured": measured})
    (tmp_path / "gpu.json").touch()
    text = table.gpu()
    assert "| tensorrt rtx INT8: 1.500 (2.500) | 4,000 | 6.7 | 0.125 | 2.5e-01 | 0.25 | 0.250 |" in text
    assert "| onnxruntime cuda FP16 | 321 (0.31) |" in text
    assert text.endswith("Left out: a (no time).")
    assert text.count("batch 64:") == 1
