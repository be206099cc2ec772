"""The tenant's signing keys: current, next and not yet revoked, for each algorithm.

Private keys come from a supply, since making an RSA key costs up to a second and a
test suite starts hundreds of tenants.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, assert_never

from attrs import Factory, define, field, frozen
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from . import jwts

SigningAlgorithm = Literal["RS256", "RS384", "PS256", "PS384", "ES256", "ES384"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
DEFAULT_ALGORITHM: SigningAlgorithm = "RS256"
_Kind = Literal["RSA", "P-256", "P-384"]

_KINDS: Mapping[SigningAlgorithm, _Kind] = {
    "RS256": "RSA",
    "RS384": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "ES256": "P-256",
    "ES384": "P-384",
}


def _generate(kind: _Kind) -> PrivateKey:
    match kind:
        case "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            assert_never(kind)


class KeySupply:
    """Lend private keys, one tenant at a time, and make more when it runs out.

    Two tenants alive together never hold the same key, so a token of one is refused
    by the other's; a tenant that stops for good gives its keys back.
    """

    def __init__(self) -> None:
        self._spare: dict[_Kind, list[PrivateKey]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, algorithm: SigningAlgorithm) -> PrivateKey:
        """Return a key fit for *algorithm* that nobody else holds."""
        kind = _KINDS[algorithm]
        with self._lock:
            if self._spare[kind]:
                return self._spare[kind].pop()
        return _generate(kind)

    def give_back(self, algorithm: SigningAlgorithm, key: PrivateKey) -> None:
        """Take *key* back; its taker uses it no more."""
        with self._lock:
            self._spare[_KINDS[algorithm]].append(key)


@frozen
class SigningKey:
    """One key with the identifier and the algorithm it is published under."""

    kid: str
    algorithm: SigningAlgorithm
    private_key: PrivateKey = field(repr=False)
    key: RSAKey | ECKey = field(repr=False)

    @property
    def jwk(self) -> dict[str, Any]:
        """Return its public half as it stands in the JWKS."""
        public: dict[str, Any] = dict(self.key.as_dict(private=False))
        return {
            **public,
            "use": "sig",
            "alg": self.algorithm,
            "kid": self.kid,
        }


@define
class _Ring:
    current: SigningKey
    following: SigningKey
    previous: list[SigningKey] = Factory(list)

    @property
    def published(self) -> tuple[SigningKey, ...]:
        return (self.current, self.following, *self.previous)


class SigningKeys:
    """Sign with the current keys and publish every key that still verifies.

    Args:
        supply: Where private keys come from.
        new_kid: Return an identifier never returned before.
    """

    def __init__(self, supply: KeySupply, new_kid: Callable[[], str]) -> None:
        self._supply = supply
        self._new_kid = new_kid
        self._rings: dict[SigningAlgorithm, _Ring] = {}
        self._lock = threading.RLock()

    def sign(
        self,
        claims: Mapping[str, Any],
        algorithm: SigningAlgorithm = "RS256",
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Return *claims* as a JWT signed with the current key of *algorithm*."""
        current = self._ring(algorithm).current
        full = {"kid": current.kid, **(header or {})}
        return jwts.sign(claims, current.key, algorithm, full)

    def jwks(self, algorithms: Iterable[SigningAlgorithm]) -> dict[str, Any]:
        """Return the JWKS for *algorithms*: current, next, and those not revoked."""
        with self._lock:
            keys = [
                key
                for algorithm in dict.fromkeys(algorithms)
                for key in self._ring(algorithm).published
            ]
        return {"keys": [key.jwk for key in keys]}

    def find(self, kid: object) -> SigningKey | None:
        """Return the key published under *kid*, if it is not revoked."""
        with self._lock:
            rings = tuple(self._rings.values())
            published = [key for ring in rings for key in ring.published]
        return next((key for key in published if key.kid == kid), None)

    def rotate(self) -> None:
        """Sign with what was the next key; the one before keeps verifying."""
        with self._lock:
            self._ring("RS256")
            for algorithm, ring in self._rings.items():
                ring.previous.insert(0, ring.current)
                ring.current = ring.following
                ring.following = self._new_key(algorithm)

    def revoke_previous(self) -> None:
        """Withdraw every key that no longer signs: tokens of theirs stop verifying."""
        with self._lock:
            for algorithm, ring in self._rings.items():
                self._give_back(algorithm, ring.previous)
                ring.previous = []

    def release(self) -> None:
        """Give every key back to the supply; the next use takes new ones."""
        with self._lock:
            for algorithm, ring in self._rings.items():
                self._give_back(algorithm, ring.published)
            self._rings.clear()

    def _ring(self, algorithm: SigningAlgorithm) -> _Ring:
        # Without the lock first: a forked child, where another thread of the parent
        # may have held it, still makes tokens.
        ring = self._rings.get(algorithm)
        if ring is not None:
            return ring
        with self._lock:
            ring = self._rings.get(algorithm)
            if ring is None:  # pragma: no branch - else another thread came first
                ring = _Ring(self._new_key(algorithm), self._new_key(algorithm))
                self._rings[algorithm] = ring
            return ring

    def _new_key(self, algorithm: SigningAlgorithm) -> SigningKey:
        private_key = self._supply.take(algorithm)
        key: RSAKey | ECKey
        if isinstance(private_key, rsa.RSAPrivateKey):
            key = RSAKey(private_key, private_key)
        else:
            key = ECKey(private_key, private_key)
        return SigningKey(self._new_kid(), algorithm, private_key, key)

    def _give_back(
        self, algorithm: SigningAlgorithm, keys: Iterable[SigningKey]
    ) -> None:
        for key in keys:
            self._supply.give_back(algorithm, key.private_key)
