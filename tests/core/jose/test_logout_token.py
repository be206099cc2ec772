"""Logout tokens: the claims they must have, and those that refuse them."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.jose.id_token import Expected, check_id_token
from auth0_tx.core.jose.jws import MAX_TOKEN_LENGTH
from auth0_tx.core.jose.keys import read_jwks
from auth0_tx.core.jose.logout_token import (
    LOGOUT_EVENT,
    MAX_ID_LENGTH,
    LogoutToken,
    read_logout_token,
)
from auth0_tx.errors import IdTokenError, SigningKeyError
from tests.core.vectors_tokens import (
    OTHER_RSA,
    P256,
    RSA,
    build_key_set,
    encode,
    sign,
    to_public_jwk,
)

ISSUER = "https://tenant.us.auth0.com/"
CLIENT = "client-123"
NOW = 1_700_000_000
LEEWAY = 60

CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": CLIENT,
    "iat": NOW - 5,
    "exp": NOW + 120,
    "jti": "token-1",
    "sub": "auth0|user",
    "sid": "session-1",
    "events": {LOGOUT_EVENT: {}},
}
HEAD = {"alg": "RS256", "typ": "logout+jwt", "kid": "a"}
KEYS = read_jwks(
    build_key_set(to_public_jwk(RSA, kid="a"), to_public_jwk(OTHER_RSA, kid="b"))
)
GOOD = LogoutToken(
    issuer=ISSUER,
    token_id="token-1",
    expires_at=NOW + 120,
    leeway=LEEWAY,
    subject="auth0|user",
    session_id="session-1",
)


class Claim(Enum):
    """A mark for an absent claim; its name, and so a test's id, is the same everywhere."""

    MISSING = "missing"


MISSING = Claim.MISSING


def build_payload(**claims: Any) -> bytes:
    """Return the payload of a good token with *claims* set, or left out if MISSING."""
    members = {**CLAIMS, **claims}
    return json.dumps(
        {name: value for name, value in members.items() if value is not MISSING}
    ).encode()


def read(
    payload: bytes = build_payload(), header: dict[str, Any] = HEAD, key: Any = RSA
) -> LogoutToken | IdTokenError:
    """Read a token of *payload* as a client of the tenant does."""
    return read_token(sign(header, payload, key))


def read_token(token: Any) -> LogoutToken | IdTokenError:
    """Read *token* as a client of the tenant does."""
    return read_logout_token(
        token,
        KEYS,
        issuer=ISSUER,
        client_id=CLIENT,
        now=NOW,
        algorithms=("RS256", "PS256"),
    )


def find_problem_of(**claims: Any) -> str:
    """Return the rule that a good token with *claims* set breaks."""
    return find_problem(build_payload(**claims))


def find_problem(payload: bytes) -> str:
    """Return the rule that a well-signed *payload* breaks."""
    error = read(payload)
    assert isinstance(error, IdTokenError)
    assert error.message.startswith("the logout token's ")
    return error.message


def test_good_token() -> None:
    """A good token says whose sessions end."""
    assert GOOD == read()


@pytest.mark.parametrize("missing", ["sub", "sid"])
def test_one_of_two(missing: str) -> None:
    """A token names a user or a session; it need not name both."""
    token = read(build_payload(**{missing: MISSING}))

    assert isinstance(token, LogoutToken)
    assert [missing == "sub", missing == "sid"] == [
        token.subject is None,
        token.session_id is None,
    ]


def test_neither_of_two() -> None:
    """A token that names neither a user nor a session ends nothing."""
    for value in (MISSING, None):
        problem = find_problem_of(sub=value, sid=value)
        assert "sub and sid are both missing" in problem


@pytest.mark.parametrize("value", ["", "s" * 256, 7, True, ["a"], {}], ids=repr)
@pytest.mark.parametrize("name", ["sub", "sid", "jti"])
def test_id(name: str, value: object) -> None:
    """An id that is there is a short string with something in it, whatever else is there."""
    assert f"{name} is not a string of 1 to 255 characters" in find_problem_of(
        **{name: value}
    )


@pytest.mark.parametrize("name", ["sub", "sid", "jti"])
def test_longest_id(name: str) -> None:
    """An id may have 255 characters."""
    assert isinstance(read(build_payload(**{name: "s" * MAX_ID_LENGTH})), LogoutToken)


def test_no_token_id() -> None:
    """A token without an id is refused: its replay could not be recognised."""
    assert "jti" in find_problem_of(jti=MISSING)
    assert "jti" in find_problem_of(jti=None)


@pytest.mark.parametrize("name", ["sub", "sid", "nonce", "nbf", "azp"])
def test_null(name: str) -> None:
    """An optional claim that is null is absent."""
    assert read(build_payload(**{name: MISSING})) == read(build_payload(**{name: None}))
    assert isinstance(read(build_payload(**{name: None})), LogoutToken)


