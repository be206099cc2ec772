"""A tenant's signing keys: fetched once for all, and kept through failures.

They are asked for again when a token names one that is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ...errors import CustomTokenExchangeError, SigningKeyError
from ...events import KeysFetched
from ..context import CachedDocument, Context
from ..effects import Emit, Flow, Share
from ..wire.metadata import Metadata
from .documents import LONGEST_STALE, RETRY_AFTER_FAILURE, fetched

if TYPE_CHECKING:
    from ..jose.keys import KeySet

DEFAULT_AGE = 600.0

COOLDOWN = 30.0
"""Seconds between two fetches that unknown key ids may cause, however many there are."""


def keys_for(
    context: Context, metadata: Metadata, key_id: str | None, deadline: float
) -> Flow[KeySet]:
    """Give the keys to verify a token with that names *key_id*.

    Raises:
        SigningKeyError: there are none to be had.
    """
    kept = context.key_sets.get(metadata.jwks_uri)
    now = context.clock()
    if kept is not None and kept.is_fresh(now) and not _ask_again(kept, key_id, now):
        return kept.value
    try:
        return (
            yield from Share(
                ("keys", metadata.jwks_uri),
                lambda: _refreshed(context, metadata, key_id, deadline),
                deadline,
            )
        )
    except CustomTokenExchangeError as error:
        failure = error
    # Whatever it was, no token that was issued may be lost to it.
    raise failure if isinstance(failure, SigningKeyError) else _unavailable(failure)


def _ask_again(kept: CachedDocument[KeySet], key_id: str | None, now: float) -> bool:
    """Tell whether a key that is not there is worth a fetch: it may be newer than the set."""
    if key_id is None or kept.value.has(key_id):
        return False
    return not 0 <= now - kept.asked_again_at < COOLDOWN


def _refreshed(
    context: Context, metadata: Metadata, key_id: str | None, deadline: float
) -> Flow[KeySet]:
    now, started = context.clock(), context.monotonic()
    kept = context.key_sets.get(metadata.jwks_uri)
    fresh = kept is not None and kept.is_fresh(now)
    if kept is not None and fresh and not _ask_again(kept, key_id, now):
        # Another flight ended between our look and our turn.
        return kept.value
    asked_again_at = now if fresh else float("-inf")
    try:
        found = yield from _fetched(context, metadata, deadline, asked_again_at)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        context.key_sets.put(metadata.jwks_uri, found)
        yield from _told(context, metadata.domain, started, None)
        return found.value
    yield from _told(context, metadata.domain, started, str(failure.code))
    if kept is None or not 0 <= now - kept.fetched_at < LONGEST_STALE:
        raise failure
    context.key_sets.put(
        metadata.jwks_uri,
        attrs.evolve(kept, retry_at=now + RETRY_AFTER_FAILURE, asked_again_at=now),
    )
    return kept.value


def _fetched(
    context: Context, metadata: Metadata, deadline: float, asked_again_at: float
) -> Flow[CachedDocument[KeySet]]:
    from ..jose.keys import read_jwks

    document = yield from fetched(
        context, metadata.domain, metadata.jwks_uri, deadline, DEFAULT_AGE
    )
    keys = read_jwks(document.members)
    now = context.clock()
    return CachedDocument(
        keys, now, now + document.fresh_for, asked_again_at=asked_again_at
    )


def _unavailable(error: CustomTokenExchangeError) -> SigningKeyError:
    return SigningKeyError(
        f"the tenant's signing keys cannot be had: {error.message}",
        status=error.status,
        retry_after=error.retry_after,
    )


def _told(
    context: Context, domain: str, started: float, code: str | None
) -> Flow[None]:
    if context.settings.on_event is not None:
        seconds = context.monotonic() - started
        yield from Emit(KeysFetched(domain=domain, seconds=seconds, code=code))
