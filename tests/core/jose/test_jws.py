"""Compact JWS: which signatures are valid, and which parts of a token are not believed."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from auth0_tx.core.jose.jws import (
    MAX_TOKEN_LENGTH,
    VerifiedJws,
    check_jws,
    key_id,
)
from auth0_tx.core.jose.keys import ALGORITHMS, decode_base64url, read_jwks
from auth0_tx.errors import IdTokenError, SigningKeyError
from auth0_tx.secret import SecretStr
from tests.core.exposure import collect_texts
from tests.core.vectors_tokens import (
    ED25519,
    OTHER_RSA,
    P256,
    P384,
    P521,
    RSA,
    SIGNERS,
    build_key_set,
    encode,
    sign,
    to_public_jwk,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors_jose.json").read_bytes())

JWKS = build_key_set(
    to_public_jwk(RSA, kid="a"),
    to_public_jwk(P256, kid="b"),
    to_public_jwk(ED25519, kid="c"),
)
TOKEN = sign({"alg": "RS256", "kid": "a"}, b'{"sub":"somebody"}')
HEAD, BODY, SIGNATURE = TOKEN.split(".")


def verify(
    token: str, jwks: dict[str, Any] = JWKS, *, algorithms: Any = ALGORITHMS
) -> bytes:
    """Verify *token* with the keys of *jwks*; return its payload."""
    verified = check_jws(token, read_jwks(jwks), algorithms)
    assert isinstance(verified, VerifiedJws), verified
    return verified.payload


def find_error(
    token: Any, jwks: dict[str, Any] = JWKS, algorithms: Any = ALGORITHMS
) -> IdTokenError:
    """Return the error that *token* is refused with."""
    error = check_jws(token, read_jwks(jwks), algorithms)
    assert isinstance(error, IdTokenError)
    return error


@pytest.mark.parametrize(
    "vector", VECTORS, ids=[str(vector["source"]) for vector in VECTORS]
)
def test_published_vector(vector: dict[str, Any]) -> None:
    """The RFCs' own examples verify, except those without a signature or with a shared key."""
    jwks = build_key_set(vector["key"])

    if vector["payload"] is None:
        assert find_error(vector["token"], jwks)
    else:
        payload = verify(vector["token"], jwks, algorithms=ALGORITHMS)
        assert vector["payload"] == payload.decode()


@pytest.mark.parametrize(("algorithm", "key"), SIGNERS.items(), ids=SIGNERS)
def test_algorithm(algorithm: str, key: Any) -> None:
    """Every algorithm that is known is checked with a key of its kind."""
    token = sign({"alg": algorithm, "kid": "k"}, b"said", key)
    jwks = build_key_set(to_public_jwk(key, kid="k"))

    assert b"said" == verify(token, jwks, algorithms=[algorithm])


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_algorithm_not_listed(algorithm: str) -> None:
    """A good signature by an algorithm that the caller did not list is refused."""
    key = SIGNERS[algorithm]
    token = sign({"alg": algorithm, "kid": "k"}, b"said", key)

    others = ALGORITHMS - {algorithm}
    assert (
        "accepted"
        in find_error(token, build_key_set(to_public_jwk(key, kid="k")), others).message
    )


def test_no_algorithm_listed() -> None:
    """If no algorithm is listed, every token is refused."""
    assert "accepted" in find_error(TOKEN, algorithms=()).message


def test_algorithm_listed_as_text() -> None:
    """A string in the place of a list is one name, and no part of it is another."""
    assert verify(TOKEN, algorithms="RS256")
    assert "accepted" in find_error(TOKEN, algorithms="PS256 RS256").message


@pytest.mark.parametrize(
    "algorithm",
    [
        "none",
        "None",
        "NONE",
        "noNE",
        "",
        "rs256",
        "RS256 ",
        "RS1",
        256,
        None,
        ["RS256"],
    ],
    ids=repr,
)
def test_alg_that_is_none(algorithm: object) -> None:
    """A token cannot say that it has no signature, or name an unknown algorithm."""
    head = encode(json.dumps({"alg": algorithm, "kid": "a"}).encode())
    listed = [*ALGORITHMS, "none", "None", "NONE", "noNE", ""]

    assert "accepted" in find_error(f"{head}.{BODY}.", algorithms=listed).message
    assert (
        "accepted"
        in find_error(f"{head}.{BODY}.{SIGNATURE}", algorithms=listed).message
    )


