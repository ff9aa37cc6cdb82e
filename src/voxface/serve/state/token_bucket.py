"""Token buckets: how often something may happen over time, with bursts; one, or one for each address."""

from collections import OrderedDict
from typing import Final

BURST_S: Final = 10.0  # a burst may have what this time allows
NS: Final = 1_000_000_000


class TokenBucket:
    """Lets `rate` things a second happen, and as many at once as ten seconds allow."""

    def __init__(self, rate: float, now_ns: int) -> None:
        self._rate, self._most = rate, rate * BURST_S
        self._there, self._since = self._most, now_ns

    def take(self, now_ns: int, count: float = 1.0) -> bool:
        """Whether `count` more may happen now, at most a whole burst; if so, they count."""
        self._there = min(self._most, self._there + (now_ns - self._since) / NS * self._rate)
        self._since = now_ns
        count = min(count, self._most)
        if self._there < count:
            return False
        self._there -= count
        return True


class AddressBuckets:
    """A bucket for each address, of which the newest `most` are remembered."""

    def __init__(self, rate: float, most: int = 4096) -> None:
        self._rate, self._most = rate, most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str, now_ns: int) -> bool:
        """Whether one more of this address may happen now; if so, it counts."""
        bucket = self._buckets.pop(address, None) or TokenBucket(self._rate, now_ns)
        self._buckets[address] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take(now_ns)
