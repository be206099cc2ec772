"""Verifying an ID token: with the tenant's keys, against what was asked."""

from __future__ import annotations

from typing import Any

import pytest
from id_tokens import id_token, published, unsigned
from joserfc.jwk import OctKey
from vectors_tokens import encode, sign
from world import METADATA, NOW, SECRETS, Clock, begin_call, client, fail, kinds, play

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow, Send, Share
from auth0_tx.core.flows.verification import verify_id_token
from auth0_tx.errors import IdTokenError, SigningKeyError
from auth0_tx.values import TokenExchangeResponse


def verify(
    context: Context, token: str, organization: str | None = None
) -> Flow[dict[str, Any]]:
    """Verify *token*, which came along with an access token."""
    response = TokenExchangeResponse(
        access_token=SECRETS["access_token"], token_type="Bearer", id_token=token
    )
    deadline = context.monotonic() + 10
    return verify_id_token(
        begin_call(context, deadline), METADATA, response, organization
    )


def test_claims(context: Context) -> None:
    """A token that holds is worth its claims."""
    flow = verify(context, id_token(act={"sub": "auth0|agent"}))
    claims, asked = play(flow, published("key-1"))

    assert ("auth0|user", {"sub": "auth0|agent"}) == (claims["sub"], claims["act"])
    assert [Share, Send] == kinds(asked)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_algorithm(context: Context, algorithm: str) -> None:
    """Auth0 signs with RS256 or PS256."""
    flow = verify(context, id_token(algorithm=algorithm))

    assert "auth0|user" == play(flow, published("key-1"))[0]["sub"]


def test_new_key(context: Context) -> None:
    """A token signed with a key that is newer than the set fetches the set again."""
    play(verify(context, id_token()), published("key-1"))
    claims, asked = play(
        verify(context, id_token("key-2")), published("key-1", "key-2")
    )

    assert "auth0|user" == claims["sub"]
    assert [Share, Send] == kinds(asked)


def test_unknown_key(context: Context) -> None:
    """A token signed with a key that is nowhere is refused after one look."""
    play(verify(context, id_token()), published("key-1"))
    error, asked = fail(verify(context, unsigned("made-up")), published("key-1"))

    assert SigningKeyError is type(error)
    assert [Share, Send] == kinds(asked)


SYMMETRIC = OctKey.import_key(SECRETS["client_secret"] * 2)
WRONG: dict[str, Any] = {
    "issuer": id_token(iss="https://evil.com/"),
    "issuer-without-slash": id_token(iss="https://tenant.us.auth0.com"),
    "audience": id_token(aud="another-client"),
    "second-audience": id_token(aud=["the-client", "another-client"]),
    "party": id_token(azp="another-client"),
    "no-subject": id_token(sub=...),
    "no-expiry": id_token(exp=...),
    "expired": id_token(exp=int(NOW) - 61),
    "from-the-future": id_token(iat=int(NOW) + 61),
    "other-access-token": id_token(at_hash="x"),
    "algorithm": id_token("key-ec", "ES256"),
    "client-secret": sign({"alg": "HS256", "kid": "key-1"}, b"{}", SYMMETRIC),
    "none": ".".join([encode(b'{"alg":"none","kid":"key-1"}'), encode(b"{}"), ""]),
    "not-a-token": "needle.of.garbage",
    "empty": "..",
    "other-key": f"{id_token().rpartition('.')[0]}.{id_token('key-2').rpartition('.')[2]}",
    "long": "a" * 70_000,
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG.keys())
def test_refused(context: Context, token: str) -> None:
    """A token that does not hold is refused, with its phase and without its text."""
    flow = verify(context, token)
    error, _ = fail(flow, lambda request: published("key-1", "key-ec"))

    assert isinstance(error, IdTokenError)
    assert ("verify", False) == (error.phase, error.retry_safe)
    assert "needle" not in str(error)


@pytest.mark.parametrize(
    ("wanted", "claims", "good"),
    [
        ("org_abc", {"org_id": "org_abc"}, True),
        ("org_abc", {"org_id": "org_ABC"}, False),
        ("org_abc", {"org_name": "org_abc"}, False),
        ("org_abc", {}, False),
        ("Acme", {"org_name": "acme"}, True),
        ("acme", {"org_name": "other"}, False),
        ("acme", {"org_id": "acme"}, False),
        (None, {"org_id": "org_abc"}, True),
    ],
)
def test_organization(
    context: Context, wanted: str | None, claims: dict[str, Any], good: bool
) -> None:
    """Whoever asks for an organization gets a token for it or an error."""
    flow = verify(context, id_token(**claims), wanted)

    if good:
        assert claims.items() <= play(flow, published("key-1"))[0].items()
    else:
        assert IdTokenError is type(fail(flow, published("key-1"))[0])


def test_clock_of_the_application(clock: Clock) -> None:
    """Dates are judged by the clock that the client was given."""
    token = id_token(exp=int(NOW) + 100)
    clock.wait(159)
    assert "sub" in play(verify(client(clock), token), published("key-1"))[0]
    clock.wait(1)

    assert isinstance(
        fail(verify(client(clock), token), published("key-1"))[0], IdTokenError
    )
