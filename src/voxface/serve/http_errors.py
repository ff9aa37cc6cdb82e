"""Errors as HTTP answers: the document of a command that fails, with the exit code that the command line would end with."""

from typing import Any, Final

from starlette.responses import JSONResponse

from voxface.runtime.errors import (
    BundleError,
    InputError,
    NoSpeechError,
    ProviderError,
    UsageError,
    VoxfaceError,
)
from voxface.serve.clip import ClipStoppedError, ClipTooLongError
from voxface.serve.clip_desk import BusyError
from voxface.serve.upload import EncodedError, TooLargeError, TooSlowError

# The first that an error is decides.
STATUS: Final[tuple[tuple[type[VoxfaceError], int, str], ...]] = (
    (TooLargeError, 413, "too-large"),
    (TooSlowError, 408, "too-slow"),
    (EncodedError, 415, "encoded"),
    (ClipTooLongError, 413, "too-long"),
    (BusyError, 503, "busy"),
    (ClipStoppedError, 503, "busy"),
    (UsageError, 400, "usage"),
    (NoSpeechError, 422, "no-speech"),
    (InputError, 422, "input"),
    (ProviderError, 503, "provider"),
    (BundleError, 500, "bundle"),
)
DENIED: Final[dict[str, tuple[int, str]]] = {
    "token": (401, "a token is needed: Authorization: Bearer TOKEN"),
    "origin": (403, "a page of another origin may not use this server; --origin lets it"),
    "host": (421, "this server is reached by another name; give that of the address it listens at"),
}


def error_document(message: str, exit_code: int, code: str, *, file: str | None = None, **more: Any) -> dict[str, Any]:
    """`{"errors": [...]}` as of the command line, with a `code` for programs."""
    return {"errors": [{"file": file, "exit_code": exit_code, "message": message, "code": code, **more}]}


def code_of(error: VoxfaceError) -> tuple[int, str]:
    """The status and the code of an error."""
    return next(((status, code) for kind, status, code in STATUS if isinstance(error, kind)), (500, "failed"))


def error_response(error: VoxfaceError, file: str | None = None) -> JSONResponse:
    """The answer to a request that failed."""
    status, code = code_of(error)
    more = {"reason": error.reason} if isinstance(error, NoSpeechError) else {}
    headers = {"Retry-After": "5"} if status == 503 else {"Connection": "close"} if status in (408, 413) else {}
    document = error_document(str(error), error.exit_code, code, file=file, **more)
    return JSONResponse(document, status, headers)


def denied_response(denial: str) -> JSONResponse:
    """The answer to a request of somebody who may not ask."""
    status, message = DENIED[denial]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(error_document(message, UsageError.exit_code, denial), status, headers)
