"""The tenant's documents: which tenant a call is for, its metadata, and its signing keys.

Both documents are kept, and looked up in the same order.

1. A fresh one is used at once.  If it is due for a refresh, one of those who use it fetches
   it again when its own call has its answer: no call waits for that, and the grant finds the
   connection that rests.
2. Otherwise one caller fetches it for all who ask meanwhile, ahead of the grants that wait
   for a connection: they may all need it.
3. When the fetch fails, a document that is not older than a day goes on being used, and the
   next fetch waits 30 seconds, so that an outage of the documents does not stop
   exchanges.
4. Nothing of a grant was sent by then: whatever went wrong is told as ``NotSentError`` or
   ``DiscoveryError``, and the same call may be made again.

Metadata is due when its age is over, at the earliest after an hour, and may be used for a day:
its endpoints are the domain's own, whatever their age.  Keys are due shortly *before* their age is
over, at the earliest after nine minutes.  They are never used beyond it while the tenant answers,
because it is how a tenant takes a key back: it publishes the key no longer.

With ``discovery="deferred"`` a domain's first metadata is what Auth0 tenants have by convention.
Discovery is made beside the first grant, and is due half a minute later if that failed.  No ID
token is verified before discovery has confirmed where its keys are.  If the tenant's document is
not there, or says something else than it may, the convention is forgotten, and no further grant
is sent on its word.

A set of keys that lacks the key a token names may be older than the token, and so may one
whose key does not verify it: some tenants replace a key under its old name.  The set is then
fetched again, once per cooldown, as anybody can forge tokens of both kinds.  A set without
any usable key counts as a failed fetch: it could only replace keys that work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from ...errors import (
    AmbiguousError,
    ClientClosedError,
    ConfigurationError,
    CustomTokenExchangeError,
    DiscoveryError,
    InvalidResponseError,
    NotSentError,
    RateLimitError,
    RefusedError,
    SigningKeyError,
    TransportError,
)
from ..configuration import StoreOptions
from ..context import BoundedCache, CachedDocument, Call, Context
from ..effects import Begin, Emit, Flow, Invoke, Postpone, Response, Send, Share
from ..wire.domains import normalise_resolved_domain
from ..wire.metadata import (
    DOCUMENT_LIMIT,
    Metadata,
    discovery_url,
    document_request,
    freshness,
    make_conventional_metadata,
    read_document,
    read_metadata,
)
from ..wire.reading import parse_http_date, read_header, read_wait
from .sending import REFUTED, send_with_retries

if TYPE_CHECKING:
    from ...events import KeysFetched, MetadataFetched
    from ...results import TenantCheck
    from ..jose.keys import KeySet

V = TypeVar("V")

METADATA_AGE = 3_600.0
"""Seconds that metadata is used without a refresh, unless its answer says longer."""

KEYS_AGE = 600.0
"""Seconds that keys are used, unless their answer says longer."""

KEYS_DUE = 0.9
"""The part of their age after which keys are refreshed.

A service that verifies a token every minute never waits for keys then, and fetches them seven
times an hour."""

LONGEST_FETCH = 5.0
"""Seconds, the most that one document may take of a call's own time."""

LONGEST_REFRESH = 1.0
"""Seconds, the most that all refreshes may take after a call's answer: a thread waits for it."""

RETRY_AFTER_FAILURE = 30.0
"""Seconds during which a cached document is used although its refresh failed."""

LONGEST_STALE = 86_400.0
"""Seconds, the most that a document may outlive failing refreshes."""

CONNECTION_RESTS = 120.0
"""Seconds after an answer in which a connection is likely to be there: the transports keep it
for so long."""

COOLDOWN = 30.0
"""Seconds between two fetches that tokens may cause, however many of them fail."""


