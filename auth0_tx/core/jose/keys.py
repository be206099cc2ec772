"""The public keys of a JSON Web Key Set (RFC 7517) that may check a signature.

What may not be used is left out here, once, so that checking a token is a look-up: keys
of other kinds, keys for encryption, weak keys, keys whose points are on no curve.
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

None of them is symmetric: a key that is published signs nothing.
"""

MAX_KEYS = 100
"""Usable keys that are kept of one document; Auth0 publishes two or three."""

MAX_TRIES = 8
"""Keys that are tried for one token, where its ``kid`` does not single one out."""

# RFC 7518 3.3: 2048 bits or larger.  The upper bound is where OpenSSL stops checking.
_RSA_BITS = range(2_048, 16_384 + 1)
_LARGEST_EXPONENT = 2**64

# CVE-2017-15361 (ROCA): each factor of a key made by the faulty generator is, modulo
# every one of these primes, a power of 65537, and so is their product.  A sound modulus
# passes for such a product once in some hundred million.
_ROCA_PRIMES = (11, 13, 17, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_ROCA = [(p, frozenset(pow(65_537, i, p) for i in range(p))) for p in _ROCA_PRIMES]

# What is not in the alphabet of RFC 4648 section 5 becomes what is in none.
_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/???")

# The characters without spare bits, by the length of the last group (RFC 4648 3.5).
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
        """Tell whether a token that names *kid*, or no key, may find its key here."""
        return self._size > 0 if kid is None else kid in self.ids

    def find(self, kid: str | None, algorithm: str) -> tuple[PublicKey, ...]:
        """Give the keys to try for a token: those named *kid*, or any for None."""
        return self._fitting.get((kid, algorithm), ())


def read_jwks(document: object) -> KeySet:
    """Read a JWKS document, leaving out every key that may not check a signature.

    Args:
        document: the parsed JSON.

    Raises:
        SigningKeyError: *document* is not a key set at all (RFC 7517 section 5).
    """
    key_set = load_jwks(document)
    # A careless document has private keys, and a traceback that shows locals must not.
    del document
    if isinstance(key_set, SigningKeyError):
        raise key_set
    return key_set


def load_jwks(document: object) -> KeySet | SigningKeyError:
    """Do as :func:`read_jwks` does, and return the error instead of raising it."""
    entries = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        return SigningKeyError(_NOT_A_KEY_SET)
    ids: set[str] = set()
    fitting: dict[tuple[str | None, str], tuple[PublicKey, ...]] = {}
    size = 0
    # RFC 7517 5: keys that are not understood SHOULD be ignored, not fail the set.
    for kid, algorithms, key in islice(_read_keys(entries), MAX_KEYS):
        size += 1
        if kid is not None:
            ids.add(kid)
        for algorithm in algorithms:
            # A key that has a name also serves a token that names none.
            for name in {kid, None}:
                held = fitting.get((name, algorithm), ())
                fitting[name, algorithm] = (*held, key)[:MAX_TRIES]
    return KeySet(frozenset(ids), size, fitting)


def decode_base64url(text: str) -> bytes | None:
    """Decode base64url as RFC 7515 section 2 has it: unpadded, and in one way only."""
    spare = len(text) % 4
    padded = text.encode("ascii", "replace").translate(_TO_BASE64) + b"=="[: -spare % 4]
    try:
        octets = a2b_base64(padded, strict_mode=True)
    except ValueError:
        return None
    # RFC 4648 3.5: spare bits are zero, or many texts would stand for the same octets.
    return octets if not spare or text[-1] in _LAST[spare] else None


def _read_keys(
    entries: list[Any],
) -> Iterator[tuple[str | None, frozenset[str], PublicKey]]:
    for entry in entries:
        if not isinstance(entry, Mapping) or not _may_verify(entry):
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
        # RFC 7517 4.2: what a key for encryption signs is not meant to be believed.
        entry.get("use", "sig") == "sig"
        # RFC 7517 4.3.
        and isinstance(operations, list)
        and "verify" in operations
        # RFC 7517 4.4 and 4.5: strings, where they are there.
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
    # RFC 7518 6.4: an "oct" key is a secret, whatever it does in a published document.
    return None


def _read_rsa(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    modulus = int.from_bytes(_octets(entry, "n"), "big")
    exponent = int.from_bytes(_octets(entry, "e"), "big")
    if modulus.bit_length() not in _RSA_BITS or modulus % 2 == 0:
        return None
    # RFC 8017 3.1: odd and at least 3.  With 1, every message is its own signature.
    if exponent % 2 == 0 or not 3 <= exponent < _LARGEST_EXPONENT:
        return None
    if all(modulus % prime in powers for prime, powers in _ROCA):
        return None
    members = {"kty": "RSA", "n": entry["n"], "e": entry["e"]}
    return RSAKey.import_key(members), RSA_ALGORITHMS


def _read_ec(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    curve = entry.get("crv")
    if not isinstance(curve, str) or curve not in _CURVES:
        return None
    algorithm, length = _CURVES[curve]
    # RFC 7518 6.2.1.2: the length MUST be the full size of a coordinate.
    if len(_octets(entry, "x")) != length or len(_octets(entry, "y")) != length:
        return None
    members = {"kty": "EC", "crv": curve, "x": entry["x"], "y": entry["y"]}
    try:
        return ECKey.import_key(members), frozenset((algorithm,))
    except ValueError:
        # The point is not on its curve.
        return None


def _read_okp(entry: Mapping[str, Any]) -> tuple[PublicKey, frozenset[str]] | None:
    # RFC 8037 2: the other curves of this kind are not for signatures, or not in use.
    if entry.get("crv") != "Ed25519" or len(_octets(entry, "x")) != 32:
        return None
    members = {"kty": "OKP", "crv": "Ed25519", "x": entry["x"]}
    return OKPKey.import_key(members), frozenset(("EdDSA",))


def _octets(entry: Mapping[str, Any], name: str) -> bytes:
    text = entry.get(name)
    return (decode_base64url(text) if isinstance(text, str) else None) or b""
