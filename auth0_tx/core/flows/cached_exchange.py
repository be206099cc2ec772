"""Exchanges through a token cache: one for all who ask at once, and none while it lasts.

1. A token in the cache is returned, until shortly before it expires.  In that last part of
   its time one caller renews it, and all others still get the old one.
2. Without one, the callers of a client share one exchange: one leads, the others wait.
3. Among processes, whoever locks the key leads.  The others look for the answer in the
   cache now and then.  A lock that cannot be had in half of the call's time is done
   without: two exchanges are better than none.
4. A failure is shared too.  One that did no harm is tried once more in the time that a
   waiting caller has left.

A refresh token rotates with its first use (RFC 9700 section 4.14.2), so an answer that has
one, or is to have one, is never shared.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ...errors import (
    BlockedError,
    CustomTokenExchangeError,
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
from ..context import Call
from ..effects import Emit, Flow, Share, Sleep
from ..jose.claims import read_claimed_expiry
from .exchange_cache import LOCK_SECONDS, ExchangeCache, open_cache
from .tenant_documents import resolve_domain

_RENEWAL_SECONDS = 30.0
"""How long a renewal that failed, or was cut off, is not tried again."""

_LOOK_AGAIN = 0.02
"""Seconds between the first two looks of who waits for another process; they grow."""

_LONGEST_LOOK = 0.2

_TOO_LATE = "another call was still exchanging the same token at the deadline"


@attrs.frozen(eq=False)
class CacheableExchange:
    """An exchange whose answer may come from a cache.

    Attributes:
        fields: every input that shapes the answer.
        scope: the scope asked for.
        subject_tokens: the tokens to exchange; no answer is to outlive them.
        is_renewable: whether they may be exchanged again before that.
        run: runs the exchange with the tenant at a domain.
    """

    fields: tuple[str | None, ...] = attrs.field(repr=False)
    scope: str | None
    subject_tokens: tuple[str | None, ...] = attrs.field(repr=False)
    is_renewable: bool
    run: Callable[[str], Flow[TokenExchangeResponse]]


@attrs.frozen(eq=False)
class _Lookup:
    """A cacheable exchange of one call: with which tenant, under which key, in which cache."""

    call: Call
    exchange: CacheableExchange
    domain: str
    key: CacheKey
    cache: ExchangeCache


@attrs.frozen(eq=False)
class SharedOutcome:
    """The outcome of a shared exchange, and the lookup of the call that led it."""

    leader: object
    result: TokenExchangeResponse | CustomTokenExchangeError


def exchange_through_cache(
    call: Call, exchange: CacheableExchange
) -> Flow[TokenExchangeResponse]:
    """Return the cached answer of an exchange, or run it for all who ask for the same.

    Raises:
        CustomTokenExchangeError: how the exchange failed.
        StoreError: the cache failed, and the policy says to raise.
    """
    response = _find_in_memory(call, exchange.fields)
    if response is not None:
        return response
    domain = call.settings.domain or (yield from resolve_domain(call))
    # A refresh token is one caller's: the first of two who use it would spend it.
    if "offline_access" in (exchange.scope or "").split():
        return (yield from exchange.run(domain))
    key = cache_key(call.settings.cache_hash_key, (domain, *exchange.fields))
    lookup = _Lookup(call, exchange, domain, key, open_cache(call.context))
    # No lock for a hit: nearly all calls are hits, and a lock would serialise them.
    tokens = yield from _find(lookup)
    if tokens is None:
        return (yield from _join_or_lead(lookup))
    now = call.context.clock()
    if now >= tokens.renew_at:
        owner = call.context.new_id().encode()
        # The lock is what makes it one caller of all processes, and outlasts a failed renewal.
        is_ours = yield from lookup.cache.lock(_renewal(key), owner, _RENEWAL_SECONDS)
        if is_ours:
            return (yield from _renew(lookup, tokens, owner))
    if call.settings.on_event is not None:
        yield from Emit(CacheHit(domain=domain))
    return tokens.to_response(now)


def _find_in_memory(
    call: Call, fields: tuple[str | None, ...]
) -> TokenExchangeResponse | None:
    """Return the tokens in memory, if no resolver must be asked and no subscriber told.

    This is the shortest way there is, as most calls of a busy application go it.
    """
    settings = call.settings
    if not isinstance(settings.token_cache, MemoryTokenCache):
        return None
    # A resolver may await, and a subscriber is an effect: both take a flow.
    if settings.domain is None or settings.on_event is not None:
        return None
    now = call.context.clock()
    key = cache_key(settings.cache_hash_key, (settings.domain, *fields))
    tokens = settings.token_cache.find(key, now)
    if tokens is None or now >= tokens.renew_at or _is_refused(call, tokens):
        return None
    return tokens.to_response(now)


def _find(lookup: _Lookup) -> Flow[CachedTokens | None]:
    """Return what is cached, unless an API refused it."""
    tokens = yield from lookup.cache.find(lookup.key)
    return None if tokens is None or _is_refused(lookup.call, tokens) else tokens


def _is_refused(call: Call, tokens: CachedTokens) -> bool:
    return call.refused_token == tokens.response.access_token


def _join_or_lead(lookup: _Lookup) -> Flow[TokenExchangeResponse]:
    """Join the exchange that is under way, or lead one for all who ask meanwhile.

    Raises:
        CustomTokenExchangeError: how the one exchange failed.
    """
    call, may_try_again = lookup.call, True
    emits = call.settings.on_event is not None
    if emits:
        yield from Emit(CacheMissed(domain=lookup.domain))
    while True:
        outcome: SharedOutcome = yield from Share(
            # Apart from those to whom the refused token, if it is cached, is an answer.
            ("tokens", lookup.key, call.refused_token),
            lambda: _lead(lookup),
            call.deadline,
            _TOO_LATE,
            "send",
        )
        # Compared by identity: a leader that was cancelled may have been replaced by another.
        has_led, result = outcome.leader is lookup, outcome.result
        if emits and not has_led:
            yield from Emit(CacheJoined(domain=lookup.domain))
        if isinstance(result, TokenExchangeResponse):
            if has_led:
                return result
            # The leader may have got a refresh token that nobody asked for.  It is the leader's
            # alone, so everyone else needs an exchange of their own.
            if is_shareable(result):
                return own_copy(result)
            return (yield from lookup.exchange.run(lookup.domain))
        # Once only: with an outage of Auth0, callers that retried in turn would each wait for
        # all the others.
        if has_led or not may_try_again or not result.retry_safe:
            # A copy, as a raised error collects the frames of each caller it passes.
            raise result.evolve()
        may_try_again = False


def _lead(lookup: _Lookup) -> Flow[SharedOutcome]:
    """Run the exchange as the leader of this process; an error is an outcome to share."""
    try:
        return SharedOutcome(lookup, (yield from _exchange_under_lock(lookup)))
    except CustomTokenExchangeError as error:
        # Returned, not raised: a flight that raises is flown again for its waiters, and a
        # refusal would be asked for twice.
        # Without its traceback, whose frames hold the leader's tokens.
        return SharedOutcome(lookup, error.with_traceback(None))


def _exchange_under_lock(lookup: _Lookup) -> Flow[TokenExchangeResponse]:
    context, cache = lookup.call.context, lookup.cache
    name = f"{lookup.key.name}.lock"
    # A call of this client that was cancelled left its lock: waiting for it to expire
    # would take longer than most timeouts.
    abandoned = context.cache_state.take_over_lock(name, context.monotonic())
    owner, until = abandoned or context.new_id().encode(), float("-inf")
    try:
        # Within the block, as an interrupt may strike in the instant when it is locked.
        if abandoned is None:
            yield from _acquire_lock(lookup, name, owner)
        # From after the lock was taken: noting an earlier end only costs a wait, a later one
        # would free somebody else's lock.
        until = context.monotonic() + LOCK_SECONDS
        # Whoever had the lock may have been done just after we looked.
        tokens = yield from _find(lookup)
        if tokens is None:
            response = yield from _exchange_and_put(lookup)
        else:
            response = tokens.to_response(context.clock())
        # Here, so that it is tried again if an interrupt cuts it off.
        yield from cache.unlock(name, owner)
    except GeneratorExit:
        # Nothing can be asked of the world any more: the next of this client goes on.
        context.cache_state.record_abandoned_lock(name, owner, until)
        raise
    # Unlocked before an error or an interrupt goes on, or every other process would wait
    # for a lock whose holder has given up.
    except BaseException:
        yield from cache.unlock(name, owner)
        raise
    return response


def _acquire_lock(lookup: _Lookup, name: str, owner: bytes) -> Flow[None]:
    """Lock the key, wait for what its owner brings, or give up after half of the time."""
    call, context, cache = lookup.call, lookup.call.context, lookup.cache
    started, wait = context.monotonic(), _LOOK_AGAIN
    # The other half is for an exchange of our own, should the holder turn out to be slow.
    until = started + (call.deadline - started) / 2
    while not (yield from cache.lock(name, owner, LOCK_SECONDS)):
        if context.monotonic() >= until:
            return
        # Jitter, so that those who wait do not look in the same instant.
        yield from Sleep(wait * (0.5 + context.random()))
        # An exchange takes tens of milliseconds, so the first looks are close together; the
        # later ones spare the cache.
        wait = min(wait * 1.5, _LONGEST_LOOK)
        if (yield from _find(lookup)) is not None:
            return


def _exchange_and_put(lookup: _Lookup) -> Flow[TokenExchangeResponse]:
    context, exchange = lookup.call.context, lookup.exchange
    response = yield from exchange.run(lookup.domain)
    # An answer must not outlive what it was exchanged for: whose session has ended in the
    # legacy system must not go on here.  The claims are unverified, which can only make
    # the time shorter.
    expiries = map(read_claimed_expiry, (*exchange.subject_tokens, response.id_token))
    tokens = make_cached_tokens(
        response,
        context.settings.cache_policy,
        tokens_end=min(expiries),
        renewable=exchange.is_renewable,
        now=context.clock(),
        random=context.random(),
    )
    if tokens is not None:
        yield from lookup.cache.put(lookup.key, tokens)
    return response


def _renew(
    lookup: _Lookup, tokens: CachedTokens, owner: bytes
) -> Flow[TokenExchangeResponse]:
    """Exchange anew while the cached tokens are still good for all others.

    Raises:
        CustomTokenExchangeError: the server refused, or the cached tokens ended meanwhile.
    """
    try:
        response = yield from _exchange_and_put(lookup)
    except CustomTokenExchangeError as error:
        if _is_final(error):
            # Nobody may keep for longer what the server does not issue any more.
            yield from lookup.cache.drop(lookup.key)
            raise
        now = lookup.call.context.clock()
        if not tokens.is_good(now):
            raise
        # The lock stays, so that an outage is not asked about by every call.
        return tokens.to_response(now)
    yield from lookup.cache.unlock(_renewal(lookup.key), owner)
    return response


def _renewal(key: CacheKey) -> str:
    return f"{key.name}.renew"


def _is_final(error: CustomTokenExchangeError) -> bool:
    # A limit or a block says nothing about the token, and what may be sent again is not
    # decided yet: only a plain refusal ends what is cached.
    return isinstance(error, RefusedError) and not (
        error.retry_safe or isinstance(error, (RateLimitError, BlockedError))
    )
