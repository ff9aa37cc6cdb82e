"""The body of a request as a clip: raw, or the file of a form; within limits of size and time, and in memory alone."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from voxface.runtime.errors import UsageError, VoxfaceError
from voxface.serve.clip import safe_name
from voxface.serve.state.limits import MIB, Limits

FIELD: Final = "audio"


class TooLargeError(VoxfaceError):
    """A body larger than the server takes."""

    exit_code = 3


class TooSlowError(VoxfaceError):
    """A body that does not come in time."""

    exit_code = 3


class EncodedError(VoxfaceError):
    """A body that is compressed: how large it becomes is not known before."""

    exit_code = 2


@dataclass(frozen=True)
class Upload:
    """A clip: its bytes, and the client's name for it."""

    data: bytes
    name: str


class _InMemory(MultiPartParser):
    spool_max_size = 1 << 62  # never on a disk; the body is bounded before


async def read_upload(request: Request, limits: Limits) -> Upload:
    """The clip in a request.

    Raises:
        TooLargeError, TooSlowError, EncodedError: see there.
        UsageError: a form without the field, or that is none.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise EncodedError("a compressed body is not taken; sound formats such as FLAC and Opus are small as they are")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_s):
            if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
                return await _form(request, limits)
            return Upload(b"".join([part async for part in _bounded(request, limits)]), "clip")
    except TimeoutError:
        raise TooSlowError(f"the body did not come within {limits.body_s:g} s") from None
    except ClientDisconnect:
        raise TooSlowError("the client has gone") from None


async def _form(request: Request, limits: Limits) -> Upload:
    headers = Headers(raw=list(request.headers.raw))
    parser = _InMemory(headers, _bounded(request, limits), max_files=1, max_fields=8)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, KeyError, IndexError) as error:
        raise UsageError(f"no form that can be read ({getattr(error, 'message', type(error).__name__)})") from None
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise UsageError(f"the form has no file in a field {FIELD!r}")
        return Upload(await file.read(), safe_name(file.filename))
    finally:
        await form.close()


async def _bounded(request: Request, limits: Limits) -> AsyncGenerator[bytes, None]:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limits.body_bytes:
            raise _too_large(limits)
        yield part


def _too_large(limits: Limits) -> TooLargeError:
    return TooLargeError(f"the body is larger than {limits.body_bytes / MIB:g} MiB")
