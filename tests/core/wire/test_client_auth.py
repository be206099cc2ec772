"""How a client authenticates, and with which keys it cannot."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from auth0_tx.core.effects import COMMON_HEADERS
from auth0_tx.core.wire.client_auth import SIGNING_ALGORITHMS, ClientAuthentication
from auth0_tx.core.wire.private_key_jwt import ASSERTION_TYPE
from auth0_tx.errors import ConfigurationError
from auth0_tx.secret import SecretStr
from tests.core.exposure import collect_texts
from tests.core.vectors_tokens import P256, P384, RSA
from tests.core.world import ISSUER, NOW, SECRETS, Clock, build_client

KEYS: dict[str, Any] = {"RSA": RSA, "P-256": P256, "P-384": P384}


def build_method(**keywords: Any) -> ClientAuthentication:
    """Return the authentication of a client with *keywords*."""
    return build_client(Clock(), **keywords).settings.authentication


def read_parameters(
    method: ClientAuthentication, new_id: str = "id-1"
) -> dict[str, str]:
    """Return the parameters that *method* adds to the form."""
    form = method.encode_parameters(ISSUER, lambda: NOW + 0.9, lambda: new_id)
    return dict(parse_qsl(form, keep_blank_values=True, strict_parsing=bool(form)))


def to_pem(key: Any, password: bytes | None = None) -> str:
    """Return a private key of the cryptography library as PEM text."""
    sealing = BestAvailableEncryption(password) if password else NoEncryption()
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing).decode())


def to_jwk(key: Any, **members: Any) -> dict[str, Any]:
    """Return the private JWK of *key* with *members*."""
    return {**key.as_dict(private=True), **members}


def test_secret_in_the_form() -> None:
    """By default the client's id and secret go into the form."""
    method = build_method()

    assert {
        "client_id": "the-client",
        "client_secret": SECRETS["client_secret"],
    } == read_parameters(method)
    assert {
        **COMMON_HEADERS,
        "Content-Type": "application/x-www-form-urlencoded",
    } == method.headers


def test_public_client() -> None:
    """A public client sends its id, and no proof."""
    method = build_method(client_auth="none")

    assert {"client_id": "the-client"} == read_parameters(method)
    assert "Authorization" not in method.headers


def decode_basic(method: ClientAuthentication) -> tuple[str, str]:
    """Read the credentials as a server does: decoded, split, and form-decoded."""
    scheme, _, text = method.headers["Authorization"].partition(" ")
    assert "Basic" == scheme
    client_id, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def test_secret_in_the_header() -> None:
    """Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1)."""
    method = build_method(
        client_auth="client_secret_basic", client_id="a:b c", client_secret="p:q+r/ %s"
    )

    assert ("a:b c", "p:q+r/ %s") == decode_basic(method)
    assert {} == read_parameters(method)
    assert isinstance(method.headers["Authorization"], SecretStr)


# Shorter than the suite's search for leaked secrets looks for: Hypothesis likes to try
# texts from the library's own source, which occur in many errors.
VISIBLE = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15
)


@given(client_id=VISIBLE, client_secret=VISIBLE)
def test_credentials_round_trip(client_id: str, client_secret: str) -> None:
    """Whatever characters an id and a secret have, the server reads them back."""
    keywords: dict[str, Any] = {"client_id": client_id, "client_secret": client_secret}
    in_header = build_method(client_auth="client_secret_basic", **keywords)

    assert keywords == read_parameters(build_method(**keywords))
    assert (client_id, client_secret) == decode_basic(in_header)


def decode_assertion(form: Mapping[str, str], key: Any, algorithm: str) -> jwt.Token:
    """Verify an assertion as the server does."""
    assert ASSERTION_TYPE == form["client_assertion_type"]
    return jwt.decode(form["client_assertion"], key, algorithms=[algorithm])


