"""The trained parts of a bundle: what they say, bundles without them, and damaged ones."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.live_session import voice
from voxface.cli import main
from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR
from voxface.runtime.bundle.manifest import MANIFEST
from voxface.runtime.bundle.speaker_embedding_file import SPEAKER_EMBEDDING, read_layers, write_layers
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.errors import BundleError
from voxface.runtime.inference.confidence import confidence
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import FaceEstimated, SpeakerChanged
from voxface.runtime.live.session import LiveSession
from voxface.training.data.synthetic_music import music


def run(*words: object) -> int:
    return main([str(word) for word in words])


def bare(bundle: Bundle) -> Bundle:
    """The bundle without its trained parts, as an older voxface wrote it."""
    return bundle.replacing(
        files={SPEAKER_EMBEDDING: None, FACE_POSTERIOR: None},
        speech_modulation=None,
        speaker_change=None,
        face_posterior=None,
        age=None,
    )


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bare(Bundle.open()).write(tmp_path_factory.mktemp("bare") / "bare.voxface")


def test_the_default_bundle_has_what_was_trained(default_bundle: Bundle) -> None:
    assert not default_bundle.missing_parts
    assert default_bundle.speech_modulation == SpeechModulationWeights(
        Movement(1.143, 0.357), Movement(6.599, 14.329), 1.24
    )
    weights = default_bundle.speaker_change
    assert weights is not None
    assert (weights.encoder, weights.speaker_embedding, weights.threshold) == (6.805, 4.291, 1.0)
    assert sum(weight.size + bias.size for weight, bias in weights.layers) == 76_208
    entry = default_bundle.manifest.speaker_change
    assert entry is not None
    assert entry.encoder_sha256 == default_bundle.graph_digests()["encoder"]


def test_without_parts_music_passes_and_speakers_are_one(without: Bundle, face_estimator: FaceEstimator) -> None:
    both = np.concatenate([voice(0), voice(1)])
    with FaceEstimator(without) as plain:
        session = LiveSession(plain, LiveConfig(hop=3200))
        events = session.feed(both) + session.finish()
        assert [event for event in events if isinstance(event, FaceEstimated)]
        assert not [event for event in events if isinstance(event, SpeakerChanged)]
        speech = plain.listen([voice(0)])
        found, expected = plain.estimate(speech), face_estimator.estimate(speech)
        np.testing.assert_array_equal(found.image, expected.image)
        assert found.confidence == confidence(1.0, found.frame_embeddings, speech.voiced_seconds) > expected.confidence
        faces = []
        for estimator in (plain, face_estimator):
            session = LiveSession(estimator, LiveConfig(hop=3200))
            events = session.feed(music(7001, 6)) + session.finish()
            faces.append(sum(isinstance(event, FaceEstimated) for event in events))
        assert faces[0] > faces[1] == 0


def test_a_bundle_without_parts_says_so(
    without: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("run", SAMPLES[0], "--bundle", without.path, "--out", tmp_path / "out", "--json") == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["clips"]) == 1
    (line,) = said.err.splitlines()
    assert line.startswith(f"voxface: warning: {without.path}: no weights of the speech modulation, so music")
    words = ("live", "--bundle", without.path, "--source", SAMPLES[0], "--show", "none", "--json")
    assert run(*words) == 0
    said = capsys.readouterr()
    assert "speaker_changes" in json.loads(said.out)["counters"]
    asked = [without.missing_parts[part] for part in ("speech_modulation", "speaker_change")]
    assert [line.split(": ")[3] for line in said.err.splitlines()] == asked
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    assert run(*("auto" if word == "none" else word for word in words), "--uncertainty") == 0
    warned = capsys.readouterr().err
    assert all(part in warned for part in (*asked, without.missing_parts["face_posterior"]))
    assert run(*words, "--one-speaker") == 0
    assert "speaker change" not in capsys.readouterr().err
    assert run("bundle", "verify", without.path) == 0
    assert run("bundle", "info", without.path) == 0
    assert capsys.readouterr().out.count("  without      ") == 4
    assert run("doctor", "--bundle", without.path, "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["bundle"]["missing_parts"]) == {
        "speech_modulation",
        "speaker_change",
        "face_posterior",
        "age",
    }


def test_info_names_the_parts(default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bundle", "info") == 0
    assert "evidence 1 on, trained for this voice encoder" in capsys.readouterr().out
    assert run("bundle", "info", "--json") == 0
    assert json.loads(capsys.readouterr().out)["speaker_change"]["threshold"] == 1.0
    other = replace(default_bundle.manifest.speaker_change, encoder_sha256="0" * 64)
    default_bundle.replacing(speaker_change=other).write(tmp_path / "other.voxface")
    assert run("bundle", "info", tmp_path / "other.voxface") == 0
    assert "before its precision was changed, or another" in capsys.readouterr().out


# -- damaged parts ---------------------------------------------------------------------------------------------------------


def changed_layers(change: Callable[[list[Any]], None]) -> bytes:
    layers = [[weight.copy(), bias.copy()] for weight, bias in Bundle.open().speaker_change.layers]
    change(layers)
    return write_layers(tuple((weight, bias) for weight, bias in layers))


def _nan(layers: list[Any]) -> None:
    layers[2][0][3, 4] = np.nan


def _narrow(layers: list[Any]) -> None:
    layers[1][0] = layers[1][0][:-1]


def _bias(layers: list[Any]) -> None:
    layers[3][1] = layers[3][1][:-1]


def _fewer(layers: list[Any]) -> None:
    del layers[4]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: changed_layers(_nan), "layer 2 holds NaN or infinity"),
        (lambda: changed_layers(_narrow), "layer 1 takes 191 numbers, not 3 × 64"),
        (lambda: changed_layers(_bias), "layer 3: weight .* does not go with bias"),
        (lambda: changed_layers(_fewer), "4 layers, not 5"),
        (lambda: b"no archive", "no zip archive"),
        (lambda: (DEFAULT / SPEAKER_EMBEDDING).read_bytes()[:30_000], "not a speaker embedding network"),
        (lambda: _archive(other=np.zeros(3)), "not a speaker embedding network"),
        (lambda: _archive(weight0=np.array(["a", "b"]), bias0=np.zeros(2)), "not a speaker embedding network"),
    ],
)
def test_a_damaged_network_is_exit_code_6(
    default_bundle: Bundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    data: Callable[[], bytes],
    reason: str,
) -> None:
    with pytest.raises(BundleError, match=reason):
        read_layers(data())
    path = tmp_path / "damaged.voxface"
    default_bundle.replacing(files={SPEAKER_EMBEDDING: data()}).write(path)
    for words in (("bundle", "verify", path), ("live", "--bundle", path, "--source", SAMPLES[0], "--show", "none")):
        assert run(*words) == 6
        assert f"{path}: {SPEAKER_EMBEDDING}: not a speaker embedding network" in capsys.readouterr().err
    assert run("doctor", "--bundle", path) == 5


def _archive(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("speech_modulation", {"bias": None}, "speech_modulation.bias is None"),
        ("speech_modulation", {"bias": float("nan")}, "speech_modulation.bias is nan, not a finite number"),
        ("speech_modulation", {"centre": {"change": 1.0}}, "speech_modulation.centre.syllables is missing"),
        ("speech_modulation", {"weight": [6.6, 14.3]}, "speech_modulation.weight is no object"),
        ("speaker_change", {"threshold": "high"}, "speaker_change.threshold is 'high', not a finite number"),
        ("speaker_change", {"file": "none.npz"}, "it lists no file for speaker_change"),
        ("speaker_change", {"weights": {"encoder": 1}}, "speaker_change.weights.speaker_embedding is missing"),
    ],
)
def test_a_damaged_entry_is_exit_code_6(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, change: dict[str, Any], reason: str
) -> None:
    from voxface.runtime.bundle.manifest import digest

    shutil.copytree(DEFAULT, tmp_path / "copy")
    document = json.loads((DEFAULT / MANIFEST).read_text())
    document[part] |= change
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps({**document, "sha256": digest(document)}))
    assert run("bundle", "verify", tmp_path / "copy") == 6
    assert reason in capsys.readouterr().err


def test_too_few_weights_and_a_file_that_is_gone(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = default_bundle.manifest.speaker_change
    assert entry is not None
    few = replace(entry, weights=replace(entry.weights, cepstra=(1.0, 2.0)))
    with pytest.raises(BundleError, match="speaker_change: 2 weights of cepstra, not 12"):
        default_bundle.replacing(speaker_change=few).write(tmp_path / "few.voxface")
    shutil.copytree(DEFAULT, tmp_path / "gone")
    (tmp_path / "gone" / SPEAKER_EMBEDDING).unlink()
    assert run("run", SAMPLES[0], "--bundle", tmp_path / "gone", "--out", tmp_path / "out") == 6
    assert f"{SPEAKER_EMBEDDING} is missing" in capsys.readouterr().err


def test_the_network_survives_its_file_to_the_bit(default_bundle: Bundle) -> None:
    weights = default_bundle.speaker_change
    assert weights is not None
    for one, other in zip(weights.layers, read_layers(write_layers(weights.layers)), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_network_for_other_mel_bins_or_of_a_huge_shape_is_refused(
    default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (weight, bias), *others = read_layers(default_bundle.files[SPEAKER_EMBEDDING])
    fewer = write_layers(((weight[: len(weight) // 2], bias), *others))
    bundle = default_bundle.replacing(files={SPEAKER_EMBEDDING: fewer}).write(tmp_path / "fewer")
    with pytest.raises(BundleError, match="the network takes 32 mel bins, the front end makes 64"):
        _ = bundle.speaker_change
    assert main(["bundle", "verify", str(bundle.path)]) == 6
    assert "32 mel bins" in capsys.readouterr().err
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**9)})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        for name in ("weight0.npy", "bias0.npy"):
            z.writestr(name, header.getvalue())
    with pytest.raises(BundleError, match="not a speaker embedding network"):
        read_layers(archive.getvalue())
