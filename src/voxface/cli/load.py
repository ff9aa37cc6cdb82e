"""`voxface load`: voices sent to a server at their own pace, and how late their faces come."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from voxface.cli.arguments import add_audio, add_force, add_json
from voxface.cli.output import Progress, print_json

if TYPE_CHECKING:
    import ssl

TOKEN: Final = "VOXFACE_TOKEN"
MOST_STREAMS: Final = 10_000
LONGEST_S: Final = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("url", help="the server, such as http://127.0.0.1:8765")
    parser.add_argument(
        "--streams", default="8", metavar="N[,N…]", help="number of voices; several: one after the other (%(default)s)"
    )
    add_audio(parser, "recordings of speech, a file or a folder")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="how long each speaks (%(default)g)")
    parser.add_argument("--updates", type=float, default=2.0, metavar="N", help="updates a second (%(default)g)")
    parser.add_argument(
        "--wants", default="coefficients", metavar="A[,B…]", help="what to ask for: coefficients, vertices, picture, …"
    )
    parser.add_argument("--token", help=f"the server's token (the variable {TOKEN})")
    parser.add_argument(
        "--ca", type=Path, metavar="PEM", help="certificate of whoever signed the server's (the system's)"
    )
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw the table as a picture")
    add_force(parser, "replace a picture that is there")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measures, prints the table, and ends by itself."""
    from voxface.runtime.errors import InputError, ProviderError, UsageError
    from voxface.runtime.files.atomic import write_bytes
    from voxface.runtime.install_advice import how_to_install

    url, counts = stream_url(options.url), _counts(options.streams)
    if not 1 <= options.seconds <= LONGEST_S:
        raise UsageError(f"--seconds {options.seconds:g}: 1 to {LONGEST_S:g}")
    if not 1 <= options.updates <= 10:
        raise UsageError(f"--updates {options.updates:g}: 1 to 10")
    if options.plot is not None and options.plot.exists() and not options.force:
        raise UsageError(f"--plot {options.plot}: is there already; --force replaces it")
    try:
        from voxface.serve.load_generator import NO_SERVER, Load, generate, read_speech
        from voxface.serve.load_report import plot, table
        from voxface.serve.protocol.hello import WANTS
        from voxface.serve.state.session_registry import IN_WORDS
    except ImportError as error:
        raise ProviderError(f"load needs {error.name}; {how_to_install('serve')}") from error
    wants = tuple(word.strip() for word in options.wants.split(",") if word.strip())
    if unknown := [word for word in wants if word not in WANTS]:
        raise UsageError(f"--wants {unknown[0]}: one or more of {', '.join(WANTS)}")
    speech = read_speech([options.audio])
    token = options.token if options.token is not None else os.environ.get(TOKEN) or None
    context = _context(url, options.ca)
    rows: list[dict[str, Any]] = []
    progress = Progress(round(options.seconds * len(counts)), "seconds")
    for number, count in enumerate(counts):
        load = Load(url, count, options.seconds, options.updates, wants, token)
        before = number * options.seconds
        outcome = generate(
            load,
            speech,
            context,
            lambda s, before=before, count=count: progress.at(  # type: ignore[misc]
                round(min(before + s, options.seconds * len(counts))),
                round(options.seconds * len(counts)),
                f"{count} streams",
            ),
        )
        if outcome.refused and not outcome.faces and not set(outcome.refused) & {*IN_WORDS, "overload"}:
            progress.close()
            why = ", ".join(outcome.refused)
            raise ProviderError(f"{options.url}: {NO_SERVER} ({why}); start one with `voxface serve`")
        rows.append(outcome.to_json(load))
    progress.close()
    document = {"url": url, "updates_per_second": options.updates, "rows": rows}
    if options.plot is not None:
        try:
            write_bytes(options.plot, plot(rows, f"{options.updates:g} updates a second of each stream").encode())
        except OSError as error:
            raise InputError(f"--plot {options.plot}: cannot be written ({error.strerror})") from error
    if options.json:
        print_json(document)
    else:
        print(table(rows))
    return 0


def stream_url(url: str) -> str:
    """The WebSocket of a server.

    Raises:
        UsageError: no URL of a server.
    """
    from voxface.runtime.errors import UsageError

    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    try:
        parts = urlsplit(url)
        known = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise UsageError(f"{url}: give the server's URL, such as http://127.0.0.1:8765")
    return urlunsplit((schemes[parts.scheme], parts.netloc, "/v1/stream", "", ""))


def _counts(text: str) -> list[int]:
    from voxface.runtime.errors import UsageError

    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if not all(1 <= count <= MOST_STREAMS for count in counts):
        raise UsageError(f"--streams {text}: whole numbers from 1 to {MOST_STREAMS}, with commas between them")
    return counts


def _context(url: str, ca: Path | None) -> "ssl.SSLContext | None":
    import ssl

    from voxface.runtime.errors import InputError

    if not url.startswith("wss:"):
        return None
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise InputError(f"--ca {ca}: no certificate in PEM ({getattr(error, 'strerror', None) or error})") from error
