"""The log-mel front end: golden values, any chunking, and an independent formula."""

import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import speech_like
from voxface.runtime.config.front_end import NORMALISATIONS, FrontEndConfig
from voxface.runtime.features.log_mel import LogMelStream, log_mel, mel_filters
from voxface.runtime.features.normalisation import LEVEL_UNIT, network_input, normalise

AUDIO = speech_like(3.0)


@pytest.mark.speech
@pytest.mark.parametrize("clip", ["clip1", "clip2", "clip3", "clip4"])
def test_the_authors_values(shared: Path, clip: str) -> None:
    golden = np.load(shared / "conformance" / f"{clip}.npz")
    frames = log_mel(golden["voiced"])
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, golden["logmel"], atol=1e-3, rtol=0)
    np.testing.assert_allclose(normalise(frames), golden["normalised"], atol=1e-3, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, len(AUDIO)),
    st.lists(st.one_of(st.integers(0, 900), st.sampled_from([1, 159, 160, 161, 399, 400, 401, 8000])), max_size=300),
)
def test_any_chunking_gives_the_same_bits(length: int, sizes: list[int]) -> None:
    audio = AUDIO[:length]
    stream = LogMelStream()
    parts, at = [], 0
    for size in [*sizes, length]:
        parts.append(stream.feed(audio[at : at + size]))
        at += size
    parts.append(stream.finish())
    streamed = np.concatenate(parts)
    assert len(streamed) == stream.frames == length // 160 + 1
    np.testing.assert_array_equal(streamed.view(np.uint32), log_mel(audio).view(np.uint32))


def test_two_streams_in_turns_do_not_disturb_each_other() -> None:
    """Each keeps working memory between calls, larger and smaller than a block of frames."""
    streams = LogMelStream(), LogMelStream()
    sounds = AUDIO[:24_000], AUDIO[::-1][:24_000].copy()
    parts: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for first, last in ((0, 1600), (1600, 20_000), (20_000, 20_200), (20_200, 24_000)):
        for stream, sound, got in zip(streams, sounds, parts, strict=True):
            got.append(stream.feed_with_tail(sound[first:last])[0])  # the tail is asked for at every estimate
    for stream, sound, got in zip(streams, sounds, parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([*got, stream.finish()]), log_mel(sound))


def test_one_sample_at_a_time_gives_the_same_bits() -> None:
    audio = AUDIO[:2500]
    stream = LogMelStream()
    parts = [stream.feed(audio[i : i + 1]) for i in range(len(audio))]
    np.testing.assert_array_equal(np.concatenate([*parts, stream.finish()]), log_mel(audio))


@pytest.mark.parametrize("length", [1, 100, 160, 399, 400, 401, 559, 560, 561, 720, 12_345])
def test_against_the_formula_written_out(length: int) -> None:
    """Frame by frame with a matrix product, as facts of the published front end are told."""
    audio = AUDIO[8000 : 8000 + length].astype(float)
    filters = mel_filters(FrontEndConfig())
    previous = 0.0
    for index, got in enumerate(log_mel(AUDIO[8000 : 8000 + length])):
        frame = np.resize(audio[index * 160 : index * 160 + 400], 400)
        emphasised = frame - 0.97 * np.concatenate([[previous], frame[:-1]])
        previous = frame[-1]
        power = np.abs(np.fft.rfft(emphasised * np.hamming(400), 1024)) ** 2
        np.testing.assert_allclose(got, np.log(np.maximum(power @ filters, 1e-5)), atol=1e-5)


def test_filters_are_triangles_of_area_one() -> None:
    filters = mel_filters(FrontEndConfig())
    assert filters.shape == (513, 64)
    assert (filters >= 0).all()
    peaks = filters.argmax(0) * 16_000 / 1024
    assert (np.diff(peaks) >= 0).all()
    assert 20 < peaks[0] < peaks[-1] < 7200
    np.testing.assert_allclose(filters[:, 20:].sum(0) * 16_000 / 1024, 1, atol=1e-9)


