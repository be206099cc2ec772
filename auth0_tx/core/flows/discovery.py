"""Which tenant a call is for, and where its endpoints are."""

from __future__ import annotations

import attrs

from ...errors import CustomTokenExchangeError, DiscoveryError
from ...events import MetadataFetched
from ..configuration import StoreOptions
from ..context import CachedDocument, Context
from ..effects import Call, Emit, Flow, Share
from ..wire.domains import normalise_resolved_domain
from ..wire.metadata import Metadata, discovery_url, read_metadata
from .documents import LONGEST_STALE, RETRY_AFTER_FAILURE, fetched

DEFAULT_AGE = 3_600.0


def domain_for(context: Context, store_options: StoreOptions | None) -> Flow[str]:
    """Give the tenant's domain: the configured one, or what the resolver says."""
    if context.settings.domain is not None:
        return context.settings.domain
    resolver = context.settings.resolver
    assert resolver is not None
    resolved = yield from Call(resolver, (store_options,))
    return normalise_resolved_domain(resolved)


def metadata_for(context: Context, domain: str, deadline: float) -> Flow[Metadata]:
    """Give a tenant's metadata, fetching it once for all who wait for it.

    Raises:
        DiscoveryError: it cannot be had, or does not belong to *domain*.
        NotSentError: the tenant cannot be reached.
    """
    kept = context.metadata.get(domain)
    if kept is not None and kept.is_fresh(context.clock()):
        return kept.value
    return (
        yield from Share(
            ("metadata", domain),
            lambda: _refreshed(context, domain, deadline),
            deadline,
        )
    )


def _refreshed(context: Context, domain: str, deadline: float) -> Flow[Metadata]:
    now, started = context.clock(), context.monotonic()
    kept = context.metadata.get(domain)
    if kept is not None and kept.is_fresh(now):
        # Another flight ended between our look and our turn.
        return kept.value
    # A refresh that hangs must leave the call the time to use what is kept.
    until = deadline if kept is None else started + max(deadline - started, 0.0) / 2
    try:
        found = yield from _fetched(context, domain, until)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        context.metadata.put(domain, found)
        yield from _told(context, domain, started, None)
        return found.value
    yield from _told(context, domain, started, str(failure.code))
    if kept is None or not 0 <= now - kept.fetched_at < LONGEST_STALE:
        raise failure
    context.metadata.put(domain, attrs.evolve(kept, retry_at=now + RETRY_AFTER_FAILURE))
    return kept.value


def _fetched(
    context: Context, domain: str, deadline: float
) -> Flow[CachedDocument[Metadata]]:
    document = yield from fetched(
        context, domain, discovery_url(domain), deadline, DEFAULT_AGE
    )
    metadata, rule = read_metadata(document.members, domain)
    if metadata is None:
        raise DiscoveryError(f"the tenant's metadata does not hold: {rule}", status=200)
    now = context.clock()
    return CachedDocument(metadata, now, now + document.fresh_for)


def _told(
    context: Context, domain: str, started: float, code: str | None
) -> Flow[None]:
    if context.settings.on_event is not None:
        seconds = context.monotonic() - started
        yield from Emit(MetadataFetched(domain=domain, seconds=seconds, code=code))
