"""The pipeline: pieces of long input, blocks, and the graphs against the morphable model."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import SAMPLES, speech_like
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.front_end import STRIDE
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.errors import BundleError
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_estimator import PIECE, FaceEstimator
from voxface.runtime.live.events import EngineFailed, FaceEstimated
from voxface.runtime.live.session import LiveSession
from voxface.runtime.voice_to_face import VoiceToFace


@pytest.mark.parametrize("frames", [PIECE * STRIDE - 7, 2 * PIECE * STRIDE + 1, 3 * PIECE * STRIDE + 77, 13_000])
def test_pieces_of_long_input_are_the_whole(face_estimator: FaceEstimator, frames: int) -> None:
    features = np.random.default_rng(0).normal(size=(1, 64, frames)).astype(np.float32)
    embedding, frame_embeddings = face_estimator._encode(features)
    whole = face_estimator._encoder.run({"log_mel": features})
    assert frame_embeddings.shape == whole["columns"][0].shape
    np.testing.assert_allclose(frame_embeddings, whole["columns"][0], atol=1e-4)
    np.testing.assert_allclose(embedding, whole["embedding"][0], atol=1e-5)


def test_the_estimate_keeps_its_contract(voice_to_face: VoiceToFace) -> None:
    speech, estimate = voice_to_face.estimate_file(SAMPLES[0])
    model = voice_to_face.morphable
    assert estimate.image.shape == (128, 128, 3)
    assert estimate.image.dtype == np.uint8
    assert estimate.coefficients.shape == (model.modes,)
    assert estimate.vertices.dtype == np.float32
    ageless = replace(estimate, attributes=replace(estimate.attributes, age=None))
    np.testing.assert_array_equal(ageless.vertices, model.vertices(estimate.coefficients))
    assert estimate.measurements_mm == pytest.approx(model.measure(estimate.vertices), rel=1e-5)
    assert estimate.start == speech.segments[0][0]
    assert estimate.end == speech.segments[-1][1]
    assert set(estimate.stages_ns) == {"vad", "features", "encoder", "face", "mesh", "attributes"}


@pytest.mark.parametrize(
    ("network", "number"),
    [("encoder", np.nan), ("encoder", np.inf), ("face", np.nan), ("mesh", np.nan), ("mesh", -np.inf), ("mesh", 1e38)],
)
def test_what_is_no_number_makes_no_face(default_bundle: Bundle, network: str, number: float) -> None:
    """One value of one output: NaN compares as false, so that it would look like any face."""
    with FaceEstimator(default_bundle) as broken:
        engine = getattr(broken, f"_{network}")

        class Overflowing:
            inputs, outputs = engine.inputs, engine.outputs

            def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
                out = {name: values.copy() for name, values in engine.run(feeds).items()}
                for values in out.values():
                    values[..., -1] = number
                return out

        setattr(broken, f"_{network}", Overflowing())
        speech = broken.listen([speech_like(3.0)])
        with pytest.raises(
            BundleError,
            match=rf"default: the {network} network gave numbers that are not finite, or beyond ±1,000,000, on cpu; use",
        ):
            broken.estimate(speech)
        for mode in ("exact", "incremental"):
            session = LiveSession(broken, LiveConfig(mode=mode))
            events = session.feed(speech_like(3.0)) + session.finish()
            assert any(isinstance(event, EngineFailed) for event in events)
            assert not any(isinstance(event, FaceEstimated) for event in events)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e7])
def test_frame_embeddings_that_are_no_numbers_are_not_called_sure(default_bundle: Bundle, number: float) -> None:
    """The embedding beside them is as it was: their agreement, which the confidence counts, would be taken for a full one."""
    with FaceEstimator(default_bundle) as broken:
        engine = broken.encoder

        class OnlyColumns:
            inputs, outputs = engine.inputs, engine.outputs

            def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
                out = engine.run(feeds)
                columns = out["columns"].copy()
                columns[0, 3, 1] = number
                return {**out, "columns": columns}

        broken._encoder = OnlyColumns()  # type: ignore[assignment]
        with pytest.raises(BundleError, match="the encoder network gave numbers that are not finite, or beyond"):
            broken.estimate(broken.listen([speech_like(3.0)]))


def test_feeding_in_blocks_changes_nothing(face_estimator: FaceEstimator) -> None:
    audio = speech_like(5.0)
    whole = face_estimator.estimate(face_estimator.listen([audio]))
    blocks = face_estimator.estimate(face_estimator.listen(np.array_split(audio, 37)))
    np.testing.assert_array_equal(whole.embedding, blocks.embedding)
    np.testing.assert_array_equal(whole.image, blocks.image)
    np.testing.assert_array_equal(whole.vertices, blocks.vertices)


def test_a_picture_stays_while_the_voice_has_hardly_moved(face_estimator: FaceEstimator) -> None:
    speech = face_estimator.listen(read_blocks(SAMPLES[0]))
    first = face_estimator.estimate(speech)
    assert not first.image_reused
    turned = np.roll(first.embedding, 1)

    def moved(by: float) -> np.ndarray:
        """An embedding of unit length at distance `by` from the first."""
        aside = turned - (turned @ first.embedding) * first.embedding
        aside /= np.linalg.norm(aside)
        angle = 2 * np.arcsin(by / 2)
        return (np.cos(angle) * first.embedding + np.sin(angle) * aside).astype(np.float32)

    def face(embedding: np.ndarray, before: Estimate | None, image_reuse_distance: float) -> Estimate:
        return face_estimator.decode(
            speech, embedding, first.frame_embeddings, before=before, image_reuse_distance=image_reuse_distance
        )

    near = face(moved(0.09), first, 0.1)
    assert near.image_reused
    assert near.image is first.image
    assert (near.coefficients != first.coefficients).any(), "the mesh moves all the same"
    # What counts is how far it is from what the picture is of, not from the estimate before.
    far = face(moved(0.15), near, 0.1)
    assert not far.image_reused
    np.testing.assert_array_equal(far.image, face(moved(0.15), None, 0.1).image)
    assert (far.image != first.image).any()
    assert not face(moved(0.01), first, 0.0).image_reused


def test_one_graph_makes_the_same_face(default_bundle: Bundle) -> None:
    pytest.importorskip("onnx", reason="onnx comes with voxface[train]")
    from voxface.export.fused_graph import with_fused

    with FaceEstimator(default_bundle) as three, FaceEstimator(with_fused(default_bundle), fused=True) as one:
        one.warm_up()
        for audio in (speech_like(3.0), speech_like(9.0), np.tile(speech_like(9.0), 10)):  # the last in pieces
            expected, got = (voice.estimate(voice.listen([audio])) for voice in (three, one))
            np.testing.assert_allclose(got.embedding, expected.embedding, atol=1e-5)
            np.testing.assert_allclose(got.coefficients, expected.coefficients, atol=1e-4)
            assert np.abs(got.image.astype(int) - expected.image).max() <= 1
            assert set(got.stages_ns) == set(expected.stages_ns)
        assert FaceEstimator(with_fused(default_bundle))._fused is None, "on a CPU it gains nothing"
