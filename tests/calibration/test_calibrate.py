"""Calibration as a whole: planted hazards are found, the default bundle stays within tolerance, nothing is left half done."""

import json
import math
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from tests.conftest import ROOT, SAMPLES
from tests.stand_ins.age import entry
from tests.stand_ins.face_posterior import small_weights, with_posterior
from tests.stand_ins.small_bundle import noise_clips, small_bundle
from voxface.calibration.calibrate import Calibrated, CalibrationSettings, calibrate
from voxface.calibration.clips import Clips, load_clips
from voxface.calibration.task_error import TOLERANCES, Tolerances, worst
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import write_face_posterior
from voxface.runtime.bundle.manifest import GRAPHS
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.voice_to_face import VoiceToFace

# Hazard -> the node it sits in, and what is said of it.
HAZARDS = {
    "long sum": ("encoder", "the_mean", "adds up many numbers"),
    "tiny variance": ("encoder", "the_normal", "variance is subnormal"),
    "micrometres": ("mesh", "the_scaled", ", beyond 65504"),
    "subnormal": ("mesh", "the_scaled", "100% of w is subnormal"),
}

NORMALISING = {("encoder", "the_norm"), ("encoder", "the_embedding")}


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_planted_hazard_is_found_and_kept_in_fp32(tmp_path: Path, hazard: str) -> None:
    bundle = small_bundle(tmp_path / "small", hazard)
    result = calibrate(bundle, noise_clips(), CalibrationSettings("fp16"))
    tolerances = TOLERANCES["fp16"]
    assert worst(result.all_lowered).share(tolerances) > 1, "without calibration it fails"
    assert worst(result.held_out).share(tolerances) <= 1
    graph, name, why = HAZARDS[hazard]
    decision = next(d for d in result.plan.decisions if (d.graph, d.node) == (graph, name))
    assert decision.precision == "fp32"
    assert decision.share is not None
    assert decision.share > 1
    assert why in decision.why
    lowered = [d for d in result.plan.decisions if d.precision == "fp16"]
    assert len(lowered) >= len(result.plan.decisions) - 7, "and little else is kept"
    # On the CPU, which computes FP16 in FP32, a sum that overflows cannot be seen.
    if hazard == "long sum":
        assert math.isinf(decision.share)
        assert "alone it overflows" in decision.why


@pytest.mark.parametrize("mode", ["fp16", "int8", "mixed"])
def test_a_harmless_bundle_is_lowered_whole(tmp_path: Path, mode: str) -> None:
    loose = None if mode == "fp16" else Tolerances(0.9, 15, 5)
    result = calibrate(small_bundle(tmp_path / "small"), noise_clips(), CalibrationSettings(mode, loose))
    precisions = {(d.graph, d.node): d.precision for d in result.plan.decisions}
    if mode == "fp16":
        # In FP16 an embedding is not of unit length to four digits: what divides by its length is kept.
        assert {key for key, value in precisions.items() if value == "fp32"} <= NORMALISING
    else:
        assert precisions["face", "the_map8"] == "int8"
        assert precisions["face", "the_relu8"] == "int8"
        assert precisions["encoder", "the_mean"] == ("fp32" if mode == "int8" else "fp16")
    assert worst(result.held_out).share(result.plan.tolerances) <= 1
    assert worst(result.onnxruntime).share(result.plan.tolerances) <= 1


