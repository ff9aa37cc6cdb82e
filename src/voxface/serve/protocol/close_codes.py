"""Why the server closes a WebSocket: codes of RFC 6455 where one fits, codes of its own from 4400 on, like those of HTTP."""

from enum import IntEnum
from typing import Final

LONGEST_REASON: Final = 123  # bytes, RFC 6455, section 5.5


class CloseCode(IntEnum):
    """The code of a close frame."""

    FINISHED = 1000  # the client has sent "finish", and got all answers
    DRAINING = 1001  # the server is being shut down
    FAILED = 1011  # a failure of the server
    PROTOCOL = 4400  # a message that the protocol does not have
    TOKEN = 4401  # no token, or a wrong one
    ORIGIN = 4403  # a page of another origin
    IDLE = 4408  # nothing came for too long
    TAKEN_OVER = 4409  # another connection has resumed the session
    GARBAGE = 4415  # too many messages that are no sound
    TOO_FAST = 4429  # too many messages
    REFUSED = 4503  # no room; the event "refused" before it says why, and when to try again


def close_reason(text: str) -> str:
    """A reason that fits into a close frame."""
    return text.encode()[:LONGEST_REASON].decode(errors="ignore")
