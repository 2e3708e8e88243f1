"""How often one key may ask: a bucket of tokens per key and scope, told in the headers that OpenAI uses."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modwright.errors import RateLimitedError

#: Buckets kept; the one unused for longest goes first, and is full again by then unless keys are very many.
_MOST_BUCKETS = 10_000
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a bucket after a request.

    Attributes:
        limit: requests per minute.
        remaining: requests that may follow at once.
        reset_s: seconds until the bucket is full again.
        wait_s: 0 where the request was allowed, else seconds until one is.
    """

    limit: int
    remaining: int
    reset_s: float
    wait_s: float

    def headers(self) -> Mapping[str, str]:
        """Return the x-ratelimit headers."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": duration(self.reset_s),
        }

    def check(self) -> None:
        """Raise RateLimitedError where the request was not allowed."""
        if self.wait_s > 0:
            message = f"this key may make {self.limit} requests of this kind per minute"
            raise RateLimitedError(message, retry_after_s=math.ceil(self.wait_s))


class RateLimits:
    """The buckets of a server; each holds a minute's requests, and fills evenly.

    Args:
        per_minute: requests of one key and scope per minute; 0 sets no limit.
        clock: seconds, never going back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()  # tokens, at

    def take(self, who: str, kind: str) -> Allowance | None:
        """Take one token of a bucket, if there is one; None where nothing is limited."""
        if not self._per_minute:
            return None
        tokens = self._filled((who, kind))
        allowed = tokens >= 1.0
        left = tokens - 1.0 if allowed else tokens
        self._buckets[who, kind] = (left, self._clock())
        self._buckets.move_to_end((who, kind))
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        per_token_s = _MINUTE_S / self._per_minute
        wait_s = 0.0 if allowed else (1.0 - left) * per_token_s
        return Allowance(self._per_minute, int(left), (self._per_minute - left) * per_token_s, wait_s)

    def _filled(self, key: tuple[str, str]) -> float:
        full = float(self._per_minute)
        if key not in self._buckets:
            return full
        tokens, at = self._buckets[key]
        return min(full, tokens + (self._clock() - at) * full / _MINUTE_S)


def duration(seconds: float) -> str:
    """Return seconds as OpenAI writes them: 120ms, 1s, 6m0s, 1h0m30s."""
    if seconds < 1.0:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
