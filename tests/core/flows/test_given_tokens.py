"""Refresh tokens that an application keeps by itself: refreshed once, and revoked."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest

from auth0_tx.core.context import BoundedCache, CachedDocument, Context
from auth0_tx.core.effects import Flow, Response, Share
from auth0_tx.core.flows.given_tokens import refresh, revoke_refresh_token
from auth0_tx.core.wire.metadata import Metadata
from auth0_tx.errors import (
    AmbiguousError,
    Auth0Error,
    ClientClosedError,
    DiscoveryError,
    InvalidInputError,
    InvalidResponseError,
    LoginRequiredError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    WrongAudienceError,
)
from auth0_tx.secret import SecretStr
from auth0_tx.values import RetryPolicy, TokenExchangeResponse
from tests.core.exposure import collect_texts
from tests.core.id_tokens import sign_id_token
from tests.core.world import (
    DOMAIN,
    ISSUER,
    JWKS_URI,
    NOW,
    SECRETS,
    TOKEN_ENDPOINT,
    Clock,
    EffectLog,
    build_client,
    build_refusal,
    build_response,
    fail,
    play,
)

API, OTHER = "https://api.example.com", "https://other.example.com"
REVOCATION = f"{ISSUER}oauth/revoke"
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def context(clock: Clock) -> Context:
    """A client that keeps no sessions, and sends nothing again."""
    return build_revoking_client(clock, retry=ONCE)


def build_revoking_client(clock: Clock, **keywords: Any) -> Context:
    """Build a client of a tenant with a revocation endpoint."""
    context = build_client(clock, **keywords)
    metadata = Metadata(DOMAIN, ISSUER, TOKEN_ENDPOINT, JWKS_URI, REVOCATION)
    context.metadata.add(DOMAIN, CachedDocument(metadata, clock(), clock() + 1e9))
    return context


def build_tokens(number: int = 2, **members: Any) -> Response:
    """Build the answer to a refresh, with numbered tokens."""
    tokens = {
        "access_token": f"a-{number}",
        "refresh_token": f"r-{number}",
        "token_type": "Bearer",
        "expires_in": 3_600,
        **members,
    }
    return build_response({k: v for k, v in tokens.items() if v is not ...})


def list_forms(asked: EffectLog) -> list[dict[str, str]]:
    """Return the forms that were sent."""
    return [
        dict(parse_qsl((request.body or b"").decode())) for request in asked.requests
    ]


def test_refresh(context: Context) -> None:
    """A refresh says what RFC 6749 section 6 says, and returns what the server issued."""
    response, asked = play(
        refresh(context, "r-1", API, "read:data"), build_tokens(scope=...)
    )

    assert [
        {
            "grant_type": "refresh_token",
            "refresh_token": "r-1",
            "audience": API,
            "scope": "read:data",
            "client_id": "the-client",
            "client_secret": SECRETS["client_secret"],
        }
    ] == list_forms(asked)
    assert response == TokenExchangeResponse(
        access_token="a-2",
        refresh_token="r-2",
        token_type="Bearer",
        expires_in=3_600,
        expires_at=int(NOW) + 3_600,
        scope="read:data",
    )
    assert "a-2" not in repr(response)


def test_least(context: Context) -> None:
    """Neither audience nor scope need be named, nor a new refresh token issued."""
    response, asked = play(
        refresh(context, "r-1"), build_tokens(refresh_token=..., expires_in=...)
    )

    assert {"audience", "scope"}.isdisjoint(list_forms(asked)[0])
    assert (None, None, None) == (
        response.refresh_token,
        response.expires_at,
        response.scope,
    )


@pytest.mark.parametrize(
    ("expires_in", "exp", "expires_at"),
    [(600, 900, 600), (600, 300, 300), (..., 300, 300), (600, 300.9, 300)],
)
def test_expiry(context: Context, expires_in: Any, exp: float, expires_at: int) -> None:
    """A token expires at the first of what the answer and the token say."""
    token = sign_id_token(aud=API, exp=int(NOW) + exp)
    response, _ = play(
        refresh(context, "r-1"), build_tokens(access_token=token, expires_in=expires_in)
    )

    assert int(NOW) + expires_at == response.expires_at


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"refresh_token": ""}, "refresh_token"),
    ({"refresh_token": None}, "refresh_token"),
    ({"refresh_token": 7}, "refresh_token"),
    ({"refresh_token": " a"}, "refresh_token"),
    ({"refresh_token": "a\n"}, "refresh_token"),
    ({"refresh_token": "Bearer abc"}, "refresh_token"),
    ({"refresh_token": "r" * 65_537}, "refresh_token"),
    ({"audience": ""}, "audience"),
    ({"audience": 7}, "audience"),
    ({"scope": ""}, "scope"),
    ({"scope": "a  b"}, "scope"),
    ({"scope": ["a"]}, "scope"),
]


@pytest.mark.parametrize(
    ("wanted", "parameter"), BAD_INPUT, ids=lambda value: str(value)[:30]
)
def test_bad_input(context: Context, wanted: dict[str, Any], parameter: str) -> None:
    """Arguments that break a rule are refused before anything is sent."""
    error, asked = fail(refresh(context, **{"refresh_token": "r-1", **wanted}))

    assert isinstance(error, InvalidInputError)
    assert (parameter, []) == (error.parameter, list(asked))


@pytest.mark.parametrize("token", [None, "", 7, " a", "Bearer abc"])
def test_bad_token_to_revoke(context: Context, token: Any) -> None:
    """A token that cannot be one is not sent to be revoked."""
    error, asked = fail(revoke_refresh_token(context, token))

    assert isinstance(error, InvalidInputError)
    assert ("refresh_token", []) == (error.parameter, list(asked))


def test_resolver(clock: Clock) -> None:
    """With a resolver, the store options say whose token it is."""
    asked_for: list[Any] = []

    def resolve(store_options: Any) -> str:
        asked_for.append(store_options)
        return DOMAIN

    context = build_client(clock, domain=resolve, retry=ONCE)
    metadata = Metadata(DOMAIN, ISSUER, TOKEN_ENDPOINT, JWKS_URI, REVOCATION)
    context.metadata.add(DOMAIN, CachedDocument(metadata, NOW, NOW + 1e9))
    options = {"request": {}}
    play(refresh(context, "r-1", store_options=options), build_tokens())
    play(revoke_refresh_token(context, "r-2", options), build_response(b""))

    assert [options, options] == asked_for


# Who shares what a refresh brought.


def test_one_flight(context: Context) -> None:
    """All who use a refresh token at once share a flight, which outlives its callers."""
    _, asked = play(refresh(context, "r-1", API), build_tokens())
    (share,) = [effect for effect in asked if isinstance(effect, Share)]

    assert "r-1" not in repr(share.key)
    assert share.outlives_callers


def test_late_callers(context: Context, clock: Clock) -> None:
    """Who comes late with a token that was rotated gets the tokens of the first."""
    play(refresh(context, "r-1"), build_tokens())
    clock.wait(100)
    response, asked = play(refresh(context, "r-1"))

    assert ("a-2", "r-2", []) == (
        response.access_token,
        response.refresh_token,
        asked.requests,
    )
    assert (3_500, int(NOW) + 3_600) == (response.expires_in, response.expires_at)


def test_late_callers_for_another_api(context: Context) -> None:
    """Who comes late, and asks for another API, uses the newest refresh token."""
    play(refresh(context, "r-1"), build_tokens())
    play(refresh(context, "r-2", "urn:third"), build_tokens(3))
    response, asked = play(refresh(context, "r-1", API), build_tokens(4))

    assert ["r-3"] == [form["refresh_token"] for form in list_forms(asked)]
    assert ("a-4", "r-4") == (response.access_token, response.refresh_token)


def test_tokens_that_have_expired_since(context: Context, clock: Clock) -> None:
    """Remembered tokens that are about to expire are requested anew."""
    play(refresh(context, "r-1"), build_tokens(expires_in=100))
    clock.wait(81)
    response, asked = play(refresh(context, "r-1"), build_tokens(3))

    assert "a-3" == response.access_token
    assert ["r-2"] == [form["refresh_token"] for form in list_forms(asked)]


def test_forgotten(context: Context, clock: Clock) -> None:
    """After ten minutes the outcome is forgotten, and the token is sent."""
    play(refresh(context, "r-1"), build_tokens())
    clock.wait(600)
    error, asked = fail(refresh(context, "r-1"), build_refusal(403, "invalid_grant"))

    assert isinstance(error, LoginRequiredError)
    assert 1 == len(asked.requests)


@pytest.mark.parametrize("same", [{"refresh_token": ...}, {"refresh_token": "r-1"}])
def test_no_rotation(context: Context, same: dict[str, Any]) -> None:
    """Without rotation each call requests new tokens: whoever asks wants them."""
    first, _ = play(refresh(context, "r-1"), build_tokens(**same))
    second, asked = play(refresh(context, "r-1"), build_tokens(3, **same))

    assert ("a-2", "a-3") == (first.access_token, second.access_token)
    assert 1 == len(asked.requests)


def join_flight(flow: Flow[Any], result: Any) -> Any:
    """Play *flow* as one that waits for another's flight, which has *result*."""
    effect = next(flow)
    assert isinstance(effect, Share)
    try:
        while True:
            flow.send(result)
    except StopIteration as stop:
        return stop.value


