"""The events of Silero's detector, with a network of its shape that says how loud a chunk is, and with its own where it is."""

import importlib.util
import os
import re
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


Spec = tuple[str, int, list[int | str | None]]  # name, type of ONNX, shape
SOUND: Spec = ("input", 1, [1, 576])
STATE: Spec = ("state", 1, [2, 1, 128])
RATE: Spec = ("sr", 7, [])


def network(
    path: Path, sound: Spec, states: list[Spec], rates: list[Spec], *, gain: float = 50.0, flat: bool = False
) -> Path:
    """Writes a network of these inputs: louder than a hundredth of full scale is voice. States count the chunks."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    nodes = [
        h.make_node("Cast", [sound[0]], ["plain"], to=1),
        h.make_node("Abs", ["plain"], ["size"]),
        h.make_node("ReduceMax", ["size"], ["peak"], axes=[1], keepdims=0 if flat else 1),
        h.make_node("Mul", ["peak", "gain"], ["output"]),
        *(h.make_node("Add", [name, f"one{type_}"], [f"{name}N"]) for name, type_, _ in states),
        *(h.make_node("Identity", [name], [f"unused {name}"]) for name, _, _ in rates),
    ]
    constants = [
        h.make_tensor("gain", 1, [], [gain]),
        h.make_tensor("one1", 1, [], [1.0]),
        h.make_tensor("one10", 10, [], [1.0]),
    ]
    values = [h.make_tensor_value_info(*spec) for spec in (sound, *states, *rates)]
    outputs = [
        h.make_tensor_value_info("output", 1, [None] if flat else [None, 1]),
        *(h.make_tensor_value_info(f"{name}N", type_, [None] * len(shape)) for name, type_, shape in states),
    ]
    graph = h.make_graph(nodes, "loudness", values, outputs, constants)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Louder than a hundredth of full scale is voice."""
    return open_silero(network(tmp_path_factory.mktemp("silero") / "loudness.onnx", SOUND, [STATE], [RATE]))


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


@pytest.mark.parametrize(
    ("sound", "states", "rates", "flat"),
    [
        (SOUND, [STATE], [], False),  # silero_vad_half.onnx, silero_vad_openvino_16k.onnx
        (("input", 1, ["batch", "sequence"]), [("state", 1, [2, "batch", 128])], [RATE], False),
        (
            ("input", 1, ["n", 576]),
            [("h", 1, [1, 1, 128]), ("c", 1, [1, 1, 128])],
            [],
            True,
        ),  # silero_vad_16k_sequence.onnx
        (("x", 1, [None, None]), [("memory", 1, [2, None, 128])], [("rate", 7, [1])], False),  # other names
        (("input", 10, [1, 576]), [("state", 10, [2, 1, 128])], [], False),  # half precision
    ],
    ids=["without a rate", "named axes", "state in two parts", "other names", "float16"],
)
def test_every_file_of_this_kind_is_taken(
    engine: Engine, tmp_path: Path, sound: Spec, states: list[Spec], rates: list[Spec], flat: bool
) -> None:
    other = open_silero(network(tmp_path / "other.onnx", sound, states, rates, flat=flat))
    same = [[e for e in run(one, [700]) if not isinstance(e, SpeechAudio)] for one in (engine, other)]
    assert same[0] == same[1]
    assert len(same[0]) >= 2
    detector = SileroDetector(other)
    for _ in range(3):
        detector.judge(np.zeros(512, np.int16))
    assert {float(s.max()) for s in detector._states.values()} == {3.0}, (
        "what one call gives is what the next is fed with"
    )


@pytest.mark.parametrize(
    ("sound", "states", "rates", "why"),
    [
        (
            SOUND,
            [("h", 1, [2, 1, 64]), ("c", 1, [2, 1, 64])],
            [RATE],
            "Silero's network of version 3 or 4 (it has inputs",
        ),
        (SOUND, [], [], "not Silero's network of version 5 or 6 (it has inputs input)"),
        (
            ("input", 1, [1, 288]),
            [STATE],
            [],
            "a network for 8 kHz that takes 288 samples; the one for 16 kHz takes 576",
        ),
        (("input", 1, [1, 512]), [STATE], [RATE], "a network that takes 512 samples"),
        (SOUND, [STATE], [RATE, ("more", 7, [])], "not Silero's network"),
        (SOUND, [STATE, ("other", 1, [1, 1, 7])], [RATE], "not Silero's network"),
        (("input", 1, [2, 576]), [STATE], [], "not Silero's network, for it does not run on a chunk of 512 samples"),
    ],
)
def test_what_another_network_is_said_to_be(
    tmp_path: Path, sound: Spec, states: list[Spec], rates: list[Spec], why: str
) -> None:
    path = network(tmp_path / "other.onnx", sound, states, rates)
    with pytest.raises(InputError) as told:
        open_silero(path)
    assert str(told.value).startswith(f"{path}: {why}")


def test_a_network_that_hears_no_silence(tmp_path: Path) -> None:
    path = network(tmp_path / "other.onnx", SOUND, [STATE], [], gain=float("nan"))
    with pytest.raises(InputError, match="calls silence speech with a probability of nan"):
        open_silero(path)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "weights.jit").write_bytes(b"PK\x03\x04 no graph")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(1 << 27)
    for name, why in (
        ("", "a folder"),
        ("nowhere.onnx", "no such file"),
        ("pipe", "not a regular file"),
        ("large.onnx", "134217728 bytes, more than any network of Silero's has"),
        ("weights.jit", "is not given the graph: .*; --vad-model takes the silero_vad.onnx of version 5 or 6"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))}: .*{why}"):
            open_silero(tmp_path / name)


def test_what_cannot_be_loaded(tmp_path: Path, default_bundle: object) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_silero(tmp_path / "nowhere.onnx")
    (tmp_path / "other.onnx").write_bytes(default_bundle.graph("mesh"))  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="not Silero"):
        open_silero(tmp_path / "other.onnx")
    if importlib.util.find_spec("silero_vad") is None:
        with pytest.raises(ProviderError, match="silero-vad"):
            open_silero()


def data() -> Path:
    """The folder of the networks in the installed package."""
    found = importlib.util.find_spec("silero_vad")
    if found is None or found.origin is None:
        pytest.skip("the package silero-vad is not installed")
    return Path(found.origin).parent / "data"


def test_the_real_network() -> None:
    data()
    detector = SileroDetector(open_silero())
    assert not detector.feed(noise(3, 2000))
    events = detector.feed(voice()) + detector.finish()
    assert sum(len(e.samples) for e in events if isinstance(e, SpeechAudio)) > 48_000


def test_every_network_of_the_package() -> None:
    """All of them are of version 6 and for 16 kHz; one of them is coarser."""
    paths = sorted(data().glob("*.onnx"))
    assert len(paths) >= 4
    usual = SileroDetector(open_silero())
    chunks = [voice()[at : at + 512] for at in range(0, 48_000, 512)]
    wanted = np.array([usual.judge(chunk) for chunk in chunks])
    for path in paths:
        detector = SileroDetector(open_silero(path))
        heard = np.array([detector.judge(chunk) for chunk in chunks])
        if "half" in path.name:
            assert ((heard > 0.5) == (wanted > 0.5)).mean() > 0.9, path
        else:
            np.testing.assert_allclose(heard, wanted, atol=1e-4, err_msg=path.name)
