"""The public keys of a JSON Web Key Set (RFC 7517) that may verify a signature.

A key set is fetched rarely and used for every token, so the work is done when it is read:
each key is weighed once, imported once, and filed under its ``kid`` and every algorithm it
may serve.  Verifying a token then starts with one look-up.

A key that must not verify anything is passed over, as RFC 7517 section 5 asks, so that one
odd key does not make the others unusable.  Passed over are:

* other kinds of keys, above all symmetric ones: every reader of the document could sign;
* keys meant for something else by their ``use``, ``key_ops`` or ``alg``;
* keys whose private half is published with them;
* weak keys: RSA below 2,048 bits, small or even exponents, ROCA, points off their curve.

Two limits bound what a document can cost: :data:`MAX_KEYS` keys are kept, and
:data:`MAX_TRIES` are tried for one token.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

import attrs
from joserfc.jwk import ECKey, OKPKey, RSAKey

from ...errors import SigningKeyError

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey

RSA_ALGORITHMS = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"))

# RFC 7518 3.4 and 6.2.1.2: each algorithm has one curve, each coordinate one length.
_CURVES = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)}

ALGORITHMS = RSA_ALGORITHMS | {name for name, _ in _CURVES.values()} | {"EdDSA"}
"""Every algorithm a token may be signed with (RFC 7518 section 3.1, RFC 8037).

