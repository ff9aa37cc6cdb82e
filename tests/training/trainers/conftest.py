"""Pairs of six people and an untrained voice encoder with narrow layers."""

from typing import TYPE_CHECKING

import pytest

from tests.training.seeds import varied

if TYPE_CHECKING:
    from voxface.training.data.pairs import Pairs
    from voxface.training.models import VoiceEncoder


@pytest.fixture(scope="module")
def pairs() -> "Pairs":
    from tests.stand_ins.small_pairs import small_pairs

    return small_pairs()


@pytest.fixture
def encoder() -> "VoiceEncoder":
    import torch

    from voxface.training.models import VoiceEncoder

    torch.manual_seed(varied(5))
    return VoiceEncoder(channels=(8, 8, 8, 8), embedding=6)
