"""The desk whose clips are worked on elsewhere: tries again where something was lost, and only there; bounds; the end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.stand_ins.served import needs_serve
from voxface.runtime.errors import InputError, NoSpeechError, ProviderError, UsageError

pytestmark = needs_serve
pytest.importorskip("starlette", reason="starlette comes with voxface[serve]")

from voxface.serve.clip import ClipOptions  # noqa: E402
from voxface.serve.clip_desk import BusyError  # noqa: E402
from voxface.serve.ray import remote_desk  # noqa: E402
from voxface.serve.ray.deployment import MOST, Replicas  # noqa: E402
from voxface.serve.ray.remote_desk import TRIES, RemoteDesk  # noqa: E402
from voxface.serve.ray.remote_face import RemoteFace  # noqa: E402

FACE = RemoteFace(
    {
        "duration_s": 2.5,
        "face": "data:image/png;base64,iVBO",
        "mesh": "data:model/gltf-binary;base64,Z2xURg==",
        "uncertainty": "data:,",
    }
)
OPTIONS = ClipOptions()


class LostError(Exception):
    """A machine is gone."""


class Replica:
    """Answers one call after another with what was given: a result, an error to be raised, or what to wait for."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[Any, ...]] = []
        self.face = self

    async def remote(self, *words: Any) -> Any:
        self.calls.append(words)
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return FACE
        if isinstance(answer, type):
            raise answer("gone")
        return answer


def desk(replica: Replica, **more: Any) -> RemoteDesk:
    about = {"most": 2, "most_bytes": 100, **more}
    return RemoteDesk(replica, lost=lambda error: isinstance(error, LostError), **about)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_desk, "PAUSE_S", 0.0)


def asked(work: Callable[[], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        return await work()

    return asyncio.run(run())


def test_a_clip_whose_machine_is_lost_is_done_elsewhere() -> None:
    replica = Replica(LostError, LostError, FACE)
    retried: list[int] = []
    found = desk(replica, retried=lambda: retried.append(1))
    assert asked(lambda: found.face(b"abc", "a.wav", OPTIONS, 5)) is FACE
    assert replica.calls == [(b"abc", "a.wav", OPTIONS, 5)] * 3
    assert len(retried) == 2
    assert found.waiting == 0


def test_a_clip_that_ends_every_replica_is_given_up() -> None:
    replica = Replica(*[LostError] * (TRIES + 1))
    with pytest.raises(ProviderError, match=f"lost the clip {TRIES} times: gone"):
        asked(lambda: desk(replica).face(b"abc", "a.wav", OPTIONS, 5))
    assert len(replica.calls) == TRIES


@pytest.mark.parametrize(
    "error", [NoSpeechError("a.wav: no speech", "silence"), InputError("no sound"), TimeoutError()], ids=repr
)
def test_what_is_wrong_with_a_clip_is_not_tried_again(error: Exception) -> None:
    replica = Replica(error)
    with pytest.raises(type(error)) as raised:
        asked(lambda: desk(replica).face(b"abc", "a.wav", OPTIONS, 5))
    assert raised.value is error
    assert len(replica.calls) == 1


def test_a_fault_is_not_tried_again() -> None:
    replica = Replica(ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        asked(lambda: desk(replica).face(b"abc", "a.wav", OPTIONS, 5))
    assert len(replica.calls) == 1


def test_bounds_and_the_end() -> None:
    async def run() -> None:
        go = asyncio.Event()
        replica = Replica(go, go, go, FACE)
        found = desk(replica)
        first = asyncio.create_task(found.face(bytes(60), "1", OPTIONS, 60))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="0 MiB of clips wait already"):
            await found.face(bytes(41), "2", OPTIONS, 60)
        second = asyncio.create_task(found.face(bytes(40), "3", OPTIONS, 60))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="2 clips wait already"):
            await found.face(b"", "4", OPTIONS, 60)
        draining = asyncio.create_task(found.drain(60))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="shut down"):
            await found.face(b"", "5", OPTIONS, 60)
        assert not draining.done()
        go.set()
        assert await asyncio.gather(first, second) == [FACE, FACE]
        await draining
        assert found.waiting == 0

    asyncio.run(run())


def test_one_clip_larger_than_the_bound_passes_alone() -> None:
    assert asked(lambda: desk(Replica(FACE)).face(bytes(1000), "a", OPTIONS, 5)) is FACE


def test_a_clip_that_takes_too_long() -> None:
    async def run() -> None:
        found = desk(Replica(asyncio.Event()))
        with pytest.raises(TimeoutError):
            await found.face(b"abc", "a", OPTIONS, 0.01)
        assert found.waiting == 0

    asyncio.run(run())


def test_what_ray_raises_where_something_is_lost() -> None:
    ray = pytest.importorskip("ray", reason="Ray comes with voxface[serve-ray]")
    errors = ray.exceptions
    assert remote_desk.lost_by_ray(errors.ActorDiedError())
    assert remote_desk.lost_by_ray(errors.ActorUnavailableError("gone", b"0" * 16))
    assert remote_desk.lost_by_ray(errors.RayTaskError("face", "trace", errors.ActorDiedError()))
    assert not remote_desk.lost_by_ray(errors.RayTaskError("face", "trace", ZeroDivisionError()))
    assert not remote_desk.lost_by_ray(errors.TaskCancelledError())
    assert not remote_desk.lost_by_ray(ValueError())


def test_a_face_as_it_comes_back() -> None:
    assert (FACE.seconds, FACE.png, FACE.glb) == (2.5, b"\x89PN", b"glTF")
    assert "uncertainty" not in FACE.to_json()
    assert FACE.to_json(uncertainty=True) == FACE.document


@pytest.mark.parametrize(
    ("text", "found"), [("2", Replicas(2, 2)), ("1:4", Replicas(1, 4)), (f"1:{MOST}", Replicas(1, MOST))]
)
def test_replicas(text: str, found: Replicas) -> None:
    assert Replicas.read(text) == found


@pytest.mark.parametrize("text", ["", "0", "x", "4:1", ":4", "1:2:3", f"1:{MOST + 1}", "-1"])
def test_replicas_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="--replicas"):
        Replicas.read(text)