def test_no_alg() -> None:
    """A header without alg does not say how to check it."""
    assert "accepted" in find_error(f"{encode(b'{}')}.{BODY}.{SIGNATURE}").message


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["JWK", "PEM", "DER", "modulus"])
def test_public_key_as_secret(algorithm: str, form: str) -> None:
    """Published octets never serve as a shared key, even where HS is listed."""
    secret = {
        "JWK": json.dumps(to_public_jwk(RSA, kid="a")).encode(),
        "PEM": RSA.as_pem(),
        "DER": RSA.public_key.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ),
        "modulus": str(RSA["n"]).encode(),
    }[form]
    message = encode(json.dumps({"alg": algorithm, "kid": "a"}).encode()) + "." + BODY
    mac = hmac.digest(secret, message.encode(), f"sha{algorithm[2:]}")

    token = f"{message}.{encode(mac)}"
    assert "accepted" in find_error(token, algorithms=[algorithm, "RS256"]).message


def test_shared_key_in_a_key_set() -> None:
    """A shared key that somebody published verifies nothing."""
    secret = b"k" * 32
    message = encode(b'{"alg":"HS256","kid":"s"}') + "." + BODY
    token = f"{message}.{encode(hmac.digest(secret, message.encode(), 'sha256'))}"
    jwks = build_key_set({"kty": "oct", "k": encode(secret), "kid": "s"})

    assert "accepted" in find_error(token, jwks, ["HS256"]).message


@pytest.mark.parametrize(
    "members",
    [
        {"jwk": to_public_jwk(OTHER_RSA)},
        {"jwk": to_public_jwk(OTHER_RSA), "kid": "a"},
        {"jku": "https://evil.example/jwks.json", "kid": "a"},
        {"x5u": "https://evil.example/cert.pem", "kid": "a"},
        {"x5c": ["MII"], "kid": "a"},
    ],
    ids=lambda members: "+".join(members),
)
def test_key_in_the_header(members: dict[str, Any]) -> None:
    """A token that brings its own key is verified with the tenant's."""
    forged = sign({"alg": "RS256", **members}, b"said", OTHER_RSA)
    genuine = sign({"alg": "RS256", **members}, b"said", RSA)

    assert "signature" in find_error(forged).message
    assert b"said" == verify(genuine, algorithms=["RS256"])


@pytest.mark.parametrize(
    "members",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": None},
        {"crit": "alg"},
        {"b64": False},
        {"b64": True},
    ],
    ids=repr,
)
def test_extension(members: dict[str, Any]) -> None:
    """A header that asks for an extension is refused: none is understood."""
    assert "extension" in find_error(sign({"alg": "RS256", **members})).message


def test_unencoded_payload() -> None:
    """A payload that was signed as it stands (RFC 7797) is refused."""
    head = encode(b'{"alg":"RS256","b64":false,"crit":["b64"],"kid":"a"}')
    signature = sign(b'{"alg":"RS256"}').rpartition(".")[2]

    assert "extension" in find_error(f"{head}.$02.{signature}").message


WRONG_KEYS = {
    "RSA of 1024 bits": (RSAKey, 1_024, "RS256", {}),
    "for encryption": (RSAKey, 2_048, "RS256", {"use": "enc"}),
    "not for verifying": (RSAKey, 2_048, "RS256", {"key_ops": ["encrypt"]}),
    "for another algorithm": (RSAKey, 2_048, "RS256", {"alg": "PS256"}),
    "for its curve's name": (ECKey, "P-521", "ES512", {"alg": "ES521"}),
    "Ed448": (OKPKey, "Ed448", "EdDSA", {}),
}


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(
    ("kind", "size", "algorithm", "members"), WRONG_KEYS.values(), ids=WRONG_KEYS
)
def test_key_that_may_not_verify(
    kind: Any, size: Any, algorithm: str, members: dict[str, Any]
) -> None:
    """A good signature by a key that must not make it is refused."""
    key = kind.generate_key(size)
    token = sign({"alg": algorithm, "kid": "k"}, b"said", key)

    error = find_error(token, build_key_set(to_public_jwk(key, kid="k", **members)))
    assert isinstance(error, SigningKeyError)


def test_curve_of_another_algorithm() -> None:
    """ES256 is P-256 only: a key of another curve does not fit."""
    token = sign({"alg": "ES256", "kid": "k"}, b"said", P256)

    for key in (P384, P521):
        assert isinstance(
            find_error(token, build_key_set(to_public_jwk(key, kid="k"))),
            SigningKeyError,
        )


