"""Which keys of a JWKS document may verify a signature, and how they are found."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from auth0_tx.core.jose.keys import (
    ALGORITHMS,
    MAX_KEYS,
    MAX_TRIES,
    decode_base64url,
    read_jwks,
)
from auth0_tx.errors import SigningKeyError
from tests.core.exposure import collect_texts
from tests.core.vectors_tokens import (
    ED25519,
    P256,
    P384,
    P521,
    RSA,
    build_key_set,
    encode,
    to_public_jwk,
)

MODULUS = RSA.public_key.public_numbers().n


def to_base64url(value: int) -> str:
    """Encode *value* as a JWK does (RFC 7518 section 2)."""
    return encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def build_roca_modulus() -> int:
    """Return a number of 2048 bits with the mark of the faulty generator."""
    product = 1
    for prime in range(2, 168):
        if all(prime % divisor for divisor in range(2, prime)):
            product *= prime
    largest = 2**2048 // product - 1
    return largest * product + pow(65_537, 1_234_567, product)


USABLE = {
    "RSA": (to_public_jwk(RSA), "RS256"),
    "RSA with a leading zero octet": (
        to_public_jwk(RSA, n=encode(b"\0" + MODULUS.to_bytes(256, "big"))),
        "PS512",
    ),
    "RSA with exponent 3": (to_public_jwk(RSA, e="Aw"), "RS256"),
    "P-256": (to_public_jwk(P256), "ES256"),
    "P-384": (to_public_jwk(P384), "ES384"),
    "P-521": (to_public_jwk(P521), "ES512"),
    "Ed25519": (to_public_jwk(ED25519), "EdDSA"),
    "for signatures": (to_public_jwk(RSA, use="sig", key_ops=["verify"]), "RS256"),
    "with certificates": (
        to_public_jwk(RSA, x5c=["MII"], x5t="AA", x5u="https://evil.example/"),
        "RS256",
    ),
}

UNUSABLE: dict[str, Any] = {
    "no object": "RSA",
    "null": None,
    "null members alone": {"kty": None, "n": None, "e": None},
    "n that is null": to_public_jwk(RSA, n=None),
    "crv that is null": to_public_jwk(P256, crv=None),
    "no kty": {"n": "AQAB", "e": "AQAB"},
    "unknown kty": to_public_jwk(RSA, kty="LWE"),
    "kty in another case": to_public_jwk(RSA, kty="rsa"),
    "kty that is not a string": to_public_jwk(RSA, kty=["RSA"]),
    "symmetric": {"kty": "oct", "k": encode(b"k" * 32)},
    "private RSA": RSA.as_dict(private=True),
    "private EC": P256.as_dict(private=True),
    "private Ed25519": ED25519.as_dict(private=True),
    "for encryption": to_public_jwk(RSA, use="enc"),
    "use that is not a string": to_public_jwk(RSA, use=["sig"]),
    "for signing only": to_public_jwk(RSA, key_ops=["sign"]),
    "for nothing": to_public_jwk(RSA, key_ops=[]),
    "key_ops that is not a list": to_public_jwk(RSA, key_ops="verify"),
    "kid that is not a string": to_public_jwk(RSA, kid=7),
    "alg that is not a string": to_public_jwk(RSA, alg=["RS256"]),
    "alg of another kind of key": to_public_jwk(RSA, alg="ES256"),
    "alg that is symmetric": to_public_jwk(RSA, alg="HS256"),
    "alg for encryption": to_public_jwk(RSA, alg="RSA-OAEP"),
    "no n": {"kty": "RSA", "e": "AQAB"},
    "no e": {"kty": "RSA", "n": to_base64url(MODULUS)},
    "n that is not a string": to_public_jwk(RSA, n=MODULUS),
    "n that is padded": to_public_jwk(RSA, n=to_base64url(MODULUS) + "=="),
    "n that is not base64url": to_public_jwk(RSA, n="+" * 342),
    "RSA of 2047 bits": to_public_jwk(RSA, n=to_base64url(2**2046 + 1)),
    "RSA of 1024 bits": to_public_jwk(RSA, n=to_base64url(2**1023 + 1)),
    "RSA of 16385 bits": to_public_jwk(RSA, n=to_base64url(2**16_384 + 1)),
    "even modulus": to_public_jwk(RSA, n=to_base64url(MODULUS - 1)),
    "exponent 0": to_public_jwk(RSA, e="AA"),
    "exponent 1": to_public_jwk(RSA, e="AQ"),
    "exponent 2": to_public_jwk(RSA, e="Ag"),
    "even exponent": to_public_jwk(RSA, e=to_base64url(65_536)),
    "exponent of 65 bits": to_public_jwk(RSA, e=to_base64url(2**64 + 1)),
    "ROCA": to_public_jwk(RSA, n=to_base64url(build_roca_modulus())),
    "off its curve": to_public_jwk(P256, y=encode(b"\1" * 32)),
    "on another curve": to_public_jwk(P256, crv="P-384"),
    "secp256k1": to_public_jwk(ECKey.generate_key("secp256k1")),
    "crv that is not a string": to_public_jwk(P256, crv=["P-256"]),
    "no x": {"kty": "EC", "crv": "P-256", "y": encode(b"\1" * 32)},
    "no y": {"kty": "EC", "crv": "P-256", "x": encode(b"\1" * 32)},
    "x one octet too long": to_public_jwk(
        P256,
        x=encode(b"\0" + decode_base64url(str(P256["x"]))),  # type: ignore[operator]
    ),
    "y one octet too short": to_public_jwk(P256, y=encode(b"\1" * 31)),
    "ES512 named after its curve": to_public_jwk(P521, alg="ES521"),
    "Ed448": to_public_jwk(OKPKey.generate_key("Ed448")),
    "X25519": to_public_jwk(OKPKey.generate_key("X25519")),
    "Ed25519 of 31 octets": to_public_jwk(ED25519, x=encode(b"\1" * 31)),
    "Ed25519 without x": {"kty": "OKP", "crv": "Ed25519"},
}


@pytest.mark.parametrize(("entry", "algorithm"), USABLE.values(), ids=USABLE)
def test_good_key(entry: dict[str, Any], algorithm: str) -> None:
    """A sound public key for signatures is kept, for the algorithms of its kind."""
    keys = read_jwks(build_key_set({**entry, "kid": "k"}))

    assert 1 == len(keys)
    assert 1 == len(keys.find("k", algorithm))


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_key(entry: object) -> None:
    """A key that is malformed, weak or not for signatures leaves the others usable."""
    keys = read_jwks({"keys": [entry, to_public_jwk(P384, kid="good")]})

    assert 1 == len(keys)
    assert frozenset({"good"}) == keys.ids
    assert 1 == len(keys.find("good", "ES384"))


@pytest.mark.parametrize(
    "document",
    [None, [], "keys", 7, {}, {"keys": None}, {"keys": {}}, {"keys": "RSA"}],
    ids=repr,
)
def test_no_key_set(document: object) -> None:
    """Anything but an object with a list of keys is refused as a whole."""
    with pytest.raises(SigningKeyError) as refused:
        read_jwks(document)

    assert "list of keys" in refused.value.message


def test_empty_key_set() -> None:
    """An empty list of keys is a key set that fits no token."""
    keys = read_jwks({"keys": []})

    assert 0 == len(keys)
    assert frozenset() == keys.ids
    assert not keys.has(None)
    assert () == keys.find(None, "RS256")


OPTIONAL = ["use", "key_ops", "alg", "kid", "x5c", "x5t", "x5t#S256", "x5u", "d", "oth"]


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("key", [RSA, P256, ED25519], ids=["RSA", "EC", "OKP"])
def test_null_member(key: Any, name: str) -> None:
    """An optional member that is null is absent."""
    entry = {"kid": "k", **to_public_jwk(key)}
    absent = {other: value for other, value in entry.items() if other != name}

    assert list_findable(absent) == list_findable({**entry, name: None})
    assert list_findable(absent)


def list_findable(entry: dict[str, Any]) -> list[tuple[str | None, str]]:
    """Return the names and algorithms that a key set of *entry* alone has a key for."""
    keys = read_jwks({"keys": [entry]})
    return [
        (kid, algorithm)
        for kid in (entry.get("kid"), None)
        for algorithm in sorted(ALGORITHMS)
        if keys.find(kid, algorithm)
    ]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([*OPTIONAL, "kty", "n", "e", "crv", "x", "y", "k"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=3)
            | st.lists(st.none() | st.text(max_size=3), max_size=2)
            | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "sig", "AQAB"]),
        ).map(lambda changes: {**to_public_jwk(RSA, kid="k"), **changes})
    )
)
def test_any_members(entries: list[dict[str, Any]]) -> None:
    """Whatever a key's members are, it is kept or passed over, and null means absent."""
    absent = [
        {name: value for name, value in entry.items() if value is not None}
        for entry in entries
    ]
    keys, same = read_jwks({"keys": entries}), read_jwks({"keys": absent})

    assert (keys.ids, len(keys)) == (same.ids, len(same))


