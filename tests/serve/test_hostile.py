"""Clients that mean harm or are broken: refused, counted, and the server serves the next one."""

import base64
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SAMPLES
from tests.stand_ins.served import Client, Served, needs_serve, served
from voxface.runtime.audio.decode import read_blocks
from voxface.serve.access import token_subprotocol

pytestmark = needs_serve

TOKEN = "only-for-this-test-0123456789"
KNOWS: dict[str, Any] = {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}}
SOUND = np.concatenate(list(read_blocks(SAMPLES[0])))[:40_000]
LIMITS = (
    "header-s=1",
    "hello-s=1",
    "idle-s=2",
    "ping-s=0.2",  # the pong of a client that is held up comes late
    "garbage=5",
    "messages-per-s=50",
    "connections=40",
    "connections-per-s=200",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    words = [word for limit in LIMITS for word in ("--limit", limit)]
    with served(*words, environment={"VOXFACE_TOKEN": TOKEN}) as running:
        yield running
        assert running.stop() == 0
        assert not [event for event in running.events() if "traceback" in event or event["level"] == "error"]


@pytest.fixture(autouse=True)
def healthy_afterwards(server: Served) -> Iterator[None]:
    """Whatever a test did, the next client is served."""
    yield
    time.sleep(0.2)
    with Client(server.stream_url, {"pace": "wait"}, **KNOWS) as client:
        client.speak(SOUND, 8000)
        client.finish()
    assert client.faces()
    assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200


def refused(server: Served, reason: str) -> float:
    text = httpx.get(f"{server.url}/metrics", trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}).text
    lines = [line for line in text.splitlines() if line.startswith(f'voxface_refused_total{{reason="{reason}"}}')]
    return float(lines[0].split()[-1]) if lines else 0.0


def raw(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.about["port"])), timeout=10)


def upgraded(server: Served, *, path: str = "/v1/stream", extra: str = "") -> socket.socket:
    """A WebSocket, by hand."""
    found = raw(server)
    key = base64.b64encode(os.urandom(16)).decode()
    found.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {TOKEN}\r\n{extra}\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        got = found.recv(1)
        if not got:
            break
        head += got
    assert b" 101 " in head.split(b"\r\n")[0], head
    return found


def ended(found: socket.socket, timeout_s: float = 10.0) -> bytes:
    """What comes until the other side closes."""
    found.settimeout(timeout_s)
    data = b""
    try:
        while got := found.recv(65_536):
            data += got
    except ConnectionError:
        pass
    return data


def test_a_missing_or_wrong_token(server: Served) -> None:
    from websockets.exceptions import InvalidStatus

    before = refused(server, "token")
    for headers in ({}, {"Authorization": "Bearer nope"}, {"Authorization": f"Basic {TOKEN}"}):
        with pytest.raises(InvalidStatus) as raised:
            Client(server.stream_url, additional_headers=headers)
        assert raised.value.response.status_code == 401
        for path in ("/v1/bundle", "/metrics", "/openapi.json", "/v1/mesh"):
            assert httpx.get(server.url + path, headers=headers, trust_env=False).status_code == 401
        assert httpx.post(f"{server.url}/v1/faces", content=b"x", headers=headers, trust_env=False).status_code == 401
    assert refused(server, "token") - before == 18
    client = Client(server.stream_url, {}, subprotocols=["voxface-v1", token_subprotocol(TOKEN)])
    assert client.welcome["event"] == "welcome"
    assert client.socket.subprotocol == "voxface-v1", "the token is not said back"
    client.finish()


