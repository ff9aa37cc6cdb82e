"""Worlds small enough for tests: a head, a population, and a few voices."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.stand_ins.small_head import small_head, small_population
from voxface.training.data.pairs import Pairs
from voxface.training.data.speech_corpus import Corpus, LeftOut
from voxface.training.world.paired import PairedConfig, paired_world
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.speaker import Speaker
from voxface.training.world.synthetic import SyntheticConfig, synthetic_world
from voxface.training.world.synthetic_voice import synthesise

HEAD = small_head()
POPULATION = small_population(HEAD)
ONE = PictureConfig(each=1, size=16)
TINY = SyntheticConfig(people=4, utterances=2, seconds=1.6, pictures=replace(ONE, each=2))


@cache
def voice(number: int, seconds: float = 1.6) -> NDArray[np.float32]:
    rng = np.random.default_rng(number)
    return synthesise(Speaker.sample(rng, ("female", "male")[number % 2]), seconds, rng)


def synthetic(config: SyntheticConfig = TINY, **more: Any) -> Pairs:
    """A synthetic world of these; its files are gone but for what is mapped."""
    with TemporaryDirectory() as folder:
        return synthetic_world(config, HEAD, POPULATION, Path(folder), **more)


def paired(corpora: Sequence[Corpus], config: PairedConfig, **more: Any) -> tuple[Pairs, tuple[LeftOut, ...]]:
    """A paired world of these, likewise."""
    with TemporaryDirectory() as folder:
        return paired_world(corpora, config, HEAD, POPULATION, Path(folder), **more)