@attrs.define(eq=False, repr=False)
class _Source(Generic[V]):
    """Where one document of a tenant comes from, and where it is kept.

    Attributes:
        kind: what it is: callers share a fetch under this and the *key*.
        key: its key in the cache.
        cache: keeps the documents of its kind.
        fetch: fetches it; takes the one in the cache, if there is one.
        make_event: returns the event of a fetch that took so many seconds and failed with a
            code, or with ``None``.
    """

    kind: str
    key: str
    cache: BoundedCache[V]
    fetch: Callable[[Call, CachedDocument[V] | None], Flow[CachedDocument[V]]]
    make_event: Callable[[float, str | None], object]


@attrs.frozen(repr=False)
class Document:
    """A JSON object, how many seconds it is fresh, and when the server says it is."""

    members: dict[str, Any] = attrs.field(repr=False)
    fresh_for: float
    date: float | None = None


def prepare(context: Context, store_options: StoreOptions | None = None) -> Flow[None]:
    """Fetch the tenant's metadata and signing keys, and leave a connection to the tenant open.

    So the next call has to wait for neither, for as long as the connection rests: two
    minutes.  Calling this is optional: whatever is missing is fetched when it is needed, once
    for all who wait.  A process may call it while it starts, before it serves; a child that
    was forked calls it itself, as connections are not inherited.  Documents that are known are
    not fetched again, but for one request, to connect.

    Args:
        store_options: handed to the domain resolver if the client has one.

    Raises:
        CustomTokenExchangeError: the tenant cannot be reached, or its documents are invalid.
    """
    call = context.begin_call(store_options)
    domain = yield from resolve_domain(call)
    metadata_before = context.metadata.get(domain)
    metadata = yield from load_metadata(call, domain)
    keys_before = context.key_sets.get(metadata.jwks_uri)
    keys = yield from load_keys(call, metadata, None)
    is_known = metadata_before is not None and metadata_before.value is metadata
    if is_known and keys_before is not None and keys_before.value is keys:
        # Nothing was sent so far.  After a fork, the connections are the parent's.
        source = _find_metadata_source(call, domain)
        yield from _fetch_once_for_all(
            call, source, lambda cached, now: cached.value is not metadata
        )


def check_tenant(
    context: Context, store_options: StoreOptions | None = None
) -> Flow[TenantCheck]:
    """Fetch the tenant's metadata and signing keys anew, and report on them.

    Other calls use cached documents, and go on with stale ones while the tenant is down.
    This one does neither, so it answers whether a client that starts now could work.  Use it
    in a health check; it sends two requests and no credentials.

    Args:
        store_options: handed to the domain resolver if the client has one.

    Returns:
        The issuer, the number of usable keys, and how far the two clocks are apart.

    Raises:
        NotSentError: the tenant cannot be reached.
        DiscoveryError: its metadata is missing or invalid.
    """
    # Here and not at the top: each exchange loads this module.
    from ...results import TenantCheck

    call = context.begin_call(store_options)
    domain = yield from resolve_domain(call)
    document = yield from fetch_document(
        call, domain, discovery_url(domain), METADATA_AGE
    )
    now = context.clock()
    metadata = _to_metadata(document, domain)
    signing_keys, keys_error = 0, None
    try:
        keys = yield from _fetch_keys(call, metadata, asked_again_at=now)
        signing_keys = len(keys.value)
    except SigningKeyError as error:
        keys_error = error.with_traceback(None)
    except CustomTokenExchangeError as error:
        keys_error = _to_key_error(error)
    return TenantCheck(
        issuer=metadata.issuer,
        signing_keys=signing_keys,
        keys_error=keys_error,
        clock_skew=None if document.date is None else now - document.date,
    )


def resolve_domain(call: Call) -> Flow[str]:
    """Return the tenant's domain: the configured one, or the resolver's answer.

    The resolver is asked once for each call: all of its steps are about one tenant.
    """
    if call.settings.domain is not None:
        return call.settings.domain
    if call.domain is None:
        resolver = call.settings.resolver
        assert resolver is not None
        # Its answer may depend on a Host header, so it is held to public names: no request
        # can point the client at the machine itself.
        resolved = yield from Invoke(resolver, (call.store_options,))
        call.domain = normalise_resolved_domain(resolved)
    return call.domain


