"""Discovery beside the first grant: the convention's endpoints, until the tenant says its own.

On paper, a request that is sent beside the grant comes before it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Begin, Flow, Request, Response, Send, Share
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.flows.given_tokens import revoke_refresh_token
from auth0_tx.core.flows.logout import _revoke
from auth0_tx.core.flows.tenant_documents import load_keys, load_metadata, prepare
from auth0_tx.core.jose.keys import KeySet
from auth0_tx.core.wire.metadata import make_conventional_metadata, read_metadata
from auth0_tx.errors import DiscoveryError, NotSentError, SigningKeyError
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    JWKS_URI,
    SECRETS,
    TOKEN_ENDPOINT,
    TOKENS,
    Clock,
    begin_call,
    build_client,
    build_options,
    build_response,
    fail,
    list_kinds,
    play,
)

DAY = 86_400.0
GOOD = build_response(DOCUMENT)
OTHER = build_response({**DOCUMENT, "issuer": "https://other.us.auth0.com/"})
LASTING = {
    "404": build_response(b"", 404),
    "HTML": build_response(b"<html>"),
    "other-issuer": OTHER,
    "redirect": build_response(b"", 302),
}
PASSING = {
    "503": build_response(b"", 503),
    "429": build_response(b"", 429),
    "not-sent": NotSentError("no", retry_safe=True),
}


@pytest.fixture
def deferring(clock: Clock) -> Context:
    """A client that has asked for nothing yet, and defers discovery."""
    return build_client(clock, knows_metadata=False, discovery="deferred")


def answer(
    discovery: Any = GOOD, tokens: Any = TOKENS, keys: Any = None
) -> dict[str, Any]:
    """Return the server's answers by URL."""
    return {
        DISCOVERY_URL: discovery,
        TOKEN_ENDPOINT: build_response(tokens),
        JWKS_URI: keys or build_jwks_response("key-1"),
    }


def exchange(
    context: Context,
    answers: dict[str, Any],
    *,
    begins_late: bool = False,
    **options: Any,
) -> tuple[Any, list[str]]:
    """Exchange; return the response and the URLs that were asked, in their order."""
    flow = custom_token_exchange(context, build_options(**options))
    response, asked = play(
        flow, lambda request: answers[request.url], begins_late=begins_late
    )
    return response, [request.url for request in asked.requests]


def load_keys_of(context: Context) -> Flow[KeySet]:
    """Load keys on the word of metadata that is not verified."""
    call = begin_call(context, context.monotonic() + 10)
    return load_keys(call, make_conventional_metadata(DOMAIN), None)


def test_convention() -> None:
    """An Auth0 tenant's document says what the convention says."""
    conventional = make_conventional_metadata(DOMAIN)
    document = {**DOCUMENT, "revocation_endpoint": conventional.revocation_endpoint}
    found, _ = read_metadata(document, DOMAIN)

    assert found is not None
    assert (True, False) == (found.is_verified, conventional.is_verified)
    for name in ("issuer", "token_endpoint", "jwks_uri", "revocation_endpoint"):
        assert getattr(found, name) == getattr(conventional, name)


def test_first_exchange(deferring: Context, clock: Clock) -> None:
    """Discovery is made beside the first grant, and then no more."""
    urls = [exchange(deferring, answer())[1] for _ in range(2)]
    clock.wait(3_599)
    _, last = exchange(deferring, answer())

    assert [[DISCOVERY_URL, TOKEN_ENDPOINT], [TOKEN_ENDPOINT]] == urls
    assert [TOKEN_ENDPOINT] == last
    metadata = deferring.metadata[DOMAIN].value
    assert metadata.is_verified


def test_first_by_default(cold: Context) -> None:
    """A client that was not told otherwise makes discovery first."""
    assert [DISCOVERY_URL, TOKEN_ENDPOINT] == exchange(cold, answer())[1]


def test_effects(deferring: Context) -> None:
    """Nobody waits for discovery, and of many who come at once one begins it."""
    flows = [
        load_metadata(begin_call(deferring, deferring.monotonic() + 10), DOMAIN)
        for _ in range(3)
    ]
    kinds = [list_kinds(play(flow, lambda _: GOOD)[1]) for flow in flows]

    assert [[Begin, Share, Send], [], []] == kinds


