"""Several channels to one: their mean, unless they cancel; the same however the sound is split, and live as from a file."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stand_ins.sound_files import RATE, speech
from voxface.runtime.audio.channels import ChannelMixer
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.resample import Resampler, to_int16
from voxface.runtime.live.audio_input import Audio, AudioInput
from voxface.runtime.live.block import Block

VOICE = speech(4.0).astype(np.float32) / 32768
OTHER = np.roll(VOICE, 9_000)
NOISE = np.random.default_rng(4).normal(0, 0.03, (len(VOICE), 4)).astype(np.float32)
HUM = (0.004 * np.sin(2 * np.pi * 50 * np.arange(len(VOICE)) / RATE)).astype(np.float32)


def mixed(*channels: NDArray[np.float32], rate: int = RATE) -> NDArray[np.float32]:
    table = np.stack(channels, 1)
    return ChannelMixer(rate, table.shape[1]).feed(table)


def mean(*channels: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.stack(channels, 1).mean(1, dtype=np.float32)
    return found


ORDINARY = {
    "the same": (VOICE, VOICE),
    "one channel silent": (VOICE, 0 * VOICE),
    "one channel quiet": (VOICE, 0.1 * VOICE),
    "one channel quiet and turned round": (VOICE, -0.2 * VOICE),
    "two voices": (VOICE, OTHER),
    "a voice and noise": (VOICE, NOISE[:, 0]),
    "unrelated noise": tuple(NOISE.T),
    "hum turned round under a voice": (VOICE + HUM, VOICE - HUM),
    "a constant offset on one": (VOICE + 0.3, VOICE),
    "opposite offsets": (VOICE + 0.3, VOICE - 0.3),
    "four, one of them alive": (VOICE, 0 * VOICE, 0 * VOICE, 0 * VOICE),
    "six, of which one is turned round": (VOICE, -VOICE, VOICE, VOICE, VOICE, VOICE),
    "silence": (0 * VOICE, 0 * VOICE),
    "quiet noise turned round": (0.001 * NOISE[:, 0], -0.001 * NOISE[:, 0]),
    "wide stereo": (VOICE + 0.5 * (OTHER - VOICE), VOICE - 0.5 * (OTHER - VOICE)),
    "256 unrelated": tuple(np.random.default_rng(1).normal(0, 0.1, (256, 4000)).astype(np.float32)),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_channels_are_their_mean_to_the_bit(name: str) -> None:
    np.testing.assert_array_equal(mixed(*ORDINARY[name]), mean(*ORDINARY[name]))


CANCELLING = {
    "opposite": (VOICE, -VOICE),
    "opposite, one a little louder": (VOICE, -0.9 * VOICE),
    "opposite, the second louder": (-0.85 * VOICE, VOICE),
    "opposite, rounded otherwise": (VOICE, np.round(-VOICE * 32768) / np.float32(32768)),
    "opposite with an offset on one": (VOICE + 0.3, -VOICE),
    "opposite over a little noise": (VOICE + 0.02 * NOISE[:, 0], -VOICE + 0.02 * NOISE[:, 1]),
    "four, of which two are opposite": (VOICE, -VOICE, 0 * VOICE, 0 * VOICE),
    "three that add up to nothing": (VOICE, OTHER, -VOICE - OTHER),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_where_channels_cancel_the_loudest_is_heard(name: str) -> None:
    channels = CANCELLING[name]
    got = mixed(*channels)
    loudest = channels[int(np.argmax([np.std(channel) for channel in channels]))]
    begun = int(np.flatnonzero(np.abs(VOICE) > 0.01)[0]) + 4 * RATE // 10
    assert any(np.array_equal(got[begun:], channel[begun:]) for channel in channels)
    assert np.std(got[begun:]) > 0.8 * np.std(loudest[begun:])


def test_channels_that_cancel_for_a_while() -> None:
    first = np.tile(VOICE, 3)
    second = first.copy()
    second[4 * RATE : 9 * RATE] *= -1
    got, ordinary = mixed(first, second), mean(first, second)
    np.testing.assert_array_equal(got[: 4 * RATE], ordinary[: 4 * RATE])
    begun = 4 * RATE + int(np.flatnonzero(np.abs(VOICE) > 0.01)[0]) + 6 * RATE // 10
    np.testing.assert_array_equal(got[begun : 9 * RATE], first[begun : 9 * RATE])
    np.testing.assert_array_equal(got[10 * RATE :], ordinary[10 * RATE :])


@pytest.mark.parametrize("gain", [0.9, 1.0])
def test_channels_that_begin_to_cancel_in_the_midst_of_speech(gain: float) -> None:
    first = np.tile(VOICE[RATE : 3 * RATE], 4)
    second = gain * first
    second[4 * RATE :] *= -1
    got = mixed(first, second)
    np.testing.assert_array_equal(got[4 * RATE + 6 * RATE // 10 :], first[4 * RATE + 6 * RATE // 10 :])


def test_hum_turned_round_in_a_pause_changes_nothing() -> None:
    voice = np.concatenate([VOICE, np.zeros(RATE, np.float32), VOICE])
    hum = np.resize(HUM, len(voice))
    np.testing.assert_array_equal(mixed(voice + hum, voice - hum), mean(voice + hum, voice - hum))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([name for name in {**ORDINARY, **CANCELLING} if not name.startswith("256")]),
    st.lists(st.integers(0, 9000), min_size=1, max_size=6),
    st.sampled_from([RATE, 44_100, 8_000]),
)
def test_it_does_not_matter_how_the_sound_is_split(name: str, sizes: list[int], rate: int) -> None:
    table = np.stack({**ORDINARY, **CANCELLING}[name], 1)
    mixer, parts, at, turn = ChannelMixer(rate, table.shape[1]), [], 0, 0
    while at < len(table):
        size = max(sizes[turn % len(sizes)], 1 if not any(sizes) else 0)
        block = table[at : at + size].copy()
        parts.append(mixer.feed(block).copy())
        block[:] = np.nan  # the caller may use it for other sound
        at, turn = at + size, turn + 1
    np.testing.assert_array_equal(np.concatenate(parts), ChannelMixer(rate, table.shape[1]).feed(table))


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize("name", ["opposite", "two voices"])
def test_live_hears_what_a_file_gives(name: str, rate: int, tmp_path: Path) -> None:
    table = np.round(np.stack({**ORDINARY, **CANCELLING}[name], 1) * 32768).clip(-32768, 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", table, rate)
    audio_input = AudioInput()
    items = [
        item
        for at in range(0, len(table), 333)
        for item in audio_input.feed(Block(table[at : at + 333], rate, 0, 0, first=at))
    ]
    live = np.concatenate([item.samples for item in items + audio_input.finish() if isinstance(item, Audio)])
    np.testing.assert_array_equal(live, np.concatenate(list(read_blocks(tmp_path / "a.wav"))))


def test_a_chosen_channel_stays_what_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([VOICE, -VOICE], 1), RATE)
    for channel, sign in ((0, 1), (1, -1)):
        got = np.concatenate(list(read_blocks(tmp_path / "a.wav", channel)))
        np.testing.assert_array_equal(got, to_int16(Resampler(RATE).feed(sign * VOICE)))


def test_lost_frames_begin_a_new_grid() -> None:
    table = np.stack([VOICE, -VOICE], 1)
    one, two = ChannelMixer(RATE, 2), ChannelMixer(RATE, 2)
    one.feed(table[:16_000])
    one.feed(table[16_000:16_100])
    one.restart()
    two.feed(table[:16_000])
    np.testing.assert_array_equal(one.feed(table[20_000:40_000]), two.feed(table[20_000:40_000]))
