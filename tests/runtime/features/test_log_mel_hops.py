"""Log-mel frames of a stream that is fed a hop at a time, which has a shorter way of its own to a frame."""

import pickle
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.features.log_mel import LogMelStream, log_mel

HOP = FrontEndConfig().hop
SOUND = np.random.default_rng(5).integers(-20_000, 20_000, 150 * HOP).astype(np.int16)


def _fed(stream: LogMelStream, sizes: list[int]) -> list[np.ndarray]:
    ends = np.cumsum([0, *sizes])
    return [stream.feed(SOUND[begin:end]) for begin, end in pairwise(ends)]


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(st.integers(0, 3 * HOP), max_size=3),
    hops=st.integers(1, 70),
    between=st.integers(0, 2 * HOP),
    more=st.integers(0, 40),
)
def test_hops_among_other_chunks_give_the_bits_of_one_call(
    before: list[int], hops: int, between: int, more: int
) -> None:
    sizes = [*before, *[HOP] * hops, between, *[HOP] * more]
    stream = LogMelStream()
    frames = [*_fed(stream, sizes), stream.finish()]
    assert np.concatenate(frames).tobytes() == log_mel(SOUND[: sum(sizes)]).tobytes()


@pytest.mark.parametrize("copied", [deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))])
@pytest.mark.parametrize("hops", [3, 31, 32, 33, 66])
def test_a_copy_goes_on_like_its_original_and_apart_from_it(hops: int, copied) -> None:  # type: ignore[no-untyped-def]
    stream = LogMelStream()
    _fed(stream, [HOP] * hops)
    other = copied(stream)
    rest = [SOUND[at : at + HOP] for at in range(hops * HOP, (hops + 40) * HOP, HOP)]
    silence = np.zeros(HOP, np.int16)
    silent, frames = [], []
    for chunk in rest:  # in turns: memory that both used would show
        silent.append(other.feed(silence))
        frames.append(stream.feed(chunk))
    whole = log_mel(SOUND[: (hops + 40) * HOP])
    assert np.concatenate(frames).tobytes() == whole[stream.frames - 40 : stream.frames].tobytes()
    assert silent[-1].max() < frames[-1].min()


def test_frames_returned_stay_as_they_are() -> None:
    stream = LogMelStream()
    frames = _fed(stream, [HOP] * 80)
    kept = [frame.copy() for frame in frames]
    _fed(stream, [HOP] * 80)
    assert all(np.array_equal(one, other) for one, other in zip(frames, kept, strict=True))


def test_a_hop_of_other_numbers_or_after_the_end_is_refused() -> None:
    stream = LogMelStream()
    _fed(stream, [HOP] * 5)
    with pytest.raises(ValueError, match="int16"):
        stream.feed(SOUND[:HOP].astype(np.float32))
    with pytest.raises(ValueError, match="int16"):
        stream.feed(SOUND[:HOP, None])
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.feed(SOUND[:HOP])