def test_own_endpoints(deferring: Context) -> None:
    """Endpoints that the tenant has in other places are used once they are known."""
    elsewhere = f"{TOKEN_ENDPOINT}/2"
    answers = answer(build_response({**DOCUMENT, "token_endpoint": elsewhere}))
    answers[elsewhere] = build_response()
    urls = [exchange(deferring, answers)[1] for _ in range(2)]

    assert [[DISCOVERY_URL, TOKEN_ENDPOINT], [elsewhere]] == urls


def test_own_endpoints_after_a_refusal(deferring: Context) -> None:
    """So they are if the convention's are not there."""
    elsewhere = f"{TOKEN_ENDPOINT}/2"
    answers = answer(build_response({**DOCUMENT, "token_endpoint": elsewhere}))
    answers[TOKEN_ENDPOINT] = build_response(b"", 404)
    answers[elsewhere] = build_response()
    fail(
        custom_token_exchange(deferring, build_options()),
        lambda request: answers[request.url],
    )

    assert [elsewhere] == exchange(deferring, answers)[1]


@pytest.mark.parametrize("discovery", LASTING.values(), ids=LASTING)
@pytest.mark.parametrize("begins_late", [True, False])
def test_refuted(deferring: Context, discovery: Response, begins_late: bool) -> None:
    """If the tenant is not what the convention says, no grant is sent any more on its word."""
    if begins_late:
        exchange(deferring, answer(discovery), begins_late=True)

    def serve(request: Request) -> Response:
        assert DISCOVERY_URL == request.url
        return discovery

    for _ in range(2):
        error, _ = fail(custom_token_exchange(deferring, build_options()), serve)
        assert isinstance(error, DiscoveryError)
    # It may have been a mistake of the tenant's.
    assert [DISCOVERY_URL, TOKEN_ENDPOINT] == exchange(deferring, answer())[1]


REUSABLE = {"subject_token_reusable": True}


def find_send(flow: Generator[Any, Any, Any]) -> Send:
    """Begin *flow*; return the request that it sends, beside which discovery begins."""
    assert isinstance(next(flow), Begin)
    send = next(flow)
    assert isinstance(send, Send)
    return send


def refute(context: Context) -> None:
    """Have another call find out that the tenant is not what the convention says."""
    fail(load_keys_of(context), build_response(b"", 404))


@pytest.mark.parametrize("options", [{}, REUSABLE])
def test_refuted_while_others_wait(deferring: Context, options: dict[str, Any]) -> None:
    """A grant that waits for a connection is not sent once the tenant has said otherwise."""
    flow = custom_token_exchange(deferring, build_options(**options))
    send = find_send(flow)
    refute(deferring)

    with pytest.raises(DiscoveryError) as refused:
        send.prepare()
    with pytest.raises(DiscoveryError) as caught:
        flow.throw(refused.value)
    assert caught.value.__context__ is None


def test_refuted_between_attempts(deferring: Context) -> None:
    """Neither is it sent again, and the first attempt's failure is told."""

    def serve(request: Request) -> Response:
        if request.url == DISCOVERY_URL:
            return build_response(b"", 503)
        refute(deferring)
        return build_response(b"", 502)

    flow = custom_token_exchange(deferring, build_options(**REUSABLE))
    error, asked = fail(flow, serve)

    assert 502 == error.status
    urls = [request.url for request in asked.requests]
    assert 1 == urls.count(TOKEN_ENDPOINT)


@pytest.mark.parametrize("logs_out", [False, True])
def test_refuted_before_a_revocation(deferring: Context, logs_out: bool) -> None:
    """A refresh token is not sent then to be revoked."""
    if logs_out:
        flow = _revoke(deferring.begin_call(), DOMAIN, SECRETS["refresh_token"])
    else:
        flow = revoke_refresh_token(deferring, SECRETS["refresh_token"])
    send = find_send(flow)
    refute(deferring)

    with pytest.raises(DiscoveryError):
        send.prepare()
    flow.close()


def test_learnt_meanwhile(deferring: Context) -> None:
    """A thread that comes late does not put the convention over what the tenant said."""
    flow = load_metadata(begin_call(deferring, deferring.monotonic() + 10), DOMAIN)
    look = deferring.metadata.get

    def get(domain: str) -> Any:
        found = look(domain)
        del deferring.metadata.get  # type: ignore[method-assign]
        exchange(deferring, answer())
        return found

    deferring.metadata.get = get  # type: ignore[method-assign]
    metadata, asked = play(flow)

    assert metadata.is_verified
    assert [] == asked


