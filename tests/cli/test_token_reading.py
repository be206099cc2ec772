"""Reading a token that nobody has verified."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.rendering.token_reading import describe_token, read_token
from auth0_tx.cli.rendering.token_report import format_token, token_to_json
from tests.cli.command_runs import encode, jwt

NOW = 1_700_000_000.0


def part(octets: bytes) -> str:
    """Return *octets* as a part of a token."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def test_jwt() -> None:
    """A JWT gives its header and its claims."""
    token = jwt({"sub": "auth0|alice"})
    read = read_token(token)

    assert ("JWT", len(token), None, ()) == (
        read.kind,
        read.length,
        read.reason,
        read.notes,
    )
    assert ({"alg": "RS256", "typ": "JWT"}, {"sub": "auth0|alice"}) == (
        read.header,
        read.claims,
    )


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("opaque", "it has neither the three parts of a JWT nor the five of a JWE"),
        ("", "it has neither the three parts of a JWT nor the five of a JWE"),
        ("..", "its first part is not a JOSE header: it is not base64url"),
        ("a.b.c", "its first part is not a JOSE header: it is not base64url"),
        ("e30=.e30.c", "its first part is not a JOSE header: it is not base64url"),
        ("é.e30.c", "its first part is not a JOSE header: it is not base64url"),
        (
            f"{part(b'[]')}.e30.c",
            "its first part is not a JOSE header: it is not a JSON object",
        ),
        (
            f"{part(b'{')}.e30.c",
            "its first part is not a JOSE header: it is not JSON (RFC 8259 section 2)",
        ),
    ],
)
def test_opaque(token: str, reason: str) -> None:
    """Text that does not begin with a JOSE header is opaque, with the reason."""
    read = read_token(token)

    assert ("opaque", reason, None, None) == (
        read.kind,
        read.reason,
        read.header,
        read.claims,
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"hello", "it is not JSON (RFC 8259 section 2)"),
        (b"[1]", "it is not a JSON object"),
        (
            b'{"a":1,"a":2}',
            "it has a duplicate member name (RFC 7493 section 2.3)",
        ),
        (b"[" * 100_000, "it nests deeper than 64 levels (RFC 8259 section 9)"),
        (b'{"a":NaN}', "it has a number that is not finite (RFC 8259 section 6)"),
        (b"\xff", "it is not UTF-8 (RFC 8259 section 8.1)"),
    ],
)
def test_no_claims(payload: bytes, reason: str) -> None:
    """A signed token whose payload is not claims keeps its header, and says why."""
    read = read_token(f"{encode({'alg': 'RS256'})}.{part(payload)}.c2ln")

    assert ("JWS", f"its payload is not a set of claims: {reason}") == (
        read.kind,
        read.reason,
    )
    assert {"alg": "RS256"} == read.header


def test_jwe() -> None:
    """An encrypted token has a header, and no claims to show."""
    read = read_token(f"{encode({'alg': 'dir', 'enc': 'A256GCM'})}..a.b.c")

    assert ("JWE", {"alg": "dir", "enc": "A256GCM"}, None) == (
        read.kind,
        read.header,
        read.claims,
    )


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            f" {jwt({})}",
            "there is white space around the token; an exchange would refuse it",
        ),
        (
            f"Bearer {jwt({})}",
            "the scheme before the token is not part of it; remove it",
        ),
        (
            jwt({}, {"alg": "nOnE"}),
            "alg is none: anyone could have made this token",
        ),
        (
            jwt({}, signature=""),
            "it has no signature: anyone could have made this token",
        ),
        (
            jwt({"act": "auth0|bob"}),
            "the act claim is not valid: act is not an object (RFC 8693 section 4.1)",
        ),
    ],
)
def test_notes(text: str, note: str) -> None:
    """A doubtful token gets a note, and is read all the same."""
    read = read_token(text)

    assert ("JWT", (note,)) == (read.kind, read.notes)


def test_act() -> None:
    """A valid act claim is returned, and no other."""
    act = {"sub": "agent", "act": {"sub": "sam"}}

    assert act == read_token(jwt({"act": act})).act
    assert read_token(jwt({"act": {"sub": ""}})).act is None
    assert read_token("opaque").act is None


@pytest.mark.parametrize(
    ("token", "words"),
    [("x" * 1500, "opaque, 1,500 characters"), (jwt({}), "JWT, 49 characters")],
)
def test_description(token: str, words: str) -> None:
    """A token is described by its kind and length."""
    assert words == describe_token(token)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
dates = json_values | st.floats(0, 3e11)
claims = st.dictionaries(st.text(), json_values) | st.fixed_dictionaries(
    {},
    optional={
        "exp": dates,
        "nbf": dates,
        "iat": dates,
        "auth_time": dates,
        "act": json_values
        | st.fixed_dictionaries({"sub": st.text(), "act": json_values}),
        "sub": json_values,
    },
)
hostile = (
    st.text()
    | st.binary().map(lambda octets: octets.decode("latin-1"))
    | st.lists(st.binary().map(part), min_size=1, max_size=6).map(".".join)
    | st.builds(jwt, claims, st.dictionaries(st.text(), json_values), st.text())
    | st.builds(lambda *parts: ".".join(parts), *[json_values.map(encode)] * 3)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile)
def test_hostile_token(text: str) -> None:
    """Whatever the input, it is formatted, and no control character passes."""
    read = read_token(text)
    lines = format_token(read, NOW, Style()).split("\n")
    members = token_to_json(read, NOW)

    assert all(line.isprintable() for line in lines)
    assert (False, read.kind) == (members["verified"], members["kind"])
