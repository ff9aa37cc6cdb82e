"""Any rate, channels and format in, int16 at 16 kHz with absolute indices out; what is lost or bad is told."""

from dataclasses import replace

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stand_ins.live_session import cut, voice
from voxface.runtime.errors import UsageError
from voxface.runtime.live.audio_input import Audio, AudioInput, Item
from voxface.runtime.live.block import Block
from voxface.runtime.live.events import Lost, Rejected, StreamEnded, StreamStarted


def through(blocks: list[Block], audio_input: AudioInput | None = None) -> list[Item]:
    audio_input = audio_input or AudioInput()
    return [item for block in blocks for item in audio_input.feed(block)] + audio_input.finish()


def sound(items: list[Item]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int16), *(item.samples for item in items if isinstance(item, Audio))])


def test_16_khz_int16_passes_as_it_is() -> None:
    items = through(cut(voice()))
    np.testing.assert_array_equal(sound(items), voice())
    assert items[0] == StreamStarted(0, "", 16_000, 1)
    starts = [item.start for item in items if isinstance(item, Audio)]
    assert starts == list(range(0, len(voice()), 320))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_are_the_same_voice(rate: int, channels: int) -> None:
    other = soxr.resample((voice() / 32768).astype(np.float32), 16_000, rate)
    got = sound(through(cut(np.repeat(other[:, None], channels, 1), rate)))
    assert len(got) == pytest.approx(len(voice()), abs=3)
    n = min(len(got), len(voice()))
    wanted = voice() if rate > 8000 else soxr.resample(soxr.resample(voice(), 16_000, 8000), 8000, 16_000)
    assert np.corrcoef(got[:n], wanted[:n])[0, 1] > 0.995


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([11_025, 44_100, 96_000]), st.lists(st.integers(0, 5000), min_size=1, max_size=5))
def test_blocks_of_any_size_give_the_same_samples(rate: int, sizes: list[int]) -> None:
    other = soxr.resample((voice()[:30_000] / 32768).astype(np.float32), 16_000, rate)[:, None]
    blocks, at, turn = [], 0, 0
    while at < len(other):
        size = max(sizes[turn % len(sizes)], 1 if not any(sizes) else 0)
        blocks.append(Block(other[at : at + size], rate, 0, 0, first=at))
        at, turn = at + size, turn + 1
    np.testing.assert_array_equal(sound(through(blocks)), sound(through(cut(other[:, 0], rate))))


def test_one_channel_of_several() -> None:
    both = np.stack([voice(0), voice(1)], 1)
    np.testing.assert_array_equal(sound(through(cut(both), AudioInput(channel=1))), voice(1))
    mixed = sound(through(cut(both)))
    assert np.abs(mixed - both.mean(1)).max() <= 0.5
    with pytest.raises(UsageError, match=r"channel 3: .* has 2"):
        through(cut(both), AudioInput(channel=2))


def test_nan_and_garbage_become_zeros_and_are_counted() -> None:
    bad = (voice() / 32768).astype(np.float32)
    bad[1000:1400] = np.nan
    bad[1500] = 1e38
    bad[1600] = -np.inf
    bad[1700] = 1.5  # louder than full scale is only loud
    items = through(cut(bad, block_s=1.0))
    assert [item for item in items if isinstance(item, Rejected)] == [Rejected(1000, 1601, 402)]
    got = sound(items)
    assert not got[1000:1400].any()
    assert got[1700] == 32767
    np.testing.assert_array_equal(got[2000:], voice()[2000:])


def test_missing_frames_are_told_and_indices_stay_true() -> None:
    rate = 48_000
    other = soxr.resample((voice() / 32768).astype(np.float32), 16_000, rate)
    blocks = cut(other, rate)
    gone = sum(b.frames for b in blocks[50:100])
    left = [*blocks[:50], replace(blocks[100], lost=(("queue full", gone),)), *blocks[101:]]
    items = through(left)
    lost = [item for item in items if isinstance(item, Lost)]
    assert [item.cause for item in lost] == ["queue full"]
    assert lost[0].end == 2 * 16_000
    assert abs(lost[0].start - 16_000) <= 2
    after = next(item for item in items if isinstance(item, Audio) and item.start >= lost[0].end)
    assert after.start == lost[0].end
    end = max(item.start + len(item.samples) for item in items if isinstance(item, Audio))
    assert abs(end - len(voice())) <= 3


def test_a_device_that_returns_with_another_rate() -> None:
    first = cut((voice()[:16_000] / 32768).astype(np.float32), source="desk")
    second = cut(
        soxr.resample((voice() / 32768).astype(np.float32), 16_000, 44_100), 44_100, stream=1, began_ns=6 * 10**9
    )
    gone = Block(np.empty((0, 1), np.float32), 16_000, 3 * 10**9, 3 * 10**9, first=16_000, source="desk", gone=True)
    items = through([*first, gone, *second])
    others = [item for item in items if not isinstance(item, Audio)]
    assert others == [
        StreamStarted(0, "desk", 16_000, 1),
        StreamEnded(16_000, "desk"),
        Lost(16_000, 6 * 16_000, "device away"),
        StreamStarted(6 * 16_000, "", 44_100, 1),
    ]
    assert len(sound(items)) == pytest.approx(16_000 + len(voice()), abs=3)


def test_indices_are_exact_far_beyond_32_bits() -> None:
    start = 2**33
    items = through(cut(voice()), AudioInput(start=start))
    assert items[-1].start == start + len(voice()) - 320
