"""A server and its clients: what is heard comes back, as documented, whatever the client's sound and whenever it comes back."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.served import Client, Served, cosine, needs_serve, served
from voxface.runtime.audio.decode import read_blocks
from voxface.serve.protocol.binary import BinaryMessage

pytestmark = needs_serve

SOUND = np.concatenate(list(read_blocks(SAMPLES[0])))
SLOWLY = {"pace": "wait"}  # the server takes the sound at its own speed, and drops nothing


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served("--limit", "resume-s=3", "--limit", "idle-s=20", "--limit", "messages-per-s=5000") as running:
        yield running
        assert running.stop() == 0


def at_rate(rate: int) -> NDArray[np.float32]:
    """The sound at another rate."""
    import soxr

    found: NDArray[np.float32] = soxr.resample(SOUND.astype(np.float32) / 32768, 16_000, rate)
    return found


def test_a_streamed_clip_is_what_run_makes_of_it(
    server: Served, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", SAMPLES[0], "--out", tmp_path, "--json") == 0
    clip = json.loads(capsys.readouterr().out)["clips"][0]
    for mode, least in (("exact", 0.9999999), ("incremental", 0.98)):
        with Client(server.stream_url, {**SLOWLY, "mode": mode}) as client:
            client.speak(SOUND)
            last = [event for event in client.finish() if event["event"] == "face"][-1]
        assert cosine(last["embedding"], clip["embedding"]) >= least, mode
        assert last["measurements_mm"]["face_width"] == pytest.approx(clip["measurements_mm"]["face_width"], abs=0.5)
        assert last["attributes"]["sex"]["female"] > 0.9


def test_events_are_those_of_live_json_lines(server: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            "live", "--source", SAMPLES[0], "--mode", "incremental", "--hop-ms", "500", "--json-lines", "--show", "none"
        )
        == 0
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with Client(server.stream_url, SLOWLY) as client:
        client.speak(SOUND)
        events = client.finish()[1:-1]  # between welcome and goodbye
    assert [event.pop("number") for event in events] == list(range(1, len(events) + 1))
    own = ("latency_ms", "binary", "source")
    for events_of in (events, lines):
        for event in events_of:
            for name in own:
                event.pop(name, None)
    assert events == lines


@pytest.mark.parametrize(("rate", "form", "channels"), [(48_000, "f32le", 1), (44_100, "s16le", 2), (8000, "s16le", 1)])
def test_any_rate_format_and_channels(server: Served, rate: int, form: str, channels: int) -> None:
    sound = np.repeat(at_rate(rate)[:, None], channels, axis=1)
    samples = sound.astype("<f4") if form == "f32le" else np.rint(sound * 32767).astype("<i2")
    with Client(server.stream_url, {**SLOWLY, "rate": rate, "format": form, "channels": channels}) as client:
        client.speak(samples, rate // 7)
        events = client.finish()
    goodbye = events[-1]
    assert (goodbye["event"], goodbye["reason"]) == ("goodbye", "finished")
    assert goodbye["position"] == pytest.approx(len(SOUND), abs=2)
    assert client.closed == (1000, "finished")
    with Client(server.stream_url, SLOWLY) as plain:
        plain.speak(SOUND)
        wanted = [event for event in plain.finish() if event["event"] == "face"][-1]
    assert cosine(client.faces()[-1]["embedding"], wanted["embedding"]) > (0.98 if rate > 16_000 else 0.6)


def test_what_a_client_wants_comes_and_nothing_else(server: Served) -> None:
    with Client(server.stream_url, {**SLOWLY, "wants": []}) as client:
        client.speak(SOUND[:32_000])
        client.finish()
    face = client.faces()[0]
    assert not {"embedding", "coefficients", "measurements_mm"} & face.keys()
    assert face["binary"] == []
    assert client.binary == []
    with Client(
        server.stream_url, {**SLOWLY, "wants": ["vertices", "picture", "uncertainty", "coefficients"]}
    ) as client:
        client.speak(SOUND[:32_000])
        client.finish()
    faces = client.faces()
    messages = [BinaryMessage.unpack(data) for data in client.binary]
    assert [message.kind for message in messages] == ["vertices", "uncertainty", "picture"] * len(faces)
    assert [message.position for message in messages[::3]] == [face["position"] for face in faces]
    assert faces[0]["binary"] == ["vertices", "uncertainty", "picture"]
    count = server_vertices(server)
    assert messages[0].values.shape == (count, 3)
    assert messages[1].values.shape == (count, 1)
    assert messages[1].values.min() > 0
    assert messages[2].values.tobytes().startswith(b"\x89PNG")


def server_vertices(server: Served) -> int:
    return int(httpx.get(f"{server.url}/v1/bundle", trust_env=False).json()["morphable_model"]["vertices"])


def test_a_client_of_the_openai_protocol(server: Served) -> None:
    sound = np.rint(at_rate(24_000) * 32767).astype("<i2")
    with Client(server.stream_url) as client:
        client.send({"type": "session.update", "session": {"input_audio_format": "pcm16"}})
        for at in range(0, len(sound), 2400):
            audio = base64.b64encode(sound[at : at + 2400].tobytes()).decode()
            client.send({"type": "input_audio_buffer.append", "audio": audio})
            time.sleep(0.005)
        client.send({"type": "input_audio_buffer.commit"})
        client.rest()
    assert client.events[0]["event"] == "welcome"
    assert client.faces()
    assert client.closed[0] == 1000


def test_lost_frames_are_told_and_not_joined(server: Served) -> None:
    with Client(server.stream_url, SLOWLY) as client:
        client.speak(SOUND[:32_000])
        client.send({"type": "lost", "frames": 16_000})
        client.speak(SOUND[48_000:80_000])
        events = client.finish()
    (lost,) = [event for event in events if event["event"] == "lost"]
    assert (lost["start"], lost["end"]) == (32_000, 48_000)
    assert events[-1]["position"] == 80_000


def test_nan_and_garbage_are_refused_and_counted(server: Served) -> None:
    sound = at_rate(16_000)[:48_000].astype("<f4")
    sound[20_000:20_100] = np.nan
    sound[30_000] = 1e38
    with Client(server.stream_url, {**SLOWLY, "format": "f32le"}) as client:
        client.socket.send(b"abc")
        assert client.until("error")["code"] == "bad-sound"
        client.send({"type": "nonsense"})
        assert client.until("error")["code"] == "bad-message"
        client.speak(sound)
        events = client.finish()
    rejected = [event for event in events if event["event"] == "rejected"]
    assert sum(event["count"] for event in rejected) == 101
    assert rejected[0]["start"] == 20_000
    assert client.faces()
    metrics = metrics_of(server)
    assert metrics['voxface_garbage_messages_total{kind="sound"}'] >= 1
    assert metrics['voxface_lost_samples_total{cause="rejected"}'] >= 101


def metrics_of(server: Served) -> dict[str, float]:
    lines = httpx.get(f"{server.url}/metrics", trust_env=False).text.splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def test_a_client_that_waits_and_does_not_read_is_held_up_and_gets_every_face(server: Served) -> None:
    """Eight seconds again and again, with meshes, all sent before anything is read."""
    sound = np.tile(SOUND, 6)

    with Client(server.stream_url, {**SLOWLY, "updates_per_second": 4, "wants": ["vertices"]}) as client:

        def send() -> None:
            client.speak(sound)
            client.send({"type": "finish"})

        threading.Thread(target=send, daemon=True).start()
        time.sleep(1.0)
        events = client.rest()
    goodbye = events[-1]
    assert goodbye["position"] == len(sound)
    assert goodbye["superseded"] == 0
    assert [event["number"] for event in events[1:-1]] == list(range(1, goodbye["number"] + 1))
    assert len(client.binary) == len(client.faces()) > 100


def test_ping(server: Served) -> None:
    with Client(server.stream_url, {}) as client:
        client.send({"type": "ping", "id": 7})
        assert client.until("pong")["id"] == 7


def test_a_client_that_was_cut_off_comes_back_and_has_missed_nothing(server: Served) -> None:
    with Client(server.stream_url, SLOWLY) as whole:
        whole.speak(SOUND)
        wanted = [{k: v for k, v in e.items() if k != "latency_ms"} for e in whole.finish()[1:-1]]
    first = Client(server.stream_url, SLOWLY)
    first.speak(SOUND[:64_000])
    received = first.until("face")["number"]
    first.drop()
    time.sleep(0.3)
    resume = {"session": first.welcome["session"], "received": received, "frames": 64_000}
    with Client(server.stream_url, {**SLOWLY, "resume": resume}) as again:
        assert again.welcome["resumed"] is True
        assert again.welcome["session"] == first.welcome["session"]
        frames = again.welcome["frames"]
        assert 0 < frames <= 64_000
        again.speak(SOUND[frames:])
        events = again.finish()
    heard = [e for e in first.events if e.get("number", 0) and e["number"] <= received] + events[1:-1]
    assert [{k: v for k, v in e.items() if k != "latency_ms"} for e in heard] == wanted


def test_a_second_connection_takes_a_session_over(server: Served) -> None:
    with Client(server.stream_url, {}) as first:
        session = first.welcome["session"]
        with Client(server.stream_url, {"resume": {"session": session}}) as second:
            assert second.welcome["resumed"] is True
            assert first.rest()
            assert first.closed[0] == 4409
            second.finish()


def test_a_session_that_is_gone_begins_anew_where_the_client_is(server: Served) -> None:
    with Client(server.stream_url, {"resume": {"session": "gone", "received": 9, "frames": 160_000}}) as client:
        assert client.welcome["resumed"] is False
        assert client.welcome["position"] == 160_000
        client.speak(SOUND[:16_000])
        assert client.finish()[-1]["position"] == 176_000


def test_a_session_nobody_comes_back_to_ends(server: Served) -> None:
    client = Client(server.stream_url, {})
    client.drop()
    time.sleep(4.0)
    with Client(server.stream_url, {"resume": {"session": client.welcome["session"]}}) as again:
        assert again.welcome["resumed"] is False
    assert metrics_of(server)['voxface_sessions_ended_total{reason="not resumed"}'] >= 1


def test_sound_of_another_kind_does_not_resume(server: Served) -> None:
    client = Client(server.stream_url, {})
    client.drop()
    again = Client(server.stream_url)
    again.send({"type": "hello", "rate": 48_000, "resume": {"session": client.welcome["session"]}})
    again.rest()
    assert again.closed[0] == 4400
    assert "16000 Hz" in str(again.closed[1])


@pytest.mark.slow
def test_two_lanes_and_batches_give_the_same_faces(server: Served) -> None:
    with Client(server.stream_url, SLOWLY) as alone:
        alone.speak(SOUND[:64_000])
        alone.finish()
    limits = ("--limit", "messages-per-s=5000", "--limit", "load=1000", "--limit", "late-s=1000")
    with served("--lanes", "2", "--batch-ms", "5", *limits) as other:
        clients = [Client(other.stream_url, SLOWLY) for _ in range(4)]
        for client in clients:
            client.speak(SOUND[:64_000])
        for client in clients:
            client.finish()
            assert len(client.faces()) == len(alone.faces())
            for one, wanted in zip(client.faces(), alone.faces(), strict=True):
                assert cosine(one["embedding"], wanted["embedding"]) > 0.99999
        assert metrics_of(other)['voxface_batch_size_count{graph="encoder"}'] > 0
        assert other.stop() == 0


def test_logs_tell_of_sessions_without_their_secrets(server: Served) -> None:
    with Client(server.stream_url, SLOWLY) as client:
        client.speak(SOUND[:32_000])
        client.finish()
    text = "".join(server.logs)
    assert client.welcome["session"] not in text
    events = [event["event"] for event in server.events()]
    assert "session began" in events
    assert "session ended" in events
    allowed = {
        "time",
        "level",
        "event",
        "session",
        "sessions",
        "reason",
        "seconds",
        "faces",
        "ms",
        "why",
        "url",
        "bundle",
    }
    assert all(event.keys() <= allowed | {"share", "room"} for event in server.events())