def test_alg_narrows() -> None:
    """A key that names its algorithm is for no other."""
    keys = read_jwks(build_key_set(to_public_jwk(RSA, kid="k", alg="PS256")))

    assert {"PS256"} == {name for name in ALGORITHMS if keys.find("k", name)}


def test_no_algorithm_is_symmetric() -> None:
    """Only signatures with a key pair are known."""
    expected = {
        f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)
    }

    assert expected | {"EdDSA"} == ALGORITHMS


def test_find_by_name() -> None:
    """A key is found by its own name and by none, and not by another's."""
    keys = read_jwks(
        build_key_set(to_public_jwk(RSA, kid="a"), to_public_jwk(P256, kid="b"))
    )

    assert frozenset({"a", "b"}) == keys.ids
    assert keys.find("a", "RS256") == keys.find(None, "RS256")
    assert () == keys.find("b", "RS256")
    assert () == keys.find("c", "RS256")
    assert (True, False, True) == (keys.has("a"), keys.has("c"), keys.has(None))


def test_key_without_name() -> None:
    """A key without a name serves only tokens that name no key."""
    entry = {name: value for name, value in to_public_jwk(RSA).items() if name != "kid"}
    keys = read_jwks(build_key_set(entry))

    assert frozenset() == keys.ids
    assert 1 == len(keys.find(None, "RS256"))
    assert () == keys.find("", "RS256")


