"""Exchanges through a token cache: one for all who ask at once, and none while it lasts.

Among the callers of a client one leads and the others share what becomes of it; among
processes, whoever locks the key leads.  A lock that cannot be had in good time is done
without: two exchanges are better than none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

from ...errors import (
    BlockedError,
    CustomTokenExchangeError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
)
from ...events import CacheHit, CacheJoined, CacheMissed
from ...values import TokenExchangeResponse
from ..cache.token_cache import MemoryTokenCache
from ..cache.tokens import (
    CachedTokens,
    CacheKey,
    cache_key,
    is_shareable,
    make_cached_tokens,
    own_copy,
)
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Emit, Flow, Share, Sleep, Turn
from ..jose.claims import read_claimed_expiry
from .caching import (
    LOCK_SECONDS,
    drop_tokens,
    found_tokens,
    keep_tokens,
    lock_key,
    unlock_key,
)
from .discovery import domain_for
from .granting import Exchanged, Grant, sent

Outcome: TypeAlias = "TokenExchangeResponse | CustomTokenExchangeError"

_RENEWAL_SECONDS = 30.0
"""How long a renewal that failed, or was cut off, is not tried again."""

_LOOK_AGAIN = 0.02
"""Seconds between the first two looks of who waits for another process; they grow."""

_LONGEST_LOOK = 0.2

_TOO_LATE = "another call was still exchanging the same token at the deadline"


@attrs.frozen(eq=False)
class Cacheable:
    """An exchange whose answer may come from a cache.

    Attributes:
        fields: every input that shapes the answer.
        scope: the scope asked for.
        tokens: what is exchanged: no answer is to outlive it.
        renewable: whether it may be exchanged again before that.
        grant: makes the grant.
        complete: goes on from the tokens to the result.
    """

    fields: tuple[str | None, ...] = attrs.field(repr=False)
    scope: str | None
    tokens: tuple[str | None, ...] = attrs.field(repr=False)
    renewable: bool
    grant: Callable[[], Grant]
    complete: Callable[[Exchanged], Flow[TokenExchangeResponse]]


@attrs.frozen(eq=False)
class _Wanted:
    """A cacheable exchange of one call: for whom, under which key, and by when."""

    cacheable: Cacheable
    domain: str
    key: CacheKey
    started: float
    deadline: float


def held(
    context: Context, fields: tuple[str | None, ...]
) -> TokenExchangeResponse | None:
    """Give what is in memory, where nobody is to be asked for it, or told of it.

    The shortest way there is, as most calls of a busy application go it.
    """
    settings = context.settings
    if not isinstance(settings.token_cache, MemoryTokenCache):
        return None
    if settings.domain is None or settings.on_event is not None:
        return None
    now = context.clock()
    key = cache_key(settings.cache_hash_key, (settings.domain, *fields))
    found = settings.token_cache.find(key, now)
    return None if found is None or now >= found.renew_at else found.to_response(now)


def exchanged_or_cached(
    context: Context, cacheable: Cacheable, store_options: StoreOptions | None
) -> Flow[TokenExchangeResponse]:
    """Give what an exchange brings, or has brought another caller who asked for the same.

    Args:
        context: the client's.
        cacheable: the exchange.
        store_options: handed to the domain resolver.

    Raises:
        CustomTokenExchangeError: how the exchange failed.
        StoreError: the cache failed, and the policy says that this is an error.
    """
    started = context.monotonic()
    deadline = started + context.settings.timeout
    in_memory = isinstance(context.settings.token_cache, MemoryTokenCache)
    if not in_memory:
        yield from Turn(deadline)
    domain = yield from domain_for(context, store_options)
    key = cache_key(context.settings.cache_hash_key, (domain, *cacheable.fields))
    wanted = _Wanted(cacheable, domain, key, started, deadline)
    # A refresh token is one caller's: the first of two who use it would spend it.
    if "offline_access" in (cacheable.scope or "").split():
        if in_memory:
            yield from Turn(deadline)
        return (yield from _sent(context, wanted))
    found = yield from found_tokens(context, key)
    if found is not None:
        return (yield from _given(context, wanted, found))
    if in_memory:
        yield from Turn(deadline)
    return (yield from _exchanged_for_all(context, wanted))


def _sent(context: Context, wanted: _Wanted) -> Flow[TokenExchangeResponse]:
    cacheable = wanted.cacheable
    grant = cacheable.grant()
    return (
        yield from sent(
            context, wanted.domain, grant, wanted.started, cacheable.complete
        )
    )


def _given(
    context: Context, wanted: _Wanted, found: CachedTokens
) -> Flow[TokenExchangeResponse]:
    """Give what was found; should it end soon, one of all who ask renews it first.

    Raises:
        RefusedError: it was to be renewed, and the server said no.
    """
    now = context.clock()
    if now >= found.renew_at:
        owner = context.new_id().encode()
        name = f"{wanted.key.name}.renew"
        if (yield from lock_key(context, name, owner, _RENEWAL_SECONDS)):
            return (yield from _renewed(context, wanted, found, owner))
    if context.settings.on_event is not None:
        yield from Emit(CacheHit(domain=wanted.domain))
    return found.to_response(now)


def _exchanged_for_all(
    context: Context, wanted: _Wanted
) -> Flow[TokenExchangeResponse]:
    """Exchange for this caller and for all who ask for the same meanwhile.

    Raises:
        CustomTokenExchangeError: how the one exchange failed.
    """
    tells = context.settings.on_event is not None
    if tells:
        yield from Emit(CacheMissed(domain=wanted.domain))
    is_last = False
    while True:
        led: list[bool] = []
        outcome = yield from _shared(context, wanted, led)
        if led and isinstance(outcome, TokenExchangeResponse):
            return outcome
        if tells and not led:
            yield from Emit(CacheJoined(domain=wanted.domain))
        if isinstance(outcome, TokenExchangeResponse):
            if not is_shareable(outcome):
                return (yield from _sent(context, wanted))
            return own_copy(outcome)
        # What did no harm may succeed in the time that this caller has left.
        if led or is_last or not outcome.retry_safe:
            raise _own_error(outcome)
        is_last = True


def _shared(context: Context, wanted: _Wanted, led: list[bool]) -> Flow[Outcome]:
    """Share one exchange; note in *led* whether it is this call that made it."""

    def lead() -> Flow[Outcome]:
        led.append(True)
        return _led(context, wanted)

    key = ("tokens", wanted.key)
    return (yield from Share(key, lead, wanted.deadline, _TOO_LATE, "send"))


def _led(context: Context, wanted: _Wanted) -> Flow[Outcome]:
    """Exchange as the one of this process, and give the error as what it shares too."""
    try:
        return (yield from _exchanged(context, wanted))
    except CustomTokenExchangeError as error:
        return error


def _exchanged(context: Context, wanted: _Wanted) -> Flow[TokenExchangeResponse]:
    name = f"{wanted.key.name}.lock"
    owner = yield from _locked(context, wanted, name)
    until = context.monotonic() + LOCK_SECONDS
    failure: CustomTokenExchangeError
    try:
        # Whoever had the lock may have been done just after we looked.
        found = yield from found_tokens(context, wanted.key)
        if found is None:
            response = yield from _kept(context, wanted)
        else:
            response = found.to_response(context.clock())
    except CustomTokenExchangeError as error:
        failure = error
    except GeneratorExit:
        # Nothing can be asked of the world any more: the next of this client goes on.
        context.cache_state.record_abandoned_lock(name, owner, until)
        raise
    else:
        yield from unlock_key(context, name, owner)
        return response
    yield from unlock_key(context, name, owner)
    raise failure


def _locked(context: Context, wanted: _Wanted, name: str) -> Flow[bytes]:
    """Lock the key, wait for what its owner brings, or do without: half of the time is for that.

    Returns:
        The owner to unlock it by, whether it is locked or not.
    """
    started, wait = context.monotonic(), _LOOK_AGAIN
    until = started + (wanted.deadline - started) / 2
    left = context.cache_state.take_over_lock(name, started)
    if left is not None:
        return left
    owner = context.new_id().encode()
    while not (yield from lock_key(context, name, owner, LOCK_SECONDS)):
        if context.monotonic() >= until:
            break
        yield from Sleep(wait * (0.5 + context.random()))
        wait = min(wait * 1.5, _LONGEST_LOOK)
        if (yield from found_tokens(context, wanted.key)) is not None:
            break
    return owner


def _kept(context: Context, wanted: _Wanted) -> Flow[TokenExchangeResponse]:
    response = yield from _sent(context, wanted)
    tokens = make_cached_tokens(
        response,
        context.settings.cache_policy,
        tokens_end=min(
            map(read_claimed_expiry, (*wanted.cacheable.tokens, response.id_token))
        ),
        renewable=wanted.cacheable.renewable,
        now=context.clock(),
        random=context.random(),
    )
    if tokens is not None:
        yield from keep_tokens(context, wanted.key, tokens)
    return response


def _renewed(
    context: Context, wanted: _Wanted, found: CachedTokens, owner: bytes
) -> Flow[TokenExchangeResponse]:
    """Exchange anew while what was found is still good for all others."""
    try:
        response = yield from _kept(context, wanted)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        yield from unlock_key(context, f"{wanted.key.name}.renew", owner)
        return response
    if _is_final(failure):
        # Nobody is to have for longer what the server does not give any more.
        yield from drop_tokens(context, wanted.key)
        raise failure
    now = context.clock()
    if not found.is_good(now):
        raise failure
    # The lock stays, so that an outage is not asked about by every call.
    return found.to_response(now)


def _is_final(error: CustomTokenExchangeError) -> bool:
    return isinstance(error, RefusedError) and not (
        error.retry_safe or isinstance(error, (RateLimitError, BlockedError))
    )


def _own_error(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
    """Give each caller an error of its own: a raised one collects the frames it passes."""
    own = error.evolve()
    if isinstance(own, MfaRequiredError) and isinstance(error, MfaRequiredError):
        own.with_mfa(error.mfa_token, error.mfa_requirements)
    return own
