"""The token cache as flows see it: one in memory at once, a shared one by calls, sealed.

What a shared cache fails with is no caller's affair: it is passed over, and left alone for
a while, unless the policy says to raise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import Auth0Error, ConfigurationError, StoreError
from ...events import CacheFailed
from ..cache.token_cache import MemoryTokenCache
from ..cache.tokens import (
    CachedTokens,
    CacheKey,
    open_entry,
    read_tokens,
    seal_entry,
    write_tokens,
)
from ..context import Context
from ..effects import Call, Emit, Flow, Warn

LOCK_SECONDS = 5.0
"""How long a lock lasts whose owner has died."""

_TROUBLE = object()
_LOGGER = "auth0_tx.cache"


def found_tokens(context: Context, key: CacheKey) -> Flow[CachedTokens | None]:
    """Give what is cached under *key* and is still good.

    Raises:
        StoreError: the cache failed, and the policy says that this is an error.
    """
    cache = context.settings.token_cache
    if isinstance(cache, MemoryTokenCache):
        return cache.find(key, context.clock())
    assert cache is not None
    octets = yield from _asked(context, cache.get, (key.name,), may_raise=True)
    if not isinstance(octets, bytes):
        return None
    payload, now = open_entry(key.seal, octets), context.clock()
    tokens = None if payload is None else read_tokens(payload, now)
    return tokens if tokens is not None and tokens.is_good(now) else None


def keep_tokens(context: Context, key: CacheKey, tokens: CachedTokens) -> Flow[None]:
    """Cache *tokens*; that they cannot be is not worth losing them for."""
    cache, now = context.settings.token_cache, context.clock()
    if isinstance(cache, MemoryTokenCache):
        cache.keep(key, tokens, now)
        return
    assert cache is not None
    octets = seal_entry(key.seal, write_tokens(tokens), context.new_secret())
    ttl = max(tokens.ends_at - now, 0.001)
    yield from _asked(context, partial(cache.set, ttl=ttl), (key.name, octets))


def drop_tokens(context: Context, key: CacheKey) -> Flow[None]:
    """Have what is cached under *key* be of no use to anybody."""
    cache = context.settings.token_cache
    if isinstance(cache, MemoryTokenCache):
        cache.drop(key)
        return
    assert cache is not None
    # A cache need not know how to delete: what does not open is nothing.
    yield from _asked(context, partial(cache.set, ttl=0.001), (key.name, b"-"))


def lock_key(context: Context, name: str, owner: bytes, seconds: float) -> Flow[bool]:
    """Lock *name*, for *seconds* at the most; tell whether nobody else has.

    Where the cache cannot tell, everybody may go on.
    """
    cache, now = context.settings.token_cache, context.monotonic()
    if isinstance(cache, MemoryTokenCache):
        return cache.lock(name, owner, until=now + seconds, now=now)
    assert cache is not None
    taken = yield from _asked(context, partial(cache.lock, ttl=seconds), (name, owner))
    return taken is _TROUBLE or bool(taken)


def unlock_key(context: Context, name: str, owner: bytes) -> Flow[None]:
    """Free *name* where it is *owner* who has locked it; it also ends by itself."""
    cache = context.settings.token_cache
    if isinstance(cache, MemoryTokenCache):
        cache.unlock(name, owner)
        return
    assert cache is not None
    yield from _asked(context, cache.unlock, (name, owner))


def _asked(
    context: Context,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    may_raise: bool = False,
) -> Flow[Any]:
    """Call a method of a shared cache; give ``_TROUBLE`` where it fails, or has just failed."""
    state = context.cache_state
    raises = may_raise and context.settings.cache_policy.failure == "raise"
    if state.has_failed and not raises and state.is_resting(context.monotonic()):
        return _TROUBLE
    try:
        return (yield from Call(function, arguments))
    except ConfigurationError:
        # A cache for the other world: that is a mistake, and does not pass.
        raise
    except Exception as error:
        # What it raised may hold what it was given, so neither its words nor itself go on.
        kind = (
            str(error.code) if isinstance(error, Auth0Error) else type(error).__name__
        )
    if context.settings.on_event is not None:
        yield from Emit(CacheFailed(kind=kind))
    if state.record_failure(context.monotonic()):
        yield from Warn(
            _LOGGER,
            f"the token cache failed ({kind}): exchanges go on without it",
        )
    if raises:
        raise StoreError(f"the token cache failed: {kind}", retry_safe=True)
    return _TROUBLE
