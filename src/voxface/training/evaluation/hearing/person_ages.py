"""Ages of the people of some data, where its `about` carries them: {"ages": {person: years}}."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.data.pairs import Pairs

AGE_GROUPS: Final = ((18, 30), (30, 45), (45, 60), (60, 120))  # years, from and below


def age_groups(pairs: Pairs) -> NDArray[np.int64] | None:
    """The age group of each person, int64 [I], -1 where it is not known or is of no group; None: no age is known.

    Raises:
        InputError: an age is no number.
    """
    ages = pairs.about.get("ages")
    if not isinstance(ages, Mapping) or not ages:
        return None
    found = np.full(len(pairs.people), -1, np.int64)
    for i, person in enumerate(pairs.people):
        years = ages.get(person.name)
        if years is None:
            continue
        if isinstance(years, bool) or not isinstance(years, int | float):
            raise InputError(f"the age of {person.name} is {years!r}, no number of years")
        for k, (low, high) in enumerate(AGE_GROUPS):
            if low <= years < high:
                found[i] = k
    return found if (found >= 0).any() else None