@pytest.mark.parametrize("discovery", PASSING.values(), ids=PASSING)
def test_not_to_be_had(deferring: Context, clock: Clock, discovery: Any) -> None:
    """While discovery cannot be made it is tried twice a minute, for a day."""
    answers = answer(discovery)
    flow = custom_token_exchange(deferring, build_options())
    _, asked = play(flow, lambda request: answers[request.url], clock=clock)
    first = [request.url for request in asked.requests]
    # By when its last attempt was made, it is due again.
    clock.wait(20)
    _, second = exchange(deferring, answers)
    clock.wait(20)
    _, third = exchange(deferring, answers)
    clock.wait(DAY)
    error, _ = fail(
        custom_token_exchange(deferring, build_options()),
        lambda request: answers[request.url],
        clock=clock,
    )

    beside, after = [DISCOVERY_URL, TOKEN_ENDPOINT], [TOKEN_ENDPOINT, DISCOVERY_URL]
    assert beside == sorted(set(first))
    assert [[TOKEN_ENDPOINT], after] == [second, third]
    assert isinstance(error, (DiscoveryError, NotSentError))


ACTOR = {"actor_token": "agent", "actor_token_type": "urn:acme:agent"}


def test_before_an_id_token_is_believed(deferring: Context) -> None:
    """An ID token is verified when discovery has been made, and not before."""
    tokens = {**TOKENS, "id_token": sign_id_token(act={"sub": "agent"})}
    response, urls = exchange(deferring, answer(tokens=tokens), **ACTOR)

    assert {"sub": "agent"} == response.act
    assert sorted([TOKEN_ENDPOINT, DISCOVERY_URL, JWKS_URI]) == sorted(urls)
    assert urls.index(DISCOVERY_URL) < urls.index(JWKS_URI)


@pytest.mark.parametrize(
    "discovery", [*LASTING.values(), *PASSING.values()], ids=[*LASTING, *PASSING]
)
def test_id_token_without_discovery(
    deferring: Context, clock: Clock, discovery: Any
) -> None:
    """Without discovery no ID token is believed, and the tokens are not lost."""
    tokens = {**TOKENS, "id_token": sign_id_token(act={"sub": "agent"})}
    answers = answer(discovery, tokens)
    flow = custom_token_exchange(deferring, build_options(**ACTOR))
    response, _ = play(
        flow, lambda request: answers[request.url], clock=clock, begins_late=True
    )

    assert response.access_token
    assert response.act is None
    assert isinstance(response.act_error, SigningKeyError)
    assert response.act_error.__context__ is None


def test_keys_where_the_tenant_says(deferring: Context) -> None:
    """Keys come from where the tenant's document says, and not from the convention."""
    elsewhere = f"{JWKS_URI}/2"
    discovery = build_response({**DOCUMENT, "jwks_uri": elsewhere})
    answers = {DISCOVERY_URL: discovery, elsewhere: build_jwks_response("key-1")}
    _, asked = play(load_keys_of(deferring), lambda request: answers[request.url])

    assert [DISCOVERY_URL, elsewhere] == [request.url for request in asked.requests]


def test_verified_meanwhile(deferring: Context) -> None:
    """Metadata that another call has verified is not fetched again for keys."""
    exchange(deferring, answer())
    _, asked = play(load_keys_of(deferring), build_jwks_response("key-1"))

    assert [JWKS_URI] == [request.url for request in asked.requests]


def test_prepare(deferring: Context) -> None:
    """Who prepares makes discovery, and the first exchange is one request."""
    answers = answer()
    play(prepare(deferring), lambda request: answers[request.url])

    assert [TOKEN_ENDPOINT] == exchange(deferring, answers)[1]


def test_resolved_domains(clock: Clock) -> None:
    """Each domain of a resolver has the convention's endpoints on its own host."""
    context = build_client(
        clock, domain=lambda _: "b.eu.auth0.com", discovery="deferred"
    )
    answers = {
        "https://b.eu.auth0.com/oauth/token": build_response(),
        "https://b.eu.auth0.com/.well-known/openid-configuration": OTHER,
    }

    assert list(answers) == exchange(context, answers, begins_late=True)[1]
