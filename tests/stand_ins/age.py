"""Trained parts for ages whose answer does not depend on the voice."""

import math

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.manifest import AgeEntry, ChildEntry, YearsEntry

SIZE = 64  # of an embedding of the default bundle


def entry(child: float = 0.1, years: float | None = 40.0, size: int = SIZE) -> AgeEntry:
    """A part that says of every voice that it is a child's with this probability, from 0.5 on, or an adult's of these years."""
    none = (0.0,) * size
    return AgeEntry(
        child=ChildEntry(weight=none, bias=math.log(child / (1 - child)), threshold=0.5),
        years=None if years is None else YearsEntry(weight=none, bias=math.log(years), spread=math.log(1.5)),
        encoder_sha256="0" * 64,
        trained_on=("a test",),
    )


def with_age(bundle: Bundle, child: float = 0.1, years: float | None = 40.0) -> Bundle:
    """The bundle, in memory, with such a part."""
    return bundle.replacing(age=entry(child, years))