def test_key_of_another_kind() -> None:
    """A kid that belongs to a key of another kind finds no key."""
    token = sign({"alg": "RS256", "kid": "b"})

    assert isinstance(find_error(token), SigningKeyError)


def test_unknown_key() -> None:
    """A token that names an unknown key may be valid once newer keys are fetched."""
    error = find_error(sign({"alg": "RS256", "kid": "next"}))

    assert isinstance(error, SigningKeyError)
    assert "signing_key_unavailable" == error.code


def test_no_keys_at_all() -> None:
    """An empty key set has no key for a token."""
    assert isinstance(find_error(TOKEN, {"keys": []}), SigningKeyError)


def test_same_name_twice() -> None:
    """Two keys of one name are both tried, whichever comes first."""
    first, second = to_public_jwk(OTHER_RSA, kid="a"), to_public_jwk(RSA, kid="a")

    for jwks in build_key_set(first, second), build_key_set(second, first):
        assert verify(TOKEN, jwks, algorithms=["RS256"])


def test_no_kid() -> None:
    """A token that names no key is verified with any key that fits its alg."""
    token = sign({"alg": "RS256"}, b"said")

    for jwks in (
        build_key_set(to_public_jwk(RSA)),
        build_key_set(
            to_public_jwk(P256, kid="b"),
            to_public_jwk(OTHER_RSA, kid="o"),
            to_public_jwk(RSA, kid="a"),
        ),
    ):
        assert b"said" == verify(token, jwks, algorithms=["RS256"])
    assert (
        "signature"
        in find_error(token, build_key_set(to_public_jwk(OTHER_RSA))).message
    )


def test_no_kid_and_many_keys() -> None:
    """A token that names no key is tried with eight keys and no more."""
    token = sign({"alg": "RS256"}, b"said")
    others = [to_public_jwk(OTHER_RSA)] * 8

    assert verify(
        token, build_key_set(*others[:7], to_public_jwk(RSA)), algorithms=["RS256"]
    )
    assert (
        "signature"
        in find_error(token, build_key_set(*others, to_public_jwk(RSA))).message
    )


@pytest.mark.parametrize(
    "kid",
    ["", "' OR 1=1 --", "../../etc/passwd", "a\r\nb", "\u0000", "k" * 30_000, "ключ"],
    ids=lambda kid: ascii(kid)[:20],
)
def test_odd_kid(kid: str) -> None:
    """A kid is a name to look up and nothing else."""
    token = sign({"alg": "RS256", "kid": kid}, b"said")

    assert isinstance(find_error(token), SigningKeyError)
    jwks = build_key_set(to_public_jwk(RSA, kid=kid))
    assert b"said" == verify(token, jwks, algorithms=["RS256"])


@pytest.mark.parametrize("kid", [7, None, True, ["a"], {"a": "a"}], ids=repr)
def test_kid_that_is_no_string(kid: object) -> None:
    """A kid that is not a string is refused, whatever keys there are."""
    error = find_error(sign({"alg": "RS256", "kid": kid}))

    assert "kid" in error.message
    assert not isinstance(error, SigningKeyError)


MALFORMED = {
    "nothing": "",
    "no string": None,
    "octets": TOKEN.encode(),
    "one part": HEAD,
    "two parts": f"{HEAD}.{BODY}",
    "four parts": f"{TOKEN}.",
    "five parts": f"{TOKEN}.{BODY}.{SIGNATURE}",
    "dots": "..",
    "no header": f".{BODY}.{SIGNATURE}",
    "no payload": f"{HEAD}..{SIGNATURE}",
    "no signature": f"{HEAD}.{BODY}.",
    "space before": f" {TOKEN}",
    "space after": f"{TOKEN} ",
    "newline after": f"{TOKEN}\n",
    "newline within": f"{HEAD}.{BODY[:9]}\n{BODY[9:]}.{SIGNATURE}",
    "padded header": f"{HEAD}=.{BODY}.{SIGNATURE}",
    "padded payload": f"{HEAD}.{BODY}==.{SIGNATURE}",
    "padded signature": f"{HEAD}.{BODY}.{SIGNATURE}==",
    "plain base64": f"{HEAD}.{BODY}.+{SIGNATURE[1:]}",
    "not ASCII": f"{HEAD}.{BODY}.Ä{SIGNATURE[1:]}",
    "half a surrogate pair": f"{HEAD}.\ud800.{SIGNATURE}",
    "NUL": f"{HEAD}.{BODY}.\0{SIGNATURE}",
    "JSON, flattened": json.dumps(
        {"protected": HEAD, "payload": BODY, "signature": SIGNATURE}
    ),
    "JSON, general": json.dumps(
        {"payload": BODY, "signatures": [{"protected": HEAD, "signature": SIGNATURE}]}
    ),
    "JSON with dots": '{"payload":"a.b.c"}',
}


