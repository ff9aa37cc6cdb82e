"""Who may use the server: where it may listen, tokens, and pages of other origins. Without sockets."""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from voxface.runtime.errors import UsageError

SHORTEST_TOKEN: Final = 16
SUBPROTOCOL: Final = "voxface-v1"
TOKEN_SUBPROTOCOL: Final = "voxface-token-"  # and the token in base64url without padding
Denial = Literal["token", "origin", "host"]
NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, *, token: str | None, tls: bool, insecure: bool) -> None:
    """Checks that others reach the server only with a token and TLS, or where that was said not to be needed.

    Raises:
        UsageError: a server that would be open to others, or a token that can be guessed.
    """
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise UsageError(
            f"--token: at least {SHORTEST_TOKEN} letters of ASCII; "
            "`python -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one"
        )
    if is_loopback(host) or insecure:
        return
    missing = [name for name, there in (("--token", token is not None), ("--certificate and --key", tls)) if not there]
    if missing:
        raise UsageError(
            f"--host {host}: others reach it, so give {' and '.join(missing)}; or --insecure, if something else keeps them away"
        )


@dataclass(frozen=True)
class Access:
    """Who may use the server.

    Attributes:
        token: what a client must know; None: nothing.
        host: where the server listens.
        origins: origins of pages that may use it, beside its own.
    """

    token: str | None = None
    host: str = "127.0.0.1"
    origins: Sequence[str] = ()

    def denial(
        self, headers: Mapping[str, str], subprotocols: Sequence[str] = (), *, public: bool = False
    ) -> Denial | None:
        """Why a request is refused; None: it is not.

        Args:
            headers: by their names in small letters.
            subprotocols: of a WebSocket, since a page cannot give its handshake a header.
            public: whether it asks for nothing that needs a token.
        """
        host = headers.get("host", "")
        # A name that leads to this machine in the eyes of a browser alone: a page of any site could read the answers.
        if is_loopback(self.host) and _name(host) not in NAMES | {self.host}:
            return "host"
        origin = headers.get("origin")
        if origin is not None and not self._same(origin, host):
            return "origin"
        if self.token is not None and not public and not self._knows(headers, subprotocols, self.token):
            return "token"
        return None

    def _same(self, origin: str, host: str) -> bool:
        if origin in self.origins:
            return True
        try:
            found = urlsplit(origin)
        except ValueError:
            return False
        return found.scheme in ("http", "https") and bool(host) and found.netloc.lower() == host.lower()

    @staticmethod
    def _knows(headers: Mapping[str, str], subprotocols: Sequence[str], token: str) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return True
        for offered in subprotocols:
            if offered.startswith(TOKEN_SUBPROTOCOL) and hmac.compare_digest(_decoded(offered), token.encode()):
                return True
        return False


def token_subprotocol(token: str) -> str:
    """The subprotocol with which a page shows its token."""
    return TOKEN_SUBPROTOCOL + base64.urlsafe_b64encode(token.encode()).rstrip(b"=").decode()


def _decoded(subprotocol: str) -> bytes:
    text = subprotocol.removeprefix(TOKEN_SUBPROTOCOL)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
