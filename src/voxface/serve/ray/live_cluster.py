"""Replicas for live sessions on a cluster that is connected to, for as long as a context lasts."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.live.clock import SystemClock
from voxface.serve.ray.cluster_host import ClusterHost
from voxface.serve.ray.live_actor import RayActors
from voxface.serve.state.limits import Limits
from voxface.serve.state.load_meter import FirstCosts


@contextmanager
def live_replicas(
    bundle: Bundle, provider: str, least: int, most: int, limits: Limits
) -> Iterator[tuple[ClusterHost, FirstCosts]]:
    """The replicas, the first of which have started, and what sessions cost there. They have ended when the context is left.

    Raises:
        ProviderError: none of them starts.
    """
    host = ClusterHost(RayActors(bundle, provider), least, most, limits, SystemClock())
    try:
        yield host, asyncio.run(host.begin())
    finally:
        host.close()