def lead_flight(context: Context, reply: Response, **wanted: Any) -> Any:
    """Return what the flight of a refresh brings to those who wait for it."""
    flow = refresh(context, "r-1", **wanted)
    share = next(flow)
    result, _ = play(share.flow(), reply)
    flow.close()
    return result


def test_flight_for_the_same(context: Context) -> None:
    """Who waits for a flight for the same API gets its tokens, be they rotated or not."""
    result = lead_flight(context, build_tokens(refresh_token=..., expires_in=1))
    response = join_flight(refresh(context, "r-1"), result)

    assert "a-2" == response.access_token


def test_flights_for_others(context: Context) -> None:
    """Who waits for others' flights again and again is not kept for ever."""
    result = lead_flight(context, build_tokens(refresh_token=...), audience=API)
    with pytest.raises(NotSentError) as failed:
        join_flight(refresh(context, "r-1"), result)

    assert failed.value.retry_safe


# What a token is.


@pytest.mark.parametrize("names", [[OTHER], [f"{ISSUER}userinfo"], OTHER], ids=str)
def test_wrong_audience(context: Context, names: Any) -> None:
    """A token for another API is not returned, and the error has all that was issued."""
    wrong = sign_id_token(aud=names)
    for asked_again in (False, True):
        replies = [] if asked_again else [build_tokens(access_token=wrong)]
        error, _ = fail(refresh(context, "r-1", API), *replies)

        assert isinstance(error, WrongAudienceError)
        assert ("wrong_audience", True, False) == (
            error.code,
            error.tokens_issued,
            error.retry_safe,
        )
        assert "refresh token policies" in (error.hint or "")
        assert error.response is not None
        assert (wrong, "r-2") == (
            error.response.access_token,
            error.response.refresh_token,
        )
        assert "r-2" not in repr(error) + repr(vars(error))