def load_metadata(call: Call, domain: str) -> Flow[Metadata]:
    """Return a tenant's metadata, fetched once for all who wait for it.

    Raises:
        DiscoveryError: it cannot be fetched, or does not belong to *domain*.
        NotSentError: the tenant cannot be reached.
    """
    context, source = call.context, _find_metadata_source(call, domain)
    cached, now = context.metadata.get(domain), context.clock()
    if cached is None and call.settings.discovery == "deferred":
        conventional = make_conventional_metadata(domain)
        refresh_at = now + RETRY_AFTER_FAILURE
        begun = CachedDocument(conventional, now, now + LONGEST_STALE, refresh_at)
        # What another thread has learnt meanwhile stays.
        cached = context.metadata.add_if_absent(domain, begun)
        if cached is begun:
            # Beside the grant and not after it: to connect takes longer than to send, so that
            # a thread would wait for a round trip more.
            yield from Begin(partial(_fetch_beside, call, source, _is_verified))
    if cached is not None and cached.is_fresh(now):
        if cached.is_due(now):
            yield from _postpone_refresh(call, source, cached)
        return cached.value
    # One fetch for all: after a restart, each worker's first thousand calls need the same.
    return (yield from _fetch_once_for_all(call, source, CachedDocument.is_fresh))


def load_keys(
    call: Call,
    metadata: Metadata,
    key_id: str | None,
    *,
    failed: KeySet | None = None,
) -> Flow[KeySet]:
    """Return the keys to verify a token that names *key_id*.

    Args:
        call: the call.
        metadata: the tenant's.
        key_id: the ``kid`` of the token, if it has one.
        failed: a set that did not verify the token; returned again if none newer is known
            and the cooldown forbids to fetch one.

    Raises:
        SigningKeyError: they cannot be fetched.
    """
    if not metadata.is_verified:
        metadata = yield from _verify_metadata(call, metadata.domain)
    context, source = call.context, _find_keys_source(call, metadata)

    def is_enough(cached: CachedDocument[KeySet], now: float) -> bool:
        return cached.is_fresh(now) and not (
            _may_lack_key(cached, key_id, now) or _may_be_outdated(cached, failed, now)
        )

    cached, now = context.key_sets.get(source.key), context.clock()
    if cached is not None and is_enough(cached, now):
        if cached.is_due(now):
            yield from _postpone_refresh(call, source, cached)
        return cached.value
    try:
        return (yield from _fetch_once_for_all(call, source, is_enough))
    except CustomTokenExchangeError as error:
        failure = error
    # Outside the handler: the new error replaces the old one, and has no context.  Whatever
    # it was, it must not lose the tokens that were issued.
    raise failure if isinstance(failure, SigningKeyError) else _to_key_error(failure)


def fetch_keys_beside(call: Call, metadata: Metadata) -> Flow[None]:
    """Have keys that are missing fetched beside the grant, if that is likely to save time.

    It takes connections of its own, and to open them takes as long as to open the grant's.  If
    one is there already, the keys come sooner over that one, after the answer.
    """
    context, domain = call.context, metadata.domain
    now, started = context.clock(), context.monotonic()
    keys = context.key_sets.get(metadata.jwks_uri)
    if keys is not None and keys.is_fresh(now):
        return
    known = context.metadata.get(domain)
    was_fetched_now = known is not None and known.fetched_at >= call.now
    answer_time = context.answer_times.get(domain)
    if (metadata.is_verified and was_fetched_now) or (
        answer_time is not None and answer_time.is_recent(started, CONNECTION_RESTS)
    ):
        return
    # Of a crowd, one call is enough: the others join it when they have their answers.
    begun = context.fetches_beside.get(domain)
    if begun is not None and started - begun < LONGEST_FETCH:
        return
    context.fetches_beside.add(domain, started)
    source = _find_keys_source(call, metadata)
    yield from Begin(partial(_fetch_beside, call, source, CachedDocument.is_fresh))


