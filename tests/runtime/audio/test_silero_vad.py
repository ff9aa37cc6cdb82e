"""The events of Silero's detector, with a network of its shape that says how loud a chunk is, and with its own where it is."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import PlainEstimator, lines, noise, nothing, voice
from voxface.runtime.audio.silero_vad import SileroDetector, open_silero
from voxface.runtime.audio.vad_events import SpeechAudio, SpeechEnded, SpeechStarted
from voxface.runtime.engines.engine import Engine
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.session import LiveSession

TALK = np.concatenate([nothing(1), voice()[:32_000], nothing(1), voice()[40_000:72_000], nothing(0.7)])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Louder than a hundredth of full scale is voice."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    graph = h.make_graph(
        [
            h.make_node("Abs", ["input"], ["size"]),
            h.make_node("ReduceMax", ["size"], ["peak"], axes=[1], keepdims=1),
            h.make_node("Mul", ["peak", "fifty"], ["output"]),
            h.make_node("Identity", ["state"], ["stateN"]),
            h.make_node("Identity", ["sr"], ["unused"]),
        ],
        "loudness",
        [
            h.make_tensor_value_info("input", 1, [1, 576]),
            h.make_tensor_value_info("state", 1, [2, 1, 128]),
            h.make_tensor_value_info("sr", 7, []),
        ],
        [h.make_tensor_value_info("output", 1, [1, 1]), h.make_tensor_value_info("stateN", 1, [2, 1, 128])],
        [h.make_tensor("fifty", 1, [], [50.0])],
    )
    path = tmp_path_factory.mktemp("silero") / "loudness.onnx"
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8), path)
    return open_silero(path)


def run(engine: Engine, sizes: list[int]) -> list[object]:
    detector, events, at, turn = SileroDetector(engine), [], 0, 0
    while at < len(TALK):
        size = sizes[turn % len(sizes)]
        events += detector.feed(TALK[at : at + size])
        at, turn = at + size, turn + 1
    return events + detector.finish()


def test_segments_with_pre_roll_and_hangover(engine: Engine) -> None:
    events = run(engine, [len(TALK)])
    starts = [e.start for e in events if isinstance(e, SpeechStarted)]
    ends = [(e.start, e.end) for e in events if isinstance(e, SpeechEnded)]
    assert [start for start, _ in ends] == starts
    assert 14_500 < starts[0] < 19_000
    for start, end in ends:
        audio = np.concatenate([e.samples for e in events if isinstance(e, SpeechAudio) and start <= e.start < end])
        np.testing.assert_array_equal(audio, TALK[start:end])


@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_any_chunking(engine: Engine, sizes: list[int]) -> None:
    def plain(events: list[object]) -> list[object]:
        return [(e.start, e.samples.tobytes()) if isinstance(e, SpeechAudio) else e for e in events]

    assert plain(run(engine, sizes)) == plain(run(engine, [512]))


def test_a_session_with_it(engine: Engine) -> None:
    def session() -> LiveSession:
        return LiveSession(PlainEstimator(), detector=lambda: SileroDetector(engine), start=1000)

    one, other = session(), session()
    events = one.feed(TALK) + one.lose(200_000) + one.feed(voice()) + one.finish()
    assert sum(isinstance(e, FaceEstimated) for e in events) > 50
    again = [e for at in range(0, len(TALK), 777) for e in other.feed(TALK[at : at + 777])]
    again += other.lose(200_000) + other.feed(voice()) + other.finish()
    assert lines(again) == lines(events)


def test_what_cannot_be_loaded(tmp_path: Path, default_bundle: object) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_silero(tmp_path / "nowhere.onnx")
    (tmp_path / "other.onnx").write_bytes(default_bundle.graph("mesh"))  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="not Silero"):
        open_silero(tmp_path / "other.onnx")
    if importlib.util.find_spec("silero_vad") is None:
        with pytest.raises(ProviderError, match="silero-vad"):
            open_silero()


def test_the_real_network() -> None:
    if importlib.util.find_spec("silero_vad") is None:
        pytest.skip("the package silero-vad is not installed")
    detector = SileroDetector(open_silero())
    assert not detector.feed(noise(3, 2000))
    events = detector.feed(voice()) + detector.finish()
    assert sum(len(e.samples) for e in events if isinstance(e, SpeechAudio)) > 48_000
