"""`voxface serve`: many voices at once, by HTTP and WebSocket, and a page for browsers."""

import argparse
import logging
import os
import re
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voxface.cli.arguments import add_bundle, add_json, add_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxface.runtime.bundle.bundle import Bundle
    from voxface.serve.app import Settings
    from voxface.serve.clip_desk import Desk
    from voxface.serve.metrics import Metrics
    from voxface.serve.session_host import SessionHost
    from voxface.serve.state.limits import Limits
    from voxface.serve.state.load_meter import FirstCosts

TOKEN: Final = "VOXFACE_TOKEN"
PORT: Final = 8765
USUAL_REPLICAS: Final = "1:4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    where = parser.add_argument_group("where, and who may use it")
    where.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine alone)")
    where.add_argument("--port", type=int, default=PORT, help="port; 0: any that is free (%(default)s)")
    where.add_argument(
        "--token", help=f"what a client must know; better in the variable {TOKEN}, since others see a command's words"
    )
    where.add_argument("--certificate", type=Path, metavar="PEM", help="certificate for TLS, with --key")
    where.add_argument("--key", type=Path, metavar="PEM", help="its private key")
    where.add_argument(
        "--insecure",
        action="store_true",
        help="let others reach it without token or TLS: something else keeps them away",
    )
    where.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="a page of this origin may use it too, such as https://example.org; may be repeated",
    )
    how = parser.add_argument_group("how")
    add_bundle(how)
    add_provider(how)
    how.add_argument(
        "--lanes", type=int, default=1, metavar="N", help="threads that infer for live sessions (%(default)s)"
    )
    how.add_argument(
        "--batch-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="let a run of a network wait for others of its kind, 10 say; see docs/serve.md (%(default)g: off)",
    )
    how.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="another limit, such as sessions=8 or clip-s=60; docs/serve.md lists them; may be repeated",
    )
    how.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="local|auto|HOST:PORT",
        help="whole clips on several machines: a Ray cluster that is started here (local), the one of this machine (auto), or "
        "the one with this head; see docs/serve.md",
    )
    how.add_argument(
        "--replicas",
        metavar="N|MIN:MAX",
        help="with --ray: processes for clips; between MIN and MAX, as many as there are clips for (1:4)",
    )
    how.add_argument(
        "--live-replicas",
        metavar="N|MIN:MAX",
        help="with --ray: processes for live sessions too, as many as there are sessions for; without it live sessions stay in "
        "this process",
    )
    how.add_argument("--seconds", type=float, metavar="S", help="end after so many seconds (at SIGTERM or Ctrl-C)")
    add_json(parser, "say where it listens as one JSON document on standard output")


def run(options: argparse.Namespace) -> int:
    """Serves until SIGTERM, SIGINT or the end of the time; everybody may finish, and the exit code is 0."""
    from contextlib import ExitStack

    from voxface.cli.logs import LEVELS, VARIABLE
    from voxface.cli.output import print_json
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.errors import ProviderError
    from voxface.runtime.install_advice import how_to_install
    from voxface.serve.access import check_exposure

    settings = _settings(options)
    check_exposure(
        options.host, token=settings.access.token, tls=options.certificate is not None, insecure=options.insecure
    )
    try:
        from voxface.serve.app import Server
        from voxface.serve.logs import log_as_json
        from voxface.serve.server import bind, check_certificate, serve
    except ImportError as error:
        raise ProviderError(f"serve needs {error.name}; {how_to_install('serve')}") from error
    if options.certificate:
        check_certificate(options.certificate, options.key)
    log_as_json(LEVELS.get(os.environ.get(VARIABLE, "").strip().lower(), logging.INFO))
    with ExitStack() as opened:
        listening = opened.enter_context(bind(options.host, options.port))
        bundle = Bundle.open(options.bundle)
        desk, cluster = None, None
        if options.ray is not None:
            desk, cluster = opened.enter_context(_cluster(options, bundle, settings))
        server = opened.enter_context(Server(bundle, settings, desk=desk, cluster=cluster))
        address: tuple[Any, ...] = listening.getsockname()
        host, port = str(address[0]), int(address[1])
        scheme = "https" if options.certificate else "http"
        url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

        def started() -> None:
            if options.json:
                token = settings.access.token is not None
                print_json({"url": url, "host": host, "port": port, "pid": os.getpid(), "token_required": token})
            else:
                print(f"listening at {url}")
            import sys

            sys.stdout.flush()

        serve(
            server,
            listening,
            certificate=options.certificate,
            key=options.key,
            seconds=options.seconds,
            started=started,
        )
    return 0


