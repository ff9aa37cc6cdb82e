"""Ray on this machine alone, without the service by which it asks the network.

Ray asks the network even with its usage statistics off: the service that sends them asks a cloud's address of metadata
(169.254.169.254) whose machine this is, and tells a collector that they are off. A cluster that is started here has no such
service, listens to this machine alone, and wants a token that nobody else knows. One that runs already is as whoever started
it has set it up; docs/own-data.md says how.
"""

import importlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from voxface.runtime.errors import ProviderError
from voxface.runtime.install_advice import how_to_install

_OWN_SESSION: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a variable's name: this machine is 127.0.0.1, and no route is looked up
    "RAY_AUTH_MODE": "token",
}
_LONGEST_FOLDER: Final = 40  # characters: names of sockets below it may have 107 in all


def import_ray(what: str, extra: str) -> Any:
    """Ray, with its usage statistics off.

    Args:
        what: what needs it, for the message.
        extra: the extra that installs it.

    Raises:
        ProviderError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before it is imported
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ProviderError(f"{what} needs Ray ({first_line(error)}); {how_to_install(extra)}") from error


@contextmanager
def own_session(*, niceness: int | None = None) -> Iterator[None]:
    """Within it, Ray starts what it starts for this machine alone, and without the service that asks the network. Ray is
    installed: see `import_ray`.

    Args:
        niceness: how much lower than this process's the priority of its workers is; None: 15, as Ray has it.

    Raises:
        ProviderError: Ray is of a version where that service is started in another way.
    """
    # Its processes find the modules that this one finds, as those of `parallel_map` do.
    own = {**_OWN_SESSION, "RAY_AUTH_TOKEN": _token(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if niceness is not None:
        own["RAY_worker_niceness"] = str(niceness)
    variables = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        with _without_service():
            yield
    finally:
        for name, before in variables.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before


@contextmanager
def _without_service() -> Iterator[None]:
    ray: Any = importlib.import_module("ray")
    changed: list[tuple[Any, str, Any]] = [
        (importlib.import_module("ray._private.node").Node, "start_api_server", _no_service),
        (importlib.import_module("ray._private.ray_constants"), "ENABLE_RAY_CLUSTER", False),
    ]
    if not all(hasattr(owner, name) for owner, name, _ in changed):
        raise ProviderError(f"Ray {ray.__version__} is not known here; {how_to_install('ray')}")
    importlib.import_module("ray._raylet").Config.initialize("")  # the variables, where Ray had been imported before
    values = [getattr(owner, name) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name, _), value in zip(changed, values, strict=True):
            setattr(owner, name, value)


@contextmanager
def session_folder() -> Iterator[str]:
    """A folder for sockets and logs of a session."""
    usual = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="voxface-ray-", dir=usual if len(usual) <= _LONGEST_FOLDER else "/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def first_line(error: BaseException) -> str:
    """What an error says first; Ray's say much."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@cache
def _token() -> str:
    """One for this process, since Ray reads it once."""
    return secrets.token_hex(32)


def _no_service(node: Any, **_: object) -> None:
    node._webui_url = ""