def _fetch_beside(
    call: Call,
    source: _Source[V],
    is_enough: Callable[[CachedDocument[V], float], bool],
) -> Flow[None]:
    try:
        yield from _fetch_once_for_all(call, source, is_enough)
    except CustomTokenExchangeError:
        # Whoever needs the document asks for it again.
        return


def _is_verified(cached: CachedDocument[Metadata], now: float) -> bool:
    return cached.value.is_verified and cached.is_fresh(now)


def _verify_metadata(call: Call, domain: str) -> Flow[Metadata]:
    """Return the metadata that the tenant publishes, in place of that by convention.

    Raises:
        SigningKeyError: it cannot be fetched, so nobody knows where the tenant's keys are.
    """
    source = _find_metadata_source(call, domain)
    try:
        metadata = yield from _fetch_once_for_all(call, source, _is_verified)
    except CustomTokenExchangeError as error:
        failure = _to_key_error(error)
    else:
        if metadata.is_verified:
            return metadata
        failure = SigningKeyError(
            "the tenant's metadata cannot be fetched, so its signing keys are not known"
        )
    # Outside the handler, so that it has no context.
    raise failure


def _find_metadata_source(call: Call, domain: str) -> _Source[Metadata]:
    def fetch(
        call: Call, cached: CachedDocument[Metadata] | None
    ) -> Flow[CachedDocument[Metadata]]:
        try:
            return (yield from _fetch_metadata(call, domain))
        except DiscoveryError as error:
            is_unsure = cached is not None and not cached.value.is_verified
            if is_unsure and not error.retry_safe:
                # The tenant is there, and it isn't what the convention says.
                call.context.metadata.replace(domain, REFUTED)
            raise

    def make_event(seconds: float, code: str | None) -> MetadataFetched:
        # Here and not at the top, as below: only clients with a subscriber need it.
        from ...events import MetadataFetched

        return MetadataFetched(domain=domain, seconds=seconds, code=code)

    return _Source("metadata", domain, call.context.metadata, fetch, make_event)


def _find_keys_source(call: Call, metadata: Metadata) -> _Source[KeySet]:
    def fetch(
        call: Call, cached: CachedDocument[KeySet] | None
    ) -> Flow[CachedDocument[KeySet]]:
        now = call.context.clock()
        # Not due, and fetched all the same: for a token whose key is missing, or has failed.
        is_repeat = (
            cached is not None and cached.is_fresh(now) and not cached.is_due(now)
        )
        asked_again_at = now if is_repeat else float("-inf")
        return _fetch_keys(call, metadata, asked_again_at=asked_again_at)

    def make_event(seconds: float, code: str | None) -> KeysFetched:
        from ...events import KeysFetched

        return KeysFetched(domain=metadata.domain, seconds=seconds, code=code)

    return _Source("keys", metadata.jwks_uri, call.context.key_sets, fetch, make_event)


def _fetch_once_for_all(
    call: Call,
    source: _Source[V],
    is_enough: Callable[[CachedDocument[V], float], bool],
) -> Flow[V]:
    """Return a document that *is_enough*, fetched once for all who ask for it meanwhile."""
    refresh = partial(_refresh, call.limit_to(call.deadline), source, is_enough)
    return (yield from Share((source.kind, source.key), refresh, call.deadline))


def _postpone_refresh(
    call: Call, source: _Source[V], cached: CachedDocument[V]
) -> Flow[None]:
    """Have this call refresh a document after its answer, and no other call."""
    if source.cache.get(source.key) is not cached:
        # Another thread has taken it on, or has even done it.
        return
    refresh_at = call.context.clock() + RETRY_AFTER_FAILURE
    source.cache.replace(source.key, attrs.evolve(cached, refresh_at=refresh_at))
    yield from Postpone(partial(_refresh_after_answer, call, source, cached.value))


