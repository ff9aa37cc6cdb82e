"""The layout of the voice encoder's input: nothing is missing, and what is interpolated has its neighbours' weights."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.config.front_end import PROVISIONAL, STRIDE
from voxface.runtime.inference.encoder_blocks import encoder_blocks

SHORTEST = 1000


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 1400), st.booleans(), st.integers(0, 40))
def test_every_block_is_known_or_between_known_ones(count: int, ended: bool, interpolated: int) -> None:
    total, final = max(count, SHORTEST), count if ended else max(0, count - PROVISIONAL)
    blocks = encoder_blocks(count, total, final, interpolated)
    assert blocks.total == len(blocks.frames) == -(-total // STRIDE)
    np.testing.assert_array_equal(
        blocks.frames.ravel()[: blocks.total * STRIDE - blocks.lacking], np.arange(total) % count
    )
    assert blocks.place == [b * STRIDE % count for b in blocks.block]
    assert abs(sum(blocks.share) - blocks.total) < 1e-3
    between = sorted({*range(blocks.total)} - {*blocks.block})
    assert len(between) <= interpolated
    assert (blocks.weights is None) == (not between)
    if blocks.weights is None:
        return
    np.testing.assert_array_equal(blocks.weights[blocks.block], np.eye(len(blocks.block)))
    for b in between:
        row, local = blocks.weights[b], b * STRIDE % count
        assert STRIDE <= local <= final - STRIDE
        assert b * STRIDE >= count
        used = np.flatnonzero(row)
        assert row.sum() == np.float32(1)
        assert all(blocks.lasting[i] and blocks.block[i] * STRIDE < count for i in used)
        assert (np.abs(np.array([blocks.place[i] for i in used]) - local) < STRIDE).all()
        if len(used) == 2:
            assert row[used] @ np.array([blocks.place[i] for i in used], np.float32) == np.float32(local)


def test_a_window_of_8_s_has_five_between() -> None:
    for count in range(800, 832):
        blocks = encoder_blocks(count, SHORTEST, count - PROVISIONAL, 5)
        assert blocks.block == list(range(27))
        assert blocks.lasting[:24] == [True] * 24


def test_a_window_of_the_shortest_input_has_none() -> None:
    assert encoder_blocks(SHORTEST, SHORTEST, SHORTEST - PROVISIONAL, 5).weights is None
