"""The deployment of replicas for whole clips, for as long as a context lasts: more replicas where more clips come."""

import importlib
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from voxface.cluster.own_session import first_line
from voxface.cluster.ray_session import ray_session
from voxface.runtime.bundle.bundle import DEFAULT, Bundle
from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.install_advice import how_to_install
from voxface.serve.ray.replica import ONGOING, ClipReplica

MOST: Final = 1000
STORE_BYTES: Final = 512 << 20  # of shared memory of a cluster that is started here
BYTES_ON_THEIR_WAY: Final = STORE_BYTES // 2  # clips; the other half is for faces that come back
QUIET: Final = {"log_level": "ERROR", "enable_access_log": False}
# How soon there are more replicas, and fewer.
PACE: Final = {"metrics_interval_s": 1.0, "look_back_period_s": 3.0, "upscale_delay_s": 2.0, "downscale_delay_s": 60.0}


@dataclass(frozen=True)
class Replicas:
    """How many replicas of a kind there are, at least and at most; each takes a core."""

    least: int
    most: int

    @classmethod
    def read(cls, text: str, option: str = "--replicas") -> "Replicas":
        """Reads `N` or `MIN:MAX` of an option.

        Raises:
            UsageError: it is neither.
        """
        first, _, last = text.partition(":")
        try:
            found = cls(int(first), int(last or first))
        except ValueError:
            found = cls(0, 0)
        if not 1 <= found.least <= found.most <= MOST:
            raise UsageError(f"{option} {text}: N or MIN:MAX, from 1 to {MOST}")
        return found


@contextmanager
def clip_replicas(
    address: str | None,
    bundle: Bundle,
    provider: str,
    replicas: Replicas,
    longest_s: float,
    *,
    more_cores: int = 0,
) -> Iterator[Any]:
    """Connects to a cluster, or starts one of this machine alone, and deploys; gives the handle of the deployment. The
    deployment is gone when the context is left, and so is a cluster that was started here.

    Args:
        address: see `voxface.cluster.ray_session.ray_session`.
        bundle: the bundle, which lies under the same name on every machine.
        provider: what runs the networks.
        replicas: how many.
        longest_s: the longest clip.
        more_cores: that a cluster that is started here has beside those of the replicas.

    Raises:
        ProviderError: Ray or a part of it is not installed, the cluster cannot be started or reached, or no replica starts.
    """
    about = (None if bundle.path == DEFAULT else str(bundle.path.resolve()), str(bundle.manifest.sha256))
    os.environ["RAY_SERVE_LOG_TO_STDERR"] = "0"  # before Ray Serve is imported: the server's log is its own
    with ray_session(
        address, replicas.most + more_cores, what="--ray", extra="serve-ray", store_bytes=STORE_BYTES, niceness=0
    ):
        serve = _import_serve()
        name = f"voxface-{secrets.token_hex(4)}"
        deployment = serve.deployment(
            ClipReplica,
            name="clips",
            ray_actor_options={"num_cpus": 1},
            max_ongoing_requests=ONGOING,
            autoscaling_config={
                "min_replicas": replicas.least,
                "max_replicas": replicas.most,
                "target_ongoing_requests": ONGOING,
                **PACE,
            },
            health_check_period_s=2.0,
            graceful_shutdown_timeout_s=5.0,
        )
        # No proxy: clients talk to the server of this process, which has the guard, and nothing of Ray listens to them.
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        try:
            application = deployment.bind(*about, provider, longest_s)
            try:
                handle = serve.run(application, name=name, route_prefix=None, logging_config=QUIET)
            except RuntimeError as error:
                raise ProviderError(f"Ray: no replica starts: {first_line(error)}") from error
            yield handle
        finally:
            if address is not None:  # one that was started here ends with all that is in it
                with suppress(Exception):  # a cluster that is gone has no deployment
                    serve.delete(name)


def _import_serve() -> Any:
    try:
        serve = importlib.import_module("ray.serve")
    except ImportError as error:
        raise ProviderError(f"--ray needs Ray Serve ({first_line(error)}); {how_to_install('serve-ray')}") from error
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    return serve
