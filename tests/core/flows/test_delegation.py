"""Who acts: told from a verified ID token, and never at the price of the tokens."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow, Request, Response, Send, Share
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.errors import (
    AmbiguousError,
    ClientClosedError,
    IdTokenError,
    NotSentError,
    SigningKeyError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.values import TokenExchangeResponse
from tests.core.id_tokens import build_jwks_response, forge_id_token, sign_id_token
from tests.core.vectors_tokens import encode
from tests.core.world import (
    ISSUER,
    JWKS_URI,
    NOW,
    SECRETS,
    TOKENS,
    EffectLog,
    build_options,
    build_response,
    list_kinds,
    play,
    start,
)

ACTOR = {"actor_token": SECRETS["actor_token"], "actor_token_type": "urn:acme:service"}
AGENT = {"sub": "auth0|agent", "role": "support"}


def exchange(context: Context, **changes: Any) -> Flow[TokenExchangeResponse]:
    """Exchange a token, with an actor unless *changes* say otherwise."""
    return start(custom_token_exchange, context, build_options(**{**ACTOR, **changes}))


def build_issued_tokens(token: str | None) -> Response:
    """Build the response that issues tokens with the ID token *token*."""
    return build_response({**TOKENS, "id_token": token})


def exchange_for(
    context: Context, token: str | None, *replies: Any, **changes: Any
) -> TokenExchangeResponse:
    """Exchange a token for tokens with the ID token *token*; the tokens must not be lost."""
    response, _ = play(
        exchange(context, **changes),
        build_issued_tokens(token),
        *replies or [build_jwks_response("key-1")],
    )
    assert (TOKENS["access_token"], token) == (response.access_token, response.id_token)
    return response


def test_actor(context: Context) -> None:
    """The acting party comes from the ID token, once its keys are there."""
    flow = exchange(context)
    response, asked = play(
        flow,
        build_issued_tokens(sign_id_token(act=AGENT)),
        build_jwks_response("key-1"),
    )

    assert (AGENT, None) == (response.act, response.act_error)
    assert [Send, Share, Send] == list_kinds(asked)
    assert JWKS_URI == asked.requests[1].url


def test_keys_are_known(context: Context) -> None:
    """The second exchange needs no keys."""
    exchange_for(context, sign_id_token(act=AGENT))
    _, asked = play(exchange(context), build_issued_tokens(sign_id_token(act=AGENT)))

    assert [Send] == list_kinds(asked)


def build_chain(length: int) -> dict[str, Any]:
    """Build an ``act`` claim that names *length* actors."""
    act: dict[str, Any] = {"sub": f"actor-{length}"}
    for number in range(length - 1, 0, -1):
        act = {"sub": f"actor-{number}", "act": act}
    return act


@pytest.mark.parametrize("length", [1, 2, 5, 8])
def test_chain(context: Context, length: int) -> None:
    """Those who acted before are nested in who acts now."""
    assert (
        build_chain(length)
        == exchange_for(context, sign_id_token(act=build_chain(length))).act
    )


@pytest.mark.parametrize(
    "act",
    [
        None,
        "auth0|agent",
        ["auth0|agent"],
        5,
        {},
        {"role": "support"},
        {"sub": ""},
        {"sub": 5},
        {"sub": "a", "act": {}},
        {"sub": None},
        build_chain(9),
        build_chain(60),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_no_such_actor(context: Context, act: Any) -> None:
    """An actor without a name, or a chain without an end, is told as an error."""
    response = exchange_for(context, sign_id_token(act=act))

    assert response.act is None
    assert isinstance(response.act_error, IdTokenError)
    assert (Code.INVALID_ID_TOKEN, True) == (
        response.act_error.code,
        response.act_error.tokens_issued,
    )


def test_actor_that_is_not_named(context: Context) -> None:
    """An actor that the Action did not set is missing, with what to do about it."""
    response = exchange_for(context, sign_id_token())

    assert response.act is None
    assert response.act_error is not None
    assert "setActor" in (response.act_error.hint or "")
    assert response.act_error.tokens_issued


def test_actor_without_an_id_token(context: Context) -> None:
    """Without an ID token there is nothing to read the actor from."""
    response, asked = play(exchange(context), build_issued_tokens(None))

    assert response.act is None
    assert response.act_error is not None
    assert (Code.MISSING_ID_TOKEN, True) == (
        response.act_error.code,
        response.act_error.tokens_issued,
    )
    assert "openid" in (response.act_error.hint or "")
    assert [Send] == list_kinds(asked)


def test_errors_are_ones_own(context: Context) -> None:
    """Two responses never share an error, which collects what passes it."""
    first, _ = play(exchange(context), build_issued_tokens(None))
    second, _ = play(exchange(context), build_issued_tokens(None))

    assert first.act_error is not second.act_error


NO_ACTOR: dict[str, Any] = {"actor_token": None, "actor_token_type": None}


@pytest.mark.parametrize(
    "token",
    [
        None,
        sign_id_token(),
        "a",
        "a.b",
        "a.b.c",
        "a.!.c",
        ".".join(["a", encode(b'"impact"'), "c"]),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_no_actor(context: Context, token: str | None) -> None:
    """An exchange without an actor fetches no keys for an ID token that names none."""
    response, asked = play(exchange(context, **NO_ACTOR), build_issued_tokens(token))

    assert (None, None) == (response.act, response.act_error)
    assert [Send] == list_kinds(asked)


def test_actor_unasked(context: Context) -> None:
    """An Action may set an actor though no actor token was sent, and it is told."""
    assert AGENT == exchange_for(context, sign_id_token(act=AGENT), **NO_ACTOR).act


def test_unasked_and_nested_elsewhere(context: Context) -> None:
    """A claim that only looks like an actor from afar is none, and no error."""
    claims: dict[str, Any] = {"https://acme.com/x": {"act": 1}}
    token = sign_id_token(**claims)
    response = exchange_for(context, token, **NO_ACTOR)

    assert (None, None) == (response.act, response.act_error)


def test_unasked_and_forged(context: Context) -> None:
    """An actor that cannot be verified is not told, asked for or not."""
    forged = f"{sign_id_token(act=AGENT).rpartition('.')[0]}.{'A' * 342}"
    response = exchange_for(context, forged, **NO_ACTOR)

    assert response.act is None
    assert isinstance(response.act_error, IdTokenError)


TROUBLE: dict[str, Any] = {
    "no-connection": NotSentError("no", retry_safe=True),
    "lost": AmbiguousError("lost"),
    "late": AmbiguousError("late", Code.TIMEOUT),
    "closed": ClientClosedError("closed"),
    "404": build_response(b"", 404),
    "429": build_response(b"", 429, retry_after="60"),
    "500": build_response(b"", 500),
    "503": build_response(b"", 503),
    "HTML": build_response(b"<html>", content_type="text/html"),
    "redirect": build_response(b"", 307, location="https://evil.com"),
    "not-a-set": build_response({"keys": 1}),
    "empty-set": build_jwks_response(),
    "other-keys": build_jwks_response("key-2"),
}


@pytest.mark.parametrize("reply", TROUBLE.values(), ids=TROUBLE.keys())
def test_tokens_are_not_lost(context: Context, reply: Any) -> None:
    """Trouble with the keys, of whatever kind, costs the actor and not the tokens."""
    response = exchange_for(context, sign_id_token(act=AGENT), lambda request: reply)

    assert response.act is None
    assert isinstance(response.act_error, SigningKeyError)
    assert ("verify", True, False) == (
        response.act_error.phase,
        response.act_error.tokens_issued,
        response.act_error.retry_safe,
    )


@pytest.mark.parametrize(
    "failure",
    [NotSentError("late", Code.TIMEOUT, retry_safe=True), ClientClosedError("closed")],
)
def test_waiting_for_keys(context: Context, failure: Exception) -> None:
    """Who waits for another's fetch of the keys, in vain, has tokens all the same."""
    flow = exchange(context)
    next(flow)
    share = flow.send(build_issued_tokens(sign_id_token(act=AGENT)))
    with pytest.raises(StopIteration) as stop:
        flow.throw(failure)

    assert isinstance(share, Share)
    assert TOKENS["access_token"] == stop.value.value.access_token
    assert isinstance(stop.value.value.act_error, SigningKeyError)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": ISSUER.upper()},
        {"aud": "another-client"},
        {"exp": int(NOW) - 3_600},
        {"sub": ""},
        {"at_hash": "x"},
    ],
    ids=repr,
)
def test_untrue(context: Context, claims: dict[str, Any]) -> None:
    """An actor of an ID token that does not hold is not told."""
    response = exchange_for(context, sign_id_token(act=AGENT, **claims))

    assert response.act is None
    assert IdTokenError is type(response.act_error)


