"""Getting ready: the documents are there before the first call."""

from __future__ import annotations

import pytest

from auth0_tx.core.effects import Response
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
    """Both documents are fetched, and the first exchange is one request."""
    context = build_client(Clock(), knows_metadata=False)
    _, asked = play(
        prepare(context), build_response(DOCUMENT), build_jwks_response("key-1")
    )
    _, exchange = play(
        custom_token_exchange(context, build_options()), build_response()
    )

    assert [DISCOVERY_URL, JWKS_URI] == [request.url for request in asked.requests]
    assert 1 == len(exchange.requests)


@pytest.mark.parametrize(
    "reply", [build_response(DOCUMENT), build_response(b"", 503)], ids=["up", "down"]
)
def test_prepare_again(reply: Response) -> None:
    """Who knows both sends one request, for its connection; that it fails does not matter."""
    clock = Clock()
    context = build_client(clock, knows_metadata=False)
    play(prepare(context), build_response(DOCUMENT), build_jwks_response("key-1"))
    _, again = play(prepare(context), lambda _: reply, clock=clock)

    assert {DISCOVERY_URL} == {request.url for request in again.requests}


def test_prepare_what_is_missing() -> None:
    """To fetch what is missing leaves a connection as well."""
    context = build_client(Clock())
    _, first = play(prepare(context), build_jwks_response("key-1"))
    context.metadata.clear()
    _, second = play(prepare(context), build_response(DOCUMENT))

    assert [JWKS_URI] == [request.url for request in first.requests]
    assert [DISCOVERY_URL] == [request.url for request in second.requests]


def test_no_tenant() -> None:
    """A tenant that cannot be reached is an error, as it would be for the first call."""
    context = build_client(Clock(), knows_metadata=False)
    error, _ = fail(prepare(context), lambda _: NotSentError("no connection"))

    assert isinstance(error, NotSentError)
