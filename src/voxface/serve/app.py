"""The application: engines, lanes, routes and guards put together from settings."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import Clock, SystemClock
from voxface.runtime.provenance.mark import KEY
from voxface.runtime.provenance.web_page import head_elements
from voxface.runtime.version import __version__
from voxface.serve.access import Access
from voxface.serve.batching_engine import Batches
from voxface.serve.clip_desk import ClipDesk, Desk
from voxface.serve.first_costs import first_costs
from voxface.serve.guard import Guard
from voxface.serve.http_errors import error_document
from voxface.serve.http_routes import HttpRoutes
from voxface.serve.live_service import LiveService
from voxface.serve.local_host import LocalHost
from voxface.serve.metrics import Metrics
from voxface.serve.page import page_files
from voxface.serve.session_host import SessionHost
from voxface.serve.state.limits import Limits
from voxface.serve.state.load_meter import FirstCosts, Kind, LoadMeter
from voxface.serve.state.session_registry import SessionRegistry
from voxface.serve.stream_route import StreamRoute

BATCH_WORKERS: Final = 8  # threads whose runs are put together
# FastAPI can send traces and metrics elsewhere, where variables of the environment say so.
NO_TELEMETRY: Final[dict[str, Any]] = {"auto_configure": False, "tracing": False, "metrics": False, "logs": False}


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        provider: what runs the networks.
        lanes: number of threads that infer for live sessions, each with engines of its own.
        batch_s: how long a run waits for others of its kind; 0: nothing is put together.
        access: who may use it.
        limits: what they may take.
    """

    provider: str = "cpu"
    lanes: int = 1
    batch_s: float = 0.0
    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)


class Server:
    """Engines and sessions behind an ASGI application. A context manager that frees them.

    Attributes:
        app: the application.
        service: the live sessions.
        metrics: what is counted.
        limits: the limits.
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        clock: Clock | None = None,
        desk: Callable[[Metrics], Desk] | None = None,
        cluster: tuple[SessionHost, FirstCosts] | None = None,
    ) -> None:
        """Loads the engines and measures what sessions will cost.

        Args:
            bundle: the bundle.
            settings: the settings.
            clock: the clock; None: the system's.
            desk: makes what whole clips go to; None: a thread of this process.
            cluster: what works on live sessions, and what they cost there; None: lanes of this process. It is closed with the
                server.

        Raises:
            BundleError, ProviderError, UsageError: see `FaceEstimator`.
        """
        self.limits = settings.limits
        self.metrics = Metrics()
        self._clock = clock or SystemClock()
        self._settings = settings
        self._opened = ExitStack()
        with ExitStack() as opened:
            host: SessionHost = cluster[0] if cluster else opened.enter_context(self._lanes(bundle))
            opened.callback(host.close)
            limits = settings.limits
            with ExitStack() as for_a_while:
                kept = for_a_while if desk else opened
                estimator = kept.enter_context(FaceEstimator(bundle, settings.provider, threads=1))
                costs = cluster[1] if cluster else first_costs(estimator)
                about = _about(bundle, estimator, limits)
            self.desk: Desk
            if desk is None:
                self.desk = ClipDesk(estimator, most=limits.clips_waiting, longest_s=limits.clip_s)
            else:
                self.desk = desk(self.metrics)
            self._opened = opened.pop_all()
        registry = SessionRegistry(settings.limits, lambda: secrets.token_urlsafe(16))
        self.service = LiveService(host, self._clock, settings.limits, registry, LoadMeter(costs), self.metrics)
        self.metrics.watch("clips", lambda: self.desk.waiting)
        share = costs.share(Kind("incremental", 2.0))
        threads = 1 if cluster else settings.lanes  # of a replica
        _log.info("loaded", extra={"share": round(share, 4), "room": int(threads * limits.load / share)})
        self.app = self._application(bundle, about)

    async def drain(self) -> None:
        """Lets nobody in, and lets sessions and clips end."""
        await asyncio.gather(self.service.drain(), self.desk.drain(self.limits.drain_s))

    def close(self) -> None:
        """Ends the threads and frees the engines."""
        self.desk.close()
        self._opened.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _batched(self, graph: str, size: int) -> None:
        self.metrics.batch.labels(graph).observe(size)

    @contextlib.contextmanager
    def _lanes(self, bundle: Bundle) -> Iterator[LocalHost]:
        """Lanes of this process, with networks of their own."""
        settings, host = self._settings, LocalHost(bundle, self._clock)
        with ExitStack() as opened:
            for _ in range(settings.lanes):
                batches = Batches(self._clock, settings.batch_s, counted=self._batched) if settings.batch_s else None
                wrap = batches.wrap if batches else None
                estimator = opened.enter_context(FaceEstimator(bundle, settings.provider, threads=1, wrap=wrap))
                estimator.warm_up()
                host.add_lane(estimator, workers=BATCH_WORKERS if batches else 1, batches=batches)
            yield host

    def _application(self, bundle: Bundle, about: dict[str, Any]) -> ASGIApp:
        limits = self.limits

        @contextlib.asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self.service.host.start(self.service.delivered)
            sweeping = asyncio.create_task(self.service.keep_sweeping())
            yield
            sweeping.cancel()
            self.service.host.stop()

        app = FastAPI(
            title="voxface",
            version=__version__,
            description="Faces and meshes from voices. A face is the mean of people with such a voice, not the speaker's.",
            docs_url=None,
            redoc_url=None,
            lifespan=lifespan,
            telemetry=NO_TELEMETRY,  # type: ignore[arg-type]
        )
        page = page_files(head=head_elements(bundle.mark))
        HttpRoutes(bundle, about, self.desk, self.service, self.metrics, limits, page).add_to(app)
        stream = StreamRoute(self.service, self.metrics, limits, self._clock, {k: about[k] for k in ("name", "sha256")})

        async def live(socket: WebSocket) -> None:
            await stream.serve(socket)

        app.add_api_websocket_route("/v1/stream", live)
        app.add_exception_handler(RequestValidationError, _bad_option)  # type: ignore[arg-type]
        app.add_exception_handler(HTTPException, _http_error)  # type: ignore[arg-type]
        return Guard(app, self._settings.access, self.metrics)


async def _bad_option(request: Request, error: RequestValidationError) -> JSONResponse:
    said = "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    return JSONResponse(error_document(said[:300], 2, "usage"), 400)


async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
    code = {404: "not-found", 405: "no-such-method"}.get(error.status_code, "http")
    return JSONResponse(error_document(str(error.detail), 2, code), error.status_code, error.headers)


def _about(bundle: Bundle, estimator: FaceEstimator, limits: Limits) -> dict[str, Any]:
    """What `/v1/bundle` tells: no path of this machine."""
    model, manifest = bundle.morphable, bundle.manifest
    size = estimator.bundle.manifest.graphs["face"].outputs["image"].shape
    return {
        "name": bundle.name,
        "version": manifest.version,
        "sha256": manifest.sha256,
        "licence": manifest.licence,
        "description": manifest.description,
        "provider": estimator.provider,
        "morphable_model": {
            "name": model.name,
            "version": model.version,
            "licence": model.licence,
            "vertices": len(model.mean),
            "triangles": len(model.triangles),
            "coefficients": model.modes,
        },
        "picture": list(size),
        "limits": {
            "body_bytes": limits.body_bytes,
            "clip_s": limits.clip_s,
            "message_bytes": limits.message_bytes,
            "updates_per_second": limits.updates_per_s,
            "window_s": limits.window_s,
        },
        "voxface": __version__,
        KEY: bundle.mark.to_json(),
    }
