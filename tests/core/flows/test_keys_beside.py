"""Keys fetched beside a grant: when that saves time, and once for a crowd."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Begin, Request, Response, Send, Share
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.tenant_documents import fetch_keys_beside, prepare
from auth0_tx.core.wire.metadata import make_conventional_metadata
from auth0_tx.session_values import LoginWithCustomTokenExchangeOptions
from auth0_tx.shells.keep_alive import LONGEST_IDLE
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    JWKS_URI,
    METADATA,
    SECRETS,
    TOKEN_ENDPOINT,
    TOKENS,
    Clock,
    begin_call,
    build_client,
    build_options,
    build_response,
    list_kinds,
    play,
)

ACTOR = {"actor_token": "agent", "actor_token_type": "urn:acme:agent"}
DAY = 86_400.0


def serve(clock: Clock) -> Any:
    """Return a server that does everything rightly, at the time of *clock*."""

    def answer(request: Request) -> Response:
        if request.url == TOKEN_ENDPOINT:
            token = sign_id_token(
                act={"sub": "agent"}, iat=int(clock.now), exp=int(clock.now) + 600
            )
            return build_response({**TOKENS, "id_token": token})
        if request.url == DISCOVERY_URL:
            return build_response(DOCUMENT)
        return build_jwks_response("key-1")

    return answer


def exchange(context: Context, clock: Clock, **options: Any) -> list[str]:
    """Exchange; return the URLs that were asked.  What is beside comes first on paper."""
    flow = custom_token_exchange(context, build_options(**options))
    response, asked = play(flow, serve(clock))
    assert {"sub": "agent"} == response.act
    return [request.url for request in asked.requests]


def test_known_metadata(context: Context, clock: Clock) -> None:
    """Where metadata is known and keys are not, a client that is new fetches them beside."""
    clock.wait(1)

    assert [JWKS_URI, TOKEN_ENDPOINT] == exchange(context, clock, **ACTOR)
    assert [TOKEN_ENDPOINT] == exchange(context, clock, **ACTOR)


def test_login(clock: Clock) -> None:
    """A login always needs keys."""
    context = build_client(clock, secret="s" * 32)
    options = LoginWithCustomTokenExchangeOptions(
        subject_token=SECRETS["subject_token"], subject_token_type="urn:acme:token"
    )
    clock.wait(1)
    store_options: dict[str, Any] = {"request": {}, "response": []}
    _, asked = play(
        login_with_custom_token_exchange(context, options, store_options), serve(clock)
    )

    assert [JWKS_URI, TOKEN_ENDPOINT] == [request.url for request in asked.requests]


def test_no_actor(context: Context, clock: Clock) -> None:
    """Without an actor nobody knows whether keys are needed, and they come after the answer."""
    assert [TOKEN_ENDPOINT, JWKS_URI] == exchange(context, clock)


def test_discovery_first(cold: Context, clock: Clock) -> None:
    """Whoever has just made discovery has a connection, and gets keys over that one."""
    urls = exchange(cold, clock, **ACTOR)

    assert [DISCOVERY_URL, TOKEN_ENDPOINT, JWKS_URI] == urls


def test_deferred(clock: Clock) -> None:
    """With deferred discovery both documents come beside the grant."""
    context = build_client(clock, knows_metadata=False, discovery="deferred")
    urls = exchange(context, clock, **ACTOR)

    assert [DISCOVERY_URL, JWKS_URI, TOKEN_ENDPOINT] == urls
    assert [TOKEN_ENDPOINT] == exchange(context, clock, **ACTOR)


def test_deferred_with_keys(clock: Clock) -> None:
    """Keys that are known are not fetched again with the metadata."""
    context = build_client(clock, knows_metadata=False, discovery="deferred")
    play(prepare(context), serve(clock))
    context.metadata.clear()
    urls = exchange(context, clock, **ACTOR)

    assert [DISCOVERY_URL, TOKEN_ENDPOINT] == urls


@pytest.mark.parametrize(
    ("rest", "order"),
    [
        (119.0, [TOKEN_ENDPOINT, JWKS_URI]),
        (120.0, [JWKS_URI, TOKEN_ENDPOINT]),
    ],
)
def test_connection_at_rest(
    context: Context, clock: Clock, rest: float, order: list[str]
) -> None:
    """If a connection is likely to be there, keys come over it, after the answer."""
    exchange(context, clock, **ACTOR)
    clock.wait(rest)
    context.key_sets.clear()

    assert order == exchange(context, clock, **ACTOR)


def test_connections_rest_as_long() -> None:
    """A connection is likely to be there for as long as the transports let it rest."""
    from auth0_tx.core.flows.tenant_documents import CONNECTION_RESTS

    assert LONGEST_IDLE == CONNECTION_RESTS


def begin_fetches(context: Context, metadata: Any) -> list[Any]:
    """Return the effects of a call that has keys fetched beside it, and no more."""
    call = begin_call(context, context.monotonic() + 10)
    return list(fetch_keys_beside(call, metadata))


def test_crowd(context: Context, clock: Clock) -> None:
    """Of a crowd one call fetches keys, and after five seconds another may."""
    clock.wait(1)
    first = [list_kinds(begin_fetches(context, METADATA)) for _ in range(1_000)]
    clock.wait(5)
    later = begin_fetches(context, METADATA)

    assert [[Begin], *[[]] * 999] == first
    assert [Begin] == list_kinds(later)


def test_failures(clock: Clock) -> None:
    """A failure beside the grant is nobody's; who needs the document asks again."""
    context = build_client(clock, knows_metadata=False, discovery="deferred")
    (effect,) = begin_fetches(context, make_conventional_metadata(DOMAIN))
    result, asked = play(effect.flow(), lambda _: build_response(b"", 404), clock=clock)

    assert result is None
    assert [Share, Send] == list_kinds(asked)
    assert [] == list(context.key_sets)
