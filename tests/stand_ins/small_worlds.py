"""Worlds small enough for tests: a head, a population, and a few voices."""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests.stand_ins.small_head import small_head, small_population
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.speaker import Speaker
from voxface.training.world.synthetic import SyntheticConfig
from voxface.training.world.synthetic_voice import synthesise

HEAD = small_head()
POPULATION = small_population(HEAD)
ONE = PictureConfig(each=1, size=16)
TINY = SyntheticConfig(people=4, utterances=2, seconds=1.6, pictures=replace(ONE, each=2))


@cache
def voice(number: int, seconds: float = 1.6) -> NDArray[np.float32]:
    rng = np.random.default_rng(number)
    return synthesise(Speaker.sample(rng, ("female", "male")[number % 2]), seconds, rng)
