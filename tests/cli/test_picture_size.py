"""A bundle whose pictures have 256×256 pixels, through every command that shows, stores or compares them."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with voxface[train]")

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.half_block_reader import read_half_blocks
from tests.stand_ins.larger_picture import larger_picture
from voxface.cli.live.pictures.half_blocks import HalfBlocks
from voxface.cli.live.terminal import Terminal
from voxface.export.fused_graph import with_fused
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.resize import resized
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_inline
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.sources import FileSource
from voxface.runtime.live.stop import Stop
from voxface.runtime.voice_to_face import VoiceToFace


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return larger_picture().write(tmp_path_factory.mktemp("bundle") / "large")


def size_of_png(file: Path) -> tuple[int, int]:
    width, height = struct.unpack(">II", file.read_bytes()[16:24])
    return width, height


def test_the_estimate_has_the_size_of_the_graph(bundle: Bundle, voice_to_face: VoiceToFace) -> None:
    with VoiceToFace(bundle) as larger:
        large = larger.estimate_file(SAMPLES[0])[1]
    small = voice_to_face.estimate_file(SAMPLES[0])[1]
    assert (large.image.shape, small.image.shape) == ((256, 256, 3), (128, 128, 3))
    halved = resized(large.image, 128).astype(int)
    assert np.abs(halved - small.image)[1:-1, 1:-1].mean() < 2, "the same face, larger"
    np.testing.assert_array_equal(large.vertices, small.vertices)


def test_verify_and_info(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bundle", "verify", bundle.path, "--json") == 0
    assert "face" in json.loads(capsys.readouterr().out)["verified"]
    assert run("bundle", "info", bundle.path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["graphs"]["face"]["outputs"]["image"]["shape"] == ["B", 3, 256, 256]


def test_run_writes_pictures_of_its_own_size(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", SAMPLES[0], "--bundle", bundle.path, "--out", tmp_path / "out", "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert size_of_png(Path(clip["face"])) == (256, 256)
    assert "image-rendering: auto" in (tmp_path / "out" / "report.html").read_text()  # the browser interpolates


@pytest.mark.parametrize("mode", ["exact", "incremental"])
def test_a_recording_and_its_replay(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    words = ["--source", SAMPLES[0], "--seconds", 2, "--mode", mode, "--record", tmp_path / "a"]
    assert run("live", "--bundle", bundle.path, *words) == 0
    faces = list((tmp_path / "a" / "faces").iterdir())
    assert faces
    assert {size_of_png(face) for face in faces} == {(256, 256)}
    capsys.readouterr()
    assert run("live", "--bundle", bundle.path, "--replay", tmp_path / "a", "--json") == 0
    assert json.loads(capsys.readouterr().out)["replay"]["identical"] is True


def test_the_fused_graph(bundle: Bundle) -> None:
    with FaceEstimator(with_fused(bundle), fused=True) as fused, FaceEstimator(bundle) as apart:
        speech = apart.listen(read_blocks(SAMPLES[0]))
        one, other = (estimator.face_of_sound(speech)[1].image for estimator in (fused, apart))
    assert one.shape == (256, 256, 3)
    assert np.abs(one.astype(int) - other).max() <= 1


def test_the_terminal_shows_the_same_face(bundle: Bundle, face_estimator: FaceEstimator) -> None:
    shown = []
    with FaceEstimator(bundle) as larger:
        for estimator in (larger, face_estimator):
            stream = io.StringIO()
            pipeline = Pipeline(LiveSession(estimator), SystemClock())
            terminal = Terminal(stream, pipeline, estimator.morphable, HalfBlocks(), size=lambda: (80, 21))
            pipeline.sink_workers.append(SinkWorker(terminal, SystemClock(), "here", lambda _: None))
            run_inline(FileSource(SAMPLES[0]), pipeline, Stop(), [])
            lines = [read_half_blocks(line) for line in stream.getvalue().split("\n")]
            rows = [line for line in lines if line][-16:]
            assert [len(row) for row in rows] == [64] * 16
            shown.append(np.array(rows, int))
    assert np.abs(shown[0] - shown[1]).mean() < 3
    assert shown[0].std() > 20
