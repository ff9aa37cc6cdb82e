"""Matching and retrieval by hand and against one trial after the other; public lists as they are published."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxface.runtime.errors import InputError
from voxface.training.evaluation.matching.association import retrieve, right_choices, share_by_person, unit
from voxface.training.evaluation.matching.trial_lists import person_of, read_matching, read_retrieval, read_verification


def some(count: int, seed: int, width: int = 8) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, width)))


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 60), st.integers(1, 70))
@settings(max_examples=40, deadline=None)
def test_matching_one_trial_after_the_other(seed: int, wrong: int, count: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    probes, candidates = some(9, seed), some(12, seed + 1)
    trials = np.concatenate([rng.integers(9, size=(count, 1)), rng.integers(12, size=(count, 1 + wrong))], 1)
    found = right_choices(probes, candidates, trials, block=block)
    for value, (probe, right, *others) in zip(found, trials.tolist(), strict=True):
        best = probes[probe] @ candidates[right]
        scores = [probes[probe] @ candidates[k] for k in others if k != right]
        same = sum(k == right for k in others)
        wanted = 0.0 if any(score > best for score in scores) else 1 / (1 + same)
        assert value == pytest.approx(wanted)


def test_chance_where_nothing_is_known_and_all_where_everything_is() -> None:
    rng = np.random.default_rng(0)
    people = rng.integers(200, size=4000)
    identity = some(200, 1, 64)
    trials = np.stack([np.arange(4000), people, (people + rng.integers(1, 200, 4000)) % 200], 1)
    assert right_choices(identity[people], identity, trials).mean() == 1
    assert right_choices(some(4000, 2, 64), identity, trials).mean() == pytest.approx(0.5, abs=0.03)
    assert right_choices(np.zeros((4000, 64), np.float32), identity, trials).mean() == 0.5  # all the same: half each
    known = np.where(rng.random(4000)[:, None] < 0.4, identity[people], some(4000, 3, 64))
    share = share_by_person(right_choices(known, identity, trials), people)
    assert share.value == pytest.approx(0.4 + 0.6 / 2, abs=0.03)
    assert share.low < share.value < share.high
    assert (share.trials, share.people) == (4000, 200)


def test_the_order_of_trials_and_the_length_of_embeddings_do_not_count() -> None:
    rng = np.random.default_rng(3)
    probes, candidates, trials = some(50, 1), some(60, 2), rng.integers(50, size=(300, 3))
    order = rng.permutation(300)
    found = right_choices(probes, candidates, trials)
    np.testing.assert_array_equal(right_choices(probes, candidates, trials[order]), found[order])
    np.testing.assert_allclose(unit(7.5 * probes), probes, atol=1e-6)
    with pytest.raises(ValueError, match="not finite"):
        unit(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="no trials"):
        share_by_person(np.empty(0), np.empty(0, int))


def test_two_million_trials_take_memory_for_a_block() -> None:
    probes, candidates = some(1000, 1), some(1000, 2)
    trials = np.random.default_rng(0).integers(1000, size=(2_353_560, 3), dtype=np.int32)
    tracemalloc.start()
    found = right_choices(probes, candidates, trials)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    assert found.mean() == pytest.approx(0.5, abs=0.05)


def test_retrieval_by_hand() -> None:
    gallery = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
    query = np.array([[1.0, 0.0]], np.float32)
    # In this order: items 0, 1, 2, 3. Right: 1 and 3, so precisions 1/2 and 2/4.
    found = retrieve(query, gallery, np.array([7]), np.array([0, 7, 1, 7]))
    assert found.precision.tolist() == [0.5]
    assert found.first.tolist() == [2]
    assert [found.recall(k)[0] for k in (1, 2)] == [0, 1]
    with pytest.raises(ValueError, match="query 0 has no right item"):
        retrieve(query, gallery, np.array([9]), np.array([0, 7, 1, 7]))


@given(st.integers(0, 2**31), st.integers(1, 20), st.integers(2, 30), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_retrieval_one_query_after_the_other(seed: int, queries: int, items: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    q, g = some(queries, seed), some(items, seed + 1)
    owner = rng.integers(3, size=items)
    asked = rng.choice(owner, queries)
    found = retrieve(q, g, asked, owner, block=block)
    for k in range(queries):
        order = np.argsort(-(q[k] @ g.T), kind="stable")
        right = owner[order] == asked[k]
        precisions = [right[: n + 1].mean() for n in range(items) if right[n]]
        assert found.precision[k] == pytest.approx(np.mean(precisions))
        assert found.first[k] == 1 + int(np.argmax(right))


def test_ties_help_nobody() -> None:
    found = retrieve(np.ones((1, 2), np.float32), np.ones((4, 2), np.float32), np.array([1]), np.array([1, 0, 0, 1]))
    assert found.first.tolist() == [3]


# -- public lists ----------------------------------------------------------------------------------------------------------


def test_public_lists_parse_whole(shared: Path) -> None:
    lists = shared / "protocols"
    for name, count in (("v2f_U", 10_000), ("v2f_G", 10_000), ("v2f_GN", 9_120), ("v2f_N", 9_360), ("f2v_U", 10_000)):
        matching = read_matching(lists / f"matching_{name}.csv.gz")
        assert len(matching) == count
        assert all(len(trial.wrong) == 1 and trial.right != trial.wrong[0] for trial in matching)
        assert all(person_of(trial.right) != person_of(trial.wrong[0]) for trial in matching)
    for name, count in (("GNA_unseenunheard", 27_280), ("random_seenheard", 18_020), ("G_unseenunheard", 30_496)):
        verification = read_verification(lists / f"veriflist_test_{name}.txt.gz")
        assert len(verification) == count
        assert 0.4 < np.mean([trial.same for trial in verification]) < 0.6
        assert all((person_of(t.voice) == person_of(t.face)) == t.same for t in verification)
    for name in ("wav", "jpg"):
        items = read_retrieval(lists / f"{name}_20k.csv.gz")
        assert len(items) == 20_000
        assert all(person.startswith("id1") for person, _ in items)


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("a b\n", read_matching, "line 1: a probe"),
        ("", read_matching, "holds no trials"),
        ("1,2,2,1,a/x.wav,a/y.jpg\n1,2,3,1,a/x.wav,b/y.jpg\n", read_verification, "line 2: speakers 2 and 3"),
        ("1,2,2,maybe,a,b\n", read_verification, "line 1: id"),
        ("id1\ta/x\nid2\n", read_retrieval, "line 2: an id and a path"),
    ],
)
def test_lines_that_are_none(tmp_path: Path, text: str, read: object, message: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read(file)  # type: ignore[operator]
    packed = tmp_path / "list.csv.gz"
    packed.write_bytes(gzip.compress(text.encode())[:-6])
    with pytest.raises(InputError, match=r"list\.csv\.gz"):
        read(packed)  # type: ignore[operator]
    with pytest.raises(InputError, match=r"nowhere"):
        read(tmp_path / "nowhere.csv")  # type: ignore[operator]


@pytest.mark.parametrize("size", [1e-40, 1e-20, 1.0, 1e20, 3e38])
def test_only_the_direction_of_a_vector_counts(size: float) -> None:
    vectors = np.array([[3, 4, 0], [0, 0, 0]]) * (size / 4)
    expected = np.array([[0.6, 0.8, 0], [0, 0, 0]])
    np.testing.assert_allclose(unit(vectors.astype(np.float32)), expected, atol=1e-4)
