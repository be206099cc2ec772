"""ID tokens: the claims they must have, and those that refuse them."""

from __future__ import annotations

import hashlib
import json
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.jose.id_token import (
    MAX_LIFETIME,
    MAX_PAYLOAD_LENGTH,
    Expected,
    check_claims,
    check_id_token,
)
from auth0_tx.core.jose.keys import ALGORITHMS, read_jwks
from auth0_tx.errors import IdTokenError, SigningKeyError
from auth0_tx.secret import SecretStr
from tests.core.exposure import collect_texts
from tests.core.vectors_tokens import (
    ED25519,
    OTHER_RSA,
    P256,
    P384,
    RSA,
    SIGNERS,
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
    "sub": "auth0|user",
    "iat": NOW - 5,
    "exp": NOW + 36_000,
}
EXPECTED = Expected(issuer=ISSUER, client_id=CLIENT, now=NOW)
KEYS = read_jwks(
    build_key_set(to_public_jwk(RSA, kid="a"), to_public_jwk(OTHER_RSA, kid="b"))
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


def expect(**members: Any) -> Expected:
    """Return the expectations of a good token, with *members* set."""
    return Expected(**{"issuer": ISSUER, "client_id": CLIENT, "now": NOW, **members})


def is_accepted(payload: bytes, expected: Expected = EXPECTED) -> bool:
    """Return whether *payload* breaks no rule."""
    return isinstance(check_claims(payload, expected, algorithm="RS256"), dict)


def find_problem(payload: bytes, expected: Expected = EXPECTED) -> str:
    """Return the rule that *payload* breaks."""
    error = check_claims(payload, expected, algorithm="RS256")
    assert isinstance(error, IdTokenError)
    assert "invalid_id_token" == error.code
    return error.message


def verify(token: str, **members: Any) -> dict[str, Any] | IdTokenError:
    """Verify *token* as a client of the tenant does."""
    return check_id_token(token, KEYS, expect(**members), algorithms=("RS256", "PS256"))


def find_error(token: str, **members: Any) -> IdTokenError:
    """Return the error that a client of the tenant refuses *token* with."""
    error = verify(token, **members)
    assert isinstance(error, IdTokenError)
    return error


def test_good_token() -> None:
    """The claims of a good token are returned."""
    claims = {**CLAIMS, "act": {"sub": "auth0|agent"}, "https://acme.com/x": [1, None]}
    token = sign(
        {"alg": "RS256", "typ": "JWT", "kid": "a"}, json.dumps(claims).encode()
    )

    assert claims == verify(token)
    assert claims == check_claims(
        json.dumps(claims).encode(), EXPECTED, algorithm="RS256"
    )


def test_good_signature_by_nobody() -> None:
    """A token whose key is not in the set may be valid once newer keys are fetched."""
    error = find_error(sign({"alg": "RS256", "kid": "next"}, build_payload()))

    assert isinstance(error, SigningKeyError)


def test_bad_signature() -> None:
    """Claims are not looked at before the signature is verified."""
    token = sign({"alg": "RS256", "kid": "a"}, b"{", OTHER_RSA)

    assert "signature" in find_error(token).message


def test_algorithm_not_listed() -> None:
    """A tenant that signs with another algorithm than it may is not believed."""
    token = sign({"alg": "RS512", "kid": "a"}, build_payload())

    assert "alg" in find_error(token).message


@pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", "id_token", ""])
def test_typ(kind: str) -> None:
    """A token may say that it is a JWT, or something that means nothing here."""
    head = {"alg": "RS256", "kid": "a"}

    assert CLAIMS == verify(sign({**head, "typ": kind}, build_payload()))
    assert CLAIMS == verify(sign(head, build_payload()))


@pytest.mark.parametrize(
    "kind",
    [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
        "logout+jwt",
        "application/logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "at+jwt;v=1",
        "at+jwt ",
        7,
        None,
        ["JWT"],
    ],
    ids=repr,
)
def test_typ_of_another_kind(kind: object) -> None:
    """An access token or a logout token is not an ID token, whatever else it says."""
    token = sign({"alg": "RS256", "typ": kind, "kid": "a"}, build_payload())

    assert "another kind of token" in find_error(token).message


@pytest.mark.parametrize(
    "issuer",
    [
        MISSING,
        None,
        "",
        7,
        [ISSUER],
        ISSUER[:-1],
        ISSUER + "/",
        ISSUER.upper(),
        "https://Tenant.us.auth0.com/",
        "http://tenant.us.auth0.com/",
        "https://tenant.us.auth0.com:443/",
        "https://tenant.us.auth0.com/\n",
        "https://other.us.auth0.com/",
        "https://",
    ],
    ids=repr,
)
def test_issuer(issuer: object) -> None:
    """The issuer is the tenant to the letter."""
    assert f"the ID token's iss is not {ISSUER!r}" == find_problem(
        build_payload(iss=issuer)
    )


@pytest.mark.parametrize("audience", [CLIENT, [CLIENT], [CLIENT, CLIENT]], ids=repr)
@pytest.mark.parametrize("party", [MISSING, CLIENT], ids=["no azp", "azp"])
def test_audience(audience: object, party: object) -> None:
    """A token is for this client, and may say so as a list, and twice."""
    assert is_accepted(build_payload(aud=audience, azp=party))


@pytest.mark.parametrize(
    "audience",
    [
        MISSING,
        None,
        "",
        7,
        [],
        [[CLIENT]],
        {CLIENT: 1},
        "other",
        ["other"],
        [CLIENT, "other"],
        ["other", CLIENT],
        [CLIENT, None],
        CLIENT.upper(),
        CLIENT[:-1],
        f"{CLIENT} other",
    ],
    ids=repr,
)
@pytest.mark.parametrize("party", [MISSING, CLIENT], ids=["no azp", "azp"])
def test_audience_of_others(audience: object, party: object) -> None:
    """A token for others, or for others as well, is not for this client."""
    assert "aud" in find_problem(build_payload(aud=audience, azp=party))


@pytest.mark.parametrize("party", ["", "other", 7, [CLIENT]], ids=repr)
def test_authorized_party(party: object) -> None:
    """A token that was issued to another party is not for this client."""
    assert "azp" in find_problem(build_payload(azp=party))
    assert "azp" in find_problem(build_payload(aud=[CLIENT], azp=party))


@pytest.mark.parametrize("subject", ["a", "auth0|user", "ü", "s" * 255])
def test_subject(subject: str) -> None:
    """The user's id has 1 to 255 characters."""
    assert is_accepted(build_payload(sub=subject))


@pytest.mark.parametrize(
    "subject", [MISSING, None, "", "s" * 256, 7, True, ["a"], {"a": 1}], ids=repr
)
def test_no_subject(subject: object) -> None:
    """A token that does not name a user is refused."""
    assert "sub" in find_problem(build_payload(sub=subject))


@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
@pytest.mark.parametrize(
    "date",
    ["", str(NOW), True, False, [NOW], {"at": NOW}, -1, -0.5, 2**62, 1e300],
    ids=repr,
)
def test_date_that_is_none(name: str, date: object) -> None:
    """A date is a number of seconds that a calendar has."""
    assert f"{name} is not a date" in find_problem(build_payload(**{name: date}))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400", "9" * 300, "9" * 5_000])
@pytest.mark.parametrize("name", ["iat", "exp", "nbf"])
def test_number_that_is_none(name: str, text: str) -> None:
    """A number that is not finite, or beyond every calendar, is not a date."""
    payload = build_payload(**{name: "DATE"}).replace(b'"DATE"', text.encode())

    assert find_problem(payload)


@pytest.mark.parametrize("name", ["iat", "exp"])
def test_no_date(name: str) -> None:
    """A token must say when it was issued and when it expires."""
    for date in (MISSING, None):
        payload = build_payload(**{name: date})
        assert f"{name} is not a date" in find_problem(payload)


@pytest.mark.parametrize(
    "name",
    [
        "nbf",
        "azp",
        "act",
        "at_hash",
        "nonce",
        "auth_time",
        "session_expiry",
        "sid",
        "org_id",
        "events",
        "email",
        "https://acme.com/x",
    ],
)
def test_null(name: str) -> None:
    """An optional claim that is null is absent, and not among the claims of the user."""
    expected = expect(access_token=ACCESS_TOKEN)
    payload = build_payload(**{name: None})

    assert CLAIMS == check_claims(payload, expected, algorithm="RS256")


@pytest.mark.parametrize("events", [{}, {"https://schemas.example/event": {}}])
def test_events(events: object) -> None:
    """A token about security events is not an ID token, though its typ may be the same."""
    assert "events" in find_problem(build_payload(events=events))
    assert is_accepted(build_payload(events=["conference"]))


def test_fractions() -> None:
    """A date may have a fraction of a second."""
    assert is_accepted(build_payload(iat=NOW - 0.5, exp=NOW + 0.5, nbf=NOW - 0.25))


@pytest.mark.parametrize("leeway", [0, LEEWAY, 0.5])
def test_expiry_edge(leeway: float) -> None:
    """A token is valid until exp plus the leeway, and not at that moment."""
    expected = expect(leeway=leeway)

    assert is_accepted(build_payload(exp=NOW - leeway + 1, iat=NOW - 100), expected)
    assert "exp has passed" in find_problem(
        build_payload(exp=NOW - leeway, iat=NOW - 100), expected
    )
    assert "exp has passed" in find_problem(
        build_payload(exp=NOW - leeway - 1, iat=NOW - 100), expected
    )


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("leeway", [0, LEEWAY, 0.5])
def test_beginning_edge(name: str, leeway: float) -> None:
    """A token is valid from iat and nbf on, less the leeway."""
    expected = expect(leeway=leeway)

    assert is_accepted(build_payload(**{name: NOW + leeway - 1}), expected)
    assert is_accepted(build_payload(**{name: NOW + leeway}), expected)
    assert "in the future" in find_problem(
        build_payload(**{name: NOW + leeway + 1}), expected
    )


def test_default_leeway() -> None:
    """Clocks may be a minute apart."""
    assert is_accepted(build_payload(iat=NOW + 60))
    assert "future" in find_problem(build_payload(iat=NOW + 61))


def test_lifetime() -> None:
    """A token that is valid for years, or expires before it begins, is refused."""
    assert is_accepted(build_payload(iat=NOW, exp=NOW + MAX_LIFETIME))
    assert "seconds" in find_problem(build_payload(iat=NOW, exp=NOW + MAX_LIFETIME + 1))
    assert "seconds" in find_problem(build_payload(iat=0, exp=NOW + 1))
    assert is_accepted(build_payload(iat=NOW, exp=NOW + 1))
    assert "not after iat" in find_problem(build_payload(iat=NOW + 10, exp=NOW + 10))
    assert "not after iat" in find_problem(build_payload(iat=NOW + 11, exp=NOW + 10))


def test_old_token() -> None:
    """A token that was issued long ago is valid for as long as it says."""
    assert is_accepted(build_payload(iat=NOW - 86_400, exp=NOW + 1))


def test_nonce() -> None:
    """A nonce that was sent must come back as it was."""
    assert is_accepted(build_payload(nonce="n-1"), expect(nonce="n-1"))
    assert is_accepted(build_payload(nonce="n-1"))
    for nonce in (MISSING, None, "", "n-2", "N-1", ["n-1"]):
        assert "nonce" in find_problem(build_payload(nonce=nonce), expect(nonce="n-1"))


# OIDC Core A.3, whose token is signed with RS256.
ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"


def test_published_access_token_hash() -> None:
    """The access token that came along is the one the token is about."""
    assert is_accepted(
        build_payload(at_hash=AT_HASH), expect(access_token=ACCESS_TOKEN)
    )


@pytest.mark.parametrize(
    "at_hash",
    ["", 7, [AT_HASH], AT_HASH + "==", AT_HASH[:-1], "x" * 22],
    ids=repr,
)
def test_access_token_hash(at_hash: object) -> None:
    """A hash of any other access token is refused, and without one not looked at."""
    expected = expect(access_token=ACCESS_TOKEN)

    assert "at_hash" in find_problem(build_payload(at_hash=at_hash), expected)
    assert is_accepted(build_payload(at_hash=at_hash))
    assert is_accepted(build_payload(), expected)


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_access_token_hash_of_algorithm(algorithm: str) -> None:
    """The hash is half of the one that the token's alg is named after."""
    bits = algorithm[2:] if algorithm[2:].isdigit() else "512"
    digest = hashlib.new(f"sha{bits}", ACCESS_TOKEN.encode()).digest()
    token = sign(
        {"alg": algorithm, "kid": "k"},
        build_payload(at_hash=encode(digest[: len(digest) // 2])),
        SIGNERS[algorithm],
    )
    keys = read_jwks(build_key_set(to_public_jwk(SIGNERS[algorithm], kid="k")))

    def is_valid(access_token: str) -> bool:
        expected = expect(access_token=access_token)
        claims = check_id_token(token, keys, expected, algorithms=ALGORITHMS)
        return isinstance(claims, dict)

    assert is_valid(ACCESS_TOKEN)
    assert not is_valid(ACCESS_TOKEN[:-1])
    assert not is_valid("\ud800")


def test_organization_by_id() -> None:
    """An organization that was requested by its id must match exactly."""
    expected = expect(organization="org_abc")

    assert is_accepted(build_payload(org_id="org_abc"), expected)
    assert is_accepted(build_payload(org_id="org_abc", org_name="acme"), expected)
    for organization in (MISSING, None, "", "org_ABC", "org_abcd", ["org_abc"], 7):
        payload = build_payload(org_id=organization, org_name="org_abc")
        assert "the ID token's org_id is not 'org_abc'" == find_problem(
            payload, expected
        )


def test_organization_by_name() -> None:
    """An organization that was requested by its name must match in lower case."""
    for name in ("acme", "Acme", "ACME"):
        expected = expect(organization=name)
        assert is_accepted(build_payload(org_id="org_abc", org_name="acme"), expected)
        for organization in (MISSING, None, "", "acm", "acme2", "ACME", ["acme"]):
            payload = build_payload(org_id="acme", org_name=organization)
            assert "org_name" in find_problem(payload, expected)


def test_organization_not_asked_for() -> None:
    """An organization that was not requested is passed on unchecked."""
    claims = check_claims(build_payload(org_id="org_abc"), EXPECTED, algorithm="RS256")

    assert {**CLAIMS, "org_id": "org_abc"} == claims


def build_actors(depth: int) -> dict[str, Any]:
    """Return an act claim of *depth* actors."""
    act: dict[str, Any] = {"sub": "first"}
    for _ in range(depth - 1):
        act = {"sub": "later", "role": "support", "act": act}
    return act


@pytest.mark.parametrize("depth", range(1, 9))
def test_actors(depth: int) -> None:
    """A token may name up to eight actors."""
    assert is_accepted(build_payload(act=build_actors(depth)))


@pytest.mark.parametrize(
    "act",
    [
        "auth0|agent",
        ["auth0|agent"],
        {},
        {"sub": ""},
        {"sub": 7},
        {"client_id": "a"},
        {"sub": "a", "act": {}},
        {"sub": None},
        build_actors(9),
        build_actors(40),
    ],
    ids=lambda act: repr(act)[:30],
)
def test_no_actors(act: object) -> None:
    """An actor without a name is refused, and so is a chain that is too long."""
    assert "act" in find_problem(build_payload(act=act))


PAYLOADS = {
    "nothing": b"",
    "no JSON": b"claims",
    "cut": build_payload()[:-1],
    "more after it": build_payload() + b"{}",
    "a list": b"[" + build_payload() + b"]",
    "a string": b'"claims"',
    "a number": b"7",
    "null": b"null",
    "sub twice": build_payload()[:-1] + b',"sub":"auth0|admin"}',
    "act.sub twice": build_payload()[:-1] + b',"act":{"sub":"a","sub":"b"}}',
    "sub twice, once escaped": build_payload()[:-1] + b',"\\u0073ub":"auth0|admin"}',
    "NaN": build_payload()[:-1] + b',"x":NaN}',
    "too large a number": build_payload()[:-1] + b',"x":-1e400}',
    "5,000 digits": build_payload()[:-1] + b',"x":' + b"9" * 5_000 + b"}",
    "deep lists": build_payload()[:-1]
    + b',"x":'
    + b"[" * 20_000
    + b"]" * 20_000
    + b"}",
    "deep objects": b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
    "open lists": b"[" * 60_000,
    "half a surrogate pair": build_payload(sub="\ud800"),
    "half a pair in a name": build_payload()[:-1] + b',"\\udfff":1}',
    "not UTF-8": build_payload()[:-1] + b',"x":"\xff"}',
    "a surrogate in UTF-8": build_payload()[:-1] + b',"x":"\xed\xa0\x80"}',
    "UTF-16": build_payload().decode().encode("utf-16"),
    "UTF-32": build_payload().decode().encode("utf-32"),
    "byte order mark": b"\xef\xbb\xbf" + build_payload(),
    "NUL at the end": build_payload() + b"\0",
    "control character": build_payload()[:-1] + b',"x":"\n"}',
    "1 MB": build_payload(x="x" * 1_000_000),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_hostile_payload(payload: bytes) -> None:
    """A payload that is not one plain object is refused, even by a good key."""
    assert find_problem(payload)
    if len(payload) < MAX_PAYLOAD_LENGTH * 3 // 4 - 300:
        token = sign({"alg": "RS256", "kid": "a"}, payload)
        assert "payload" in find_error(token).message


def test_largest_payload() -> None:
    """A payload is measured before it is read."""
    spare = MAX_PAYLOAD_LENGTH - len(build_payload(x=""))

    assert is_accepted(build_payload(x="x" * spare))
    assert "longer" in find_problem(build_payload(x="x" * (spare + 1)))


# The tests of the OpenID Foundation for relying parties that concern an ID token which
# came from the token endpoint, by the names of their modules.
UNSIGNED = encode(b'{"alg":"none"}')
GOOD_HEAD = {"alg": "RS256", "typ": "JWT", "kid": "a"}
RELYING_PARTY: dict[str, tuple[bool, str]] = {
    "oidcc-client-test": (True, sign(GOOD_HEAD, build_payload())),
    "valid-aud-as-array": (True, sign(GOOD_HEAD, build_payload(aud=[CLIENT]))),
    "idtoken-sig-rs256": (True, sign(GOOD_HEAD, build_payload())),
    "idtoken-sig-none": (False, f"{UNSIGNED}.{encode(build_payload())}."),
    "invalid-sig-rs256": (False, sign(GOOD_HEAD, build_payload(), OTHER_RSA)),
    "invalid-sig-es256": (
        False,
        sign({"alg": "ES256", "kid": "a"}, build_payload(), P256),
    ),
    "invalid-iss": (False, sign(GOOD_HEAD, build_payload(iss=ISSUER + "invalid"))),
    "missing-iss": (False, sign(GOOD_HEAD, build_payload(iss=MISSING))),
    "invalid-aud": (False, sign(GOOD_HEAD, build_payload(aud=CLIENT + "invalid"))),
    "missing-aud": (False, sign(GOOD_HEAD, build_payload(aud=MISSING))),
    "invalid-secondary-aud": (
        False,
        sign(GOOD_HEAD, build_payload(aud=[CLIENT, "other"])),
    ),
    "invalid-azp": (False, sign(GOOD_HEAD, build_payload(azp="other"))),
    "missing-sub": (False, sign(GOOD_HEAD, build_payload(sub=MISSING))),
    "missing-iat": (False, sign(GOOD_HEAD, build_payload(iat=MISSING))),
    "missing-exp": (False, sign(GOOD_HEAD, build_payload(exp=MISSING))),
    "expired": (False, sign(GOOD_HEAD, build_payload(iat=NOW - 900, exp=NOW - 600))),
    "invalid-null-alg": (False, sign({"alg": None}, build_payload(), RSA, "RS256")),
    "invalid-alternate-alg": (False, sign({"alg": "ES384"}, build_payload(), P384)),
    "kid-absent-multiple-jwks": (
        True,
        sign({"alg": "RS256"}, build_payload(), OTHER_RSA),
    ),
    "eddsa": (False, sign({"alg": "EdDSA"}, build_payload(), ED25519)),
}


@pytest.mark.parametrize(
    ("good", "token"), RELYING_PARTY.values(), ids=list(RELYING_PARTY)
)
def test_relying_party(good: bool, token: str) -> None:
    """A relying party's conformance tests pass."""
    claims = check_id_token(token, KEYS, EXPECTED, algorithms=["RS256", "ES256"])

    assert good is isinstance(claims, dict)


def test_key_without_name() -> None:
    """A token without a kid is verified with the tenant's only key."""
    keys = read_jwks(build_key_set(to_public_jwk(RSA)))
    token = sign({"alg": "RS256"}, build_payload())

    assert CLAIMS == check_id_token(token, keys, EXPECTED, algorithms=["RS256"])


def test_expected_prints_no_token() -> None:
    """The repr of the expectations shows neither the nonce nor the access token."""
    shown = repr(expect(nonce="hidden-nonce", access_token="hidden-token"))

    assert ISSUER in shown
    assert "hidden" not in shown


NEEDLES = {
    "sub": "hidden-subject",
    "email": "hidden-email",
    "https://acme.com/hidden-name": "hidden-role",
}


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "hidden-issuer"},
        {"aud": "hidden-audience"},
        {"azp": "hidden-party"},
        {"sub": {"hidden-subject": 1}},
        {"iat": "hidden-date"},
        {"exp": 1},
        {"nonce": "hidden-other-nonce"},
        {"at_hash": "hidden-hash"},
        {"org_id": "hidden-organization"},
        {"act": {"hidden-actor": 1}},
        {"x": "\ud800"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_error_shows_nothing(claims: dict[str, Any], wrap: Any) -> None:
    """An error has no traceback, and shows no token, claim or nonce."""
    good = {"nonce": "hidden-nonce", "org_id": "org_abc", "at_hash": AT_HASH}
    payload = build_payload(**{**NEEDLES, **good, **claims})
    token = sign(GOOD_HEAD, payload)
    needles = [*token.split("."), token[:40], "hidden", AT_HASH, ACCESS_TOKEN]
    expected = {
        "nonce": wrap("hidden-nonce"),
        "access_token": wrap(ACCESS_TOKEN),
        "organization": "org_abc",
    }

    by_token = find_error(wrap(token), **expected)
    by_payload = check_claims(payload, expect(**expected), algorithm="RS256")

    for error in (by_token, by_payload):
        assert isinstance(error, IdTokenError)
        shown = collect_texts(error)
        assert [] == [needle for needle in needles if needle in shown]
        assert error.__traceback__ is error.__cause__ is error.__context__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=8,
)
ASKED = expect(organization="acme", nonce="n", access_token="at")


@given(st.binary(max_size=300))
def test_any_octets(payload: bytes) -> None:
    """Any octets are refused with an ``IdTokenError``, and nothing is raised."""
    assert isinstance(check_claims(payload, ASKED, algorithm="RS256"), IdTokenError)


@given(
    st.dictionaries(
        st.sampled_from(
            ["iss", "aud", "azp", "sub", "iat", "exp", "nbf", "nonce", "act", "at_hash"]
        ),
        JSON,
        min_size=1,
    )
)
def test_any_claims(claims: dict[str, Any]) -> None:
    """Whatever a claim is, the token is taken or refused with an ``IdTokenError``."""
    absent = {
        name: MISSING if value is None else value for name, value in claims.items()
    }
    for expected in (EXPECTED, ASKED):
        checked = check_claims(build_payload(**claims), expected, algorithm="RS256")
        same = check_claims(build_payload(**absent), expected, algorithm="RS256")
        if isinstance(checked, IdTokenError):
            assert isinstance(same, IdTokenError)
            assert checked.message == same.message
        else:
            # By their texts: two NaNs would differ.
            assert repr(checked) == repr(same)
            assert None not in checked.values()