@pytest.mark.parametrize(
    "kind", ["JWT", "jwt", "logout+jwt", "LOGOUT+JWT", "application/logout+jwt"]
)
def test_typ(kind: str) -> None:
    """A token says that it is a logout token, or a JWT, or nothing."""
    assert GOOD == read(header={**HEAD, "typ": kind})
    assert GOOD == read(header={"alg": "RS256", "kid": "a"})


@pytest.mark.parametrize(
    "kind",
    [
        "at+jwt",
        "application/at+jwt",
        "id_token",
        "secevent+jwt",
        "logout+jwt ",
        "application/application/jwt",
        "",
        7,
        None,
        ["JWT"],
    ],
    ids=repr,
)
def test_typ_of_another_kind(kind: object) -> None:
    """An access token, or a token of an unknown kind, is not a logout token."""
    error = read(header={**HEAD, "typ": kind})

    assert isinstance(error, IdTokenError)
    assert "the logout token's typ is that of another kind" in error.message


@pytest.mark.parametrize(
    "issuer",
    [
        MISSING,
        None,
        7,
        [ISSUER],
        ISSUER[:-1],
        ISSUER + "/",
        ISSUER.upper(),
        "http://tenant.us.auth0.com/",
        "https://other.us.auth0.com/",
    ],
    ids=repr,
)
def test_issuer(issuer: object) -> None:
    """The issuer is the tenant to the letter."""
    assert "iss is not" in find_problem_of(iss=issuer)


@pytest.mark.parametrize(
    "audience",
    [MISSING, None, "", [], "other", [CLIENT, "other"], CLIENT.upper(), {CLIENT: 1}],
    ids=repr,
)
def test_audience(audience: object) -> None:
    """A token for others, or for others as well, is not for this client."""
    assert "aud is not this client" in find_problem_of(aud=audience)
    assert GOOD == read(build_payload(aud=[CLIENT]))


@pytest.mark.parametrize(
    "date", [MISSING, None, str(NOW), True, [NOW], -1, 2**62, 1e300], ids=repr
)
@pytest.mark.parametrize("name", ["iat", "exp"])
def test_date_that_is_none(name: str, date: object) -> None:
    """A token says when it was issued and when it expires."""
    assert f"{name} is not a date" in find_problem_of(**{name: date})


def test_dates() -> None:
    """A token is valid between its dates, with a minute's leeway at either end."""
    assert isinstance(
        read(build_payload(iat=NOW - 99, exp=NOW - LEEWAY + 1)), LogoutToken
    )
    assert "exp has passed" in find_problem_of(iat=NOW - 99, exp=NOW - LEEWAY)
    assert isinstance(read(build_payload(iat=NOW + LEEWAY)), LogoutToken)
    assert "in the future" in find_problem_of(iat=NOW + LEEWAY + 1)
    assert "exp is not after iat" in find_problem_of(iat=NOW, exp=NOW)
    assert "exp is not after iat" in find_problem_of(iat=1)


@pytest.mark.parametrize(
    "events",
    [
        MISSING,
        None,
        [],
        [LOGOUT_EVENT],
        LOGOUT_EVENT,
        {},
        {LOGOUT_EVENT: None},
        {LOGOUT_EVENT: True},
        {LOGOUT_EVENT: []},
        {LOGOUT_EVENT: "{}"},
        {LOGOUT_EVENT + "/": {}},
        {LOGOUT_EVENT.replace("http:", "https:"): {}},
        {"http://schemas.openid.net/event/other": {}},
    ],
    ids=repr,
)
def test_other_events(events: object) -> None:
    """A token about any other event ends no session."""
    assert "events has no object named" in find_problem_of(events=events)


@pytest.mark.parametrize(
    "events",
    [
        {LOGOUT_EVENT: {"reason": "x"}},
        {"http://schemas.openid.net/event/other": 7, LOGOUT_EVENT: {}},
    ],
    ids=repr,
)
def test_more_events(events: object) -> None:
    """A token may have more events, and members in its own."""
    assert GOOD == read(build_payload(events=events))


@pytest.mark.parametrize("nonce", ["n-1", "", 7, False], ids=repr)
def test_nonce(nonce: object) -> None:
    """A token with a nonce could pass for an ID token, and is refused."""
    assert "nonce must be absent" in find_problem_of(nonce=nonce)


