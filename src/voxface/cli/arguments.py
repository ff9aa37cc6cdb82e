"""Options that several verbs share: each is declared once, so that it has one name, one type and one meaning everywhere.

Only `argparse` and `pathlib` are imported, since `--help` loads this file.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from argparse import _ActionsContainer as Container  # a parser, or a group of its options
else:
    Container = Any

BUNDLE_TO_READ: Final = "bundle folder, .voxface file, or default"
BUNDLE_TO_LEAVE: Final = "bundle folder or .voxface file (the default bundle)"
BUNDLE_TO_REPLACE: Final = "replace a bundle that is there already"
BUNDLE_TO_WRITE: Final = "bundle to write: NAME.voxface, or a folder"
PROVIDERS: Final = (
    "cpu, openvino, openvino-bf16, openvino-gpu, openvino-npu, cuda, tensorrt, tensorrt-rtx, tensorrt-native, or auto: "
    "what `voxface doctor --measure` found fastest (%(default)s)"
)


def add_json(parser: Container, what: str = "one JSON document on standard output") -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help=what)


def add_out(parser: Container, what: str = BUNDLE_TO_WRITE, *, required: bool = True, **more: Any) -> None:
    """Adds `--out`, the file or folder that the verb writes; `more` goes to `add_argument`."""
    parser.add_argument("--out", type=Path, required=required, help=what, **more)


def add_force(parser: Container, text: str) -> None:
    """Adds `--force`; `text`: what it replaces."""
    parser.add_argument("--force", action="store_true", help=text)


def add_min_confidence(parser: Container) -> None:
    """Adds `--min-confidence`, the confidence below which no face is made. Its default is `MIN_CONFIDENCE`, which is read when
    it is needed, so that `--help` loads nothing."""
    parser.add_argument(
        "--min-confidence", type=float, metavar="C", help="no face below this confidence, 0 (none) to 1 (0)"
    )


def add_any_age(parser: Container) -> None:
    """Adds `--any-age`, for which a child's voice gets a face too."""
    parser.add_argument("--any-age", action="store_true", help="make a face, of an adult, of a child's voice too")


def add_channel(parser: Container) -> None:
    """Adds `--channel`; `check_channel` checks it."""
    parser.add_argument("--channel", type=int, metavar="N", help="the channel to use, counted from 1 (the mean of all)")


def add_bundle(parser: Container, what: str = BUNDLE_TO_LEAVE, **more: Any) -> None:
    """Adds `--bundle`, the bundle that the verb reads; `more` goes to `add_argument`."""
    parser.add_argument("--bundle", type=Path, help=what, **more)


def add_bundle_operand(parser: Container, what: str = BUNDLE_TO_READ, **more: Any) -> None:
    """Adds the bundle as an operand, for verbs that are about one bundle; `more` goes to `add_argument`."""
    parser.add_argument("bundle", type=Path, help=what, **more)


def add_provider(parser: Container, what: str = PROVIDERS, **more: Any) -> None:
    """Adds `--provider`, what runs the networks; `more` goes to `add_argument`."""
    parser.add_argument("--provider", **{"default": "cpu", "help": what, **more})


def add_threads(parser: Container, default: int | None = None, **more: Any) -> None:
    """Adds `--threads`; None as the default leaves the number to what was measured; `more` goes to `add_argument`.
    `check_threads` checks it."""
    said = "1, or what was measured best" if default is None else "%(default)s"
    options = {"default": default, "help": f"threads for inference on the CPU ({said})", **more}
    parser.add_argument("--threads", type=int, **options)


def add_audio(parser: Container, what: str) -> None:
    """Adds `--audio`, the recordings that the verb works on."""
    parser.add_argument("--audio", type=Path, required=True, help=what)


def add_clips(parser: Container, default: int) -> None:
    """Adds `--clips`, the largest number of recordings to use."""
    parser.add_argument("--clips", type=int, default=default, help="sound files to use, at most (%(default)s)")


def add_seed(parser: Container, others: str) -> None:
    """Adds `--seed`; `others`: what another seed makes differently."""
    parser.add_argument("--seed", type=int, default=0, help=f"another seed, other {others} (%(default)s)")


def check_min_confidence(least: float | None) -> float:
    """The least confidence that was asked for, or the default.

    Raises:
        UsageError: it cannot be.
    """
    from voxface.runtime.config.live import MIN_CONFIDENCE
    from voxface.runtime.errors import UsageError

    if least is not None and not 0 <= least <= 1:
        raise UsageError(f"--min-confidence {least:g}: 0 (none) to 1")
    return MIN_CONFIDENCE if least is None else least


def check_channel(channel: int | None) -> int | None:
    """The channel that was asked for, counted from 0; None: the mean of all.

    Raises:
        UsageError: it is less than 1.
    """
    from voxface.runtime.errors import UsageError

    if channel is not None and channel < 1:
        raise UsageError(f"--channel {channel}: channels are counted from 1")
    return None if channel is None else channel - 1


def check_threads(threads: int | None) -> None:
    """Raises UsageError for a number of threads that cannot be; None: what was measured best."""
    from voxface.runtime.engines.threads import MOST_THREADS
    from voxface.runtime.errors import UsageError

    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"--threads {threads}: at least 1, at most {MOST_THREADS}")
