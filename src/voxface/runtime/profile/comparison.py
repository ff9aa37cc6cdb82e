"""Comparison of a profile with a saved one: the ratio of each time, and whether it is too large."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxface.runtime.errors import UsageError
from voxface.runtime.profile.machine import Machine
from voxface.runtime.profile.report import Report, Settings

# Differences between two runs of the same program are no finding. Interruptions by the scheduler take as long as the smallest
# stages, and the p99 of those consists of them.
LEAST_MS: Final = 0.25  # a smaller difference is not worse
ENOUGH: Final = {"p50": 30, "p99": 1000}  # updates needed to judge a percentile: of 1000, ten are above p99
WHOLE: Final = ("response", "service")  # the times whose p99 is judged as well


@dataclass(frozen=True)
class Row:
    """One percentile of one time in both profiles.

    Attributes:
        what: "response", "service", or a stage.
        percentile: "p50" or "p99".
        saved_ms, now_ms: its value in the saved and in the new profile.
        judged: whether there are enough updates to judge it.
        worse: whether it is judged, its ratio is above the threshold and its difference at least `LEAST_MS`.
    """

    what: str
    percentile: str
    saved_ms: float
    now_ms: float
    judged: bool
    worse: bool

    @property
    def ratio(self) -> float | None:
        """The new time over the saved one; None if the saved one is 0."""
        return self.now_ms / self.saved_ms if self.saved_ms else None


def check_comparable(saved: Report, settings: Settings, machine: Machine, path: Path) -> None:
    """Checks that a saved profile is of the same measurement on the same machine as the one to be made.

    Versions, threads, mode and the precision of the same networks may differ: they are what a user changes between profiles.

    Raises:
        UsageError: something else differs; the message names it.
    """
    before, after = saved.settings, settings
    differs = [
        f"{name} {there} there, {here} here"
        for name, there, here in (
            ("bundle", *(("", "") if _same_networks(before, after) else (_bundle(before), _bundle(after)))),
            ("provider", before.provider, after.provider),
            ("processor", saved.machine.cpu, machine.cpu),
            ("cores", saved.machine.cores, machine.cores),
            ("system", saved.machine.system, machine.system),
            ("source", _source(before), _source(after)),
            ("updates a second", before.updates_per_second, after.updates_per_second),
            ("window", before.window_s, after.window_s),
        )
        if there != here
    ]
    if differs:
        raise UsageError(f"{path}: cannot be compared with this profile: {'; '.join(differs)}")


def compare(saved: Report, now: Report, threshold: float) -> list[Row]:
    """Compares p50 and p99 of response, service and the stages that both profiles have.

    Args:
        threshold: the ratio above which a time counts as worse.
    """
    times = [
        ("response", saved.response_ms, now.response_ms),
        ("service", saved.service_ms, now.service_ms),
        *((name, saved.stages_ms[name], now.stages_ms[name]) for name in now.stages_ms if name in saved.stages_ms),
    ]
    rows = []
    for what, before, after in times:
        for percentile in ("p50", "p99"):
            one, other = before[percentile], after[percentile]
            judged = min(saved.updates, now.updates) >= ENOUGH[percentile] and (percentile == "p50" or what in WHOLE)
            worse = judged and other > threshold * one and other - one >= LEAST_MS
            rows.append(Row(what, percentile, one, other, judged, worse))
    return rows


def changes(saved: Report, now: Report) -> list[str]:
    """The differences that do not prevent a comparison: bundle and precision, threads, mode, versions."""
    pairs = [
        ("bundle", _bundle(saved.settings), _bundle(now.settings)),
        ("precision", saved.settings.precision or "not recorded", now.settings.precision or "not recorded"),
        ("threads", saved.settings.threads, now.settings.threads),
        ("mode", saved.settings.mode, now.settings.mode),
        *((name, saved.versions.get(name), version) for name, version in now.versions.items()),
    ]
    same = saved.settings.bundle_sha256 == now.settings.bundle_sha256
    return [
        f"{name} {before} -> {after}"
        for name, before, after in pairs
        if before != after and not (same and name == "precision")
    ]


def _source(settings: Settings) -> str:
    """Names the sound; a file by its content, not by its name."""
    return f"sound file {settings.source_sha256[:12]}" if settings.source_sha256 else settings.source


def _same_networks(one: Settings, other: Settings) -> bool:
    """Whether both bundles hold the same networks, at whatever precision and with whatever engines built of them."""
    mine, theirs = ({each.bundle_sha256, *(each.lineage or ())} for each in (one, other))
    return bool(mine & theirs)


def _bundle(settings: Settings) -> str:
    return f"{settings.bundle} ({settings.bundle_sha256[:12]})"