def test_id_token() -> None:
    """An ID token of the same tenant for the same client is not a logout token."""
    payload = build_payload(events=MISSING, jti=MISSING)
    claims = check_id_token(
        sign({**HEAD, "typ": "JWT"}, payload),
        KEYS,
        Expected(issuer=ISSUER, client_id=CLIENT, now=NOW),
        algorithms=["RS256"],
    )

    assert isinstance(claims, dict)
    assert isinstance(read(payload, {**HEAD, "typ": "JWT"}), IdTokenError)


@pytest.mark.parametrize("kind", ["JWT", "logout+jwt"])
def test_not_an_id_token(kind: str) -> None:
    """A logout token is not an ID token of the same user, even with the typ of one."""
    token = sign({**HEAD, "typ": kind}, build_payload())
    expected = Expected(issuer=ISSUER, client_id=CLIENT, now=NOW)
    error = check_id_token(token, KEYS, expected, algorithms=["RS256"])

    assert isinstance(read_token(token), LogoutToken)
    assert isinstance(error, IdTokenError)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"claims",
        build_payload()[:-1],
        build_payload() + b"{}",
        b"[" + build_payload() + b"]",
        b"null",
        build_payload()[:-1] + b',"sub":"auth0|admin"}',
        build_payload()[:-1] + b',"\\u0073id":"session-2"}',
        build_payload(events={})[:-2]
        + b'{"%b":{},"%b":{}}}' % ((LOGOUT_EVENT.encode(),) * 2),
        build_payload()[:-1] + b',"x":NaN}',
        build_payload(sub="\ud800"),
        build_payload().decode().encode("utf-16"),
        build_payload()[:-1] + b',"x":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    ],
    ids=lambda payload: repr(payload[-40:]),
)
def test_hostile_payload(payload: bytes) -> None:
    """A payload that is not one plain object is refused, even by a good key."""
    assert "payload" in find_problem(payload)


def test_too_long() -> None:
    """A token is measured before any of it is read."""
    token = sign(HEAD, build_payload(x="x" * MAX_TOKEN_LENGTH))
    error = read_token(token)

    assert isinstance(error, IdTokenError)
    assert "longer than" in error.message


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (HEAD, OTHER_RSA),
        ({**HEAD, "kid": "b"}, RSA),
        ({**HEAD, "alg": "RS512"}, RSA),
        ({**HEAD, "alg": "ES256"}, P256),
        ({**HEAD, "crit": ["x"], "x": 1}, RSA),
        ({**HEAD, "jwk": to_public_jwk(P256), "alg": "ES256"}, P256),
    ],
    ids=["another key", "another kid", "not allowed", "another kind", "crit", "jwk"],
)
def test_signature(header: dict[str, Any], key: Any) -> None:
    """Only the tenant's keys count, with an algorithm that it may use."""
    assert isinstance(read(header=header, key=key), IdTokenError)


def test_unsigned() -> None:
    """A token without a signature is refused."""
    for algorithm in ("none", "None", ""):
        head = encode(json.dumps({**HEAD, "alg": algorithm}).encode())
        assert isinstance(
            read_token(f"{head}.{encode(build_payload())}."), IdTokenError
        )


def test_unknown_key() -> None:
    """A token whose key is not in the set may be valid once newer keys are fetched."""
    assert isinstance(read(header={**HEAD, "kid": "next"}), SigningKeyError)


@given(
    st.one_of(
        st.text(),
        st.binary(),
        st.none(),
        st.lists(st.text(alphabet="abyA-_=. "), min_size=3, max_size=3).map(".".join),
    )
)
def test_any_text(token: object) -> None:
    """Whatever is posted as a token is refused, and nothing is raised."""
    assert isinstance(read_token(token), IdTokenError)


@given(st.binary(max_size=300))
def test_any_octets(payload: bytes) -> None:
    """Any octets that are well signed are refused, and nothing is raised."""
    assert isinstance(read(payload), IdTokenError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.just(LOGOUT_EVENT), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nonce", "azp", "nbf"]), JSON))
def test_any_claims(claims: dict[str, Any]) -> None:
    """Whatever a claim is, the token has ids that are texts, or is refused."""
    token = read(build_payload(**claims))

    if isinstance(token, LogoutToken):
        ids = (token.token_id, token.subject or token.session_id)
        assert all(isinstance(text, str) and text for text in ids)
        assert NOW - LEEWAY < token.expires_at
    else:
        assert isinstance(token, IdTokenError)


@pytest.mark.parametrize("claims", [{"iss": "hidden"}, {"aud": "hidden"}, {"sub": 7}])
def test_error_shows_nothing(claims: dict[str, Any]) -> None:
    """An error says the rule, and nothing of the token."""
    error = read(build_payload(**{"jti": "hidden", "sid": "hidden", **claims}))

    assert isinstance(error, IdTokenError)
    assert error.__traceback__ is error.__context__ is None
    assert "hidden" not in repr(error.args) + str(error)
