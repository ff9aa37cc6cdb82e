"""What sessions cost and how late they are, and how often something may happen."""

import pytest

from voxface.serve.state.load_meter import NS, FirstCosts, Kind, LoadMeter
from voxface.serve.state.token_bucket import AddressBuckets, TokenBucket

FIRST = FirstCosts(0.002, {"exact": 0.02, "incremental": 0.004})
KIND = Kind("incremental", 2.0)


def test_before_there_are_sessions_the_first_measurement_counts() -> None:
    meter = LoadMeter(FIRST)
    assert meter.share(KIND) == pytest.approx(0.01)
    assert meter.share(Kind("exact", 10.0)) == pytest.approx(0.202)


def test_what_is_measured_takes_over() -> None:
    meter = LoadMeter(FIRST)
    for second in range(120):
        meter.worked(KIND, 0.03, 1.0, second * NS)
    assert meter.share(KIND) == pytest.approx(0.03, rel=0.03)
    assert meter.share(Kind("incremental", 4.0)) == pytest.approx(0.018), "another kind costs what it costs"
    for second in range(120, 240):
        meter.worked(KIND, 0.02, 1.0, second * NS)
    assert meter.share(KIND) == pytest.approx(0.02, rel=0.05)


def test_silence_is_not_taken_for_cheap_sessions() -> None:
    meter = LoadMeter(FIRST)
    for second in range(600):
        meter.worked(KIND, 0.0001, 1.0, second * NS)
    assert meter.share(KIND) == pytest.approx(0.005)


def test_what_is_long_ago_fades() -> None:
    meter = LoadMeter(FIRST)
    meter.worked(KIND, 10.0, 10.0, 0)
    meter.worked(KIND, 0.0, 0.0, 3600 * NS)
    assert meter.share(KIND) == pytest.approx(0.01)


def test_lateness_is_that_of_the_last_seconds() -> None:
    meter = LoadMeter(FIRST)
    for number in range(19):
        meter.updated(9.0, number)
    assert meter.late_s(20) == 0, "too few to tell"
    for number in range(100):
        meter.updated(number / 1000, NS)
    assert 0.09 < meter.late_s(NS) <= 9.0
    assert meter.late_s(7 * NS) == 0
    for number in range(100):
        meter.updated(number / 1000, 8 * NS)
    assert meter.late_s(8 * NS, 0.5) == pytest.approx(0.05, abs=0.002)
    meter.begin_anew(8 * NS)
    for second in (9, 10):
        for _ in range(30):
            meter.updated(second, second * NS)
    assert meter.late_s(10 * NS) == 10, "what came while the backlog was worked off does not count"


def test_a_bucket_lets_bursts_through_and_then_the_rate() -> None:
    bucket = TokenBucket(10, 0)
    assert sum(bucket.take(0) for _ in range(200)) == 100
    assert sum(bucket.take(NS) for _ in range(200)) == 10
    assert sum(bucket.take(1000 * NS) for _ in range(200)) == 100, "no more than a burst is saved"
    assert bucket.take(2000 * NS, 1e9), "what is larger than a burst takes a whole one"
    assert not bucket.take(2000 * NS)


def test_addresses_have_buckets_of_their_own_and_few_are_remembered() -> None:
    buckets = AddressBuckets(0.1, most=2)
    assert buckets.take("a", 0)
    assert not buckets.take("a", 0)
    assert buckets.take("b", 0)
    assert not buckets.take("a", 1)
    assert buckets.take("c", 1)
    assert len(buckets._buckets) == 2
