"""Verifying an ID token: with the tenant's keys, against what was asked."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from joserfc.jwk import OctKey

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow, Response, Send, Share
from auth0_tx.core.flows.verification import verify_id_token
from auth0_tx.core.jose.keys import decode_base64url
from auth0_tx.errors import IdTokenError, NotSentError, SigningKeyError
from auth0_tx.values import TokenExchangeResponse
from tests.core.id_tokens import build_jwks_response, forge_id_token, sign_id_token
from tests.core.vectors_tokens import (
    OTHER_RSA,
    RSA,
    build_key_set,
    encode,
    sign,
    to_public_jwk,
)
from tests.core.world import (
    METADATA,
    NOW,
    SECRETS,
    Clock,
    begin_call,
    build_client,
    build_response,
    fail,
    list_kinds,
    play,
)


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
    flow = verify(context, sign_id_token(act={"sub": "auth0|agent"}))
    claims, asked = play(flow, build_jwks_response("key-1"))

    assert ("auth0|user", {"sub": "auth0|agent"}) == (claims["sub"], claims["act"])
    assert [Share, Send] == list_kinds(asked)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_algorithm(context: Context, algorithm: str) -> None:
    """Auth0 signs with RS256 or PS256."""
    flow = verify(context, sign_id_token(algorithm=algorithm))

    assert "auth0|user" == play(flow, build_jwks_response("key-1"))[0]["sub"]


def test_new_key(context: Context) -> None:
    """A token signed with a key that is newer than the set fetches the set again."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    claims, asked = play(
        verify(context, sign_id_token("key-2")), build_jwks_response("key-1", "key-2")
    )

    assert "auth0|user" == claims["sub"]
    assert [Share, Send] == list_kinds(asked)


def test_unknown_key(context: Context) -> None:
    """A token signed with a key that is nowhere is refused after one look."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    error, asked = fail(
        verify(context, forge_id_token("made-up")), build_jwks_response("key-1")
    )

    assert SigningKeyError is type(error)
    assert [Share, Send] == list_kinds(asked)


def build_replaced(kid: str = "key-1", key: Any = OTHER_RSA) -> Response:
    """Build a key set in which *key* has the name of an earlier one."""
    return build_response(build_key_set(to_public_jwk(key, kid=kid)))


def sign_with(key: Any, algorithm: str = "RS256", **claims: Any) -> str:
    """Sign an ID token with *key*, under the name of another."""
    payload = decode_base64url(sign_id_token(**claims).split(".")[1])
    assert payload is not None
    return sign({"alg": algorithm, "typ": "JWT", "kid": "key-1"}, payload, key)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_replaced_key(context: Context, clock: Clock, algorithm: str) -> None:
    """A key that was replaced under its name is fetched again, and verifies the token."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    clock.wait(30)
    flow = verify(context, sign_with(OTHER_RSA, algorithm))
    claims, asked = play(flow, build_replaced())

    assert "auth0|user" == claims["sub"]
    assert [Share, Send] == list_kinds(asked)
    # The old key is no longer believed.
    assert IdTokenError is type(fail(verify(context, sign_id_token()))[0])


def test_key_of_another_algorithm(context: Context, clock: Clock) -> None:
    """A key that got another algorithm under its name is fetched again, too."""
    published = [
        build_response(build_key_set(to_public_jwk(RSA, kid="key-1", alg=algorithm)))
        for algorithm in ("PS256", "RS256")
    ]
    play(verify(context, sign_id_token(algorithm="PS256")), published[0])
    clock.wait(30)
    claims, asked = play(verify(context, sign_id_token()), published[1])

    assert "auth0|user" == claims["sub"]
    assert 1 == len(asked.requests)