def test_normalised_bins_have_mean_zero_and_deviation_one() -> None:
    ready = normalise(log_mel(AUDIO))
    np.testing.assert_allclose(ready.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(ready.std(0), 1, atol=1e-3)


@pytest.mark.parametrize("frames", [1, 7, 830, 30_000])
def test_a_bin_that_never_changes_is_zero(frames: int) -> None:
    same = np.random.default_rng(7).normal(3, 2, 64).astype(np.float32)
    np.testing.assert_array_equal(normalise(np.tile(same, (frames, 1))), 0)


def test_a_long_clip_is_normalised_as_well_as_a_short_one() -> None:
    """Five minutes: sums in single precision alone would be off by some 1e-5."""
    frames = np.random.default_rng(0).normal(8, 3, (30_000, 64)).astype(np.float32)
    wide = frames.astype(np.float64)
    np.testing.assert_allclose(normalise(frames), (wide - wide.mean(0)) / wide.std(0), atol=4e-6, rtol=0)


@pytest.mark.parametrize("loudness", [-40.0, 0.0, 3.5])
@pytest.mark.parametrize("count", [1, 5, 3_000])
def test_of_the_level_only_the_level_is_taken_away(loudness: float, count: int) -> None:
    frames = np.random.default_rng(1).normal(8, 3, (count, 64)).astype(np.float32)
    ready = normalise(frames + np.float32(loudness), "level")
    np.testing.assert_allclose(ready, (frames - frames.mean(dtype=np.float64)) / LEVEL_UNIT, atol=3e-5, rtol=0)
    again = normalise(np.tile(frames, (2, 1)), "level")  # a short window is repeated
    np.testing.assert_allclose(again[:count], ready, atol=3e-5, rtol=0)


@pytest.mark.parametrize("how", NORMALISATIONS)
@pytest.mark.parametrize("frames", [1, 37, 999, 1000, 1001, 1700])
def test_short_input_is_tiled_and_long_input_kept_whole(frames: int, how: str, rng: np.random.Generator) -> None:
    given_frames = rng.normal(size=(frames, 64)).astype(np.float32)
    ready = network_input(given_frames, how=how)
    assert ready.shape == (1, 64, max(frames, 1000))
    assert ready.flags.c_contiguous
    np.testing.assert_array_equal(ready[0, :, 0], ready[0, :, frames % ready.shape[2]])
    np.testing.assert_array_equal(ready[0, :, :frames].T, normalise(given_frames, how)[: ready.shape[2]])


@pytest.mark.parametrize("cut", [0, 700, 16_000])
def test_a_copy_of_a_stream_goes_on_by_itself(cut: int) -> None:
    stream = LogMelStream()
    begun = stream.feed(AUDIO[:cut])
    other = copy.deepcopy(stream)
    other.feed(AUDIO[::-1][:5000].copy())
    np.testing.assert_array_equal(np.concatenate([begun, *stream.feed_with_tail(AUDIO[cut:])]), log_mel(AUDIO))


@pytest.mark.parametrize("fft", [1024, 1025])
def test_with_the_public_fft_of_numpy_the_bits_are_the_same(fft: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = FrontEndConfig(fft=fft)
    direct = log_mel(AUDIO, config)
    monkeypatch.setattr("voxface.runtime.features.log_mel._rfft_n_even", None)
    np.testing.assert_array_equal(direct.view(np.uint32), log_mel(AUDIO, config).view(np.uint32))


@pytest.mark.parametrize(
    "config",
    [
        FrontEndConfig(mels=41),
        FrontEndConfig(window=400, fft=400, mels=30),
        FrontEndConfig(window=320, fft=513, mels=20),
    ],
)
def test_other_settings_against_the_formula(config: FrontEndConfig) -> None:
    audio = AUDIO[8000:11_000].astype(float)
    previous = 0.0
    for index, got in enumerate(log_mel(AUDIO[8000:11_000], config)):
        frame = np.resize(audio[index * 160 : index * 160 + config.window], config.window)
        emphasised = frame - 0.97 * np.concatenate([[previous], frame[:-1]])
        previous = frame[-1]
        power = np.abs(np.fft.rfft(emphasised * np.hamming(config.window), config.fft)) ** 2
        wanted = np.log(np.maximum(power @ mel_filters(config), 1e-5))
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_memory_does_not_grow_with_the_stream() -> None:
    stream = LogMelStream()
    for _ in range(50):
        stream.feed(AUDIO)
        assert stream._compute.held < 400


def test_a_finished_stream_says_so() -> None:
    stream = LogMelStream()
    stream.feed(AUDIO)
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.feed(AUDIO)
    with pytest.raises(ValueError, match="finished"):
        stream.finish()


@pytest.mark.parametrize("samples", [np.zeros(10, np.float32), np.zeros((2, 10), np.int16)])
def test_wrong_samples_are_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected int16 \[n\]"):
        LogMelStream().feed(samples)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="ascending"):
        FrontEndConfig(hop=500)
    with pytest.raises(ValueError, match="a frame each 10 ms"):
        FrontEndConfig(hop=80)
    with pytest.raises(ValueError, match="a frame each 10 ms"):
        FrontEndConfig(window=500)
    with pytest.raises(ValueError, match="256 mel bins are narrower"):
        FrontEndConfig(mels=256)
    with pytest.raises(ValueError, match="mel range"):
        FrontEndConfig(high_hz=9000)
