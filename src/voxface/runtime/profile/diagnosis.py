"""Diagnosis of a profile in words: each rule looks for one problem in a report and states it with its numbers.

A rule is a function of the report alone. Its limits are the constants below.
"""

from collections.abc import Callable
from typing import Final

from voxface.runtime.profile.report import Report

FULL: Final = 1.0  # utilisation from which updates queue up
FILLED: Final = 0.9  # share of the window below which it is not full
FIRST: Final = 5.0  # a first update is slow from this multiple of p50 on
JITTER: Final = 0.1  # coefficient of variation from which the machine is unsteady
SPINNING: Final = 0.1  # share of a core used while there is nothing to do, from which threads spin
OUTSIDE: Final = 1 / 3  # share of an update outside of engine runs, from which it is dispatch-bound
SPEED_UP: Final = 1.1  # a smaller gain does not justify twice the threads
CORES_USED: Final = 1.5  # CPU time over time, from which more than one thread works
READS: Final = 0.6  # share of the memory bandwidth from which a part is memory-bound


def falling_behind(report: Report) -> str | None:
    """The work takes more time than there is, or updates begin later and later: by more than one period over the run."""
    skipped = report.counters.get("skipped_estimates", 0)
    if report.utilisation is None:
        return (
            f"falling behind: {skipped} of {skipped + report.updates} estimates were left out because more sound was "
            "waiting. Ask for fewer updates a second, or shorten what takes longest."
            if skipped
            else None
        )
    period_ms = 1000 / report.settings.updates_per_second
    growth = report.late_ms[-1] - report.late_ms[0]
    if report.utilisation < FULL and growth <= period_ms:
        return None
    return (
        f"falling behind: work takes {report.utilisation:.0%} of the time there is, and the last quarter of the updates "
        f"began {report.late_ms[-1]:.0f} ms late ({report.late_ms[0]:.0f} ms the first). Ask for fewer updates a second, or "
        "shorten what takes longest."
    )


def stalled(report: Report) -> str | None:
    """An update responded only after the next one was due, although there is enough time on average."""
    period_ms, longest = 1000 / report.settings.updates_per_second, report.response_ms["max"]
    if longest <= period_ms or report.utilisation is None or falling_behind(report) is not None:
        return None
    return (
        f"a stall: an update responded {longest:.0f} ms after it was due ({report.response_ms['p50']:.0f} ms the usual one), "
        "later than the next was due. The trace (--trace) shows where; if stages take no longer there, the process did not run."
    )


def window_not_full(report: Report) -> str | None:
    """The window was not full of speech, so the updates measured may cost less than later ones."""
    filled = report.window_filled_s
    if filled is None or filled >= FILLED * report.settings.window_s:
        return None
    return (
        f"a window that is not full: it held {filled:.1f} of {report.settings.window_s:g} s of speech when measuring began. "
        "Give a source with more speech, or a shorter --window."
    )


def too_many_threads(report: Report) -> str | None:
    """There are more threads than cores, or all of them work but half of them would be as fast."""
    threads, cores, scaling = report.settings.threads, report.machine.cores, report.scaling
    if threads > cores:
        return f"too many threads: {threads} on {cores} cores take turns. Give --threads {cores} at most."
    if scaling is None or scaling.cores_used < CORES_USED or scaling.speed_up >= SPEED_UP:
        return None
    return (
        f"too many threads: {threads} keep {scaling.cores_used:.1f} cores busy and are {scaling.speed_up:.2f} times as fast "
        f"as {scaling.half_threads}. Give --threads {scaling.half_threads}."
    )


def spinning(report: Report) -> str | None:
    """The process uses the CPU while it waits."""
    if report.idle_cpu is None or report.idle_cpu < SPINNING:
        return None
    return (
        f"threads spin: {report.idle_cpu:.0%} of a core is used while nothing is to be done. Look for a library whose idle "
        "threads wait in a loop (OpenMP: OMP_WAIT_POLICY=passive)."
    )


def jittery(report: Report) -> str | None:
    """The time of one small computation, always the same, varies."""
    if report.jitter < JITTER:
        return None
    return (
        f"an unsteady machine: the time of one small computation varies by {report.jitter:.0%} (coefficient of variation). "
        "Other work runs here, or the clock changes; compare only what was measured in turns."
    )


def slow_first(report: Report) -> str | None:
    """The first update after warming up takes much longer than the others."""
    first, usual = report.cold_start_ms["first_update"], report.service_ms["p50"]
    if first < FIRST * usual:
        return None
    return (
        f"a slow first update: {first:.1f} ms, {first / usual:.0f} times the usual one. Something is still made at first use "
        "that warming up leaves out."
    )


def memory_bound(report: Report) -> str | None:
    """A part of the update reads memory nearly as fast as is possible."""
    bound = [r for r in report.readings if r.gb_per_s >= READS * r.limit_gb_per_s]
    if not bound:
        return None
    said = ", ".join(
        f"{r.what} reads {r.megabytes:.1f} MB at {r.gb_per_s:.1f} of {r.limit_gb_per_s:.1f} GB/s" for r in bound
    )
    return f"memory-bound: {said}. Storing the numbers in fewer bytes helps, more threads hardly."


def dispatch_bound(report: Report) -> str | None:
    """Much of an update is not spent in engines."""
    usual = report.service_ms["p50"]
    if report.outside_ms < OUTSIDE * usual:
        return None
    usually = {
        name: times["p50"] for name, times in report.engines_ms.items() if 2 * report.engine_runs[name] > report.updates
    }
    own = {name: times["p50"] - usually.get(name, 0.0) for name, times in report.stages_ms.items()}
    largest = max(own, key=own.__getitem__)
    return (
        f"dispatch-bound: {report.outside_ms:.2f} of {usual:.2f} ms are spent outside of engines, most of it in "
        f"'{largest}' ({own[largest]:.2f} ms). A faster engine would gain little."
    )


RULES: Final[tuple[Callable[[Report], str | None], ...]] = (
    falling_behind,
    stalled,
    window_not_full,
    too_many_threads,
    dispatch_bound,
    memory_bound,
    spinning,
    slow_first,
    jittery,
)


def diagnose(report: Report) -> dict[str, str]:
    """The problems that the rules found: the name of each rule that applies, and its words."""
    return {rule.__name__: said for rule in RULES if (said := rule(report)) is not None}
