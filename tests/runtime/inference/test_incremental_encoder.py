"""Running statistics, and the incremental voice encoder against the whole-window ones."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SAMPLES
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.front_end import NORMALISATIONS, PROVISIONAL, STRIDE
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.engine import Array
from voxface.runtime.features.log_mel import FrameWindow
from voxface.runtime.features.normalisation import LEVEL_UNIT, RunningNormalisation, network_input, normalise
from voxface.runtime.inference.encoder_blocks import encoder_blocks
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.inference.incremental import INTERPOLATED, IncrementalEncoder

WINDOW = 800
HOP = 10


class Counting:
    """An engine that counts frames, fails and lies when told to."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.frames: list[int] = []
        self.failing = self.lying = False

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        self.frames.append(feeds["log_mel"].shape[2])
        if self.failing:
            raise RuntimeError("no more memory on the device")
        found = self._engine.run(feeds)
        return {name: value * np.float32("nan") for name, value in found.items()} if self.lying else found


class Sums:
    """An engine whose columns are what the voice encoder's could be: a window of 63 frames, zeros beyond the edges."""

    inputs: ClassVar = {"log_mel": TensorSpec("float32", ("B", 8, "T"))}
    outputs: ClassVar = {"columns": TensorSpec("float32", ("B", 8, "C"))}

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        frames = feeds["log_mel"][0]
        padded = np.pad(frames, ((0, 0), (STRIDE - 1, STRIDE)))
        places = range(0, frames.shape[1], STRIDE)
        frame_embeddings = [padded[:, place : place + 2 * STRIDE - 1] @ WEIGHTS for place in places]
        return {"columns": np.stack(frame_embeddings, 1)[None]}


WEIGHTS = np.random.default_rng(0).normal(size=2 * STRIDE - 1).astype(np.float32)


def frames_of(count: int, mels: int = 8, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 0.2, (count, mels)), 0)
    return (5 + 3 * np.sin(walk) + rng.normal(0, 1, (count, mels))).astype(np.float32)


def live(first: int, frames: Array) -> FrameWindow:
    """A window of a stream that goes on."""
    return FrameWindow(first, frames, max(0, len(frames) - PROVISIONAL))


@pytest.fixture(scope="module")
def speech(face_estimator: FaceEstimator) -> Array:
    return np.concatenate([face_estimator.listen(read_blocks(Path(path))).log_mel for path in SAMPLES])


def windows(count: int, hop: int = HOP, begin: int = 100, longest: int = WINDOW) -> list[tuple[int, int]]:
    return [(max(0, end - longest), end) for end in range(begin, count + 1, hop)]


# -- statistics ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 120)), min_size=1, max_size=25),
    st.integers(0, 2**40),
    st.integers(0, 3),
)
def test_statistics_are_those_of_the_window(steps: list[tuple[int, int]], start: int, provisional: int) -> None:
    frames = frames_of(4000)
    statistics, first, end = RunningNormalisation(8), 0, 5
    for dropped, added in steps:
        end += added
        first = min(first + dropped, end - 4)
        mean, deviation = statistics.measure(FrameWindow(start + first, frames[first:end], end - first - provisional))
        wide = frames[first:end].astype(np.float64)
        np.testing.assert_allclose(mean, wide.mean(0), rtol=0, atol=1e-10)
        np.testing.assert_allclose(deviation, wide.std(0), rtol=0, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 120)), min_size=1, max_size=12))
def test_the_level_is_that_of_the_window(steps: list[tuple[int, int]]) -> None:
    frames = frames_of(2000)
    statistics, first, end = RunningNormalisation(8, "level"), 0, 5
    for dropped, added in steps:
        end += added
        first = min(first + dropped, end - 4)
        mean, unit = statistics.measure(FrameWindow(first, frames[first:end], end - first))
        np.testing.assert_allclose(mean, np.full(8, frames[first:end].mean(dtype=np.float64)), rtol=0, atol=1e-10)
        np.testing.assert_array_equal(unit, LEVEL_UNIT)


