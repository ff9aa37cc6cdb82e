"""The routes of HTTP: whole clips, the bundle, the topology of the mesh, health, metrics and the page."""

import logging
import time
from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.responses import JSONResponse, Response

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import NoSpeechError, UsageError, VoxfaceError
from voxface.runtime.provenance.mark import KEY
from voxface.serve.clip import GLB, PNG, ClipOptions
from voxface.serve.clip_desk import BusyError, Desk
from voxface.serve.http_errors import code_of, error_document, error_response
from voxface.serve.live_service import LiveService
from voxface.serve.metrics import CONTENT_TYPE, Metrics
from voxface.serve.openapi import BINARY, BODY, JSON, failures
from voxface.serve.page import INDEX, PageFile
from voxface.serve.protocol.binary import BinaryMessage
from voxface.serve.state.limits import Limits
from voxface.serve.upload import read_upload

STUCK_S: Final = 30.0
CLIP_OPTIONS: Final = ("channel", "min_confidence", "any_age", "uncertainty")
_log = logging.getLogger(__name__)


class HttpRoutes:
    """The routes, and what they answer with."""

    def __init__(
        self,
        bundle: Bundle,
        about: dict[str, Any],
        desk: Desk,
        service: LiveService,
        metrics: Metrics,
        limits: Limits,
        page: dict[str, PageFile],
    ) -> None:
        """`about`: what `/v1/bundle` tells."""
        self._about, self._desk, self._service = about, desk, service
        self._metrics, self._limits, self._page = metrics, limits, page
        self._provider = str(about["provider"])
        self._uploading = 0
        self._document = {key: about[key] for key in ("name", "sha256")}
        model = bundle.morphable
        colours = (model.albedo * 255).round().astype("uint8")
        self._mesh = b"".join(
            BinaryMessage(kind, 0, values).pack()
            for kind, values in (
                ("triangles", model.triangles.astype("uint32")),
                ("vertices", model.mean.astype("float32")),
                ("colours", colours),
            )
        )

    def add_to(self, app: FastAPI) -> None:
        """Adds the routes to an application."""
        routes = APIRouter()
        routes.add_api_route(
            "/v1/faces",
            self.faces,
            methods=["POST"],
            summary="The face and mesh of a whole clip",
            openapi_extra={"requestBody": BODY},
            response_class=Response,
            responses={
                200: {
                    "description": "as `voxface run --json`; `face` and `mesh` are data URLs. Or, by Accept, the file alone",
                    "content": {JSON: {"schema": {"type": "object"}}, PNG: BINARY, GLB: BINARY},
                },
                **failures(400, 401, 403, 406, 408, 413, 415, 421, 422, 500, 503, 504),
            },
        )
        own: dict[int | str, Any] = failures(401, 403, 421)
        routes.add_api_route(
            "/v1/bundle",
            self.bundle,
            methods=["GET"],
            summary="The bundle, and the limits of this server",
            responses=own,
        )
        routes.add_api_route(
            "/v1/mesh",
            self.mesh,
            methods=["GET"],
            summary="Triangles, mean face and colours of the mesh, as binary messages one after another",
            response_class=Response,
            responses={200: {"description": "binary", "content": {"application/octet-stream": BINARY}}, **own},
        )
        others: dict[int | str, Any] = failures(403, 421)
        ill: dict[int | str, Any] = {503: {"description": "not now", "content": {JSON: {"schema": {"type": "object"}}}}}
        routes.add_api_route(
            "/healthz", self.health, methods=["GET"], summary="Whether the server works", responses={**others, **ill}
        )
        routes.add_api_route(
            "/readyz", self.ready, methods=["GET"], summary="Whether it lets sessions in", responses={**others, **ill}
        )
        routes.add_api_route(
            "/metrics",
            self.metrics,
            methods=["GET"],
            summary="Metrics in the text format of Prometheus",
            response_class=Response,
            responses={200: {"description": "text", "content": {"text/plain": {"schema": {"type": "string"}}}}, **own},
        )
        routes.add_api_route("/", self.index, methods=["GET", "HEAD"], include_in_schema=False)
        routes.add_api_route("/{name}", self.file, methods=["GET", "HEAD"], include_in_schema=False)
        app.include_router(routes)

    async def faces(
        self,
        request: Request,
        channel: Annotated[int | None, Query(ge=1, le=256, description="the channel, from 1; else the mean")] = None,
        min_confidence: Annotated[float, Query(ge=0, le=1, description="no face below this confidence")] = 0.0,
        any_age: Annotated[bool, Query(description="an adult's face of a child's voice too")] = False,
        uncertainty: Annotated[
            bool, Query(description="how far each vertex may be off, as a binary message too")
        ] = False,
    ) -> Response:
        """Answers with the face of the clip in the body."""
        began = time.perf_counter()
        form = _wanted(request.headers.get("accept", "*/*"))
        if form is None:
            document = error_document(f"Accept: {JSON}, {PNG} or {GLB}", 2, "not-acceptable")
            return JSONResponse(document, 406)
        name = None
        try:
            _check_names(request.query_params.keys())
            if self._uploading >= self._limits.uploads:
                raise BusyError(f"{self._uploading} clips are on their way already; try again in a moment")
            self._uploading += 1
            try:
                upload = await read_upload(request, self._limits)
            finally:
                self._uploading -= 1
            name = upload.name
            options = ClipOptions(channel, min_confidence, any_age)
            face = await self._desk.face(upload.data, name, options, self._limits.clip_wait_s)
        except VoxfaceError as error:
            self._failed(error, began)
            return error_response(error, name)
        except TimeoutError:
            self._metrics.clips.labels("time-out").inc()
            message = f"the clip took longer than {self._limits.clip_wait_s:g} s, waiting included"
            return JSONResponse(error_document(message, 1, "time-out", file=name), 504)
        self._metrics.clips.labels("face").inc()
        self._metrics.clip_s.observe(time.perf_counter() - began)
        _log.info("clip", extra={"seconds": round(face.seconds, 1), "ms": round(1000 * (time.perf_counter() - began))})
        if form == PNG:
            return Response(face.png, media_type=PNG)
        if form == GLB:
            return Response(face.glb, media_type=GLB)
        return JSONResponse(
            {
                "bundle": self._document,
                "clips": [face.to_json(uncertainty=uncertainty)],
                "errors": [],
                "provider": self._provider,
                KEY: self._about[KEY],
            }
        )

    def _failed(self, error: VoxfaceError, began: float) -> None:
        code = code_of(error)[1]
        self._metrics.clips.labels(code).inc()
        if isinstance(error, BusyError) or code in ("too-large", "too-long", "too-slow", "encoded"):
            self._metrics.refused.labels(code).inc()
        if isinstance(error, NoSpeechError):
            self._metrics.clip_s.observe(time.perf_counter() - began)

    async def bundle(self) -> JSONResponse:
        """Tells what the bundle is."""
        return JSONResponse(self._about)

    async def mesh(self) -> Response:
        """The topology, which never changes."""
        return Response(self._mesh, media_type="application/octet-stream")

    async def health(self) -> JSONResponse:
        """Whether the threads that infer go on."""
        stuck = self._service.host.stuck(STUCK_S)
        return JSONResponse({"status": "stuck" if stuck else "ok"}, 503 if stuck else 200)

    async def ready(self) -> JSONResponse:
        """Whether sessions are let in."""
        host = self._service.host
        status = "draining" if self._service.registry.draining else "ready" if host.ready else "no replica"
        document = {"status": status, "sessions": len(self._service), **host.state}
        return JSONResponse(document, 200 if status == "ready" else 503)

    async def metrics(self) -> Response:
        """All metrics."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def index(self) -> Response:
        """The page."""
        return self._of_page(INDEX)

    async def file(self, name: str) -> Response:
        """A file of the page."""
        return self._of_page(name)

    def _of_page(self, name: str) -> Response:
        found = self._page.get(name)
        if found is None:
            return JSONResponse(error_document("no such page", 2, "not-found"), 404)
        return Response(found.data, media_type=found.kind, headers={"Cache-Control": "no-cache"})


def _check_names(names: Iterable[str]) -> None:
    """Raises UsageError for an option of a clip that there is not: a misspelt one would be ignored without a word."""
    unknown = sorted(set(names) - set(CLIP_OPTIONS))
    if unknown:
        raise UsageError(f"no option {', '.join(map(repr, unknown))[:100]}; there are {', '.join(CLIP_OPTIONS)}")


def _wanted(accept: str) -> str | None:
    """The form that an Accept header prefers of those that there are, the first of equals; None: none."""
    best, most = None, 0.0
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        form = _FORMS.get(kind)
        quality = next((_quality(word[2:]) for word in parameters if word.startswith("q=")), 1.0)
        if form is not None and quality > most:
            best, most = form, quality
    return best


_FORMS: Final = {
    **{form: form for form in (JSON, PNG, GLB)},
    **dict.fromkeys(("*/*", "application/*", ""), JSON),
    "image/*": PNG,
    "model/*": GLB,
}


def _quality(text: str) -> float:
    """A weight of an Accept header, 0 (not at all) to 1; what is no number is 1."""
    try:
        return min(1.0, float(text))
    except ValueError:
        return 1.0
