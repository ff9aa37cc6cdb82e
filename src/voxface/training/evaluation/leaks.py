"""Leaks between the people that were learnt from and those that are evaluated: any fails the evaluation."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from voxface.runtime.errors import InputError
from voxface.training.data.pairs import Pairs
from voxface.training.engine.phases import Done, not_told


def check_leaks(pairs: Pairs, done: Done = not_told) -> None:
    """Looks for recordings and pictures that people of different splits share; speakers are checked when pairs are read.

    Raises:
        InputError: some are shared; whose they are is named.
    """
    total = len(pairs.utterance_person) + len(pairs.picture_person)

    def voices() -> Iterable[tuple[bytes, int]]:
        for u, person in enumerate(pairs.utterance_person):
            frames = pairs.frames[int(pairs.offsets[u]) : int(pairs.offsets[u + 1])]
            yield hashlib.sha256(frames.tobytes()).digest(), int(person)
            done(u + 1, total)

    def pictures() -> Iterable[tuple[bytes, int]]:
        for k, person in enumerate(pairs.picture_person):
            yield hashlib.sha256(pairs.pictures[k : k + 1].tobytes()).digest(), int(person)
            done(len(pairs.utterance_person) + k + 1, total)

    # Drawn faces of different people may be drawn alike; that they are alike tells nothing of the people.
    found = [("recording", voices())] + ([("picture", pictures())] if pairs.kind == "own" else [])
    for what, contents in found:
        whose: dict[bytes, set[int]] = defaultdict(set)
        for digest, person in contents:
            whose[digest].add(person)
        for people in whose.values():
            if len({pairs.people[i].split for i in people}) > 1:
                said = ", ".join(f"{pairs.people[i].name} ({pairs.people[i].split})" for i in sorted(people))
                raise InputError(
                    f"one {what} is of people in different splits: {said}; give it to one person, or leave it out"
                )


def check_apart(learnt: Iterable[str], evaluated: Iterable[str], what: str) -> None:
    """Raises InputError where people, by name, are both learnt from and evaluated."""
    both = sorted(set(learnt) & set(evaluated))
    if both:
        more = f" and {len(both) - 3} more" if len(both) > 3 else ""
        raise InputError(f"{what}: {', '.join(both[:3])}{more} are both learnt from and evaluated")