def test_statistics_do_not_drift_in_a_long_stream() -> None:
    """Four million frames, eleven hours, by way of one loud one that would leave its rounding in a sum kept for ever."""
    frames = frames_of(100_000)
    frames[5000] = 1e6
    statistics, longest = RunningNormalisation(8), 0.0
    for turn in range(40):
        for end in range(WINDOW, len(frames), 1037):
            window = frames[end - WINDOW : end]
            mean, deviation = statistics.measure(FrameWindow(turn * len(frames) + end - WINDOW, window, WINDOW))
        wide = window.astype(np.float64)
        longest = max(longest, float(np.abs(mean - wide.mean(0)).max()), float(np.abs(deviation - wide.std(0)).max()))
    assert longest < 1e-10
    assert len(statistics._sums) <= WINDOW // 32 + 1


def test_frames_that_are_all_the_same_have_no_spread() -> None:
    same = np.full((500, 8), np.float32(-11.512925))
    mean, deviation = RunningNormalisation(8).measure(FrameWindow(7, same, 497))
    np.testing.assert_allclose(mean, same[0], rtol=1e-12)
    assert deviation.max() < 1e-6


# -- encoder ---------------------------------------------------------------------------------------------------------------


def sliding(count: int, hop: int = HOP, begin: int = 100, longest: int = WINDOW) -> list[tuple[int, int]]:
    """As live windows slide: by whole columns."""
    return [(max(0, end - longest) // STRIDE * STRIDE, end) for end in range(begin, count + 1, hop)]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(40, 1400),
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.integers(0, 2**40),
    st.sampled_from(NORMALISATIONS),
)
def test_with_everything_encoded_it_is_the_whole_input(begin: int, hops: list[int], start: int, how: str) -> None:
    frames = frames_of(begin + sum(hops))
    encoder = IncrementalEncoder(Sums(), 1000, how, drift_limit=-1)
    end = begin
    for hop in hops:
        end += hop
        first = max(0, end - WINDOW)
        _, frame_embeddings = encoder.encode(live(start + first, frames[first:end]))
        whole = Sums().run({"log_mel": network_input(frames[first:end], how=how)})["columns"][0]
        np.testing.assert_allclose(frame_embeddings, whole, rtol=0, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 1400),
    st.lists(st.tuples(st.integers(0, 70), st.integers(1, 90)), min_size=1, max_size=25),
    st.integers(0, 2**40),
)
def test_what_is_remembered_stands_where_it_stood(begin: int, hops: list[tuple[int, int]], start: int) -> None:
    """Frames that need no normalising, in windows that slide and grow anyhow: every column is right, however old."""
    frames = frames_of(begin + sum(added for _, added in hops))
    encoder = IncrementalEncoder(Sums(), 1000, drift_limit=1e9)
    encoder._statistics = Untouched()  # type: ignore[assignment]
    first, end = 0, begin
    for dropped, added in hops:
        first, end = min(first + dropped, end - 1), end + added
        window = frames[first:end].copy()
        window[-PROVISIONAL:] += 1  # they will be others the next time
        _, frame_embeddings = encoder.encode(live(start + first, window))
        whole = Sums().run({"log_mel": np.resize(window, (max(len(window), 1000), 8)).T[None]})["columns"][0]
        np.testing.assert_allclose(frame_embeddings, whole, rtol=0, atol=1e-3)


class Untouched:
    """Statistics of frames that are normal already."""

    def __init__(self, mels: int = 8) -> None:
        self._mels = mels

    def measure(self, window: FrameWindow) -> tuple[Array, Array]:
        return np.zeros(self._mels), np.ones(self._mels)


