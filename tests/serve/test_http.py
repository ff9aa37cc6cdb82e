"""Whole clips and the rest of HTTP: the documents of the command line, limits, and an OpenAPI document that is kept."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.served import Served, needs_serve, served
from voxface.runtime.errors import InputError, NoSpeechError, UsageError
from voxface.runtime.provenance.finding import find_marks
from voxface.serve.clip import GLB, PNG
from voxface.serve.protocol.binary import HEADER, BinaryMessage

pytestmark = needs_serve

CLIP = SAMPLES[0].read_bytes()


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    words = (
        "--limit",
        "clip-s=30",
        "--limit",
        "body-bytes=2000000",
        "--limit",
        "body-s=2",
        "--limit",
        "clips-waiting=3",
    )
    with served(*words) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def client(server: Served) -> Iterator[Any]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as found:
        yield found


def error_of(response: Any) -> dict[str, Any]:
    (error,) = response.json()["errors"]
    assert {"file", "exit_code", "message", "code"} <= error.keys()
    found: dict[str, Any] = error
    return found


def test_a_clip_gives_the_document_of_run(client: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", SAMPLES[0], "--out", tmp_path, "--json") == 0
    wanted = json.loads(capsys.readouterr().out)
    response = client.post("/v1/faces", content=CLIP)
    assert response.status_code == 200
    document = response.json()
    (clip,), (theirs,) = document["clips"], wanted["clips"]
    assert document["errors"] == []
    assert document["provider"] == wanted["provider"]
    assert document["bundle"] == {key: wanted["bundle"][key] for key in ("name", "sha256")}
    assert clip.keys() == theirs.keys() - {"preview"}
    different = (
        "file",
        "face",
        "mesh",
        "timings_ms",
        "embedding",
        "coefficients",
        "measurements_mm",
        "confidence",
        "attributes",
    )
    assert {k: v for k, v in clip.items() if k not in different} == {
        k: v for k, v in theirs.items() if k not in (*different, "preview")
    }
    for name in ("embedding", "coefficients"):
        np.testing.assert_allclose(clip[name], theirs[name], atol=1e-5)
    folder = tmp_path / SAMPLES[0].stem
    assert len(data_of(clip["face"], PNG)) == len((folder / "face.png").read_bytes())
    assert data_of(clip["mesh"], GLB)[:4] == b"glTF"
    assert document["synthetic"] == wanted["synthetic"] == clip["synthetic"]
    for name, data in (("face.png", data_of(clip["face"], PNG)), ("mesh.glb", data_of(clip["mesh"], GLB))):
        (tmp_path / name).write_bytes(data)
        assert find_marks(tmp_path / name).marks[0].bundle_sha256 == document["bundle"]["sha256"]


def test_the_page_and_the_bundle_say_that_faces_are_synthetic(client: Any, tmp_path: Path) -> None:
    told = client.get("/v1/bundle").json()["synthetic"]
    assert told["likeness"] is False
    (tmp_path / "index.html").write_bytes(client.get("/").content)
    found = find_marks(tmp_path / "index.html")
    assert (found.synthetic, found.marks[0].bundle_sha256) == (True, told["bundle_sha256"])


def test_the_uncertainty_comes_if_asked_for(client: Any) -> None:
    (without,) = client.post("/v1/faces", content=CLIP).json()["clips"]
    (clip,) = client.post("/v1/faces?uncertainty=true", content=CLIP).json()["clips"]
    assert "uncertainty" not in without
    message = BinaryMessage.unpack(data_of(clip["uncertainty"], "application/octet-stream"))
    assert message.kind == "uncertainty"
    assert message.values.shape == (client.get("/v1/bundle").json()["morphable_model"]["vertices"], 1)
    assert 0 < message.values.min() < message.values.max() < 50


def data_of(url: str, kind: str) -> bytes:
    import base64

    head, _, text = url.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(text)


def test_a_form_and_a_picture_or_a_mesh_alone(client: Any) -> None:
    for accept, magic in ((PNG, b"\x89PNG"), (GLB, b"glTF"), ("image/*", b"\x89PNG"), ("text/html, */*;q=0.1", b"{"),
        ("image/png;q=0, model/*", b"glTF"), ("model/*;q=0.2, image/*; q=0.7", b"\x89PNG")):  # fmt: skip
        response = client.post("/v1/faces", files={"audio": ("my voice.flac", CLIP)}, headers={"Accept": accept})
        assert response.status_code == 200
        assert response.content.startswith(magic), accept
    assert client.post("/v1/faces", content=CLIP, headers={"Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"), ("..\\..\\boot.ini", "boot.ini"), ("/", "clip"), ("..", "clip"),
        ("a\x1b[31m.wav", "a[31m.wav"), ("x" * 999, "x" * 120),
    ],
)  # fmt: skip
def test_path_tricks_in_names(client: Any, name: str, shown: str) -> None:
    response = client.post("/v1/faces", files={"audio": (name, b"no sound")})
    assert response.status_code == 422
    error = error_of(response)
    assert error["exit_code"] == InputError.exit_code
    assert (error["file"], error["code"]) == (shown, "input")
    assert error["message"].startswith(f"{shown}: ")
    assert "/proc" not in error["message"]


def wav(samples: Any, rate: int = 16_000) -> bytes:
    import io

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def test_no_face_says_why(client: Any) -> None:
    response = client.post("/v1/faces", content=wav(np.zeros(32_000)))
    assert response.status_code == 422
    error = error_of(response)
    assert (error["exit_code"], error["code"]) == (NoSpeechError.exit_code, "no-speech")
    assert error["reason"] in ("silence", "all-zero microphone")
    error = error_of(client.post("/v1/faces?min_confidence=1", content=CLIP))
    assert error["reason"] == "confidence"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("channel=0", "channel"), ("channel=x", "channel"), ("min_confidence=2", "min_confidence"),
        ("any_age=perhaps", "any_age"), ("min_confidence=nan", "min_confidence"),
        ("chanl=1", "no option 'chanl'; there are channel"), ("any-age=true", "any-age"), ("channel=1&x", "'x'"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(client: Any, query: str, said: str) -> None:
    response = client.post(f"/v1/faces?{query}", content=CLIP)
    assert response.status_code == 400
    error = error_of(response)
    assert error["exit_code"] == UsageError.exit_code
    assert said in error["message"]


def test_a_channel_that_there_is_not(client: Any) -> None:
    error = error_of(client.post("/v1/faces?channel=2", content=CLIP))
    assert (error["exit_code"], error["code"]) == (UsageError.exit_code, "usage")
    assert error["message"] == "channel 2: clip has 1"


def test_too_long_however_small(client: Any) -> None:
    """Half an hour of silence is a few kilobytes of FLAC."""
    import io

    file = io.BytesIO()
    soundfile.write(file, np.zeros(1800 * 8000, np.int16), 8000, format="FLAC")
    assert len(file.getvalue()) < 300_000
    began = time.monotonic()
    response = client.post("/v1/faces", content=file.getvalue())
    assert (response.status_code, error_of(response)["code"]) == (413, "too-long")
    assert time.monotonic() - began < 20


def test_too_large_announced_or_not(client: Any) -> None:
    response = client.post("/v1/faces", content=bytes(2_000_001))
    assert (response.status_code, error_of(response)["code"]) == (413, "too-large")

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield bytes(100_000)

    try:
        response = client.post("/v1/faces", content=endless())
    except httpx.TransportError:
        return  # the server has answered and closed before all was sent
    assert (response.status_code, error_of(response)["code"]) == (413, "too-large")


def test_a_compressed_body_is_not_unpacked(client: Any) -> None:
    import gzip

    bomb = gzip.compress(bytes(50_000_000))
    response = client.post("/v1/faces", content=bomb, headers={"Content-Encoding": "gzip"})
    assert (response.status_code, error_of(response)["code"]) == (415, "encoded")


def test_a_slow_body(client: Any) -> None:
    def slow() -> Iterator[bytes]:
        for _ in range(40):
            time.sleep(0.1)
            yield b"x"

    try:
        response = client.post("/v1/faces", content=slow())
    except httpx.TransportError:
        return
    assert (response.status_code, error_of(response)["code"]) == (408, "too-slow")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"garbage"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n1\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="audio"\r\n\r\n1\r\n--x--\r\n',
        ),
        ("multipart/form-data; boundary=x", b""),
    ],
)
def test_forms_that_are_none(client: Any, kind: str, body: bytes) -> None:
    response = client.post("/v1/faces", content=body, headers={"Content-Type": kind})
    assert response.status_code in (400, 422)
    assert error_of(response)["code"] in ("usage", "input")


def test_more_clips_than_may_wait_are_refused_and_the_others_done(server: Served) -> None:
    long = wav(np.tile(np.frombuffer(wav_samples(), np.int16), 3))
    statuses: list[int] = []

    def post() -> None:
        with httpx.Client(base_url=server.url, trust_env=False, timeout=120) as own:
            response = own.post("/v1/faces", content=long, headers={"Accept": PNG})
            statuses.append(response.status_code)
            if response.status_code == 503:
                assert response.headers["Retry-After"]

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 3


def wav_samples() -> bytes:
    samples, _ = soundfile.read(SAMPLES[0], dtype="int16")
    return bytes(samples.tobytes())


def test_the_mesh_for_a_page(client: Any) -> None:
    data = client.get("/v1/mesh").content
    found = {}
    while data:
        columns, rows = HEADER.unpack_from(data)[3:5]
        size = {1: 4, 2: 4, 3: 1}[data[5]]
        length = HEADER.size + columns * rows * size
        message = BinaryMessage.unpack(data[:length])
        found[message.kind] = message.values
        data = data[length:]
    count = client.get("/v1/bundle").json()["morphable_model"]["vertices"]
    assert list(found) == ["triangles", "vertices", "colours"]
    assert found["vertices"].shape == found["colours"].shape == (count, 3)
    assert found["triangles"].max() == count - 1


def test_the_bundle_tells_no_path(client: Any, default_bundle: Any) -> None:
    text = client.get("/v1/bundle").text
    assert str(default_bundle.path) not in text
    assert client.get("/v1/bundle").json()["sha256"] == default_bundle.manifest.sha256


def test_health_metrics_and_what_is_not_there(client: Any) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "sessions": 0}
    text = client.get("/metrics").text
    for name in (
        "update_seconds_bucket",
        "sessions",
        "batch_size",
        "refused_total",
        "lost_samples_total",
        "clip_seconds_bucket",
    ):
        assert f"voxface_{name}" in text
    for path in ("/nope", "/..%2f..%2fetc%2fpasswd", "/v1/nope", "/docs", "/.git"):
        response = client.get(path)
        assert response.status_code == 404, path
        assert error_of(response)["code"] == "not-found"
    assert client.get("/v1/faces").status_code == 405


def test_headers_that_keep_other_pages_away(client: Any) -> None:
    headers = client.get("/healthz").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "server" not in headers


def test_the_openapi_document_knows_every_route(client: Any) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/v1/faces", "/v1/bundle", "/v1/mesh", "/healthz", "/readyz", "/metrics"}
    faces = document["paths"]["/v1/faces"]["post"]
    assert set(faces["requestBody"]["content"]) == {"multipart/form-data", "application/octet-stream", "audio/*"}
    assert {"200", "400", "413", "422", "503"} <= faces["responses"].keys()
    assert {each["name"] for each in faces["parameters"]} == {"channel", "min_confidence", "any_age", "uncertainty"}
