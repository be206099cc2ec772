"""The token cache as a flow sees it: find, put, drop, lock, unlock, in memory or shared.

One in memory answers at once and cannot fail.  A shared one is called through the driver,
holds sealed bytes, and may fail: it is then passed over and left alone for a few seconds,
as each call would wait for it, unless the policy says to raise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import attrs

from ...errors import Auth0Error, ConfigurationError, StoreError
from ...events import CacheFailed
from ..cache.token_cache import AsyncTokenCache, MemoryTokenCache, TokenCache
from ..cache.tokens import (
    CachedTokens,
    CacheKey,
    open_entry,
    read_tokens,
    seal_entry,
    write_tokens,
)
from ..context import Context
from ..effects import Emit, Flow, Invoke, Warn

LOCK_SECONDS = 5.0
"""How long a lock lasts whose owner has died."""

_FAILED = object()
"""Stands for the result of a call that failed, or was not made after a failure."""

_LOGGER = "auth0_tx.cache"


class ExchangeCache(Protocol):
    """The cache of one client, for one call."""

    def find(self, key: CacheKey) -> Flow[CachedTokens | None]:
        """Return what is cached under *key* and still good.

        Raises:
            StoreError: the cache failed, and the policy says to raise.
        """
        ...

    def put(self, key: CacheKey, tokens: CachedTokens) -> Flow[None]:
        """Cache *tokens*; a failure to do so is not worth losing them."""
        ...

    def drop(self, key: CacheKey) -> Flow[None]:
        """Make what is cached under *key* useless to everybody."""
        ...

    def lock(self, name: str, owner: bytes, seconds: float) -> Flow[bool]:
        """Lock *name* for *seconds* at the most, and return whether it was free.

        A cache that fails locks nobody out.
        """
        ...

    def unlock(self, name: str, owner: bytes) -> Flow[None]:
        """Free *name* if *owner* has locked it; otherwise its time ends it."""
        ...


def open_cache(context: Context) -> ExchangeCache:
    """Return the client's cache, which its settings have."""
    cache = context.settings.token_cache
    assert cache is not None
    if isinstance(cache, MemoryTokenCache):
        return _LocalCache(context, cache)
    return _SharedCache(context, cache)


@attrs.frozen(eq=False)
class _LocalCache:
    """In the memory of this process.  Nothing is asked of the world."""

    context: Context
    cache: MemoryTokenCache

    def find(self, key: CacheKey) -> Flow[CachedTokens | None]:
        yield from ()
        return self.cache.find(key, self.context.clock())

    def put(self, key: CacheKey, tokens: CachedTokens) -> Flow[None]:
        yield from ()
        self.cache.keep(key, tokens, self.context.clock())

    def drop(self, key: CacheKey) -> Flow[None]:
        yield from ()
        return self.cache.drop(key)

    def lock(self, name: str, owner: bytes, seconds: float) -> Flow[bool]:
        yield from ()
        now = self.context.monotonic()
        return self.cache.lock(name, owner, until=now + seconds, now=now)

    def unlock(self, name: str, owner: bytes) -> Flow[None]:
        yield from ()
        return self.cache.unlock(name, owner)


@attrs.frozen(eq=False)
class _SharedCache:
    """Shared by processes: sealed bytes under a key that reveals nothing."""

    context: Context
    cache: TokenCache | AsyncTokenCache

    def find(self, key: CacheKey) -> Flow[CachedTokens | None]:
        octets = yield from self._invoke(self.cache.get, key.name, may_raise=True)
        if not isinstance(octets, bytes):
            return None
        # What does not open was sealed by another client or an older secret: a miss, not an
        # error, as a rotation of secrets must not stop exchanges.
        payload, now = open_entry(key.seal, octets), self.context.clock()
        tokens = None if payload is None else read_tokens(payload, now)
        return tokens if tokens is not None and tokens.is_good(now) else None

    def put(self, key: CacheKey, tokens: CachedTokens) -> Flow[None]:
        octets = seal_entry(key.seal, write_tokens(tokens), self.context.new_secret())
        # Redis refuses a time to live of 0, and the clock may have moved on since.
        ttl = max(tokens.ends_at - self.context.clock(), 0.001)
        yield from self._invoke(partial(self.cache.set, ttl=ttl), key.name, octets)

    def drop(self, key: CacheKey) -> Flow[None]:
        # A cache need not know how to delete: what does not open is nothing.
        yield from self._invoke(partial(self.cache.set, ttl=0.001), key.name, b"-")

    def lock(self, name: str, owner: bytes, seconds: float) -> Flow[bool]:
        taken = yield from self._invoke(
            partial(self.cache.lock, ttl=seconds), name, owner
        )
        # Locked out by a failure, every call would wait and then exchange all the same.
        return taken is _FAILED or bool(taken)

    def unlock(self, name: str, owner: bytes) -> Flow[None]:
        yield from self._invoke(self.cache.unlock, name, owner)

    def _invoke(
        self, method: Callable[..., Any], *arguments: Any, may_raise: bool = False
    ) -> Flow[Any]:
        """Call a method of the cache; return ``_FAILED`` if it fails, or has just failed."""
        context, state = self.context, self.context.cache_state
        # Only a lookup raises.  When tokens were issued, a cache that fails must not lose them.
        raises = may_raise and context.settings.cache_policy.failure == "raise"
        # A dead cache costs its timeout; left alone for a while, it costs that to one call
        # in five seconds and not to each.
        if state.has_failed and not raises and state.is_resting(context.monotonic()):
            return _FAILED
        try:
            return (yield from Invoke(method, arguments))
        except ConfigurationError:
            # A cache for the other world: that is a mistake, and does not pass.
            raise
        except Exception as error:
            # What it raised may hold what it was given: neither its words nor itself go on.
            kind = (
                str(error.code)
                if isinstance(error, Auth0Error)
                else type(error).__name__
            )
        if context.settings.on_event is not None:
            yield from Emit(CacheFailed(kind=kind))
        # At most one warning a minute, or an outage of the cache would flood the log.
        if state.record_failure(context.monotonic()):
            message = f"the token cache failed ({kind}): exchanges go on without it"
            yield from Warn(_LOGGER, message)
        if raises:
            raise StoreError(f"the token cache failed: {kind}", retry_safe=True)
        return _FAILED