@pytest.mark.parametrize("suffix", ["", ".voxface"])
def test_what_is_written(tmp_path: Path, suffix: str) -> None:
    source = small_bundle(tmp_path / "small")
    before = {path.name: path.read_bytes() for path in (tmp_path / "small").iterdir()}
    clips = noise_clips()
    result = calibrate(source, clips, CalibrationSettings("mixed", Tolerances(0.9, 15, 5)))
    bundle = result.write(tmp_path / f"out{suffix}")
    assert {path.name: path.read_bytes() for path in (tmp_path / "small").iterdir()} == before
    precision = bundle.manifest.to_json()["precision"]
    assert precision["largest_difference_from_pytorch"] == {"image": 0.5}, "what was known is kept"
    assert precision["arithmetic"] == "int8+float16+float32"
    found = precision["calibrated"]
    assert found["mode"] == "mixed"
    assert found["tolerances"] == {"cosine": 0.9, "psnr_db": 15, "vertex_mm": 5}
    assert found["clips"]["calibration"] == ["0.wav", "2.wav", "4.wav", "6.wav"]
    assert found["clips"]["held_out"] == ["1.wav", "3.wav", "5.wav", "7.wav"]
    assert found["source"]["sha256"] == source.manifest.sha256
    assert set(found["tools"]) == {"voxface", "numpy", "onnx", "onnxruntime"}
    assert found["held_out"]["worst"]["cosine"] == worst(result.held_out).cosine
    plan = json.loads(bundle.files[found["plan"]["file"]])
    assert plan["counts"] == found["nodes"]
    assert {node["graph"] for node in plan["nodes"]} == set(GRAPHS)
    table = bundle.files[found["table"]["file"]].decode()
    assert all(f"`{node['node']}`" in table for node in plan["nodes"])
    assert bundle.files[found["plot"]["file"]].startswith(b"<svg")
    assert b"## Precision" in bundle.files["model_card.md"]
    assert str(tmp_path) not in json.dumps(bundle.manifest.to_json()), "no paths of this machine"
    with pytest.raises(UsageError, match="calibrated already"):
        calibrate(bundle, clips, CalibrationSettings("fp16"))


def test_the_plot_is_well_formed(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    from voxface.calibration.precision_plan import sensitivity_plot

    result = calibrate(small_bundle(tmp_path / "small", "long sum"), noise_clips(4), CalibrationSettings("fp16"))
    drawn = ElementTree.fromstring(sensitivity_plot(result.plan))
    words = [element.text for element in drawn.iter() if element.text]
    assert "∞" in words
    assert "encoder/the_mean" in words


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = calibrate(small_bundle(tmp_path / "small"), noise_clips(4), CalibrationSettings("fp16"))

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    there = sorted(tmp_path.iterdir())
    monkeypatch.setattr(zipfile.ZipFile, "writestr", interrupted)
    with pytest.raises(KeyboardInterrupt):
        result.write(tmp_path / "out.voxface")
    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        result.write(tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == there


def test_settings_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="no precision 'fp8'"):
        CalibrationSettings("fp8")
    with pytest.raises(UsageError, match="6 bits"):
        CalibrationSettings("int8", weight_bits=6)


@pytest.fixture(scope="module")
def speech(default_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Real speech: of many speakers where the shared data is, else the examples and halves of them."""
    folder = Path(os.environ.get("VOXFACE_SHARED", ROOT / ".." / "shared" / "data"))
    many = folder / "speech" / "librispeech" / "one_per_speaker"
    if many.is_dir():
        return load_clips(many, default_bundle, most=16)
    import soundfile

    room = tmp_path_factory.mktemp("speech")
    for clip in SAMPLES:
        shutil.copy(clip, room)
        sound, rate = soundfile.read(clip)
        for k, half in enumerate(np.array_split(sound, 2)):
            soundfile.write(room / f"{clip.stem}_{k}.wav", half, rate)
    return load_clips(room, default_bundle)


@pytest.fixture(scope="module")
def calibrated(default_bundle: Bundle, speech: Clips, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The default bundle in each mode, with what was measured."""
    room = tmp_path_factory.mktemp("calibrated")
    made: dict[str, Any] = {}
    for mode in TOLERANCES:
        result = calibrate(default_bundle, speech, CalibrationSettings(mode))
        made[mode] = result, result.write(room / f"{mode}.voxface")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(TOLERANCES))
def test_the_default_bundle_stays_within_tolerance(calibrated: dict[str, Any], mode: str) -> None:
    result: Calibrated = calibrated[mode][0]
    bundle: Bundle = calibrated[mode][1]
    assert len(result.held_out) > 2
    for errors in (result.held_out, result.onnxruntime):
        assert worst(errors).share(TOLERANCES[mode]) <= 1
    counts = result.plan.counts()
    if mode == "fp16":
        assert sum(c.get("fp32", 0) for c in counts.values()) <= 4
    else:
        assert counts["encoder"]["int8"] >= 6
        assert counts["face"]["int8"] >= 8
        sizes = [sum(len(b.graph(name)) for name in GRAPHS) for b in (bundle, Bundle.open())]
        assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(TOLERANCES))
