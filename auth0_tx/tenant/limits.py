"""What slows a caller down: the rate limit, and the suspicious-IP throttle.

Two token buckets, told the time; the settings are frozen, the state is not.
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

# What 429s have been seen to say; a client must go by the status alone.
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

# Addresses remembered; beyond it the one quiet for longest is forgotten.
_MOST_ADDRESSES = 10_000


@frozen
class RateLimit:
    """Limit how many requests the token endpoint takes.

    Args:
        per_second: How many requests come back each second.
        burst: How many may come at once; `per_second` rounded up if not given.
        retry_after: Whether a 429 has Retry-After; undocumented for this limit.
        body_style: Which of the bodies seen in the wild a 429 has.
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
    """Block an address that keeps sending subject tokens which Actions reject.

    Args:
        max_attempts: How many rejections are free.
        refill_seconds: After how long another attempt is given back.
    """

    max_attempts: int = field(default=10, validator=gt(0))
    refill_seconds: float = field(default=600.0, validator=gt(0))


@define
class _Bucket:
    left: float
    updated_at: float

    def refill(self, now: float, rate: float, size: float) -> None:
        elapsed = max(0.0, now - self.updated_at)
        self.left = min(size, self.left + elapsed * rate)
        self.updated_at = now


class RateLimiter:
    """Count requests against a RateLimit."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._bucket: _Bucket | None = None
        self._lock = threading.Lock()

    def admit(self, now: float) -> tuple[Reply | None, tuple[tuple[str, str], ...]]:
        """Count one request; return its 429, if it is over, and headers for any reply.

        Args:
            now: Seconds since the epoch.
        """
        limit = self._limit
        with self._lock:
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
            ("x-ratelimit-reset", str(math.ceil(now + wait))),
        )
        if admitted:
            return None, headers
        if limit.retry_after:
            headers = (*headers, ("Retry-After", str(max(1, math.ceil(wait)))))
        media_type, body = _BODIES[limit.body_style]
        return Reply(429, body, (("Content-Type", media_type),)), headers


class AttemptThrottle:
    """Count each address's rejected subject tokens against a Throttle."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def blocks(self, address: str, now: float) -> bool:
        """Tell whether *address* has no attempt left at *now*."""
        with self._lock:
            return address in self._buckets and self._bucket(address, now).left < 1

    def count(self, address: str, now: float) -> None:
        """Take one attempt from *address*: an Action rejected its subject token."""
        with self._lock:
            self._bucket(address, now).left -= 1
            while len(self._buckets) > _MOST_ADDRESSES:
                self._buckets.popitem(last=False)

    def clear(self) -> None:
        """Give every address its attempts back."""
        with self._lock:
            self._buckets.clear()

    def _bucket(self, address: str, now: float) -> _Bucket:
        most = self._throttle.max_attempts
        bucket = self._buckets.setdefault(address, _Bucket(most, now))
        bucket.refill(now, 1 / self._throttle.refill_seconds, most)
        self._buckets.move_to_end(address)
        return bucket
