"""Which provider runs a bundle's networks, with how many threads, where that was left open.

Provider "auto" is what `voxface doctor --measure` found fastest for this bundle on this machine, and a number of threads that
was not given is the one that it found best. Without such a measurement they are "cpu" and one thread.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.providers import ON_CPU
from voxface.runtime.engines.threads import UNMEASURED, checked_threads
from voxface.runtime.files.cache_folder import ENGINE_TIMES, cache_folder

if TYPE_CHECKING:  # imported where it is needed
    from voxface.runtime.engines.engine_times import EngineTimes

AUTO: Final = "auto"
ASKED: Final = "asked for"
MEASURED: Final = "measured"
NOT_MEASURED: Final = "not measured"
CHANGED: Final = "the machine or its libraries have changed since it was measured"


class ChosenEngine(NamedTuple):
    """A provider and a number of threads.

    Attributes:
        provider: what runs the networks.
        threads: threads within an operator on the CPU.
        why: `ASKED`, or how what was left open was chosen: `MEASURED`, `NOT_MEASURED` or `CHANGED`.
    """

    provider: str
    threads: int
    why: str


def choose(bundle: Bundle, provider: str, threads: int | None) -> ChosenEngine:
    """The choice for a bundle.

    Args:
        provider: "auto", or the provider that was asked for.
        threads: the number that was asked for; None: not said.

    Raises:
        UsageError: no number of threads.
    """
    if threads is not None:
        checked_threads(threads)
    if provider != AUTO and (threads is not None or provider not in ON_CPU):
        return ChosenEngine(provider, checked_threads(threads), ASKED)
    times, any_times = _kept(str(bundle.manifest.sha256))
    if times is not None:
        found = times.fastest(None if provider == AUTO else provider, threads)
        if found is None and threads is not None:  # so many threads were not measured
            found = times.fastest(None)
        if found is not None:
            return ChosenEngine(found.provider, threads or found.threads, MEASURED)
    why = CHANGED if any_times and times is None else NOT_MEASURED
    return ChosenEngine("cpu" if provider == AUTO else provider, threads or UNMEASURED, why)


def _kept(bundle: str) -> "tuple[EngineTimes | None, bool]":
    """See `voxface.runtime.engines.engine_times.kept`, which is imported only where something was measured: a first face would
    wait for it."""
    if not cache_folder(ENGINE_TIMES).is_dir():
        return None, False
    from voxface.runtime.engines.engine_times import kept

    return kept(bundle)


def in_words(choice: ChosenEngine) -> str:
    """A choice as a line of text."""
    several = "s" if choice.threads > 1 else ""
    return f"on {choice.provider}, {choice.threads} thread{several} ({choice.why})"
