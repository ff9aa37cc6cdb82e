"""A replica: the networks of a bundle in a process of a Ray cluster, and the desk to which clips come."""

import importlib
from pathlib import Path
from typing import Any, Final

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import BundleError, ProviderError, VoxfaceError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.serve.clip import ClipOptions
from voxface.serve.clip_desk import ClipDesk
from voxface.serve.ray.remote_face import RemoteFace

ONGOING: Final = 2  # clips of a replica: one is worked on, and another is there already when that is done
Outcome = RemoteFace | VoxfaceError | TimeoutError


class ClipReplica:
    """Faces of clips, one after another. Ray makes it in a process of its own."""

    def __init__(self, bundle: str | None, sha256: str, provider: str, longest_s: float) -> None:
        """Loads the networks.

        Args:
            bundle: path of the bundle on every machine of the cluster; None: the default one.
            sha256: digest of the manifest that the server has.
            provider: what runs the networks.
            longest_s: the longest clip.

        Raises:
            BundleError: another bundle lies there; see also `FaceEstimator`.
            ProviderError: see `listen_here_alone` and `FaceEstimator`.
        """
        listen_here_alone()
        opened = Bundle.open(None if bundle is None else Path(bundle))
        if opened.manifest.sha256 != sha256:
            raise BundleError(f"{opened.path}: is another bundle than the server's; copy it to every machine")
        self._estimator = FaceEstimator(opened, provider, threads=1)
        self._estimator.warm_up()
        self._desk = ClipDesk(self._estimator, most=2 * ONGOING, longest_s=longest_s)

    async def face(self, data: bytes, name: str, options: ClipOptions, timeout_s: float) -> Outcome:
        """The face of a clip, or why there is none: an error that is raised would come wrapped, and be logged as a fault."""
        try:
            found = await self._desk.face(data, name, options, timeout_s)
        except (VoxfaceError, TimeoutError) as error:
            return error
        return RemoteFace(found.to_json(uncertainty=True))


def listen_here_alone() -> None:
    """Binds the port at which replicas of Ray Serve talk to each other to the address of the node; Ray would open it to
    everybody, and what it gets there it unpickles.

    Raises:
        ProviderError: Ray is of a version where that port is opened in another way.
    """
    ray: Any = importlib.import_module("ray")
    replica: Any = importlib.import_module("ray.serve._private.replica")
    name = "add_port_to_grpc_server"
    its_own = getattr(replica, name, None)
    if its_own is None:
        raise ProviderError(f"Ray {ray.__version__} is not known here: its replicas would listen to everybody")
    address = ray.util.get_node_ip_address()
    host = f"[{address}]" if ":" in address else address

    def bind(server: Any, where: str) -> Any:
        return its_own(server, f"{host}:{where.rpartition(':')[2]}")

    setattr(replica, name, bind)
