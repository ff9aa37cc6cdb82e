"""What visitors of the server's page do and see: listen, drop a file, save a mesh."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.command_line import run
from tests.stand_ins.browser import Visit, pixels

IDLE = "document.getElementById('record').textContent === 'Start listening'"


def listen(found: Visit, speech_s: float) -> None:
    """Listens until so much speech was heard, and to the end of the session."""
    found.page.click("#record")
    found.until(f"parseFloat(document.getElementById('speech').textContent) >= {speech_s}")
    stop(found)


def listen_to_all(found: Visit) -> None:
    """Waits until the file that is the microphone is over: a second of silence, eight of voice."""
    found.until("parseFloat(document.getElementById('heard').textContent) >= 9.5")
    stop(found)


def stop(found: Visit) -> None:
    found.page.click("#record")
    found.until(IDLE)


def seen(found: Visit, name: str) -> NDArray[np.uint8]:
    """The pixels of an element as they are on the screen, two pictures after now."""
    found.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")
    return pixels(found.page.locator(f"#{name}").screenshot())


def clean(found: Visit, url: str) -> None:
    """Nothing in the console, and nobody but the server was asked."""
    assert found.said == []
    assert found.hosts == {url.removeprefix("http://")}


def glb_positions(data: bytes) -> NDArray[np.float32]:
    """The positions in a GLB file, in millimetres."""
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + size])
    blob_size, blob_kind = struct.unpack_from("<I4s", data, 20 + size)
    assert blob_kind == b"BIN\0"
    assert blob_size == document["buffers"][0]["byteLength"] == length - 28 - size
    blob = data[28 + size :]
    for view in document["bufferViews"]:
        assert view["byteOffset"] + view["byteLength"] <= len(blob)
    primitive = document["meshes"][0]["primitives"][0]
    accessor = document["accessors"][primitive["attributes"]["POSITION"]]
    positions = np.frombuffer(blob, "<f4", 3 * accessor["count"]).reshape(-1, 3)
    np.testing.assert_allclose(positions.min(0), accessor["min"], atol=1e-7)
    normals = document["accessors"][primitive["attributes"]["NORMAL"]]
    start = document["bufferViews"][normals["bufferView"]]["byteOffset"]
    length_of = np.linalg.norm(np.frombuffer(blob, "<f4", 3 * normals["count"], start).reshape(-1, 3), axis=1)
    np.testing.assert_allclose(length_of, 1, atol=1e-4)
    indices = document["accessors"][primitive["indices"]]
    start = document["bufferViews"][indices["bufferView"]]["byteOffset"]
    assert np.frombuffer(blob, "<u4", indices["count"], start).max() == accessor["count"] - 1
    return positions * np.float32(1000)


def of_run(path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The clip that `voxface run` makes of a file."""
    capsys.readouterr()
    assert run("run", path, "--out", folder, "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    found: dict[str, Any] = clip
    return found


def drop(found: Visit, path: Path) -> None:
    """Drops a file onto the page."""
    given = found.page.evaluate_handle(
        """([bytes, name]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(bytes)], name));
          return transfer;
        }""",
        [list(path.read_bytes()), path.name],
    )
    found.page.dispatch_event("body", "drop", {"dataTransfer": given})


WELCOME = {"event": "welcome", "version": 1, "session": "one", "resumed": False, "frames": 0, "position": 0}
