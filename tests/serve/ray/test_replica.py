"""What runs in a process of the cluster, here without one: it listens to its node alone, and says what is wrong as a value."""

import asyncio
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import ROOT, SAMPLES
from tests.stand_ins.served import needs_serve
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import BundleError, InputError, NoSpeechError, ProviderError

pytestmark = needs_serve
pytest.importorskip("ray.serve", reason="Ray Serve comes with voxface[serve-ray]")

import ray  # noqa: E402
from ray.serve._private import replica as serve_replica  # noqa: E402

from voxface.serve.clip import ClipOptions  # noqa: E402
from voxface.serve.ray.remote_face import RemoteFace  # noqa: E402
from voxface.serve.ray.replica import ClipReplica, listen_here_alone  # noqa: E402

SMALL = ROOT / "tests" / "stored" / "small.voxface"
NAME = "add_port_to_grpc_server"


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that replicas would listen at."""
    found: list[str] = []
    monkeypatch.setattr(serve_replica, NAME, lambda _, where: (found.append(where), 7)[1])
    monkeypatch.setattr(ray, "util", SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1"))
    return found


@pytest.mark.parametrize(
    ("node", "where"), [("127.0.0.1", "127.0.0.1:0"), ("10.1.2.3", "10.1.2.3:0"), ("fd00::1", "[fd00::1]:0")]
)
def test_it_listens_to_its_node_alone(bound: list[str], monkeypatch: pytest.MonkeyPatch, node: str, where: str) -> None:
    monkeypatch.setattr(ray, "util", SimpleNamespace(get_node_ip_address=lambda: node))
    listen_here_alone()
    server: Any = object()
    assert serve_replica.add_port_to_grpc_server(server, "[::]:0") == 7
    assert bound == [where]


def test_a_version_of_ray_that_listens_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(serve_replica, NAME)
    with pytest.raises(ProviderError, match="its replicas would listen to everybody"):
        listen_here_alone()


def test_another_bundle_is_refused() -> None:
    with pytest.raises(BundleError, match="another bundle than the server's"):
        ClipReplica(str(SMALL), "0" * 64, "cpu", 600)


def test_faces_and_what_is_wrong_with_a_clip() -> None:
    bundle = Bundle.open()
    replica = ClipReplica(None, str(bundle.manifest.sha256), "cpu", 600)

    async def ask(data: bytes) -> Any:
        return await replica.face(data, "a.flac", ClipOptions(), 60)

    found = asyncio.run(ask(SAMPLES[0].read_bytes()))
    assert isinstance(found, RemoteFace)
    assert found.png.startswith(b"\x89PNG")
    assert found.glb.startswith(b"glTF")
    assert found.document["file"] == "a.flac"
    wrong = asyncio.run(ask(b"no sound"))
    assert isinstance(wrong, InputError)
    assert "a.flac" in str(wrong)


def test_why_there_is_no_face_survives_the_way_back() -> None:
    found = pickle.loads(pickle.dumps(NoSpeechError("a.flac: a child's voice", "child")))
    assert (str(found), found.reason) == ("a.flac: a child's voice", "child")
