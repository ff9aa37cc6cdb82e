"""Counters of a live run: what went wrong or was left out, and where in the stream; in constant memory."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from voxface.runtime.live.events import Event, FaceEstimated, Lost, NoFace, Rejected, SpeakerChanged, StreamStarted

RANGES_KEPT: Final = 20


@dataclass
class Ranges:
    """A summary of ranges of absolute samples.

    Attributes:
        count: number of ranges.
        samples: samples in all of them together.
        first: the first `RANGES_KEPT` ranges, as (start, end).
        last: the newest range.
    """

    count: int = 0
    samples: int = 0
    first: list[tuple[int, int]] = field(default_factory=list)
    last: tuple[int, int] | None = None

    def add(self, start: int, end: int) -> None:
        """Counts the range [start, end)."""
        self.count += 1
        self.samples += end - start
        if len(self.first) < RANGES_KEPT:
            self.first.append((start, end))
        self.last = (start, end)

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON; "last" is there only if that range is not among the first."""
        document: dict[str, Any] = {
            "count": self.count,
            "samples": self.samples,
            "ranges": [list(r) for r in self.first],
        }
        if self.last is not None and self.count > len(self.first):
            document["last"] = list(self.last)
        return document


class Counters:
    """Counts the events of a run, and numbers that sources, queues and sinks report.

    Attributes:
        events: number of events, by kind.
        no_face: number of `NoFace` events, by reason.
        lost: ranges of lost samples, by cause.
        rejected: ranges with samples that were not usable.
        rejected_samples: number of these samples.
        images_reused: number of faces with the image of an earlier face.
        edges: numbers of sources, queues and sinks, by name.
    """

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.no_face: Counter[str] = Counter()
        self.lost: dict[str, Ranges] = {}
        self.rejected = Ranges()
        self.rejected_samples = 0
        self.images_reused = 0
        self.edges: Counter[str] = Counter()

    @property
    def estimates(self) -> int:
        """Number of faces made."""
        return self.events[FaceEstimated.kind]

    def count(self, event: Event) -> None:
        """Counts an event."""
        self.events[event.kind] += 1
        if isinstance(event, Lost):
            self.lost.setdefault(event.cause, Ranges()).add(event.start, event.end)
        elif isinstance(event, Rejected):
            self.rejected.add(event.start, event.end)
            self.rejected_samples += event.count
        elif isinstance(event, FaceEstimated):
            self.images_reused += event.estimate.image_reused
        elif isinstance(event, NoFace):
            self.no_face[event.reason] += 1

    def to_json(self) -> dict[str, Any]:
        """Every counter by name; counters of events are included even if they are 0."""
        return {
            "estimates": self.estimates,
            "pictures_kept": self.images_reused,
            "skipped_estimates": self.events["skipped"],
            "engine_failures": self.events["engine-failed"],
            "speaker_changes": self.events[SpeakerChanged.kind],
            "streams": self.events[StreamStarted.kind],
            "no_face": dict(sorted(self.no_face.items())),
            "lost": {cause: ranges.to_json() for cause, ranges in sorted(self.lost.items())},
            "rejected": {**self.rejected.to_json(), "rejected_samples": self.rejected_samples},
            **dict(sorted(self.edges.items())),
        }
