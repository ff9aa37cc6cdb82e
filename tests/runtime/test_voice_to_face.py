"""The pipeline: pieces of long input, blocks, and the graphs against the morphable model."""

import numpy as np
import pytest

from tests.conftest import SAMPLES, speech_like
from voxface.runtime.voice_to_face import PIECE, STRIDE, VoiceToFace


@pytest.mark.parametrize("frames", [PIECE * STRIDE - 7, 2 * PIECE * STRIDE + 1, 3 * PIECE * STRIDE + 77, 13_000])
def test_pieces_of_long_input_are_the_whole(voice_to_face: VoiceToFace, frames: int) -> None:
    features = np.random.default_rng(0).normal(size=(1, 64, frames)).astype(np.float32)
    embedding, columns = voice_to_face._encode(features)
    whole = voice_to_face._encoder.run({"log_mel": features})
    assert columns.shape == whole["columns"][0].shape
    np.testing.assert_allclose(columns, whole["columns"][0], atol=1e-4)
    np.testing.assert_allclose(embedding, whole["embedding"][0], atol=1e-5)


def test_the_estimate_keeps_its_contract(voice_to_face: VoiceToFace) -> None:
    speech, estimate = voice_to_face.estimate_file(SAMPLES[0])
    model = voice_to_face.morphable
    assert estimate.image.shape == (64, 64, 3)
    assert estimate.image.dtype == np.uint8
    assert estimate.coefficients.shape == (model.modes,)
    assert estimate.vertices.dtype == np.float32
    np.testing.assert_array_equal(estimate.vertices, model.vertices(estimate.coefficients))
    assert estimate.measurements_mm == pytest.approx(model.measure(estimate.vertices), rel=1e-5)
    assert estimate.start == speech.segments[0][0]
    assert estimate.end == speech.segments[-1][1]
    assert set(estimate.stages_ns) == {"vad", "features", "encoder", "face", "mesh"}


def test_feeding_in_blocks_changes_nothing(voice_to_face: VoiceToFace) -> None:
    audio = speech_like(5.0)
    whole = voice_to_face.estimate(voice_to_face.listen([audio]))
    blocks = voice_to_face.estimate(voice_to_face.listen(np.array_split(audio, 37)))
    np.testing.assert_array_equal(whole.embedding, blocks.embedding)
    np.testing.assert_array_equal(whole.image, blocks.image)
    np.testing.assert_array_equal(whole.vertices, blocks.vertices)