@settings(max_examples=30, deadline=None)
@given(st.integers(768, 1100), st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(0, 2**40))
def test_copies_are_interpolated_between_their_neighbours(begin: int, hops: list[int], start: int) -> None:
    """Frames on a straight line, whose frame embeddings are on one too: what is interpolated is right, and the rest exact. At
    the end of the input the copy is taken as if it went on."""
    frames = np.arange(begin + sum(hops), dtype=np.float32)[:, None] * np.linspace(-0.01, 0.01, 8, dtype=np.float32)
    encoder, end = IncrementalEncoder(Sums(), 1000, "level", drift_limit=1e9), begin
    encoder._statistics = Untouched(1)  # type: ignore[assignment]
    for hop in hops:
        end += hop
        first = max(0, end - WINDOW) // STRIDE * STRIDE
        window = frames[first:end]
        embedding, frame_embeddings = encoder.encode(live(start + first, window))
        whole = Sums().run({"log_mel": np.resize(window, (max(len(window), 1000), 8)).T[None]})["columns"][0]
        goes_on = Sums().run({"log_mel": np.resize(window, (2000, 8)).T[None]})["columns"][0]
        assert frame_embeddings.shape == whole.shape
        final = len(window) - PROVISIONAL
        blocks = encoder_blocks(len(window), max(len(window), 1000), final, INTERPOLATED)
        np.testing.assert_allclose(frame_embeddings[:, blocks.block], whole[:, blocks.block], rtol=0, atol=1e-3)
        copied = sorted({*range(blocks.total)} - {*blocks.block})
        np.testing.assert_allclose(frame_embeddings[:, copied], goes_on[:, copied], rtol=0, atol=1e-3)
        mean = frame_embeddings.mean(1, dtype=np.float64)
        np.testing.assert_allclose(embedding, mean / np.linalg.norm(mean), rtol=0, atol=1e-6)


def test_of_a_full_window_only_its_ends_are_encoded(face_estimator: FaceEstimator, speech: Array) -> None:
    """With statistics that may drift: the seam, and every 32 frames a new frame embedding and the left edge."""
    engine = Counting(face_estimator.encoder)
    encoder = IncrementalEncoder(engine, 1000, "level", drift_limit=1e9)
    for first, end in sliding(len(speech), begin=WINDOW):
        encoder.encode(live(first, speech[first:end]))
    assert len(engine.frames) > 60
    assert set(engine.frames[4:]) == {3 * STRIDE, 5 * STRIDE}


def test_of_a_short_window_nothing_is_interpolated(face_estimator: FaceEstimator, speech: Array) -> None:
    ours, exact = (IncrementalEncoder(face_estimator.encoder, 1000, "level", interpolated=n) for n in (INTERPOLATED, 0))
    for end in range(100, 760, 6 * HOP):
        for mine, other in zip(ours.encode(live(0, speech[:end])), exact.encode(live(0, speech[:end])), strict=True):
            np.testing.assert_array_equal(mine, other)


def test_with_statistics_that_stay_every_column_is_the_whole_inputs(
    face_estimator: FaceEstimator, speech: Array
) -> None:
    """A window that repeats itself keeps its statistics: only the edges are encoded."""
    period = normalise(speech[:640])
    frames = np.tile(period, (4, 1))
    engine = Counting(face_estimator.encoder)
    encoder = IncrementalEncoder(engine, 640)
    for first in range(0, 3 * 640, STRIDE):
        window = frames[first : first + 640]
        embedding, frame_embeddings = encoder.encode(live(first, window))
        whole = face_estimator.encoder.run({"log_mel": network_input(window, 640)})
        scale = np.abs(whole["columns"]).max()
        np.testing.assert_allclose(frame_embeddings / scale, whole["columns"][0] / scale, rtol=0, atol=1e-5)
        np.testing.assert_allclose(embedding, whole["embedding"][0], rtol=0, atol=1e-5)
    assert engine.frames[0] == 640
    assert set(engine.frames[1:]) == {
        4 * STRIDE
    }  # the left edge, and two columns at the right with the block before them