@pytest.mark.parametrize("token", MALFORMED.values(), ids=MALFORMED)
def test_malformed_token(token: Any) -> None:
    """Only three parts of canonical base64url are a token."""
    error = find_error(token)

    assert not isinstance(error, SigningKeyError)
    assert "invalid_id_token" == error.code


@pytest.mark.parametrize("part", range(3))
def test_padded_part(part: int) -> None:
    """No part of a token is padded, not even the one that is not signed."""
    parts = TOKEN.split(".")
    parts[part] += "="

    assert "base64url" in find_error(".".join(parts)).message


def test_spare_bits() -> None:
    """The spare bits of the last character are not free to be changed."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(TOKEN[-1]) ^ 1]

    assert "base64url" in find_error(TOKEN[:-1] + last).message


HEADERS = {
    "no JSON": b"alg",
    "empty": b"",
    "a list": b'["alg"]',
    "a string": b'"RS256"',
    "null": b"null",
    "two alg": b'{"alg":"none","alg":"RS256"}',
    "two kid": b'{"alg":"RS256","kid":"x","kid":"a"}',
    "nested doubles": b'{"alg":"RS256","jwk":{"kty":"RSA","kty":"oct"}}',
    "NaN": b'{"alg":"RS256","x":NaN}',
    "too large a number": b'{"alg":"RS256","x":1e400}',
    "5,000 digits": b'{"alg":"RS256","x":' + b"9" * 5_000 + b"}",
    "deep lists": b'{"alg":"RS256","x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "deep objects": b'{"x":' * 8_000 + b"1" + b"}" * 8_000,
    "not UTF-8": b'{"alg":"RS256","x":"\xff"}',
    "UTF-16": '{"alg":"RS256"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"alg":"RS256"}',
    "half a surrogate pair": b'{"alg":"RS256","kid":"\\ud800"}',
}

NO_OBJECT = [HEADERS[name] for name in ("a list", "a string", "null")]


@pytest.mark.parametrize("octets", HEADERS.values(), ids=HEADERS)
def test_malformed_header(octets: bytes) -> None:
    """A header that two readers could read differently is refused, signed or not."""
    token = sign(octets, b"said", RSA, "RS256")

    message = find_error(token).message
    assert "the token's header " == message[:19]
    assert ("is not an object" in message) is (octets in NO_OBJECT)
    assert key_id(token) is None


def test_token_of_any_length() -> None:
    """A token over 64 KiB is refused before any of it is read."""
    longest = sign({"alg": "RS256", "kid": "a"}, b" " * 48_000)
    spare = MAX_TOKEN_LENGTH - len(longest)

    assert 65_536 == MAX_TOKEN_LENGTH
    assert b" " * 48_000 == verify(longest, algorithms=["RS256"])
    assert "base64url" in find_error(longest + "=" * spare).message
    assert "longer" in find_error(longest + "=" * (spare + 1)).message
    assert "longer" in find_error("." * 10_000_000).message


def test_changed_token() -> None:
    """A token that lost or changed anything is refused."""
    payload = encode(b'{"sub":"nobody"}')
    head = encode(b'{"alg":"RS512","kid":"a"}')

    for token in (
        f"{HEAD}.{payload}.{SIGNATURE}",
        f"{HEAD}..{SIGNATURE}",
        f"{head}.{BODY}.{SIGNATURE}",
        f"{HEAD}.{BODY}.",
        f"{HEAD}.{BODY}.{SIGNATURE[:-4]}",
        f"{HEAD}.{BODY}.{SIGNATURE[4:]}",
        f"{HEAD}.{BODY}.AAAA{SIGNATURE}",
        f"{HEAD}.{BODY}.{SIGNATURE[::-1]}",
        sign({"alg": "RS256", "kid": "a"}, b"said", OTHER_RSA),
    ):
        assert isinstance(find_error(token), IdTokenError)


def test_empty_payload() -> None:
    """An empty payload can be signed too, and comes back empty."""
    token = sign({"alg": "RS256", "kid": "a"}, b"")

    assert b"" == verify(token, algorithms=["RS256"])


def test_ecdsa_signature_form() -> None:
    """An ECDSA signature is two numbers of the curve's length, and not DER."""
    token = sign({"alg": "ES256", "kid": "b"}, b"said", P256)
    message, _, signature = token.rpartition(".")
    assert P256.private_key is not None
    der = P256.private_key.sign(message.encode(), ECDSA(SHA256()))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

    assert verify(token, algorithms=["ES256"])
    for octets in (
        der,
        b"",
        b"\0" * 64,
        b"\0" * 96,
        b"\xff" * 64,
        order.to_bytes(32, "big") * 2,
    ):
        assert "signature" in find_error(f"{message}.{encode(octets)}").message
    assert "signature" in find_error(f"{message}.AAAA{signature}").message