@contextmanager
def _cluster(
    options: argparse.Namespace, bundle: "Bundle", settings: "Settings"
) -> "Iterator[tuple[Callable[[Metrics], Desk], tuple[SessionHost, FirstCosts] | None]]":
    """What makes the desk for clips, of the replicas of a Ray cluster, and what works on live sessions there, if it is to; they
    end with the context."""
    from voxface.serve.ray.deployment import BYTES_ON_THEIR_WAY, Replicas, clip_replicas
    from voxface.serve.ray.live_cluster import live_replicas
    from voxface.serve.ray.remote_desk import RemoteDesk

    replicas = Replicas.read(options.replicas or USUAL_REPLICAS)
    live = None if options.live_replicas is None else Replicas.read(options.live_replicas, "--live-replicas")
    address = None if options.ray == "local" else options.ray
    limits, provider = settings.limits, settings.provider
    more_cores = live.most if live else 0

    with clip_replicas(address, bundle, provider, replicas, limits.clip_s, more_cores=more_cores) as handle:

        def desk(metrics: "Metrics") -> "Desk":
            return RemoteDesk(
                handle,
                most=limits.clips_waiting * replicas.most,
                most_bytes=BYTES_ON_THEIR_WAY,
                retried=metrics.retries.inc,
            )

        if live is None:
            yield desk, None
            return
        with live_replicas(bundle, provider, live.least, live.most, limits) as host:
            yield desk, host


def _settings(options: argparse.Namespace) -> "Settings":
    """The settings of the server.

    Raises:
        UsageError: an option that cannot be.
    """
    from voxface.runtime.errors import ProviderError, UsageError
    from voxface.runtime.install_advice import how_to_install
    from voxface.serve.access import Access

    if not 0 <= options.port <= 65_535:
        raise UsageError(f"--port {options.port}: 0 to 65535")
    if not 1 <= options.lanes <= 64:
        raise UsageError(f"--lanes {options.lanes}: 1 to 64")
    if not 0 <= options.batch_ms <= 1000:
        raise UsageError(f"--batch-ms {options.batch_ms:g}: 0 to 1000")
    if options.seconds is not None and not options.seconds > 0:
        raise UsageError(f"--seconds {options.seconds:g}: more than 0")
    for option in ("replicas", "live_replicas"):
        if getattr(options, option) is not None and options.ray is None:
            raise UsageError(f"--{option.replace('_', '-')}: are of --ray")
    if options.live_replicas is not None and (options.lanes != 1 or options.batch_ms):
        raise UsageError("--live-replicas: a replica has one thread and no batches; leave --lanes and --batch-ms out")
    if (options.certificate is None) != (options.key is None):
        raise UsageError("--certificate and --key go together")
    token = options.token if options.token is not None else os.environ.get(TOKEN) or None
    try:
        from voxface.serve.app import Settings
    except ImportError as error:
        raise ProviderError(f"serve needs {error.name}; {how_to_install('serve')}") from error
    origins = tuple(origin.rstrip("/") for origin in options.origin)
    for origin in origins:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", origin):
            raise UsageError(f"--origin {origin}: give a scheme and a host, such as https://example.org, and no path")
    return Settings(
        provider=options.provider,
        lanes=options.lanes,
        batch_s=options.batch_ms / 1000,
        access=Access(token, options.host, origins),
        limits=_limits(options.limit),
    )


def _limits(given: list[str]) -> "Limits":
    """The limits, with those that were given.

    Raises:
        UsageError: one that there is not, or that cannot be.
    """
    from voxface.runtime.errors import UsageError
    from voxface.serve.state.limits import Limits

    usual = Limits()
    kinds = {field.name: type(getattr(usual, field.name)) for field in fields(Limits)}
    values: dict[str, Any] = {}
    for text in given:
        name, _, number = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in kinds:
            raise UsageError(f"--limit {text}: no such limit; there are {', '.join(sorted(kinds)).replace('_', '-')}")
        try:
            values[name] = kinds[name](number)
        except ValueError:
            whole = ", a whole number" if kinds[name] is int else ""
            raise UsageError(f"--limit {text}: give NAME=NUMBER{whole}") from None
    return Limits(**values)