def test_the_fuller_the_window_the_less_is_encoded(face_estimator: FaceEstimator, speech: Array) -> None:
    engine = Counting(face_estimator.encoder)
    encoder = IncrementalEncoder(engine, 1000)
    for first, end in sliding(len(speech)):
        encoder.encode(live(first, speech[first:end]))
    frames = np.array(engine.frames)
    assert frames[0] == 1000
    young, growing, full = frames[:20].mean(), frames[20:70].mean(), frames[80:].mean()
    assert young > growing > 1.1 * full
    assert full < 550  # half of what the exact way encodes
    assert len(encoder._places) == 1024


def test_a_longer_window_has_more_room(face_estimator: FaceEstimator, speech: Array) -> None:
    """In the new room there is nothing yet."""
    engine = Counting(face_estimator.encoder)
    encoder = IncrementalEncoder(engine, 1000)
    for end in (1000, 1010, 1020, 1030, 1040):
        embedding, _ = encoder.encode(live(0, speech[:end]))
        exact = face_estimator.encoder.run({"log_mel": network_input(speech[:end])})["embedding"][0]
        assert embedding @ exact > 0.995
    assert [frames < 600 for frames in engine.frames] == [False, True, True, False, True]
    assert len(encoder._places) == 2060


def test_it_is_near_the_exact_embedding(face_estimator: FaceEstimator, speech: Array) -> None:
    encoder = IncrementalEncoder(face_estimator.encoder, 1000)
    for first, end in sliding(len(speech) // 2):
        embedding, frame_embeddings = encoder.encode(live(first, speech[first:end]))
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)
        if end % 50 == 0:
            exact = face_estimator.encoder.run({"log_mel": network_input(speech[first:end])})
            assert frame_embeddings.shape == exact["columns"][0].shape
            assert embedding @ exact["embedding"][0] > 0.995


@pytest.mark.parametrize("fault", ["failing", "lying"])
def test_an_engine_that_fails_leaves_nothing_behind(face_estimator: FaceEstimator, speech: Array, fault: str) -> None:
    sound, broken = Counting(face_estimator.encoder), Counting(face_estimator.encoder)
    one, other = IncrementalEncoder(sound, 1000), IncrementalEncoder(broken, 1000)
    for turn, (first, end) in enumerate(windows(600)):
        if turn % 7 == 3:
            setattr(broken, fault, True)
            with pytest.raises((RuntimeError, FloatingPointError)):
                other.encode(live(first, speech[first:end]))
            setattr(broken, fault, False)
        for mine, theirs in zip(
            one.encode(live(first, speech[first:end])), other.encode(live(first, speech[first:end])), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_after_a_restart_it_is_as_new(face_estimator: FaceEstimator, speech: Array) -> None:
    encoder = IncrementalEncoder(face_estimator.encoder, 1000)
    for first, end in windows(600):
        encoder.encode(live(first, speech[first:end]))
    encoder.restart()
    new = IncrementalEncoder(face_estimator.encoder, 1000)
    for end in range(650, 700, HOP):
        mine, theirs = encoder.encode(live(500, speech[500:end])), new.encode(live(500, speech[500:end]))
        np.testing.assert_array_equal(mine[0], theirs[0])


def test_after_a_long_gap_everything_is_encoded(face_estimator: FaceEstimator, speech: Array) -> None:
    """Seconds that were refused: little of the window before is left, and its statistics are others."""
    engine = Counting(face_estimator.encoder)
    encoder = IncrementalEncoder(engine, 1000)
    for first, end in sliding(500):
        encoder.encode(live(first, speech[first:end]))
    embedding, _ = encoder.encode(live(640, speech[640:]))
    exact = face_estimator.encoder.run({"log_mel": network_input(speech[640:])})["embedding"][0]
    np.testing.assert_allclose(embedding, exact, rtol=0, atol=1e-5)
    assert engine.frames[-1] == 1000
