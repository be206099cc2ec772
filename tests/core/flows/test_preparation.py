"""Getting ready: the documents are there before the first call."""

from __future__ import annotations

from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.flows.tenant_documents import prepare
from auth0_tx.errors import NotSentError
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    JWKS_URI,
    Clock,
    build_client,
    build_options,
    build_response,
    fail,
    play,
)


def test_prepare() -> None:
    """Both documents are fetched, once, and the first exchange is one request."""
    context = build_client(Clock(), knows_metadata=False)
    _, asked = play(
        prepare(context), build_response(DOCUMENT), build_jwks_response("key-1")
    )
    _, again = play(prepare(context))
    _, exchange = play(
        custom_token_exchange(context, build_options()), build_response()
    )

    assert [DISCOVERY_URL, JWKS_URI] == [request.url for request in asked.requests]
    assert [] == again.requests
    assert 1 == len(exchange.requests)


def test_no_tenant() -> None:
    """A tenant that cannot be reached is an error, as it would be for the first call."""
    context = build_client(Clock(), knows_metadata=False)
    error, _ = fail(prepare(context), lambda _: NotSentError("no connection"))

    assert isinstance(error, NotSentError)