@pytest.mark.parametrize(
    ("audience", "token"),
    [
        (API, "opaque"),
        (API, sign_id_token(aud=API)),
        (API, sign_id_token(aud=[OTHER, API])),
        (API, sign_id_token(aud=7)),
        (None, sign_id_token(aud=OTHER)),
    ],
    ids=["opaque", "its own", "among others", "unreadable", "not asked"],
)
def test_right_audience(context: Context, audience: str | None, token: str) -> None:
    """A token that names the API, or none at all, is returned."""
    response, _ = play(
        refresh(context, "r-1", audience), build_tokens(access_token=token)
    )

    assert token == response.access_token


# Failures.


FAILURES: dict[str, tuple[Any, type[Auth0Error], bool]] = {
    "not sent": (NotSentError("no", retry_safe=True), NotSentError, True),
    "lost": (AmbiguousError("lost"), AmbiguousError, True),
    "closed": (ClientClosedError("closed"), ClientClosedError, False),
    "a page": (build_response(b"<html>", 502), AmbiguousError, True),
    "500": (build_refusal(500, "server_error"), RefusedError, True),
    "429": (build_refusal(429, "too_many_requests"), RateLimitError, True),
    "401": (build_refusal(401, "invalid_client"), RefusedError, False),
    "mfa": (build_refusal(403, "mfa_required"), MfaRequiredError, False),
    "a broken body": (build_response(b"{"), InvalidResponseError, False),
}


@pytest.mark.parametrize(
    ("reply", "kind", "retry_safe"), FAILURES.values(), ids=FAILURES
)
def test_failure(
    context: Context, reply: Any, kind: type[Auth0Error], retry_safe: bool
) -> None:
    """After a failure the same refresh token may be used again."""
    error, _ = fail(refresh(context, "r-1"), reply)
    response, asked = play(refresh(context, "r-1"), build_tokens())

    assert (kind, retry_safe) == (type(error), error.retry_safe)
    assert ("a-2", 1) == (response.access_token, len(asked.requests))


def test_broken_answer_with_a_rotation(context: Context) -> None:
    """The error of a broken answer has its refresh token, and late callers go on with it."""
    broken = build_tokens(expires_in="soon")
    error, _ = fail(refresh(context, "r-1"), broken)
    response, asked = play(refresh(context, "r-1"), build_tokens(3))

    assert isinstance(error, InvalidResponseError)
    assert "r-2" == error.refresh_token
    assert ["r-2"] == [form["refresh_token"] for form in list_forms(asked)]
    assert "r-3" == response.refresh_token