@pytest.mark.parametrize("algorithm", SIGNING_ALGORITHMS)
def test_assertion(algorithm: str) -> None:
    """An assertion names the client, the tenant, its id and a minute (RFC 7523 section 3)."""
    key = KEYS[SIGNING_ALGORITHMS[algorithm]]
    method = build_method(
        client_assertion_signing_key=to_jwk(key, kid="key-1"),
        client_assertion_signing_alg=algorithm,
    )
    form = read_parameters(method)
    token = decode_assertion(form, key, algorithm)

    assert "the-client" == form["client_id"]
    assert {"client_id", "client_assertion", "client_assertion_type"} == form.keys()
    assert (algorithm, "key-1") == (token.header["alg"], token.header["kid"])
    assert {
        "iss": "the-client",
        "sub": "the-client",
        "aud": ISSUER,
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "jti": "id-1",
    } == token.claims
    assert "Authorization" not in method.headers


def test_assertion_is_made_anew() -> None:
    """Each attempt has an assertion of its own, or the server takes it for a replay."""
    method = build_method(client_assertion_signing_key=to_jwk(P256), **ES256)
    first, second = read_parameters(method, "id-1"), read_parameters(method, "id-2")

    assert "id-1" == decode_assertion(first, P256, "ES256").claims["jti"]
    assert "id-2" == decode_assertion(second, P256, "ES256").claims["jti"]
    assert "kid" not in decode_assertion(first, P256, "ES256").header


ES256 = {"client_assertion_signing_alg": "ES256"}
PEM = RSA.as_pem(private=True)

GOOD_KEYS = {
    "pem": PEM.decode(),
    "pem-bytes": PEM,
    "pem-secret": SecretStr(PEM.decode()),
    "jwk": to_jwk(RSA),
    "jwk-text": json.dumps(to_jwk(RSA)),
    "jwk-bytes": b"  " + json.dumps(to_jwk(RSA)).encode(),
    "jwk-mapping": MappingProxyType(to_jwk(RSA)),
    "jwk-for-this": to_jwk(RSA, use="sig", alg="RS256", key_ops=["sign"]),
    "held": RSA,
}


@pytest.mark.parametrize("key", GOOD_KEYS.values(), ids=GOOD_KEYS.keys())
def test_key(key: Any) -> None:
    """A key is PEM text, a JWK, or already imported."""
    form = read_parameters(build_method(client_assertion_signing_key=key))

    assert "id-1" == decode_assertion(form, RSA, "RS256").claims["jti"]


@pytest.mark.parametrize("algorithm", ["ES256", "ES384"])
def test_ec_pem(algorithm: str) -> None:
    """An elliptic-curve key may be PEM text too."""
    key = KEYS[SIGNING_ALGORITHMS[algorithm]]
    form = read_parameters(
        build_method(
            client_assertion_signing_key=key.as_pem(private=True),
            client_assertion_signing_alg=algorithm,
        )
    )

    assert "id-1" == decode_assertion(form, key, algorithm).claims["jti"]