def _refresh_after_answer(call: Call, source: _Source[V], used: V) -> Flow[None]:
    """Fetch a document that was *used*; a failure leaves it in use for the calls to come."""
    now = call.context.monotonic()
    if call.refreshes_end is None:
        # The caller waits for all of them, though it has the answer: for half of what is left at
        # most.  And each fetch is sent once.
        left = call.deadline - now
        call.refreshes_end = now + min(left / 2, LONGEST_REFRESH)
    if call.refreshes_end <= now:
        return
    part = call.limit_to(call.refreshes_end)
    part.settings = attrs.evolve(
        part.settings, retry=attrs.evolve(part.settings.retry, attempts=1)
    )

    def is_enough(cached: CachedDocument[V], now: float) -> bool:
        return cached.value is not used

    try:
        yield from _fetch_once_for_all(part, source, is_enough)
    except CustomTokenExchangeError:
        # It was reported to the application's subscriber by whoever fetched it.
        return


def _refresh(
    call: Call,
    source: _Source[V],
    is_enough: Callable[[CachedDocument[V], float], bool],
) -> Flow[V]:
    """Fetch a document for all who wait; after a failure, go on with the cached one."""
    context, started = call.context, call.context.monotonic()
    now = context.clock()
    cached = source.cache.get(source.key)
    if cached is not None and is_enough(cached, now):
        # Another flight ended between our look and our turn.
        return cached.value
    try:
        document = yield from source.fetch(call, cached)
    except CustomTokenExchangeError as error:
        yield from _report(call, source.make_event, started, str(error.code))
        cached = source.cache.get(source.key)
        # A clock that was set back makes the age negative, which says nothing.
        if cached is None or not 0 <= now - cached.fetched_at < LONGEST_STALE:
            raise
        retry_at = now + RETRY_AFTER_FAILURE
        failed = attrs.evolve(cached, refresh_at=retry_at, asked_again_at=now)
        if not cached.is_fresh(now):
            # A refresh before its time has a second.  That one failed is no reason to use the
            # document beyond its age, when a call waits for the fetch.
            failed = attrs.evolve(failed, retry_at=retry_at)
        source.cache.replace(source.key, failed)
        return cached.value
    source.cache.replace(source.key, document)
    yield from _report(call, source.make_event, started, None)
    return document.value


def _report(
    call: Call,
    make_event: Callable[[float, str | None], object],
    started: float,
    code: str | None,
) -> Flow[None]:
    if call.settings.on_event is not None:
        yield from Emit(make_event(call.context.monotonic() - started, code))


def _fetch_metadata(call: Call, domain: str) -> Flow[CachedDocument[Metadata]]:
    document = yield from fetch_document(
        call, domain, discovery_url(domain), METADATA_AGE
    )
    metadata = _to_metadata(document, domain)
    now = call.context.clock()
    return CachedDocument(
        metadata, now, now + LONGEST_STALE, refresh_at=now + document.fresh_for
    )


def _to_metadata(document: Document, domain: str) -> Metadata:
    metadata, rule = read_metadata(document.members, domain)
    if metadata is None:
        # A 200 whose issuer or endpoints are another host's is an attack or a mistake; either
        # way the client's secret stays here (RFC 8414 section 3.3).
        raise DiscoveryError(f"the tenant's metadata is invalid: {rule}", status=200)
    return metadata


def _fetch_keys(
    call: Call, metadata: Metadata, *, asked_again_at: float
) -> Flow[CachedDocument[KeySet]]:
    # Here and not at the top: it imports the JOSE library, which most exchanges never need.
    from ..jose.keys import read_jwks

    document = yield from fetch_document(
        call, metadata.domain, metadata.jwks_uri, KEYS_AGE
    )
    keys = read_jwks(document.members)
    if not len(keys):
        raise SigningKeyError("the tenant's key set has no usable key")
    now = call.context.clock()
    return CachedDocument(
        keys,
        now,
        now + document.fresh_for,
        refresh_at=now + document.fresh_for * KEYS_DUE,
        asked_again_at=asked_again_at,
    )