def test_keys_of_one_name() -> None:
    """Keys that share a name are all candidates, in the order of the document."""
    keys = read_jwks(
        build_key_set(to_public_jwk(RSA, kid="a"), to_public_jwk(RSA, kid="a", e="Aw"))
    )

    assert [65_537, 3] == [
        key.public_key.public_numbers().e
        for key in keys.find("a", "RS256")
        if isinstance(key, RSAKey)
    ]


def test_few_candidates() -> None:
    """However many keys fit a token, only a few are tried."""
    keys = read_jwks(
        build_key_set(*[to_public_jwk(ED25519, kid="a")] * (MAX_TRIES + 1))
    )

    assert MAX_TRIES + 1 == len(keys)
    assert MAX_TRIES == len(keys.find("a", "EdDSA"))
    assert MAX_TRIES == len(keys.find(None, "EdDSA"))


def test_many_keys() -> None:
    """Of a document of any size a hundred usable keys are kept."""
    entries = [to_public_jwk(ED25519, kid=str(n)) for n in range(MAX_KEYS + 50)]
    keys = read_jwks({"keys": [None] * 50 + entries})

    assert 100 == MAX_KEYS == len(keys)
    assert keys.has(str(MAX_KEYS - 1))
    assert not keys.has(str(MAX_KEYS))


def test_published_private_key() -> None:
    """A private key in a document is nowhere in the error that refuses it."""
    secret = str(RSA.as_dict(private=True)["d"])

    with pytest.raises(SigningKeyError) as refused:
        read_jwks({"keys": {"0": {"kty": "RSA", "d": secret}}})

    assert secret not in collect_texts(refused.value)


def test_key_set_prints_its_names_only() -> None:
    """A key set in a log line shows which keys it has, and not their numbers."""
    assert "frozenset({'a'})" in repr(
        read_jwks(build_key_set(to_public_jwk(RSA, kid="a")))
    )
    assert "RSAKey" not in repr(read_jwks(build_key_set(to_public_jwk(RSA, kid="a"))))


@given(st.binary(max_size=100))
def test_base64url(octets: bytes) -> None:
    """Octets that are encoded without padding decode to themselves."""
    assert octets == decode_base64url(encode(octets))


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA=",
        "AA==",
        "=",
        "AB",
        "AAB",
        "A A",
        "AA\n",
        "A+A",
        "AA/_",
        "ÄÄ",
        "\ud800",
    ],
    ids=ascii,
)
def test_other_base64(text: str) -> None:
    """Padding, spare bits, white space and other alphabets are refused."""
    assert decode_base64url(text) is None


@given(st.text(max_size=12))
def test_base64url_has_one_form(text: str) -> None:
    """No two texts decode to the same octets."""
    octets = decode_base64url(text)

    assert octets is None or text == encode(octets)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    ["kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "d"]
)


@given(JSON)
def test_any_document(document: object) -> None:
    """Any JSON value is a key set or refused, and nothing else is raised."""
    try:
        keys = read_jwks(document)
    except SigningKeyError:
        return

    assert 0 == len(keys)


@given(
    st.sampled_from(
        [
            to_public_jwk(RSA),
            to_public_jwk(P256),
            to_public_jwk(P521),
            to_public_jwk(ED25519),
        ]
    ),
    st.dictionaries(MEMBERS, JSON, min_size=1, max_size=3),
)
def test_any_member(entry: dict[str, Any], members: dict[str, Any]) -> None:
    """Whatever a member of a key is, the key is usable or left out."""
    keys = read_jwks(build_key_set({**entry, **members}))

    assert len(keys) in (0, 1)