def encode_der(tag: int, *parts: bytes) -> bytes:
    """Encode as DER does, up to 127 bytes."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def build_unknown_key(*oid_and_parameters: bytes) -> str:
    """Return a private key, as PEM text, of a kind that nobody knows."""
    info = encode_der(
        0x30,
        encode_der(2, b"\0"),
        encode_der(0x30, *oid_and_parameters),
        encode_der(4, encode_der(4, b"\1" * 32)),
    )
    text = base64.encodebytes(info).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"


EC_OID = bytes.fromhex("06072a8648ce3d0201")
OTHER_RSA_D = RSAKey.generate_key(2_048).as_dict(private=True)["d"]
BAD_RSA_KEYS: dict[str, Any] = {
    "none of these": 5,
    "list": [to_jwk(RSA)],
    "empty": "",
    "blank": " ",
    "nul": "\x00",
    "words": "not a key",
    "bytes": b"\xff\xfe",
    "certificate": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "cut": PEM.decode()[:300],
    "encrypted": to_pem(rsa.generate_private_key(65_537, 2_048), b"password"),
    "public-jwk": RSA.as_dict(private=False),
    "public-pem": RSA.as_pem(private=False),
    "public-held": RSAKey.import_key(RSA.as_dict(private=False)),
    "ec": to_jwk(P256),
    "ec-held": P256,
    "okp-held": OKPKey.generate_key("Ed25519"),
    "dsa": to_pem(dsa.generate_private_key(1_024)),
    "ed25519": to_pem(ed25519.Ed25519PrivateKey.generate()),
    "unknown-kind": build_unknown_key(encode_der(6, bytes([0x2A, 3, 4]))),
    "unknown-curve": build_unknown_key(EC_OID, encode_der(6, bytes([0x2A, 3, 5]))),
    "empty-jwk": {},
    "json-list": "[1]",
    "json-cut": '{"kty":',
    "json-deep": '{"a":' * 100_000,
    "symmetric": {"kty": "oct", "k": "c2VjcmV0"},
    "no-modulus": {name: text for name, text in to_jwk(RSA).items() if name != "n"},
    "bad-modulus": to_jwk(RSA, n="!!"),
    "list-modulus": to_jwk(RSA, n=[1]),
    "number-as-d": to_jwk(RSA, d=5),
    "other-d": to_jwk(RSA, d=OTHER_RSA_D),
    "kid-number": to_jwk(RSA, kid=5),
    "for-encryption": to_jwk(RSA, use="enc"),
    "for-verifying": to_jwk(RSA, key_ops=["verify"]),
    "for-another": to_jwk(RSA, alg="RS512"),
    "surrogate": '{"kty":"RSA","n":"\\ud800"}',
}


@pytest.mark.parametrize("key", BAD_RSA_KEYS.values(), ids=BAD_RSA_KEYS.keys())
def test_key_refused(key: Any) -> None:
    """A key that cannot sign is refused when the client is made, and not shown."""
    with pytest.raises(ConfigurationError) as error:
        build_method(client_auth="private_key_jwt", client_assertion_signing_key=key)

    assert "client_assertion_signing_key" == error.value.parameter
    assert "must be" in error.value.message
    assert error.value.__context__ is error.value.__cause__ is None


BAD_EC_KEYS: dict[str, Any] = {
    "rsa": to_jwk(RSA),
    "rsa-held": RSA,
    "other-curve": to_jwk(P384),
    "other-curve-held": P384,
    "secp256k1": to_pem(ec.generate_private_key(ec.SECP256K1())),
    "brainpool": to_pem(ec.generate_private_key(ec.BrainpoolP256R1())),
    "other-d": to_jwk(P256, d=ECKey.generate_key("P-256").as_dict(private=True)["d"]),
    "no-such-curve": to_jwk(P256, crv="P-0"),
    "public": P256.as_dict(private=False),
}


@pytest.mark.parametrize("key", BAD_EC_KEYS.values(), ids=BAD_EC_KEYS.keys())
def test_ec_key_refused(key: Any) -> None:
    """An algorithm has one curve, and a key on another cannot sign for it."""
    with pytest.raises(ConfigurationError, match="P-256 private key for ES256"):
        build_method(client_assertion_signing_key=key, **ES256)


@pytest.mark.filterwarnings("ignore:Key size:UserWarning")
def test_short_key() -> None:
    """An RSA key has 2048 bits or more (RFC 7518 section 3.3)."""
    key = to_pem(rsa.generate_private_key(65_537, 1_024))

    with pytest.raises(ConfigurationError, match="at least 2048 bits"):
        build_method(client_assertion_signing_key=key)


@pytest.mark.parametrize(
    "key", [PEM.decode()[:600], to_jwk(RSA, use="enc"), to_jwk(RSA, n="!")]
)
def test_refused_key_stays_hidden(key: Any) -> None:
    """Neither the error nor any frame it passed shows the key."""
    with pytest.raises(ConfigurationError) as error:
        build_method(client_auth="private_key_jwt", client_assertion_signing_key=key)

    shown = collect_texts(error.value)
    assert [] == [line for line in PEM.decode().splitlines()[1:-1] if line in shown]
    assert to_jwk(RSA)["d"] not in shown


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {
            "client_auth": "client_secret_basic",
            "client_secret": SECRETS["client_secret"],
        },
        {"client_assertion_signing_key": to_jwk(RSA)},
    ],
    ids=["post", "basic", "key"],
)
def test_methods_print_no_secret(keywords: dict[str, Any]) -> None:
    """A method does not print its secret, as a whole or in parts."""
    method: Any = build_method(**keywords)
    shown = f"{method!r} {method} {attrs.asdict(method)!r} {attrs.astuple(method)!r}"
    halves = f"the-client:{SECRETS['client_secret']}".encode()

    assert "needle" not in shown
    assert base64.b64encode(halves).decode() not in shown
    assert to_jwk(RSA)["d"] not in shown
