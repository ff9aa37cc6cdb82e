"""`voxface bundle` and `voxface doctor`."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import DEFAULT
from voxface.runtime.bundle.manifest import MANIFEST, digest
from voxface.runtime.errors import ProviderError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the default bundle to break."""
    return Path(shutil.copytree(DEFAULT, tmp_path / "bundle"))


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bundle", "info", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["graphs"]) == {"encoder", "face", "mesh"}
    assert document["morphable_model"]["coefficients"] >= 40
    assert document["morphable_model"]["vertices"] >= 5000
    assert Path(document["path"]) == DEFAULT
    assert run("bundle", "info") == 0
    assert "speakers: LibriSpeech" in capsys.readouterr().out


def test_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bundle", "verify") == 0
    assert "ok, 8 files and 3 graphs" in capsys.readouterr().out


def test_one_flipped_byte_stops_every_verb(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((copy / "face.onnx").read_bytes())
    data[1000] ^= 1
    (copy / "face.onnx").write_bytes(data)
    for words in (["bundle", "verify", copy], ["bundle", "info", copy], ["run", SAMPLES[0], "--bundle", copy]):
        extra = ["--out", tmp_path / "out"] if words[0] == "run" else []
        assert run(*words, *extra) == 6
        assert "face.onnx does not match its SHA-256" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 7}, "schema 7, this voxface reads schema 1; upgrade voxface"),
        ({"files": {"../encoder.onnx": {"size": 1, "sha256": "0"}}}, "outside the bundle"),
    ],
)
def test_future_schema_and_paths_outside(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], reason: str
) -> None:
    manifest = {**json.loads((copy / MANIFEST).read_text()), **change}
    (copy / MANIFEST).write_text(json.dumps({**manifest, "sha256": digest(manifest)}))
    assert run("run", SAMPLES[0], "--bundle", copy, "--out", tmp_path / "out") == 6
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_verify_finds_a_signature_that_is_not_the_graphs(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["graphs"]["face"]["outputs"]["image"]["shape"][2] = 64
    (copy / MANIFEST).write_text(json.dumps({**manifest, "sha256": digest(manifest)}))
    assert run("bundle", "verify", copy) == 6
    assert "face has outputs" in capsys.readouterr().err


def test_a_graph_that_is_none(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import hashlib

    (copy / "mesh.onnx").write_bytes(b"no graph")
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"]["mesh.onnx"] = {"size": 8, "sha256": hashlib.sha256(b"no graph").hexdigest()}
    (copy / MANIFEST).write_text(json.dumps({**manifest, "sha256": digest(manifest)}))
    assert run("run", SAMPLES[0], "--bundle", copy, "--out", tmp_path / "out") == 6
    assert "mesh: the graph is refused" in capsys.readouterr().err


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["problems"] == []
    assert document["providers"]["cpu"]["ok"]
    assert document["bundle"]["ok"]
    for name in ("cuda", "tensorrt"):
        found = document["providers"][name]
        assert found["ok"] or "[gpu]" in found["why"] or "voxface doctor" in found["why"]
    assert run("doctor") == 0
    assert "No problem found." in capsys.readouterr().out


def test_doctor_names_the_cure_for_both_onnx_runtimes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib import metadata

    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.31.1" if name == "onnxruntime-gpu" else real(name))
    assert run("doctor", "--json") == 5
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any("pip uninstall onnxruntime onnxruntime-gpu" in problem for problem in problems)


def test_doctor_says_which_engines_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.stand_ins.fake_gpu import FakeGpu, fake_plan, install
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.bundle.engine_entries import EngineEntry

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle = Bundle.open()
    profile = {"embedding": {"min": [1, 64], "opt": [1, 64], "max": [1, 64]}}
    files, engines = {}, []
    for target, version in (("sm86", "1.7.1.116"), ("sm89", "1.7.1.116"), ("sm86", "1.6")):
        file = f"engines/{target}-{version}.plan"
        files[file] = fake_plan(bundle.graph("mesh"), profile, [target])
        sha256 = bundle.manifest.files["mesh.onnx"].sha256
        entry = {"graph": "mesh", "flavour": "tensorrt-rtx", "version": version, "targets": [target]}
        engines.append(EngineEntry.from_json({**entry, "onnx_sha256": sha256, "profile": profile, "file": file}))
    bundle.replacing(files=files, engines=tuple(engines)).write(tmp_path / "bundle")
    gpu = FakeGpu()
    install(gpu, monkeypatch)
    assert run("doctor", "--bundle", tmp_path / "bundle", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cuda"] == {"ok": True, "compute_capability": "sm86"}
    assert document["providers"]["tensorrt-rtx"]["ok"]
    assert [found["ok"] for found in document["engines"]] == [True, False, False]
    command = f"build it anew: voxface build {tmp_path / 'bundle'} --flavour tensorrt-rtx --target sm86"
    assert "unsupported cc" in document["engines"][1]["why"]
    assert "built with tensorrt-rtx 1.6, here is 1.7.1.116" in document["engines"][2]["why"]
    for found in document["engines"][1:]:
        assert found["why"].endswith(command)
    assert not any(gpu.held())
    assert run("doctor", "--bundle", tmp_path / "bundle") == 0
    assert "ok   mesh tensorrt-rtx 1.7.1.116 for sm86\n" in capsys.readouterr().out


def test_doctor_advises_when_a_gpu_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voxface.cli.doctor._gpu", lambda: [{"name": "GPU", "driver": "600.1"}])
    monkeypatch.setattr(
        "voxface.cli.doctor._providers", lambda _: {"cpu": {"ok": True}, "cuda": {"ok": False, "why": "x"}}
    )
    assert run("doctor") == 0
    out = capsys.readouterr().out
    assert "advice: there is a GPU and ONNX Runtime is the one for CPUs; pip uninstall onnxruntime, then " in out
    assert run("doctor", "--bundle", "nowhere", "--json") == 5
    assert "no such bundle" in json.loads(capsys.readouterr().out)["problems"][0]


def words_of_live(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Why `voxface live` ends with exit code 5."""
    assert run("live", *words, "--seconds", "1") == 5
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("voxface: error: ")


def test_doctor_says_of_the_microphone_what_live_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def __init__(self) -> None:
            raise ProviderError("PortAudio cannot be loaded (file too short); install it")

    class Empty:
        def hosts(self) -> list[str]:
            return ["ALSA"]

        def devices(self) -> list[object]:
            return []

    monkeypatch.setattr("voxface.cli.doctor.window_apart", lambda: {"ok": True, "loads": True})
    for backend, loads in ((Broken, False), (Empty, True)):
        monkeypatch.setattr("voxface.runtime.live.portaudio.PortAudio", backend)
        monkeypatch.setattr("voxface.runtime.live.microphone.PortAudio", backend)
        why = words_of_live(capsys, "--show", "none")
        assert run("doctor", "--json") == 0, "sound files become faces all the same"
        document = json.loads(capsys.readouterr().out)
        assert document["microphone"] == {
            "ok": False, "loads": loads, "why": why, **({"hosts": ["ALSA"]} if loads else {})
        }  # fmt: skip
        assert run("doctor") == 0
        out = capsys.readouterr().out
        assert f"\nmicrophone\n  -    {why}\n" in out
        assert ("does not load, see below" in out) is (not loads)


def test_doctor_says_of_the_window_what_live_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    why = words_of_live(capsys, "--source", str(SAMPLES[0]), "--show", "window")
    assert "there is no display" in why
    assert run("doctor", "--json") == 0
    window = json.loads(capsys.readouterr().out)["window"]
    assert (window["ok"], window["why"]) == (False, why)


def test_doctor_survives_what_ends_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from voxface.cli.live import window_trial

    for program, why in (
        ("os.abort()", "Open3D ends the process (signal 6)"),
        ("sys.exit('libGL is missing')", "Open3D ends the process (libGL is missing)"),
        ("time.sleep(60)", "no window opens within 1 s"),
    ):
        code = f"#!/bin/sh\nexec '{sys.executable}' -c \"import os, sys, time; {program}\"\n"
        with tempfile.TemporaryDirectory() as folder:
            fake = Path(folder) / "python"
            fake.write_text(code)
            fake.chmod(0o755)
            with monkeypatch.context() as patched:
                patched.setattr(sys, "executable", str(fake))
                patched.setattr(window_trial, "WINDOW_S", 1 if "sleep" in program else 30)
                found = window_trial.window_apart()
        assert found["ok"] is False
        assert found["why"].startswith(why)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "/nowhere/python does not start" in window_trial.window_apart()["why"]


def test_doctor_measures_and_auto_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from voxface.runtime.engines import measurement
    from voxface.runtime.engines.engine_times import EngineTime, EngineTimes, this_machine

    def measured(bundle: Any, usable: list[str], report: Any) -> EngineTimes:
        assert usable[0] == "cpu"
        assert "cuda" not in usable, "doctor has found that it does not load"
        times = tuple(EngineTime("cpu", threads, 10 / threads, True, 1.0, 150.0, 0.0) for threads in (1, 2))
        return EngineTimes(bundle.manifest.sha256, this_machine(), times, {"openvino": "too hot"}, 99.5, ("cpu",))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(measurement, "measure", measured)
    monkeypatch.setattr("voxface.cli.doctor.window_apart", lambda: {"ok": True, "loads": True})
    assert run("doctor") == 0
    assert "not measured; `voxface doctor --measure` measures which engine is fastest here" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
    assert run("doctor", "--measure", "--json") == 0
    found = json.loads(capsys.readouterr().out)["engine_times"]
    assert (found["when"], found["fastest"]) == ("now", {"provider": "cpu", "threads": 2})
    assert Path(found["file"]).is_relative_to(tmp_path / "cache" / "voxface")
    assert run("doctor") == 0
    said = capsys.readouterr().out
    assert "cpu             2 threads     5.00 ms" in said
    assert "openvino        left out: too hot" in said
    assert "the machine was busy (load average 99.5)" in said
    assert "fastest: cpu, 2 threads; `--provider auto` uses it" in said
    for words, provider, threads, why in (
        (["--provider", "auto"], "cpu", 2, "measured"),
        ([], "cpu", 2, "measured"),
        (["--threads", "1"], "cpu", 1, "asked for"),
    ):
        assert run("run", SAMPLES[0], "--out", tmp_path / "out", "--force", "--json", *words) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["provider"], document["threads"], document["chosen"]) == (provider, threads, why)
    assert run("run", SAMPLES[0], "--out", tmp_path / "out", "--force", "--provider", "auto") == 0
    assert "on cpu, 2 threads (measured)" in capsys.readouterr().out
    monkeypatch.setattr("voxface.runtime.engines.engine_times.processor_name", lambda: "another")
    assert run("live", "--source", SAMPLES[0], "--show", "none", "--provider", "auto", "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["chosen"] == "the machine or its libraries have changed since it was measured"
    assert "warning: auto: on cpu, 1 thread (the machine" in said.err
    (tmp_path / "cache" / "voxface" / "engine-times").rename(tmp_path / "elsewhere")
    (tmp_path / "cache" / "voxface" / "engine-times").write_text("in the way")
    assert run("doctor", "--measure") == 0
    assert "not kept: the cache folder cannot be written" in capsys.readouterr().out