def test_eddsa_signature_form() -> None:
    """An EdDSA signature has 64 octets."""
    message = sign({"alg": "EdDSA", "kid": "c"}, b"said", ED25519).rpartition(".")[0]

    for length in (0, 63, 64, 65):
        token = f"{message}.{encode(bytes(length))}"
        assert "signature" in find_error(token).message


@given(st.integers(0, 8 * 256 - 1))
def test_any_bit_of_a_signature(position: int) -> None:
    """No bit of a signature can be changed."""
    octets = bytearray(decode_base64url(SIGNATURE) or b"")
    octets[position // 8] ^= 1 << position % 8

    assert 256 == len(octets)
    assert "signature" in find_error(f"{HEAD}.{BODY}.{encode(bytes(octets))}").message


@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=255))
def test_any_character_of_a_token(position: int, character: str) -> None:
    """No character of a token can be changed."""
    token = TOKEN[:position] + character + TOKEN[position + 1 :]

    checked = check_jws(token, read_jwks(JWKS), ["RS256"])
    assert isinstance(checked, IdTokenError) is (token != TOKEN)


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\Z"))
def test_any_text(text: str) -> None:
    """Any text is refused with an ``IdTokenError``, and nothing is raised."""
    assert isinstance(find_error(text), IdTokenError)
    assert key_id(text) is None


@given(st.binary(max_size=200), st.binary(max_size=50), st.binary(max_size=80))
def test_any_octets(header: bytes, payload: bytes, signature: bytes) -> None:
    """Any octets in the three parts are refused, and nothing is raised."""
    token = ".".join(map(encode, (header, payload, signature)))

    assert isinstance(find_error(token), IdTokenError)


def test_key_id() -> None:
    """The key's name is read from a token before it is verified, and read only."""
    assert "a" == key_id(TOKEN)
    assert "a" == key_id(f"{HEAD}.{BODY}.forged")
    assert key_id(sign({"alg": "RS256"})) is None
    assert key_id(sign({"alg": "RS256", "kid": 7})) is None
    for token in MALFORMED.values():
        assert key_id(token) in (None, "a")  # type: ignore[arg-type]


def test_error_shows_nothing() -> None:
    """An error has no traceback, and shows no part of the token."""
    token = sign({"alg": "RS256", "kid": "hidden-key"}, b'{"sub":"hidden-subject"}')
    parts = [*token.split("."), "hidden-key", "hidden-subject"]
    texts = (token, token + "=", f"x{token}", SecretStr(token), token + ".")

    for jwks, algorithm in (
        (JWKS, "RS256"),
        (JWKS, "PS256"),
        (build_key_set(to_public_jwk(OTHER_RSA, kid="hidden-key")), "RS256"),
    ):
        for text in texts:
            error = find_error(text, jwks, [algorithm])
            assert [] == [part for part in parts if part in collect_texts(error)]
            assert error.__traceback__ is error.__cause__ is error.__context__ is None


def test_error_shows_no_private_key() -> None:
    """A private key that somebody published is not in the error either."""
    jwks = build_key_set(RSA.as_dict(private=True))

    shown = collect_texts(find_error(TOKEN, jwks))
    assert str(jwks["keys"][0]["d"]) not in shown


def test_header_and_payload() -> None:
    """A verified token is returned with its header, which says how it was signed."""
    verified = check_jws(TOKEN, read_jwks(JWKS), ["RS256"])

    assert ({"alg": "RS256", "kid": "a"}, b'{"sub":"somebody"}') == verified
