"""Asks the server of this container whether it is well; the exit code is 0 if so.

    python -m voxface.serve.health_check [PORT]

With TLS the certificate is not checked, since it is of another name than 127.0.0.1, and nothing is told.
"""

import argparse
import http.client
import ssl
from typing import Final

PORT: Final = 8765
TIMEOUT_S: Final = 4.0


def healthy(port: int) -> bool:
    """Whether a server at this port of 127.0.0.1 says that it is well, with TLS or without."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    connections = (
        http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S),
        http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_S, context=unverified),
    )
    for connection in connections:
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                return True
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
    return False


def main() -> int:
    """Reads the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("port", nargs="?", type=int, default=PORT, help="(%(default)s)")
    return 0 if healthy(options.parse_args().port) else 1


if __name__ == "__main__":
    raise SystemExit(main())
