"""Getting ready: the documents are there before the first call."""

from __future__ import annotations

from id_tokens import published
from world import (
    DISCOVERY_URL,
    DOCUMENT,
    JWKS_URI,
    Clock,
    answer,
    client,
    fail,
    options,
    play,
)

from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.flows.tenant_documents import prepare
from auth0_tx.errors import NotSentError


def test_prepare() -> None:
    """Both documents are fetched, once, and the first exchange is one request."""
    context = client(Clock(), knows_metadata=False)
    _, asked = play(prepare(context), answer(DOCUMENT), published("key-1"))
    _, again = play(prepare(context))
    _, exchange = play(custom_token_exchange(context, options()), answer())

    assert [DISCOVERY_URL, JWKS_URI] == [each.url for each in asked.requests]
    assert [] == again.requests
    assert 1 == len(exchange.requests)


def test_no_tenant() -> None:
    """A tenant that cannot be reached is an error, as it would be for the first call."""
    context = client(Clock(), knows_metadata=False)
    error, _ = fail(prepare(context), lambda _: NotSentError("no connection"))

    assert isinstance(error, NotSentError)