def test_a_page_of_another_origin(server: Served) -> None:
    from websockets.exceptions import InvalidStatus

    before = refused(server, "origin")
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(InvalidStatus) as raised:
            Client(server.stream_url, origin=origin, **KNOWS)
        assert raised.value.response.status_code == 403
        headers = {"Origin": origin, "Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(f"{server.url}/v1/faces", content=b"x", headers=headers, trust_env=False).status_code == 403
    assert refused(server, "origin") - before == 6
    with Client(server.stream_url, {}, origin=server.url, **KNOWS) as client:
        client.finish()


def test_a_name_that_was_bound_to_this_machine(server: Served) -> None:
    headers = {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{server.url}/v1/bundle", headers=headers, trust_env=False).status_code == 421


@pytest.mark.parametrize(
    "first",
    ['{"type":"nonsense"}', "no json", '{"type":"hello","rate":1}', '{"type":"hello","version":2}', b"sound", "[]", ""],
)
def test_another_protocol(server: Served, first: str | bytes) -> None:
    client = Client(server.stream_url, **KNOWS)
    client.socket.send(first)
    client.rest()
    assert client.closed[0] == 4400
    assert client.closed[1]


def test_no_hello(server: Served) -> None:
    client = Client(server.stream_url, **KNOWS)
    assert client.rest() == []
    assert client.closed[0] == 4408


def test_a_gigantic_message(server: Served) -> None:
    client = Client(server.stream_url, {}, **KNOWS)
    client.socket.send(bytes(2 << 20))
    client.rest()
    assert client.closed[0] == 1009


def test_a_gigantic_frame_that_is_only_announced(server: Served) -> None:
    found = upgraded(server)
    found.sendall(b"\x82\xff" + struct.pack(">Q", 1 << 62) + os.urandom(4))
    data = ended(found)
    assert b"\x03\xf1" in data, "1009"


def test_many_fragments_are_one_message(server: Served) -> None:
    """Fragments add up to the limit too."""
    found = upgraded(server)
    mask = bytes(4)
    piece = bytes(60_000)
    try:
        found.sendall(b"\x02\xfe" + struct.pack(">H", len(piece)) + mask + piece)
        for _ in range(30):
            found.sendall(b"\x00\xfe" + struct.pack(">H", len(piece)) + mask + piece)
    except ConnectionError:
        pass
    ended(found)


def test_a_frame_without_a_mask_and_reserved_bits(server: Served) -> None:
    for frame in (b"\x82\x01a", b"\xf2\x81" + bytes(5), b"\x8f\x80" + bytes(4)):
        found = upgraded(server)
        found.sendall(frame)
        assert b"\x03\xea" in ended(found), "1002"


def test_compression_is_not_spoken(server: Served) -> None:
    """What is small on the wire and large in memory cannot be sent."""
    from websockets.sync.client import connect

    with connect(server.stream_url, proxy=None, compression="deflate", **KNOWS) as client:
        assert client.protocol.extensions == []
        client.send('{"type":"hello"}')
        client.recv()


def test_garbage_again_and_again(server: Served) -> None:
    client = Client(server.stream_url, {}, **KNOWS)
    for _ in range(7):
        client.socket.send(b"odd")
    client.rest()
    assert [event["event"] for event in client.events[1:]].count("error") == 5
    assert client.closed[0] == 4415


@pytest.mark.parametrize("audio", ['"%%%"', '"AAAA"', "5"])
def test_garbage_at_once(server: Served, audio: str) -> None:
    """A client of the other protocol, whose first message opens the session."""
    client = Client(server.stream_url, **KNOWS)
    client.socket.send(f'{{"type":"input_audio_buffer.append","audio":{audio}}}')
    events = client.finish()
    assert [event["event"] for event in events[:2]] == ["welcome", "error"]
    assert client.closed[0] == 1000


def test_too_many_messages(server: Served) -> None:
    before = refused(server, "too-fast")
    client = Client(server.stream_url, {}, **KNOWS)
    sent = [client.offer(b"") for _ in range(2000)]
    assert not sent[-1]
    client.rest()
    assert client.closed[0] == 4429
    assert refused(server, "too-fast") == before + 1


@pytest.mark.slow
def test_too_many_bytes(server: Served) -> None:
    client = Client(server.stream_url, {"rate": 48_000, "channels": 8}, **KNOWS)
    sent = [client.offer(bytes(1 << 20)) for _ in range(60)]
    client.rest()
    assert client.closed[0] == 4429
    assert not sent[-1]


def test_a_client_that_waits_is_held_up_and_loses_nothing(server: Served) -> None:
    """Fifty messages a second are let through here; three times as many at once take their time."""
    with Client(server.stream_url, {"pace": "wait"}, **KNOWS) as client:
        client.speak(SOUND, 50)
        events = client.finish()
    assert events[-1]["reason"] == "finished"
    assert events[-1]["position"] == len(SOUND)


def test_garbage_that_is_sound_in_its_form(server: Served) -> None:
    """Random bytes as float32: NaN, infinity, and numbers of any size."""
    rng = np.random.default_rng(0)
    with Client(server.stream_url, {"format": "f32le", "pace": "wait"}, **KNOWS) as client:
        for _ in range(10):
            client.socket.send(rng.bytes(40_000))
        events = client.finish()
    assert sum(event["count"] for event in events if event["event"] == "rejected") > 10_000
    assert client.closed[0] == 1000


def test_half_open(server: Served) -> None:
    """A client that is there and says nothing, and one that is gone without a word: both end."""
    silent = Client(server.stream_url, {}, **KNOWS)
    silent.rest()
    assert silent.closed[0] == 4408
    assert silent.events[-1]["reason"] == "idle"


def test_slow_loris(server: Served) -> None:
    before = refused(server, "slow-head")
    found = [raw(server) for _ in range(5)]
    began = time.monotonic()
    for each in found[:4]:
        each.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
    try:
        while time.monotonic() - began < 3.0:
            for each in found[:4]:
                each.sendall(b"b")
            time.sleep(0.1)
        pytest.fail("the connection is still there")
    except ConnectionError:
        pass
    assert time.monotonic() - began < 3.0
    for each in found:
        ended(each)
    assert refused(server, "slow-head") - before == 5


def test_a_slow_second_request(server: Served) -> None:
    found = raw(server)
    found.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    time.sleep(0.3)
    assert found.recv(65_536).startswith(b"HTTP/1.1 200")
    found.sendall(b"GET /healthz HT")
    began = time.monotonic()
    ended(found)
    assert 0.5 < time.monotonic() - began < 4.0


def test_a_head_without_end(server: Served) -> None:
    found, sent = raw(server), 0
    try:
        found.sendall(b"GET /healthz HTTP/1.1\r\n")
        while sent < 10_000_000:
            sent += 1010
            found.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")
    except ConnectionError:
        pass
    said = ended(found)
    assert sent < 10_000_000
    assert not said or said.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00" + bytes(100), b"nonsense\r\n\r\n", b"\0" * 500, b"GET http://[ HTTP/1.1\r\n\r\n"]
)
def test_no_http(server: Served, data: bytes) -> None:
    found = raw(server)
    found.sendall(data)
    said = ended(found)
    assert not said or said.startswith(b"HTTP/1.1 4")


def test_a_thousand_connects(server: Served) -> None:
    """More than may be open: closed at once and counted; the clients that are served keep being served."""
    before = refused(server, "connections") + refused(server, "connecting-too-fast")
    with Client(server.stream_url, {"pace": "wait"}, **KNOWS) as client:
        client.speak(SOUND[:16_000], 4000)
        open_: list[socket.socket] = []
        for number in range(1000):
            with contextlib.suppress(OSError):
                open_.append(raw(server))
            if number % 100 == 0:
                client.socket.send(SOUND[:1600].tobytes())
        time.sleep(0.5)
        client.speak(SOUND[16_000:], 4000)
        events = client.finish()
        assert events[-1]["reason"] == "finished"
    for each in open_:
        each.close()
    time.sleep(1.0)
    assert refused(server, "connections") + refused(server, "connecting-too-fast") - before > 900


MESSAGES = st.lists(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=60),
        st.dictionaries(
            st.sampled_from(["type", "audio", "frames", "id", "event"]), st.text(max_size=8) | st.integers(), max_size=4
        ).map(json.dumps),
        st.sampled_from([
            '{"type":"finish"}', '{"type":"lost","frames":16000}', '{"type":"input_audio_buffer.clear"}',
            '{"type":"ping","id":1e999}', '{"type":"ping","id":NaN}', '{"type":"ping","id":"\\ud800"}',
        ]),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=MESSAGES, form=st.sampled_from(["s16le", "f32le"]))
def test_any_messages_in_any_order_end_in_a_close_code(server: Served, messages: list[Any], form: str) -> None:
    client = Client(server.stream_url, {"format": form, "rate": 48_000, "channels": 3}, **KNOWS)
    for message in [*messages, '{"type":"finish"}']:
        client.offer(message)
    client.rest()
    assert client.closed[0] in (1000, 4415, 4429), client.closed