def test_refusal(context: Context) -> None:
    """A refresh token that is refused is not sent again."""
    refusal = build_refusal(403, "invalid_grant", "Unknown or invalid refresh token.")
    first, _ = fail(refresh(context, "r-1"), refusal)
    second, asked = fail(refresh(context, "r-1"))

    for error in (first, second):
        assert isinstance(error, LoginRequiredError)
        assert ("invalid_grant", 403) == (error.code, error.status)
    assert first is not second
    assert [] == asked.requests


def test_exposure(context: Context) -> None:
    """No error shows the refresh token, though the server echoes it."""
    token = SecretStr(SECRETS["refresh_token"])
    echo = build_refusal(403, "access_denied", f"not {token}")
    for flow in (refresh(context, token), revoke_refresh_token(context, token)):
        error, _ = fail(flow, echo)

        assert str(token) not in collect_texts(error)


# Revoking.


@pytest.fixture
def retrying(clock: Clock) -> Context:
    """A client that sends again what may be sent again."""
    return build_revoking_client(clock)


@pytest.mark.parametrize(
    "answer",
    [
        build_response(b"", 200),
        build_response({}, 200),
        build_response(b"OK", 200, content_type="text/plain"),
        build_response(b"", 204),
    ],
)
def test_revoke(context: Context, answer: Response) -> None:
    """A revocation says what RFC 7009 section 2.1 says; of the answer only the status counts."""
    result, asked = play(revoke_refresh_token(context, "r-1"), answer)

    assert result is None
    assert [REVOCATION] == [request.url for request in asked.requests]
    assert [
        {
            "token": "r-1",
            "token_type_hint": "refresh_token",
            "client_id": "the-client",
            "client_secret": SECRETS["client_secret"],
        }
    ] == list_forms(asked)


@pytest.mark.parametrize(
    "reply",
    [
        NotSentError("no", retry_safe=True),
        AmbiguousError("lost"),
        build_response(b"<html>", 502),
        build_refusal(503, "server_error"),
    ],
)
def test_revoke_again(retrying: Context, clock: Clock, reply: Any) -> None:
    """A revocation has the same result however often it is made, so it is made again."""
    _, asked = play(
        revoke_refresh_token(retrying, "r-1"), reply, build_response(b""), clock=clock
    )

    assert 2 == len(asked.requests)


@pytest.mark.parametrize(
    ("reply", "kind", "retry_safe"),
    [
        (build_refusal(401, "invalid_client"), RefusedError, False),
        (build_refusal(400, "unsupported_token_type"), RefusedError, False),
        (build_refusal(429, "too_many_requests"), RateLimitError, True),
        (build_response(b"<html>", 404), RefusedError, False),
        (build_response(b"", 302), InvalidResponseError, False),
        (build_response(b"<html>", 502), AmbiguousError, True),
        (build_refusal(500, "server_error"), RefusedError, True),
        (AmbiguousError("lost"), AmbiguousError, True),
    ],
)
def test_revocation_that_fails(
    context: Context, reply: Any, kind: type[Auth0Error], retry_safe: bool
) -> None:
    """Unlike a logout, a revocation says that it failed."""
    error, _ = fail(revoke_refresh_token(context, "r-1"), reply)

    assert (kind, retry_safe, False) == (
        type(error),
        error.retry_safe,
        error.tokens_issued,
    )
    assert "issued" not in error.message


def test_no_revocation_endpoint(clock: Clock) -> None:
    """A tenant that names no revocation endpoint is an error that says so."""
    error, asked = fail(revoke_refresh_token(build_client(clock), "r-1"))

    assert isinstance(error, DiscoveryError)
    assert "revocation_endpoint" in error.message
    assert [] == asked.requests


def test_revoked_tokens_are_not_remembered(context: Context) -> None:
    """What a refresh token was rotated to is not given to late callers once it is revoked."""
    play(refresh(context, "r-1"), build_tokens())
    play(revoke_refresh_token(context, "r-1"), build_response(b""))
    error, asked = fail(refresh(context, "r-1"), build_refusal(403, "invalid_grant"))

    assert isinstance(error, LoginRequiredError)
    assert 1 == len(asked.requests)


def test_apart_from_sessions(context: Context) -> None:
    """Outcomes are remembered apart from those of sessions, whose users are verified."""
    from auth0_tx.core.session.rotations import refresh_key

    play(refresh(context, "r-1"), build_tokens())
    key = refresh_key(context.process_key, "r-1")

    assert context.rotations.get(key, NOW) is None


def test_metadata_is_fetched(clock: Clock) -> None:
    """Without the tenant's metadata a refresh fetches it first; a failure is told."""
    context = build_client(clock, knows_metadata=False, retry=ONCE)
    assert isinstance(context.metadata, BoundedCache)
    error, _ = fail(refresh(context, "r-1"), build_response(b"no", 404))

    assert isinstance(error, DiscoveryError)
