"""What a client may send: every field within bounds, everything else an error in words, and no input raises anything else."""

import base64
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.config.live import ONE_PICTURE, LiveConfig
from voxface.serve.protocol.client_messages import (
    Append,
    Finish,
    GarbageError,
    LostFrames,
    Nothing,
    Ping,
    openai_hello,
    parse_json,
    parse_message,
    samples_of,
)
from voxface.serve.protocol.close_codes import close_reason
from voxface.serve.protocol.hello import FIELDS, Hello, ProtocolError, Resume, parse_hello
from voxface.serve.state.limits import Limits

LIMITS = Limits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def test_a_hello_without_fields_is_sixteen_kilohertz() -> None:
    hello = parse_hello({"type": "hello"}, LIMITS)
    assert hello == Hello()
    assert hello.config() == LiveConfig(hop=8000, mode="incremental", image_reuse_distance=ONE_PICTURE)


def test_the_generator_runs_for_those_who_want_pictures() -> None:
    assert parse_hello({"wants": ["picture"]}, LIMITS).config().image_reuse_distance is None
    assert parse_hello({"wants": ["vertices"]}, LIMITS).config().image_reuse_distance == ONE_PICTURE


def test_every_field() -> None:
    hello = parse_hello(
        {
            "type": "hello", "version": 1, "rate": 48_000, "format": "f32le", "channels": 2, "wants": ["vertices", "picture"],
            "updates_per_second": 10, "mode": "exact", "window_s": 4, "detect_speaker_change": False, "min_confidence": 0.5,
            "any_age": True, "pace": "wait", "resume": {"session": "s", "received": 3, "frames": 9},
        },
        LIMITS,
    )  # fmt: skip
    assert hello.frame_bytes == 8
    assert hello.resume == Resume("s", 3, 9)
    assert hello.config() == LiveConfig(
        hop=1600, window=64_000, mode="exact", detect_speaker_change=False, min_confidence=0.5, any_age=True
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("version", 2, "speaks version 1"),
        ("rate", 3999, "rate is a whole number from 4000 to 768000"),
        ("rate", 16_000.5, "rate"),
        ("rate", True, "rate"),
        ("rate", "16000", "rate"),
        ("format", "mp3", "format is s16le or f32le"),
        ("format", ["s16le"], "format"),
        ("channels", 0, "channels"),
        ("channels", 257, "channels"),
        ("wants", "vertices", "wants is a list"),
        ("wants", ["faces"], "wants is a list"),
        ("wants", [[]], "wants is a list"),
        ("updates_per_second", 0.5, "updates_per_second"),
        ("updates_per_second", 1e9, "updates_per_second"),
        ("updates_per_second", float("nan"), "updates_per_second"),
        ("mode", "fast", "mode is exact or incremental"),
        ("window_s", 61, "window_s"),
        ("any_age", 1, "any_age is true or false"),
        ("min_confidence", 1.1, "min_confidence"),
        ("pace", "slow", "pace is live or wait"),
        ("resume", "id", "resume has"),
        ("resume", {"session": ""}, "resume.session"),
        ("resume", {"session": "s", "frames": -1}, "frames"),
        ("resume", {"session": "s" * 65}, "resume.session"),
        ("volume", 11, 'unknown field "volume"'),
    ],
)
def test_a_field_that_cannot_be(field: str, value: object, said: str) -> None:
    with pytest.raises(ProtocolError, match=said.replace("(", r"\(")) as raised:
        parse_hello({"type": "hello", field: value}, LIMITS)
    assert len(str(raised.value)) < 200


def test_more_bytes_than_a_server_takes() -> None:
    parse_hello({"type": "hello", "rate": 48_000, "channels": 8, "format": "f32le"}, LIMITS)
    with pytest.raises(ProtocolError, match="fewer channels"):
        parse_hello({"type": "hello", "rate": 768_000, "channels": 256}, LIMITS)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=6), JSON, max_size=6))
def test_any_object_is_a_hello_or_an_error(document: dict[str, object]) -> None:
    try:
        hello = parse_hello({**document, "type": "hello"}, LIMITS)
    except ProtocolError:
        return
    hello.config()  # what is accepted can be used
    assert 1 <= hello.frame_bytes <= 1024


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_a_message_or_an_error(text: str) -> None:
    with suppress(ProtocolError, GarbageError):
        assert parse_message(parse_json(text)) is not None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"type": 1}', "9" * 5000, "[]", "", '{"type":"x"', "\x00"])
def test_no_json_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ProtocolError, match="JSON object"):
        parse_json(text)


def test_messages() -> None:
    audio = base64.b64encode(b"\1\0\2\0").decode()
    assert parse_message({"type": "input_audio_buffer.append", "audio": audio}) == Append(b"\1\0\2\0")
    assert parse_message({"type": "input_audio_buffer.commit"}) == Finish()
    assert parse_message({"type": "finish"}) == Finish()
    assert parse_message({"type": "lost", "frames": 7}) == LostFrames(7)
    assert parse_message({"type": "ping", "id": 3}) == Ping(3)
    assert parse_message({"type": "session.update", "session": {}}) == Nothing()
    for audio_of in ("%%%", "é", None, "abc"):
        with pytest.raises(GarbageError, match="base64"):
            parse_message({"type": "input_audio_buffer.append", "audio": audio_of})
    for wrong in (
        {"type": "lost", "frames": -1}, {"type": "lost"}, {"type": "lost", "frames": True}, {"type": "ping", "id": []},
        {"type": "ping", "id": "x" * 65}, {"type": "nonsense"}, *({"type": "ping", "id": float(x)} for x in ("inf", "nan")),
    ):  # fmt: skip
        with pytest.raises(ProtocolError):
            parse_message(wrong)


def test_a_client_of_the_other_protocol_sends_pcm16_of_24_khz() -> None:
    hello = openai_hello({"type": "input_audio_buffer.append", "audio": ""})
    assert hello is not None
    assert (hello.rate, hello.format, hello.channels) == (24_000, "s16le", 1)
    assert openai_hello({"type": "finish"}) is None


def test_bytes_are_whole_frames() -> None:
    stereo = Hello(channels=2)
    found = samples_of(np.array([[1, -2], [3, -4]], "<i2").tobytes(), stereo)
    assert found.tolist() == [[1, -2], [3, -4]]
    assert found.dtype == np.int16
    assert samples_of(np.array([0.5], "<f4").tobytes(), Hello(format="f32le")).dtype == np.float32
    assert samples_of(b"", stereo).shape == (0, 2)
    with pytest.raises(GarbageError, match="no whole frames of 4 bytes"):
        samples_of(b"\0" * 6, stereo)


def test_a_reason_fits_into_a_close_frame() -> None:
    assert len(close_reason("ü" * 200).encode()) <= 123
    assert close_reason("idle") == "idle"
