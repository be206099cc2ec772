"""The two limits of the token endpoint: the rate limit, and the suspicious-IP throttle.

Theory of operation. Both are token buckets. A bucket holds up to its size; each counted
request takes one token, tokens come back at a steady rate, and a request that finds the
bucket empty is refused. Nothing runs in between: a bucket is refilled for the time that
has passed when it is looked at, and the time comes from outside.

The rate limit has one bucket, and every request counts. The throttle has a bucket for
each address, and only subject tokens count that an Action rejects: it slows down
whoever guesses tokens, and nobody else.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from typing import Literal

from attrs import define, field, frozen
from attrs.validators import gt

from .http_messages import Reply

BodyStyle = Literal["oauth", "legacy", "management", "text"]

# The bodies of 429 that have been seen. They differ so much that a client must go by
# the status alone.
_BODIES: dict[BodyStyle, tuple[str, bytes]] = {
    "oauth": (
        "application/json",
        json.dumps(
            {
                "error": "too_many_requests",
                "error_description": "Rate limit exceeded. Please retry after some "
                "time.",
            }
        ).encode(),
    ),
    "legacy": (
        "application/json",
        json.dumps(
            {"error": "Rate limit reached", "error_description": "Access Denied"}
        ).encode(),
    ),
    "management": (
        "application/json",
        json.dumps(
            {
                "statusCode": 429,
                "error": "Too Many Requests",
                "message": "Global limit has been reached",
                "errorCode": "too_many_requests",
            }
        ).encode(),
    ),
    "text": (
        "text/plain; charset=utf-8",
        b"Too many requests. Check the X-RateLimit-Limit, X-RateLimit-Remaining and "
        b"X-RateLimit-Reset headers.",
    ),
}

# How many addresses to remember: the one quiet for longest is forgotten first, and an
# attacker with many addresses must not fill the memory.
_MAX_ADDRESSES = 10_000


@frozen
class RateLimit:
    """The rate limit of the token endpoint.

    Args:
        per_second: How many requests a second are allowed in the long run.
        burst: How many may come at once; ``per_second`` rounded up if not given.
        retry_after: Whether a 429 has Retry-After; undocumented for this limit.
        body_style: Which of the bodies seen at Auth0 a 429 has.
    """

    per_second: float = field(validator=gt(0))
    burst: int | None = field(default=None, kw_only=True)
    retry_after: bool = field(default=False, kw_only=True)
    body_style: BodyStyle = field(default="oauth", kw_only=True)

    @property
    def size(self) -> int:
        """Return how many requests may come at once."""
        return self.burst or max(1, math.ceil(self.per_second))


@frozen
class Throttle:
    """The throttle of addresses that keep sending subject tokens that Actions reject.

    The defaults are Auth0's: ten attempts, and six more an hour.

    Args:
        max_attempts: How many rejections are allowed at once.
        refill_seconds: After how many seconds another attempt is allowed.
    """

    max_attempts: int = field(default=10, validator=gt(0))
    refill_seconds: float = field(default=600.0, validator=gt(0))


@define
class _Bucket:
    left: float
    updated_at: float

    def refill(self, now: float, rate: float, size: float) -> None:
        # A clock that is set back must not take tokens away.
        elapsed = max(0.0, now - self.updated_at)
        self.left = min(size, self.left + elapsed * rate)
        self.updated_at = now


class RateLimiter:
    """Count requests against a ``RateLimit``."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._bucket: _Bucket | None = None
        self._lock = threading.Lock()

    def count_request(
        self, now: float
    ) -> tuple[Reply | None, tuple[tuple[str, str], ...]]:
        """Count one request; return its 429, if it is over the limit, and headers.

        The headers belong on any reply, a 429 or not, as at Auth0.

        Args:
            now: Seconds since the epoch.
        """
        limit = self._limit
        with self._lock:
            # Made by the first request: only then is the tenant's time known.
            bucket = self._bucket or _Bucket(limit.size, now)
            self._bucket = bucket
            bucket.refill(now, limit.per_second, limit.size)
            admitted = bucket.left >= 1
            if admitted:
                bucket.left -= 1
            left = bucket.left
        wait = max(0.0, (1 - left) / limit.per_second)
        headers: tuple[tuple[str, str], ...] = (
            ("x-ratelimit-limit", str(limit.size)),
            ("x-ratelimit-remaining", str(int(left))),
            # UNIX seconds, unlike the delta of most other services.
            ("x-ratelimit-reset", str(math.ceil(now + wait))),
        )
        if admitted:
            return None, headers
        if limit.retry_after:
            # Whole seconds (RFC 9110 10.2.3), and never 0: it would mean "at once".
            headers = (*headers, ("Retry-After", str(max(1, math.ceil(wait)))))
        media_type, body = _BODIES[limit.body_style]
        return Reply(429, body, (("Content-Type", media_type),)), headers


class AttemptThrottle:
    """Count the rejected subject tokens of each address against a ``Throttle``."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def is_blocked(self, address: str, now: float) -> bool:
        """Return whether ``address`` has no attempt left at ``now``."""
        # Looks before it refills: a look must not add an address to the buckets.
        with self._lock:
            return address in self._buckets and self._bucket(address, now).left < 1

    def count_rejection(self, address: str, now: float) -> None:
        """Take one attempt from ``address``: an Action rejected its subject token."""
        # May go below zero: requests that were let in at once are all counted.
        with self._lock:
            self._bucket(address, now).left -= 1
            while len(self._buckets) > _MAX_ADDRESSES:
                self._buckets.popitem(last=False)

    def clear(self) -> None:
        """Restore the attempts of every address."""
        with self._lock:
            self._buckets.clear()

    def _bucket(self, address: str, now: float) -> _Bucket:
        size = self._throttle.max_attempts
        bucket = self._buckets.setdefault(address, _Bucket(size, now))
        bucket.refill(now, 1 / self._throttle.refill_seconds, size)
        self._buckets.move_to_end(address)
        return bucket