None of them is symmetric: a published key must not be able to sign.
"""

MAX_KEYS = 100
"""Usable keys kept from one document; Auth0 publishes two or three."""

MAX_TRIES = 8
"""Keys tried for one token if its ``kid`` does not single one out."""

# RFC 7518 3.3: 2048 bits or larger.  The upper bound is where OpenSSL stops checking.
_RSA_BITS = range(2_048, 16_384 + 1)
_LARGEST_EXPONENT = 2**64

# CVE-2017-15361 (ROCA): each factor of a key made by the faulty generator is, modulo
# every one of these primes, a power of 65537, and so is their product.  A sound modulus
# passes for such a product once in some hundred million.  The check takes 7 microseconds,
# a tenth of what importing the key takes.
_ROCA_PRIMES = (11, 13, 17, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA = [(p, frozenset(pow(65_537, i, p) for i in range(p))) for p in _ROCA_PRIMES]

# a2b_base64 knows the plain alphabet only.  Characters outside the URL-safe alphabet (RFC
# 4648 section 5) become "?", which is in neither, so that "+" and "/" are refused too.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/???")

# The last characters whose spare bits are zero, by the length of the last group (RFC 4648
# section 3.5).
_LAST = {2: "AQgw", 3: "AEIMQUYcgkosw048"}

_NOT_A_KEY_SET = "the key set is not an object with a list of keys (RFC 7517 section 5)"


@attrs.frozen(eq=False)
class KeySet:
    """The usable keys of one JWKS document; immutable, and safe to share.

    Attributes:
        ids: the ``kid`` of every usable key that has one.
    """

    ids: frozenset[str]
    _size: int
    _fitting: Mapping[tuple[str | None, str], tuple[PublicKey, ...]] = attrs.field(
        repr=False
    )

    def __len__(self) -> int:
        return self._size

    def has(self, kid: str | None) -> bool:
        """Return whether a token that names *kid*, or no key, may find its key here."""
        return self._size > 0 if kid is None else kid in self.ids

    def find(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """Return the keys to try: those named *kid*, or any for ``None``."""
        return self._fitting.get((kid, algorithm), ())


def read_jwks(document: object) -> KeySet:
    """Read a JWKS document, passing over every key that must not verify a signature.

    Args:
        document: the parsed JSON.

    Raises:
        SigningKeyError: *document* is not a key set at all (RFC 7517 section 5).
    """
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        # A misconfigured server may publish private keys, and error trackers show locals.
        del document, entries
        raise SigningKeyError(_NOT_A_KEY_SET)
    ids: set[str] = set()
    fitting: dict[tuple[str | None, str], tuple[PublicKey, ...]] = {}
    size = 0
    # RFC 7517 5: keys that are not understood SHOULD be ignored, not fail the set.
    for kid, algorithms, key in islice(_read_keys(entries), MAX_KEYS):
        size += 1
        if kid is not None:
            ids.add(kid)
        for algorithm in algorithms:
            # A key that has a name also serves a token that names none: RFC 7515 4.1.4
            # makes kid optional.
            for name in {kid, None}:
                candidates = fitting.get((name, algorithm), ())
                fitting[name, algorithm] = (*candidates, key)[:MAX_TRIES]
    return KeySet(frozenset(ids), size, fitting)


def decode_base64url(text: str) -> bytes | None:
    """Decode base64url (RFC 7515 section 2); return ``None`` if it is not canonical.

    Padding, line breaks and spare bits are refused: if two texts decoded to the same
    octets, a token could be altered without breaking its signature.
    """
    spare = len(text) % 4
    padded = text.encode("ascii", "replace").translate(_TO_BASE64) + b"=="[: -spare % 4]
    try:
        octets = a2b_base64(padded, strict_mode=True)
    except ValueError:
        return None
    # RFC 4648 3.5: a decoder MAY refuse spare bits that are not zero.  a2b_base64 does not.
    return octets if not spare or text[-1] in _LAST[spare] else None


def _read_keys(
    entries: list[Any],
) -> Iterator[tuple[str | None, frozenset[str], PublicKey]]:
    for members in entries:
        if not isinstance(members, Mapping):
            continue
        # Some servers write each optional member, as null where they have no value for it.
        entry = {name: value for name, value in members.items() if value is not None}
        if not _may_verify(entry):
            continue
        found = _read_key(entry)
        if found is None:
            continue
        key, algorithms = found
        if "alg" in entry:
            # RFC 7517 4.4: the algorithm intended for use with the key, and no other.
            algorithms &= {entry["alg"]}
        if algorithms:
            yield entry.get("kid"), algorithms, key


def _may_verify(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        # RFC 7517 4.2: a key with another use than "sig" is not meant for signatures.
        entry.get("use", "sig") == "sig"
        # RFC 7517 4.3: a list of the operations that the key is intended for.
        and isinstance(operations, list)
        and "verify" in operations
        # RFC 7517 4.4 and 4.5: both are optional, and strings.
        and isinstance(entry.get("alg", ""), str)
        and isinstance(entry.get("kid", ""), str)
        # A private key that is published proves nothing about who signed.
        and "d" not in entry
    )


def _read_key(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    kind = entry.get("kty")
    if kind == "RSA":
        return _read_rsa(entry)
    if kind == "EC":
        return _read_ec(entry)
    if kind == "OKP":
        return _read_okp(entry)
    # RFC 7518 6.4: an "oct" key is a secret, and a published secret proves nothing.
    return None


def _read_rsa(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    modulus = int.from_bytes(_decode_member(entry, "n"), "big")
    exponent = int.from_bytes(_decode_member(entry, "e"), "big")
    if modulus.bit_length() not in _RSA_BITS or modulus % 2 == 0:
        return None
    # RFC 8017 3.1: odd and at least 3.  With 1, every message is its own signature.
    if exponent % 2 == 0 or not 3 <= exponent < _LARGEST_EXPONENT:
        return None
    if all(modulus % prime in powers for prime, powers in _ROCA):
        return None
    # Only the members that make the key: joserfc would raise for another one that is
    # malformed, such as a number in x5c, and none of the others matters here.
    members = {"kty": "RSA", "n": entry["n"], "e": entry["e"]}
    return RSAKey.import_key(members), RSA_ALGORITHMS


def _read_ec(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    curve = entry.get("crv")
    if not isinstance(curve, str) or curve not in _CURVES:
        return None
    algorithm, length = _CURVES[curve]
    # RFC 7518 6.2.1.2: the length MUST be the full size of a coordinate.
    if any(len(_decode_member(entry, name)) != length for name in ("x", "y")):
        return None
    members = {"kty": "EC", "crv": curve, "x": entry["x"], "y": entry["y"]}
    try:
        return ECKey.import_key(members), frozenset((algorithm,))
    except ValueError:
        # The point is not on its curve: verifying with it would be meaningless.
        return None


def _read_okp(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    # RFC 8037 2: the other curves of this kind are not for signatures, or not in use.
    if entry.get("crv") != "Ed25519" or len(_decode_member(entry, "x")) != 32:
        return None
    members = {"kty": "OKP", "crv": "Ed25519", "x": entry["x"]}
    return OKPKey.import_key(members), frozenset(("EdDSA",))


def _decode_member(entry: Mapping[str, Any], name: str) -> bytes:
    """Decode a base64url member; return no octets, which fit no key, if it is malformed."""
    text = entry.get(name)
    return (decode_base64url(text) if isinstance(text, str) else None) or b""
