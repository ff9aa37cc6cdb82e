"""Rows in shards: what was written comes back, however it is cut and however it is asked for."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.training.data.array_shards import ShardedRows, ShardWriter, is_shard, open_shards

batches = st.lists(st.integers(0, 5), min_size=1, max_size=12)


def shard_names(folder: Path, name: str) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if is_shard(file.name, name))


@given(sizes=batches, most=st.integers(1, 40), dtype=st.sampled_from([np.uint8, np.float16, np.int64]), data=st.data())
@settings(max_examples=80, deadline=None)
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, dtype: type[np.generic], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    whole = np.arange(3 * sum(sizes)).reshape(-1, 3).astype(dtype)
    at = 0
    with ShardWriter(folder, "x", (3,), dtype, most) as writer:
        for size in sizes:
            writer.append(whole[at : at + size])
            at += size
    names = shard_names(folder, "x")
    parts = [np.load(folder / name) for name in names]
    assert np.concatenate(parts).tolist() == whole.tolist()  # numpy reads each on its own
    assert all(part.nbytes >= most for part in parts[:-1])
    found = open_shards(folder, names)
    assert (found.shape, found.dtype, len(found), found.ndim) == (whole.shape, whole.dtype, len(whole), 2)
    np.testing.assert_array_equal(found[...], whole)
    np.testing.assert_array_equal(np.asarray(found), whole)
    numbers = st.one_of(st.none(), st.integers(-len(whole) - 2, len(whole) + 2))
    cut = slice(data.draw(numbers), data.draw(numbers), data.draw(st.sampled_from([None, 1, 2, -1])))
    np.testing.assert_array_equal(found[cut], whole[cut])
    if len(whole):
        rows = np.array(data.draw(st.lists(st.integers(-len(whole), len(whole) - 1), max_size=9)), np.int64)
        np.testing.assert_array_equal(found[rows], whole[rows])
        one = data.draw(st.integers(-len(whole), len(whole) - 1))
        np.testing.assert_array_equal(found[one], whole[one])
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))))
        np.testing.assert_array_equal(found[mask], whole[mask])
    for beyond in (len(whole), -len(whole) - 1, np.array([len(whole)])):
        with pytest.raises(IndexError):
            found[beyond]


def test_a_batch_is_never_cut(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "x", (4,), np.float16, 100) as writer:
        for size in (3, 20, 1, 1):
            writer.append(np.zeros((size, 4), np.float16))
    assert [len(np.load(tmp_path / name)) for name in shard_names(tmp_path, "x")] == [23, 2]


def test_rows_of_another_kind_are_refused(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "x", (4,), np.float16)
    for rows in (np.zeros((2, 4), np.float32), np.zeros((2, 5), np.float16), np.zeros(4, np.float16)):
        with pytest.raises(ValueError, match="wanted"):
            writer.append(rows)
    with pytest.raises(ValueError, match="2 kinds"):
        ShardedRows([np.zeros((1, 2)), np.zeros((1, 3))])


def test_a_file_without_its_end_is_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "x", (4,), np.float16) as writer:
        writer.append(np.ones((100, 4), np.float16))
    file = tmp_path / "x-00000.npy"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises((ValueError, OSError)):
        open_shards(tmp_path, ["x-00000.npy"])


def test_a_writer_that_was_interrupted_leaves_no_readable_shard(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "x", (4,), np.float16)
    writer.append(np.ones((100, 4), np.float16))
    writer.__exit__(KeyboardInterrupt)
    with pytest.raises((ValueError, OSError)):
        open_shards(tmp_path, shard_names(tmp_path, "x"))


def test_names() -> None:
    assert is_shard("frames-00012.npy", "frames")
    for name in ("frames-12.npy", "frames.npy", "frames-00012.npy.part", "xframes-00012.npy", "frames-00012.npz"):
        assert not is_shard(name, "frames")


def test_random_rows_do_not_read_the_whole(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "x", (1000,), np.float32, 4 << 20) as writer:
        for k in range(40):
            writer.append(np.full((200, 1000), k, np.float32))
    rows = open_shards(tmp_path, shard_names(tmp_path, "x"))
    tracemalloc.start()
    found = rows[np.array([7999, 0, 4000])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[:, 0].tolist() == [39, 0, 20]
    assert peak < 200_000


def test_one_row_reads_no_other() -> None:
    parts = [np.zeros((3, 2), "f"), np.ones((4, 2), "f")]
    rows = ShardedRows(parts)
    for row in range(-7, 7):
        part, place = (parts[0], row % 7) if row % 7 < 3 else (parts[1], row % 7 - 3)
        assert np.shares_memory(rows[row], part[place])  # a view, so that nothing was put together
    for row in (-8, 7):
        with pytest.raises(IndexError):
            rows[row]