def _may_lack_key(
    cached: CachedDocument[KeySet], key_id: str | None, now: float
) -> bool:
    """Return whether a missing key is worth a fetch: it may be newer than the set."""
    # A token without a kid is tried with each key, so a newer set would bring it no more.
    if key_id is None or cached.value.has(key_id):
        return False
    return not 0 <= now - cached.asked_again_at < COOLDOWN


def _may_be_outdated(
    cached: CachedDocument[KeySet], failed: KeySet | None, now: float
) -> bool:
    """Return whether a key that did not verify a token may have been replaced since."""
    # A newer set than the one that failed is worth a try, not another fetch.
    if cached.value is not failed:
        return False
    # A set that was fetched moments ago has each key as it is now: the token is forged.
    latest = max(cached.fetched_at, cached.asked_again_at)
    return not 0 <= now - latest < COOLDOWN


def fetch_document(
    call: Call, domain: str, url: str, shortest_age: float
) -> Flow[Document]:
    """Fetch a JSON object; a GET may be sent again whatever became of it.

    Raises:
        NotSentError: no answer came, so no grant was sent either.
        DiscoveryError: the answer is not such a document.
    """
    context = call.context
    # A document that hangs must leave most of the call for the grant.
    deadline = min(call.deadline, context.monotonic() + LONGEST_FETCH)
    # Ahead of the grants that wait for a connection: they may all need this document.
    send = Send(lambda: document_request(url), deadline, DOCUMENT_LIMIT, first=True)

    def read(response: Response) -> Document | CustomTokenExchangeError:
        members, rule = read_document(response)
        if rule is None:
            date = parse_http_date(read_header(response, "date"))
            return Document(members, freshness(response, shortest_age), date)
        return _read_failure(response, rule, context.clock())

    try:
        return (yield from send_with_retries(call, domain, send, read, "reusable"))
    except CustomTokenExchangeError as error:
        failure = error
    # Outside the handler, so that the error for the exchange has no context.
    raise _to_discovery_error(failure)


def _read_failure(
    response: Response, rule: str, now: float
) -> CustomTokenExchangeError:
    """Return the error of an answer without a document, by whether it may pass."""
    status, wait = response.status, read_wait(response, now)
    if status == 429:
        return RateLimitError(rule, status=status, retry_safe=True, retry_after=wait)
    # RFC 9110 section 15.5.9 and RFC 8470 section 5.2: the request was not acted on.
    if status in (408, 425):
        return RefusedError(rule, status=status, retry_safe=True, retry_after=wait)
    if status >= 500:
        return AmbiguousError(rule, status=status, retry_safe=True, retry_after=wait)
    if status == 200:
        return InvalidResponseError(rule, status=status)
    return DiscoveryError(rule, status=status)


def _to_discovery_error(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
    """Return what a failed fetch means for the exchange: that nothing was sent."""
    # A session or a context that stopped verifying is the application's to mend.
    if isinstance(error, (ClientClosedError, ConfigurationError)):
        return error
    # Ambiguous for the GET, and unambiguous for the grant: it was not sent.
    if isinstance(error, TransportError) and error.status is None:
        return NotSentError(
            error.message,
            error.code,
            retry_safe=error.retry_safe,
            phase="discover",
            hint=error.hint,
        )
    return DiscoveryError(
        f"a document of the tenant cannot be fetched: {error.message}",
        status=error.status,
        retry_safe=error.retry_safe,
        retry_after=error.retry_after,
    )


def _to_key_error(error: CustomTokenExchangeError) -> SigningKeyError:
    return SigningKeyError(
        f"the tenant's signing keys cannot be fetched: {error.message}",
        status=error.status,
        retry_after=error.retry_after,
    )