@pytest.mark.parametrize(
    ("organization", "claims", "good"),
    [
        ("org_abc", {"org_id": "org_abc"}, True),
        ("org_abc", {"org_id": "org_other"}, False),
        ("org_abc", {}, False),
        ("ACME", {"org_name": "acme"}, True),
        ("acme", {"org_name": "other"}, False),
        (None, {"org_id": "org_abc"}, True),
    ],
)
def test_organization(
    context: Context, organization: str | None, claims: dict[str, Any], good: bool
) -> None:
    """An actor of another organization than the one asked for is not told."""
    token = sign_id_token(act=AGENT, **claims)
    response = exchange_for(context, token, organization=organization)

    assert good is (AGENT == response.act)
    assert good is (response.act_error is None)


def test_key_of_nowhere(context: Context) -> None:
    """Two hundred ID tokens with keys of nowhere keep their tokens, for one fetch."""
    exchange_for(context, sign_id_token(act=AGENT))
    asked = EffectLog()

    def serve(request: Request) -> Response:
        asked.requests.append(request)
        return build_jwks_response("key-1")

    for number in range(200):
        token = forge_id_token(f"made-up-{number}")
        response, _ = play(exchange(context), build_issued_tokens(token), serve)
        assert token == response.id_token
        assert isinstance(response.act_error, SigningKeyError)

    assert [JWKS_URI] == [request.url for request in asked.requests]
