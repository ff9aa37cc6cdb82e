"""What the OpenAPI document says of bodies and failures: an error has the document of a command that fails."""

from typing import Any, Final

from voxface.serve.upload import FIELD

JSON: Final = "application/json"
BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
ERRORS: Final = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["file", "exit_code", "message", "code"],
                "properties": {
                    "file": {"type": ["string", "null"]},
                    "exit_code": {"type": "integer", "description": "exit code of the command line for this error"},
                    "message": {"type": "string"},
                    "code": {"type": "string"},
                    "reason": {
                        "type": ["string", "null"],
                        "description": "why there is no face, in the words of NoFace",
                    },
                },
            },
        }
    },
}
BODY: Final = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {FIELD: {"type": "string", "format": "binary", "description": "a sound file"}},
            }
        },
        "application/octet-stream": BINARY,
        "audio/*": BINARY,
    },
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of OpenAPI for requests that fail."""
    what = {
        400: "an option or a form that cannot be", 401: "no token, or a wrong one", 403: "a page of another origin",
        405: "another method", 406: "no such form of a face", 408: "the body came too slowly", 413: "too large, or too long",
        415: "a compressed body", 421: "another host name", 422: "no sound that can be read, or no speech in it",
        500: "the bundle failed", 503: "no room now; Retry-After says when", 504: "it took too long",
    }  # fmt: skip
    return {status: {"description": what[status], "content": {JSON: {"schema": ERRORS}}} for status in statuses}