def test_forged_tokens(context: Context, clock: Clock) -> None:
    """Two thousand forged tokens cost one fetch in half a minute, whatever they name."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    forged = [forge_id_token("key-1"), forge_id_token("made-up"), WRONG["other-key"]]
    fetched_at = []
    for number in range(2_000):
        flow = verify(context, forged[number % 3])
        error, asked = fail(flow, lambda request: build_jwks_response("key-1"))
        assert isinstance(error, IdTokenError)
        fetched_at += [clock.now] * len(asked.requests)
        clock.wait(0.05)

    # The first names a key that is nowhere, which is looked for at once.
    assert 4 == len(fetched_at)
    assert all(b - a >= 30 for a, b in pairwise(fetched_at))


@pytest.mark.parametrize(
    "reply",
    [build_response(b"", 404), build_response({"keys": []}), NotSentError("no")],
    ids=["404", "empty", "not-sent"],
)
def test_forged_token_in_an_outage(context: Context, clock: Clock, reply: Any) -> None:
    """Where newer keys cannot be had, a signature that fails is what is reported."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    clock.wait(30)
    error, _ = fail(verify(context, sign_with(OTHER_RSA)), lambda request: reply)

    assert IdTokenError is type(error)
    assert "signature" in error.message
    assert error.tokens_issued
    assert (None, None) == (error.__cause__, error.__context__)


def test_deadline_of_newer_keys(context: Context, clock: Clock) -> None:
    """Where another call fetches newer keys for too long, the signature is reported."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    clock.wait(30)
    flow = verify(context, sign_with(OTHER_RSA))
    assert isinstance(next(flow), Share)

    with pytest.raises(IdTokenError, match="signature"):
        flow.throw(NotSentError("the deadline passed"))


@pytest.mark.parametrize(
    "claims", [{"aud": "another-client"}, {"exp": int(NOW) - 61}, {"sub": None}]
)
def test_refused_claims(context: Context, clock: Clock, claims: dict[str, Any]) -> None:
    """A token with a good signature is refused without another look at the keys."""
    play(verify(context, sign_id_token()), build_jwks_response("key-1"))
    clock.wait(60)
    _, asked = fail(verify(context, sign_id_token(**claims)))

    assert [] == asked


SYMMETRIC = OctKey.import_key(SECRETS["client_secret"] * 2)
WRONG: dict[str, Any] = {
    "issuer": sign_id_token(iss="https://evil.com/"),
    "issuer-without-slash": sign_id_token(iss="https://tenant.us.auth0.com"),
    "audience": sign_id_token(aud="another-client"),
    "second-audience": sign_id_token(aud=["the-client", "another-client"]),
    "party": sign_id_token(azp="another-client"),
    "no-subject": sign_id_token(sub=...),
    "no-expiry": sign_id_token(exp=...),
    "expired": sign_id_token(exp=int(NOW) - 61),
    "from-the-future": sign_id_token(iat=int(NOW) + 61),
    "other-access-token": sign_id_token(at_hash="x"),
    "algorithm": sign_id_token("key-ec", "ES256"),
    "client-secret": sign({"alg": "HS256", "kid": "key-1"}, b"{}", SYMMETRIC),
    "none": ".".join([encode(b'{"alg":"none","kid":"key-1"}'), encode(b"{}"), ""]),
    "not-a-token": "needle.of.garbage",
    "empty": "..",
    "other-key": f"{sign_id_token().rpartition('.')[0]}.{sign_id_token('key-2').rpartition('.')[2]}",
    "long": "a" * 70_000,
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG.keys())
def test_refused(context: Context, token: str) -> None:
    """A token that does not hold is refused, with its phase and without its text."""
    flow = verify(context, token)
    error, _ = fail(flow, lambda request: build_jwks_response("key-1", "key-ec"))

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
    flow = verify(context, sign_id_token(**claims), wanted)

    if good:
        assert claims.items() <= play(flow, build_jwks_response("key-1"))[0].items()
    else:
        assert IdTokenError is type(fail(flow, build_jwks_response("key-1"))[0])


def test_clock_of_the_application(clock: Clock) -> None:
    """Dates are judged by the clock that the client was given."""
    token = sign_id_token(exp=int(NOW) + 100)
    clock.wait(159)
    assert (
        "sub"
        in play(verify(build_client(clock), token), build_jwks_response("key-1"))[0]
    )
    clock.wait(1)

    assert isinstance(
        fail(verify(build_client(clock), token), build_jwks_response("key-1"))[0],
        IdTokenError,
    )
