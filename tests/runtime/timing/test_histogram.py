"""Percentiles in constant memory, beside those of the sorted list."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.timing.histogram import BITS, RANGE, SHARES, Histogram

SHARES_ASKED = (0.01, 0.07, 0.29, *SHARES.values(), 1.0)


def filled(times: list[int]) -> Histogram:
    histogram = Histogram()
    for ns in times:
        histogram.add(ns)
    return histogram


@given(st.lists(st.integers(0, 2**RANGE - 1), min_size=1, max_size=300))
def test_percentiles_are_right_to_a_thousandth(times: list[int]) -> None:
    histogram = filled(times)
    for share in SHARES_ASKED:
        exact = sorted(times)[math.ceil(round(share * len(times), 9)) - 1]
        assert exact <= histogram.percentile_ns(share) <= exact * (1 + 2 ** -(BITS - 1))
    assert histogram.percentile_ns(1.0) == histogram.largest_ns == max(times)
    assert (histogram.count, histogram.total_ns) == (len(times), sum(times))


@given(st.lists(st.integers(0, 2**BITS - 1), min_size=1, max_size=100), st.sampled_from(SHARES_ASKED))
def test_few_nanoseconds_are_exact(times: list[int], share: float) -> None:
    assert filled(times).percentile_ns(share) == sorted(times)[math.ceil(round(share * len(times), 9)) - 1]


@given(st.lists(st.integers(-(10**6), 10**12), min_size=1, max_size=100), st.randoms())
def test_the_order_does_not_matter(times: list[int], random: object) -> None:
    shuffled = list(times)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert filled(times).milliseconds() == filled(shuffled).milliseconds()


def test_nothing_and_less_than_nothing() -> None:
    assert Histogram().percentile_ns(0.5) == Histogram().mean_ns == 0
    assert filled([-5]).milliseconds() == dict.fromkeys((*SHARES, "max"), 0.0)


@given(st.lists(st.integers(2**RANGE, 10**18), min_size=1, max_size=20))
def test_days_are_only_told_by_the_largest(times: list[int]) -> None:
    histogram = filled([1000, *times])
    assert histogram.percentile_ns(0.001) == 1000
    assert histogram.percentile_ns(1.0) == histogram.largest_ns == max(times)


def test_adding_allocates_nothing() -> None:
    histogram = filled([1_000_000 + 7 * k for k in range(0, 1_000_000, 20)])
    assert histogram.percentile_ns(0.999) == pytest.approx(1_000_000 + 0.999 * 7e6, rel=1e-3)
    before = sys.getallocatedblocks()
    for k in range(0, 1_000_000, 20):
        histogram.add(1_000_000 + 9 * k)
    assert sys.getallocatedblocks() - before < 20  # numbers of its own, and the counters' new values
