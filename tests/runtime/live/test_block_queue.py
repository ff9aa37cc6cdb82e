"""Capture never waits: what does not fit is dropped, oldest first, and told with its frames."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import cut, noise
from voxface.runtime.live.audio_input import AudioInput
from voxface.runtime.live.block import Block, BlockQueue
from voxface.runtime.live.clock import SystemClock


def drained(queue: BlockQueue) -> list[Block]:
    queue.close()
    out = []
    while (block := queue.get()) is not None:
        out.append(block)
    return out


def test_order_and_end() -> None:
    queue = BlockQueue(SystemClock())
    blocks = cut(noise(1, 100))
    for block in blocks:
        queue.put(block)
    assert queue.get() is blocks[0]
    assert drained(queue) == blocks[1:]
    assert queue.finished
    queue.put(blocks[0])
    assert queue.get() is None
    assert queue.dropped_blocks == 0


def test_nothing_comes_in_time() -> None:
    assert BlockQueue(SystemClock()).get(0.001) is None


def test_the_oldest_goes_first_and_is_told_as_one_range() -> None:
    queue = BlockQueue(SystemClock(), longest_s=1.0)
    for block in cut(noise(5, 100)):
        queue.put(block)
    left = drained(queue)
    assert left[0].first == 4 * 16_000
    assert left[0].lost == (("queue full", 4 * 16_000),)
    assert all(not block.lost for block in left[1:])
    assert (queue.blocks, queue.dropped_blocks, queue.dropped_frames) == (250, 200, 64_000)
    assert queue.deepest_s <= 1.0


def test_a_block_of_a_minute_keeps_its_newest_part() -> None:
    queue = BlockQueue(SystemClock(), longest_s=10.0)
    queue.put(cut(noise(1, 100))[0])
    queue.put(Block(noise(60, 100)[:, None], 16_000, 0, 0, first=320))
    (only,) = drained(queue)
    assert only.frames == 160_000
    assert only.first == 320 + 50 * 16_000
    assert sum(frames for _, frames in only.lost) == only.first


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=60))
def test_every_frame_is_heard_or_told_lost(steps: list[tuple[bool, int]]) -> None:
    queue, audio_input = BlockQueue(SystemClock(), longest_s=0.5), AudioInput()
    first, items = 0, []
    for give, size in steps:
        if give:
            queue.put(Block(np.ones((size, 1), np.int16), 16_000, 0, 0, first=first))
            first += size
        elif (block := queue.get(0)) is not None:
            items += audio_input.feed(block)
    for block in drained(queue):
        items += audio_input.feed(block)
    place = 0
    for item in items:
        if hasattr(item, "samples"):
            assert item.start == place
            place += len(item.samples)
        elif hasattr(item, "cause"):
            assert item.start == place
            place = item.end
    assert place == first
