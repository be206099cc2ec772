"""The tenant's signing keys: current, next and not yet revoked, for each algorithm.

Theory of operation. As at Auth0, each algorithm has a ring of keys: the current one
signs, the next one is published in advance, and previous ones stay published after a
rotation, so that tokens they have signed keep verifying until they are revoked. A
client that fetches the JWKS now therefore knows the key after the next rotation.

A ring is made when its algorithm is first used, and its private keys come from a
supply: to make an RSA key takes up to a second, and a test suite starts hundreds of
tenants. A tenant borrows keys and gives them back when it is closed. No two tenants
hold a key at the same time, so that a token of one is refused by the other.
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


def _generate_key(kind: _Kind) -> PrivateKey:
    match kind:
        case "RSA":
            # RFC 7518 3.3: 2048 bits or more.
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case _:
            assert_never(kind)


class KeySupply:
    """Lend private keys to one tenant at a time, and make more when it runs out.

    Share one between the tenants of a test run: making an RSA key takes up to a second.
    """

    def __init__(self) -> None:
        self._spare: dict[_Kind, list[PrivateKey]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, algorithm: SigningAlgorithm) -> PrivateKey:
        """Return a key fit for ``algorithm`` that nobody else holds."""
        kind = _KINDS[algorithm]
        with self._lock:
            if self._spare[kind]:
                return self._spare[kind].pop()
        # Outside the lock: another tenant need not wait while this key is made.
        return _generate_key(kind)

    def give_back(self, algorithm: SigningAlgorithm, key: PrivateKey) -> None:
        """Take ``key`` back from a tenant that does not use it any more."""
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
        # Re-entrant: rotate() holds it while it gets or makes a ring.
        self._lock = threading.RLock()

    def sign(
        self,
        claims: Mapping[str, Any],
        algorithm: SigningAlgorithm = "RS256",
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """Return ``claims`` as a JWT signed with the current key of ``algorithm``."""
        current = self._ring(algorithm).current
        full_header = {"kid": current.kid, **(header or {})}
        return jwts.sign(claims, current.key, algorithm, full_header)

    def jwks(self, algorithms: Iterable[SigningAlgorithm]) -> dict[str, Any]:
        """Return the JWKS of ``algorithms``: current, next, and those not revoked."""
        with self._lock:
            keys = [
                key
                for algorithm in dict.fromkeys(algorithms)
                for key in self._ring(algorithm).published
            ]
        return {"keys": [key.jwk for key in keys]}

    def find(self, kid: object) -> SigningKey | None:
        """Return the key published under ``kid``, or ``None`` if unknown or revoked."""
        with self._lock:
            rings = tuple(self._rings.values())
            published = [key for ring in rings for key in ring.published]
        return next((key for key in published if key.kid == kid), None)

    def rotate(self) -> None:
        """Sign with the next key from now on; the one before keeps verifying."""
        with self._lock:
            # A tenant that never signed rotates, too.
            self._ring(DEFAULT_ALGORITHM)
            for algorithm, ring in self._rings.items():
                ring.previous.insert(0, ring.current)
                ring.current = ring.following
                ring.following = self._new_key(algorithm)

    def revoke_previous(self) -> None:
        """Withdraw every key that no longer signs: its tokens stop verifying."""
        with self._lock:
            for algorithm, ring in self._rings.items():
                self._give_back(algorithm, ring.previous)
                ring.previous = []

    def release(self) -> None:
        """Return every key to the supply; the next use takes new ones."""
        with self._lock:
            for algorithm, ring in self._rings.items():
                self._give_back(algorithm, ring.published)
            self._rings.clear()

    def _ring(self, algorithm: SigningAlgorithm) -> _Ring:
        # Without the lock first: in a forked child the lock may be held by a thread
        # that exists only in the parent, and the child must still be able to sign.
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
        # From the objects themselves, without a detour through PEM.
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
