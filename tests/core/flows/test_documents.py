"""Fetching what a tenant publishes: how long it may take, and what a failure means."""

from __future__ import annotations

import attrs
import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow, Response, Send
from auth0_tx.core.flows.tenant_documents import Document, fetch_document
from auth0_tx.errors import (
    AmbiguousError,
    ClientClosedError,
    CustomTokenExchangeError,
    DiscoveryError,
    NotSentError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    Clock,
    begin_call,
    build_response,
    fail,
    list_kinds,
    play,
)


def fetch(context: Context, seconds: float = 10.0) -> Flow[Document]:
    """Fetch a document in a call that has *seconds* left."""
    deadline = context.monotonic() + seconds
    return fetch_document(begin_call(context, deadline), DOMAIN, DISCOVERY_URL, 600.0)


def test_document(cold: Context) -> None:
    """A document is a JSON object, and how long it is fresh."""
    document, asked = play(
        fetch(cold), build_response(DOCUMENT, cache_control="max-age=900")
    )

    assert Document(DOCUMENT, 900.0) == document
    assert ("GET", DISCOVERY_URL) == (asked.requests[0].method, asked.requests[0].url)
    assert str(DOCUMENT) not in repr(document)


@pytest.mark.parametrize(("left", "seconds"), [(10.0, 5.0), (5.0, 5.0), (2.0, 2.0)])
def test_deadline(cold: Context, clock: Clock, left: float, seconds: float) -> None:
    """A document may take five seconds, and never more than its call has left."""
    _, [send] = play(fetch(cold, left), build_response(DOCUMENT))

    assert isinstance(send, Send)
    assert (clock.now + seconds, 524_288) == (send.deadline, send.limit)


@pytest.mark.parametrize(
    ("failure", "code", "safe"),
    [
        (NotSentError("no", retry_safe=True), Code.CONNECTION_FAILED, True),
        (NotSentError("no", Code.TIMEOUT, retry_safe=True), Code.TIMEOUT, True),
        (NotSentError("no", Code.TLS_FAILED, hint="so"), Code.TLS_FAILED, False),
        (AmbiguousError("no"), Code.CONNECTION_LOST, True),
        (AmbiguousError("no", Code.TIMEOUT), Code.TIMEOUT, True),
    ],
)
def test_no_answer(
    cold: Context, failure: CustomTokenExchangeError, code: Code, safe: bool
) -> None:
    """Without an answer no grant was sent either, and that is what the caller hears."""
    error, _ = fail(fetch(cold), lambda request: failure)

    assert NotSentError is type(error)
    assert (code, "discover", safe) == (error.code, error.phase, error.retry_safe)
    assert failure.hint == error.hint


@pytest.mark.parametrize(
    ("response", "safe", "wait"),
    [
        (build_response(b"", 404), False, None),
        (build_response(b"", 403, retry_after="9"), False, None),
        (build_response(b"", 302, location="https://evil.com"), False, None),
        (build_response(b"", 408), True, None),
        (build_response(b"", 429, retry_after="9"), True, 9.0),
        (build_response(b"", 500), True, None),
        (build_response(b"", 503, retry_after="9"), True, 9.0),
        (build_response(b"", 503, retry_after="soon"), True, None),
        (build_response(b"<html>"), False, None),
        (build_response([1]), False, None),
        (attrs.evolve(build_response(b"{}"), oversized=True), False, None),
        (build_response(b"\x1f\x8b", content_encoding="gzip"), False, None),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_no_document(
    cold: Context, response: Response, safe: bool, wait: float | None
) -> None:
    """An answer that isn't a document fails discovery, with a hint on what to do."""
    error, _ = fail(fetch(cold), lambda request: response)

    assert DiscoveryError is type(error)
    assert (response.status, safe, wait) == (
        error.status,
        error.retry_safe,
        error.retry_after,
    )
    assert (Code.DISCOVERY_FAILED, "discover") == (error.code, error.phase)
    assert "evil" not in str(error)


def test_closed(cold: Context) -> None:
    """A client that is closed meanwhile says so."""
    closed = ClientClosedError("the client is closed")

    assert closed is fail(fetch(cold), closed)[0]


def test_second_try(cold: Context, clock: Clock) -> None:
    """A document that comes at the second try is as good as any."""
    document, asked = play(
        fetch(cold), build_response(b"<html>"), build_response(DOCUMENT), clock=clock
    )

    assert DOCUMENT == document.members
    assert 2 == list_kinds(asked).count(Send)