def test_a_calibrated_bundle_runs_like_any_other(
    calibrated: dict[str, Any], voice_to_face: VoiceToFace, mode: str
) -> None:
    """On examples that took no part: the whole way from the sound file to millimetres."""
    bundle: Bundle = calibrated[mode][1]
    tolerances = TOLERANCES[mode]
    with VoiceToFace(bundle) as lowered:
        for clip in SAMPLES:
            (_, one), (_, other) = voice_to_face.estimate_file(clip), lowered.estimate_file(clip)
            assert one.embedding @ other.embedding >= tolerances.cosine
            assert np.linalg.norm(one.vertices - other.vertices, axis=1).max() <= tolerances.vertex_mm
            assert np.abs(one.image.astype(int) - other.image).max() < 16
            assert abs(one.confidence - other.confidence) < 0.02


@pytest.mark.slow
def test_fp16_graphs_take_and_give_float32(calibrated: dict[str, Any]) -> None:
    bundle: Bundle = calibrated["fp16"][1]
    for name in GRAPHS:
        with open_engine(bundle.graph(name)) as one, open_engine(Bundle.open().graph(name)) as other:
            assert (one.inputs, one.outputs) == (other.inputs, other.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(TOLERANCES))
def test_tensorrt_for_rtx_builds_the_same_files(calibrated: dict[str, Any], mode: str) -> None:
    """Ahead of time, which needs no GPU: what ONNX Runtime runs is a strongly typed network to TensorRT."""
    trt = pytest.importorskip("tensorrt_rtx", reason="it comes with voxface[tensorrt-rtx]")
    bundle: Bundle = calibrated[mode][1]
    logger = trt.Logger(trt.Logger.ERROR)
    for name in GRAPHS:
        builder = trt.Builder(logger)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)
        assert parser.parse(bundle.graph(name)), [str(parser.get_error(k)) for k in range(parser.num_errors)]
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        shapes = [(1, 64, frames) for frames in (64, 800, 6272)] if name == "encoder" else [(1, 64)] * 3
        profile.set_shape("log_mel" if name == "encoder" else "embedding", *shapes)
        config.add_optimization_profile(profile)
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)
        assert builder.build_serialized_network(network, config) is not None, name


def test_clips_are_dealt_out_and_bad_ones_named(default_bundle: Bundle, tmp_path: Path) -> None:
    for k, clip in enumerate((*SAMPLES, *SAMPLES)):
        shutil.copy(clip, tmp_path / f"{k}.flac")
    (tmp_path / "broken.wav").write_bytes(b"RIFF nothing")
    seen: list[str] = []
    clips = load_clips(tmp_path, default_bundle, report=lambda done, total, name: seen.append(f"{done}/{total} {name}"))
    assert [clip.name for clip in clips.calibration] == ["0.flac", "2.flac"]
    assert [clip.name for clip in clips.held_out] == ["1.flac", "3.flac"]
    assert clips.longest.log_mel.shape[2] == clips.longest_held_out.log_mel.shape[2] == 6272
    assert len(clips.skipped) == 1
    assert "broken.wav" in clips.skipped[0]
    assert seen[-1] == "5/5 broken.wav"
    with pytest.raises(InputError, match="speech in one sound file only"):
        load_clips(tmp_path / "0.flac", default_bundle)


def test_trained_parts_go_along(tmp_path: Path, default_bundle: Bundle) -> None:
    """They were fitted to this encoder in another precision, which the manifest goes on naming."""
    small = small_bundle(tmp_path / "small")
    parts = default_bundle.manifest
    source = small.replacing(
        files={parts.speaker_change.file: default_bundle.files[parts.speaker_change.file]},
        speech_modulation=parts.speech_modulation,
        speaker_change=replace(parts.speaker_change, encoder_sha256=small.graph_digests()["encoder"]),
        age=entry(size=8),
    )
    source = with_posterior(source, write_face_posterior(small_weights(source.morphable.identity_modes)))
    made = calibrate(source, noise_clips(4), CalibrationSettings("fp16")).write(tmp_path / "half")
    assert not made.missing_parts
    assert made.speech_modulation == default_bundle.speech_modulation
    assert made.manifest.speaker_change == source.manifest.speaker_change
    assert made.manifest.age == source.manifest.age
    assert made.manifest.face_posterior == source.manifest.face_posterior
    file = made.manifest.face_posterior.file
    assert made.files[file] == source.files[file]
    assert made.graph_digests()["encoder"] != made.manifest.speaker_change.encoder_sha256
